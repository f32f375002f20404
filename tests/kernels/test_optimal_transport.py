"""The transport distance against cases worked by hand and against a linear program."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import MissingExtraError
from graphbo.kernels import ListDecoder, OptimalTransportKernel, TransportMap
from graphbo.kernels.layers import path_lengths
from graphbo.spaces import CellSpace
from graphbo.testing import architectures


def chain(*labels: str) -> Architecture:
    n = len(labels) + 2
    return Architecture([INPUT, *labels, OUTPUT], [(i, i + 1) for i in range(n - 1)])


def distance(first: Architecture, second: Architecture, **options: object) -> float:
    return float(TransportMap([second], **options).distances([first])[0, 0, 0])  # type: ignore[arg-type]


def by_linear_program(
    first: Architecture,
    second: Architecture,
    structure: float,
    mismatch: Mapping[tuple[str, str], float],
    masses: Mapping[str, float],
) -> float:
    """The definition as it stands in the paper, without any of our shortcuts."""
    graphs = [graph.operations_on_nodes().pruned() for graph in (first, second)]
    weights, lengths = [], [path_lengths(graph) for graph in graphs]
    for graph in graphs:
        inner = [masses.get(label, 1.0) for label in graph.nodes if label not in (INPUT, OUTPUT)]
        end = 0.1 * max(sum(inner), 1.0)
        ends = {INPUT: end, OUTPUT: end}
        weights.append([{**masses, **ends}.get(label, 1.0) for label in graph.nodes])
    n, m = len(graphs[0]), len(graphs[1])
    cost, bounds = np.empty((n, m)), []
    for i, a in enumerate(graphs[0].nodes):
        for j, b in enumerate(graphs[1].nodes):
            label = 0.0 if a == b else mismatch.get((a, b), mismatch.get((b, a), 1.0))
            allowed = {a, b} & {INPUT, OUTPUT} == set() or a == b
            gap = np.abs(lengths[0][i] - lengths[1][j]).sum() / 6
            bounds.append((0.0, None) if allowed and label < math.inf else (0.0, 0.0))
            cost[i, j] = (label if label < math.inf else 0.0) + structure * gap
    sends = np.kron(np.eye(n), np.ones(m))
    receives = np.kron(np.ones(n), np.eye(m))
    limits = np.concatenate(weights)
    # Mass that is left over costs one: all of it, less two for each unit that is assigned.
    solution = linprog(
        cost.ravel() - 2, A_ub=np.vstack([sends, receives]), b_ub=limits, bounds=bounds
    )
    return float(solution.fun + limits.sum())


def test_path_lengths_of_a_cell() -> None:
    # input -> a -> b -> output, with a -> output and input -> b.
    graph = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)])
    # From the input and to the output: shortest, longest, mean over a random walk.
    expected = [
        [0, 0, 0, 2, 3, 1 + (1.5 + 1) / 2],
        [1, 1, 1, 1, 2, 1 + (1 + 0) / 2],
        [1, 2, 1 + (0 + 1) / 2, 1, 1, 1],
        [2, 3, 1 + (1 + 1.5) / 2, 0, 0, 0],
    ]
    np.testing.assert_allclose(path_lengths(graph), expected)


def test_another_label_costs_the_mismatch_of_the_labels() -> None:
    pair = chain("a"), chain("b")
    assert distance(*pair) == pytest.approx(1)
    assert distance(*pair, mismatch={("a", "b"): 0.2}) == pytest.approx(0.2)
    assert distance(*pair, mismatch={("b", "a"): 0.2}) == pytest.approx(0.2)
    # Where labels cannot be matched, both layers are left unassigned.
    assert distance(*pair, mismatch={("a", "b"): math.inf}) == pytest.approx(2)


def test_a_longer_chain_by_hand() -> None:
    # An operation is one step farther from an end in half of its path lengths: a gap of 1/2, as
    # for the input and the output, which have masses 0.1 and 0.2. One operation is left over.
    expected = 0.8 * 0.5 + 1 + 2 * (0.1 * 0.8 * 0.5 + 0.1)
    assert distance(chain("a"), chain("a", "a")) == pytest.approx(expected)
    assert distance(chain("a", "a"), chain("a")) == pytest.approx(expected)
    normalized = distance(chain("a"), chain("a", "a"), normalized=True)
    assert normalized == pytest.approx(expected / (1.2 + 2.4))
    assert distance(chain("a"), chain("a", "a"), structure=[0]) == pytest.approx(1.2)


def test_each_structural_weight_is_a_block_with_a_lengthscale() -> None:
    graphs = [chain("a"), chain("a", "a")]
    decoder = ListDecoder(graphs)
    kernel = OptimalTransportKernel(decoder, graphs, structure=(0, 0.8)).double()
    kernel.lengthscale = torch.tensor([[2.0, 3.0]])
    first, second = 1.2, 0.8 * 0.5 + 1 + 2 * (0.1 * 0.8 * 0.5 + 0.1)
    expected = math.exp(-0.5 * ((first / 2) ** 2 + (second / 3) ** 2))
    assert kernel(decoder.rows).to_dense()[0, 1].item() == pytest.approx(expected)


def test_masses_weigh_operations() -> None:
    masses = {"conv": 3.0, "skip": 0.0}
    # The ends have masses 0.1, at least, and 0.3.
    assert distance(chain("skip"), chain("conv"), masses=masses) == pytest.approx(3 + 2 * 0.2)
    assert distance(chain("conv"), chain("skip"), masses=masses) == pytest.approx(3 + 2 * 0.2)
    assert distance(chain("skip"), chain("skip"), masses=masses) == 0
    normalized = distance(chain("skip"), chain("conv"), masses=masses, normalized=True)
    assert normalized == pytest.approx(3.4 / (1.2 + 3.6))
    # One of the three units is matched with the pool, at a cost of one.
    assert distance(chain("pool"), chain("conv"), masses=masses) == pytest.approx(1 + 2 + 2 * 0.2)


def test_networks_without_operations() -> None:
    empty, identity = Architecture([INPUT, OUTPUT], []), chain()
    assert distance(empty, empty) == 0
    assert distance(identity, identity) == 0
    # Both ends stay unassigned, on either side.
    assert distance(empty, identity) == pytest.approx(4 * 0.1)
    assert distance(empty, identity, normalized=True) == pytest.approx(4 * 0.1 / 2.4)


def test_what_the_data_does_not_flow_through_does_not_count() -> None:
    dead_end = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (0, 2), (1, 3)])
    assert distance(dead_end, chain("a")) == 0


@given(
    first=architectures(max_nodes=4),
    second=architectures(max_nodes=4),
    structure=st.floats(0, 2),
    mismatch=st.dictionaries(
        st.sampled_from([("a", "b"), ("b", "c"), ("c", "a")]), st.floats(0, 3) | st.just(math.inf)
    ),
    masses=st.dictionaries(st.sampled_from("abc"), st.floats(0, 4)),
)
@settings(max_examples=60)
def test_the_distance_is_the_optimum_of_the_linear_program(
    first: Architecture,
    second: Architecture,
    structure: float,
    mismatch: dict[tuple[str, str], float],
    masses: dict[str, float],
) -> None:
    found = distance(first, second, structure=[structure], mismatch=mismatch, masses=masses)
    expected = by_linear_program(first, second, structure, mismatch, masses)
    assert found == pytest.approx(expected, abs=1e-6)


def test_masses_of_one_are_the_default() -> None:
    """One distance is found by assignment, the other by the network simplex."""
    graphs = [design.architecture for design in CellSpace(4, ["a", "b"], on="edges").enumerate()]
    graphs = graphs[:: len(graphs) // 25]
    plain = TransportMap(graphs, structure=(0.1, 0.8)).distances(graphs)
    weighed = TransportMap(graphs, structure=(0.1, 0.8), masses={"a": 1}).distances(graphs)
    np.testing.assert_allclose(plain, weighed, atol=1e-9)


def test_the_distance_is_a_metric_up_to_zeros() -> None:
    graphs = [design.architecture for design in CellSpace(4, ["a", "b"], on="nodes").enumerate()]
    for table in TransportMap(graphs, structure=(0.1, 0.8)).distances(graphs):
        np.testing.assert_allclose(table, table.T, atol=1e-12)
        np.testing.assert_allclose(table.diagonal(), 0, atol=1e-12)
        assert (table[:, None, :] <= table[:, :, None] + table[None, :, :] + 1e-9).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"structure": []}, "one or more weights"),
        ({"structure": [-1]}, "one or more weights"),
        ({"structure": [math.nan]}, "one or more weights"),
        ({"mismatch": {("a", "b"): -1}}, "a mismatch costs at least 0"),
        ({"mismatch": {("a", "b"): math.nan}}, "a mismatch costs at least 0"),
        ({"mismatch": {("a", "b"): 1, ("b", "a"): 2}}, "in both orders"),
        ({"mismatch": {("a", "a"): 1}}, "equal labels"),
        ({"mismatch": {"ab": 1}}, "pairs of labels"),
        ({"masses": {"a": -1}}, "a mass is finite"),
        ({"masses": {"a": math.inf}}, "a mass is finite"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distance(chain("a"), chain("b"), **options)


def test_only_masses_need_the_transport_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    graphs = [chain("a"), chain("b")]
    OptimalTransportKernel(ListDecoder(graphs), graphs)
    with pytest.raises(MissingExtraError, match="transport"):
        OptimalTransportKernel(ListDecoder(graphs), graphs, masses={"a": 2})
