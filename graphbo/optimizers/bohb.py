"""BOHB: Hyperband that starts from a density of good configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.configured import Configurations
from graphbo.optimizers.density import KernelDensity, impute
from graphbo.optimizers.hyperband import Hyperband
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial


class BOHB(Hyperband):
    """Hyperband whose races start with designs from a density of the good ones.

    The model is that of the highest rung with d + 3 results or more, for d columns: a density of
    the best 15 %, and one of all others, each of d + 1 designs at least, so that they overlap at
    first. Of 64 configurations drawn from the first, with wider bandwidths, the one is taken whose
    density among the good is largest in relation to that among the others. A third of the designs
    are drawn at random whatever the model says. Failures count as the worst results.

    Inactive decisions are imputed as in the authors' code; see `impute`. Not in the paper: a
    configuration that encodes no architecture, or one that was proposed before, gives way to the
    next best of the 64, and to a random design if none is left. In a pool, it stands for the member
    that is nearest to it. The bandwidth of unordered choices does not depend on how they are
    numbered; see `KernelDensity`.

    Reference: Falkner, Klein and Hutter, "BOHB: robust and efficient hyperparameter optimization at
    scale", ICML 2018.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that the evaluator offers.
        eta: The factor between rungs, and the share of designs that does not climb on.
        min_epochs: The fewest epochs of a rung.
        good_share: The share of the results that counts as good.
        samples: How many configurations are drawn from the model for each design.
        random_share: The share of designs that are drawn at random.
        bandwidth_factor: What the bandwidths are multiplied with when configurations are drawn.
        min_bandwidth: The smallest bandwidth.

    Raises:
        InputError: If an argument is out of range, there are not two numbers of epochs, or no
            configuration describes the architectures.
    """

    name = "bohb"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        good_share: float = 0.15,
        samples: int = 64,
        random_share: float = 1 / 3,
        bandwidth_factor: float = 3.0,
        min_bandwidth: float = 1e-3,
    ) -> None:
        for setting, share in (("good_share", good_share), ("random_share", random_share)):
            if not 0 <= share <= 1:
                raise InputError(f"{setting} of {self.name} is from 0 to 1; got {share}")
        for setting, value in (
            ("bandwidth_factor", bandwidth_factor),
            ("min_bandwidth", min_bandwidth),
        ):
            if not 0 < value < math.inf:
                raise InputError(f"{setting} of {self.name} must be greater than 0; got {value}")
        if samples < 1:
            raise InputError(f"samples of {self.name} must be at least 1; got {samples}")
        super().__init__(
            space,
            seed=seed,
            epochs=epochs,
            eta=eta,
            min_epochs=min_epochs,
            good_share=good_share,
            samples=samples,
            random_share=random_share,
            bandwidth_factor=bandwidth_factor,
            min_bandwidth=min_bandwidth,
        )
        self.good_share, self.samples, self.random_share = good_share, samples, random_share
        self.bandwidth_factor, self.min_bandwidth = bandwidth_factor, min_bandwidth
        self._configurations = Configurations(space, self.name)
        self._observed: list[list[tuple[float, tuple[float, ...]]]] = [[] for _ in self.rungs]

    def observed(self) -> list[tuple[float, tuple[float, ...]]]:
        """Return what the model is fitted to: values and vectors, best first; none if too few."""
        least = len(self._configurations.columns) + 3
        for results in reversed(self._observed):
            if len(results) >= least:
                return sorted(results, key=lambda result: result[0])
        return []

    def densities(self, rng: np.random.Generator) -> tuple[KernelDensity, KernelDensity] | None:
        """Return the densities of the good and the other configurations, None if it is too early.

        Args:
            rng: What inactive decisions are imputed with.
        """
        ranked = np.array([vector for _, vector in self.observed()], dtype=np.float64)
        if not len(ranked):
            return None
        columns = self._configurations.columns
        least = len(columns) + 1
        good = max(least, int(self.good_share * len(ranked)))
        others = max(least, len(ranked) - good)
        first, second = (
            KernelDensity(impute(vectors, columns, rng), columns, self.min_bandwidth)
            for vectors in (ranked[:good], ranked[len(ranked) - others :])
        )
        return first, second

    def _start(
        self, rung: int, rng: np.random.Generator, taken: Sequence[Design]
    ) -> Sequence[Design]:
        """Return a design that a race starts with: from the model, or a random one."""
        if rng.random() >= self.random_share and (densities := self.densities(rng)) is not None:
            good, others = densities
            drawn = good.draw(self.samples, rng, self.bandwidth_factor)
            exclude = self._seen | set(taken)
            for i in np.argsort(others.log_density(drawn) - good.log_density(drawn), kind="stable"):
                design = self._configurations.from_vector(drawn[i].tolist(), self.name)
                if design is not None and design not in exclude:
                    return [design]
        return super()._start(rung, rng, taken)

    def _record_tell(self, trial: Trial) -> None:
        super()._record_tell(trial)
        if trial.epochs in self.rungs:
            value = math.inf if trial.value is None else trial.value
            vector = self._configurations.vector(trial.design)
            self._observed[self.rungs.index(int(trial.epochs))].append((value, vector))
