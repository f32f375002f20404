"""What passes between optimiser, study and evaluator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphbo.spaces.base import Design

COMPUTED = ("parameters", "flops", "activation_memory", "flash")
"""The costs that follow from a network: they are computed, and no surrogate guesses them."""
MEASURED = ("latency_ms", "energy_mj")
"""The costs that are measured where a network runs, noise included, and are learnt."""
Fidelity = Mapping[str, float]
"""How thoroughly to evaluate, by axis, such as ``{"epochs": 12}``; empty for the full fidelity."""


@dataclass(frozen=True)
class Job:
    """One evaluation to carry out.

    Attributes:
        design: What to evaluate.
        fidelity: How thoroughly.
        seed: The seed of everything random in the evaluation.
        checkpoint: Where an earlier evaluation of the design at a lower fidelity left its state.
    """

    design: Design
    fidelity: Fidelity = field(default_factory=dict)
    seed: int = 0
    checkpoint: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """The result of a job.

    Attributes:
        objectives: Values to minimise by name, such as ``validation_error`` in percent.
        cost: Seconds that the evaluation took, or would have taken where it was looked up.
        curve: The main objective after each epoch, as far as it was recorded.
        facts: What else was measured: ``epochs``, ``parameters``, ``flops``, ...
        checkpoint: Where the state of the evaluation was left, if anywhere.
    """

    objectives: Mapping[str, float]
    cost: float = 0.0
    curve: tuple[float, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str | None = None

    @property
    def outcomes(self) -> Mapping[str, float]:
        """What is reported by name, the objectives and the facts."""
        return {**self.facts, **self.objectives}


@dataclass(frozen=True)
class Trial:
    """A design and what became of it.

    Only `design` and `value` matter to an optimiser; the rest is the study's record.

    Attributes:
        design: What was proposed.
        value: The objective, to be minimised; None while running, and if the trial failed.
        error: The traceback of a failed trial.
        evaluation: The whole result of a completed trial.
        number: The trial's number in its study, from 0, in the order of the proposals.
        ask: The number of the ask that proposed it.
        fidelity: The fidelity of the evaluation.
        seed: The seed of the evaluation.
        started: When it was submitted, in seconds since the epoch.
        finished: When its result came, in seconds since the epoch; never before it started.
        attempts: How often it was started until then, more than once if its worker died.
    """

    design: Design
    value: float | None = None
    error: str | None = None
    evaluation: Evaluation | None = None
    number: int = -1
    ask: int = 0
    fidelity: Fidelity = field(default_factory=dict)
    seed: int = 0
    started: float | None = None
    finished: float | None = None
    attempts: int = 1

    @property
    def epochs(self) -> float:
        """The epochs of the fidelity, infinite if it does not limit them."""
        return self.fidelity.get("epochs", math.inf)

    @property
    def outcomes(self) -> Mapping[str, float]:
        """What the evaluation reports by name, its objectives and its facts; empty without one."""
        return {} if self.evaluation is None else self.evaluation.outcomes

    @property
    def state(self) -> str:
        """``"completed"``, ``"failed"`` or ``"running"``."""
        if self.value is not None:
            return "completed"
        return "running" if self.error is None else "failed"


def longest(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with the most epochs among those that completed, in order.

    Low values after fewer epochs are no results yet: what a search found is among these. All
    trials are returned if none completed.
    """
    most = max((trial.epochs for trial in trials if trial.value is not None), default=None)
    return [trial for trial in trials if most is None or trial.epochs == most]


def best_and_last(trials: Sequence[Trial], most: int) -> list[Trial]:
    """Return at most so many completed trials, in order: the best half, and the last others.

    What a model is fitted to where all would cost too much.
    """
    if len(trials) <= most:
        return list(trials)
    order = sorted(range(len(trials)), key=lambda i: trials[i].value or 0.0)
    best = set(order[: most // 2])
    last = [i for i in range(len(trials)) if i not in best][len(best) - most :]
    return [trials[i] for i in sorted(best.union(last))]
