from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphbo.training.augmentation import PARAMETERS, apply, augment, draw
from graphbo.training.recipe import Recipe

IMAGE = torch.arange(1.0, 13).reshape(1, 1, 3, 4)  # 1..4, 5..8, 9..12


def changed(*parameters: int) -> list[list[float]]:
    """The image after a change: mirrored, down, right, top, bottom, left, right end of the hole."""
    result: list[list[float]] = apply(IMAGE, torch.tensor([parameters]))[0, 0].tolist()
    return result


def test_no_change_leaves_the_image() -> None:
    assert changed(0, 0, 0, 0, 0, 0, 0) == IMAGE[0, 0].tolist()


def test_mirroring_swaps_left_and_right() -> None:
    assert changed(1, 0, 0, 0, 0, 0, 0) == [[4, 3, 2, 1], [8, 7, 6, 5], [12, 11, 10, 9]]


def test_a_crop_shows_zeros_outside_of_the_image() -> None:
    assert changed(0, 1, -2, 0, 0, 0, 0) == [[0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 0, 0]]
    assert changed(0, -1, 3, 0, 0, 0, 0) == [[0, 0, 0, 0], [4, 0, 0, 0], [8, 0, 0, 0]]
    assert changed(0, 5, 0, 0, 0, 0, 0) == [[0] * 4] * 3


def test_a_crop_is_mirrored_as_a_whole() -> None:
    assert changed(1, 1, -2, 0, 0, 0, 0) == [[6, 5, 0, 0], [10, 9, 0, 0], [0, 0, 0, 0]]


def test_cutout_blanks_a_square_of_the_result() -> None:
    assert changed(0, 0, 0, 1, 3, 0, 2) == [[1, 2, 3, 4], [0, 0, 7, 8], [0, 0, 11, 12]]
    assert changed(1, 0, 0, 1, 3, 0, 2) == [[4, 3, 2, 1], [0, 0, 6, 5], [0, 0, 10, 9]]


def test_what_is_blanked_is_zero_even_if_it_was_not_finite() -> None:
    image = torch.full((1, 1, 2, 2), torch.nan)
    assert torch.equal(apply(image, torch.tensor([[0, 0, 0, 0, 2, 0, 2]])), torch.zeros(1, 1, 2, 2))


def test_all_channels_of_an_image_are_changed_alike() -> None:
    x = torch.rand(20, 3, 6, 5)
    x[:, 1:] = x[:, :1]
    result = augment(x, Recipe(flip=True, crop=2, cutout=3), torch.Generator().manual_seed(0))
    assert torch.equal(result[:, 1], result[:, 0])
    assert not torch.equal(result, x)


def test_nothing_is_drawn_if_nothing_is_to_change() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    x = torch.rand(4, 3, 6, 5)
    assert augment(x, Recipe(), generator) is x
    assert torch.equal(generator.get_state(), before)


def test_members_of_a_population_are_changed_as_each_alone() -> None:
    recipe = Recipe(flip=True, crop=1, cutout=2)
    x = torch.rand(3, 8, 2, 6, 6)
    alone = [augment(x[k], recipe, torch.Generator().manual_seed(k)) for k in range(3)]
    drawn = [draw(8, 6, 6, recipe, torch.Generator().manual_seed(k)) for k in range(3)]
    assert torch.equal(apply(x, torch.stack(drawn)), torch.stack(alone))


def test_half_of_the_images_are_mirrored_and_all_crops_are_as_likely() -> None:
    drawn = draw(9000, 8, 8, Recipe(flip=True, crop=1), torch.Generator().manual_seed(0))
    assert drawn[:, 0].float().mean() == pytest.approx(0.5, abs=0.03)
    crops = torch.bincount(3 * (drawn[:, 1] + 1) + drawn[:, 2] + 1, minlength=9) / 9000
    torch.testing.assert_close(crops, torch.full((9,), 1 / 9), atol=0.02, rtol=0)
    assert not drawn[:, 3:].any()


@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    side=st.integers(1, 9),
    crop=st.integers(0, 3),
)
def test_drawn_numbers_stay_in_range(
    seed: int, height: int, width: int, side: int, crop: int
) -> None:
    recipe = Recipe(flip=True, crop=crop, cutout=side)
    drawn = draw(30, height, width, recipe, torch.Generator().manual_seed(seed))
    assert drawn.shape == (30, PARAMETERS)
    mirrored, down, right, top, bottom, left, end = drawn.unbind(1)
    assert set(mirrored.tolist()) <= {0, 1}
    assert max(down.abs().max(), right.abs().max()) <= crop
    for first, last, size in ((top, bottom, height), (left, end, width)):
        assert bool(((first >= 0) & (first < last) & (last <= size) & (last - first <= side)).all())
        # Clipped at a border only: a hole that touches none has the full side.
        inner = (first > 0) & (last < size)
        assert bool((last - first == side)[inner].all())


@given(seed=st.integers(0, 1000))
def test_a_reference_by_padding_and_slicing_agrees(seed: int) -> None:
    recipe = Recipe(flip=True, crop=2, cutout=3)
    x = torch.rand(5, 2, 4, 6, generator=torch.Generator().manual_seed(seed))
    drawn = draw(5, 4, 6, recipe, torch.Generator().manual_seed(seed))
    expected = torch.stack([reference(*pair, 2) for pair in zip(x, drawn, strict=True)])
    assert torch.equal(apply(x, drawn), expected)


def reference(image: Tensor, parameters: Tensor, padding: int) -> Tensor:
    mirrored, down, right, top, bottom, left, end = parameters.tolist()
    height, width = image.shape[1:]
    padded = torch.nn.functional.pad(image, [padding] * 4)
    rows = slice(padding + down, padding + down + height)
    crop = padded[:, rows, padding + right : padding + right + width]
    crop = crop.flip(2).clone() if mirrored else crop.clone()
    crop[:, top:bottom, left:end] = 0
    return crop
