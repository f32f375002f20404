"""The space of randomly wired networks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import RandomlyWiredSpace, space_from_settings
from graphbo.spaces.randomly_wired import NODE, wired

SMALL = RandomlyWiredSpace([4, 5], [0.0, 0.5, 1.0], [1, 2], [2], [0.0, 0.5], seeds=4)


def drawn(generator: str, **parameters: object) -> Architecture:
    configuration = {"generator": generator, "nodes": 4, "seed": 0, **parameters}
    return SMALL.from_configuration(configuration).architecture


def test_edges_lead_from_the_smaller_index_and_ends_are_joined_to_input_and_output() -> None:
    path = wired(4, [(0, 2), (0, 3), (2, 3)])
    expected = Architecture(
        [INPUT, *[NODE] * 4, OUTPUT],
        # The second node has no edge: a branch of its own.
        [(0, 1), (1, 3), (1, 4), (3, 4), (4, 5), (0, 2), (2, 5)],
    )
    assert path == expected
    assert path.pruned() == path


def test_limits_of_the_parameters_give_known_graphs() -> None:
    parallel = Architecture(
        [INPUT, *[NODE] * 4, OUTPUT], [(0, i) for i in range(1, 5)] + [(i, 5) for i in range(1, 5)]
    )
    complete = Architecture(
        [INPUT, *[NODE] * 4, OUTPUT],
        [(0, 1), (4, 5), *((i, j) for i in range(1, 5) for j in range(i + 1, 5))],
    )
    ring = Architecture(
        [INPUT, *[NODE] * 4, OUTPUT], [(0, 1), (1, 2), (2, 3), (3, 4), (1, 4), (4, 5)]
    )
    assert drawn("erdos-renyi", er_p=0) == parallel
    assert drawn("erdos-renyi", er_p=1) == complete
    assert drawn("watts-strogatz", ws_k=2, ws_p=0) == ring


def test_the_first_row_stands_for_an_architecture() -> None:
    rows = list(SMALL._rows())
    assert len(rows) == 2 * (3 + 2 + 2) * 4
    by_architecture: dict[Architecture, list[Any]] = {}
    for row in rows:
        by_architecture.setdefault(SMALL.decode(row), []).append(row)
    assert SMALL.size == len(by_architecture) < len(rows)
    for architecture, same in by_architecture.items():
        assert SMALL.encode(architecture) == min(same)
    assert [design.row for design in SMALL.enumerate()] == sorted(
        map(min, by_architecture.values())
    )


def test_neighbours_differ_in_the_generator_a_parameter_the_nodes_or_the_seed() -> None:
    design = SMALL.design((0, 1, 1, -1, -1, -1, 2))
    for neighbor in SMALL.neighbors(design):
        changed = [
            i for i, (a, b) in enumerate(zip(design.row, neighbor.row, strict=True)) if a != b
        ]
        assert changed in ([1], [2], [6]) or changed[0] == 0


def test_a_pickled_space_leaves_the_graphs_behind_that_it_can_draw_again() -> None:
    SMALL.enumerate()
    copy = pickle.loads(pickle.dumps(SMALL))
    assert not {"_first", "_all_designs"} & set(vars(copy))
    assert copy.enumerate() == SMALL.enumerate()


def test_an_empty_grid_leaves_a_generator_out() -> None:
    space = RandomlyWiredSpace([4], er_p=[], ws_k=[])
    assert [decision.name for decision in space.decisions] == ["generator", "nodes", "ba_m", "seed"]
    design = space.sample(np.random.default_rng(0))
    assert space.to_configuration(design)["generator"] == "barabasi-albert"


def test_settings_of_a_file_make_the_space() -> None:
    settings = {"type": "randomly-wired", "nodes": [5, 6], "er_p": [0.5, 1], "seeds": 3}
    space = space_from_settings(settings)
    assert repr(space) == repr(RandomlyWiredSpace([5, 6], [0.5, 1], seeds=3))
    with pytest.raises(InputError, match="nodes must be a list of whole numbers; got 4"):
        space_from_settings({"type": "randomly-wired", "nodes": 4})
    with pytest.raises(InputError, match="er_p must be a list of numbers; got"):
        space_from_settings({"type": "randomly-wired", "er_p": ["0.5"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": []}, "at least 1 node"),
        ({"nodes": [8, 6]}, "nodes must be distinct and ascending"),
        ({"er_p": [0.5, 1.5]}, "er_p must be probabilities"),
        ({"ws_p": [-0.1]}, "ws_p must be probabilities"),
        ({"ba_m": [6]}, "ba_m must be at least 1 and less than all nodes"),
        ({"ws_k": [3]}, "ws_k must be even"),
        ({"ws_k": [6]}, "less than all nodes"),
        ({"er_p": [], "ba_m": [], "ws_p": []}, "there is no generator"),
        ({"seeds": 0}, "at least 1 seed"),
        ({"nodes": [100], "seeds": 72}, "with 100 nodes .* at most 1,000 rows; got 1,008"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RandomlyWiredSpace(**arguments)


def test_what_is_no_row_or_graph_of_the_space_is_refused() -> None:
    with pytest.raises(ValueError, match="is no row"):
        SMALL.decode((0, 1, 1, 0, -1, -1, 2))  # of Erdős and Rényi, yet with m
    with pytest.raises(ValueError, match="no row of the space randomly-wired gives"):
        SMALL.encode(wired(3, [(0, 1)]))
