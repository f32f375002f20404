"""Random graphs: their counts and limits, and that a seed draws the same ones for ever."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.spaces.random_graphs import Pairs, barabasi_albert, erdos_renyi, watts_strogatz

SEEDS = st.integers(0, 10**6)


def edges_of(graph: nx.Graph) -> Pairs:
    return sorted((min(edge), max(edge)) for edge in graph.edges)


def degrees(pairs: Pairs) -> Counter[int]:
    return Counter(end for pair in pairs for end in pair)


def test_a_seed_draws_the_same_graphs_for_ever() -> None:
    # Old studies name graphs by their seeds: these lists must never change.
    assert erdos_renyi(5, 0.4, 7) == [(0, 1), (0, 2), (0, 4), (1, 3), (1, 4), (2, 4)]
    assert barabasi_albert(6, 2, 7) == [
        *((0, 2), (0, 3), (0, 4), (1, 2)),
        *((2, 3), (2, 5), (3, 4), (3, 5)),
    ]
    assert watts_strogatz(6, 2, 0.5, 7) == [(0, 2), (1, 2), (1, 3), (1, 4), (1, 5), (2, 3)]


@given(nodes=st.integers(1, 12), p=st.floats(0, 1), seed=SEEDS)
def test_erdos_and_renyi_are_those_of_networkx_and_nested(nodes: int, p: float, seed: int) -> None:
    pairs = erdos_renyi(nodes, p, seed)
    assert pairs == edges_of(nx.gnp_random_graph(nodes, p, seed=seed))
    assert set(pairs) >= set(erdos_renyi(nodes, p / 2, seed))


@given(nodes=st.integers(2, 12), m=st.integers(1, 11), seed=SEEDS)
def test_barabasi_and_albert_join_each_new_node_to_m_earlier_ones(
    nodes: int, m: int, seed: int
) -> None:
    m = min(m, nodes - 1)
    pairs = barabasi_albert(nodes, m, seed)
    assert pairs == sorted(set(pairs))
    assert Counter(v for _, v in pairs) == dict.fromkeys(range(m, nodes), m)
    assert all(u < v for u, v in pairs)


def test_nodes_are_chosen_in_proportion_to_their_degrees() -> None:
    # Node 2 has two edges, 0 and 1 have one each: half of the choices are of node 2.
    chosen = Counter(u for seed in range(2000) for u, v in barabasi_albert(3, 1, seed) if v == 2)
    assert chosen[0] / 2000 == pytest.approx(0.5, abs=0.05)
    third = Counter(
        (u, degrees(barabasi_albert(3, 1, seed))[u])
        for seed in range(4000)
        for u, v in barabasi_albert(4, 1, seed)
        if v == 3
    )
    of_two = sum(count for (_, degree), count in third.items() if degree == 2)
    assert of_two / 4000 == pytest.approx(0.5, abs=0.04)


@given(nodes=st.integers(3, 12), k=st.integers(1, 5), p=st.floats(0, 1), seed=SEEDS)
def test_watts_and_strogatz_keep_the_number_of_edges(
    nodes: int, k: int, p: float, seed: int
) -> None:
    k = min(2 * k, (nodes - 1) // 2 * 2)
    pairs = watts_strogatz(nodes, k, p, seed)
    assert len(set(pairs)) == len(pairs) == nodes * k // 2
    assert all(0 <= u < v < nodes for u, v in pairs)
    assert all(degrees(pairs)[node] >= k // 2 for node in range(nodes))
    assert watts_strogatz(nodes, k, 0, seed) == edges_of(nx.watts_strogatz_graph(nodes, k, 0))


def test_edges_of_the_ring_move_with_their_probability_and_anywhere() -> None:
    ring = set(watts_strogatz(20, 2, 0, 0))
    moved = [set(watts_strogatz(20, 2, 0.3, seed)) - ring for seed in range(200)]
    assert sum(map(len, moved)) / (200 * 20) == pytest.approx(0.3, abs=0.03)
    lengths = Counter(min(v - u, 20 - v + u) for pairs in moved for u, v in pairs)
    # All but the neighbours in the ring: two nodes at each distance and one opposite.
    share = sum(map(len, moved)) / 17
    for length in range(2, 10):
        assert lengths[length] == pytest.approx(2 * share, rel=0.3)
