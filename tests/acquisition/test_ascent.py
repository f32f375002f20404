"""Gradient steps of the acquisition function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ConfigSpace import ConfigurationSpace

from graphbo.acquisition.ascent import ascended, with_ascents
from graphbo.acquisition.expected_improvement import differentiable_score, score
from graphbo.spaces import CellSpace, Design, HyperparameterSpace, JointSpace
from graphbo.surrogates import GraphSurrogate
from graphbo.testing.optimizers import example_hyperparameters

CELLS = CellSpace(3, ["a", "b"], on="edges")


def fitted(space: JointSpace, n: int = 12) -> tuple[GraphSurrogate, list[Design]]:
    rng = np.random.default_rng(0)
    designs = list(dict.fromkeys(space.sample(rng) for _ in range(n)))
    values = [float(sum(v for v in d.hyperparameters.values() if v is not str(v))) for d in designs]
    return GraphSurrogate(space).fit(designs, values), designs


def scores(surrogate: GraphSurrogate, designs: list[Design]) -> np.ndarray:
    result: np.ndarray = score(surrogate.models, surrogate.rows(designs)).numpy()
    return result


def test_it_climbs_and_leaves_all_but_numbers_alone() -> None:
    space = JointSpace(CELLS, example_hyperparameters())
    surrogate, _ = fitted(space)
    rng = np.random.default_rng(1)
    pool = [space.sample(rng) for _ in range(40)]
    before = scores(surrogate, pool)
    reached = ascended(space, pool, before, surrogate.rows, surrogate.models)
    starts = [pool[i] for i in np.argsort(-before, kind="stable")[:5]]
    assert len(reached) == 5
    after = scores(surrogate, reached)
    # Whole numbers are rounded at the end, which may cost a little.
    assert (after >= np.sort(before)[::-1][:5] - 0.1).all()
    assert after.max() > before.max()
    for start, end in zip(starts, reached, strict=True):
        assert end.architecture == start.architecture
        assert end.hyperparameters.keys() == start.hyperparameters.keys()
        for name in ("optimizer", "width", "kind"):
            assert end.hyperparameters[name] == start.hyperparameters[name]
        assert end.origin == "gradient"


def test_the_gradient_is_that_of_the_score() -> None:
    space = HyperparameterSpace(ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0)}))
    surrogate, _ = fitted(space, 6)
    at = torch.tensor([[0.3, 0.6]], dtype=torch.float64, requires_grad=True)
    best = [model.train_targets.min() for model in surrogate.models]
    value = differentiable_score(surrogate.models, at, best)
    torch.testing.assert_close(value.detach(), score(surrogate.models, at.detach()))
    (gradient,) = torch.autograd.grad(value.sum(), at)
    step = 1e-5
    for j in range(2):
        moved = at.detach().repeat(2, 1)
        moved[0, j] += step
        moved[1, j] -= step
        up, down = score(surrogate.models, moved)
        torch.testing.assert_close(gradient[0, j], (up - down) / (2 * step), rtol=1e-3, atol=1e-4)


def test_what_is_pending_is_kept_away_from() -> None:
    space = HyperparameterSpace(ConfigurationSpace({"x": (0.0, 1.0)}))
    designs = [space.from_configuration({"x": x}) for x in (0.0, 0.3, 0.7, 1.0)]
    surrogate = GraphSurrogate(space).fit(designs, [1.0, 0.2, 0.0, 1.0])
    pool = [space.from_configuration({"x": x / 20}) for x in range(21)]
    found = []
    for pending in (None, surrogate.rows([space.from_configuration({"x": 0.55})])):
        plain = scores(surrogate, pool)
        reached = ascended(space, pool, plain, surrogate.rows, surrogate.models, pending)
        found.append(reached[0].hyperparameters["x"])
    alone, away = found
    assert alone != away
    assert abs(float(away) - 0.55) > abs(float(alone) - 0.55)


def test_without_numbers_there_is_nothing_to_climb() -> None:
    space = JointSpace(CELLS, ConfigurationSpace({"optimizer": ["sgd", "adam"]}))
    rng = np.random.default_rng(0)
    designs = [space.sample(rng) for _ in range(8)]
    surrogate = GraphSurrogate(space).fit(designs, list(map(float, range(8))))
    found = ascended(space, designs, np.zeros(8), surrogate.rows, surrogate.models)
    assert found == []
    assert ascended(CELLS, list(CELLS.enumerate()), np.zeros(9), surrogate.rows, []) == []


def test_a_pool_is_joined_by_what_is_reached_but_for_what_is_excluded() -> None:
    space = JointSpace(CELLS, example_hyperparameters())
    surrogate, _ = fitted(space)
    rng = np.random.default_rng(1)
    pool = [space.sample(rng) for _ in range(20)]

    def scorer(designs: Sequence[Design]) -> np.ndarray:
        return scores(surrogate, list(designs))

    reached = ascended(space, pool, scorer(pool), surrogate.rows, surrogate.models)
    both = with_ascents(space, pool, (), scorer, surrogate.rows, surrogate.models)
    assert both == [*pool, *reached]
    first, *others = reached
    left = with_ascents(space, pool, {first}, scorer, surrogate.rows, surrogate.models)
    assert left == [*pool, *others]
