"""Proxies of untrained networks as tasks of a pretraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphbo.architecture import Architecture
from graphbo.datasets import ImageData, get_dataset
from graphbo.embeddings import Better, Task
from graphbo.errors import InputError
from graphbo.evaluators.proxy import ProxyEvaluator
from graphbo.problems.training import skeleton
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.description import whole
from graphbo.tabulate.equivalence import networks
from graphbo.trial import Job

if TYPE_CHECKING:
    import torch

PROXIES = ("parameters", "flops", "synflow", "naswot", "jacobian_covariance")
"""The proxies that are taken by default."""

_AT_ONCE = 32
_SKIP = "skip_connect"

Progress = Callable[[int, int], object]
"""Told how many networks are done, and how many there are."""


def proxy_tasks(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    proxies: Sequence[str] = PROXIES,
    *,
    at_most: int | None = None,
    images: ImageData | None = None,
    batch_size: int = 64,
    seed: int = 0,
    device: str | torch.device | None = None,
    on_progress: Progress | None = None,
) -> list[Task]:
    """Compute proxies of architectures; all of them are a good omen if they are high.

    Cells with operations on their edges are computed once for each network that they are (see
    `graphbo.tabulate.equivalence`), as they differ by skips that only copy.

    Args:
        space: The space of the architectures; it gives the networks, as small as those of
            `problem_from_images`.
        architectures: The architectures (``n``).
        proxies: Names of ``graphbo.training.proxies.PROXIES``.
        at_most: Compute so many networks, drawn at random if there are more. The values of the
            others are NaN.
        images: The images; by default the digits.
        batch_size: Images in the batch that proxies look at.
        seed: The seed of the networks drawn, of their weights and of the choice of images.
        device: Where to compute; by default the GPU if there is one.
        on_progress: Told of the progress.

    Returns:
        One task for each proxy, with its name. A score that is not finite is left out.

    Raises:
        InputError: If there is no such proxy or there are no networks for the space, or fewer than
            two scores of a proxy are finite.
        MissingExtraError: If scikit-learn is not installed, for the digits.
    """
    if at_most is not None and at_most < 2:
        raise InputError(f"proxies are computed of at least 2 networks; got {at_most}")
    images = get_dataset("digits") if images is None else images
    evaluator = ProxyEvaluator(
        skeleton(whole(space), images),
        images.train,
        proxies,
        batch_size=batch_size,
        seed=seed,
        device=device,
        population=_AT_ONCE,
    )
    groups = _groups(space, architectures)
    if at_most is not None and at_most < len(groups):
        drawn = np.random.default_rng(seed).choice(len(groups), at_most, replace=False)
        groups = [groups[i] for i in sorted(drawn.tolist())]
    values = np.full((len(architectures), len(proxies)), np.nan)
    for first in range(0, len(groups), _AT_ONCE):
        part = groups[first : first + _AT_ONCE]
        jobs = [Job(Design(architectures[group[0]], ()), seed=seed) for group in part]
        for group, scores in zip(part, evaluator.scores(jobs), strict=True):
            values[group] = scores
        if on_progress is not None:
            on_progress(first + len(part), len(groups))
    values[~np.isfinite(values)] = np.nan
    try:
        return [
            Task(name, column, Better.HIGH) for name, column in zip(proxies, values.T, strict=True)
        ]
    except ValueError as error:
        raise InputError(str(error)) from error


def _groups(space: SearchSpace, architectures: Sequence[Architecture]) -> list[list[int]]:
    """Return the numbers of the architectures that are one network, for each network."""
    space = whole(space)
    if isinstance(space, CellSpace) and space.on == "edges" and _SKIP in space.operations:
        return list(networks(architectures).values())
    groups: dict[Architecture, list[int]] = {}
    for i, architecture in enumerate(architectures):
        groups.setdefault(architecture, []).append(i)
    return list(groups.values())
