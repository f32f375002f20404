"""Canonical strings, and n-grams against plain counting."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    ListDecoder,
    SpectrumKernel,
    SpectrumMap,
    SpectrumRBFKernel,
    path_counts,
    token_string,
)
from graphbo.spaces import CellSpace
from graphbo.testing import architectures


def chain(*labels: str) -> Architecture:
    return Architecture([INPUT, *labels, OUTPUT], [(i, i + 1) for i in range(len(labels) + 1)])


def all_strings(architecture: Architecture, strings: str) -> Counter[tuple[str, ...]]:
    """The strings of an architecture and how often it has each."""
    if strings == "tokens":
        return Counter([token_string(architecture)])
    paths = path_counts(architecture.operations_on_nodes())
    return Counter({(INPUT, *name.split("/")[1:], OUTPUT): n for name, n in paths.items()})


def test_a_chain_is_the_sequence_of_its_layers() -> None:
    assert token_string(chain("b", "a", "b")) == (INPUT, "b", "a", "b", OUTPUT)
    assert token_string(chain()) == (INPUT, OUTPUT)


def test_branches_are_written_with_references() -> None:
    diamond = Architecture(
        [INPUT, "c", "a", "b", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]
    )
    # In the first layer a comes before c; b reads both; the output reads b and the input.
    expected = (INPUT, "a", "@2", "c", "@1", "@2", "b", "@1", "@4", OUTPUT)
    assert token_string(diamond) == expected
    assert token_string(Architecture([INPUT, OUTPUT], [])) == (INPUT, "@", OUTPUT)


def test_labels_that_look_like_references_are_told_apart() -> None:
    assert token_string(chain("@2", "@")) == (INPUT, "@@2", "@@", OUTPUT)


def test_operations_on_edges_become_tokens() -> None:
    on_edges = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "b")])
    assert token_string(on_edges) == token_string(chain("a", "b"))


@given(architectures(["a", "@1"]), architectures(["a", "@1"]), st.randoms())
def test_strings_are_equal_if_and_only_if_architectures_are(
    first: Architecture, second: Architecture, random: Random
) -> None:
    assert (token_string(first) == token_string(second)) == (first == second)
    place = list(range(len(first)))
    random.shuffle(place)
    redrawn = Architecture(
        [first.nodes[place.index(i)] for i in range(len(first))],
        [(place[u], place[v]) for u, v, _ in first.edges],
    )
    assert token_string(redrawn) == token_string(first)


def test_every_cell_of_a_space_has_a_string_of_its_own() -> None:
    cells = {
        design.architecture.operations_on_nodes()
        for design in CellSpace(5, ["a", "b"], on="nodes").enumerate()
    }
    assert len({token_string(cell) for cell in cells}) == len(cells) > 100


@pytest.mark.parametrize("strings", ["paths", "tokens"])
@settings(max_examples=40)
@given(st.lists(architectures(edge_labels=["", "d"]), min_size=2, max_size=3))
def test_spectrum_counts_are_those_of_the_strings(strings: str, graphs: list[Architecture]) -> None:
    decoder = ListDecoder(graphs)
    kernel = SpectrumKernel(decoder, 3, strings)  # type: ignore[arg-type]
    products = kernel.store.inner_products(decoder.rows, decoder.rows)
    for n in (1, 2, 3):
        counts = []
        for graph in graphs:
            grams: Counter[tuple[str, ...]] = Counter()
            for string, times in all_strings(graph, strings).items():
                for i in range(len(string) - n + 1):
                    grams[string[i : i + n]] += times
            counts.append(grams)
        expected = [[sum(a[key] * b[key] for key in a) for b in counts] for a in counts]
        np.testing.assert_array_equal(products[n - 1], expected)


def test_both_views_of_a_chain_are_the_same() -> None:
    graphs = [chain("a", "b", "a"), chain("b")]
    for one, other in zip(SpectrumMap(4)(graphs), SpectrumMap(4, "tokens")(graphs), strict=True):
        for name in ("rows", "columns", "values"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_spectrum_covariances_by_hand() -> None:
    decoder = ListDecoder([chain("a", "a"), chain("a", "b")])
    kernel = SpectrumKernel(decoder, 2, normalize=False).double()
    kernel.weights = torch.tensor([1.0, 10.0])
    rbf = SpectrumRBFKernel(decoder, 2).double()
    rbf.lengthscale = torch.tensor([2.0, 1.0])
    with torch.no_grad():
        gram, squared = kernel(decoder.rows).to_dense(), rbf(decoder.rows).to_dense()
    # input, output, a twice; input-a, a-a, a-output. Against it: a and b; input-a, a-b, b-output.
    np.testing.assert_allclose(gram, [[6 + 30, 4 + 10], [4 + 10, 4 + 30]], rtol=1e-6)
    np.testing.assert_allclose(squared[0, 1], np.exp(-0.5 * (2 / 4 + 4)), rtol=1e-6)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SpectrumMap(0)
    with pytest.raises(ValueError, match='"paths" or "tokens"; got \'words\''):
        SpectrumMap(3, "words")  # type: ignore[arg-type]
