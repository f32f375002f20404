"""Gapped subsequences against their enumeration and the dynamic program of Lodhi et al."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    ListDecoder,
    SubsequenceKernel,
    SubsequenceMap,
    SubsequenceRBFKernel,
    path_counts,
    token_string,
)
from graphbo.testing import architectures

String = tuple[str, ...]


def strings_of(architecture: Architecture, strings: str) -> Counter[String]:
    if strings == "tokens":
        return Counter([token_string(architecture)])
    paths = path_counts(architecture.operations_on_nodes())
    return Counter({(INPUT, *name.split("/")[1:], OUTPUT): n for name, n in paths.items()})


def features(bag: Counter[String], n: int, max_gap: int, decay: float) -> dict[String, float]:
    """The map phi of all subsequences of length n, by enumeration."""
    phi: dict[String, float] = defaultdict(float)
    for string, times in bag.items():
        for chosen in combinations(range(len(string)), n):
            gap = chosen[-1] - chosen[0] + 1 - n
            if gap <= max_gap:
                phi[tuple(string[i] for i in chosen)] += times * decay**gap
    return phi


def gram(kernel: torch.nn.Module, rows: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = kernel.double()(rows).to_dense().numpy()
    return result


@pytest.mark.parametrize("strings", ["paths", "tokens"])
@settings(max_examples=40)
@given(
    st.lists(architectures(edge_labels=["", "d"], max_nodes=4), min_size=2, max_size=3),
    st.integers(1, 4),
    st.integers(0, 4),
    st.floats(0.01, 0.99),
)
def test_covariance_is_that_of_the_enumeration(
    strings: str, graphs: list[Architecture], length: int, max_gap: int, decay: float
) -> None:
    decoder = ListDecoder(graphs)
    kernel = SubsequenceKernel(decoder, length, max_gap, strings, normalize=False)  # type: ignore[arg-type]
    weights = [1.0, 0.3, 2.0, 0.7][:length]
    kernel.double().weights = torch.tensor(weights, dtype=torch.float64)
    kernel.gap_decay = decay
    expected = np.zeros((len(graphs), len(graphs)))
    for n, weight in enumerate(weights, 1):
        maps = [features(strings_of(graph, strings), n, max_gap, decay) for graph in graphs]
        expected += weight * np.array(
            [[sum(a[u] * b.get(u, 0) for u in a) for b in maps] for a in maps]
        )
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-9, atol=1e-9)
    kernel.normalize = True
    diagonal = np.diag(expected)
    scale = np.sqrt(np.outer(diagonal, diagonal)).clip(1e-12)
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected / scale, rtol=1e-9, atol=1e-9)


def lodhi(s: String, t: String, length: int, decay: float) -> list[float]:
    """K_1 to K_n of section 3 of the paper, by its recursion over prefixes."""

    def inner(n: int, i: int, j: int) -> float:
        if n == 0:
            return 1.0
        if min(i, j) < n:
            return 0.0
        ends = [k for k in range(1, j + 1) if t[k - 1] == s[i - 1]]
        return decay * inner(n, i - 1, j) + sum(
            inner(n - 1, i - 1, k - 1) * decay ** (j - k + 2) for k in ends
        )

    def outer(n: int, i: int) -> float:
        if min(i, len(t)) < n:
            return 0.0
        ends = [k for k in range(1, len(t) + 1) if t[k - 1] == s[i - 1]]
        return outer(n, i - 1) + decay**2 * sum(inner(n - 1, i - 1, k - 1) for k in ends)

    return [outer(n, len(s)) for n in range(1, length + 1)]


@pytest.mark.parametrize("decay", [0.2, 0.55, 0.9])
def test_chains_have_the_covariance_of_lodhi_et_al(decay: float) -> None:
    layers = [list("abca"), list("bacb"), list("cab")]
    chains = [
        Architecture([INPUT, *inner, OUTPUT], [(i, i + 1) for i in range(len(inner) + 1)])
        for inner in layers
    ]
    decoder = ListDecoder(chains)
    kernel = SubsequenceKernel(decoder, 3, max_gap=4, normalize=False).double()
    kernel.gap_decay = decay
    kernel.weights = decay ** (2 * torch.arange(1, 4, dtype=torch.float64))
    strings = [token_string(graph) for graph in chains]
    expected = [[sum(lodhi(s, t, 3, decay)) for t in strings] for s in strings]
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-9)


@pytest.mark.parametrize("max_gap", [1, 6, 12])
def test_the_interpolation_is_exact_for_large_gaps(max_gap: int) -> None:
    rng = np.random.default_rng(max_gap)
    chains = [
        Architecture([INPUT, *rng.choice(["a", "b"], 14), OUTPUT], [(i, i + 1) for i in range(15)])
        for _ in range(3)
    ]
    decoder = ListDecoder(chains)
    kernel = SubsequenceKernel(decoder, 3, max_gap, normalize=False).double()
    kernel.weights = 1.0
    for decay in (0.03, 0.37, 0.81):
        kernel.gap_decay = decay
        expected = np.zeros((3, 3))
        for n in (1, 2, 3):
            maps = [features(strings_of(chain, "paths"), n, max_gap, decay) for chain in chains]
            expected += [[sum(a[u] * b.get(u, 0) for u in a) for b in maps] for a in maps]
        np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-9)


def test_the_map_counts_by_length_and_gap() -> None:
    graph = Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    feature_map = SubsequenceMap(length=3, max_gap=1)
    assert feature_map.blocks == (
        "length_1",
        "length_2_gap_0",
        "length_2_gap_1",
        "length_3_gap_0",
        "length_3_gap_1",
    )
    counts = [sorted(block.values.tolist()) for block in feature_map([graph])]
    # ia aa ao; i.a a.o; iaa aao; ia.o and i.ao, which are both iao.
    assert counts == [[1, 1, 2], [1, 1, 1], [1, 1], [1, 1], [2]]


def test_the_decay_can_be_learnt() -> None:
    graphs = [
        Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)]),
        Architecture([INPUT, "a", "c", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (3, 4)]),
    ]
    decoder = ListDecoder(graphs)
    kernel = SubsequenceKernel(decoder, 2, 2).double()
    before = gram(kernel, decoder.rows)[0, 1]
    for _ in range(20):
        (gradient,) = torch.autograd.grad(
            kernel(decoder.rows).to_dense()[0, 1], [kernel.raw_gap_decay]
        )
        with torch.no_grad():
            kernel.raw_gap_decay += gradient
    assert gram(kernel, decoder.rows)[0, 1] > before
    assert 0 < kernel.gap_decay.item() < 1


def test_hyperparameters_are_set_and_read() -> None:
    kernel = SubsequenceKernel(ListDecoder([]), 3, batch_shape=torch.Size([2])).double()
    kernel.weights = torch.tensor([1.0, 0.5, 0.25])
    kernel.gap_decay = torch.tensor([[0.2], [0.7]])
    np.testing.assert_allclose(kernel.weights.detach(), [[1, 0.5, 0.25]] * 2)
    np.testing.assert_allclose(kernel.gap_decay.detach(), [[0.2], [0.7]], rtol=1e-6)


def test_a_batch_of_hyperparameters_gives_a_batch_of_covariances() -> None:
    graphs = [
        Architecture([INPUT, *inner, OUTPUT], [(0, 1), (1, 2), (2, 3), (0, 2)])
        for inner in (["a", "b"], ["b", "a"], ["a", "a"])
    ]
    decoder = ListDecoder(graphs)
    decays = (0.2, 0.7)
    both = SubsequenceKernel(decoder, batch_shape=torch.Size([2])).double()
    both.gap_decay = torch.tensor(decays, dtype=torch.float64).unsqueeze(-1)
    for i, decay in enumerate(decays):
        one = SubsequenceKernel(decoder).double()
        one.gap_decay = decay
        np.testing.assert_allclose(gram(both, decoder.rows)[i], gram(one, decoder.rows), rtol=1e-12)
        np.testing.assert_allclose(gram(both[i], decoder.rows), gram(one, decoder.rows), rtol=1e-12)
    squared = SubsequenceRBFKernel(decoder, batch_shape=torch.Size([2])).double()
    squared.similarity.gap_decay = both.gap_decay.detach()
    together = gram(squared, decoder.rows)
    assert together.shape == (2, 3, 3)
    np.testing.assert_allclose(gram(squared[1], decoder.rows), together[1], rtol=1e-12)


def test_squared_exponential_of_the_induced_distance() -> None:
    graphs = [
        Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)]),
        Architecture([INPUT, "b", OUTPUT], [(0, 1), (1, 2)]),
        Architecture([INPUT, OUTPUT], []),  # no path, and so no feature
    ]
    decoder = ListDecoder(graphs)
    kernel = SubsequenceRBFKernel(decoder, 2, 1).double()
    kernel.lengthscale = 0.5
    kernel.similarity.gap_decay = 0.5
    kernel.similarity.weights = 1.0
    # Both: input, output and input.output at a gap of one; each norm 3 + 2 + 1/4.
    similarity = (2 + 0.25) / (3 + 2 + 0.25)
    expected = np.exp(
        -np.array([[0, 2 - 2 * similarity, 1], [2 - 2 * similarity, 0, 1], [1, 1, 0]]) * 2
    )
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-6)
    typical = kernel.typical_lengthscale(decoder.rows)
    assert typical.shape == (1, 1)
    kernel.lengthscale = typical
    assert np.log(gram(kernel, decoder.rows)).mean() == pytest.approx(-0.5, rel=1e-5)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="length of subsequences"):
        SubsequenceMap(0)
    with pytest.raises(ValueError, match="largest gap"):
        SubsequenceMap(3, -1)
    with pytest.raises(ValueError, match="paths"):
        SubsequenceMap(3, 1, "words")  # type: ignore[arg-type]
