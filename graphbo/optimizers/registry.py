"""The optimisers by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import SearchSpace

OPTIMIZERS = {
    "graph-bo": "Gaussian processes with graph kernels, and expected improvement",
    "random": "random search",
    "regularized-evolution": "aging evolution by mutation",
    "local-search": "hill climbing with restarts",
    "random-ranking": "the candidates of graph-bo, ranked at random",
}
"""What each optimiser is, by the name that the command line calls it."""

_CLASSES = {
    "graph-bo": "graph_bo:GraphBO",
    "random": "random_search:RandomSearch",
    "regularized-evolution": "evolution:RegularizedEvolution",
    "local-search": "local_search:LocalSearch",
    "random-ranking": "graph_bo:RandomRanking",
}


def make_optimizer(name: str, space: SearchSpace, *, seed: int = 0, **settings: Any) -> Optimizer:
    """Return a new optimiser.

    Args:
        name: One of `OPTIMIZERS`.
        space: The search space.
        seed: The seed of all randomness.
        settings: Further arguments of the optimiser.

    Raises:
        InputError: If there is no such optimiser, or it has no such setting.
    """
    if name not in _CLASSES:
        near = difflib.get_close_matches(name, OPTIMIZERS, n=2) or list(OPTIMIZERS)
        raise InputError(f"there is no optimiser {name!r}; did you mean {' or '.join(near)}?")
    module, _, attribute = _CLASSES[name].partition(":")
    kind: type[Optimizer] = getattr(
        importlib.import_module(f"graphbo.optimizers.{module}"), attribute
    )
    known = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD and parameter.name not in ("space", "seed")
    ]
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        raise InputError(f"{name} has no setting {unknown[0]!r}; it has {known or 'none'}")
    return kind(space, seed=seed, **settings)
