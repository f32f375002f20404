"""Scores of untrained networks in place of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report, refuse_hyperparameters
from graphbo.spaces.base import Design, SearchSpace
from graphbo.training.data import Data, check, read, shuffled, size
from graphbo.training.isolation import isolated
from graphbo.training.population_proxies import population_proxies
from graphbo.training.proxies import checked, proxy
from graphbo.training.recipe import generators
from graphbo.training.trainer import choose_device
from graphbo.trial import Evaluation, Job

Build = Callable[[Architecture], nn.Module]


class ProxyEvaluator(Evaluator):
    """Scores networks by cheap proxies on one batch, without training; see `proxy`.

    Objectives are minimised, so they are minus the scores. All jobs see the same images; the
    weights follow the seed of the job. Several jobs are computed as one program. A fidelity means
    nothing here and is ignored.

    Args:
        build: Makes the network of an architecture; it maps images to logits.
        train: The training data.
        proxy: The name of a proxy, or several, the first of which is to be minimised.
        batch_size: Images in the batch.
        seed: The seed of the choice of images.
        device: Where to compute; by default the GPU if there is one.
        threads: CPU threads; by default as many as torch is set to use.
        population: How many networks are computed at once.

    Attributes:
        objectives: ``minus_naswot`` for the proxy ``naswot``.

    Raises:
        InputError: If there is no such proxy, or the data cannot be used.

    Example:
        >>> build = functools.partial(NASBench201Network, channels=8, cells=1)
        >>> evaluator = ProxyEvaluator(build, (x, y), "naswot")
        >>> evaluator.evaluate_one(Job(space.sample(rng))).objectives
        {'minus_naswot': -331.2}
    """

    def __init__(
        self,
        build: Build,
        train: Data,
        proxy: str | Sequence[str] = "naswot",
        *,
        batch_size: int = 64,
        seed: int = 0,
        device: str | torch.device | None = None,
        threads: int | None = None,
        population: int = 32,
    ) -> None:
        check("train", train)
        self.names = (proxy,) if isinstance(proxy, str) else tuple(proxy)
        if not self.names:
            raise InputError("name at least one proxy")
        for name in self.names:
            checked(name)
        for what, value in (("batch_size", batch_size), ("population", population)):
            if value < 1:
                raise InputError(f"{what} must be at least 1; got {value}")
        self.build = build
        self.seed = seed
        self.device = device
        self.threads = threads
        self.capacity = population
        self.objectives = tuple(f"minus_{name}" for name in self.names)
        self._batch = _first_batch(train, batch_size, seed)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse a space with hyperparameters.

        Raises:
            InputError: If it has some.
        """
        refuse_hyperparameters(space, "proxies score")

    def evaluate_one(self, job: Job) -> Evaluation:
        """Score the job's architecture; the cost is the seconds that it took."""
        start = time.perf_counter()
        device = choose_device(self.device)
        with isolated(job.seed, device, self.threads):
            network, (x, y) = self._network(job, device), self._images(device)
            scores = [proxy(name, network, x, y) for name in self.names]
        return self._evaluation(scores, time.perf_counter() - start)

    def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
        """Score several architectures together; they share the seconds evenly."""
        jobs = list(jobs)
        for first in range(0, len(jobs), self.capacity):
            part = jobs[first : first + self.capacity]
            try:
                reports = self._together(part)
            except Exception:
                # One by one, only what is at fault fails.
                yield from super().evaluate(part)
            else:
                yield from reports

    def scores(self, jobs: Sequence[Job]) -> NDArray[np.float64]:
        """Return the scores themselves, one row for each job and one column for each proxy."""
        return np.concatenate(
            [np.empty((0, len(self.names)))]
            + [
                self._scores(jobs[first : first + self.capacity])
                for first in range(0, len(jobs), self.capacity)
            ]
        )

    def _together(self, jobs: Sequence[Job]) -> list[Report]:
        start = time.perf_counter()
        scores = self._scores(jobs).tolist()
        cost = (time.perf_counter() - start) / len(jobs)
        return [
            Report(job, self._evaluation(row, cost)) for job, row in zip(jobs, scores, strict=True)
        ]

    def _scores(self, jobs: Sequence[Job]) -> NDArray[np.float64]:
        device = choose_device(self.device)
        with isolated(self.seed, device, self.threads):
            networks = [self._network(job, device) for job in jobs]
            return population_proxies(networks, *self._images(device), self.names).numpy()

    def _network(self, job: Job, device: torch.device) -> nn.Module:
        with isolated(job.seed, torch.device("cpu")):
            return self.build(job.design.architecture).to(device)

    def _images(self, device: torch.device) -> tuple[Tensor, Tensor]:
        x, y = self._batch
        return x.to(device, torch.float32), y.to(device)

    def _evaluation(self, scores: Sequence[float], cost: float) -> Evaluation:
        negative = [-score for score in scores]
        return Evaluation(dict(zip(self.objectives, negative, strict=True)), cost=cost)


def proxy_features(
    architectures: Sequence[Architecture],
    build: Build,
    train: Data,
    names: Sequence[str],
    *,
    batch_size: int = 64,
    seed: int = 0,
    device: str | torch.device | None = None,
    population: int = 32,
) -> NDArray[np.float64]:
    """Return proxies as features of architectures, for a surrogate.

    Args:
        architectures: The architectures (``n``).
        build: Makes the network of an architecture.
        train: The training data.
        names: The proxies (``p``).
        batch_size: Images in the batch.
        seed: The seed of the weights and of the choice of images.
        device: Where to compute; by default the GPU if there is one.
        population: How many networks are computed at once.

    Returns:
        ``n x p`` scores as `proxy` gives them: nothing is scaled.

    Raises:
        InputError: If there is no proxy of a name, or the data cannot be used.
    """
    evaluator = ProxyEvaluator(
        build, train, names, batch_size=batch_size, seed=seed, device=device, population=population
    )
    return evaluator.scores([Job(Design(a, ()), seed=seed) for a in architectures])


def _first_batch(train: Data, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the images, before augmentation, that the first step of a training shows."""
    order, _ = generators(seed)
    return next(iter(read(train, shuffled(size(train), batch_size, order)[:1])))
