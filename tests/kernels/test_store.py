"""The cache of features must never show."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import FeatureStore, ListDecoder, PathMap, WeisfeilerLehmanMap
from graphbo.kernels.testing import example_architectures
from graphbo.spaces import NASBench201Space

GRAPHS = [*example_architectures(), *example_architectures()[2:5]]
GRAPHS += [NASBench201Space().sample(np.random.default_rng(i)).architecture for i in range(17)]
N = len(GRAPHS)


def new_store(**settings: int) -> FeatureStore:
    return FeatureStore(ListDecoder(GRAPHS), WeisfeilerLehmanMap(2), unary=True, **settings)


def rows(indices: list[int] | np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(indices), dtype=torch.float64).unsqueeze(-1)


TRUTH = new_store().inner_products(rows(range(N)), rows(range(N)))  # type: ignore[arg-type]


def assert_right(store: FeatureStore, first: list[int], second: list[int]) -> None:
    expected = TRUTH[:, first][:, :, second]
    torch.testing.assert_close(store.inner_products(rows(first), rows(second)), expected)
    diagonal = TRUTH.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(store.squared_norms(rows(second)), diagonal[:, second])


indices = st.lists(st.integers(0, N - 1), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(indices, indices), min_size=1, max_size=8), st.integers(1, N))
def test_any_sequence_of_calls_gives_the_same_products(
    calls: list[tuple[list[int], list[int]]], max_rows: int
) -> None:
    for store in (new_store(), new_store(max_rows=max_rows)):
        for first, second in calls:
            assert_right(store, first, second)


CHANGES = ["grow", "shrink", "swap", "replace", "same"]


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(range(N)),
    st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, N - 1)), max_size=15),
)
def test_training_rows_may_grow_shrink_and_change(
    order: list[int], changes: list[tuple[str, int]]
) -> None:
    store, pool, train = new_store(), list(range(N)), list(order[:5])
    assert_right(store, pool, pool)
    for change, i in changes:
        if change == "grow":
            train = [*train, i]
        elif change == "shrink":
            train = train[: max(len(train) - 1 - i % 2, 1)]
        elif change == "swap":
            train[i % len(train)], train[0] = train[0], train[i % len(train)]
        elif change == "replace":
            train[i % len(train)] = i
        assert_right(store, train, pool)
        assert_right(store, train, train)


def test_products_survive_new_rows_between_them() -> None:
    store = new_store()
    for n in (3, 4, 10, 5, N):
        assert_right(store, list(range(n)), list(range(n)))
        assert_right(store, [0, 1, 2], [2, 1])


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.copy_(rows([5, 6, 7])),
        lambda x: x.data.copy_(rows([5, 6, 7])),
        lambda x: x.numpy().__setitem__(slice(None), [[5], [6], [7]]),
        lambda x: x[:1].fill_(9),
    ],
    ids=["in place", "behind autograd", "through numpy", "through a view"],
)
def test_rows_that_change_are_looked_up_anew(change: Callable[[Tensor], object]) -> None:
    store, x = new_store(), rows([0, 1, 2])
    store.inner_products(x, x)
    store.squared_norms(x)
    change(x)
    now = [int(i) for i in x.squeeze(-1)]
    assert now != [0, 1, 2]
    torch.testing.assert_close(store.inner_products(x, x), TRUTH[:, now][:, :, now])
    torch.testing.assert_close(
        store.paired_inner_products(x, x), TRUTH.diagonal(dim1=-2, dim2=-1)[:, now]
    )


def test_memory_that_is_used_again_is_looked_up_anew() -> None:
    store = new_store()
    for i in range(200):
        now = [i % N, (i * 7) % N]
        assert_right(store, now, now[::-1])  # each call frees the tensors of the last


def test_slices_views_and_transposed_rows_serve_as_rows() -> None:
    store, every = new_store(), rows(np.arange(N))
    wide = torch.stack([torch.arange(N), torch.arange(N).flip(0)]).double()
    views = {
        "slice": (every[3:9], list(range(3, 9))),
        "step": (every[::3], list(range(0, N, 3))),
        "transposed": (wide.T[:, 1:], list(range(N))[::-1]),
        "expanded": (every[4:5].expand(5, 1), [4] * 5),
        "overlapping": (torch.arange(N).double().as_strided((6, 1), (2, 1)), list(range(0, 12, 2))),
    }
    for _ in range(2):
        for x, now in views.values():
            torch.testing.assert_close(store.inner_products(x, x), TRUTH[:, now][:, :, now])
            torch.testing.assert_close(store.inner_products(x, every), TRUTH[:, now])


def test_tensors_of_equal_content_and_different_shape_are_told_apart() -> None:
    store = new_store()
    flat = torch.arange(6).double()
    for shape in ((6, 1), (2, 3, 1), (3, 2, 1), (1, 6, 1)):
        x = flat.reshape(shape)
        assert store.squared_norms(x).shape == (3, *shape[:-1])
        assert store.inner_products(x, x).shape == (3, *shape[:-1], shape[-2])


@pytest.mark.parametrize("shape", [(2, 3), (4, 1), (2, 2, 5), (1, 1, 1), (0, 3), (3, 0)])
def test_batches_are_products_of_their_members(shape: tuple[int, ...]) -> None:
    store = new_store()
    rng = np.random.default_rng(0)
    first, second = rng.integers(N, size=shape), rng.integers(N, size=(*shape[:-1], 7))
    x1, x2 = rows(first), rows(second)
    expected = TRUTH[:, first[..., :, None], second[..., None, :]]
    torch.testing.assert_close(store.inner_products(x1, x2), expected)
    torch.testing.assert_close(store.paired_inner_products(x1, x1), TRUTH[:, first, first])
    torch.testing.assert_close(store.squared_norms(x1), TRUTH[:, first, first])


def test_many_small_batches_take_no_joint_product() -> None:
    """As BoTorch asks for when a whole space is scored: every row with itself and a few others."""
    store = new_store()
    first = np.stack([np.arange(N), np.full(N, 3)], axis=-1)
    x = rows(first)
    expected = TRUTH[:, first[..., :, None], first[..., None, :]]
    torch.testing.assert_close(store.inner_products(x, x), expected)


def test_batch_shapes_are_broadcast() -> None:
    store = new_store()
    one, many = rows([1, 2, 3]), rows(np.arange(8).reshape(4, 2))
    expected = TRUTH[:, [1, 2, 3]][:, :, np.arange(8).reshape(4, 2)].movedim(2, 1)
    torch.testing.assert_close(store.inner_products(one, many), expected)
    torch.testing.assert_close(store.inner_products(many, one), expected.mT)


def test_results_have_the_type_of_the_rows() -> None:
    store, x = new_store(), rows([0, 1, 2])
    for dtype in (torch.float32, torch.float64):
        assert store.inner_products(x.to(dtype), x.to(dtype)).dtype == dtype
        assert store.squared_norms(x.to(dtype)).dtype == dtype
    single = store.inner_products(x.float(), x.float())
    torch.testing.assert_close(single.double(), TRUTH[:, :3, :3])


def test_rows_that_require_gradients_or_live_in_inference_mode_are_fine() -> None:
    store, x = new_store(), rows([0, 1, 2]).requires_grad_()
    torch.testing.assert_close(store.inner_products(x, x), TRUTH[:, :3, :3])
    with torch.inference_mode():
        x = rows([2, 1, 0])
        assert store.squared_norms(x).shape == (3, 3)
        assert store.squared_norms(x).shape == (3, 3)


class CountingDecoder(ListDecoder):
    calls = 0

    def __call__(self, row: tuple[int, ...]) -> Architecture:
        CountingDecoder.calls += 1
        return super().__call__(row)


def test_each_row_is_decoded_once() -> None:
    CountingDecoder.calls = 0
    store = FeatureStore(CountingDecoder(GRAPHS), PathMap())
    store.inner_products(rows([0, 1, 1, 0]), rows([2, 1]))
    store.squared_norms(rows([2, 1, 0]))
    store.totals(rows([0, 0, 3]))
    assert CountingDecoder.calls == 4


def test_a_store_starts_afresh_when_it_is_full() -> None:
    CountingDecoder.calls = 0
    store = FeatureStore(CountingDecoder(GRAPHS), WeisfeilerLehmanMap(2), unary=True, max_rows=4)
    assert_right(store, [0, 1, 2], [3, 0])
    assert CountingDecoder.calls == 4
    assert_right(store, [4], [5, 4])
    assert CountingDecoder.calls == 6
    assert_right(store, [0], [0])
    assert CountingDecoder.calls == 7
    # More rows at once than it keeps: right all the same.
    assert_right(store, list(range(N)), [0, 1])


def test_dense_features_keep_the_order_of_their_names() -> None:
    from graphbo.kernels.counts import hash_texts

    store = FeatureStore(ListDecoder(GRAPHS), PathMap())
    names = ["/conv3x3", "no such path", "", "/conv1x1"]
    single = store.dense(rows([0, 1, 2, 3]), hash_texts(names))
    expected = [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    torch.testing.assert_close(single, torch.tensor(expected).double())
    reverse = store.dense(rows([0, 1, 2, 3]), hash_texts(names[::-1]))
    torch.testing.assert_close(reverse, single.flip(1))


def test_copies_share_the_cache_and_pickles_leave_it_behind() -> None:
    store = new_store()
    assert_right(store, list(range(N)), list(range(N)))
    assert copy.deepcopy(store) is store
    text = pickle.dumps(store)
    assert len(text) < len(pickle.dumps(GRAPHS)) + 2000
    assert_right(pickle.loads(text), [3, 1], [2, 4, 4])


@pytest.mark.parametrize("unary", [False, True])
def test_weighted_products_are_the_weighted_sum_of_the_products(unary: bool) -> None:
    store = FeatureStore(ListDecoder(GRAPHS), WeisfeilerLehmanMap(2), unary=unary)
    first, second = rows([3, 1, 4, 1, 5]), rows([9, 2, 6])
    weights = torch.tensor([0.5, 0.0, 2.0])
    for a, b in ((first, second), (second, first), (first, first), (first[:0], second)):
        expected = torch.einsum("b,bnm->nm", weights.double(), store.inner_products(a, b))
        torch.testing.assert_close(store.weighted_inner_products(a, b, weights), expected)


def test_products_are_the_same_in_one_slice_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sliced = new_store(), new_store()
    first, second = rows(list(range(30))), rows(list(range(10, 25)))
    expected = whole.inner_products(first, second)
    monkeypatch.setattr("graphbo.kernels.store._ELEMENTS_AT_ONCE", 60)
    assert torch.equal(sliced.inner_products(first, second), expected)
    for share in (0.0, 1.0):  # all columns as dense matrices, and none
        monkeypatch.setattr("graphbo.kernels.store._OFTEN", share)
        assert torch.equal(new_store().inner_products(first, second), expected)
