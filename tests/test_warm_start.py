"""Searches that start from another study, from beliefs, or from designs to try first."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import graphbo
from graphbo.architecture import Architecture
from graphbo.cli import main
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.optimizers import GraphBO, make_optimizer
from graphbo.report.status import study_status
from graphbo.spaces import CellSpace, JointSpace
from graphbo.study import Study
from graphbo.surrogates import FromTrials, OperationBelief, weisfeiler_lehman
from graphbo.testing.optimizers import example_hyperparameters
from graphbo.transfer import prior_of_study
from graphbo.trial import Evaluation, Job, Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")
WL = [weisfeiler_lehman(SPACE)]
CELLS = [design.architecture for design in SPACE.enumerate()]


def error(cell: Architecture) -> float:
    return 100.0 / (1 + sum(2 + 3 * (label == "conv") for *_, label in cell.edges))


def other_error(cell: Architecture) -> float:
    return error(cell) + len(cell.edges) % 2


def history(trials: Iterable[Trial]) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.ask, t.design.architecture.key, t.design.row, t.design.origin, t.seed, t.value)
        for t in trials
    ]


def study(optimizer: Any = "random", evaluator: Any = None, **settings: Any) -> Study:
    return Study(SPACE, evaluator or FunctionEvaluator(error), optimizer, **settings)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of the other problem."""
    path = tmp_path_factory.mktemp("other") / "study.sqlite"
    search = study(evaluator=FunctionEvaluator(other_error), storage=path, seed=5)
    search.run(trials=20)
    search.close()
    return path


@pytest.fixture(scope="module")
def prior(source: Path) -> FromTrials:
    return prior_of_study(source, SPACE)


# From the trials of another study -----------------------------------------------------------------


def test_a_search_starts_with_what_was_best_in_the_other_study(
    source: Path, prior: FromTrials
) -> None:
    first = study("graph-bo", prior=prior).run(trials=1).trials[0]
    assert first.design.origin == "prior"
    assert float(prior([first.design.architecture])) == pytest.approx(float(prior(CELLS).min()))
    assert prior.name == prior_of_study(source.parent, SPACE).name, "the folder is the study"


def test_it_goes_on_as_if_it_had_not_been_interrupted(source: Path, tmp_path: Path) -> None:
    def search(path: Path, trials: int) -> list[tuple[Any, ...]]:
        optimizer = GraphBO(SPACE, kernels=WL, prior=prior_of_study(source, SPACE))
        each = study(optimizer, storage=path)
        found = each.run(trials=trials).trials
        each.close()
        return history(found)

    whole = search(tmp_path / "whole.sqlite", 6)
    search(tmp_path / "parts.sqlite", 3)
    assert search(tmp_path / "parts.sqlite", 6) == whole


def test_a_study_goes_on_with_the_same_prior_only(
    source: Path, prior: FromTrials, tmp_path: Path
) -> None:
    path = tmp_path / "study.sqlite"
    study("graph-bo", prior=prior, storage=path).run(trials=1)
    others = [None, OperationBelief(SPACE, {"conv": 1.0}), FromTrials(SPACE, first_ten(source))]
    for other in others:
        with pytest.raises(InputError, match=f"its settings is .*{prior.name}.*, not"):
            study("graph-bo", prior=other, storage=path)
    assert len(study("graph-bo", prior=prior, storage=path).trials) == 1


def first_ten(source: Path) -> list[Trial]:
    search = study(evaluator=FunctionEvaluator(other_error), storage=source, seed=5)
    search.close()
    return search.trials[:10]


def test_a_study_of_another_space_is_refused(source: Path) -> None:
    wider = CellSpace(4, ["conv", "skip", "pool"], on="edges", name="wider")
    with pytest.raises(InputError, match=r"of the space test \(\w+\), not of the space wider \("):
        prior_of_study(source, wider)
    same_name = CellSpace(4, ["conv", "pool"], on="edges", name="test")
    with pytest.raises(InputError, match=r"of the space test \(\w+\), not of the space test \("):
        prior_of_study(source, same_name)


