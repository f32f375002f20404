"""Q-learning over chains: one update by hand, the schedule, and where it applies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from graphbo.architecture import OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.optimizers import QLearning, RandomSearch
from graphbo.optimizers.q_learning import epsilon
from graphbo.spaces import CellSpace, ChainSpace, Design, PoolSpace
from graphbo.testing import check_optimizer
from graphbo.trial import Trial

SPACE = ChainSpace(3, ["conv3x3"], ["maxpool2"], [8])


def design(*layers: str) -> Design:
    nodes = ["input", *layers, "output"]
    edges = [(i, i + 1) for i in range(len(layers) + 1)]
    return SPACE.design_of(Architecture(nodes, edges))


def test_one_update_by_hand() -> None:
    values = QLearning(SPACE, learning_rate=0.2, discount=0.9).values
    values.update(["conv3x3-8", "maxpool2"], reward=1.0)
    # From the end: 0.5 + 0.2 (1 - 0.5); then towards 0.9 times the best of the next state.
    assert values((2, "maxpool2"), OUTPUT) == pytest.approx(0.6)
    assert values((1, "conv3x3-8"), "maxpool2") == pytest.approx(0.5 + 0.2 * (0.9 * 0.6 - 0.5))
    assert values((0, "input"), "conv3x3-8") == pytest.approx(0.5 + 0.2 * (0.9 * 0.508 - 0.5))
    assert values((0, "input"), "maxpool2") == 0.5, "never taken"
    assert values((1, "conv3x3-8"), OUTPUT) == 0.5


def test_a_bad_end_does_not_spoil_what_comes_before() -> None:
    """The value of the next state is that of its best action, which is untouched."""
    values = QLearning(SPACE, learning_rate=0.2).values
    values.update(["conv3x3-8", "maxpool2"], reward=0.0)
    assert values((2, "maxpool2"), OUTPUT) == pytest.approx(0.4)
    assert values((1, "conv3x3-8"), "maxpool2") == 0.5


def test_there_is_one_action_at_the_largest_depth() -> None:
    values = QLearning(SPACE, learning_rate=0.5).values
    values.update(["maxpool2"] * 3, reward=0.0)
    assert values((3, "maxpool2"), OUTPUT) == 0.25
    assert values((2, "maxpool2"), "maxpool2") == 0.375
    assert values((1, "maxpool2"), "maxpool2") == 0.5


def test_the_reward_is_the_share_of_worse_results() -> None:
    """With one update for each result, a learning rate of 1, and one chain in memory at a time."""
    optimizer = QLearning(SPACE, learning_rate=1.0, replay=1)
    optimizer.tell(Trial(design("maxpool2"), value=80.0))
    optimizer.ask()
    assert optimizer.values((1, "maxpool2"), OUTPUT) == 0.5
    many = QLearning(SPACE, learning_rate=1.0)
    many.tell([Trial(design("maxpool2"), value=80.0), Trial(design("conv3x3-8"), value=7.0)])
    many.tell(Trial(design("conv3x3-8", "conv3x3-8"), error="failed"))
    many.ask()
    assert many.values((1, "conv3x3-8"), OUTPUT) == 0.75
    assert many.values((1, "maxpool2"), OUTPUT) == 0.25
    assert many.values((2, "conv3x3-8"), OUTPUT) == 0.5, "a failure teaches nothing"


def test_the_schedule_is_that_of_the_paper() -> None:
    """1,500 of 2,700 networks at 1, then 100 each at 0.9 to 0.7 and 150 each at 0.6 to 0.1."""
    counts = Counter(epsilon(i, 2700) for i in range(2700))
    early = {0.9: 100, 0.8: 100, 0.7: 100}
    assert counts == {1.0: 1500, **early, **{i / 10: 150 for i in range(1, 7)}}
    assert epsilon(5000, 2700) == 0.1
    assert [epsilon(i, 27) for i in (0, 14, 15, 16, 26, 27)] == [1.0, 1.0, 0.9, 0.8, 0.1, 0.1]


def test_greedy_actions_follow_the_values() -> None:
    optimizer = QLearning(SPACE)
    for _ in range(5):
        optimizer.values.update(["maxpool2", "conv3x3-8"], reward=1.0)
    rng = np.random.default_rng(0)
    assert {optimizer._walk(0.0, rng) for _ in range(20)} == {("maxpool2", "conv3x3-8")}
    random = Counter(optimizer._walk(1.0, rng)[0] for _ in range(300))
    assert random["maxpool2"] / 300 == pytest.approx(0.5, abs=0.1)


def test_it_comes_to_draw_better_chains_than_at_random() -> None:
    space = ChainSpace(6)

    def late(kind: type[QLearning] | type[RandomSearch], seed: int) -> float:
        """Return the mean over the last 20 of 100 chains."""
        optimizer = kind(space, seed=seed)
        if isinstance(optimizer, QLearning):
            optimizer.schedule = 80
        found = []
        for _ in range(100):
            (chain,) = optimizer.ask()
            layers = chain.architecture.nodes
            found.append(sum(1 - 2 * layer.startswith("conv3x3") for layer in layers))
            optimizer.tell(Trial(chain, value=float(found[-1])))
        return float(np.mean(found[80:]))

    ours, theirs = (np.mean([late(k, s) for s in range(2)]) for k in (QLearning, RandomSearch))
    assert ours < theirs - 1


def test_a_part_of_a_space_of_chains_is_searched_along_its_members() -> None:
    space = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16])
    members = [member.architecture for member in space.enumerate()[::2]]
    pool = PoolSpace(members, parent=space)
    check_optimizer(QLearning, [pool])
    optimizer = QLearning(pool)
    assert {optimizer._walk(1.0, np.random.default_rng(i)) for i in range(300)} == {
        member.nodes[1:-1] for member in members
    }


def test_what_is_no_chain_is_refused() -> None:
    with pytest.raises(InputError, match="the space cell are no chains, or too many to list"):
        QLearning(CellSpace(3, ["a"], on="edges"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": 0}, "at least 1; got 0 and 100"),
        ({"learning_rate": 0.0}, "above 0 and up to 1"),
        ({"discount": 1.1}, "from 0 to 1; got 0.01 and 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        QLearning(SPACE, **settings)  # type: ignore[arg-type]
