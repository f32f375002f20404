"""Every optimiser keeps the contract, and the suite notices who does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.acquisition.pool import candidates
from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.optimizers import OPTIMIZERS, Optimizer, RandomSearch, make_optimizer
from graphbo.optimizers.base import Known
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    Design,
    JointSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from graphbo.surrogates import weisfeiler_lehman
from graphbo.testing import check_goals, check_optimizer
from graphbo.testing.optimizers import example_hyperparameters, example_spaces
from graphbo.trial import Trial

# Such that each leaves its initial phase within the few trials of the suite.
SETTINGS: dict[str, dict[str, Any]] = {
    "graph-bo": {"initial": 3},
    "graph-ehvi": {"initial": 3},
    # With a prior, nothing is left to chance in a space that can be enumerated.
    "embedding-bo": {"initial": 3, "surrogate": "embedding", "prior": False},
    "one-hot-gp": {"initial": 3},
    "parego": {"initial": 3},
    "bananas": {"initial": 3, "candidates": 10, "members": 2, "retrain_after": 4},
    "pnas": {"beam": 3, "members": 2},
    "reinforce": {"hidden": 8},
    "q-learning": {"schedule": 8},
    "darts": {},
    "random": {},
    "regularized-evolution": {"population": 4, "sample": 2},
    "nsga2": {"population": 4},
    "genetic-cnn": {"population": 4, "mutation_rate": 0.3},
    "local-search": {},
    "random-ranking": {"initial": 3},
    "smac": {"initial": 3, "challengers": 50},
    "tpe": {"initial": 3},
    "graph-mf": {"epochs": (1, 2), "initial": 3},
    "successive-halving": {"epochs": (1, 2)},
    "hyperband": {"epochs": (1, 2)},
    "asha": {"epochs": (1, 2)},
    "bohb": {"epochs": (1, 2)},
    "dehb": {"epochs": (1, 2)},
}
MODELLED = ("graph-bo", "graph-ehvi", "embedding-bo", "graph-mf")
FITTED = ("smac", "tpe", "one-hot-gp", "bananas", "pnas", "reinforce")
LIKE_OTHERS = ("graph-ehvi", "parego")  # with one objective they are graph-bo and one-hot-gp
TRAINED = ("darts",)  # on images, which these spaces lack; see test_darts
QUICK = [n for n in OPTIMIZERS if n not in (*MODELLED, *FITTED, *TRAINED, *LIKE_OTHERS)]
ON_CELLS = [n for n in OPTIMIZERS if n not in ("q-learning", *TRAINED, *LIKE_OTHERS)]
SEVERAL = ("graph-ehvi", "nsga2", "parego", "random")
CONSTRAINED = ("graph-bo", "embedding-bo", "one-hot-gp", *SEVERAL)
CELLS = CellSpace(3, ["a", "b", "c"], on="edges")
Checkpoints = Callable[[SearchSpace], Path]


@pytest.fixture(autouse=True)
def smaller_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a space too large to list is searched in; the contract does not depend on its size."""
    assert candidates.__kwdefaults__ is not None
    monkeypatch.setitem(candidates.__kwdefaults__, "size", 60)


def maker(name: str, checkpoint: Checkpoints, **settings: Any) -> Callable[..., Optimizer]:
    """Return what makes an optimiser on any space, from a checkpoint if it needs one."""

    def make(space: SearchSpace, *, seed: int = 0) -> Optimizer:
        given: dict[str, Any] = {}
        if name == "embedding-bo":
            given = {"checkpoint": checkpoint(space)}
        elif name == "graph-mf":
            given = {"kernels": [weisfeiler_lehman(space)]}
        return make_optimizer(name, space, seed=seed, **SETTINGS[name] | settings | given)

    return make


def test_every_optimizer_is_checked() -> None:
    assert set(SETTINGS) == set(OPTIMIZERS)


def where_it_applies(name: str, spaces: Sequence[SearchSpace]) -> list[SearchSpace]:
    """Return the spaces that an optimiser does not refuse."""
    found = []
    for space in spaces:
        with suppress(InputError):
            make_optimizer(name, space, **SETTINGS[name])
            found.append(space)
    return found