def test_a_study_that_cannot_start_a_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.sqlite"
    study(storage=path).run(trials=3)
    with pytest.raises(InputError, match=r"few.sqlite cannot start a search: .* 5 completed"):
        prior_of_study(path, SPACE)
    joint = JointSpace(SPACE, example_hyperparameters(), "joint")
    both = FunctionEvaluator(lambda cell, _: error(cell), takes="both")
    path = tmp_path / "joint.sqlite"
    Study(joint, both, "random", storage=path).run(trials=6)
    with pytest.raises(InputError, match=r"joint has hyperparameters, too; name designs to try"):
        prior_of_study(path, joint)
    (tmp_path / "broken.sqlite").write_bytes(b"no study" * 1000)
    with pytest.raises(InputError, match="damaged"):
        prior_of_study(tmp_path / "broken.sqlite", SPACE)
    with pytest.raises(InputError, match="is no study"):
        prior_of_study(tmp_path / "none.sqlite", SPACE)


def test_nothing_that_a_study_names_is_opened(
    source: Path, prior: FromTrials, tmp_path: Path
) -> None:
    (tmp_path / "trap.py").write_text(
        f"open({str(tmp_path / 'sprung')!r}, 'w')\ndef f(x): return 0"
    )
    (tmp_path / "trap.toml").write_text(
        'name = "trap"\n[space]\ntype = "cell"\nnodes = 4\noperations = ["conv", "skip"]\n'
        'on = "edges"\n[evaluate]\nfunction = "trap:f"\n'
    )
    path = tmp_path / "study.sqlite"
    path.write_bytes(source.read_bytes())
    with sqlite3.connect(path) as database:
        name = str(tmp_path / "trap.toml")
        database.execute("UPDATE meta SET value = ? WHERE key = 'problem'", (name,))
    database.close()
    assert prior_of_study(path, SPACE).name == prior.name
    assert not (tmp_path / "sprung").exists()
    foreign = Architecture(["input", "strange", "output"], [(0, 1), (1, 2)]).to_string()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE trials SET architecture = ? WHERE number = 3", (foreign,))
    database.close()
    with pytest.raises(InputError, match=r"trial 3 of the prior.* is not of the space test"):
        prior_of_study(path, SPACE)


