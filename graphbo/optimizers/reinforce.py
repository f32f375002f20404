"""A recurrent controller, trained by policy gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.configured import Configurations
from graphbo.spaces.base import Design, Row, SearchSpace

if TYPE_CHECKING:
    import torch

    from graphbo.optimizers.controller import Controller

_AT_ONCE, _ROUNDS = 16, 8
_ORIGIN = "controller"


class Reinforce(Optimizer):
    """A recurrent network writes configurations, and learns from what becomes of them.

    A `Controller` draws one decision after the other. After each result of a design of its own,
    taken in the order in which they were told, Adam follows the policy gradient: up for what is
    better than an exponential moving average of the results before, down for what is worse. What it
    drew before is drawn again, and after 128 draws in vain taken at random.

    What differs from the paper: an advantage is measured in standard deviations of the results so
    far, since an objective here may have any unit, where the paper takes cubes of accuracies; an
    update follows every result, or every ``batch`` of them, where it has 20 servers of parameters
    and 800 networks in training; and the learning rate is not its 0.0006, which learns next to
    nothing in a few hundred trials. A small bonus for entropy was added by its successor (Pham et
    al., "Efficient neural architecture search via parameter sharing", ICML 2018).

    Reference: Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017;
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", Machine Learning 1992.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        learning_rate: The learning rate of Adam.
        batch: How many results an update averages over.
        baseline_decay: The share of the old baseline in the new one.
        entropy_weight: The weight of the entropy.
        hidden: The number of units of each of the two layers.

    Raises:
        InputError: If no configuration describes the architectures, or a setting is out of range.
    """

    name = "reinforce"
    hyperparameters = False

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        learning_rate: float = 0.01,
        batch: int = 1,
        baseline_decay: float = 0.9,
        entropy_weight: float = 1e-4,
        hidden: int = 35,
    ) -> None:
        if not 0 <= baseline_decay < 1:
            raise InputError(f"baseline_decay is from 0 to below 1; got {baseline_decay}")
        if learning_rate <= 0 or entropy_weight < 0:
            raise InputError(
                "the learning rate is positive and the weight of the entropy not negative; "
                f"got {learning_rate} and {entropy_weight}"
            )
        if batch < 1 or hidden < 1:
            raise InputError(f"batch and hidden are at least 1; got {batch} and {hidden}")
        super().__init__(
            space,
            seed=seed,
            learning_rate=learning_rate,
            batch=batch,
            baseline_decay=baseline_decay,
            entropy_weight=entropy_weight,
            hidden=hidden,
        )
        import torch

        from graphbo.optimizers.controller import Controller
        from graphbo.surrogates.adam import Adam

        self.batch, self.entropy_weight = batch, entropy_weight
        self._configurations = Configurations(space, self.name)
        generator = torch.Generator().manual_seed(_torch_seed(np.random.default_rng([seed, 0, 1])))
        self.controller: Controller = Controller(
            self._configurations.decisions, generator, hidden=hidden
        )
        self._adam = Adam(list(self.controller.parameters()), learning_rate)
        # What follows is a function of the told trials, taken in up to the number `_read`.
        self._read = 0
        self._advantage = Advantage(baseline_decay)
        self._waiting: list[tuple[Row, float]] = []

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        import torch
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            self._read_told()
            generator = torch.Generator().manual_seed(_torch_seed(rng))
            chosen: dict[Design, Design] = {}
            for _ in range(_ROUNDS):
                for row in self.controller.sample(_AT_ONCE, generator).tolist():
                    if len(chosen) == n:
                        return list(chosen.values())
                    design = self._configurations.design(tuple(row), _ORIGIN)
                    if design is not None and design not in self._seen:
                        chosen.setdefault(design, design)
        designs = list(chosen.values())[:n]
        return designs + self._sample_unseen(n - len(designs), rng, designs)

    def _read_told(self) -> None:
        """Learn from what was told since, one trial after the other."""
        for trial in self.told[self._read :]:
            self._read += 1
            # What another policy drew would bias the gradient.
            if trial.value is None or trial.design.origin != _ORIGIN:
                continue
            row = self._configurations.row(trial.design)
            self._waiting.append((row, self._advantage(trial.value)))
            if len(self._waiting) == self.batch:
                self._update(self._waiting)
                self._waiting = []

    def _update(self, results: Sequence[tuple[Row, float]]) -> None:
        import torch

        rows = torch.tensor([row for row, _ in results])
        advantages = torch.tensor([advantage for _, advantage in results], dtype=torch.float64)
        self._adam.step(self.loss(rows, advantages))

    def loss(self, rows: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
        """Return what an update descends: its gradient is minus that of the expected reward.

        Args:
            rows: `n x decisions`.
            advantages: How much better than the baseline each is, `n`.
        """
        log_probability, entropy = self.controller.score(rows)
        return -(advantages * log_probability + self.entropy_weight * entropy).mean()


class Advantage:
    """How much lower a value is than a moving average of those before it.

    It is measured in standard deviations of all values so far. The first value is its own baseline.

    Args:
        decay: The share of the old average in the new one.

    Example:
        >>> advantage = Advantage(decay=0.5)
        >>> [advantage(4.0), advantage(2.0)]  # the average is 4, the standard deviation is 1
        [0.0, 2.0]
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.baseline: float | None = None
        self._values: list[float] = []

    def __call__(self, value: float) -> float:
        """Return the advantage of a value, and take it into the average."""
        before = value if self.baseline is None else self.baseline
        self._values.append(value)
        scale = float(np.std(self._values))
        self.baseline = self.decay * before + (1 - self.decay) * value
        return (before - value) / scale if scale > 0 and math.isfinite(scale) else 0.0


def _torch_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))
