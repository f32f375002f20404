"""Costs of the networks of designs, beside what an evaluator reports of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphbo.spaces.base import Design
from graphbo.trial import COMPUTED, MEASURED

if TYPE_CHECKING:
    from torch import nn

    from graphbo.networks.deployment import Deployment


class NetworkCosts:
    """Builds the network of a design, and says what it costs where it is to run.

    Args:
        build: Makes the network of an architecture; it takes a batch of images. Hyperparameters of
            the design that are no settings of a recipe are passed on as keywords.
        shape: Channels, height and width of an image, or a function that returns them.
        deployment: How the network is to run; by default `Deployment` with its default values.

    Example:
        >>> costs = NetworkCosts(functools.partial(NASBench201Network, cells=1), (3, 32, 32))
        >>> costs.cost("parameters", space.sample(rng))
        71834.0
    """

    def __init__(
        self,
        build: Callable[..., nn.Module],
        shape: Sequence[int] | Callable[[], Sequence[int]],
        deployment: Deployment | None = None,
    ) -> None:
        self.build = build
        self._deployment = deployment
        self._shape = shape
        self._memory: dict[Design, dict[str, float]] = {}

    @cached_property
    def deployment(self) -> Deployment:
        """How the network is to run."""
        from graphbo.networks.deployment import Deployment  # a table is read without torch

        return Deployment() if self._deployment is None else self._deployment

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all costs."""
        return (*COMPUTED, *MEASURED)

    @property
    def shape(self) -> Sequence[int]:
        """Channels, height and width of an image."""
        if callable(self._shape):
            self._shape = self._shape()
        return self._shape

    def cost(self, name: str, design: Design) -> float:
        """Return one of the costs of a design; what is measured is measured anew each time.

        Raises:
            InputError: If it is not one of `names`, or cannot be measured here.
        """
        return self.costs([name], design)[name]

    def costs(self, names: Iterable[str], design: Design) -> dict[str, float]:
        """Return several of the costs of a design by name; see `cost`."""
        names = list(names)
        known = self._memory.setdefault(design, {})
        missing = [name for name in names if name in COMPUTED and name not in known]
        if missing:
            known |= self.deployment.computed(self.network(design), self.shape, missing)
        return {
            name: float(known[name])
            if name in known
            else self.deployment.cost(name, self.network(design), self.shape)
            for name in names
        }

    def network(self, design: Design) -> nn.Module:
        """Return the network of a design, the same each time; torch's random state is kept.

        It is that of the canonical architecture, as the order of the nodes is that of the
        operations, on which the memory depends.
        """
        import torch

        from graphbo.training.hyperparameters import RECIPE_NAMES
        from graphbo.training.isolation import isolated

        given = {k: v for k, v in design.hyperparameters.items() if k not in RECIPE_NAMES}
        with isolated(0, torch.device("cpu")):
            return self.build(design.architecture.canonical(), **given)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memory": {}}
