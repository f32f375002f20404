"""The canonical order of labelled directed graphs."""

from __future__ import annotations

import itertools
import random
import time

import networkx as nx
import pytest

from graphbo.canonical import canonical_order

Edges = list[tuple[int, int, str]]


def canonical(labels: list[str], edges: Edges) -> tuple[list[str], Edges]:
    order = canonical_order(labels, edges)
    assert sorted(order) == list(range(len(labels)))
    position = {node: i for i, node in enumerate(order)}
    return [labels[node] for node in order], sorted(
        (position[u], position[v], label) for u, v, label in edges
    )


def shuffled(labels: list[str], edges: Edges, seed: int) -> tuple[list[str], Edges]:
    position = list(range(len(labels)))
    random.Random(seed).shuffle(position)
    new = [""] * len(labels)
    for old, place in enumerate(position):
        new[place] = labels[old]
    return new, [(position[u], position[v], label) for u, v, label in edges]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_all_small_graphs_have_as_many_forms_as_isomorphism_classes(n: int) -> None:
    """The numbers of unlabelled acyclic digraphs: OEIS A003087."""
    pairs = list(itertools.combinations(range(n), 2))
    forms = {
        tuple(canonical([""] * n, [(u, v, "") for u, v in edges])[1])
        for k in range(len(pairs) + 1)
        for edges in itertools.combinations(pairs, k)
    }
    assert len(forms) == {1: 1, 2: 2, 3: 6, 4: 31}[n]


@pytest.mark.parametrize(
    "graph",
    [
        nx.petersen_graph(),
        nx.cycle_graph(8),
        nx.complete_bipartite_graph(4, 4),
        nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(5)),
        nx.hypercube_graph(3),
    ],
    ids=["petersen", "cycle", "bipartite", "two cycles", "cube"],
)
def test_regular_graphs_which_colours_alone_cannot_order(graph: nx.Graph) -> None:
    graph = nx.convert_node_labels_to_integers(graph)
    labels = [""] * len(graph)
    edges = [(u, v, "") for a, b in graph.edges for u, v in ((a, b), (b, a))]
    form = canonical(labels, edges)
    for seed in range(20):
        assert canonical(*shuffled(labels, edges, seed)) == form


def test_regular_graphs_that_differ_have_different_forms() -> None:
    one = [(u, v, "") for a, b in nx.cycle_graph(8).edges for u, v in ((a, b), (b, a))]
    two = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(5))
    other = [(u, v, "") for a, b in two.edges for u, v in ((a, b), (b, a))]
    assert canonical([""] * 8, one) != canonical([""] * 8, other)


def test_many_equal_branches_take_no_exponential_time() -> None:
    """Twenty equal branches have 20! automorphisms; the search must not visit them one by one."""
    branches = 20
    labels = ["input", *["conv"] * (2 * branches), "output"]
    edges = []
    for i in range(branches):
        first = 1 + 2 * i
        edges += [(0, first, ""), (first, first + 1, ""), (first + 1, len(labels) - 1, "")]
    start = time.perf_counter()
    assert canonical(labels, edges) == canonical(*shuffled(labels, edges, 1))
    assert time.perf_counter() - start < 5


def test_edge_labels_count() -> None:
    triangle = [(0, 1, "a"), (0, 2, "b")]
    assert canonical(["", "", ""], triangle) == canonical(["", "", ""], [(0, 1, "b"), (0, 2, "a")])
    assert canonical(["", "", ""], triangle) != canonical(["", "", ""], [(0, 1, "a"), (0, 2, "a")])
