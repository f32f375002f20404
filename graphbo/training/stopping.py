"""When a training is not worth going on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphbo.errors import InputError

StoppingRule = Callable[[Sequence[float]], bool]
"""Says after each epoch, from the validation errors so far, whether to stop."""


@dataclass(frozen=True)
class Patience:
    """Stops once the validation error has not improved for a while.

    Attributes:
        epochs: For how many epochs.
        delta: By more than how much the lowest error must fall to have improved, in percent points.

    Raises:
        InputError: If epochs is less than 1 or delta is negative.

    Example:
        >>> Patience(2)([30.0, 20.0, 20.0, 25.0])
        True
    """

    epochs: int
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not self.epochs >= 1 or not self.delta >= 0:
            raise InputError(
                "patience takes at least 1 epoch and a delta of at least 0; "
                f"got {self.epochs} and {self.delta}"
            )

    def __call__(self, curve: Sequence[float]) -> bool:
        """Say whether to stop after the last of these validation errors."""
        if len(curve) <= self.epochs:
            return False
        return min(curve[-self.epochs :]) >= min(curve[: -self.epochs]) - self.delta
