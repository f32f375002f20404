"""Scores of cells by the shared weights of a supernet."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report, refuse_hyperparameters
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.training.data import Data, check_parts, materialise
from graphbo.training.isolation import isolated
from graphbo.training.recipe import Recipe, generators
from graphbo.training.supernet import Supernet, train_supernet
from graphbo.training.trainer import choose_device
from graphbo.trial import Evaluation, Job


class SupernetEvaluator(Evaluator):
    """Trains one supernet for all cells of a space, and scores each cell by its weights.

    The first job trains it, unless a file of an earlier training is given: the cost of that job
    includes the training. The seed of a job is ignored, since all share the same weights.

    Args:
        space: A space of cells with operations on edges.
        build: Makes the network of a cell out of `EdgeCell`.
        train: The training data.
        validation: The data whose error is to be minimised.
        recipe: How to train the supernet; by default 240 epochs, twenty times those of one network:
            each of its weights is trained in few of the steps.
        calibration: How many training images batch norm takes its statistics from.
        batch_size: Images in a pass of a scored cell.
        seed: The seed of weights, paths, order and augmentation.
        path: A file for the supernet's weights: read if it exists, else written after training.
        device: Where to train and score; by default the GPU if there is one.
        threads: CPU threads; by default as many as torch is set to use.

    Raises:
        InputError: If the data or the space cannot be used.

    Example:
        >>> build = functools.partial(NASBench201Network, channels=8, cells=1)
        >>> evaluator = SupernetEvaluator(space, build, (x, y), (x_val, y_val))
        >>> evaluator.errors([design.architecture for design in space.enumerate()])
        [90.1, 34.5, ...]
    """

    capacity = 256

    def __init__(
        self,
        space: CellSpace,
        build: Callable[[Architecture], nn.Module],
        train: Data,
        validation: Data,
        *,
        recipe: Recipe | None = None,
        calibration: int = 256,
        batch_size: int = 1024,
        seed: int = 0,
        path: str | Path | None = None,
        device: str | torch.device | None = None,
        threads: int | None = None,
    ) -> None:
        check_parts(train, validation)
        if calibration < 2:
            raise InputError(f"calibration must be at least 2 images; got {calibration}")
        self.space = space
        self.build = build
        (x, y), (x_validation, y_validation) = materialise(train), materialise(validation)
        self.train, self.validation = (x.float(), y), (x_validation.float(), y_validation)
        self.recipe = Recipe(epochs=240) if recipe is None else recipe
        self.calibration = calibration
        self.batch_size = batch_size
        self.seed = seed
        self.path = None if path is None else Path(path)
        self.device = device
        self.threads = threads
        self._supernet: Supernet | None = None

    def check_space(self, space: SearchSpace) -> None:
        """Refuse a space with hyperparameters.

        Raises:
            InputError: If it has some.
        """
        refuse_hyperparameters(space, "a supernet scores")

    def evaluate_one(self, job: Job) -> Evaluation:
        """Score a cell."""
        return self._score([job])[0]

    def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
        """Score cells together; they share the seconds evenly."""
        good: list[Job] = []
        for job in jobs:
            try:
                self._row(job)
            except Exception:
                yield Report(job, error=traceback.format_exc())
            else:
                good.append(job)
        if good:
            try:
                evaluations = self._score(good)
            except Exception:
                error = traceback.format_exc()
                yield from (Report(job, error=error) for job in good)
            else:
                yield from map(Report, good, evaluations)

    def errors(self, architectures: Sequence[Architecture]) -> list[float]:
        """Return the validation error of cells in percent, quickly for thousands.

        Raises:
            InputError: If a cell is not of the space.
        """
        return self._errors([self._encoded(architecture) for architecture in architectures])

    def fit(self) -> Supernet:
        """Return the supernet, trained or read now if it was not before.

        Raises:
            InputError: If the file holds no weights of this supernet.
            FloatingPointError: If the training diverges.
        """
        if self._supernet is None:
            device = choose_device(self.device)
            with isolated(self.seed, device, self.threads):
                supernet = Supernet(self.space, self.build)
                if self.path is not None and self.path.exists():
                    supernet.load(self.path)
                    supernet.to(device)
                else:
                    train_supernet(supernet.to(device), self.recipe, self.train, self.seed)
                    if self.path is not None:
                        supernet.save(self.path)
            self._supernet = supernet
        return self._supernet

    def _score(self, jobs: Sequence[Job]) -> list[Evaluation]:
        start = time.perf_counter()
        rows = [self._row(job) for job in jobs]
        self.fit()
        fitted = time.perf_counter()
        errors = self._errors(rows)
        each = (time.perf_counter() - fitted) / len(jobs)
        costs = [each + fitted - start, *[each] * (len(jobs) - 1)]
        return [
            Evaluation({"validation_error": error}, cost=cost)
            for error, cost in zip(errors, costs, strict=True)
        ]

    def _errors(self, rows: Sequence[tuple[int, ...]]) -> list[float]:
        supernet = self.fit()
        images = self.train[0]
        order, _ = generators(self.seed)
        chosen = torch.randperm(len(images), generator=order)[: self.calibration]
        with isolated(self.seed, choose_device(self.device), self.threads):
            return supernet.errors(
                rows, images[chosen.to(images.device)], self.validation, self.batch_size
            )

    def _row(self, job: Job) -> tuple[int, ...]:
        return self._encoded(job.design.architecture)

    def _encoded(self, architecture: Architecture) -> tuple[int, ...]:
        try:
            return self.space.encode(architecture)
        except ValueError as error:
            raise InputError(
                f"the supernet holds the cells of {self.space.name}: {error}"
            ) from None
