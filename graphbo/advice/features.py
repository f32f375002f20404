"""What a search is like, and how alike two searches are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphbo.spaces.base import SearchSpace
from graphbo.spaces.description import whole

MOST_ENCODINGS = 1_000_000
"""Larger spaces count as being of this size: none of them can be enumerated."""

SCALES: Mapping[str, float] = {
    "budget": math.log(4.0),
    "workers": math.log(4.0),
    "size": math.log(100.0),
    "kind": 0.5,
    "fidelities": 0.5,
    "enumerable": 1.0,
    "conditional": 1.0,
    "chain": 1.0,
    "encoder": 1.0,
}
"""The difference in each feature that leaves 1/e of a measurement's weight.

They are stated and not fitted. A budget or a number of workers four times as large changes what is
worth modelling: a quarter of 150 trials is where a model has barely replaced the first random
designs, a quarter of a batch leaves four times the rounds to learn in. The size of a space is felt
in its logarithm, and less: a hundredfold. What is yes or no is one scale; a choice of epochs is
two, for it changes both what a budget buys and who can compete. The kind lies at 0 for
architectures, at 1/2 for architectures with hyperparameters, at 1 for hyperparameters alone, so
that the mixed kind is one scale from either and they are two from each other.
"""

_KINDS = {"architectures": 0.0, "both": 0.5, "hyperparameters": 1.0}


@dataclass(frozen=True)
class SpaceFeatures:
    """What a space declares about itself, as far as optimisers differ on it.

    Attributes:
        kind: What a design decides: ``"architectures"``, ``"hyperparameters"`` or ``"both"``.
        size: The number of its encodings, None if it is unlimited.
        enumerable: Whether it can be listed.
        conditional: Whether some decisions exist only under conditions.
        chain: Whether its architectures are chains of layers.
        encoder: Whether a pretrained encoder comes with the package for it.
    """

    kind: str = "architectures"
    size: int | None = None
    enumerable: bool = True
    conditional: bool = False
    chain: bool = False
    encoder: bool = False

    @classmethod
    def of(cls, space: SearchSpace, encoder: bool) -> SpaceFeatures:
        """Return the features of a space.

        Args:
            space: The space. A pool has the conditions of the space that it is a part of, and its
                own size.
            encoder: Whether there is a pretrained encoder for it.
        """
        return cls(
            kind=space.kind,
            size=_encodings(space),
            enumerable=space.enumerable,
            conditional=_is_conditional(whole(space)),
            chain=space.chain,
            encoder=encoder,
        )


@dataclass(frozen=True)
class Task:
    """A search that is to be advised on, or that was measured.

    Attributes:
        space: What its space is like.
        budget: What it may spend: trials, or where there is a choice of epochs, as many epochs as
            this number of full trainings takes.
        fidelities: Whether results of fewer epochs can be had, and the budget counts them as such.
        workers: How many designs are evaluated at a time.
    """

    space: SpaceFeatures
    budget: float
    fidelities: bool = False
    workers: int = 1

    @property
    def spends(self) -> str:
        """The budget and its unit."""
        return f"{self.budget:.4g} {'trainings' if self.fidelities else 'trials'}"

    def __str__(self) -> str:
        at_a_time = "one at a time" if self.workers == 1 else f"{self.workers} at a time"
        epochs = ", epochs of choice" if self.fidelities else ""
        return f"{self.spends}{epochs}, {at_a_time}"


def similarity(first: Task, second: Task) -> float:
    """Return how much a measurement of one task tells of another, 1 if they are alike.

    It is the product of exponentials, over the features, of minus their difference in `SCALES`.

    Example:
        >>> few, many = Task(SpaceFeatures(), budget=25), Task(SpaceFeatures(), budget=100)
        >>> round(similarity(few, many), 3)
        0.368
    """
    one, other = _coordinates(first), _coordinates(second)
    return math.exp(-sum(abs(one[name] - other[name]) / scale for name, scale in SCALES.items()))


def _coordinates(task: Task) -> dict[str, Any]:
    space = task.space
    size = MOST_ENCODINGS if space.size is None else min(space.size, MOST_ENCODINGS)
    return {
        "budget": math.log(task.budget),
        "workers": math.log(task.workers),
        "size": math.log(size),
        "kind": _KINDS[space.kind],
        "fidelities": float(task.fidelities),
        "enumerable": float(space.enumerable),
        "conditional": float(space.conditional),
        "chain": float(space.chain),
        "encoder": float(space.encoder),
    }


def _is_conditional(space: SearchSpace) -> bool:
    columns = () if space.hyperparameters is None else space.hyperparameters.columns
    return any(d.conditions for d in space.decisions) or any(c.conditional for c in columns)


def _encodings(space: SearchSpace) -> int | None:
    if space.hyperparameters is not None:
        return space.size  # that of a pool
    # The number of distinct architectures would need all of them to be listed.
    if not space.decisions:
        return space.size
    return math.prod(len(decision.choices) for decision in space.decisions)
