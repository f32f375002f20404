"""Optuna's sampler behind ask and tell: what it is told, what it leaves behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError, MissingExtraError
from graphbo.optimizers import RandomSearch, make_optimizer
from graphbo.optimizers.base import Optimizer
from graphbo.spaces import CellSpace, ChainSpace, PoolSpace
from graphbo.trial import Trial

optuna = pytest.importorskip("optuna")

SPACE = CellSpace(4, ["conv", "skip"], on="edges")


def error(architecture: Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    return 30.0 - 4 * labels.count("conv") - labels.count("skip")


def tpe(**settings: Any) -> Any:
    return make_optimizer("tpe", SPACE, **{"initial": 4} | settings)


def run(optimizer: Optimizer, n: int) -> list[float]:
    values = []
    for _ in range(n):
        for design in optimizer.ask():
            values.append(error(design.architecture))
            optimizer.tell(Trial(design, value=values[-1]))
    return values


def test_results_failures_and_pending_designs_reach_optuna() -> None:
    optimizer = tpe()
    first, second, third = optimizer.ask(3)
    optimizer.tell([Trial(first, value=2.5), Trial(second, error="failed")])
    trials = optimizer._study(0).get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "RUNNING"]
    assert trials[0].value == 2.5
    for trial, design in zip(trials, (first, second, third), strict=True):
        assert SPACE.from_configuration(trial.params).row == design.row


def test_of_many_results_optuna_is_told_the_best_and_the_most_recent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphbo.optimizers.tpe._MOST_TOLD", 5)
    monkeypatch.setattr("graphbo.optimizers.tpe._BEST_TOLD", 2)
    optimizer = tpe(initial=20)
    for value in (1.0, 9.0, None, 2.0, 8.0, 7.0):
        (design,) = optimizer.ask()
        failure = "failed" if value is None else None
        optimizer.tell(Trial(design, value=value, error=failure))
        told = [trial.value for trial in optimizer._study(0).get_trials()]
        if len(optimizer.told) == 5:
            assert told == [1.0, 9.0, None, 2.0, 8.0]
    assert told == [1.0, None, 2.0, 8.0, 7.0]


def test_conditional_decisions_are_suggested_only_where_they_are_active() -> None:
    space = ChainSpace(4)
    optimizer: Any = make_optimizer("tpe", space, initial=3)
    for _ in range(12):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value=float(len(design.architecture))))
    assert optimizer.ask()[0].origin == "tpe"
    for trial, frozen in zip(optimizer.told, optimizer._finished, strict=True):
        active = [d.name for d, i in zip(space.decisions, trial.design.row, strict=True) if i >= 0]
        assert list(frozen.params) == list(frozen.distributions)
        assert set(frozen.params) == set(active)


def test_the_value_of_an_isomorphic_duplicate_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, float]] = []
    original = optuna.Study.tell

    def tell(self: Any, trial: Any, values: Any = None, **kwargs: Any) -> Any:
        if values is not None:
            told.append((values, error(SPACE.from_configuration(trial.params).architecture)))
        return original(self, trial, values, **kwargs)

    monkeypatch.setattr(optuna.Study, "tell", tell)
    optimizer = tpe()
    run(optimizer, 40)
    assert len({trial.design for trial in optimizer.told}) == 40
    assert told
    assert all(value == expected for value, expected in told)


def test_it_finds_better_architectures_than_random_search() -> None:
    ours = [min(run(tpe(seed=seed), 30)) for seed in range(4)]
    theirs = [min(run(RandomSearch(SPACE, seed=seed), 30)) for seed in range(4)]
    assert sum(ours) < sum(theirs)


@pytest.mark.slow
def test_processes_agree(printed: Callable[[str], list[str]]) -> None:
    """Whatever the hashes of strings."""
    script = (
        "from graphbo.optimizers import make_optimizer\n"
        "from graphbo.spaces import ChainSpace\n"
        "from graphbo.trial import Trial\n"
        "optimizer = make_optimizer('tpe', ChainSpace(4), initial=4)\n"
        "for _ in range(12):\n"
        "    (design,) = optimizer.ask()\n"
        "    optimizer.tell(Trial(design, value=float(sum(design.row))))\n"
        "    print(design.row)\n"
    )
    outputs = set(printed(script))
    assert len(outputs) == 1
    assert outputs.pop().count("\n") == 12


def test_nothing_is_printed_logged_or_changed(capfd: pytest.CaptureFixture[str]) -> None:
    level, verbosity = logging.getLogger("optuna").level, optuna.logging.get_verbosity()
    run(tpe(), 8)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert logging.getLogger("optuna").level == level
    assert optuna.logging.get_verbosity() == verbosity


@pytest.mark.parametrize("values", [[1e300, -1e300, 0.0, 1.0], [3.0] * 4, [float("nan")] * 4])
def test_values_of_any_size_and_failures_alone_are_fine(values: list[float]) -> None:
    optimizer = tpe()
    designs = optimizer.ask(4)
    optimizer.tell([Trial(d, value=value) for d, value in zip(designs, values, strict=True)])
    assert len(set(optimizer.ask(3))) == 3


def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()])
    with pytest.raises(InputError, match="no ConfigSpace describes the space pool"):
        make_optimizer("tpe", pool)
    for setting in ("initial", "candidates"):
        with pytest.raises(InputError, match=f"{setting} of tpe must be at least 1; got 0"):
            make_optimizer("tpe", SPACE, **{setting: 0})
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna is not installed.*'graphbo\[optuna\]'"):
        make_optimizer("tpe", SPACE)
