"""Designs that a user lists are those of the space, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.spaces import (
    CellSpace,
    Design,
    JointPoolSpace,
    JointSpace,
    NASBench201Space,
    PoolSpace,
)
from graphbo.spaces.written import read_entries, written_designs
from graphbo.testing.optimizers import example_hyperparameters

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")
CELLS = [design.architecture for design in SPACE.enumerate()]
JOINT = JointSpace(SPACE, example_hyperparameters(), "joint")


def test_every_way_of_writing_an_architecture_means_the_same() -> None:
    cell, design = CELLS[5], SPACE.enumerate()[5]
    configuration = dict(SPACE.to_configuration(design))
    ways: list[Any] = [
        cell, design, cell.to_string(), json.loads(cell.to_string()), configuration,
    ]  # fmt: skip
    for way in ways:
        (found,) = written_designs(SPACE, [way], "first")
        assert found == design
        assert SPACE.decode(found.row) == cell
        assert found.origin == "first"
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    (parsed,) = written_designs(NASBench201Space(), [text], "first")
    assert parsed.architecture == NASBench201Space.parse(text).pruned()


def test_the_order_stays() -> None:
    picked = [CELLS[i] for i in (7, 2, 9)]
    assert [d.architecture for d in written_designs(SPACE, picked, "first")] == picked
    assert written_designs(SPACE, [], "first") == []


def test_hyperparameters_are_given_or_the_default_ones() -> None:
    drawn = JOINT.sample(np.random.default_rng(0))
    configuration = dict(JOINT.to_configuration(drawn))
    alone, both, same = written_designs(
        JOINT, [drawn.architecture, configuration, JOINT.design((1,) * 6)], "first"
    )
    assert alone.hyperparameters == JOINT.hyperparameters.default
    assert both == drawn
    assert same == JOINT.design((1,) * 6)
    with pytest.raises(InputError, match=r"entry 1 of the first designs.*rate must be a value"):
        written_designs(JOINT, [configuration | {"rate": 9.0}], "first")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([CELLS[0], "no cell"], "entry 2 of the first designs, 'no cell', is none of the space"),
        ([{"edge_0_1": "pool"}], "entry 1 of the first designs.*edge_0_1 must be one of"),
        ([{"nodes": ["input", "pool", "output"], "edges": [[0, 1], [1, 2]]}], "none of the space"),
        ([CELLS[3], CELLS[4], CELLS[3]], "entry 3 .* is the same design as entry 1; leave one"),
        ([3], "entry 1 of the first designs, 3, is none of the space test: it is neither"),
        (CELLS[0].to_string(), "the first designs are a list; got"),
        ([Design(CELLS[0], (), hyperparameters={"rate": 1.0})], "has no hyperparameters"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(entries: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        written_designs(SPACE, entries, "first")


def test_pools_take_their_members_alone() -> None:
    pool = PoolSpace(CELLS[:5])
    assert written_designs(pool, [CELLS[4]], "first")[0].row == (4,)
    with pytest.raises(InputError, match="is not in the pool"):
        written_designs(pool, [CELLS[8]], "first")
    with pytest.raises(InputError, match=r"entry 1 .*finite pool"):
        written_designs(pool, [{"edge_0_1": "conv"}], "first")
    drawn = [JOINT.sample(np.random.default_rng(i)) for i in range(4)]
    joint = JointPoolSpace(drawn[:3], JOINT)
    assert written_designs(joint, [drawn[2]], "first") == [drawn[2]]
    other = Design(drawn[0].architecture, (), hyperparameters=drawn[3].hyperparameters)
    with pytest.raises(InputError, match="not in the pool"):
        written_designs(joint, [other], "first")


def test_a_file_holds_a_list(tmp_path: Path) -> None:
    path = tmp_path / "first.json"
    path.write_text(json.dumps([CELLS[1].to_string(), json.loads(CELLS[2].to_string())]))
    found = written_designs(SPACE, read_entries(path), "first")
    assert [design.architecture for design in found] == CELLS[1:3]
    for content in ("[]", '{"nodes": []}', "3"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"must hold a JSON list .* it holds"):
            read_entries(path)
    for content in ("[1,", "[" * 100_000):
        path.write_text(content)
        with pytest.raises(InputError, match="cannot be read as a JSON list"):
            read_entries(path)
    with pytest.raises(InputError, match="cannot be read as a JSON list"):
        read_entries(tmp_path / "none.json")
