"""What a surrogate makes of the trials of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphbo.spaces.base import SearchSpace
from graphbo.trial import Trial, best_and_last, longest

if TYPE_CHECKING:
    from graphbo.surrogates import Explanation, FeatureEffect, GraphSurrogate, LeaveOneOut

MOST_FITTED = 300
_FEWEST = 8


@dataclass(frozen=True)
class Analysis:
    """A surrogate that was fitted to trials.

    Attributes:
        surrogate: The surrogate.
        trials: What it was fitted to.
        candidates: How many trials it could have been fitted to.
        check: What it predicts of each trial from all others.
        effects: What features do to its prediction, the surest first; None if it has none.
        explanation: What the parts of the best trial do to its prediction; None like `effects`.
    """

    surrogate: GraphSurrogate
    trials: list[Trial]
    candidates: int
    check: LeaveOneOut
    effects: list[FeatureEffect] | None
    explanation: Explanation | None


def analyse(trials: Sequence[Trial], space: SearchSpace) -> Analysis | None:
    """Fit the default surrogate of a space to the trials with the most epochs.

    Of more than 300 it takes the best 150 and the last ones of the others.

    Args:
        trials: The finished trials, in order.
        space: Their space.

    Returns:
        The analysis, None if fewer than eight trials completed or their values are all alike.
    """
    from graphbo.surrogates import GraphSurrogate, explain, feature_effects, leave_one_out

    completed = [trial for trial in longest(trials) if trial.value is not None]
    chosen = best_and_last(completed, MOST_FITTED)
    values = [trial.value for trial in chosen if trial.value is not None]
    if len(chosen) < _FEWEST or min(values) == max(values):
        return None
    surrogate = GraphSurrogate(space).fit([trial.design for trial in chosen], values)
    best = chosen[values.index(min(values))].design
    effects, explanation = None, None
    if space.kind != "hyperparameters":  # their kernel has no features
        effects, explanation = feature_effects(surrogate), explain(surrogate, best)
    return Analysis(
        surrogate, chosen, len(completed), leave_one_out(surrogate), effects, explanation
    )
