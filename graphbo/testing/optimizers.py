"""The conformance suite of optimisers."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from graphbo.errors import InputError
from graphbo.goals import Constraint, Goals
from graphbo.optimizers.base import Known, Optimizer
from graphbo.spaces import CellSpace, ChainSpace, JointSpace, NASBench101Space, PoolSpace
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Evaluation, Trial, longest

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

_SMALL = 60
_Log = list[Sequence[Design] | Trial]
_Record = list[list[tuple[object, ...]]]


class OptimizerMaker(Protocol):
    """An optimiser class, or a function with the same arguments."""

    def __call__(self, space: SearchSpace, *, seed: int) -> Optimizer:
        """Return a new optimiser."""


def check_optimizer(
    make_optimizer: OptimizerMaker,
    spaces: Sequence[SearchSpace] | None = None,
    *,
    rounds: int = 8,
) -> None:
    """Check that an optimiser keeps the promises of ask and tell.

    It proposes members of the space and none twice at one fidelity, pending or not; the same seed
    and log lead to the same proposals, whatever the global random state, and other seeds to others;
    it goes on from a replayed log or a pickle as if nothing had happened; failures, values that are
    not finite, late results and designs that it never proposed do not disturb it, expected or not;
    it proposes all of a small space and then nothing. Run it in the tests of an optimiser of your
    own, with settings that let it leave its initial phase after a few trials.

    Args:
        make_optimizer: Called as ``make_optimizer(space, seed=seed)``: an optimiser class, or
            ``functools.partial(MyOptimizer, setting=...)``.
        spaces: The spaces to try; by default `example_spaces`.
        rounds: How often to ask on each space, at least 4.

    Raises:
        AssertionError: If a promise is broken; the message says which, and on which space.

    Example:
        >>> check_optimizer(RandomSearch)
    """
    assert rounds >= 4, "at least 4 rounds are needed to see an optimiser go on"
    for space in example_spaces() if spaces is None else spaces:
        everything = space.enumerate() if space.enumerable else ()
        _check_asks(make_optimizer, space, everything)
        _check_tells(make_optimizer, space)
        _check_determinism(make_optimizer, space, everything, rounds)
        if 0 < len(everything) <= _SMALL:
            _check_exhaustion(make_optimizer, space, everything)


def check_goals(
    make_optimizer: OptimizerMaker, space: SearchSpace | None = None, *, rounds: int = 5
) -> None:
    """Check that an optimiser pursues several objectives and constraints as it says it does.

    If it is `multi_objective`, it is a function of its log with two objectives; if not, it refuses
    them. If it is `constrained`, the same holds of a search under a constraint, on what is known
    beforehand or not, and its best trial keeps it. It goes on from a replayed log or a pickle, and
    does not believe a trial that lacks an outcome. See `check_optimizer` for all else.

    Args:
        make_optimizer: Called as ``make_optimizer(space, seed=seed)``.
        space: The space to try; by default the first of `example_spaces`.
        rounds: How often to ask, at least 4.

    Raises:
        AssertionError: If a promise is broken; the message says which.
    """
    space = example_spaces()[0] if space is None else space
    optimizer = make_optimizer(space, seed=0)
    bounds = (Constraint("second", 50.0),)
    pursued: list[tuple[Goals, Known]] = []
    if optimizer.constrained:
        pursued.append((Goals(("first",), bounds), {"second": _second}))
    if optimizer.multi_objective:
        pursued.append((Goals(("first", "second"), bounds if optimizer.constrained else ()), {}))
    else:
        try:
            optimizer.pursue(Goals(("first", "second")))
        except InputError:
            pass
        else:
            raise AssertionError("what is not for several objectives must refuse them")
    for goals, known in pursued:
        make = partial(_pursuing, make_optimizer, goals, known)
        first = _drive(make, space, seed=0, rounds=rounds, check=True)
        again = partial(_drive, make, space, seed=0, rounds=rounds, check=False)
        assert _with_other_state(again) == first, (
            f"{goals}: the same seed must give the same proposals, whatever the global random state"
        )
        _check_outcomes(make(space, seed=5), goals)


def _pursuing(
    make_optimizer: OptimizerMaker, goals: Goals, known: Known, space: SearchSpace, *, seed: int
) -> Optimizer:
    optimizer = make_optimizer(space, seed=seed)
    optimizer.pursue(goals, known)
    return optimizer


def _check_outcomes(optimizer: Optimizer, goals: Goals) -> None:
    """Tell a trial without its outcomes, and one of a low value that breaks the constraints."""
    bare, *designs = optimizer.ask(4)
    optimizer.tell(Trial(bare, value=-1e9))
    assert not optimizer.completed, f"{goals}: a trial that lacks an outcome is no result"
    for value, design in enumerate(designs):
        found = {"first": float(value), "second": 100.0 - 40.0 * value}
        optimizer.tell(Trial(design, value=float(value), evaluation=Evaluation(found)))
    if goals.constraints and len(designs) == 3:
        assert optimizer.best is not None
        assert goals.feasible(optimizer.best), f"{goals}: the best trial keeps the constraints"


def example_spaces() -> list[SearchSpace]:
    """Return small spaces of every kind, one with a single member among them."""
    cells = CellSpace(3, ["a", "b", "c"], on="edges")
    pool = [design.architecture for design in NASBench101Space(4).enumerate()]
    return [
        cells,
        CellSpace(4, ["a", "b"], on="nodes", max_edges=4),
        CellSpace(2, ["a"], on="nodes"),
        ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16]),
        PoolSpace(pool[::4]),
        PoolSpace(pool[:1]),
        PoolSpace([design.architecture for design in cells.enumerate()[::2]], parent=cells),
        JointSpace(cells, example_hyperparameters()),
    ]


def example_hyperparameters() -> ConfigurationSpace:
    """Return hyperparameters of every kind, one with a condition, and a forbidden clause."""
    from ConfigSpace import (
        ConfigurationSpace,
        EqualsCondition,
        ForbiddenAndConjunction,
        ForbiddenEqualsClause,
    )
    from ConfigSpace.hyperparameters import (
        CategoricalHyperparameter,
        Constant,
        OrdinalHyperparameter,
        UniformFloatHyperparameter,
        UniformIntegerHyperparameter,
    )

    rate = UniformFloatHyperparameter("rate", 1e-4, 1.0, log=True)
    layers = UniformIntegerHyperparameter("layers", 1, 8)
    optimizer = CategoricalHyperparameter("optimizer", ["sgd", "adam", "none"])
    momentum = UniformFloatHyperparameter("momentum", 0.0, 0.99)
    width = OrdinalHyperparameter("width", [8, 16, 32])
    space = ConfigurationSpace("example")
    space.add([rate, layers, optimizer, momentum, width, Constant("kind", "test")])
    space.add(EqualsCondition(momentum, optimizer, "sgd"))
    wide, none = ForbiddenEqualsClause(width, 32), ForbiddenEqualsClause(optimizer, "none")
    space.add(ForbiddenAndConjunction(wide, none))
    return space


def _check_asks(
    make_optimizer: OptimizerMaker, space: SearchSpace, everything: Sequence[Design]
) -> None:
    """Ask again and again without telling."""
    optimizer = make_optimizer(space, seed=3)
    for n in (0, -1):
        try:
            optimizer.ask(n)
        except ValueError:
            continue
        raise AssertionError(f"asking for {n} designs must raise a ValueError")
    asked: list[Design] = []
    for n in (1, 4, 2):
        due = min(n, len(everything) - len(asked)) if everything else n
        designs = optimizer.ask(n)
        assert len(designs) == due, (
            f"{space!r}: asked for {n} designs, {len(asked)} pending: got {len(designs)}, not {due}"
        )
        asked += designs
        assert optimizer.pending == asked, f"{space!r}: what was not told must be pending"
    _check_proposals(space, asked)
    _check_proposals(space, make_optimizer(space, seed=4).ask(8))


def _check_proposals(space: SearchSpace, designs: Sequence[Design]) -> None:
    proposals = [(design, _fidelity(design)) for design in designs]
    assert len(set(proposals)) == len(proposals), (
        f"{space!r}: a design was proposed twice at one fidelity"
    )
    for design in designs:
        assert design.architecture in space, f"{space!r}: {design!r} is not a member"
        assert space.decode(design.row) == design.architecture, (
            f"{space!r}: the row {design.row} must encode its architecture"
        )
        if (beside := space.hyperparameters) is not None:
            assert beside.read(design.hyperparameters) == design.hyperparameters, (
                f"{space!r}: {design} must have legal hyperparameters"
            )


def _check_tells(make_optimizer: OptimizerMaker, space: SearchSpace) -> None:
    """Tell one trial twice, failures only, and then a whole batch out of order."""
    optimizer = make_optimizer(space, seed=5)
    first, *others = optimizer.ask(5)
    optimizer.tell(Trial(first, error="failed"))
    try:
        optimizer.tell(Trial(first, value=1.0))
    except ValueError:
        pass
    else:
        raise AssertionError("telling a design twice must raise a ValueError")
    assert optimizer.best is None, "a failure is no result"
    values = (math.nan, math.inf, 2.0, -1.0)
    optimizer.tell(
        [Trial(design, value=value) for design, value in zip(others, values, strict=False)][::-1]
    )
    finite = [value for value in values[: len(others)] if math.isfinite(value)]
    assert sorted(trial.value or 0.0 for trial in optimizer.completed) == sorted(finite), (
        f"{space!r}: values that are not finite must count as failures"
    )
    lowest = min((trial.value or 0.0 for trial in longest(optimizer.completed)), default=None)
    assert (optimizer.best.value if optimizer.best else None) == lowest, (
        f"{space!r}: the best trial is the one with the lowest value at the highest fidelity"
    )
    assert not optimizer.pending, f"{space!r}: what was told is not pending"
    _check_proposals(space, [first, *others, *optimizer.ask(3)])


def _check_determinism(
    make_optimizer: OptimizerMaker,
    space: SearchSpace,
    everything: Sequence[Design],
    rounds: int,
) -> None:
    state = _global_state()
    with_checks = _drive(make_optimizer, space, seed=0, rounds=rounds, check=True)
    assert _global_state() == state, (
        f"{space!r}: an optimiser must leave the global random state of numpy and torch alone"
    )
    again = _with_other_state(
        lambda: _drive(make_optimizer, space, seed=0, rounds=rounds, check=False)
    )
    assert again == with_checks, (
        f"{space!r}: the same seed must give the same proposals, whatever the global random state"
    )
    if not everything or len(everything) > _SMALL // 3:
        other = _drive(make_optimizer, space, seed=1, rounds=rounds, check=False)
        assert other != with_checks, f"{space!r}: another seed must give other proposals"


def _drive(
    make_optimizer: OptimizerMaker, space: SearchSpace, *, seed: int, rounds: int, check: bool
) -> _Record:
    """Ask and tell with failures, stragglers and strangers, and return what was proposed."""
    optimizer = make_optimizer(space, seed=seed)
    log: _Log = []
    expected = [space.sample(np.random.default_rng(8))] if _has_more(space) else []
    proposed: list[Design] = optimizer.expect(expected)
    late: list[Trial] = []
    record = []
    strangers = [space.sample(np.random.default_rng([9, i])) for i in range(3)]
    for k in range(rounds):
        n = 1 + k % 3
        others: dict[str, Optimizer] = {}
        if check and k in (1, rounds // 2, rounds - 1):
            replayed = make_optimizer(space, seed=seed)
            replayed.expect(expected)
            replayed.replay(log)
            others = {
                "a replayed log and pickling": pickle.loads(pickle.dumps(replayed)),
                "a replayed log": replayed,
                "pickling": pickle.loads(pickle.dumps(optimizer)),
            }
        designs = optimizer.ask(n)
        for how, other in others.items():
            assert _described(other.ask(n)) == _described(designs), (
                f"{space!r}: ask {k} must propose the same after {how}"
            )
        record.append(_described(designs))
        log.append(tuple(designs))
        finished, late = late, []
        for design in designs:
            trial = _outcome(design, len(proposed))
            proposed.append(design)
            if len(proposed) % 5:
                finished.insert(0, trial)  # the newest first
            elif len(proposed) % 2:
                late.append(trial)  # with the next round; the rest stay pending for ever
        if k == 1:
            finished += [_outcome(design, 0) for design in proposed[: len(expected)]]
            new = [design for design in strangers if design not in optimizer.seen]
            finished += [_outcome(design, 0) for design in dict.fromkeys(new)]
            proposed += dict.fromkeys(new)
        log += finished
        optimizer.tell(finished)
    _check_proposals(space, proposed)
    return record


def _has_more(space: SearchSpace) -> bool:
    """Whether there is something left to propose where one design is expected."""
    return not space.enumerable or len(space.enumerate()) > 1


def _described(designs: Sequence[Design]) -> list[tuple[object, ...]]:
    return [
        (design.row, tuple(design.hyperparameters.items()), design.origin, _fidelity(design))
        for design in designs
    ]


def _fidelity(design: Design) -> object:
    return tuple(sorted((design.fidelity or {}).items()))


def _outcome(design: Design, number: int) -> Trial:
    """Return a result that is a function of the architecture, or a failure now and then."""
    if number % 7 == 3:
        return Trial(design, error="failed")
    if number % 7 == 5:
        return Trial(design, value=math.nan)
    value = int(design.architecture.key[:6], 16) % 1000 / 10
    numbers = [v for v in design.hyperparameters.values() if not isinstance(v, str)]
    value += 100 * sum(numbers)
    found = Evaluation({"first": value}, facts={"second": _second(design)})
    return Trial(design, value=value, evaluation=found)


def _second(design: Design) -> float:
    """Return another outcome that is a function of the architecture."""
    return int(design.architecture.key[6:12], 16) % 1000 / 10


def _check_exhaustion(
    make_optimizer: OptimizerMaker, space: SearchSpace, everything: Sequence[Design]
) -> None:
    optimizer = make_optimizer(space, seed=2)
    proposed: list[Design] = []
    while designs := optimizer.ask(max(len(everything) // 4, 2)):
        for design in designs:
            optimizer.tell(_outcome(design, len(proposed)))
            proposed.append(design)
    _check_proposals(space, proposed)
    assert set(proposed) == set(everything), (
        f"{space!r}: each of the {len(everything)} members must be proposed; "
        f"{len(set(proposed))} were"
    )
    if not optimizer.multi_fidelity:
        assert len(proposed) == len(everything), f"{space!r}: each member is proposed once"
    for n in (1, 3):
        assert optimizer.ask(n) == [], f"{space!r}: an exhausted space has nothing to propose"
    greedy = make_optimizer(space, seed=2)
    assert set(greedy.ask(len(everything) + 5)) == set(everything), (
        f"{space!r}: asking for more than there is must give all there is"
    )
    assert greedy.ask() == [], f"{space!r}: when all are pending there is nothing to propose"


def _global_state() -> tuple[object, ...]:
    import torch

    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return name, np.asarray(keys).tobytes(), *rest, torch.get_rng_state().numpy().tobytes()


def _with_other_state(run: Callable[[], _Record]) -> _Record:
    """Call a function under another global random state, and put the old one back."""
    import torch

    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        np.random.seed(12345)  # noqa: NPY002
        torch.manual_seed(12345)
        return run()
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
