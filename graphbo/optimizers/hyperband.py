"""Successive halving and Hyperband."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphbo.errors import InputError
from graphbo.optimizers.racing import Racing
from graphbo.spaces.base import SearchSpace


class SuccessiveHalving(Racing):
    """Trains many designs briefly, and the best of each rung longer, again and again.

    Each race starts with as many random designs as let ``survivors`` of them reach the full
    fidelity.

    Reference: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", AISTATS 2016.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that the evaluator offers.
        eta: The factor between rungs, and the share of designs that does not climb on.
        min_epochs: The fewest epochs of a rung.
        survivors: How many designs of each race reach the full fidelity.

    Raises:
        InputError: If an argument is out of range, or there are not two numbers of epochs.
    """

    name = "successive-halving"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        survivors: int = 1,
    ) -> None:
        if survivors < 1:
            raise InputError(f"at least 1 design survives; got survivors={survivors}")
        super().__init__(
            space,
            seed=seed,
            epochs=epochs,
            eta=eta,
            min_epochs=min_epochs,
            survivors=survivors,
        )
        self.survivors = survivors

    def _first_and_size(self, index: int) -> tuple[int, int]:
        """Return the rung at which a race starts, and with how many designs."""
        return 0, math.ceil(self.survivors * self.rungs[-1] / self.rungs[0])


class Hyperband(Racing):
    """Successive halving at every trade-off between many designs and long trainings.

    Races start at each rung in turn, the lowest first: with ``m`` rungs, the race that starts at
    rung j has ``ceil(m / (m - j) * R / r_j)`` designs, where R is the full number of epochs and
    r_j that of the rung, so that all races cost about the same.

    Reference: Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization",
    JMLR 2018.

    Args: those of `MultiFidelityOptimizer`.
    """

    name = "hyperband"

    def _first_and_size(self, index: int) -> tuple[int, int]:
        return first_and_size(self.rungs, index)


def first_and_size(rungs: Sequence[int], index: int) -> tuple[int, int]:
    """Return the rung at which a race of Hyperband starts, and with how many designs.

    Args:
        rungs: The epochs of the rungs, ascending.
        index: The number of the race, from 0.
    """
    first = index % len(rungs)
    share = len(rungs) / (len(rungs) - first)
    return first, math.ceil(share * rungs[-1] / rungs[first] - 1e-9)
