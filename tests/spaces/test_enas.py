"""The macro space of ENAS."""

from __future__ import annotations

import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import ENASMacroSpace, space_from_settings

SPACE = ENASMacroSpace(3, ["a", "b"])


def test_a_network_of_three_layers_by_hand() -> None:
    network = Architecture(
        [INPUT, "a", "b", "a", OUTPUT], [(0, 1), (1, 2), (2, 3), (3, 4), (0, 2), (1, 3)]
    )
    # The choices of a layer: its operation, then what it reads beside the layer before it.
    row = (0, 1, 1, 0, 0, 1)
    assert SPACE.decode(row) == network
    assert SPACE.encode(network) == row


def test_the_paper_has_as_many_networks() -> None:
    space = ENASMacroSpace()
    assert space.size == 6**12 * 2**66
    assert space.size == pytest.approx(1.6e29, rel=0.01)
    assert not space.enumerable


@pytest.mark.parametrize(("layers", "operations"), [(1, 3), (2, 2), (3, 2), (4, 1)])
def test_no_two_rows_are_one_network(layers: int, operations: int) -> None:
    space = ENASMacroSpace(layers, [f"operation {i}" for i in range(operations)])
    assert len(space.enumerate()) == space.size
    assert space.size == operations**layers * 2 ** (layers * (layers - 1) // 2)


def test_neighbours_change_an_operation_or_one_skip_connection() -> None:
    centre = SPACE.design((0, 0, 0, 0, 0, 0))
    neighbors = [neighbor.architecture for neighbor in SPACE.neighbors(centre)]
    assert len(neighbors) == 6
    assert sum(len(network.edges) == 5 for network in neighbors) == 3
    assert sum("b" in network.nodes for network in neighbors) == 3


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 1), (1, 2), (2, 4), (3, 4), (0, 3)], "is a chain with skip connections"),
        ([(0, 1), (1, 2), (2, 3), (3, 4), (2, 4)], "is a chain with skip connections"),
        ([(0, 1), (1, 2, "a"), (2, 3), (3, 4)], "whose edges have no labels"),
        ([(0, 1), (1, 2), (2, 4)], "has 3 layers; this one has 2"),
    ],
)
def test_other_graphs_do_not_belong(edges: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.encode(Architecture([INPUT, "a", "b", "a", OUTPUT], edges))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "at least 1 layer; got 0"),
        ({"operations": []}, "at least one"),
        ({"operations": ["a", "a"]}, "distinct"),
        ({"operations": ["input"]}, "'input' is reserved"),
    ],
)
def test_arguments_that_make_no_space_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ENASMacroSpace(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", [(), (0,) * 7, (2, 0, 0, 0, 0, 0), (0, 0, 2, 0, 0, 0), (-1,) * 6])
def test_other_rows_are_not_valid(row: tuple[int, ...]) -> None:
    assert not SPACE.is_valid(row)


def test_a_file_describes_such_a_space() -> None:
    space = space_from_settings({"type": "enas", "layers": 3, "operations": ["a", "b"]})
    assert repr(space) == repr(SPACE)
    with pytest.raises(InputError, match="layers must be a whole number; got True"):
        space_from_settings({"type": "enas", "layers": True})
