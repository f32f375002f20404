from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graphbo.architecture import Architecture
from graphbo.comparison import compare
from graphbo.errors import InputError
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.optimizers.registry import file_name
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.spaces import CellSpace
from graphbo.study import Study
from graphbo.trial import Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")
# len is picklable wherever this test lives; the smallest cell has two nodes.
PROBLEM = Problem(
    "toy", SPACE, FunctionEvaluator(len, "validation_error"), optimum=2.0, top_permille=2.0
)


def run(folder: Path, **settings: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"optimizers": ["local-search", "random"], "trials": 6, "seeds": 2}
    return compare(PROBLEM, **arguments | settings, output=folder)


def run_here(folder: Path, optimizer: str, seed: int, trials: int) -> list[Trial]:
    """Make the study file of one run without a process of its own."""
    path = folder / "runs" / f"{optimizer}-{seed:03d}.sqlite"
    study = Study.of(PROBLEM, optimizer, seed=seed, storage=path)
    study.run(trials=trials)
    study.close()
    return study.trials


def test_a_comparison_writes_runs_table_plot_and_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    before = os.environ.get("OMP_NUM_THREADS")
    summary = run(tmp_path, progress=True)
    assert os.environ.get("OMP_NUM_THREADS") == before
    assert "24/24" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "local-search-000.sqlite",
        "local-search-001.sqlite",
        "random-000.sqlite",
        "random-001.sqlite",
    ]
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert (tmp_path / "anytime.png").stat().st_size > 1000
    table = pandas.read_parquet(tmp_path / "evaluations.parquet")
    assert list(table.columns[:3]) == ["optimizer", "seed", "trial"]
    assert len(table) == 2 * 2 * 6
    # Each run is that of a study of its own with that optimiser and seed.
    for optimizer in ("local-search", "random"):
        for seed in (0, 1):
            expected = run_here(tmp_path / "alone", optimizer, seed, 6)
            rows = table[(table["optimizer"] == optimizer) & (table["seed"] == seed)]
            assert [Architecture.from_string(text) for text in rows["architecture"]] == [
                trial.design.architecture for trial in expected
            ]
            assert list(rows["value"]) == [trial.value for trial in expected]


def test_a_finished_comparison_is_not_run_again(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_here(tmp_path, "random", seed, 6)
    times = modification_times(tmp_path)
    summary = run(tmp_path, optimizers=["random"])
    assert modification_times(tmp_path) == times
    assert summary["trials"] == 6
    # A shorter one counts the first trials only.
    shorter = run(tmp_path, optimizers=["random"], trials=3, seeds=1)
    assert modification_times(tmp_path) == times
    assert (shorter["trials"], shorter["seeds"]) == (3, 1)
    assert list(shorter["optimizers"]["random"]["mean_regret"]) == ["3"]


def test_a_longer_comparison_goes_on_from_what_is_stored(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    first = run_here(tmp_path, "random", 0, 4)
    whole = run_here(tmp_path / "alone", "random", 0, 9)
    run(tmp_path, optimizers=["random"], trials=9, seeds=1)
    table = pandas.read_parquet(tmp_path / "evaluations.parquet")
    found = [Architecture.from_string(text) for text in table["architecture"]]
    assert found == [trial.design.architecture for trial in whole]
    assert found[:4] == [trial.design.architecture for trial in first]


def test_optimizers_with_settings_have_files_and_entries_of_their_own(tmp_path: Path) -> None:
    names = ["regularized-evolution:population=3,sample=2", "regularized-evolution"]
    for name in names:
        study = Study.of(PROBLEM, name, storage=tmp_path / "runs" / f"{file_name(name)}-000.sqlite")
        study.run(trials=3)
        study.close()
    times = modification_times(tmp_path)
    summary = run(tmp_path, optimizers=names, trials=3, seeds=1)
    assert list(summary["optimizers"]) == names
    assert modification_times(tmp_path) == times
    assert len(times) == 2


def modification_times(folder: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in sorted((folder / "runs").iterdir())]


def test_another_comparison_in_the_folder_is_refused(tmp_path: Path) -> None:
    run_here(tmp_path, "random", 0, 2)
    other = Problem("other", SPACE, PROBLEM.evaluator)
    with pytest.raises(InputError, match="its problem is toy, not other"):
        compare(other, ["random"], trials=2, seeds=1, output=tmp_path)


@pytest.mark.parametrize("setting", ["trials", "seeds", "jobs"])
def test_a_comparison_of_nothing_is_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{setting} must be .*; got 0"):
        run(tmp_path / "out", **{setting: 0})
    assert not (tmp_path / "out").exists()


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in some background jobs
sys.path.insert(0, {folder!r})
from slow_objective import objective
from graphbo.comparison import compare
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.optimizers.registry import file_name
from graphbo.problems.base import Problem
from graphbo.spaces import CellSpace

if __name__ == "__main__":
    space = CellSpace(4, ["conv", "skip"], on="edges", name="test")
    problem = Problem("toy", space, FunctionEvaluator(objective, "validation_error"))
    compare(problem, ["random"], trials=20, seeds=3, output=sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_stopped_comparison_leaves_no_process_behind_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow_objective.py").write_text(
        "import time\ndef objective(architecture):\n"
        "    time.sleep(0.05)\n    return len(architecture)\n"
    )
    script, output = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT.format(folder=str(tmp_path)))
    command: Sequence[str] = [sys.executable, str(script), str(output)]
    environment = os.environ | {"COMPARISON": str(script)}
    for how, begun in ((signal.SIGINT, 2), (signal.SIGKILL, 3)):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        until(lambda: len(list(output.glob("runs/*.sqlite"))) >= begun)  # noqa: B023
        time.sleep(0.3)
        process.send_signal(how)
        assert process.wait(timeout=20) != 0
        # The workers end too, or the runs would still be in use here.
        until(lambda: not still_running(str(script)))
    assert subprocess.run(command).returncode == 0
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["trials"], summary["seeds"]) == (20, 3)


