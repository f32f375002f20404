from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from graphbo.errors import InputError
from graphbo.training.data import (
    Resolutions,
    changes,
    check,
    fingerprint,
    fraction,
    image_shape,
    materialise,
    read,
    shrink,
    shuffled,
    size,
)

X = torch.arange(40.0).reshape(10, 1, 2, 2)
Y = torch.arange(10)


class Noisy(Dataset[tuple[Tensor, int]]):
    """Images that are new every time they are asked for."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.rand(1, 4, 4), i


def test_materialise_reads_a_dataset_in_order_and_keeps_tensors() -> None:
    x, y = materialise(TensorDataset(X, Y))
    assert torch.equal(x, X)
    assert torch.equal(y, Y)
    pair = (X, Y)
    assert materialise(pair) is pair


@given(n=st.integers(1, 200), low=st.floats(0.001, 1), high=st.floats(0.001, 1))
def test_a_smaller_fraction_is_the_beginning_of_a_larger_one(
    n: int, low: float, high: float
) -> None:
    data = (torch.arange(n).float()[:, None, None, None], torch.arange(n))
    parts = [fraction(data, share) for share in sorted((low, high)) if share < 1]
    for share, (x, y) in zip(sorted((low, high)), parts, strict=False):
        assert len(y) == max(1, round(share * n))
        assert len(y.unique()) == len(y)
        assert torch.equal(x.flatten().long(), y)
    if len(parts) == 2:
        assert torch.equal(parts[0][1], parts[1][1][: size(parts[0])])


def test_a_fraction_of_a_dataset_has_the_same_images_as_that_of_tensors() -> None:
    _, y = materialise(fraction(TensorDataset(X, Y), 0.5))
    assert torch.equal(y, materialise(fraction((X, Y), 0.5))[1])
    assert y.tolist() != sorted(y.tolist())


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_a_fraction_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="above 0 and at most 1"):
        fraction((X, Y), share)


def test_shrinking_averages_areas() -> None:
    assert shrink(X[:1], 1).tolist() == [[[[1.5]]]]
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert shrink(image, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert shrink(torch.ones(2, 3, 6, 9), 4).shape == (2, 3, 4, 6)
    assert shrink(image, 4) is image


@pytest.mark.parametrize("resolution", [0, 3, 1.5])
def test_a_resolution_out_of_range_is_refused(resolution: float) -> None:
    for data in ((X, Y), TensorDataset(X, Y)):
        with pytest.raises(InputError, match="whole number of pixels from 1 to 2"):
            Resolutions(data).at(resolution)


def test_resolutions_are_computed_once_and_are_no_part_of_a_pickle() -> None:
    images = Resolutions((X, Y))
    assert images.at() == (X, Y) == images.at(2)
    assert images.at(1) is images.at(1)
    assert len(pickle.dumps(images)) == len(pickle.dumps(Resolutions((X, Y))))
    dataset = Resolutions(TensorDataset(X, Y)).at(1)
    assert torch.equal(materialise(dataset)[0], materialise(images.at(1))[0])
    assert image_shape(dataset) == image_shape(images.at(1)) == (1, 1, 1)


@given(n=st.integers(1, 50), batch=st.integers(1, 20), seed=st.integers(0, 100))
def test_an_epoch_shows_every_image_once_but_a_single_one_left_over(
    n: int, batch: int, seed: int
) -> None:
    steps = shuffled(n, batch, torch.Generator().manual_seed(seed))
    shown = torch.cat(list(steps))
    alone = n > 1 and batch > 1 and n % batch == 1
    assert len(shown) == len(shown.unique()) == n - alone
    assert all(len(step) == batch for step in steps[:-1])
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(shown, order[: len(shown)])


@pytest.mark.parametrize("data", [(X, Y), TensorDataset(X, Y)])
def test_batches_hold_the_images_asked_for(data: Any) -> None:
    before = torch.get_rng_state()
    batches = list(read(data, [torch.tensor([3, 1]), torch.tensor([2])]))
    assert [y.tolist() for _, y in batches] == [[3, 1], [2]]
    assert torch.equal(batches[0][0], X[[3, 1]])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_dataset_that_is_random_is_told_from_one_that_is_not() -> None:
    before = torch.get_rng_state()
    assert changes(Noisy())
    assert not changes(TensorDataset(X, Y))
    assert not changes((X, Y))
    assert torch.equal(torch.get_rng_state(), before)


def test_fingerprints_look_beyond_the_first_image() -> None:
    other = X.clone()
    other[-1] += 1
    assert fingerprint((other, Y)) != fingerprint((X, Y))
    assert fingerprint((X.bfloat16(), Y)) != fingerprint((X.half(), Y))
    by_item = [fingerprint(TensorDataset(X, classes)) for classes in (Y, Y.roll(1))]
    assert by_item[0] != by_item[1]


def test_fingerprints_tell_data_apart_without_touching_global_randomness() -> None:
    names = [
        fingerprint(data) for data in ((X, Y), (X, Y.flip(0)), (X + 1, Y), (X[:5], Y[:5]), Noisy())
    ]
    assert len(set(names)) == 5
    assert fingerprint((X.clone(), Y.clone())) == names[0]
    before = torch.get_rng_state()
    assert fingerprint(Noisy()) == names[-1]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:4]), "the train data have 10 images but 4 classes"),
        ((X[:0], Y[:0]), "the train data are empty"),
        ((X.byte(), Y), r"floating-point numbers, n x channels x height x width; got torch.uint8"),
        ((X[:, 0], Y), r"of the shape \(10, 2, 2\)"),
        ((X, Y.int()), "the train classes must be whole numbers from 0 .* got torch.int32"),
        ((X, Y[:, None]), r"got torch.int64 of the shape \(10, 1\)"),
        ((X, Y - 1), "from -1"),
        ((X.numpy(), Y.numpy()), "a pair of tensors.*got a tuple of ndarray, ndarray"),
        (iter(X), "a dataset with a length and numbered items; got tuple_iterator"),
        ([X, Y], r"must be pairs of an image.*got torch.float32 of the shape \(10, 1, 2, 2\)"),
        ([("image", 1)], r"got \(str, int\)"),
        ([(X[0], 1.0)], r"got \(torch.float32 of the shape \(1, 2, 2\), float\)"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check("train", data)
