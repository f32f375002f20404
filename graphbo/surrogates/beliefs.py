"""What is believed of architectures before a search, as a prior: by a user, or from other trials.

Each is a prediction for `GraphSurrogate`, with mean 0 and standard deviation 1 over the space, and
lower values for what is better. How much of it to believe is not said: the process integrates over
that (see `graphbo.surrogates.prior`).

References: Hvarfner et al., "piBO: augmenting acquisition functions with user beliefs for Bayesian
optimization", ICLR 2022, multiply the acquisition function by a density of the user's, to a power
that decays with the number of trials on a fixed schedule; here a belief is a prior mean, and the
results say when to let go of it. Feurer et al., "Scalable meta-learning for Bayesian optimization
using ranking-weighted Gaussian process ensembles", 2018, average processes of other tasks by how
often each ranks the trials of this one rightly. Golovin et al., "Google Vizier: a service for
black-box optimization", KDD 2017, stack a process on the residuals of that of another task, which
is believed in full; here, too, the process of the other task is the prior mean of the next, but up
to a factor and an offset that are unknown and integrated over.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.errors import InputError, nearest_names
from graphbo.spaces.base import Design, SearchSpace
from graphbo.surrogates.defaults import KernelFactory
from graphbo.surrogates.embedded import name_of
from graphbo.surrogates.model import ModelFactory
from graphbo.surrogates.surrogate import GraphSurrogate
from graphbo.surrogates.transforms import Values
from graphbo.trial import Trial, best_and_last, longest

_DRAWN = 500
_AT_ONCE = 4096
_MOST, _FEWEST = 300, 5
_SMALLEST = 1e-9


class Standardised(ABC):
    """A prediction with mean 0 and standard deviation 1 over a space.

    A subclass gives `values`, and calls this when they can be had.

    Args:
        space: The space, of which 500 architectures are drawn.
        name: What a study records it as; what predicts something else has another name.

    Raises:
        InputError: If the space has hyperparameters, or the values are all alike or not finite.
    """

    def __init__(self, space: SearchSpace, name: str) -> None:
        self.name = name
        _refuse_hyperparameters(space)
        rng = np.random.default_rng(0)
        drawn = self.values([space.sample(rng).architecture for _ in range(_DRAWN)])
        if not np.isfinite(drawn).all():
            first = drawn[~np.isfinite(drawn)][0]
            raise InputError(f"the prior {name} must give finite numbers; it gave {first}")
        self.center, self.spread = float(drawn.mean()), float(drawn.std())
        if self.spread < _SMALLEST * max(1.0, abs(self.center)):
            raise InputError(
                f"the prior {name} gives {_DRAWN} architectures of the space {space.name} the same "
                f"value, {self.center:g}, and tells nothing; leave it out"
            )

    @abstractmethod
    def values(self, architectures: Sequence[Architecture]) -> Values:
        """Return what is predicted of ``n`` architectures, `n`, on any scale; lower is better."""

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return the standardised predictions, `n`."""
        return torch.from_numpy((self.values(architectures) - self.center) / self.spread)


class Belief(Standardised):
    """What a function of the user's own says of architectures.

    Args:
        space: The space.
        function: From one architecture to a number, on any scale; lower is better. It must be
            picklable to travel with the optimiser.
        name: What a study records it as; by default the name of the function.

    Raises:
        InputError: If the space has hyperparameters, or the numbers are all alike or not finite.

    Example:
        >>> belief = Belief(space, lambda architecture: -len(architecture.edges))
        >>> GraphBO(space, prior=belief)
    """

    def __init__(
        self,
        space: SearchSpace,
        function: Callable[[Architecture], float],
        name: str | None = None,
    ) -> None:
        self.function = function
        super().__init__(space, name_of(function) if name is None else name)

    def values(self, architectures: Sequence[Architecture]) -> Values:
        """Return what the function says, `n`."""
        return np.array([float(self.function(each)) for each in architectures])


