"""torchvision's datasets, here through a module that stands in for it."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from graphbo.datasets import get_dataset, torchvision_images
from graphbo.errors import InputError, MissingExtraError


class Pictures:
    """Behaves as a dataset of torchvision: pairs of picture and class, fetched on demand."""

    calls: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *, root: str, download: bool, **part: Any) -> None:
        self.calls.append({"root": root, "download": download, **part})
        if root == "empty" and not download:
            raise RuntimeError("Dataset not found.")
        self.train = part in ({"train": True}, {"split": "train"})
        assert self.train or part in ({"train": False}, {"split": "test"})

    def __len__(self) -> int:
        return 20 if self.train else 6

    def __getitem__(self, index: int) -> tuple[Any, int]:
        shape = (4, 4, 3) if self.channels == 3 else (4, 4)
        return np.full(shape, index if self.train else 100 + index, dtype=np.uint8), index % 2

    channels = 3


class Grey(Pictures):
    channels = 1


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)
    monkeypatch.setattr(Pictures, "calls", [])
    module = ModuleType("torchvision")
    module.datasets = SimpleNamespace(CIFAR100=Pictures, SVHN=Pictures, FashionMNIST=Grey)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", module)


@pytest.mark.parametrize("name", ["CIFAR100", "SVHN"])
def test_a_fifth_of_the_training_images_is_for_validation(name: str) -> None:
    data = torchvision_images(name, "folder")
    assert (data.name, data.sizes, data.shape, data.classes) == (name, (16, 4, 6), (3, 4, 4), 2)
    # Each image is of one colour, brighter in the test part than in the others.
    assert data.test[0].min() > max(data.train[0].max(), data.validation[0].max())
    assert len(set(data.train[0][:, 0, 0, 0].tolist())) == 16
    assert [call["root"] for call in Pictures.calls] == ["folder", "folder"]


def test_grey_images_get_a_channel_and_the_name_has_a_prefix_in_the_registry() -> None:
    assert get_dataset("torchvision:FashionMNIST", "folder").shape == (1, 4, 4)


def test_nothing_is_downloaded_unless_asked_for() -> None:
    with pytest.raises(InputError, match=r"Dataset not found\.; download=True fetches it"):
        torchvision_images("SVHN", "empty")
    assert not any(call["download"] for call in Pictures.calls)
    assert torchvision_images("SVHN", "empty", download=True).sizes == (16, 4, 6)


def test_the_folder_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="needs a folder for its files; name it in GRAPHBO_DATA"):
        torchvision_images("SVHN")
    monkeypatch.setenv("GRAPHBO_DATA", "there")
    torchvision_images("SVHN")
    assert Pictures.calls[-1]["root"] == "there"


def test_an_unknown_name_and_a_missing_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no torchvision dataset 'ImageNet'; it is one of CIFAR10"):
        torchvision_images("ImageNet", "folder")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphbo\[vision\]'"):
        torchvision_images("SVHN", "folder")
