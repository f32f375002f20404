"""Study files as they are at one moment, which are read and left as they are."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path


def copied_in_memory(path: Path) -> sqlite3.Connection:
    """Return a copy in memory of a SQLite file, which another process may be writing.

    Writers wait for the moment that copying takes, as they do for any reader.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: If it is not there, cannot be read, or is no SQLite file.
        OSError: If what a killed writer has left cannot be copied.
    """
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        _copy_or_recover(path, memory)
    except BaseException:
        memory.close()
        raise
    return memory


def _copy_or_recover(path: Path, target: sqlite3.Connection) -> None:
    try:
        _copy(path, target, "ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        # A killed writer left a transaction, which is rolled back by writing: here to copies.
        with tempfile.TemporaryDirectory() as folder:
            for file in (path, path.with_name(f"{path.name}-journal")):
                shutil.copyfile(file, Path(folder, file.name))
            _copy(Path(folder, path.name), target, "rw")


def _copy(path: Path, target: sqlite3.Connection, mode: str) -> None:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    source = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
    try:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchall()  # waits until nobody commits
        source.backup(target)
    finally:
        source.close()


def is_locked(path: Path) -> bool | None:
    """Return whether a process of this machine holds a file by ``flock``; None if it is not told.

    The system's list of locks is read, which Linux has; trying the lock could turn away a process
    that takes it at that moment.
    """
    try:
        found = path.stat()
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any({"FLOCK", file} <= set(line.split()) for line in locks.splitlines())
