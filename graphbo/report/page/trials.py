"""The table of all trials, as data that a page sorts and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.goals import Goals
from graphbo.report.page.figures import infeasible, thinned
from graphbo.report.spending import incumbents
from graphbo.report.status import contents, last_line
from graphbo.spaces.base import Design
from graphbo.spaces.darts import INPUTS
from graphbo.spaces.hierarchical import TOP
from graphbo.spaces.product import SEPARATOR
from graphbo.trial import Trial

_LONGEST_ERROR = 20_000
_IDLE = ("", INPUT, OUTPUT, TOP, *INPUTS)


def trial_rows(
    trials: Sequence[Trial], running: Sequence[Trial], goals: Goals | None = None
) -> list[dict[str, Any]]:
    """Return what the page shows of each trial: plain values, with names that are not escaped.

    Args:
        trials: The finished trials, in the order in which they finished.
        running: Those that have not finished.
        goals: What the study is for beyond the lowest value. The best are then those that keep the
            constraints and, with several objectives, those on the front.
    """
    found = incumbents(trials, goals)
    improved = {t.number for before, t in zip([None, *found], found) if t and t is not before}  # noqa: B905
    if goals is not None and len(goals.objectives) > 1:
        improved = {trial.number for trial in goals.front(goals.longest(trials))}
    return [_row(trial, trial.number in improved, goals) for trial in (*trials, *running)]


def clipped(error: str) -> str:
    """Return a traceback, without the middle of one that is very long."""
    if len(error) <= _LONGEST_ERROR:
        return error
    half = _LONGEST_ERROR // 2
    left_out = len(error) - 2 * half
    return f"{error[:half]}\n[... {left_out:,} characters left out ...]\n{error[-half:]}"


def operations_of(architecture: Architecture) -> str:
    """Return the operations of an architecture with their numbers, the most frequent first.

    Labels of nodes that do nothing are left out, also where they stand behind that of a part.
    """
    labels = [*architecture.nodes, *(label for _, _, label in architecture.edges)]
    counts = Counter(each for each in labels if each.rpartition(SEPARATOR)[2] not in _IDLE)
    return (
        ", ".join(
            f"{n}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{name}" for name, n in counts.most_common()
        )
        or "no operation"
    )


def hyperparameters_of(design: Design) -> str:
    """Return the hyperparameters of a design with their values; nothing if there are none."""
    return ", ".join(f"{name} = {_short(each)}" for name, each in design.hyperparameters.items())


def _row(trial: Trial, improved: bool, goals: Goals | None) -> dict[str, Any]:
    evaluation, values = trial.evaluation, trial.design.hyperparameters
    epochs, curve = thinned(trial)
    facts = {} if evaluation is None else {**evaluation.objectives, **evaluation.facts}
    alone = bool(values) and not trial.design.row
    row = {
        "number": trial.number + 1,
        "state": "not finished" if trial.state == "running" else trial.state,
        "value": trial.value,
        "epochs": trial.fidelity.get("epochs"),
        "seconds": None if evaluation is None else evaluation.cost,
        "origin": trial.design.origin,
        "operations": "" if alone else operations_of(trial.design.architecture),
        "hyperparameters": hyperparameters_of(trial.design),
        "best": improved,
        "details": "\n".join(contents(trial)),
        "facts": {name: float(f"{each:.6g}") for name, each in facts.items()},
        "fidelity": {axis: each for axis, each in trial.fidelity.items() if axis != "epochs"},
    }
    if goals is not None and infeasible(trial, goals):
        row["state"] = "infeasible"
    # Names are the study's own, and must not take the place of another key.
    for i, name in enumerate(() if goals is None else goals.names[1:]):
        row[f"goal {i}"] = trial.outcomes.get(name)
    if len(curve) > 1:
        row["curve"] = [epochs, curve]
    if trial.error is not None:
        row["reason"] = last_line(trial.error)
    return row


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