@pytest.mark.parametrize("name", ["bananas", "pnas", "genetic-cnn", "reinforce"])
def test_what_searches_architectures_only_says_so(name: str) -> None:
    space = JointSpace(CELLS, example_hyperparameters())
    with pytest.raises(InputError, match=f"{name} searches architectures, and .* hyperparameters"):
        make_optimizer(name, space)


@pytest.mark.parametrize("name", QUICK)
def test_optimizers_conform(name: str) -> None:
    make = partial(make_optimizer, name, **SETTINGS[name])
    check_optimizer(make, where_it_applies(name, example_spaces()))


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("space", example_spaces(), ids=lambda space: repr(space)[:40])
def test_optimizers_with_a_model_conform(name: str, space: SearchSpace) -> None:
    make = partial(make_optimizer, name, **SETTINGS[name])
    check_optimizer(make, where_it_applies(name, [space]), rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize("space", example_spaces(), ids=lambda space: repr(space)[:40])
def test_graph_bo_conforms(space: SearchSpace) -> None:
    check_optimizer(partial(make_optimizer, "graph-bo", initial=3), [space], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize("space", example_spaces(), ids=lambda space: repr(space)[:40])
def test_graph_mf_conforms(space: SearchSpace, tiny_checkpoint: Checkpoints) -> None:
    check_optimizer(maker("graph-mf", tiny_checkpoint), [space], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize("acquisition", ["qlogei", "qlognei"])
def test_graph_bo_conforms_with_every_acquisition(acquisition: str) -> None:
    make = partial(make_optimizer, "graph-bo", initial=3, acquisition=acquisition)
    check_optimizer(make, [CellSpace(3, ["a", "b"], on="edges")], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "space",
    [space for space in example_spaces() if space.hyperparameters is None],
    ids=lambda space: repr(space)[:40],
)
def test_embedding_bo_conforms(space: SearchSpace, tiny_checkpoint: Checkpoints) -> None:
    check_optimizer(maker("embedding-bo", tiny_checkpoint), [space], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize("surrogate", ["kernels", "deep-kernel", "linear", "ensemble", "paths"])
def test_embedding_bo_conforms_with_every_surrogate(
    surrogate: str, tiny_checkpoint: Checkpoints
) -> None:
    make = maker("embedding-bo", tiny_checkpoint, surrogate=surrogate)
    check_optimizer(make, [CellSpace(3, ["a", "b"], on="edges")], rounds=4)


@pytest.mark.parametrize("surrogate", ["embedding", "ensemble"])
def test_embedding_bo_conforms_with_a_prior(surrogate: str, tiny_checkpoint: Checkpoints) -> None:
    make = maker("embedding-bo", tiny_checkpoint, surrogate=surrogate, prior=True, initial=None)
    check_optimizer(make, [CellSpace(3, ["a", "b"], on="edges")], rounds=4)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in TRAINED])
def test_optimizers_pursue_what_they_say_they_do(name: str, tiny_checkpoint: Checkpoints) -> None:
    space = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16]) if name == "q-learning" else CELLS
    kernels = {"kernels": [weisfeiler_lehman(space)]} if name in ("graph-bo", "graph-ehvi") else {}
    make = maker(name, tiny_checkpoint, **kernels)
    optimizer = make(space)
    assert optimizer.multi_objective == (name in SEVERAL)
    assert optimizer.constrained == (name in CONSTRAINED)
    check_goals(make, space, rounds=4)


class RefusesNothing(RandomSearch):
    multi_objective = False

    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        self.goals = goals


class BelievesWhatLacksOutcomes(RandomSearch):
    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (RefusesNothing, "must refuse them"),
        (BelievesWhatLacksOutcomes, "lacks an outcome is no result"),
    ],
)
def test_the_suite_notices_who_does_not_pursue_goals(kind: type[Optimizer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_goals(kind, CELLS)


NASBENCH201 = NASBench201Space()


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_CELLS)
def test_optimizers_conform_on_nasbench101(name: str, tiny_checkpoint: Checkpoints) -> None:
    check_optimizer(maker(name, tiny_checkpoint), [NASBench101Space()], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in OPTIMIZERS if name not in ("random-ranking", *TRAINED, *LIKE_OTHERS)],
)
def test_optimizers_conform_on_long_chains(name: str, tiny_checkpoint: Checkpoints) -> None:
    check_optimizer(maker(name, tiny_checkpoint), [ChainSpace(12)], rounds=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in QUICK if name in ON_CELLS])
