"""Images from files: what they may hold, how they are split, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.datasets import folder_images, get_dataset, list_datasets, load_images
from graphbo.errors import InputError


@pytest.fixture(autouse=True)
def _no_folder_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)


def numbered(n: int, first: int = 0) -> tuple[Any, Any]:
    """Images of 2x2 colour pixels, the first red one of which is the image's number."""
    images = np.zeros((n, 2, 2, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = first + np.arange(n)
    return images, ((first + np.arange(n)) % 5).astype(np.uint8)


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def order(part: tuple[torch.Tensor, torch.Tensor]) -> list[int]:
    """The ranks of the images by number."""
    return part[0][:, 0, 0, 0].argsort().tolist()


def test_without_parts_a_fifth_is_for_the_test_and_a_fifth_for_validation(tmp_path: Path) -> None:
    x, y = numbered(50)
    data = load_images(write(tmp_path / "mine.npz", x=x, y=y))
    assert (data.name, data.sizes, data.shape, data.classes) == ("mine", (30, 10, 10), (3, 2, 2), 5)
    values = torch.cat([p[0][:, 0, 0, 0] for p in (data.train, data.validation, data.test)])
    assert len(values.unique()) == 50  # every image is in one part
    number = values.argsort().argsort()
    labels = torch.cat([p[1] for p in (data.train, data.validation, data.test)])
    assert torch.equal(labels, number % 5)
    again = load_images(tmp_path / "mine.npz")
    assert torch.equal(again.train[0], data.train[0])


def test_a_missing_validation_part_is_taken_from_the_training_part(tmp_path: Path) -> None:
    (x, y), (x_test, y_test) = numbered(20), numbered(7, 100)
    path = write(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    assert load_images(path).sizes == (16, 4, 7)


def test_given_parts_are_kept_and_shuffled(tmp_path: Path) -> None:
    arrays = {}
    for i, (name, n) in enumerate({"train": 40, "val": 10, "test": 5}.items()):
        arrays[f"x_{name}"], arrays[f"y_{name}"] = numbered(n, 50 * i)
    data = load_images(write(tmp_path / "a.npz", **arrays))
    assert data.sizes == (40, 10, 5)
    assert order(data.train) != list(range(40))
    assert data.train[0][:, 0, 0, 0].max() < data.validation[0][:, 0, 0, 0].min()


def test_grey_images_get_a_channel(tmp_path: Path) -> None:
    x, y = numbered(10)
    assert load_images(write(tmp_path / "a.npz", x=x[..., 0], y=y)).shape == (1, 2, 2)


@pytest.mark.parametrize("file", ["cifar10.npz", "cifar10_4000.npz"])
def test_a_dataset_is_found_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    x, y = numbered(10)
    write(tmp_path / file, x=x, y=y)
    assert get_dataset("cifar10", tmp_path).name == "cifar10"
    assert "cifar10" not in dict(list_datasets())
    monkeypatch.setenv("GRAPHBO_DATA", str(tmp_path))
    assert get_dataset("cifar10").sizes == (6, 2, 2)
    assert [name for name, _ in list_datasets()] == ["digits", "shapes", "cifar10"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs the file mnist\.npz.* GRAPHBO_DATA is not set"):
        folder_images("mnist")
    with pytest.raises(InputError, match=r"needs the file mnist\.npz.* there is none in "):
        folder_images("mnist", tmp_path)
    with pytest.raises(InputError, match="it is one of cifar10, mnist, flowers17"):
        folder_images("imagenet", tmp_path)
    with pytest.raises(InputError, match=r"there is no file .*none\.npz"):
        load_images(tmp_path / "none.npz")


def test_what_is_wrong_in_a_file_is_named(tmp_path: Path) -> None:
    x, y = numbered(10)
    for arrays, message in (
        ({"y": y}, "has no array 'x'"),
        ({"x": x}, "has no array 'y'"),
        ({"x": x[:, 0, 0], "y": y}, "'x' must have the shape"),
        ({"x": x, "y": y[:9]}, "'y' must have the shape 10; it has 9"),
        ({"x": x, "y": y / 2}, "'y' has entries of the wrong type"),
        ({"x": x, "y": y.astype(int) - 1}, r"a\.npz: a: the .* part has classes -1"),
        ({"x": x[:3], "y": y[:3]}, r"a\.npz: of so few images, no fifth"),
    ):
        with pytest.raises(InputError, match=message):
            load_images(write(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "classes"),
    [
        ("cifar10", (2400, 800, 800), (3, 32, 32), 10),
        ("mnist", (8000, 2000, 2000), (1, 28, 28), 10),
        ("flowers17", (680, 340, 340), (3, 16, 16), 17),
    ],
)
def test_real_images_load(
    data_folder: Path, name: str, sizes: tuple[int, ...], shape: tuple[int, ...], classes: int
) -> None:
    data = get_dataset(name, data_folder)
    assert (data.sizes, data.shape, data.classes) == (sizes, shape, classes)
    for part in (data.train, data.validation, data.test):
        counts = part[1].bincount(minlength=classes)
        assert counts.min() >= 0.7 * counts.float().mean()


def test_a_class_that_would_take_more_outputs_than_there_are_images_is_refused(
    tmp_path: Path,
) -> None:
    x, y = numbered(20)
    absurd = y.astype(np.int64)
    absurd[3] = 10**12
    with pytest.raises(InputError, match="the classes count up to 1000000000000, in 20 images"):
        load_images(write(tmp_path / "mine.npz", x=x, y=absurd))


def test_a_column_of_classes_serves_as_well(tmp_path: Path) -> None:
    x, y = numbered(50)
    column = load_images(write(tmp_path / "mine.npz", x=x, y=y[:, None]))
    plain = load_images(write(tmp_path / "mine.npz", x=x, y=y))
    assert torch.equal(column.train[1], plain.train[1])


def test_images_that_are_too_few_or_not_finite_are_named(tmp_path: Path) -> None:
    x, y = numbered(4)
    with pytest.raises(InputError, match=r"few.npz: of so few images, no fifth can be split off"):
        load_images(write(tmp_path / "few.npz", x=x, y=y))
    x, y = numbered(50)
    x = x.astype(np.float32)
    x[3, 0, 1, 2] = np.nan
    with pytest.raises(InputError, match=r"nan.npz: .*numbers that are not finite"):
        load_images(write(tmp_path / "nan.npz", x=x, y=y))
