"""The budget of a search."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphbo.errors import InputError

if TYPE_CHECKING:
    from graphbo.spaces.base import Design
    from graphbo.trial import Trial

_UNLIMITED = 2**31


@dataclass(frozen=True)
class Budget:
    """What a search may use; whichever limit is reached first ends it.

    Attributes:
        trials: Number of trials, failed ones included.
        seconds: Seconds of evaluation, as the evaluator states its cost; a trial that raised
            counts the time that it took.
        epochs: Epochs of training; a trial that raised counts in full, and one that went on from
            the checkpoint of a shorter one of its design what came after it.

    Raises:
        InputError: If there is no limit, or one is not positive.
    """

    trials: int | None = None
    seconds: float | None = None
    epochs: float | None = None

    def __post_init__(self) -> None:
        given = {"trials": self.trials, "seconds": self.seconds, "epochs": self.epochs}
        if all(value is None for value in given.values()):
            raise InputError("a search needs a budget: a number of trials, seconds or epochs")
        for name, value in given.items():
            if value is not None and not value > 0:
                raise InputError(f"the budget of {name} must be greater than 0; got {value}")

    def left(self, spending: Spending) -> int:
        """Return how many trials may run at once now; 0 if a limit is reached."""
        if self.seconds is not None and spending.seconds >= self.seconds:
            return 0
        if self.epochs is not None and spending.epochs >= self.epochs:
            return 0
        return _UNLIMITED if self.trials is None else max(self.trials - spending.trials, 0)

    def check(self, spending: Spending) -> None:
        """Refuse to go on in a cost that is never stated, and so would never be used up.

        Raises:
            InputError: If that is so.
        """
        if self.seconds is not None and spending.trials >= 10 and not spending.seconds:
            raise InputError(
                "the evaluator states no cost in seconds; give a budget of trials instead"
            )
        if self.epochs is not None and spending.last_epochs == 0:
            raise InputError(
                "the evaluator states no number of epochs; give a budget of trials instead"
            )


class Spending:
    """What the trials of a search have cost so far, as a `Budget` counts it.

    Attributes:
        trials: Number of trials.
        seconds: Seconds of evaluation.
        epochs: Epochs of training.
        last_epochs: The epochs of the last trial with an evaluation, those before its checkpoint
            among them; None before there is one.
    """

    def __init__(self) -> None:
        self.trials, self.seconds, self.epochs = 0, 0.0, 0.0
        self.last_epochs: float | None = None
        self._most = 1.0
        self._trained: dict[Design, float] = {}

    def add(self, trial: Trial) -> None:
        """Count a finished trial.

        One that failed counts in full: what its fidelity says, or else as many epochs as any before
        it, so that the budget of a search in which all fail is used up, too.
        """
        epochs, before = _epochs(trial), self._trained.get(trial.design, 0.0)
        if trial.evaluation is None:
            epochs = epochs or self._most
        else:
            self.last_epochs, self._most = epochs, max(self._most, epochs)
        self.trials += 1
        self.seconds += _seconds(trial)
        self.epochs += epochs - before if before < epochs else epochs
        if trial.evaluation is not None and trial.evaluation.checkpoint is not None:
            self._trained[trial.design] = max(epochs, before)


def spent(finished: Iterable[Trial], unit: str) -> list[float]:
    """Return what has been spent after each trial.

    Args:
        finished: The trials, in the order in which they finished.
        unit: ``"seconds"`` or ``"epochs"``.
    """
    spending, totals = Spending(), []
    for trial in finished:
        spending.add(trial)
        totals.append(spending.seconds if unit == "seconds" else spending.epochs)
    return totals


def _seconds(trial: Trial) -> float:
    if trial.evaluation is not None:
        return trial.evaluation.cost if trial.evaluation.cost > 0 else 0.0
    return (trial.finished or 0.0) - (trial.started or 0.0)


def _epochs(trial: Trial) -> float:
    facts = {} if trial.evaluation is None else trial.evaluation.facts
    stated = float(facts.get("epochs", trial.fidelity.get("epochs", 0.0)))
    return stated if math.isfinite(stated) else 0.0
