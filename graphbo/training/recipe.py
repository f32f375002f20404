"""How a network is trained: the settings that training alone and in a population share."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from graphbo.errors import InputError

KINDS: dict[str, type] = {
    "epochs": int,
    "batch_size": int,
    **dict.fromkeys(("learning_rate", "momentum", "weight_decay", "label_smoothing"), float),
    "flip": bool,
    "crop": int,
    "cutout": int,
}
"""What the attributes of a `Recipe` are, in their order."""


def of_kind(name: str, kind: type, value: object) -> Any:
    """Return a value of a setting if it is of its kind; a number of NumPy as one of Python.

    A whole number will do for any number.

    Raises:
        InputError: If it is of another kind, or not finite.
    """
    if isinstance(value, np.generic):
        value = value.item()
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (kind is float and not math.isfinite(value)):  # type: ignore[arg-type]
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InputError(f"{name} must be {wanted}; got {value!r}")
    return value


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum and a cosine schedule.

    The learning rate falls from ``learning_rate`` to zero over ``epochs``, in every step. A
    training at a lower fidelity is the beginning of this one, so that going on with it later gives
    what was never interrupted.

    Attributes:
        epochs: Epochs of the full training, the horizon of the schedule.
        batch_size: Images in a step; the last batch of an epoch may be smaller, and is left out if
            it is a single image (batch norm cannot learn from it).
        learning_rate: The learning rate of the first step.
        momentum: Nesterov momentum; 0 for plain gradient descent.
        weight_decay: L2 penalty on all parameters.
        label_smoothing: Share of the target's probability that is spread over all classes.
        flip: Whether to mirror images left to right, each with probability one half.
        crop: Pixels of zero padding from which images are cropped at random; 0 for none.
        cutout: Side in pixels of the square that is blanked in every image; 0 for none.

    Raises:
        InputError: If a number is out of range.
    """

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    flip: bool = False
    crop: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            object.__setattr__(self, name, of_kind(name, kind, getattr(self, name)))
        for name, low in {
            "epochs": 1,
            "batch_size": 1,
            "momentum": 0,
            "weight_decay": 0,
            "label_smoothing": 0,
            "crop": 0,
            "cutout": 0,
        }.items():
            if not getattr(self, name) >= low:
                raise InputError(f"{name} must be at least {low}; got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be positive; got {self.learning_rate}")
        if not self.label_smoothing < 1:
            raise InputError(f"label_smoothing must be below 1; got {self.label_smoothing}")

    @property
    def augments(self) -> bool:
        """Whether images are changed before they are shown."""
        return self.flip or self.crop > 0 or self.cutout > 0

    def steps(self, images: int) -> int:
        """Return the number of steps in an epoch over so many images."""
        return -(-images // self.batch_size)

    def decay(self, step: int, images: int) -> float:
        """Return the share of the learning rate that is left at a step, from 1 down to 0."""
        return 0.5 * (1 + math.cos(math.pi * step / (self.epochs * self.steps(images))))

    def rate(self, step: int, images: int) -> float:
        """Return the learning rate of a step, counted from 0 at the start of training."""
        return self.learning_rate * self.decay(step, images)

    def describe(self) -> dict[str, float]:
        """Return all settings by name, for a record."""
        return asdict(self)


def generators(seed: int) -> tuple[torch.Generator, torch.Generator]:
    """Return the sources of the order of the images and of their augmentation.

    Both are on the CPU, whatever the device of the training, and follow the seed alone.
    """
    order = torch.Generator().manual_seed(seed)
    # torch's generators on the CPU look at the low 32 bits of a seed only.
    other = np.random.SeedSequence([seed % 2**64, 1]).generate_state(1)[0]
    augmentation = torch.Generator().manual_seed(int(other))
    return order, augmentation
