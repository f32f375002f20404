"""What tells spaces apart."""

from __future__ import annotations

import json

from graphbo.spaces import CellSpace, ChainSpace, NASBench101Space, NASBench201Space, PoolSpace
from graphbo.spaces.description import described, whole


def test_a_description_is_json_and_names_what_matters() -> None:
    record = described(CellSpace(3, ["a", "b"], on="edges"))
    assert json.loads(json.dumps(record)) == record
    assert record["name"] == "cell"
    assert record["operations"] == ["a", "b"]
    assert record["made"] == "CellSpace(3, ['a', 'b'], on='edges')"


def test_equal_spaces_have_one_digest_and_others_another() -> None:
    members = [design.architecture for design in NASBench101Space(4).enumerate()]
    spaces = [
        CellSpace(3, ["a", "b"], on="edges"),
        CellSpace(3, ["a", "c"], on="edges"),
        CellSpace(4, ["a", "b"], on="edges"),
        CellSpace(3, ["a", "b"], on="nodes"),
        NASBench201Space(),
        NASBench101Space(),
        NASBench101Space(5),
        ChainSpace(2),
        PoolSpace(members),
        PoolSpace(members[1:]),
    ]
    digests = [described(space)["digest"] for space in spaces]
    assert len(set(digests)) == len(spaces)
    assert described(CellSpace(3, ["a", "b"], on="edges"))["digest"] == digests[0]
    assert described(PoolSpace(members[::-1]))["digest"] == digests[8]


def test_a_pool_counts_as_the_space_it_is_a_part_of() -> None:
    space = NASBench101Space(4)
    pool = PoolSpace([design.architecture for design in space.enumerate()[::2]], parent=space)
    assert whole(pool) is space
    assert described(pool) == described(space)
