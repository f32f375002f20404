"""What a table records of how it was made."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphbo.errors import InputError
from graphbo.spaces import NASBench201Space
from graphbo.tabulate import Protocol
from graphbo.tabulate.protocols import PROTOCOLS, get_protocol
from graphbo.training.recipe import Recipe

PROTOCOL = Protocol(
    "example",
    dataset={"name": "digits", "copies": 2},
    skeleton={"channels": 4, "cells": 1},
    recipe=Recipe(epochs=3),
    seeds=(0, 1),
)


def test_it_is_read_back_from_its_record(protocol: Protocol) -> None:
    for recorded in (PROTOCOL, protocol):
        again = Protocol.from_json(recorded.to_json())
        assert again == recorded
        assert again.digest == recorded.digest


def test_its_digest_is_that_of_chunks_on_disk() -> None:
    """A change of it would leave the chunks of every unfinished build unused."""
    assert PROTOCOL.digest == "8dafa658"


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"name": "digits", "copies": 3}},
        {"skeleton": {"channels": 8, "cells": 1}},
        {"recipe": Recipe(epochs=4)},
        {"seeds": (0, 2)},
        {"space": {"type": "cell", "nodes": 3, "operations": ["skip_connect"], "on": "edges"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_protocol_has_another_digest(change: dict[str, object]) -> None:
    assert replace(PROTOCOL, **change).digest != PROTOCOL.digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name": "x"}', PROTOCOL.to_json().replace("momentum", "moment")]
)
def test_what_is_no_protocol_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no protocol of a table"):
        Protocol.from_json(text)


def test_the_weights_follow_the_seed_alone() -> None:
    pytest.importorskip("sklearn")
    data = PROTOCOL.data()
    cell = NASBench201Space().decode((3, 0, 1, 2, 0, 3))
    before = torch.get_rng_state()
    first, again, other = (
        torch.cat([p.flatten() for p in PROTOCOL.network(cell, seed, data).parameters()])
        for seed in (4, 4, 5)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_protocols_of_the_package_are_named_as_their_tables() -> None:
    for name, protocol in PROTOCOLS.items():
        assert get_protocol(name) is protocol
        assert protocol.name == name
        assert len(protocol.seeds) >= (1 if protocol.hyperparameters else 2)
    with pytest.raises(InputError, match=r"no protocol 'digit'.*'digits-table'"):
        get_protocol("digit")
