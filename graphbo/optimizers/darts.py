"""Differentiable architecture search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.best_first import BestFirst
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.training.darts import ARCHITECTURE_RATE, RECIPE, relax
from graphbo.trial import Fidelity, Job

_WAY_OUT = (
    "take a problem that trains networks on images, such as digits, or a TrainingEvaluator with "
    "data"
)


class DARTS(Optimizer):
    """Trains one network that mixes all operations, and proposes the strongest cells.

    When it is first asked, a supernet is trained whose edges mix their operations by the softmax of
    architecture parameters; see `graphbo.training.darts.relax`. The first proposal has the
    strongest choice on every edge, as in the paper; the others follow in the order of the product
    of the strengths of their choices, which the paper does not need: it stops at the first. Results
    that it is told change nothing.

    No operation is a choice like the others, both in the mixture and in the cells, as in the
    experiments of NAS-Bench-201, where the paper leaves it out of the cells. The strength of
    nothing is poorly determined, since batch norm makes up for what it takes away.

    It needs a problem that trains networks, with images; `attach` shows it them. The training
    images alone are used, in two halves, flipped and cropped as the evaluator's recipe says. The
    strengths stay in `memory`, so that a study that is resumed does not train again. Otherwise they
    follow from the seed: on a CPU to the last bit.

    Reference: Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019; on
    tables, Dong and Yang, "NAS-Bench-201", ICLR 2020.

    Args:
        space: The search space, of cells with operations on edges.
        seed: The seed of all randomness.
        search_epochs: Epochs of the supernet.
        batch_size: Images in a step on the weights, and in one on the architecture.
        learning_rate: The first learning rate of the weights.
        architecture_rate: The learning rate of the architecture parameters.
        second_order: Whether to look one step of the weights ahead.

    Raises:
        InputError: If the operations do not sit on edges, or a setting is out of range.
    """

    name = "darts"
    hyperparameters = False
    trains: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        search_epochs: int = RECIPE.epochs,
        batch_size: int = RECIPE.batch_size,
        learning_rate: float = RECIPE.learning_rate,
        architecture_rate: float = ARCHITECTURE_RATE,
        second_order: bool = False,
    ) -> None:
        if not isinstance(space, CellSpace) or space.on != "edges":
            raise InputError(
                f"{self.name} mixes the operations on the edges of a cell; the architectures of "
                f"the space {space.name} are no such cells"
            )
        if search_epochs < 1:
            raise InputError(f"search_epochs must be at least 1; got {search_epochs}")
        if not architecture_rate > 0:
            raise InputError(f"architecture_rate must be positive; got {architecture_rate}")
        super().__init__(
            space,
            seed=seed,
            search_epochs=search_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            architecture_rate=architecture_rate,
            second_order=second_order,
        )
        self._cells = space
        self._recipe = replace(
            RECIPE, epochs=search_epochs, batch_size=batch_size, learning_rate=learning_rate
        )
        self._architecture_rate, self._second_order = architecture_rate, second_order
        self._evaluator: TrainingEvaluator | None = None
        self._fidelity: Fidelity = {}
        self._rows: BestFirst | None = None

    def attach(self, evaluator: Evaluator, fidelity: Fidelity) -> None:
        """Take the images and the network of an evaluator that trains.

        Raises:
            InputError: If it does not train, or has a training function of the user's own.
        """
        if not isinstance(evaluator, TrainingEvaluator) or evaluator.fit is not None:
            raise InputError(
                f"{self.name} trains a supernet, and this {type(evaluator).__name__} has no "
                f"images; {_WAY_OUT}"
            )
        self._evaluator, self._fidelity = evaluator, fidelity

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        if self._rows is None:
            self._rows = BestFirst(
                [[math.log(s) if s > 0 else -math.inf for s in edge] for edge in self._strengths()]
            )
        chosen: list[Design] = []
        exclude = set(self._seen)
        # What has come before is seen, so that going on is the same as beginning again.
        while len(chosen) < n and (row := next(self._rows, None)) is not None:
            try:
                design = self.space.design(row, self.name)
            except ValueError:  # more edges than the space allows
                continue
            if design not in exclude:
                exclude.add(design)
                chosen.append(design)
        return chosen

    def _strengths(self) -> Sequence[Sequence[float]]:
        """Return the strengths by edge and choice, trained now if they were not before."""
        if "strengths" not in self.memory:
            evaluator = self._evaluator
            if evaluator is None:
                raise InputError(f"{self.name} trains a supernet, and has no images; {_WAY_OUT}")
            augmentation = {name: getattr(evaluator.recipe, name) for name in ("flip", "crop")}
            job = Job(self.space.design((0,) * len(self._cells.pairs)), self._fidelity)
            found = relax(
                self._cells,
                evaluator.builder(self._fidelity),
                evaluator.settings(job).train,
                replace(self._recipe, **augmentation),
                seed=self.seed,
                architecture_rate=self._architecture_rate,
                second_order=self._second_order,
                device=evaluator.device,
                threads=evaluator.threads,
            )
            self.memory["strengths"] = [list(edge) for edge in found.strengths]
        strengths: Sequence[Sequence[float]] = self.memory["strengths"]
        return strengths
