"""scikit-learn's digits, displaced, under noise and before clutter."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from graphbo.datasets import digits
from graphbo.errors import InputError, MissingExtraError


def test_data_have_the_stated_shapes_and_are_the_same_every_time() -> None:
    data, again = digits(), digits()
    assert (data.sizes, data.shape, data.classes) == ((3600, 1788, 1800), (1, 12, 12), 10)
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(data, part)[0], getattr(again, part)[0])
        assert set(getattr(data, part)[1].tolist()) == set(range(10))


def test_no_digit_is_in_two_parts_and_images_keep_their_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each digit has a brightness of its own, which tells it apart afterwards.
    classes = np.arange(1797) % 10
    brightness = np.linspace(1, 16, 1797)
    images = np.ones((1797, 8, 8)) * brightness[:, None, None]
    bunch = SimpleNamespace(images=images, target=classes)
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: bunch)
    data = digits(noise=0, copies=2)
    black = data.train[0].min()
    # Dimmed or not, the brightest pixel of an image is that of its digit, up to one affine map.
    peaks = torch.cat([getattr(data, p)[0].amax((1, 2, 3)) - black for p in ("train", "test")])
    peaks = torch.cat([peaks, data.validation[0].amax((1, 2, 3)) - black])
    labels = torch.cat([data.train[1], data.test[1], data.validation[1]])
    which = ((peaks / peaks.max() * 16 - 1) / 15 * 1796).round().long()
    assert torch.equal(which.bincount(), torch.full((1797,), 2))
    assert torch.equal(labels, which % 10)
    assert torch.equal(which[0::2], which[1::2])  # so that both copies are in the same part


def test_digits_are_displaced() -> None:
    x, _ = digits(noise=0).train
    blank = x[:, 0].amax(2) == x.min()  # rows without a stroke
    assert len({tuple(row) for row in blank[:200].tolist()}) > 4


def test_clutter_adds_ink_and_takes_none_away() -> None:
    black_and_white = [digits(noise=0, clutter=clutter).test[0][:40] for clutter in (0, 3)]
    plain, cluttered = ((x - x.min()) / (x.max() - x.min()) for x in black_and_white)
    assert cluttered.mean() > plain.mean() + 0.02
    assert digits(clutter=1).sizes == (3600, 1788, 1800)


def test_a_canvas_of_the_size_of_a_digit_displaces_nothing() -> None:
    from sklearn.datasets import load_digits

    x, y = digits(canvas=8, copies=1, noise=0).train
    plain = load_digits()
    first = np.random.default_rng(0).permutation(1797)[:900]
    expected = torch.from_numpy(plain.images[first]).flatten()
    assert torch.corrcoef(torch.stack([x.flatten().double(), expected]))[0, 1] > 1 - 1e-9
    assert y.tolist() == plain.target[first].tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"canvas": 7}, "canvas must be at least 8; got 7"),
        ({"copies": 0}, "copies must be at least 1; got 0"),
        ({"noise": -0.1}, "noise must be at least 0; got -0.1"),
        ({"clutter": -1}, "clutter must be at least 0; got -1"),
        ({"copies": 1.5}, "copies must be a whole number; got 1.5"),
    ],
)
def test_a_number_out_of_range_is_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        digits(**wrong)  # type: ignore[arg-type]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphbo\[digits\]'"):
        digits()
