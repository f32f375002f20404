"""Where a study stands, while it runs or after."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphbo.budget import Spending
from graphbo.report.progress import describe, quantity
from graphbo.report.recorded import RecordedStudy, read_study, study_file
from graphbo.report.summary import finite
from graphbo.trial import Trial

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True)
class StudyStatus:
    """Where a study stands.

    Attributes:
        study: What its file records.
        seconds: Seconds of evaluation, as a budget counts them.
        epochs: Epochs of training, as a budget counts them.
        incumbent: The best trial, as in `Result.best`; None if there is none yet.
        since: When the incumbent was stored, in seconds since the epoch.
        last_error: The last line of the last traceback, if a trial failed.
    """

    study: RecordedStudy
    seconds: float
    epochs: float
    incumbent: Trial | None
    since: float | None
    last_error: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the status as plain values: what cannot be known is None."""
        study, best = self.study, self.incumbent
        trials = study.trials
        starts = [t.started for t in (*trials, *study.running) if t.started is not None]
        ends = [t.finished for t in trials if t.finished is not None]
        count = len(trials)
        return {
            "study": study.name,
            "problem": study.problem,
            "optimizer": study.optimizer,
            "seed": int(study.identity["seed"]),
            "objective": study.objective,
            **_goals(study),
            "driven": study.driven,
            "completed": count - study.result.failed,
            "failed": study.result.failed,
            "running": len(study.running),
            "incumbent": None if best is None else _incumbent(best, self.since),
            "started": min(starts, default=None),
            "last_finished": max(ends, default=None),
            "seconds": finite(self.seconds),
            "epochs": finite(self.epochs),
            "evaluator_seconds_per_trial": finite(self.seconds / count) if count else None,
            "optimizer_seconds_per_trial": (
                study.result.optimizer_seconds / count if count else None
            ),
            "last_error": self.last_error,
        }

    def __str__(self) -> str:
        """Return the status as lines for people."""
        facts, now = self.to_json(), time.time()
        driven = {True: "a search holds it now", False: "no search holds it now", None: "unknown"}
        waiting = " (or interrupted)" if facts["driven"] is None else ""
        waiting = " when it was interrupted" if facts["driven"] is False else waiting
        lines = {
            "study": f"{facts['study']}: {driven[facts['driven']]}",
            "problem": facts["problem"] or "one without a name",
            "optimiser": f"{facts['optimizer']}, seed {facts['seed']}",
            "trials": f"{facts['completed']} completed, {facts['failed']} failed, "
            f"{facts['running']} running{waiting if facts['running'] else ''}",
            "started": _ago(facts["started"], now),
            "last result": _ago(facts["last_finished"], now),
            "spent": f"{duration(self.seconds)} of evaluation"
            + (f", {self.epochs:.6g} epochs" if self.epochs else ""),
        }
        if facts["evaluator_seconds_per_trial"] is not None:
            evaluator, optimizer = (
                duration(facts[f"{part}_seconds_per_trial"]) for part in ("evaluator", "optimizer")
            )
            lines["per trial"] = f"{evaluator} evaluator, {optimizer} optimiser"
        if self.last_error is not None:
            lines["last error"] = self.last_error
        best = self.incumbent
        if best is not None and best.value is not None:
            found = f"trial {best.number + 1}, found {_ago(self.since, now)}"
            lines["incumbent"] = f"{quantity(self.study.objective, best.value)} ({found})"
        width = max(map(len, lines))
        text = [f"{name:{width}}  {printable(line)}" for name, line in lines.items()]
        if best is not None:
            text += ["", *(f"  {printable(line)}" for line in contents(best))]
        return "\n".join(text)


def study_status(study: str | Path | RecordedStudy) -> StudyStatus:
    """Return where a study stands; a search may be writing its file meanwhile.

    Args:
        study: A study file, the folder of a search, or what `read_study` returns.

    Raises:
        InputError: If the file is no study, or no search has begun in it.
    """
    if not isinstance(study, RecordedStudy):
        study = read_study(study_file(Path(study)))
    spending = Spending()
    for trial in study.trials:
        spending.add(trial)
    best = study.result.best if study.result.front else None
    error = next((trial.error for trial in reversed(study.trials) if trial.error), None)
    return StudyStatus(
        study,
        seconds=spending.seconds,
        epochs=spending.epochs,
        incumbent=best,
        since=None if best is None else best.finished,
        last_error=None if error is None else last_line(error),
    )


def contents(trial: Trial) -> list[str]:
    """Return what a trial evaluated as lines of text: its operations and hyperparameters."""
    lines = describe(trial.design.architecture).splitlines()
    values = trial.design.hyperparameters
    if values and not trial.design.row:  # a space of hyperparameters alone
        lines = []
    return lines + [f"{name}: {value}" for name, value in values.items()]


def last_line(error: str) -> str:
    """Return the line of a traceback that says what was wrong."""
    lines = error.strip().splitlines()
    return lines[-1].strip() if lines else "no message"


def printable(text: str, kept: str = "") -> str:
    """Return a text without what controls a terminal, or turns the direction of what follows.

    Args:
        text: The text.
        kept: Characters that are kept all the same, such as line breaks.
    """
    return "".join(
        letter if letter.isprintable() or letter in kept else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def duration(seconds: float) -> str:
    """Return a duration as text, such as ``"2 h 5 min"`` or ``"0.31 s"``."""
    for (unit, name), (part, part_name) in zip(_UNITS, (*_UNITS[1:], (1, "s")), strict=True):
        if unit <= seconds < math.inf:
            return f"{int(seconds // unit)} {name} {int(seconds % unit // part)} {part_name}"
    return f"{seconds:.3g} s"


def _ago(moment: float | None, now: float) -> str:
    if moment is None:
        return "not known"
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"{clock}, {duration(max(now - moment, 0.0))} ago"


def _goals(study: RecordedStudy) -> dict[str, Any]:
    """Return what a study is for beyond its first objective, if there is anything."""
    goals = study.result.goals
    if goals is None:
        return {}
    return {
        "objectives": list(goals.objectives),
        "constraints": [str(constraint) for constraint in goals.constraints],
        "front": [trial.number for trial in study.result.front],
    }


def _incumbent(trial: Trial, since: float | None) -> dict[str, Any]:
    return {
        "value": trial.value,
        "trial": trial.number,
        "since": since,
        "architecture": trial.design.architecture.to_string(),
        "contents": contents(trial),
        "hyperparameters": dict(trial.design.hyperparameters),
        "fidelity": {axis: finite(value) for axis, value in trial.fidelity.items()},
    }