class OperationBelief(Belief):
    """That some operations are good and others are bad, by how often they occur.

    What cannot be reached from the input, or does not reach the output, does not occur. Only the
    ratios of the benefits matter, and what is not named has none.

    Args:
        space: The space.
        benefits: What each occurrence of an operation is expected to do, by its label; higher is
            better. Where a space has several parts, a label without the part is meant in all.

    Raises:
        InputError: If there is no such operation, a benefit is not a finite number, they tell
            nothing, or the space has hyperparameters.

    Example:
        >>> belief = OperationBelief(NASBench201Space(), {"nor_conv_3x3": 1, "avg_pool_3x3": -0.5})
        >>> GraphBO(NASBench201Space(), prior=belief)
    """

    def __init__(self, space: SearchSpace, benefits: Mapping[str, float]) -> None:
        _refuse_hyperparameters(space)
        shared = {label: space.aliases.get(label, label) for label in space.operations}
        known = list(dict.fromkeys([*shared, *shared.values()]))
        for label, benefit in benefits.items():
            if label not in known:
                near = nearest_names(label, known, f"it has {', '.join(known)}")
                raise InputError(f"the space {space.name} has no operation {label!r}; {near}")
            if not math.isfinite(benefit):
                raise InputError(f"the benefit of {label} must be a finite number; got {benefit}")
        self.benefits = {
            label: float(sum(benefits.get(each, 0.0) for each in {label, whole}))
            for label, whole in shared.items()
        }
        digest = _digest(sorted(self.benefits.items()))
        super().__init__(space, self._harm, f"operations-{digest}")

    def _harm(self, architecture: Architecture) -> float:
        labels = (*architecture.nodes, *(label for _, _, label in architecture.edges))
        return -sum(self.benefits.get(label, 0.0) for label in labels)


class FromTrials(Standardised):
    """What the trials of another search say of the architectures of the same space.

    A `GraphSurrogate` of the space is fitted to them, and its mean is the prediction.
    With several numbers of epochs, those trained longest count; of more than 300, the best 150 and
    the last 150 of the others, so that the cost is bounded.

    Args:
        space: The space.
        trials: The trials; failed ones are left out.
        kernels: The kernels of the surrogate; by default those that a search takes.

    Raises:
        InputError: If fewer than five trials completed, they tell nothing, one is not of the
            space, or the space has hyperparameters.

    Example:
        >>> other = minimize(error_on_cifar10, space, 100)
        >>> GraphBO(space, prior=FromTrials(space, other.trials))
    """

    def __init__(
        self,
        space: SearchSpace,
        trials: Sequence[Trial],
        kernels: Sequence[Kernel | KernelFactory | ModelFactory] | None = None,
    ) -> None:
        _refuse_hyperparameters(space)
        completed = [trial for trial in longest(trials) if trial.value is not None]
        if len(completed) < _FEWEST:
            shorter = sum(trial.value is not None for trial in trials) > len(completed)
            which = f"with the most epochs, {completed[0].epochs:g}" if shorter else "completed"
            raise InputError(
                f"a prior needs {_FEWEST} completed trials at least, all as long as the longest; "
                f"{len(completed)} of {len(trials)} are {which}"
            )
        strange = next((t for t in completed if t.design.architecture not in space), None)
        if strange is not None:
            raise InputError(
                f"trial {strange.number} of the prior, {strange.design.architecture!r}, is not of "
                f"the space {space.name}"
            )
        names = [] if kernels is None else [name_of(kernel) for kernel in kernels]
        content = [(t.design.architecture.key, float(t.value or 0.0).hex()) for t in completed]
        # A study with another prior is another study, whatever makes the difference.
        chosen = best_and_last(completed, _MOST)
        values = [trial.value for trial in chosen if trial.value is not None]
        self.surrogate = GraphSurrogate(space, kernels)
        self.surrogate.fit([Design(t.design.architecture, ()) for t in chosen], values)
        super().__init__(space, f"trials-{_digest([content, names])}")

    def values(self, architectures: Sequence[Architecture]) -> Values:
        """Return the predicted means on the scale of the surrogate, `n`."""
        designs = [Design(architecture, ()) for architecture in architectures]
        parts = [designs[i : i + _AT_ONCE] for i in range(0, len(designs), _AT_ONCE)]
        return np.concatenate([np.empty(0), *(self.surrogate.predict(part)[0] for part in parts)])


def _refuse_hyperparameters(space: SearchSpace) -> None:
    if space.hyperparameters is not None:
        raise InputError(
            f"a prior predicts from architectures alone, and the space {space.name} has "
            "hyperparameters, too; name designs to try first instead"
        )


def _digest(content: object) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()