def test_a_misleading_study_delays_and_does_not_prevent() -> None:
    found = study("random", seed=5).run(trials=20).trials
    negated = [Trial(trial.design, -(trial.value or 0.0)) for trial in found]
    optimizer = GraphBO(SPACE, kernels=WL, prior=FromTrials(SPACE, negated, WL))
    result = study(optimizer).run(trials=6)
    values = sorted(error(cell) for cell in CELLS)
    assert result.trials[0].value is not None
    assert result.trials[0].value > values[len(values) // 2], "misled at first"
    assert result.value <= min(trial.value or 0.0 for trial in found), "and then led by it"


def test_what_takes_no_prior_says_so(prior: FromTrials) -> None:
    for name in ("random", "one-hot-gp", "graph-ehvi"):
        with pytest.raises(InputError, match=f"{name} takes no prior; graph-bo and embedding-bo"):
            study(name, prior=prior)
    with pytest.raises(InputError, match="give it to the graph-bo that you made"):
        study(make_optimizer("graph-bo", SPACE), prior=prior)


def test_minimize_takes_a_belief_and_designs_to_try_first() -> None:
    belief = OperationBelief(SPACE, {"conv": 1.0, "skip": 0.5})
    result = graphbo.minimize(error, SPACE, 3, prior=belief, first=[CELLS[4]])
    assert result.trials[0].design.architecture == CELLS[4]
    assert result.value == min(error(cell) for cell in CELLS), "the belief is right"


# Designs to try first -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random", "local-search", "regularized-evolution", "graph-bo"])
def test_designs_to_try_first_are_told_to_the_optimiser(name: str) -> None:
    first = [CELLS[9], CELLS[4].to_string(), CELLS[20]]
    search = study(name, first=first)
    trials = search.run(trials=6).trials
    assert [t.design.architecture for t in trials[:3]] == [CELLS[9], CELLS[4], CELLS[20]]
    assert {t.design.origin for t in trials[:3]} == {"first"}
    assert [t.design for t in search.optimizer.told] == [t.design for t in trials]
    assert len({t.design for t in trials}) == 6
    assert [t.number for t in trials] == list(range(6))


def test_a_search_with_them_is_resumed_wherever_it_stops(tmp_path: Path) -> None:
    def search(path: Path, trials: int) -> list[tuple[Any, ...]]:
        each = study("regularized-evolution:population=3,sample=2", first=CELLS[3:6], storage=path)
        found = each.run(trials=trials).trials
        each.close()
        return history(found)

    whole = search(tmp_path / "whole.sqlite", 9)
    for trials in (1, 2, 4, 6):
        search(tmp_path / "parts.sqlite", trials)
    assert search(tmp_path / "parts.sqlite", 9) == whole
    assert len(study_status(tmp_path / "parts.sqlite").to_json()) > 0


def test_a_study_goes_on_with_the_same_first_designs_only(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    study(first=CELLS[3:6], storage=path).run(trials=1)
    for other in ([], CELLS[3:5], [CELLS[4], CELLS[3], CELLS[5]]):
        with pytest.raises(InputError, match=r"its first designs is 3 \(\w+\), not"):
            study(first=other, storage=path)
    plain = tmp_path / "plain.sqlite"
    study(storage=plain).run(trials=1)
    with pytest.raises(InputError, match="its first designs is None, not 3"):
        study(first=CELLS[3:6], storage=plain)


def test_workers_do_not_evaluate_them_twice() -> None:
    first = list(SPACE.enumerate())[: len(CELLS) - 3]
    result = study(first=first, workers=3, executor="threads").run(trials=len(CELLS) + 5)
    assert len(result.trials) == len({t.design for t in result.trials}) == len(CELLS)
    assert result.exhausted


class Epochs(Evaluator):
    """Better after more epochs."""

    objectives = ("error",)
    epochs = (1, 3, 9)

    def evaluate_one(self, job: Job) -> Evaluation:
        epochs = job.fidelity.get("epochs", 9)
        return Evaluation({"error": error(job.design.architecture) / epochs}, 1.0)


@pytest.mark.parametrize("name", ["hyperband", "asha", "dehb"])
def test_where_epochs_are_chosen_they_are_trained_fully(name: str, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    Study(SPACE, Epochs(), name, first=CELLS[3:5], storage=path).run(trials=5)
    trials = Study(SPACE, Epochs(), name, first=CELLS[3:5], storage=path).run(trials=30).trials
    assert [t.fidelity["epochs"] for t in trials[:2]] == [9.0, 9.0]
    others = {t.design for t in trials[2:]}
    assert not others & {t.design for t in trials[:2]}
    assert history(trials) == history(
        Study(SPACE, Epochs(), name, first=CELLS[3:5]).run(trials=30).trials
    )


# The command line ---------------------------------------------------------------------------------


def test_the_command_line_starts_from_a_study_and_from_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["search", str(tmp_path / "toy.toml"), *map(str, words)])
        assert stop.value.code == code
        return capsys.readouterr().err

    (tmp_path / "toy_warm.py").write_text(
        "def f(cell):\n    return 10.0 - sum(1 + (label == 'conv') for *_, label in cell.edges)\n"
    )
    (tmp_path / "toy.toml").write_text(
        'name = "toy"\n[space]\ntype = "cell"\nnodes = 4\noperations = ["conv", "skip"]\n'
        'on = "edges"\n[evaluate]\nfunction = "toy_warm:f"\n'
    )
    (tmp_path / "first.json").write_text(json.dumps([CELLS[7].to_string(), CELLS[8].to_string()]))
    monkeypatch.chdir(tmp_path)
    run("--optimizer", "random", "--trials", 8, "--output", "other")
    run("--warm-start", "other", "--first", "first.json", "--trials", 3)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("toy-graph-bo-from-other-")
    database = sqlite3.connect(folder / "study.sqlite")
    origins = [origin for (origin,) in database.execute("SELECT origin FROM trials")]
    database.close()
    assert origins[:2] == ["first", "first"]
    assert len(origins) == 3
    refused = run("--optimizer", "random", "--warm-start", "other", "--trials", 2, code=2)
    assert "random takes no prior" in refused
    (tmp_path / "first.json").write_text('["nothing"]')
    refused = run("--first", "first.json", code=2)
    assert "entry 1 of the first designs, 'nothing', is none of the space" in refused
