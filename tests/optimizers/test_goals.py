"""Optimisers that keep constraints, or look for the front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.acquisition.expected_improvement import score
from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.optimizers import NSGA2, GraphBO, GraphEHVI, OneHotGP, make_optimizer, outcomes
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.domination import ranked
from graphbo.optimizers.outcomes import Outcomes
from graphbo.optimizers.parego import augmented_chebyshev
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


@pytest.mark.parametrize("constraints", [["size<=14"], ["size<=12", "weight>=4"], ["size>=9"]])
def test_known_constraints_are_computed_of_the_best_only(
    constraints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "_LOOKED_AT", 4)
    computed: set[Design] = set()

    def counted(design: Design) -> float:
        computed.add(design)
        return size(design)

    def proposals() -> list[Design]:
        optimizer = one_kernel()
        optimizer.pursue(Goals.of("error", constraints), {"size": counted})
        for design in sample(12):
            weight = {"weight": float(len(design.architecture.edges))}
            optimizer.tell(replace(result(design), evaluation=Evaluation(
                {**measured(design.architecture), **weight}
            )))  # fmt: skip
        return optimizer.ask(3)

    some = proposals()
    assert 0 < len(computed) < len(POOL) / 2
    monkeypatch.setattr(Outcomes, "best_that_keeps", lambda *args: None)
    assert proposals() == some
    assert len(computed) == len(POOL)


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


# Several objectives ---------------------------------------------------------------------------

BOTH = Goals.of(["error", "size"])


def pursuing(name: str, goals: Goals = BOTH, known: bool = False, **settings: Any) -> Optimizer:
    if name == "graph-ehvi":
        settings = {"initial": 4, "kernels": KERNELS, **settings}
    optimizer = make_optimizer(name, SPACE, **settings)
    optimizer.pursue(goals, {"size": size} if known else {})
    return optimizer


def found_volume(optimizer: Optimizer, trials: int) -> float:
    for _ in range(trials):
        tell_all(optimizer, optimizer.ask())
    return BOTH.hypervolume(optimizer.completed, (21.0, 19.0))


def test_graph_ehvi_finds_more_of_the_front_than_chance() -> None:
    chance = [found_volume(pursuing("random", seed=seed), 14) for seed in range(10)]
    assert found_volume(pursuing("graph-ehvi"), 14) > np.quantile(chance, 0.8)


def test_graph_ehvi_learns_only_what_is_not_known() -> None:
    optimizer = pursuing("graph-ehvi", known=True)
    tell_all(optimizer, optimizer.ask(6))
    optimizer.ask()
    assert isinstance(optimizer, GraphEHVI)
    assert optimizer._outcomes is not None
    assert list(optimizer._outcomes.surrogates) == ["error"]


def test_graph_ehvi_keeps_constraints_and_starts_without_anything_feasible() -> None:
    goals = Goals.of(["error", "size"], ["size<=4"])
    large = [design for design in POOL if size(design) > 8][:6]
    for known in (False, True):
        optimizer = pursuing("graph-ehvi", goals, known)
        tell_all(optimizer, large)
        (first,) = optimizer.ask()
        assert size(first) < 8
        tell_all(optimizer, [first])
        if known:
            assert max(map(size, optimizer.ask(3))) <= 4


def test_graph_ehvi_looks_closely_at_the_best_and_keeps_the_order_of_the_rest() -> None:
    optimizer = pursuing("graph-ehvi", screened=5)
    tell_all(optimizer, optimizer.ask(8))
    optimizer.ask()
    assert isinstance(optimizer, GraphEHVI)
    found = optimizer._score(POOL, [], np.random.default_rng(0))
    assert np.isfinite(found).all()
    assert optimizer._scored is not None
    screened = optimizer._scored[1].numpy()
    left = np.array([i for i, d in enumerate(POOL) if d not in optimizer.seen])
    close = left[np.argsort(-screened[left])[:5]]
    rest = np.setdiff1d(np.arange(len(POOL)), close)
    assert found[close].min() >= found[rest].max() - 1e-9
    assert (
        np.argsort(found[rest], kind="stable") == np.argsort(screened[rest], kind="stable")
    ).all()


def test_graph_ehvi_is_for_three_objectives_at_most() -> None:
    with pytest.raises(InputError, match="up to 3 objectives; got 4; take nsga2 or parego"):
        pursuing("graph-ehvi", Goals.of(["a", "b", "c", "d"]))
    with pytest.raises(InputError, match="screened=0"):
        make_optimizer("graph-ehvi", SPACE, screened=0)


def test_graph_ehvi_with_one_objective_is_graph_bo() -> None:
    asked = []
    for name in ("graph-bo", "graph-ehvi"):
        optimizer = make_optimizer(name, SPACE, initial=4, kernels=KERNELS)
        tell_all(optimizer, optimizer.ask(6))
        asked.append(optimizer.ask(2))
    assert asked[0] == asked[1]


def test_nsga2_keeps_the_least_dominated_half_of_each_generation() -> None:
    optimizer = pursuing("nsga2", population=6)
    assert isinstance(optimizer, NSGA2)
    first = optimizer.ask(6)
    assert optimizer.members == []
    tell_all(optimizer, first)
    assert {trial.design for trial in optimizer.members} == set(first)
    second = optimizer.ask(6)
    assert {design.origin for design in second} <= {"crossover", "mutation", "random"}
    tell_all(optimizer, second)
    expected = ranked([*map(result, first), *map(result, second)], BOTH)[:6]
    assert [trial.design for trial in optimizer.members] == [trial.design for trial in expected]


def test_nsga2_goes_from_what_breaks_the_constraints_to_what_keeps_them() -> None:
    optimizer = pursuing("nsga2", Goals.of(["error", "size"], ["size<=4"]), population=6)
    tell_all(optimizer, optimizer.ask(6))
    for _ in range(5):
        tell_all(optimizer, optimizer.ask(6))
    assert isinstance(optimizer, NSGA2)
    assert all(size(trial.design) <= 4 for trial in optimizer.members)


@pytest.mark.parametrize("settings", [{"population": 1}, {"crossover": 1.5}])
def test_nsga2_refuses_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"at least 2 members|from 0 to 1"):
        make_optimizer("nsga2", SPACE, **settings)


def test_the_chebyshev_function_is_the_largest_weighted_objective_and_a_little_of_the_sum() -> None:
    values = np.array([[0.0, 4.0], [2.0, 2.0], [1.0, 3.0]])
    found = augmented_chebyshev(values, np.array([0.25, 0.75]))
    np.testing.assert_allclose(found, [0.75 + 0.0375, 0.25 + 0.0125, 0.375 + 0.025])
    constant = augmented_chebyshev(np.ones((3, 2)), np.array([0.5, 0.5]))
    assert constant.tolist() == [0, 0, 0]


def test_parego_weighs_the_objectives_anew_at_each_proposal() -> None:
    optimizer = pursuing("parego", initial=4)
    assert isinstance(optimizer, OneHotGP)
    tell_all(optimizer, optimizer.ask(8))
    fitted = []
    for _ in range(2):
        optimizer.ask()
        fitted.append(optimizer.surrogate.transform.values)
    assert fitted[0].tolist() != fitted[1].tolist()
