from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

from graphbo.errors import InputError
from graphbo.spaces import CellSpace, Design
from graphbo.storage import FORMAT, Ask, Storage
from graphbo.trial import Evaluation, Trial

SPACE = CellSpace(3, ["conv", "skip"], on="edges")
IDENTITY = {"problem": "p", "space": "s", "optimizer": "random", "seed": "0"}


def running(number: int, design: Design, ask: int = 0) -> Trial:
    return Trial(design, number=number, ask=ask, fidelity={"epochs": 3.0}, seed=7, started=2.0)


def finished(trial: Trial, **result: object) -> Trial:
    return Trial(
        trial.design,
        number=trial.number,
        ask=trial.ask,
        fidelity=trial.fidelity,
        seed=trial.seed,
        started=2.0,
        finished=3.0,
        **result,  # type: ignore[arg-type]
    )


def study_file(path: Path) -> Path:
    storage = Storage(path)
    storage.identify(IDENTITY)
    storage.close()
    return path


@pytest.mark.parametrize("place", ["memory", "file"])
def test_the_log_is_what_happened_in_the_order_in_which_it_happened(
    place: str, tmp_path: Path
) -> None:
    designs = [design.described("initial") for design in SPACE.enumerate()[:3]]
    first, second, third = (running(i, d, ask=i // 2) for i, d in enumerate(designs))
    evaluation = Evaluation(
        {"validation_error": 8.5, "test_error": 9.0},
        cost=60.0,
        curve=(50.0, 8.5),
        facts={"epochs": 2.0},
        checkpoint="here.pt",
    )
    failed = finished(second, error="Traceback\nValueError: no")
    completed = finished(first, value=8.5, evaluation=evaluation)

    storage = Storage(None if place == "memory" else tmp_path / "deep" / "study.sqlite")
    storage.identify(IDENTITY)
    storage.add_ask(0, [first, second], seconds=0.5)
    storage.finish(failed)
    storage.add_ask(1, [third], seconds=0.25)
    storage.finish(completed)
    if storage.path is not None:
        storage.close()
        storage = Storage(storage.path)

    log = storage.log()
    assert log == [Ask((first, second), 0.5), failed, Ask((third,), 0.25), completed]
    assert storage.length == len(log)
    stored = log[3]
    assert isinstance(stored, Trial)
    assert stored.design.row == designs[0].row
    assert stored.design.origin == "initial"
    assert stored.design.architecture.edges == designs[0].architecture.edges
    storage.close()


def test_numbers_that_json_does_not_know_survive() -> None:
    storage = Storage()
    storage.identify(IDENTITY)
    trial = running(0, SPACE.enumerate()[0])
    storage.add_ask(0, [trial], 0.0)
    storage.finish(
        finished(
            trial, error="diverged", evaluation=Evaluation({"e": math.nan}, curve=(1.0, math.inf))
        )
    )
    stored = storage.log()[1]
    assert isinstance(stored, Trial)
    assert stored.evaluation is not None
    assert math.isnan(stored.evaluation.objectives["e"])
    assert stored.evaluation.curve == (1.0, math.inf)
    storage.close()


def test_an_ask_that_proposed_nothing_is_part_of_the_log() -> None:
    storage = Storage()
    storage.identify(IDENTITY)
    storage.add_ask(0, [], 0.125)
    assert storage.log() == [Ask((), 0.125)]
    storage.close()


def test_what_an_optimiser_would_have_to_train_again_is_kept(tmp_path: Path) -> None:
    path = study_file(tmp_path / "study.sqlite")
    storage = Storage(path)
    assert storage.memory() == {}
    storage.add_ask(0, [], 0.5, {"strengths": [[0.1, 0.9]]})
    storage.add_ask(1, [], 0.5, {"strengths": [[0.1 + 0.2, 1e-300]]})
    storage.add_ask(2, [], 0.5)
    storage.close()
    storage = Storage(path)
    assert storage.memory() == {"strengths": [[0.1 + 0.2, 1e-300]]}
    assert storage.identity() == IDENTITY
    storage.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = '[1' WHERE key LIKE 'memory%'")
    with pytest.raises(InputError, match="damaged"):
        Storage(path).memory()


@pytest.mark.parametrize("key", list(IDENTITY))
def test_another_study_is_refused_by_the_property_that_differs(key: str, tmp_path: Path) -> None:
    storage = Storage(study_file(tmp_path / "study.sqlite"))
    storage.identify(IDENTITY)
    with pytest.raises(InputError, match=f"its {key} is {IDENTITY[key]}, not other"):
        storage.identify(IDENTITY | {key: "other"})
    storage.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    path.write_text("this is a text and certainly no database" * 100)
    with pytest.raises(InputError, match="not a study file, or is damaged"):
        Storage(path)
    assert path.read_text().startswith("this is a text")


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE birds (name TEXT)")
    database.close()
    with pytest.raises(InputError, match="not a study of graphbo"):
        Storage(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = study_file(tmp_path / "study.sqlite")
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    with pytest.raises(InputError, match="newer graphbo"):
        Storage(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    storage = Storage(path)
    storage.identify(IDENTITY)
    trials = [running(i, design) for i, design in enumerate(SPACE.enumerate())]
    storage.add_ask(0, trials, 0.0)
    storage.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        Storage(path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trials SET architecture = 'nonsense'",
        "UPDATE trials SET design = '['",
        "UPDATE trials SET ask = 5",
    ],
)
def test_damaged_entries_are_refused(damage: str, tmp_path: Path) -> None:
    path = study_file(tmp_path / "study.sqlite")
    storage = Storage(path)
    storage.add_ask(0, [running(0, SPACE.enumerate()[0])], 0.0)
    storage.close()
    database = sqlite3.connect(path)
    database.execute(damage)
    database.commit()
    database.close()
    storage = Storage(path)
    with pytest.raises(InputError, match="damaged"):
        storage.log()
    storage.close()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Storage(tmp_path)


def test_a_place_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used"):
        Storage(tmp_path / "file" / "study.sqlite")


def test_one_driver_holds_a_study_and_others_may_read(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = study_file(tmp_path / "study.sqlite")
    holder, other = Storage(path), Storage(path)
    trial = running(0, SPACE.enumerate()[0])
    with holder.exclusive():
        with pytest.raises(InputError, match="in use by another running search"), other.exclusive():
            pass
        holder.add_ask(0, [trial], 0.0)
        assert other.log() == [Ask((trial,), 0.0)]
    with other.exclusive():
        pass
    holder.close()
    other.close()


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER t AFTER UPDATE ON trials BEGIN DELETE FROM asks; END",
        "ALTER TABLE trials RENAME TO real; CREATE VIEW trials AS WITH RECURSIVE endless(i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM endless) SELECT * FROM real, endless",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
    ],
)
def test_a_file_with_statements_of_its_own_is_refused_before_they_run(
    planted: str, tmp_path: Path
) -> None:
    path = study_file(tmp_path / "study.sqlite")
    with sqlite3.connect(path) as database:
        database.executescript(planted)
    database.close()
    with pytest.raises(InputError, match="is not a study file, or is damaged"):
        Storage(path)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("evaluation", '{"objectives": {}, "cost": 0, "curve": [], "facts": {}, "checkpoint": 5}'),
        ("evaluation", "[" * 100_000),
        ("design", "[" * 100_000),
        ("architecture", '{"nodes":' + "[" * 100_000),
    ],
)
def test_entries_that_are_built_to_break_the_reader_are_one_clear_line(
    column: str, text: str, tmp_path: Path
) -> None:
    storage = Storage(study_file(tmp_path / "study.sqlite"))
    trial = running(0, SPACE.enumerate()[0])
    storage.add_ask(0, [trial], seconds=0.0)
    storage.finish(finished(trial, value=1.0, evaluation=Evaluation({"error": 1.0})))
    storage.close()
    with sqlite3.connect(tmp_path / "study.sqlite") as database:
        database.execute(f"UPDATE trials SET {column} = ?", (text,))
    database.close()
    with pytest.raises(InputError, match="is damaged"):
        Storage(tmp_path / "study.sqlite").log()


def test_the_length_is_the_number_of_asks_and_finished_trials() -> None:
    storage = Storage()
    storage.identify(IDENTITY)
    lengths = [storage.length]
    trials = [running(i, design, ask=i) for i, design in enumerate(SPACE.enumerate()[:3])]
    for trial in trials:
        storage.add_ask(trial.number, [trial], seconds=0.0)
        lengths.append(storage.length)
    for trial in trials[:2]:
        storage.finish(finished(trial, value=1.0))
        lengths.append(storage.length)
    assert lengths == [0, 1, 2, 3, 4, 5] == [*range(len(storage.log()) + 1)]
