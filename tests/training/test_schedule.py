from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphbo.networks import NASBench201Network
from graphbo.spaces import NASBench201Space
from graphbo.training.graph import trace
from graphbo.training.schedule import schedule

SHAPE = (2, 5, 7)


@settings(max_examples=25)
@given(st.data())
def test_every_operation_runs_once_after_what_it_reads(
    networks: st.SearchStrategy[nn.Module], data: st.DataObject
) -> None:
    members = data.draw(st.lists(networks, min_size=1, max_size=5))
    traced = [trace(network, SHAPE) for network in members]
    groups = schedule(traced)

    placed: dict[tuple[int, int], int] = {}  # where each result lies -> the operation
    done: set[tuple[int, int]] = set()
    for g, group in enumerate(groups):
        assert len(group.members) == len(group.sources) == len(group.modules)
        for slot, (member, modules, sources) in enumerate(
            zip(group.members, group.modules, group.sources, strict=True)
        ):
            assert all(source in placed and source[0] < g for source in sources)
            # The operations of the member that it may be.
            same = [
                i
                for i, operation in enumerate(traced[member])
                if operation.kind == group.kind
                and operation.settings == group.settings
                and operation.shape == group.shape
                and operation.modules == modules
                and [placed[source] for source in sources] == list(operation.inputs)
                and not any(
                    p == i and groups[w].members[s] == member for (w, s), p in placed.items()
                )
            ]
            assert same
            assert all(groups[w].members[s] == member for w, s in sources)
            placed[g, slot] = same[0]
            done.add((member, same[0]))

    run = Counter(groups[w].members[s] for w, s in placed)
    assert run == {n: len(operations) for n, operations in enumerate(traced)}
    everyone = tuple(range(len(members)))
    assert (groups[0].kind, groups[0].members) == ("images", everyone)
    assert (groups[-1].kind, groups[-1].members) == ("output", everyone)


def test_equal_networks_run_as_one(edge_network: Callable[..., nn.Module]) -> None:
    row = (3, 2, 1, 3, 2, 4)
    traced = [trace(edge_network(row, seed=seed), SHAPE) for seed in range(3)]
    groups = schedule(traced)
    assert sum(len(group.members) for group in groups) == 3 * len(traced[0])
    assert all(len(group.members) % 3 == 0 for group in groups)
    assert len(groups) <= len(traced[0])


def test_different_networks_share_most_groups() -> None:
    rng = np.random.default_rng(0)
    cells = [NASBench201Space().sample(rng).architecture for _ in range(16)]
    traced = [trace(NASBench201Network(cell, 4, 1, 3, 2), SHAPE) for cell in cells]
    groups = schedule(traced)
    kinds = {(group.kind, group.settings, group.inputs) for group in groups}
    assert len(groups) <= 2 * len(kinds)
    assert len(groups) < sum(map(len, traced)) / 8
