"""Which candidates BANANAS ranks, and how."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.optimizers import Bananas, RandomSearch
from graphbo.optimizers.bananas import thompson_samples
from graphbo.spaces import CellSpace, PoolSpace
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b"], on="edges")


def error(architecture: Architecture) -> float:
    """Every path with one operation more is better, and the operation b best."""
    labels = [label for *_, label in architecture.edges]
    return 20.0 - 2 * labels.count("b") - labels.count("a")


def test_thompson_samples_by_hand() -> None:
    predictions = np.array([[1.0, 5.0, 2.0], [3.0, 5.0, 4.0]])
    samples = thompson_samples(predictions, np.random.default_rng(0))
    # Means 2, 5 and 3; of two predictions that differ by d the standard deviation is d / sqrt(2).
    normal = np.random.default_rng(0).normal(size=3)
    np.testing.assert_allclose(samples, [2, 5, 3] + np.sqrt([2, 0, 2]) * normal)


def test_samples_of_different_candidates_are_independent() -> None:
    predictions = np.repeat([[0.0], [1.0]], 4000, axis=1)
    samples = thompson_samples(predictions, np.random.default_rng(1))
    assert abs(np.corrcoef(samples[:2000], samples[2000:])[0, 1]) < 0.1
    assert samples.std() == pytest.approx(np.sqrt(0.5), rel=0.05)


def test_random_designs_come_first_then_mutations() -> None:
    optimizer = Bananas(SPACE, initial=4)
    first = optimizer.ask(6)
    assert [design.origin for design in first] == ["initial"] * 4 + ["random"] * 2
    optimizer.tell([Trial(design, value=error(design.architecture)) for design in first])
    assert optimizer.ask()[0].origin == "mutation"


def test_candidates_are_mutations_of_the_best_design(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = Bananas(SPACE, candidates=12)
    designs = RandomSearch(SPACE).ask(20)
    optimizer.tell([Trial(design, value=error(design.architecture)) for design in designs])
    parents = []

    def mutate(parent, rng, exclude):  # type: ignore[no-untyped-def]
        parents.append(parent)
        return original(parent, rng, exclude)

    original = SPACE.mutate
    monkeypatch.setattr(SPACE, "mutate", mutate)
    optimizer.ask()
    assert optimizer.best is not None
    assert parents[:12] == [optimizer.best.design] * 12
    ranked = sorted(optimizer.completed, key=lambda trial: trial.value or 0.0)
    assert list(dict.fromkeys(parents)) == [t.design for t in ranked[: len(parents) // 12]]
    assert len(parents) <= 5 * 12


def test_the_search_is_better_than_a_random_one() -> None:
    def best(kind: type[Bananas] | type[RandomSearch], seed: int) -> float:
        optimizer = kind(SPACE, seed=seed)
        for _ in range(25):
            (design,) = optimizer.ask()
            optimizer.tell(Trial(design, value=error(design.architecture)))
        assert optimizer.best is not None
        return optimizer.best.value or 0.0

    seeds = range(3)
    ours, theirs = (np.mean([best(kind, s) for s in seeds]) for kind in (Bananas, RandomSearch))
    assert ours < theirs


def test_what_the_networks_know_does_not_depend_on_when_it_was_asked() -> None:
    designs = RandomSearch(SPACE).ask(19)
    trials = [Trial(design, value=error(design.architecture)) for design in designs]
    patient, hasty = Bananas(SPACE), Bananas(SPACE)
    hasty.tell(trials[:12])
    hasty.ask()
    hasty.tell(trials[12:])
    patient.replay([*trials[:12], (), *trials[12:]])
    pool = SPACE.enumerate()[:50]
    np.testing.assert_array_equal(patient._predictions(pool), hasty._predictions(pool))


def test_spaces_without_operations_and_settings_out_of_range_are_refused() -> None:
    alone = PoolSpace([Architecture(["input", "output"], [(0, 1)])], name="alone")
    with pytest.raises(InputError, match="the space alone has no operations"):
        Bananas(alone)
    with pytest.raises(InputError, match="members of bananas is at least 2; got 1"):
        Bananas(SPACE, members=1)
