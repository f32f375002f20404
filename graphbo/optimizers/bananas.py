"""Bayesian optimisation with an ensemble of networks on paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design, SearchSpace

if TYPE_CHECKING:
    from graphbo.surrogates.feed_forward import FeedForwardEnsemble

_PATIENCE = 5


class Bananas(Optimizer):
    """Mutations of the best design, ranked by what networks predict from their paths.

    After some random designs, an ensemble of networks is trained on the path encodings of what was
    evaluated, and again after every ten results. At each ask it ranks the candidates by independent
    Thompson sampling, and those with the lowest samples are proposed. The candidates are mutations
    of the best design; if these are too few, of the second best, and so on to the fifth.

    The settings are the paper's, which evaluates ten designs between two trainings, and those of
    its authors' code. Their networks are trained on errors in percent, in the paper with weights
    that take a lower bound of them. An objective here may have any unit: the networks see its
    normal scores, as the other surrogates do, all with the same weight.

    The encoding tells shortest paths only, 40 of them: it says little of long chains.

    Reference: White et al., "BANANAS: Bayesian optimization with neural architectures for neural
    architecture search", AAAI 2021.

    Args:
        space: The search space; it must have operations.
        seed: The seed of all randomness.
        initial: How many random designs come first.
        candidates: How many candidates are ranked.
        parents: How many of the best designs have the same share of the candidates.
        members: The number of networks.
        paths: How many paths the encoding tells.
        retrain_after: How many results the networks serve.

    Raises:
        InputError: If the space has no operations or a setting is out of range.
    """

    name = "bananas"
    hyperparameters = False

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 10,
        candidates: int = 100,
        parents: int = 1,
        members: int = 5,
        paths: int = 40,
        retrain_after: int = 10,
    ) -> None:
        settings = {
            "initial": initial,
            "candidates": candidates,
            "parents": parents,
            "members": members,
            "paths": paths,
            "retrain_after": retrain_after,
        }
        for setting, value in settings.items():
            lowest = 2 if setting in ("initial", "members") else 1
            if value < lowest:
                raise InputError(f"{setting} of {self.name} is at least {lowest}; got {value}")
        if not space.operations:
            raise InputError(f"the space {space.name} has no operations, and so no paths of them")
        from graphbo.surrogates import PathEncoding

        super().__init__(space, seed=seed, **settings)
        self.initial, self.candidates, self.parents = initial, candidates, parents
        self.members, self.retrain_after = members, retrain_after
        self._encoding = PathEncoding(space.operations, paths, ports=space.ports)
        self._trained: tuple[int, FeedForwardEnsemble] | None = None

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        due = self.initial - len(self.completed) - len(self.pending)
        chosen = self._sample_unseen(min(n, max(due, 0)), rng, origin="initial")
        if len(chosen) < n and len(self.completed) > 1:
            pool = self._mutations(set(chosen), rng)
            samples = thompson_samples(self._predictions(pool), rng)
            order = np.argsort(samples, kind="stable")[: n - len(chosen)]
            chosen += [pool[int(i)] for i in order]
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _mutations(self, taken: set[Design], rng: np.random.Generator) -> list[Design]:
        """Return distinct unseen mutations of the best designs."""
        exclude = self._seen | taken
        ranked = sorted(self.completed, key=lambda trial: trial.value or 0.0)
        share = -(-self.candidates // self.parents)
        pool: dict[Design, Design] = {}
        for trial in ranked[: self.parents * _PATIENCE]:
            for _ in range(share):
                child = self.space.mutate(trial.design, rng, exclude)
                if len(pool) < self.candidates and child not in exclude:
                    pool.setdefault(child, child.described("mutation"))
            if len(pool) == self.candidates:
                break
        return list(pool.values())

    def _predictions(self, pool: Sequence[Design]) -> npt.NDArray[np.float64]:
        """Return what each network predicts, `members x n`."""
        code = self._encoding([design.architecture for design in pool])
        predictions: npt.NDArray[np.float64] = self._ensemble()(code).numpy()
        return predictions

    def _ensemble(self) -> FeedForwardEnsemble:
        """Return the networks, trained on the first so many results."""
        import torch

        from graphbo.surrogates import NormalScores
        from graphbo.surrogates.feed_forward import FeedForwardEnsemble

        n = len(self.completed)
        n = max(n - n % self.retrain_after, min(n, self.initial))
        if self._trained is None or self._trained[0] != n:
            known = self.completed[:n]
            scores = NormalScores([trial.value for trial in known if trial.value is not None])
            ensemble = FeedForwardEnsemble(
                self._encoding([trial.design.architecture for trial in known]),
                torch.as_tensor(scores.scores),
                # Not from the ask: which one is the first after a training may differ in a replay.
                seed=int(np.random.default_rng([self.seed, n, 1]).integers(2**63)),
                members=self.members,
            )
            self._trained = n, ensemble
        return self._trained[1]


def thompson_samples(
    predictions: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return independent draws from what an ensemble believes of each candidate.

    Candidate by candidate a normal distribution with the mean and the sample variance of the
    predictions; what the candidates have in common is ignored.

    Args:
        predictions: `members x n`, at least two members.
        rng: The source of randomness.

    Returns:
        `n` values; the lowest is the choice.
    """
    draws: npt.NDArray[np.float64] = rng.normal(predictions.mean(0), predictions.std(0, ddof=1))
    return draws
