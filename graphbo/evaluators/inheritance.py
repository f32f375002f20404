"""Training that begins with the weights of a neighbour."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, refuse_hyperparameters
from graphbo.evaluators.population import train_alone
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.spaces.base import SearchSpace
from graphbo.training.isolation import isolated
from graphbo.training.morphism import distance, inherit
from graphbo.training.recipe import Recipe
from graphbo.training.trainer import choose_device
from graphbo.trial import COMPUTED, Evaluation, Job

Weights = dict[str, Tensor]


class InheritanceEvaluator(Evaluator):
    """Trains a network from the weights of the nearest one trained before, for a few epochs.

    The weights pass by function-preserving morphisms as far as there are any; see `inherit`. A
    network without a parent near enough is trained in full. Every network that was evaluated can
    be a parent, so that a line of descent has had more training than its last network alone would
    get: a bias in favour of the late, which the fact ``generation`` shows.

    Results depend on what was evaluated before. With a folder they outlive the process.

    Args:
        training: How to train in full: data, network, recipe, device, threads and precision. What
            else it is set to does not apply here.
        recipe: How to train on after inheriting; by default a quarter of the epochs (at least one)
            at half the learning rate.
        max_distance: The largest `distance` of a parent: the number of edges that differ.
        max_generation: How many times in a row weights may be inherited; by default any number.
        folder: Where trained weights are kept; by default in memory.

    Attributes:
        objectives: Those of ``training``.

    Raises:
        InputError: If an argument is out of range, or a file in the folder is damaged.

    Example:
        >>> evaluator = InheritanceEvaluator(TrainingEvaluator(build, train, validation))
        >>> first = evaluator.evaluate_one(Job(parent))
        >>> evaluator.evaluate_one(Job(child)).cost / first.cost
        0.26
    """

    def __init__(
        self,
        training: TrainingEvaluator,
        *,
        recipe: Recipe | None = None,
        max_distance: float = 3,
        max_generation: int | None = None,
        folder: str | Path | None = None,
    ) -> None:
        if training.fit is not None:
            raise InputError("weights are inherited in trainings with data, not in one's own")
        if max_distance < 0 or (max_generation is not None and max_generation < 0):
            raise InputError("max_distance and max_generation must be at least 0")
        full = training.recipe
        self.training = training
        self.recipe = recipe or replace(
            full, epochs=max(1, full.epochs // 4), learning_rate=full.learning_rate / 2
        )
        self.max_distance = max_distance
        self.max_generation = max_generation
        self.folder = None if folder is None else Path(folder)
        self.objectives = training.objectives
        self._trained: dict[Architecture, tuple[int, Weights | Path]] = {}
        if self.folder is not None:
            for path in sorted(self.folder.glob("*.pt")):
                architecture, generation, _ = _read(path)
                self._trained[architecture] = generation, path

    def check_space(self, space: SearchSpace) -> None:
        """Refuse a space with hyperparameters.

        Raises:
            InputError: If it has some.
        """
        refuse_hyperparameters(space, "weights are inherited")

    def evaluate_one(self, job: Job) -> Evaluation:
        """Train the job's architecture, from the weights of a parent if there is one.

        Returns:
            The objectives; the seconds spent on this job as cost; the validation error after each
            epoch spent on it as curve; as facts ``epochs``, what the network costs as in
            `TrainingEvaluator`, ``generation`` (0 if trained in full) and, of an heir, ``distance``
            to the parent and whether the morphism was ``exact``.

        Raises:
            InputError: If the fidelity is not the full one, the design has hyperparameters, or the
                networks cannot inherit.
            FloatingPointError: If the loss, or what the network answers, is not finite.
        """
        start = time.perf_counter()
        if job.design.hyperparameters:
            raise InputError(
                "weights are inherited by the architecture alone, whose design has "
                "no hyperparameters beside it"
            )
        settings = self.training.settings(job)
        rest = {axis: value for axis, value in job.fidelity.items() if axis != "epochs"}
        if rest or settings.epochs != self.training.recipe.epochs:
            raise InputError(f"weights are inherited at full fidelity only; got {job.fidelity}")
        child = job.design.architecture.pruned()
        parent, recipe, generation = self._parent(child), self.training.recipe, 0
        facts: dict[str, float] = {}
        with isolated(job.seed, choose_device(self.training.device), self.training.threads):
            network = self.training.network(job)
            if parent is not None:
                exact = self._inherit(network, child, parent, job.seed)
                recipe, generation = self.recipe, self._trained[parent][0] + 1
                facts |= {"distance": distance(parent, child), "exact": float(exact)}
            result = train_alone(
                network,
                recipe,
                replace(settings, epochs=recipe.epochs),
                seed=job.seed,
                device=self.training.device,
                precision=self.training.precision,
            )
        self._keep(child, generation, result.state["network"])
        return Evaluation(
            {name: getattr(result, name)[-1] for name in self.objectives},
            cost=time.perf_counter() - start,
            curve=result.validation_error,
            facts={
                **facts,
                "generation": generation,
                "epochs": result.epochs,
                **self.training.costs(COMPUTED, job.design, job.fidelity),
            },
        )

    def _parent(self, child: Architecture) -> Architecture | None:
        """Return the nearest possible parent; of equals the one with the fewest generations."""
        limit = self.max_generation
        candidates = [
            (distance(parent, child), generation, position, parent)
            for position, (parent, (generation, _)) in enumerate(self._trained.items())
            if parent != child and (limit is None or generation < limit)
        ]
        best = min(candidates, default=None, key=lambda candidate: candidate[:3])
        return None if best is None or best[0] > self.max_distance else best[3]

    def _inherit(
        self, network: nn.Module, child: Architecture, parent: Architecture, seed: int
    ) -> bool:
        kept = self._trained[parent][1]
        source = self.training.build(parent)
        source.load_state_dict(_read(kept)[2] if isinstance(kept, Path) else kept)
        return inherit(network, child, source, parent, torch.Generator().manual_seed(seed))

    def _keep(self, architecture: Architecture, generation: int, weights: Weights) -> None:
        # An isomorphic architecture would keep its own order of edges as the key.
        self._trained.pop(architecture, None)
        if self.folder is None:
            self._trained[architecture] = generation, weights
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{architecture.key}.pt"
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        content = {
            "architecture": architecture.to_string(),
            "generation": generation,
            "network": weights,
        }
        torch.save(content, unfinished)
        os.replace(unfinished, path)
        self._trained[architecture] = generation, path


def _read(path: Path) -> tuple[Architecture, int, Weights]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        architecture = Architecture.from_string(content["architecture"])
        return architecture, int(content["generation"]), content["network"]
    except Exception as error:  # torch states no common class of what a bad file raises
        raise InputError(f"{path} is damaged, or holds no weights to inherit") from error
