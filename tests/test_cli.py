from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from graphbo import __version__
from graphbo.cli import main

MODULE = """
def objective(architecture):
    {check}
    return 10.0 + sum(1 + (label == "skip") for *_, label in architecture.edges)
"""
PROBLEM = """
name = "toy"
trials = 7
[space]
type = "cell"
nodes = 4
operations = ["conv3x3", "skip"]
on = "edges"
[evaluate]
function = "toy_module_{name}:objective"
objective = "validation_error"
"""


def problem_file(folder: Path, name: str = "good", check: str = "pass") -> str:
    (folder / f"toy_module_{name}.py").write_text(MODULE.format(check=check))
    path = folder / f"{name}.toml"
    path.write_text(PROBLEM.format(name=name))
    return str(path)


@pytest.fixture
def toy(tmp_path: Path) -> str:
    return problem_file(tmp_path)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail, and return its one line."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    assert stop.value.code == 2
    assert "Traceback" not in shown.err
    message = shown.err.strip()
    assert message.startswith("graphbo: ")
    assert "\n" not in message
    return message


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 0


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, graphbo\n"
        "from graphbo.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'gpytorch', 'botorch', 'torch_geometric', 'ConfigSpace', 'matplotlib',\n"
        "         'pandas', 'scipy', 'sklearn', 'networkx', 'numpy'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout
    for command in ("search", "compare", "pretrain", "list"):
        assert command in done.stdout


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "graphbo", "--version"]
    assert subprocess.check_output(command, text=True).strip() == __version__


