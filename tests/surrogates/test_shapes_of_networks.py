"""What the default kernels see in spaces whose decisions only draw or number a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import kendalltau

from graphbo.architecture import Architecture
from graphbo.optimizers import GraphBO
from graphbo.spaces import RandomlyWiredSpace, RegNetSpace, SearchSpace
from graphbo.surrogates import GraphSurrogate
from graphbo.trial import Trial

WIRED = RandomlyWiredSpace([6, 8], seeds=8)
REGNET = RegNetSpace(group_width=[4])


def wiring(architecture: Architecture) -> float:
    """Return how far a network is from twelve edges and one first node."""
    first = sum(u == architecture.input for u, _, _ in architecture.edges)
    return abs(len(architecture.edges) - 12) + 2.0 * abs(first - 1)


def shape(architecture: Architecture) -> float:
    """Return how far a chain is from seven blocks and a width of 64 in the last stage."""
    width, _ = RegNetSpace.stages_of(architecture)[-1]
    return abs(len(architecture) - 9) + 3 * abs(math.log2(width / 64))


PLANTED = pytest.mark.parametrize(
    ("space", "value"), [(WIRED, wiring), (REGNET, shape)], ids=["wired", "regnet"]
)


@PLANTED
def test_what_is_not_trained_yet_is_ranked(
    space: SearchSpace, value: Callable[[Architecture], float]
) -> None:
    rng = np.random.default_rng(0)
    designs = list(dict.fromkeys(space.sample(rng) for _ in range(110)))
    values = [value(design.architecture) for design in designs]
    surrogate = GraphSurrogate(space).fit(designs[:40], values[:40])
    mean, _ = surrogate.predict(designs[40:])
    assert kendalltau(mean, values[40:]).statistic > 0.5


@PLANTED
def test_a_search_proposes_new_designs_that_are_better_than_random_ones(
    space: SearchSpace, value: Callable[[Architecture], float]
) -> None:
    rng = np.random.default_rng(1)
    average = np.mean([value(space.sample(rng).architecture) for _ in range(300)])
    optimizer = GraphBO(space, seed=0, initial=6)
    trials: list[Trial] = []
    while len(trials) < 12:
        for design in optimizer.ask(3):
            trials.append(Trial(design, value=value(design.architecture)))
            optimizer.tell(trials[-1:])
    assert len({trial.design for trial in trials}) == 12
    assert np.mean([trial.value for trial in trials[6:]]) < average
