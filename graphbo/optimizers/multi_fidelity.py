"""What optimisers share that decide how long each design is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial, longest

_MOST_RUNGS = 4


class MultiFidelityOptimizer(Optimizer):
    """Proposes designs together with the epochs that they are to be trained for.

    The numbers of epochs that it chooses from are its rungs: starting from the most, each is about
    a factor ``eta`` below the one above it, and one that the evaluator offers. A design may be
    proposed once at each rung; what is proposed carries its fidelity, ``{"epochs": ...}``.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that the evaluator offers, ascending; a study that makes the
            optimiser by its name fills them in.
        eta: The factor between rungs, and the share of designs that does not climb on.
        min_epochs: The fewest epochs of a rung; by default there are four rungs at most.
        settings: What else determines the proposals, as JSON values.

    Attributes:
        rungs: The epochs of the rungs, ascending, two at least.

    Raises:
        InputError: If an argument is out of range, or there are not two numbers of epochs.
    """

    multi_fidelity: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        **settings: object,
    ) -> None:
        if not eta > 1:
            raise InputError(f"eta must be greater than 1; got {eta}")
        self.rungs = _rungs(self.name, epochs, eta, min_epochs)
        super().__init__(space, seed=seed, eta=eta, rungs=list(self.rungs), **settings)
        self.eta = eta

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest value among those with the most epochs, None if none is."""
        return min(longest(self.completed), key=lambda trial: trial.value or 0.0, default=None)

    def expect(self, designs: Sequence[Design]) -> list[Design]:
        """Learn of designs that come from elsewhere; they are trained as long as any is."""
        return super().expect([self._asked(design, -1) for design in designs])

    def at_rung(self, rung: int) -> list[Trial]:
        """Return the completed trials of a rung, in the order in which they were told."""
        return [trial for trial in self.completed if trial.epochs == self.rungs[rung]]

    def _key(self, trial: Trial) -> object:
        return trial.design, trial.epochs

    def _asked(self, design: Design, rung: int) -> Design:
        """Return a design as it is proposed at a rung."""
        return design.at({"epochs": float(self.rungs[rung])})

    def _kept(self, n: int, rung: int) -> int:
        """Return how many of n designs climb on from a rung, so that both cost about the same."""
        return int(n * self.rungs[rung] / self.rungs[rung + 1] + 1e-9)


def _rungs(name: str, epochs: Sequence[int], eta: float, min_epochs: int | None) -> tuple[int, ...]:
    offered = sorted(set(epochs))
    if min_epochs is not None:
        if offered and not 1 <= min_epochs < offered[-1]:
            raise InputError(
                f"min_epochs must lie between 1 and the {offered[-1]} epochs of a full training; "
                f"got {min_epochs}"
            )
        offered = [each for each in offered if each >= min_epochs]
    if len(offered) < 2:
        raise InputError(
            f"{name} chooses between numbers of epochs, and needs two or more; "
            f"{f'there is only {offered[0]}' if offered else 'the problem offers none'}"
        )
    found = [offered[-1]]
    step = 1
    while (target := offered[-1] / eta**step) >= offered[0] / math.sqrt(eta):
        nearest = min(offered, key=lambda each: abs(math.log(each / target)))
        if nearest < found[-1]:
            found.append(nearest)
        if len(found) == _MOST_RUNGS and min_epochs is None:
            break
        step += 1
    if len(found) < 2:
        found.append(offered[-2])
    return tuple(reversed(found))