def test_search_prints_and_draws_the_best_and_goes_on(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    arguments = ["search", toy, "--optimizer", "random", "--output", folder]
    run(*arguments)
    first = capsys.readouterr()
    assert "Best of 7 architectures" in first.out
    assert "input" in first.out
    assert "validation error" in first.out
    assert "7/7" in first.err
    for name in ("study.sqlite", "regret.png", "architecture.png"):
        assert (folder / name).stat().st_size > 0
    run(*arguments, "--trials", 12)
    assert "Best of 12 architectures" in capsys.readouterr().out
    with sqlite3.connect(folder / "study.sqlite") as database:
        trials = database.execute("SELECT count(*) FROM trials WHERE event NOTNULL").fetchone()
    database.close()
    assert trials == (12,)


SIZED = """
def objective(architecture):
    skips = sum(label == "skip" for *_, label in architecture.edges)
    return {"validation_error": 20.0 - skips, "size": float(len(architecture.edges)) + skips}
"""


@pytest.fixture
def sized(tmp_path: Path) -> str:
    """A problem that reports a size beside its error."""
    path = problem_file(tmp_path, "sized")
    (tmp_path / "toy_module_sized.py").write_text(SIZED)
    return path


def test_search_prints_and_draws_a_front(
    sized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", sized, "--optimizer", "nsga2", "--trials", 12]
    arguments += ["--objectives", "validation_error, size", "--output", tmp_path / "front"]
    run(*arguments, "--constraint", "size<=10")
    shown = capsys.readouterr().out
    assert "of 12 trials" in shown
    assert "size" in shown
    assert (tmp_path / "front" / "front.png").stat().st_size > 0
    assert "another study: its constraints" in error_of(capsys, *arguments)


def test_search_under_constraints_prints_what_they_bound(
    sized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", sized, "--optimizer", "random", "--trials", 5, "--output"]
    run(*arguments, tmp_path / "a", "--constraint", "size<=90", "--constraint", "size>=0")
    assert "size" in capsys.readouterr().out
    run(*arguments, tmp_path / "b", "--constraint", "size<=-1")
    assert "None of 5 trials keeps size<=-1.0" in capsys.readouterr().out


def test_search_without_output_writes_into_runs(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    run("search", toy, "--optimizer", "random", "--trials", 3, "--seed", 4)
    assert [path.name for path in (here / "runs").iterdir()] == ["toy-random-4"]
    assert (here / "runs" / "toy-random-4" / "study.sqlite").exists()


def test_search_tells_of_failed_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = problem_file(tmp_path, "broken", "raise RuntimeError('no disk')")
    run("search", broken, "--optimizer", "random", "--trials", 3, "--output", tmp_path / "out")
    shown = capsys.readouterr().out
    assert "3 of 3 trials failed" in shown
    assert "RuntimeError: no disk" in shown
    assert "No architecture was evaluated successfully" in shown


def test_search_says_that_nothing_was_trained_fully(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--optimizer", "hyperband", "--trials", "3", "--output", str(tmp_path / "run")]
    run("search", "digits-table", *arguments)
    printed = capsys.readouterr().out
    assert "after 1 of 9 epochs: nothing was trained fully" in printed
    assert "above the optimum" not in printed


def test_search_takes_a_budget_in_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = problem_file(tmp_path, "slow", "__import__('time').sleep(0.05)")
    run("search", slow, "--optimizer", "random", "--budget-seconds", 0.2, "--output", tmp_path)
    assert "Best of 4 architectures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "budget of trials must be greater than 0"),
        (["--optimizer", "graph-boo"], "graph-bo"),
        (["--seed", "-1"], "seed"),
        (["--batch", "0"], "batch"),
        (["--budget-seconds", "0"], "budget of seconds"),
    ],
)
def test_search_refuses_bad_settings_in_one_line(
    arguments: list[str], message: str, toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, "search", toy, *arguments)


def test_search_refuses_unknown_problems_and_missing_tables_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "digits" in error_of(capsys, "search", "digit")
    assert "nasbench201.npz" in error_of(
        capsys, "search", "nasbench201-cifar10", "--data", tmp_path
    )
    assert "does not exist" in error_of(capsys, "search", "nasbench101", "--data", "/nowhere")


def test_search_refuses_files_that_are_not_its_study_in_one_line(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    arguments = ["search", toy, "--optimizer", "random", "--trials", 2, "--output"]
    run(*arguments, folder)
    capsys.readouterr()
    assert "seed is 0, not 1" in error_of(capsys, *arguments, folder, "--seed", 1)
    (folder / "study.sqlite").write_bytes(b"garbage" * 1000)
    assert "damaged" in error_of(capsys, *arguments, folder)
    (tmp_path / "file").touch()
    assert "cannot be used" in error_of(capsys, *arguments, tmp_path / "file")


def test_usage_errors_exit_with_2(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["search"], ["search", toy, "--trials", "many"], ["seek"], []):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_compare_prints_a_table_and_writes_its_files(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, evolution = tmp_path / "out", "regularized-evolution:population=3,sample=2"
    run(
        *("compare", toy, "--optimizers", f"local-search, {evolution}", "--trials", 6),
        *("--seeds", 2, "--output", folder),
    )
    shown = capsys.readouterr().out
    assert "toy: 6 trials, 2 seeds" in shown
    assert "Regret of local-search minus that of the others" in shown
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary["optimizers"]) == ["local-search", evolution]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "seeds must be at least 1"),
        (["--trials", "0"], "budget of trials must be greater than 0"),
        (["--jobs", "0"], "jobs must be at least 1"),
        (["--optimizers", "random,locl-search"], "local-search"),
        (["--optimizers", " , "], "at least one optimiser"),
    ],
)
def test_compare_refuses_bad_settings_in_one_line(
    arguments: list[str],
    message: str,
    toy: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    assert message in error_of(capsys, "compare", toy, "--output", output, *arguments)
    assert not output.exists()


def test_list_names_problems_and_optimisers(capsys: pytest.CaptureFixture[str]) -> None:
    run("list")
    shown = capsys.readouterr().out
    for name in (
        "digits",
        "graph-bo",
        "embedding-bo",
        "random",
        "regularized-evolution",
        "local-search",
    ):
        assert name in shown
