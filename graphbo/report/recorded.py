"""Studies as their files record them.

Nothing in a study file is trusted: a name in it is never the path of anything, and runs no code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_named_problem, get_problem
from graphbo.snapshot import is_locked
from graphbo.spaces.base import SearchSpace
from graphbo.storage import Ask, Storage
from graphbo.study import Result
from graphbo.trial import Trial

_UNNAMED = "None"  # what a study that has no name of a problem records
_LATEST = 1e11  # seconds since the epoch, in the year 5138
_DAMAGED = "is damaged ({}); restore or remove it"


@dataclass(frozen=True)
class RecordedStudy:
    """A study at one moment.

    Attributes:
        name: The path of the study file, or what else to call it.
        identity: What the study is, by property; see `Storage.identify`.
        optimizer: The optimiser as it was named, with its settings.
        result: The finished trials, and the seconds of the optimiser.
        running: The trials that were proposed and have not finished.
        driven: Whether a search holds the study now; None if that cannot be told.
    """

    name: str
    identity: Mapping[str, str]
    optimizer: str
    result: Result
    running: tuple[Trial, ...] = ()
    driven: bool | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The finished trials, in the order in which they finished."""
        return self.result.trials

    @property
    def objective(self) -> str:
        """The name of what is minimised."""
        return self.identity["objective"]

    @property
    def problem(self) -> str | None:
        """The name of the problem; None if the study has none."""
        name = self.identity["problem"]
        return None if name == _UNNAMED else name


def study_files(path: Path) -> list[Path]:
    """Return the study files that a path stands for.

    Args:
        path: A study file, or the folder of a search or of a comparison.

    Raises:
        InputError: If there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.sqlite")) or sorted(path.glob("runs/*.sqlite"))
    if not found:
        raise InputError(
            f"{path} is no study; give a file such as study.sqlite, or the folder of a search or "
            "of a comparison"
        )
    return found


def study_file(path: Path) -> Path:
    """Return the one study file that a path stands for.

    Args:
        path: A study file, or the folder of a search.

    Raises:
        InputError: If there is none, or there are several.
    """
    found = study_files(path)
    if len(found) > 1:
        raise InputError(f"{path} has {len(found)} studies; name one of them, such as {found[0]}")
    return found[0]


def read_study(path: str | Path) -> RecordedStudy:
    """Return a study as its file is now, which may be in use by a search.

    The file is only read, and no lock of it is taken for longer than a copy takes.

    Args:
        path: A study file.

    Raises:
        InputError: If it is no study that this version reads, or no search has begun in it.
    """
    storage = Storage(path, read_only=True)
    try:
        return recorded(storage, is_locked(Path(path)))
    finally:
        storage.close()


def recorded(storage: Storage, driven: bool | None = None) -> RecordedStudy:
    """Return the study of a storage.

    Args:
        storage: The storage.
        driven: Whether a search holds it.

    Raises:
        InputError: If no search has begun in it, or it is damaged.
    """
    name = "the study" if storage.path is None else str(storage.path)
    identity = storage.identity()
    if not identity:
        raise InputError(f"{name} is empty: no search has begun in it")
    missing = {"problem", "objective", "optimizer", "seed"} - identity.keys()
    if missing:
        raise InputError(f"{name} {_DAMAGED.format(f'it states no {min(missing)}')}")
    if not re.fullmatch(r"[0-9]{1,20}", identity["seed"]):
        raise InputError(f"{name} {_DAMAGED.format('its seed is no whole number')}")
    log = storage.log()
    trials = tuple(entry for entry in log if isinstance(entry, Trial))
    asks = [entry for entry in log if isinstance(entry, Ask)]
    finished = {trial.number for trial in trials}
    running = [t for ask in asks for t in ask.trials if t.number not in finished]
    _check_types(name, [*trials, *running], asks)
    return RecordedStudy(
        name=name,
        identity=identity,
        optimizer=storage.optimizer() or identity["optimizer"],
        result=Result(
            trials, sum(ask.seconds for ask in asks), goals=_goals(name, identity, trials)
        ),
        running=tuple(running),
        driven=driven,
    )


def _goals(name: str, identity: Mapping[str, str], trials: Sequence[Trial]) -> Goals | None:
    """Return what a study is for beyond its first objective, None if there is nothing."""
    try:
        further = json.loads(identity.get("further objectives", "[]"))
        goals = Goals.of(
            [identity["objective"], *map(str, further)],
            list(map(str, json.loads(identity.get("constraints", "[]")))),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} {_DAMAGED.format('its goals cannot be read')}") from error
    if goals.plain:
        return None
    for trial in trials:
        if trial.value is not None and (lacking := goals.missing(trial)) is not None:
            raise InputError(f"{name} {_DAMAGED.format(f'in trial {trial.number} {lacking}')}")
    return goals


def problem_of(
    study: RecordedStudy, problem: str | None = None, data: str | Path | None = None
) -> Problem:
    """Return the problem that a study is of.

    Args:
        study: The study.
        problem: Its name or TOML file, as the user says. By default it is the name in the study,
            but only if that is a name that `list_problems` gives.
        data: The folder of tables and images, or one table; see `get_problem`.

    Raises:
        InputError: If the study names no such problem, or the problem cannot be loaded.
    """
    if problem is not None:
        return get_problem(problem, data)
    if study.problem is None:
        raise InputError(f"{study.name} does not say which problem it is of")
    try:
        return get_named_problem(study.problem, data)
    except InputError as error:
        raise InputError(
            f"the problem that {study.name} names is not known ({error}); say which problem or "
            "TOML file it is with --problem"
        ) from error


def check_space(study: RecordedStudy, space: SearchSpace, called: str) -> None:
    """Refuse a space that the trials of a study are not of.

    Args:
        study: The study.
        space: The space.
        called: What the user calls it, or its problem.

    Raises:
        InputError: If a trial is not of the space.
    """
    for trial in (*study.trials, *study.running):
        if not space.holds(trial.design):
            raise InputError(f"{study.name} is not a study of {called}, whose space is another one")


def _check_types(name: str, trials: Sequence[Trial], asks: Sequence[Ask]) -> None:
    """Refuse entries of other types than a study writes, which SQLite would keep."""
    for trial in trials:
        entries: tuple[tuple[object, type | tuple[type, ...]], ...] = (
            (trial.value, (float, type(None))),
            (trial.number, int),
            (trial.error, (str, type(None))),
            (trial.started, (float, int, type(None))),
            (trial.finished, (float, int, type(None))),
            (trial.design.origin, str),
            (trial.seed, int),
            *((value, (str, int, float)) for value in trial.design.hyperparameters.values()),
            *((entry, int) for entry in trial.design.row),
        )
        for entry, kinds in entries:
            if not isinstance(entry, kinds) or entry in (math.inf, -math.inf):
                what = f"trial {trial.number} has the entry {str(entry)[:40]!r}"
                raise InputError(f"{name} {_DAMAGED.format(what)}")
    if not all(isinstance(ask.seconds, float) and math.isfinite(ask.seconds) for ask in asks):
        raise InputError(f"{name} {_DAMAGED.format('the seconds of an ask are no number')}")
    moments = (moment for trial in trials for moment in (trial.started, trial.finished))
    if not all(0 <= moment < _LATEST for moment in moments if moment is not None):
        raise InputError(f"{name} {_DAMAGED.format('the time of a trial is none')}")