def still_running(script: str) -> bool:
    processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    for entry in processes:
        try:
            if script.encode() in (entry / "environ").read_bytes():
                return True
        except OSError:
            continue
    return False


def until(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_budget_in_epochs_is_summed_up_over_what_was_spent(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    settings: dict[str, Any] = {"epochs": 40, "seeds": 2, "jobs": 1, "output": tmp_path}
    summary = compare("digits-table", ["hyperband", "random"], **settings)
    (spending,) = summary["spending"]
    assert (spending["unit"], spending["budget"]) == ("epochs", 40)
    assert spending["optimizers"]["hyperband"]["area"] < spending["optimizers"]["random"]["area"]
    assert spending["paired"]["hyperband - random"]["mean"] < 0
    assert (tmp_path / "anytime-epochs.png").stat().st_size > 0
    assert summary["critical_difference"] > 0
    assert set(summary["mean_rank"][str(summary["trials"])]) == {"hyperband", "random"}


def test_a_budget_in_trials_has_no_such_sum(tmp_path: Path) -> None:
    assert run(tmp_path)["spending"] == []


def finished(folder: Path, objective: Sequence[str], constraints: Sequence[str]) -> None:
    """Make the study files of a comparison of two objectives without processes."""
    for seed in range(2):
        path = folder / "runs" / f"random-{seed:03d}.sqlite"
        settings: dict[str, Any] = {"objective": objective, "constraints": constraints}
        study = Study.of(SIZED, "random", seed=seed, storage=path, **settings)
        study.run(trials=8)
        study.close()


def sized(architecture: Architecture) -> dict[str, float]:
    return {"validation_error": 9.0 - len(architecture.edges), "size": float(len(architecture))}


SIZED = Problem("sized", SPACE, FunctionEvaluator(sized, "validation_error"))


def test_several_objectives_are_compared_by_hypervolume(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = ["validation_error", "size"]
    finished(tmp_path, names, ["size<=4"])
    summary = compare(
        SIZED,
        ["random"],
        trials=8,
        seeds=2,
        output=tmp_path,
        objectives=names,
        constraints=["size<=4"],
    )
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["constraints"] == ["size<=4.0"]
    assert 0 < summary["optimizers"]["random"]["hypervolume"]["8"]["mean"] <= 1.21
    for picture in ("hypervolume.png", "fronts.png"):
        assert (tmp_path / picture).stat().st_size > 0
    with pytest.raises(InputError, match="local-search minimises one objective"):
        compare(SIZED, ["local-search"], trials=8, seeds=2, output=tmp_path, objectives=names)


def test_under_constraints_only_what_keeps_them_counts(tmp_path: Path) -> None:
    finished(tmp_path, ["validation_error"], ["size<=3"])
    summary = compare(
        SIZED, ["random"], trials=8, seeds=2, output=tmp_path, constraints=["size<=3"]
    )
    kept = [
        [t.value for t in result.trials if t.value is not None and t.outcomes["size"] <= 3]
        for result in (
            Study.of(
                SIZED,
                "random",
                seed=seed,
                storage=tmp_path / "runs" / f"random-{seed:03d}.sqlite",
                constraints=["size<=3"],
            ).result
            for seed in range(2)
        )
    ]
    regrets = [min(values) - min(map(min, kept)) for values in kept]
    assert summary["optimizers"]["random"]["mean_regret"]["8"] == pytest.approx(sum(regrets) / 2)


def test_a_problem_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    local = Problem("toy", SPACE, FunctionEvaluator(lambda cell: 1.0, "validation_error"))
    with pytest.raises(InputError, match=r"cannot be sent to other processes .* the top of a mod"):
        compare(local, ["random"], trials=3, seeds=1, output=tmp_path)


def test_another_objective_is_compared_with_its_own_optimum(tmp_path: Path) -> None:
    summary = compare(
        "digits-table", ["random"], trials=6, seeds=1, output=tmp_path, objectives=["flops"], jobs=1
    )
    path = tmp_path / "runs" / "random-000.sqlite"
    study = Study.of(get_problem("digits-table"), "random", objective="flops", storage=path)
    found, table = study.result.value, study.evaluator
    study.close()
    lowest = min(table.compute("flops", design) for design in study.space.enumerate())
    assert summary["optimizers"]["random"]["mean_regret"]["6"] == found - lowest
    assert summary["optimizers"]["random"]["found_share"] == float(found == lowest)
