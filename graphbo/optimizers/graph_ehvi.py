"""Bayesian optimisation with graph kernels for several objectives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.optimizers.base import Known
from graphbo.optimizers.domination import ranked
from graphbo.optimizers.graph_bo import GraphBO, last_refit
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    import torch
    from gpytorch.kernels import Kernel

    from graphbo.surrogates import GraphSurrogate, KernelFactory, ModelFactory
    from graphbo.surrogates.model import SurrogateModel
    from graphbo.surrogates.transforms import Scores

_MOST = 3


class GraphEHVI(GraphBO):
    """The loop of `GraphBO` for two or three objectives: expected hypervolume improvement.

    Each objective that must be measured has a `GraphSurrogate`, one that can be computed of a
    design is known. All are on one scale, the normal scores of the observed values; what is known
    and was not observed continues it. The whole pool is ranked by the expected hypervolume
    improvement in closed form, and its best by BoTorch's noisy one, which takes pending designs
    into account. Constraints are kept as `GraphBO` does. With one objective it is `GraphBO`.

    Reference: Daulton et al., "Parallel Bayesian optimization of multiple noisy objectives with
    expected hypervolume improvement", NeurIPS 2021; Ament et al., "Unexpected improvements to
    expected improvement for Bayesian optimization", NeurIPS 2023.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        initial: How many random designs come first.
        kernels: The kernels of the surrogates; see `GraphSurrogate`.
        screened: How many of the pool are looked at closely.

    Raises:
        InputError: If a setting is out of range.
    """

    name = "graph-ehvi"
    multi_objective = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 5,
        kernels: Sequence[Kernel | KernelFactory | ModelFactory] | None = None,
        screened: int = 64,
    ) -> None:
        if screened < 1:
            raise InputError(f"at least 1 design is looked at closely; got screened={screened}")
        super().__init__(space, seed=seed, initial=initial, kernels=kernels)
        names = self.settings["kernels"]
        self.settings = {"initial": initial, "kernels": names, "screened": screened}
        self.screened = screened
        self._scales: dict[str, Scores] = {}

    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        """Learn what the search is for.

        Raises:
            InputError: If there are more than three objectives.
        """
        if len(goals.objectives) > _MOST:
            raise InputError(
                f"{self.name} is for up to {_MOST} objectives; got {len(goals.objectives)}; take "
                "nsga2 or parego for more"
            )
        super().pursue(goals, known)

    @property
    def _several(self) -> bool:
        return self.goals is not None and len(self.goals.objectives) > 1

    def _to_model(self, goals: Goals) -> tuple[Sequence[str], dict[str, GraphSurrogate]]:
        return (goals.names, {}) if self._several else super()._to_model(goals)

    def _ranked(self) -> list[Trial]:
        if self.goals is None or not self._several:
            return super()._ranked()
        return ranked(self.completed, self.goals)

    def _prepare(self, rng: np.random.Generator) -> None:
        if self.goals is None or self._outcomes is None or not self._several:
            super()._prepare(rng)
            return
        self._scored = None
        completed = self.completed
        fit_on = last_refit(len(completed))
        self._outcomes.observe(completed, fit_on, refit=fit_on != self._fitted_on)
        self._fitted_on = fit_on
        for name in self.goals.objectives:
            if name in self.known:
                values = [trial.outcomes[name] for trial in completed]
                self._scales[name] = self.surrogate.scale(values)
            else:
                self._scales[name] = self._outcomes.surrogates[name].transform

    def _estimate(
        self, pool: Sequence[Design], pending: Sequence[Design], rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        if not self._several:
            return super()._estimate(pool, pending, rng)
        estimate: npt.NDArray[np.float64] = self._screened(pool).numpy()
        return estimate

    def _score(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        rng: np.random.Generator,
        blocked: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.float64]:
        if self._outcomes is None or not self._several:
            return super()._score(pool, pending, rng, blocked)
        import torch

        if self._scored is None or self._scored[0] is not pool:
            # The same pool is ranked for each design of a batch.
            self._scored = pool, self._screened(pool)
        result = self._scored[1].clone()
        kept, targets = self._feasible_targets()
        if not kept:
            alone: npt.NDArray[np.float64] = result.numpy()
            return alone
        candidates = result.clone()
        candidates[self._positions(pool, {*self._seen, *pending})] = -torch.inf
        best = candidates.topk(min(self.screened, len(pool))).indices
        best = best[candidates[best] > -torch.inf]
        if len(best):
            chosen = [pool[int(i)] for i in best]
            close = self._close(chosen, targets, kept, pending)
            close = close + self._outcomes.log_feasibility(pool)[best]
            # The others keep their order, behind these.
            result += min(0.0, float(close.min() - result.max()))
            result[best] = close
        scores: npt.NDArray[np.float64] = result.numpy()
        return scores

    def _feasible_targets(self) -> tuple[list[int], torch.Tensor]:
        """Return which completed trials keep the constraints, and their targets, `k x m`."""
        import torch

        assert self.goals is not None
        kept = [i for i, trial in enumerate(self.completed) if self.goals.feasible(trial)]
        scales = [self._scales[name].scores for name in self.goals.objectives]
        return kept, torch.from_numpy(np.stack(scales, axis=1)[kept])

    def _screened(self, pool: Sequence[Design]) -> torch.Tensor:
        """Return what ranks a pool at first: the probability of feasibility alone if need be."""
        assert self._outcomes is not None
        feasibility = self._outcomes.log_feasibility(pool)
        kept, targets = self._feasible_targets()
        return self._screen(pool, targets) + feasibility if kept else feasibility

    def _models(self) -> Iterator[list[SurrogateModel | None]]:
        """Yield for each kernel the models of the objectives, None for what is known."""
        assert self.goals is not None
        assert self._outcomes is not None
        surrogates = self._outcomes.surrogates
        learnt = [surrogates[n].models for n in self.goals.objectives if n in surrogates]
        for i in range(len(learnt[0]) if learnt else 1):
            yield [
                surrogates[name].models[i] if name in surrogates else None
                for name in self.goals.objectives
            ]

    def _screen(self, pool: Sequence[Design], targets: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the expected improvement of each of a pool, in closed form."""
        import torch

        from graphbo.acquisition.hypervolume import (
            log_expected_hypervolume_improvement,
            mixture,
            reference_point,
        )

        assert self.goals is not None
        assert self._outcomes is not None
        reference = reference_point(targets)
        rows = self.surrogate.rows(pool)
        logs = []
        for models in self._models():
            moments = []
            for name, model in zip(self.goals.objectives, models, strict=True):
                if model is None:
                    values = self._outcomes.computed(name, pool)
                    known = torch.from_numpy(self._scales[name].forward(values))
                    moments.append((known.nan_to_num(torch.inf), torch.zeros(len(known))))
                else:
                    moments.append(model.moments(rows))
            means = torch.stack([mean for mean, _ in moments], dim=-1)
            variances = torch.stack([variance for _, variance in moments], dim=-1)
            logs.append(log_expected_hypervolume_improvement(means, variances, targets, reference))
        return mixture(logs)

    def _close(
        self,
        designs: Sequence[Design],
        targets: torch.Tensor,
        kept: Sequence[int],
        pending: Sequence[Design],
    ) -> torch.Tensor:
        """Return the same of a few designs, pending ones and noise included."""
        import torch

        from graphbo.acquisition.hypervolume import (
            KnownOutcome,
            log_noisy_expected_hypervolume_improvement,
            mixture,
            reference_point,
        )

        assert self.goals is not None
        assert self._outcomes is not None
        observed = [self.completed[i].design for i in kept]
        everything = [*designs, *observed, *pending]
        rows = self.surrogate.rows(everything)
        waiting = rows[len(designs) + len(observed) :] if pending else None
        logs = []
        for models in self._models():
            complete: list[SurrogateModel | KnownOutcome] = []
            for name, model in zip(self.goals.objectives, models, strict=True):
                if model is None:
                    values = self._outcomes.computed(name, everything)
                    known = torch.from_numpy(self._scales[name].forward(values))
                    worst = targets.max() + 10  # adds nothing
                    complete.append(KnownOutcome(rows, known.nan_to_num(float(worst))))
                else:
                    complete.append(model)
            logs.append(
                log_noisy_expected_hypervolume_improvement(
                    complete,
                    rows[: len(designs)],
                    targets,
                    rows[len(designs) : len(designs) + len(observed)],
                    reference_point(targets),
                    waiting,
                )
            )
        return mixture(logs)
