"""A study that is watched does not notice."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from graphbo import CellSpace, FunctionEvaluator, Study
from graphbo.errors import InputError
from graphbo.snapshot import is_locked
from graphbo.storage import Storage

SPACE = CellSpace(3, ["conv", "skip"], on="edges")


def study(path: Path) -> Study:
    evaluator = FunctionEvaluator(lambda cell: float(len(cell.edges)))
    return Study(SPACE, evaluator, "random", storage=path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = study(tmp_path / "study?#%.sqlite")
    made.run(trials=3)
    made.close()
    return tmp_path / "study?#%.sqlite"


def test_reading_leaves_the_file_and_its_folder_as_they_are(file: Path) -> None:
    before = file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir())
    storage = Storage(file, read_only=True)
    assert storage.length == 4 + 2
    assert storage.identity()["optimizer"] == "random"
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir())) == before


def test_a_snapshot_stays_as_it_was_while_the_search_goes_on(file: Path) -> None:
    storage = Storage(file, read_only=True)
    going_on = study(file)
    going_on.run(trials=5)
    assert len(storage.log()) == 6
    assert len(Storage(file, read_only=True).log()) == 10
    going_on.close()


def test_reading_waits_for_a_writer_in_the_middle_of_a_commit(file: Path) -> None:
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    end = threading.Timer(0.3, writer.execute, ["ROLLBACK"])
    end.start()
    assert len(Storage(file, read_only=True).log()) == 6
    end.join()
    writer.close()


def test_what_a_killed_writer_left_is_read_as_if_it_had_not_begun(file: Path) -> None:
    script = (
        "import os, sqlite3, sys\n"
        "file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('PRAGMA cache_size = 1')\n"
        "file.execute('BEGIN IMMEDIATE')\n"
        "file.executemany('INSERT INTO meta VALUES (?, ?)', ((i, 'x' * 999) for i in range(99)))\n"
        "file.execute('DELETE FROM trials')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(file)])
    journal = file.with_name(f"{file.name}-journal")
    before = file.read_bytes(), journal.read_bytes()
    assert len(Storage(file, read_only=True).log()) == 6
    assert (file.read_bytes(), journal.read_bytes()) == before


def test_nothing_is_made_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Storage(tmp_path / "deep" / "none.sqlite", read_only=True)
    assert not (tmp_path / "deep").exists()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system lists no locks")
def test_a_driver_is_seen_and_not_disturbed(file: Path) -> None:
    assert is_locked(file) is False
    driver = study(file)
    seen: list[bool | None] = []
    driver.run(trials=5, callback=lambda _: seen.append(is_locked(file)))
    assert seen == [True, True]
    assert is_locked(file) is False
    driver.close()


def test_a_file_that_is_not_there_is_not_known_to_be_locked(tmp_path: Path) -> None:
    assert is_locked(tmp_path / "none") is None