def test_optimizers_conform_on_nasbench201(name: str) -> None:
    check_optimizer(partial(make_optimizer, name, **SETTINGS[name]), [NASBENCH201], rounds=4)


@pytest.mark.slow
def test_graph_bo_goes_on_from_its_log_on_nasbench201() -> None:
    """The whole suite would take half a minute here."""
    optimizer = make_optimizer("graph-bo", NASBENCH201)
    log: list[Sequence[Design] | Trial] = []
    for _ in range(2):
        designs = optimizer.ask(10 if not log else 2)
        results = [Trial(d, value=float(len(d.architecture.edges))) for d in designs[:-1]]
        optimizer.tell(results)
        log += [designs, *results]
    again = make_optimizer("graph-bo", NASBENCH201)
    again.replay(log)
    (design,) = optimizer.ask()
    assert design.architecture in NASBENCH201
    assert design.architecture not in {d.architecture for asked in log[:1] for d in asked}
    assert again.ask() == [design]
    assert again.pending == optimizer.pending


class ProposesTwice(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return [self.space.sample(rng) for _ in range(n)]


class ForgetsWhatIsPending(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        told = {trial.design.architecture for trial in self.told}
        left = [d for d in self.space.enumerate() if d.architecture not in told]
        return left[:n]


class LeavesTheSpace(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        designs = [*super()._propose(n, rng)]
        labels = [INPUT, f"foreign{len(self.seen)}", OUTPUT]
        stranger = Architecture(labels, [(0, 1), (1, 2)])
        return [*designs[:-1], *(Design(stranger, design.row) for design in designs[-1:])]


class HasAMistakenRow(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        other = self.space.enumerate()[-1].row
        return [Design(d.architecture, other) for d in super()._propose(n, rng)]


class IgnoresTheSeed(RandomSearch):
    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=0)


class DrawsFromTheGlobalState(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return super()._propose(n, np.random.default_rng(np.random.randint(1000)))  # noqa: NPY002


class RemembersItsAsks(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        self.asked = getattr(self, "asked", 0) + n  # not restored by a replay
        return super()._propose(n, np.random.default_rng([self.seed, self.asked]))


class CannotBePickled(RandomSearch):
    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self.helper = lambda: None


class StopsEarly(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return super()._propose(n, rng) if len(self.seen) < 20 else []


class BelievesAnyValue(RandomSearch):
    def tell(self, trials: Any) -> None:
        for trial in [trials] if isinstance(trials, Trial) else trials:
            super().tell(Trial(trial.design, error=trial.error))
            self.told[-1] = trial


class ProposesOneAtMost(RandomSearch):
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return super()._propose(1, rng)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ProposesTwice, "twice"),
        (ForgetsWhatIsPending, "twice|not 4"),
        (LeavesTheSpace, "not a member"),
        (HasAMistakenRow, "must encode its architecture"),
        (IgnoresTheSeed, "another seed"),
        (DrawsFromTheGlobalState, "after a replayed log|global random state"),
        (RemembersItsAsks, "the same after a replayed log"),
        (StopsEarly, "each of the 40 members must be proposed; 20 were|must give all there is"),
        (BelievesAnyValue, "not finite must count as failures"),
        (ProposesOneAtMost, "got 1, not 4"),
    ],
)
def test_the_suite_notices_a_broken_promise(kind: type[Optimizer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_optimizer(kind, [CELLS])


def test_the_suite_notices_an_optimizer_that_cannot_be_pickled() -> None:
    with pytest.raises((AttributeError, TypeError), match=r"pickle|local"):
        check_optimizer(CannotBePickled, [CELLS])


def test_the_suite_wants_some_rounds() -> None:
    with pytest.raises(AssertionError, match="at least 4 rounds"):
        check_optimizer(RandomSearch, [CELLS], rounds=2)
