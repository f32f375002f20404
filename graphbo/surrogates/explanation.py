r"""Which subtrees and paths raise or lower a prediction.

The posterior mean of a Gaussian process on counts is a function of the counts. The effect of a
feature j at an architecture with counts c is what one occurrence of it adds to the mean, all other
counts held fixed:

.. math:: e_j(c) = \mu(c) - \mu(c - \mathbf{1}_j)

Where the mean is linear in the counts, this is its derivative, as in Ru et al., "Interpretable NAS
via Bayesian optimisation with Weisfeiler-Lehman kernels", ICLR 2021, section 3.3. Elsewhere it is
the backward difference. That is defined for histogram intersections and other functions of
unary-coded counts too, which have no derivative at whole numbers, and for squared exponentials it
is the better question: their gradient at c knows nothing of the observations that have the feature
as often as c.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from gpytorch.models import ExactGP
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels.naming import Feature, Occurrence, parts_of
from graphbo.spaces.base import Design
from graphbo.surrogates.altered import FeatureSource, Key
from graphbo.surrogates.count_posterior import CountPosterior
from graphbo.surrogates.surrogate import GraphSurrogate

Found = dict[Key, list[Occurrence]]
"""Where each feature occurs in an architecture."""


@dataclass(frozen=True)
class FeatureEffect:
    """What one occurrence of a feature adds to the prediction.

    Objectives are minimised: a positive effect raises the predicted error, a negative one lowers
    it.

    Attributes:
        features: The feature, after which come those that occur exactly as often as it in every
            training architecture. The data cannot tell them apart, so they are taken away together.
        occurrences: In how many of the architectures it occurs.
        effect: The mean of the effects in these architectures.
        deviation: The standard deviation of the effects between these architectures.
        uncertainty: The posterior standard deviation of `effect`.
    """

    features: tuple[Feature, ...]
    occurrences: int
    effect: float
    deviation: float
    uncertainty: float

    @property
    def name(self) -> str:
        """The name of the feature, of the simplest if there are several."""
        return self.features[0].name

    @property
    def block(self) -> str:
        """The block of the feature, such as ``"depth_1"`` or ``"paths"``."""
        return self.features[0].block

    @property
    def score(self) -> float:
        """The effect in units of its uncertainty."""
        return self.effect / self.uncertainty


@dataclass(frozen=True)
class Explanation:
    """What the parts of one architecture add to its prediction.

    Attributes:
        architecture: The architecture.
        prediction: The posterior mean.
        unit: What predictions and effects are measured in, where that is not the targets' unit.
        features: The effects of its features, as `feature_effects` sorts them.
        parts: The effect of each operation: keys are nodes, or edges ``(source, target)``. The
            effect of a feature counts as often as it occurs, and is shared evenly by the
            operations where it is: the root of a subtree, all operations of a path, all nodes of a
            walk or a graphlet. Features without a place have no share in them.
    """

    architecture: Architecture
    prediction: float
    unit: str
    features: tuple[FeatureEffect, ...]
    parts: dict[int | tuple[int, int], float]


def feature_effects(
    model: ExactGP | GraphSurrogate, at: Tensor | Sequence[Design] | None = None
) -> list[FeatureEffect]:
    """Say which features raise or lower the prediction, the surest first.

    The features are those of all feature maps in the model's kernel, under whatever sums, products,
    scales, squared exponentials and normalisations. Left out are features that occur equally often
    in all training architectures, whose effect cannot be told from a constant, and features that
    occur in none.

    Args:
        model: A fitted Gaussian process with a ``covar_module``, without batch shape, which is left
            in evaluation mode; or a surrogate, for the average of its processes. A surrogate's
            processes predict the normal scores of the observed values.
        at: Where effects are measured: `n x d` rows, or designs for a surrogate; a few hundred at
            most. By default at the training points.

    Returns:
        Effects in the units of the targets (of BoTorch's outcome transforms, `Standardize` is
        undone), sorted by the size of `FeatureEffect.score`.

    Raises:
        ValueError: If the model has not been fitted, has a batch shape, or no feature map.

    Example:
        >>> for feature in feature_effects(gp)[:5]:
        ...     print(f"{feature.effect:+.2f} {feature.name}")
    """
    measured = _Measured(model, at)
    return measured.summary()


def explain(model: ExactGP | GraphSurrogate, at: Tensor | Design) -> Explanation:
    """Say what the features and the operations of one architecture add to its prediction.

    Args:
        model: As in `feature_effects`.
        at: A row (`d`), or a design for a surrogate.

    Returns:
        The explanation, which `graphbo.report.draw_effects` draws. Its effects are those at this
        architecture, not averages.

    Raises:
        ValueError: As in `feature_effects`.
    """
    measured = _Measured(model, at.reshape(1, -1) if isinstance(at, Tensor) else [at])
    effects, found = measured.summary(), measured.found[0]
    architecture = measured.architectures[0]
    places = parts_of(architecture)
    parts = dict.fromkeys(places, 0.0)
    for effect in effects:
        for feature in effect.features:
            for occurrence in found.get((feature.block, feature.key), []):
                shared = len(effect.features) * len(occurrence.nodes)
                for node in occurrence.nodes:
                    parts[places[node]] += effect.effect * occurrence.times / shared
    unit = "normal scores" if isinstance(model, GraphSurrogate) else ""
    return Explanation(architecture, measured.prediction, unit, tuple(effects), parts)


class _Measured:
    """The features of a model, in groups that data cannot tell apart, and their effects.

    Attributes:
        architectures: The architectures where effects are measured.
        found: What occurs in each of them.
        prediction: The posterior mean at the first of them.
    """

    def __init__(
        self, model: ExactGP | GraphSurrogate, at: Tensor | Sequence[Design] | None
    ) -> None:
        processes = [CountPosterior(m) for m in _models(model)]
        rows = _rows(model, at)
        training = _found([(source, p.train) for p in processes for source in p.sources])
        self.groups = _groups(training)
        points = [p.train if rows is None else p.rows(rows) for p in processes]
        sources = [(s, x) for p, x in zip(processes, points, strict=True) for s in p.sources]
        if not any(training):
            raise ValueError("the kernel has no feature map, so there are no features to explain")
        self.architectures = sources[0][0].decode(sources[0][1])
        self.found = training if rows is None else _found(sources)
        keys = [[(feature.block, feature.key) for feature in group] for group in self.groups]
        self.where = [
            [i for i, found in enumerate(self.found) if any(key in found for key in group)]
            for group in keys
        ]
        results = [p.effects(x, keys, self.where) for p, x in zip(processes, points, strict=True)]
        self.effects = [torch.stack(e).mean(0) for e in zip(*(e for e, _ in results), strict=True)]
        # The most that the average can be uncertain, however the processes hang together.
        self.uncertainty = torch.stack([u for _, u in results]).mean(0)
        means = [p.mean(x[:1]) for p, x in zip(processes, points, strict=True)]
        self.prediction = sum(means) / len(means)

    def summary(self) -> list[FeatureEffect]:
        """Return the average effects, the surest first."""
        result = [
            FeatureEffect(
                group, len(where), effects.mean().item(), effects.std(correction=0).item(), u.item()
            )
            for group, where, effects, u in zip(
                self.groups, self.where, self.effects, self.uncertainty, strict=True
            )
            if where
        ]
        return sorted(result, key=lambda effect: (-abs(effect.score), effect.name))


def _found(sources: Sequence[tuple[FeatureSource, Tensor]]) -> list[Found]:
    """Return what occurs in the architecture of each row, in all feature maps."""
    result: list[Found] = [{} for _ in range(len(sources[0][1]) if sources else 0)]
    for source, x in sources:
        for found, architecture in zip(result, source.decode(x), strict=True):
            here: Found = defaultdict(list)
            for occurrence in source.store.feature_map.occurrences(architecture):
                here[occurrence.feature.block, occurrence.feature.key].append(occurrence)
            found |= here  # a map that two kernels have in common says the same twice
    return result


def _groups(training: Sequence[Found]) -> list[tuple[Feature, ...]]:
    """Gather the features that occur equally often everywhere, and leave out what is constant."""
    columns: dict[Key, list[tuple[int, float]]] = defaultdict(list)
    features: dict[Key, Feature] = {}
    for i, found in enumerate(training):
        for key, occurrences in found.items():
            columns[key].append((i, sum(occurrence.times for occurrence in occurrences)))
            features[key] = occurrences[0].feature
    alike: dict[tuple[tuple[int, float], ...], list[Feature]] = defaultdict(list)
    for key, column in columns.items():
        if len(column) < len(training) or len({count for _, count in column}) > 1:
            alike[tuple(column)].append(features[key])
    return [
        tuple(sorted(group, key=lambda feature: (len(feature.name), feature.name)))
        for group in alike.values()
    ]


def _models(model: ExactGP | GraphSurrogate) -> list[ExactGP]:
    given = list(model.models) if isinstance(model, GraphSurrogate) else [model]
    models = [m for m in given if isinstance(m, ExactGP)]
    if len(models) < len(given):
        raise ValueError("only Gaussian processes have features to explain; a model is none")
    if not models:
        raise ValueError("the surrogate has not been fitted yet; call its `fit` first")
    if any(m.train_inputs is None or m.train_inputs[0].dim() != 2 for m in models):
        raise ValueError("effects are those of a model with training data and no batch shape")
    return models


def _rows(model: ExactGP | GraphSurrogate, at: Tensor | Sequence[Design] | None) -> Tensor | None:
    if at is None or isinstance(at, Tensor):
        return at
    if not isinstance(model, GraphSurrogate):
        raise ValueError("a model without a space is asked at rows, not at designs")
    return model.rows(at)
