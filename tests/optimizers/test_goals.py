"""Optimisers that keep constraints, or look for the front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from graphbo.acquisition.expected_improvement import score
from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.optimizers import GraphBO, OneHotGP
from graphbo.optimizers.base import Optimizer
from graphbo.spaces import CellSpace, Design
from graphbo.surrogates import weisfeiler_lehman
from graphbo.trial import Evaluation, Trial

SPACE = CellSpace(4, ["a", "b"], on="edges")
POOL = SPACE.enumerate()


def measured(architecture: Architecture) -> dict[str, float]:
    """An error that falls with each operation, most with ``a``, and a size that they add to."""
    labels = [label for *_, label in architecture.edges]
    return {
        "error": 20.0 - 2 * labels.count("a") - labels.count("b"),
        "size": 3.0 * labels.count("a") + labels.count("b"),
    }


def size(design: Design) -> float:
    return measured(design.architecture)["size"]


def result(design: Design) -> Trial:
    found = measured(design.architecture)
    return Trial(design, value=found["error"], evaluation=Evaluation(found))


def tell_all(optimizer: Optimizer, designs: Sequence[Design]) -> None:
    optimizer.tell([result(design) for design in designs])


def sample(n: int, seed: int = 0) -> list[Design]:
    picks = np.random.default_rng(seed).permutation(len(POOL))[:n]
    return [POOL[int(i)] for i in picks]


# Graph BO under constraints -------------------------------------------------------------------


KERNELS = [weisfeiler_lehman(SPACE)]


def one_kernel() -> GraphBO:
    return GraphBO(SPACE, initial=3, kernels=KERNELS)


def bounded(bound: float, known: bool = False) -> GraphBO:
    optimizer = one_kernel()
    optimizer.pursue(Goals.of("error", [f"size<={bound}"]), {"size": size} if known else {})
    tell_all(optimizer, sample(12))
    optimizer.ask()
    return optimizer


def test_a_single_objective_without_constraints_changes_nothing() -> None:
    plain, pursuing = one_kernel(), one_kernel()
    pursuing.pursue(Goals.of("error"), {"error": size})
    for optimizer in (plain, pursuing):
        tell_all(optimizer, sample(8))
    assert plain.ask(2) == pursuing.ask(2)


def test_improvement_is_over_the_best_feasible_one_times_the_probability_of_feasibility() -> None:
    optimizer = bounded(8)
    feasible = [i for i, design in enumerate(sample(12)) if size(design) <= 8]
    assert 0 < len(feasible) < 12
    best = [model.train_targets[feasible].min() for model in optimizer.surrogate.models]
    assert optimizer._outcomes is not None
    surrogate = optimizer._outcomes.surrogates["size"]
    bound = float(surrogate.transform.forward(np.array([8.0]))[0])
    normal, probabilities = torch.distributions.Normal(0.0, 1.0), []
    for model in surrogate.models:
        mean, variance = model.moments(surrogate.rows(POOL))
        probabilities.append(normal.cdf((bound - mean) / variance.sqrt()))
    probability = torch.stack(probabilities).mean(0)
    improvement = score(optimizer.surrogate.models, surrogate.rows(POOL), best=best).exp()
    found = np.exp(optimizer._score(POOL, [], np.random.default_rng(0)))
    np.testing.assert_allclose(found, (improvement * probability).numpy(), rtol=1e-6, atol=1e-12)
    sizes = np.array([size(design) for design in POOL])
    assert probability[sizes <= 5].mean() > 2 * probability[sizes >= 11].mean()


def test_a_constraint_from_below_has_the_other_probability() -> None:
    above, below = bounded(8)._outcomes, one_kernel()
    below.pursue(Goals.of("error", ["size>=8"]))
    tell_all(below, sample(12))
    below.ask()
    assert above is not None
    assert below._outcomes is not None
    total = (
        above.log_feasibility(POOL[:20]).exp() + below._outcomes.log_feasibility(POOL[:20]).exp()
    )
    torch.testing.assert_close(total, torch.ones(20, dtype=torch.float64))


def test_what_is_known_to_break_a_constraint_is_never_proposed() -> None:
    optimizer = bounded(5, known=True)
    assert optimizer._outcomes is not None
    assert "size" not in optimizer._outcomes.surrogates
    assert max(map(size, optimizer.ask(6))) <= 5


def test_before_anything_is_feasible_the_probability_alone_counts() -> None:
    designs = [design for design in POOL if size(design) > 8][:10]
    optimizer = one_kernel()
    optimizer.pursue(Goals.of("error", ["size<=2"]))
    tell_all(optimizer, designs)
    (proposed,) = optimizer.ask()
    assert size(proposed) < min(map(size, designs))
    assert optimizer._outcomes is not None
    expected = optimizer._outcomes.log_feasibility(POOL).numpy()
    found = optimizer._score(POOL, [], np.random.default_rng(0))
    np.testing.assert_array_equal(found, expected)


def test_where_no_design_can_keep_a_known_constraint_the_least_violation_comes_first() -> None:
    optimizer = one_kernel()
    optimizer.pursue(Goals.of("error", ["size<=-1"]), {"size": size})
    tell_all(optimizer, sample(6))
    left = set(POOL) - set(sample(6))
    assert size(optimizer.ask()[0]) == min(map(size, left))


def test_a_batch_under_constraints_goes_on_from_its_log() -> None:
    optimizer = bounded(8)
    again = one_kernel()
    again.pursue(Goals.of("error", ["size<=8"]))
    again.replay([*map(result, sample(12)), *([design] for design in optimizer.pending)])
    assert optimizer.ask(3) == again.ask(3)


def test_constraints_need_the_acquisition_that_can_be_weighted() -> None:
    optimizer = GraphBO(SPACE, acquisition="qlogei")
    with pytest.raises(InputError, match="keeps constraints with the acquisition logei"):
        optimizer.pursue(Goals.of("error", ["size<=8"]))
    with pytest.raises(InputError, match="graph-bo minimises one objective; got error, size"):
        GraphBO(SPACE).pursue(Goals.of(["error", "size"]))


def test_one_hot_gp_keeps_constraints_too() -> None:
    optimizer = OneHotGP(SPACE, initial=3)
    optimizer.pursue(Goals.of("error", ["size<=5"]), {"size": size})
    tell_all(optimizer, sample(8))
    assert max(map(size, optimizer.ask(3))) <= 5
