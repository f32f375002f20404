"""Datasets by name."""

from __future__ import annotations

import re

import pytest

from graphbo.datasets import get_dataset, list_datasets
from graphbo.errors import InputError


def test_two_datasets_need_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)
    assert [name for name, _ in list_datasets()] == ["digits", "shapes"]


def test_options_reach_the_dataset() -> None:
    assert get_dataset("shapes", train=6, validation=4, test=2, size=9).sizes == (6, 4, 2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shapes", {"sise": 9}, "the dataset 'shapes': .*'sise'"),
        ("shapes", {"size": "big"}, "the dataset 'shapes': "),
        ("shapes", {"size": 2}, "size must be at least 8"),
        ("cifar10", {"size": 9}, "'cifar10' has no option 'size'"),
        ("cifar", {}, "no dataset 'cifar'; the nearest names are cifar10"),
        ("xyz", {}, re.escape("the datasets are digits, shapes, cifar10, mnist, flowers17, ")),
    ],
)
def test_what_is_unknown_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_dataset(name, **options)
