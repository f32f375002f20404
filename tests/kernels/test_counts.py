"""Sparse counts: counting, unary coding, matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.kernels import Counts
from graphbo.kernels.counts import hash_text, hash_texts, mix

vectors = st.lists(st.integers(0, 6), min_size=4, max_size=4)


def counts_of(matrix: list[list[int]]) -> Counts:
    """The counts of a dense matrix, its columns named by hashes."""
    rows, columns = [], []
    names = hash_texts([f"feature {j}" for j in range(len(matrix[0]))])
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            rows += [i] * count
            columns += [names[j]] * count
    return Counts.of(len(matrix), np.array(rows, np.int64), np.array(columns, np.uint64))


def products(counts: Counts) -> np.ndarray:
    matrix = counts.to_csr(np.unique(counts.columns)).toarray()
    return matrix @ matrix.T


def test_repeated_features_are_counted() -> None:
    features = np.array([7, 5, 7, 7, 5], np.uint64)
    counts = Counts.of(2, np.array([1, 0, 1, 0, 0]), features)
    assert counts.rows.tolist() == [0, 0, 1]
    assert counts.columns.tolist() == [5, 7, 7]
    assert counts.values.tolist() == [2, 1, 2]


@given(vectors, vectors)
def test_inner_products_are_those_of_the_vectors(a: list[int], b: list[int]) -> None:
    expected = np.array([a, b]) @ np.array([a, b]).T
    np.testing.assert_array_equal(products(counts_of([a, b])), expected)


@given(vectors, vectors)
def test_unary_code_turns_products_into_minima_and_squares_into_differences(
    a: list[int], b: list[int]
) -> None:
    gram = products(counts_of([a, b]).unary())
    assert gram[0, 1] == sum(min(x, y) for x, y in zip(a, b, strict=True))
    distance = gram[0, 0] + gram[1, 1] - 2 * gram[0, 1]
    assert distance == sum(abs(x - y) for x, y in zip(a, b, strict=True))


def large(*values: float) -> Counts:
    """Objects with one feature."""
    n = len(values)
    return Counts.of(n, np.arange(n), np.full(n, 7, np.uint64), np.array(values, float))


@given(st.lists(st.integers(1, 2**40), min_size=2, max_size=5))
def test_large_counts_are_rounded_and_not_written_out(values: list[int]) -> None:
    coded = large(*values).unary()
    assert len(coded.columns) <= 3600 * len(values)
    gram = products(coded)
    rounded = gram.diagonal()
    np.testing.assert_array_equal(gram, np.minimum(rounded[:, None], rounded))
    assert (rounded <= values).all()
    assert (rounded > np.array(values) * (1 - 1 / 64)).all()


@given(st.lists(st.integers(1, 256), min_size=2, max_size=5))
def test_counts_up_to_256_are_exact(values: list[int]) -> None:
    np.testing.assert_array_equal(
        products(large(*values).unary()), np.minimum.outer(values, values)
    )


def test_only_whole_counts_have_a_unary_code() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        large(0.5).unary()


def test_a_matrix_has_only_the_features_of_its_vocabulary() -> None:
    counts = counts_of([[1, 2, 0], [0, 3, 4]])
    chosen = np.sort(hash_texts(["feature 1", "feature 9"]))
    matrix = counts.to_csr(chosen).toarray()
    position = int(np.searchsorted(chosen, hash_text("feature 1")))
    np.testing.assert_array_equal(matrix[:, position], [2, 3])
    np.testing.assert_array_equal(matrix[:, 1 - position], [0, 0])
    assert counts.to_csr(chosen[:0]).shape == (2, 0)
    assert counts_of([[0, 0]]).to_csr(chosen).nnz == 0


def test_concatenation_stacks_the_objects() -> None:
    whole = counts_of([[1, 0], [0, 0], [2, 3]])
    parts = Counts.concatenate([counts_of([[1, 0], [0, 0]]), counts_of([[2, 3]])])
    np.testing.assert_array_equal(products(parts), products(whole))
    assert parts.n == 3


def test_hashes_are_the_same_in_every_process_and_scrambling_is_one_to_one() -> None:
    assert hash_text("conv3x3") == hash_texts(["conv3x3"])[0] == 610281347569443829
    values = np.arange(100_000, dtype=np.uint64)
    assert len(np.unique(mix(values))) == len(values)


@pytest.mark.parametrize("text", ["", "ä", "a" * 1000])
def test_any_text_has_a_64_bit_hash(text: str) -> None:
    assert 0 <= hash_text(text) < 2**64
