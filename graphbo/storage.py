"""Studies on disk: one SQLite file each, committed after every trial."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.snapshot import copied_in_memory
from graphbo.spaces.base import Design
from graphbo.trial import Evaluation, Trial

FORMAT = 2
_APPLICATION = 0x67726162  # "grab": marks a SQLite file as a study of graphbo
_MEMORY = "memory of the optimiser"
_NAMED = "optimiser as it was named"
_UNUSUAL = (
    "further objectives",
    "constraints",
    "first designs",
)  # properties that only some studies have
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE asks (number INTEGER PRIMARY KEY, event INTEGER NOT NULL UNIQUE,"
    " seconds REAL NOT NULL)",
    "CREATE TABLE trials (number INTEGER PRIMARY KEY, ask INTEGER NOT NULL REFERENCES asks(number),"
    " design TEXT NOT NULL, architecture TEXT NOT NULL, origin TEXT NOT NULL,"
    " fidelity TEXT NOT NULL, seed INTEGER NOT NULL, started REAL, event INTEGER UNIQUE,"
    " finished REAL, value REAL, error TEXT, evaluation TEXT, attempts INTEGER)",
)
_NO_ATTEMPTS = 1  # the last format without that column


@dataclass(frozen=True)
class Ask:
    """One ask of the log.

    Attributes:
        trials: What was proposed, as running trials.
        seconds: What the optimiser took for it, with the tells since the ask before.
    """

    trials: tuple[Trial, ...]
    seconds: float


class Storage:
    """The log of a study: its asks and its finished trials, in order.

    Every write is one transaction that has reached the disk when the method returns, so that a
    killed process loses nothing but what was running.

    Args:
        path: The file, made if it is not there; None or ``":memory:"`` keeps the log in memory.
        read_only: Whether to read the file as it is now, and to leave it as it is.

    Raises:
        InputError: If the file cannot be opened, or is not a study that this version reads.
    """

    def __init__(self, path: str | Path | None = None, *, read_only: bool = False) -> None:
        self.path = None if path in (None, ":memory:") else Path(str(path))
        with self._readable():
            if self.path is not None and read_only:
                self._database = copied_in_memory(self.path)
            else:
                if self.path is not None:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(
                    self.path or ":memory:",
                    isolation_level=None,
                    timeout=30,
                    check_same_thread=False,  # another thread may collect a study as garbage
                )
            weakref.finalize(self, self._database.close)
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA trusted_schema = OFF")
            self._version = self._check_format()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # What the study is ----------------------------------------------------------------------

    def identify(self, identity: Mapping[str, str], optimizer: str | None = None) -> None:
        """Make this the log of a study, or check that it already is.

        Args:
            identity: What must agree for a study to be continued: name of the property to value.
            optimizer: The name that the optimiser was made from, to be kept with a new study.

        Raises:
            InputError: If the file holds another study; the message says which property differs.
        """
        with self._readable():
            stored = self.identity()
            if not stored:
                named = {} if optimizer is None else {_NAMED: optimizer}
                self._create({**identity, **named})
                return
        for key in dict.fromkeys([*identity, *(key for key in _UNUSUAL if key in stored)]):
            if stored.get(key) != identity.get(key):
                raise InputError(
                    f"{self.path} holds another study: its {key} is {stored.get(key)}, "
                    f"not {identity.get(key)};"
                    " choose another file or folder"
                )

    def identity(self) -> dict[str, str]:
        """Return what `identify` stored; empty for a new file."""
        with self._readable():
            if not self._database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                return {}
            query = "SELECT key, value FROM meta WHERE key NOT IN (?, ?)"
            return dict(self._database.execute(query, (_MEMORY, _NAMED)))

    def optimizer(self) -> str | None:
        """Return the name that the optimiser was made from, with settings; None for a new file.

        If it was not made from a name, it is the one that it has, without settings.
        """
        identity = self.identity()
        with self._readable():
            if not identity:
                return None
            query = "SELECT value FROM meta WHERE key = ?"
            found = self._database.execute(query, (_NAMED,)).fetchone()
            return str(found[0]) if found else identity.get("optimizer")

    def memory(self) -> dict[str, Any]:
        """Return what the optimiser has stored with its asks so far.

        Raises:
            InputError: If the file is damaged.
        """
        with self._readable():
            query = "SELECT value FROM meta WHERE key = ?"
            found = self._database.execute(query, (_MEMORY,)).fetchone()
            return {} if found is None else dict(json.loads(found[0]))

    # The log --------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """The number of asks and finished trials."""
        query = (
            "SELECT (SELECT count(*) FROM asks) + (SELECT count(*) FROM trials WHERE event NOTNULL)"
        )
        with self._readable():
            return int(self._database.execute(query).fetchone()[0])

    def next_event(self) -> int:
        """Return a number that comes after those of all events of the log; there may be gaps."""
        query = (
            "SELECT 1 + max(coalesce((SELECT max(event) FROM asks), -1),"
            " coalesce((SELECT max(event) FROM trials), -1))"
        )
        with self._readable():
            return int(self._database.execute(query).fetchone()[0])

    def add_ask(
        self,
        number: int,
        trials: Sequence[Trial],
        seconds: float,
        memory: Mapping[str, Any] | None = None,
        event: int | None = None,
    ) -> None:
        """Store an ask, and what it proposed as running trials.

        Args:
            number: The number of the ask, from 0.
            trials: One for each proposed design.
            seconds: What the optimiser took.
            memory: What it would have to train again, as JSON values.
            event: Its place in the log; by default the last.

        Raises:
            InputError: If the file cannot be written, such as when the disk is full.
        """
        event = self.next_event() if event is None else event
        with self._transaction():
            if memory:
                self._database.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MEMORY, json.dumps(memory))
                )
            self._database.execute("INSERT INTO asks VALUES (?, ?, ?)", (number, event, seconds))
            self._database.executemany(
                "INSERT INTO trials (number, ask, design, architecture, origin, fidelity, seed,"
                " started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        trial.number,
                        number,
                        _design_to_text(trial.design),
                        trial.design.architecture.to_string(),
                        trial.design.origin,
                        json.dumps(_numbers(trial.fidelity)),
                        trial.seed,
                        trial.started,
                    )
                    for trial in trials
                ],
            )

    def finish(self, trial: Trial, event: int | None = None) -> None:
        """Store the result of a running trial.

        Args:
            trial: The trial.
            event: Its place in the log; by default the last.

        Raises:
            InputError: If the file cannot be written, such as when the disk is full.
        """
        evaluation = trial.evaluation
        event = self.next_event() if event is None else event
        with self._transaction():
            self._database.execute(
                "UPDATE trials SET event = ?, started = ?, finished = ?, value = ?, error = ?,"
                " evaluation = ?, attempts = ? WHERE number = ?",
                (
                    event,
                    trial.started,
                    trial.finished,
                    trial.value,
                    trial.error,
                    None if evaluation is None else evaluation_to_text(evaluation),
                    trial.attempts,
                    trial.number,
                ),
            )

    def log(self) -> list[Ask | Trial]:
        """Return every ask and every finished trial, in the order in which they happened.

        Raises:
            InputError: If the file is damaged.
        """
        with self._readable():
            asks = self._database.execute("SELECT number, event, seconds FROM asks").fetchall()
            attempts = "attempts" if self._version > _NO_ATTEMPTS else "1"
            rows = self._database.execute(
                "SELECT number, ask, design, architecture, origin, fidelity, seed, started, event,"
                f" finished, value, error, evaluation, {attempts} FROM trials ORDER BY number"
            ).fetchall()
            proposed: dict[int, list[Trial]] = {number: [] for number, _, _ in asks}
            events: dict[int, Ask | Trial] = {}
            for row in rows:
                running, finished = _trials_from_row(row)
                proposed[running.ask].append(running)
                if finished is not None:
                    events[row[8]] = finished
            for number, event, seconds in asks:
                events[event] = Ask(tuple(proposed[number]), seconds)
            return [events[event] for event in sorted(events)]

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the study for one driver; the operating system lets go of it if it is killed.

        Where the platform has no ``flock`` nothing is held.

        Raises:
            InputError: If another driver holds it.
        """
        try:
            import fcntl
        except ImportError:
            fcntl = None  # type: ignore[assignment]
        if fcntl is None or self.path is None:
            self._upgrade()
            yield
            return
        # flock does not meet SQLite's own (POSIX) locks, so that others can read meanwhile.
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"{self.path} is in use by another running search; wait for it or stop it"
                ) from error
            self._upgrade()
            yield

    # Inside ---------------------------------------------------------------------------------

    def _create(self, identity: Mapping[str, str]) -> None:
        with self._transaction():
            for statement in _SCHEMA:
                self._database.execute(statement)
            self._database.executemany("INSERT INTO meta VALUES (?, ?)", identity.items())
            self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute(f"PRAGMA user_version = {FORMAT}")
        self._version = FORMAT

    def _upgrade(self) -> None:
        """Give an older file the columns that this version writes."""
        if self._version == FORMAT:
            return
        with self._transaction():
            self._database.execute("ALTER TABLE trials ADD COLUMN attempts INTEGER")
            self._database.execute("UPDATE trials SET attempts = 1 WHERE event NOTNULL")
            self._database.execute(f"PRAGMA user_version = {FORMAT}")
        self._version = FORMAT

    def _check_format(self) -> int:
        """Return the format of the file."""
        self._database.execute("PRAGMA schema_version")  # fails if this is not a SQLite file
        application = self._database.execute("PRAGMA application_id").fetchone()[0]
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        empty = not self._database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if empty and not application:
            return FORMAT
        if application != _APPLICATION:
            raise InputError(f"{self.path} is a SQLite file, but not a study of graphbo")
        if version > FORMAT:
            raise InputError(
                f"{self.path} was written by a newer graphbo (format {version}, this version reads"
                f" up to {FORMAT}); upgrade graphbo"
            )
        # Triggers, views and virtual tables would run what a stranger wrote into the file.
        strange = self._database.execute(
            "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
            " OR sql LIKE '%VIRTUAL%' LIMIT 1"
        ).fetchone()
        if strange:
            raise sqlite3.DatabaseError("it holds the {} {!r}".format(*strange))
        problem = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        return int(version)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:  # SQLite has ended it itself on some errors
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise InputError(
                    f"the study file {self.path} cannot be written ({error}); what it holds is "
                    "safe, and the search goes on from there once it can"
                ) from error
            raise

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what a file that is no sound study raises into one clear line."""
        try:
            yield
        except InputError:
            raise
        except (sqlite3.OperationalError, OSError) as error:
            raise InputError(f"the study file {self.path} cannot be used: {error}") from error
        except sqlite3.ProgrammingError as error:
            raise InputError(
                f"the study {self.path or 'in memory'} was closed; open it again to go on"
            ) from error
        except (
            sqlite3.DatabaseError, ValueError, KeyError, TypeError, AttributeError, RecursionError
        ) as error:  # fmt: skip
            raise InputError(
                f"{self.path} is not a study file, or is damaged ({error}); restore or remove it"
            ) from error


def _trials_from_row(row: Sequence[Any]) -> tuple[Trial, Trial | None]:
    """Return the trial as it was proposed, and as it finished if it has."""
    number, ask, design, architecture, origin, fidelity, seed, started = row[:8]
    event, finished, value, error, evaluation, attempts = row[8:]
    proposal = Trial(
        _design_from_text(design, Architecture.from_string(architecture), origin),
        number=number,
        ask=ask,
        fidelity=_numbers(json.loads(fidelity)),
        seed=seed,
        started=started,
    )
    if event is None:
        return proposal, None
    return proposal, Trial(
        proposal.design,
        value=value,
        error=error,
        evaluation=None if evaluation is None else _evaluation_from_text(evaluation),
        number=number,
        ask=ask,
        fidelity=proposal.fidelity,
        seed=seed,
        started=started,
        finished=finished,
        attempts=int(attempts),
    )


def _design_to_text(design: Design) -> str:
    """Return the row of a design, with its hyperparameters if it has any."""
    if not design.hyperparameters:
        return json.dumps(design.row)
    return json.dumps({"row": design.row, "hyperparameters": dict(design.hyperparameters)})


def _design_from_text(text: str, architecture: Architecture, origin: str) -> Design:
    content = json.loads(text)
    if isinstance(content, list):
        return Design(architecture, tuple(content), origin)
    row, values = tuple(content["row"]), content["hyperparameters"]
    return Design(architecture, row, origin, hyperparameters=values)


def evaluation_to_text(evaluation: Evaluation) -> str:
    """Return the JSON text that a study file keeps.

    Raises:
        TypeError: If an entry is not a number; a ``ValueError`` if it is a text that is none.
    """

    def plain(value: float) -> float | str:
        value = float(value)
        # JSON knows neither NaN nor infinity; float() reads their names back.
        return value if value - value == 0.0 else str(value)

    return json.dumps(
        {
            "objectives": {name: plain(value) for name, value in evaluation.objectives.items()},
            "cost": plain(evaluation.cost),
            "curve": [plain(value) for value in evaluation.curve],
            "facts": {name: plain(value) for name, value in evaluation.facts.items()},
            "checkpoint": evaluation.checkpoint,
        },
        allow_nan=False,
    )


def _evaluation_from_text(text: str) -> Evaluation:
    content = json.loads(text)
    if not isinstance(content["checkpoint"], str | None):
        raise TypeError("a checkpoint is not a text")
    return Evaluation(
        objectives=_numbers(content["objectives"]),
        cost=float(content["cost"]),
        curve=tuple(float(value) for value in content["curve"]),
        facts=_numbers(content["facts"]),
        checkpoint=content["checkpoint"],
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def begun_with(path: str | Path | None) -> str | None:
    """Return the name of the optimiser that a study file was begun with, None if there is none.

    Raises:
        InputError: If the file is there, and is no study that this version reads.
    """
    if path is None or not Path(path).exists():
        return None
    storage = Storage(path)
    try:
        return storage.optimizer()
    finally:
        storage.close()
