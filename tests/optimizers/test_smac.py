"""SMAC3 behind ask and tell: what it is told, what it leaves behind, where it goes on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphbo.architecture import Architecture
from graphbo.cli import main
from graphbo.errors import InputError, MissingExtraError
from graphbo.optimizers import RandomSearch, make_optimizer
from graphbo.optimizers.base import Optimizer
from graphbo.spaces import CellSpace, NASBench101Space, PoolSpace
from graphbo.trial import Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges")
QUICK: dict[str, Any] = {"initial": 4, "challengers": 50}
Told = list[tuple[str, float, Architecture]]


def error(architecture: Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    return 30.0 - 4 * labels.count("conv") - labels.count("skip")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What SMAC3 is told: status, cost, architecture."""
    facade = pytest.importorskip("smac").HyperparameterOptimizationFacade
    calls: Told = []
    original = facade.tell

    def tell(self: Any, info: Any, value: Any, save: bool = True) -> None:
        design = SPACE.from_configuration(info.config)
        calls.append((value.status.name, value.cost, design.architecture))
        original(self, info, value, save=save)

    monkeypatch.setattr(facade, "tell", tell)
    return calls


def smac(**settings: Any) -> Optimizer:
    pytest.importorskip("smac")
    return make_optimizer("smac", SPACE, **QUICK | settings)


def run(optimizer: Optimizer, n: int) -> list[float]:
    values = []
    for _ in range(n):
        for design in optimizer.ask():
            values.append(error(design.architecture))
            optimizer.tell(Trial(design, value=values[-1]))
    return values


def test_results_are_told_and_failures_are_told_as_crashes(told: Told) -> None:
    optimizer = smac()
    designs = optimizer.ask(4)
    assert {design.origin for design in designs} == {"initial"}
    results = [Trial(design, value=error(design.architecture)) for design in designs[:3]]
    optimizer.tell([*results, Trial(designs[3], error="failed")])
    assert told == [], "SMAC3 is told when it is asked"
    assert optimizer.ask()[0].origin in ("smac", "random")
    largest = max(trial.value or 0.0 for trial in results)
    assert told[:3] == [
        ("SUCCESS", (trial.value or 0.0) / largest, trial.design.architecture) for trial in results
    ]
    assert told[3] == ("CRASHED", 1.0, designs[3].architecture)


def test_the_value_of_an_isomorphic_duplicate_is_told_and_not_evaluated_again(told: Told) -> None:
    optimizer = smac(retrain_after=2)
    run(optimizer, 20)
    assert len({trial.design.architecture for trial in optimizer.told}) == 20
    values = {trial.design.architecture: trial.value for trial in optimizer.told}
    largest = max(value or 0.0 for value in values.values())
    rows = {SPACE.decode(trial.design.row): trial.design.row for trial in optimizer.told}
    assert len(rows) == 20
    duplicates = len(told) - len({(cost, architecture.key) for _, cost, architecture in told})
    assert duplicates > 0
    for status, cost, architecture in told:
        assert status == "SUCCESS"
        assert cost <= 1.0
        assert cost * largest <= (values[architecture] or 0.0) * 1.5


def test_a_fit_serves_as_many_results_as_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphbo.optimizers import smac as module

    made: list[int] = []
    original = module._Challengers

    def spy(optimizer: Any, told: Any, seed: int) -> Any:
        made.append(len(told))
        return original(optimizer, told, seed)

    pytest.importorskip("smac")
    monkeypatch.setattr(module, "_Challengers", spy)
    run(smac(retrain_after=3), 12)
    assert made == [0, 4, 7, 10]


@pytest.mark.slow
def test_it_finds_better_architectures_than_random_search() -> None:
    ours = [min(run(smac(seed=seed), 25)) for seed in range(3)]
    theirs = [min(run(RandomSearch(SPACE, seed=seed), 25)) for seed in range(3)]
    assert sum(ours) < sum(theirs)


@pytest.mark.parametrize(
    "values", [[1e300, -1e300, 0.0, 1.0], [3.0] * 4, [0.0] * 4, [1e-300, 0.0, 1e-300, 0.0], []]
)
def test_values_of_any_size_and_failures_alone_are_fine(values: list[float]) -> None:
    optimizer = smac()
    designs = optimizer.ask(4)
    results = values or [float("nan")] * 4
    optimizer.tell([Trial(d, value=value) for d, value in zip(designs, results, strict=True)])
    assert len(set(optimizer.ask(3))) == 3


@pytest.mark.slow
def test_processes_agree(printed: Callable[[str], list[str]]) -> None:
    """Whatever the hashes of strings, and what was imported before."""
    pytest.importorskip("smac")
    script = (
        "from graphbo.optimizers import make_optimizer\n"
        "from graphbo.spaces import NASBench201Space\n"
        "from graphbo.trial import Trial\n"
        "optimizer = make_optimizer('smac', NASBench201Space(), initial=4, retrain_after=3)\n"
        "for _ in range(9):\n"
        "    (design,) = optimizer.ask()\n"
        "    optimizer.tell(Trial(design, value=float(sum(design.row))))\n"
        "    print(design.row)\n"
    )
    outputs = printed(script)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == 9


def test_nothing_is_written_printed_or_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handlers = list(logging.getLogger().handlers)
    with caplog.at_level(logging.DEBUG):
        run(smac(), 8)
    assert list(tmp_path.iterdir()) == []
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("smac").level == logging.NOTSET
    assert [record for record in caplog.records if record.name.startswith("smac")] == []
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_configurations_that_encode_nothing_are_told_as_crashes() -> None:
    pytest.importorskip("smac")
    space = NASBench101Space()
    optimizer = make_optimizer("smac", space, **QUICK)
    designs = [*optimizer.ask(4)]
    optimizer.tell([Trial(d, value=float(len(d.architecture))) for d in designs])
    more = optimizer.ask(6)
    assert all(design.architecture in space for design in [*designs, *more])
    assert any(design.origin != "random" for design in more)


def test_what_cannot_be_used_is_named() -> None:
    pytest.importorskip("smac")
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()])
    with pytest.raises(InputError, match="no ConfigSpace describes the space pool"):
        make_optimizer("smac", pool)
    for setting in ("initial", "retrain_after", "challengers"):
        with pytest.raises(InputError, match=f"{setting} of smac must be at least 1; got 0"):
            make_optimizer("smac", SPACE, **{setting: 0})


def test_without_the_extra_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "smac", None)
    with pytest.raises(MissingExtraError, match=r"smac is not installed.*'graphbo\[smac\]'"):
        make_optimizer("smac", SPACE)
    command = ["search", "digits-table", "--optimizer", "smac", "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
