"""Which cells are the same network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.networks import NASBench201Network
from graphbo.networks.flops import flops, parameters
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.networks.operations import operation
from graphbo.spaces import CellSpace, NASBench201Space
from graphbo.spaces.nasbench201 import OPERATIONS
from graphbo.tabulate.equivalence import contracted, networks

SPACE = NASBench201Space()
CELLS = st.tuples(*[st.integers(0, len(OPERATIONS))] * 6).map(SPACE.decode)


def cell(*edges: tuple[int, int, str]) -> Architecture:
    """A cell of as many nodes as the edges name."""
    last = max(v for _, v, _ in edges)
    return Architecture([INPUT, *[""] * (last - 1), OUTPUT], edges)


def test_a_skip_before_or_after_an_operation_is_not_there() -> None:
    alone = contracted(cell((0, 1, "nor_conv_3x3")))
    assert contracted(cell((0, 1, "skip_connect"), (1, 2, "nor_conv_3x3"))) == alone
    assert contracted(cell((0, 1, "nor_conv_3x3"), (1, 2, "skip_connect"))) == alone
    assert alone.nodes == (INPUT, "nor_conv_3x3", OUTPUT)


def test_sums_of_sums_are_one_sum() -> None:
    nested = cell((0, 1, "nor_conv_1x1"), (0, 1 + 1, "avg_pool_3x3"), (1, 2, "skip_connect"))
    flat = contracted(nested)
    assert sorted(flat.nodes) == sorted([INPUT, OUTPUT, "nor_conv_1x1", "avg_pool_3x3"])


def test_a_residual_connection_stays() -> None:
    residual = contracted(cell((0, 1, "skip_connect")))
    assert residual.nodes == (INPUT, "skip_connect", OUTPUT)
    beside = contracted(
        cell((0, 1, "nor_conv_3x3"), (0, 2, "skip_connect"), (1, 2, "avg_pool_3x3"))
    )
    assert "skip_connect" in beside.nodes


def test_a_shared_operation_is_not_two_of_its_kind() -> None:
    shared = cell(
        (0, 1, "nor_conv_3x3"), (1, 2, "nor_conv_1x1"), (1, 3, "avg_pool_3x3"),
        (2, 3, "skip_connect"),
    )  # fmt: skip
    separate = cell(
        (0, 1, "nor_conv_3x3"), (0, 2, "nor_conv_3x3"), (1, 3, "nor_conv_1x1"),
        (2, 3, "avg_pool_3x3"),
    )  # fmt: skip
    assert contracted(shared) != contracted(separate)


def test_the_empty_cell_is_a_network() -> None:
    empty = SPACE.decode((0,) * 6)
    assert contracted(empty).is_empty


def kinds() -> dict[str, nn.Module]:
    """An operation of each kind, whose weights all edges of the kind share."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = {label: operation(label, 3, 3).double() for label in OPERATIONS}
        for module in modules.values():
            module(torch.randn(8, 3, 5, 5, dtype=torch.float64))  # statistics of batch norm
    return {label: module.eval() for label, module in modules.items()}


KINDS = kinds()


def value_of_cell(cell: Architecture, x: Tensor) -> Tensor:
    network = EdgeCell(cell, 3)
    for i, (_, _, label) in enumerate(cell.edges):
        network.operations[i] = KINDS[label]
    return network(x)


def value_of_graph(graph: Architecture, x: Tensor) -> Tensor:
    """Evaluate a network with operations on its nodes."""
    values: list[Tensor] = []
    for node, label in enumerate(graph.nodes):
        total = torch.zeros_like(x) if node != graph.input else x
        for u, v, _ in graph.edges:
            if v == node:
                total = total + values[u]
        values.append(KINDS[label](total) if label in KINDS else total)
    return values[graph.output]


@settings(max_examples=60)
@given(CELLS)
def test_the_network_computes_what_the_cell_does(cell: Architecture) -> None:
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(value_of_graph(contracted(cell), x), value_of_cell(cell, x))


@settings(max_examples=60)
@given(CELLS)
def test_nothing_is_left_to_contract(cell: Architecture) -> None:
    graph = contracted(cell)
    for node in [i for i, label in enumerate(graph.nodes) if label == "skip_connect"]:
        (source,) = [u for u, v, _ in graph.edges if v == node]
        (target,) = [v for u, v, _ in graph.edges if u == node]
        readers = [v for u, v, _ in graph.edges if u == source]
        terms = [u for u, v, _ in graph.edges if v == target]
        assert len(readers) > 1 or source == graph.input
        assert len(terms) > 1 or target == graph.output


@settings(max_examples=60)
@given(CELLS, st.data())
def test_a_further_skip_on_an_edge_changes_nothing(cell: Architecture, data: st.DataObject) -> None:
    if cell.is_empty:
        return
    u, v, label = edge = data.draw(st.sampled_from(cell.edges))
    labels = data.draw(st.permutations([label, "skip_connect"]))
    new = len(cell)
    edges = [other for other in cell.edges if other != edge]
    edges += [(u, new, labels[0]), (new, v, labels[1])]
    longer = Architecture([*cell.nodes, ""], edges)
    assert contracted(longer) == contracted(cell)


def test_cells_of_a_network_cost_the_same() -> None:
    space = CellSpace(3, OPERATIONS, on="edges")
    cells = [design.architecture for design in space.enumerate()]
    groups = networks(cells)
    assert sorted(i for group in groups.values() for i in group) == list(range(len(cells)))
    assert any(len(group) > 1 for group in groups.values())
    for group in groups.values():
        built = [NASBench201Network(cells[i], channels=2, cells=1, stages=1) for i in group]
        assert len({(parameters(n), flops(n, (3, 6, 6))) for n in built}) == 1


@pytest.mark.slow
def test_the_cells_of_nasbench201_are_5425_networks() -> None:
    cells = [design.architecture for design in SPACE.enumerate()]
    assert (len(cells), len(networks(cells))) == (8_765, 5_425)
