"""Differentiable architecture search: one network whose edges mix all operations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces.cell import CellSpace
from graphbo.training.augmentation import augment
from graphbo.training.data import Data, Pair, materialise, read, shuffled
from graphbo.training.isolation import isolated
from graphbo.training.recipe import Recipe, generators
from graphbo.training.supernet import CalibratedBatchNorm, SharedCell, Supernet
from graphbo.training.trainer import choose_device

RECIPE = Recipe(epochs=50, learning_rate=0.025, weight_decay=3e-4)
"""The paper's settings for the weights."""

ARCHITECTURE_RATE = 3e-4
"""The paper's learning rate of Adam on the architecture parameters."""

_BETAS = (0.5, 0.999)
_ARCHITECTURE_DECAY = 1e-3
_LARGEST_GRADIENT = 5.0
_FEWEST = 4  # training images: two in each half, as batch norm needs


@dataclass(frozen=True)
class Relaxed:
    """What became of a relaxation.

    Attributes:
        strengths: For each edge of the space, in the order of its rows, the strength of each
            choice, the absent operation first; those of an edge sum to 1.
        seconds: What the training took.
    """

    strengths: tuple[tuple[float, ...], ...]
    seconds: float


class Relaxation(nn.Module):
    r"""A skeleton whose cells mix the operations of each edge.

    An edge :math:`(u, v)` adds :math:`\sum_o \mathrm{softmax}(\alpha_{uv})_o \, o(x_u)` to the
    value of node v. The sum is over all choices of the space, ``"none"`` among them, which gives
    zeros. All cells share the parameters :math:`\alpha`; each has weights of its own. Batch norm
    has neither scale nor shift, which could undo the mixture, and takes its statistics from the
    batch.

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019.

    Args:
        space: A space of cells with operations on edges, such as `NASBench201Space`.
        build: Makes the network of a cell out of `EdgeCell`, such as
            ``partial(NASBench201Network, channels=8)``.

    Attributes:
        alphas: The architecture parameters, ``edges x (1 + operations)``; zero at first.

    Raises:
        InputError: If the operations of the space do not sit on edges, or `build` uses no such
            cells.

    Example:
        >>> relaxation = Relaxation(NASBench201Space(), partial(NASBench201Network, cells=1))
        >>> relaxation(torch.randn(8, 3, 32, 32)).shape, relaxation.alphas.shape
        (torch.Size([8, 10]), torch.Size([6, 5]))
    """

    def __init__(self, space: CellSpace, build: Callable[[Architecture], nn.Module]) -> None:
        super().__init__()
        self.network = Supernet(space, build).network
        self.cells: list[MixedCell] = []
        for name, module in list(self.network.named_modules()):
            if isinstance(module, SharedCell):
                self.cells.append(MixedCell(module))
                self.network.set_submodule(name, self.cells[-1])
            elif isinstance(module, CalibratedBatchNorm):
                module.register_parameter("weight", None)
                module.register_parameter("bias", None)
        self.alphas = nn.Parameter(torch.zeros(len(space.pairs), 1 + len(space.operations)))

    @property
    def strengths(self) -> Tensor:
        """The share of each choice in its edge, ``edges x (1 + operations)``; rows sum to 1."""
        return torch.softmax(self.alphas, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        strengths = self.strengths
        for cell in self.cells:
            cell.strengths = strengths
        logits: Tensor = self.network(x)
        return logits


class MixedCell(nn.Module):
    """A cell with all operations on all edges, mixed; nodes sum what reaches them.

    Args:
        cell: The cell whose operations it takes over.
    """

    def __init__(self, cell: SharedCell) -> None:
        super().__init__()
        self.pairs, self.output, self.operations = cell.pairs, cell.output, cell.operations
        self.strengths = torch.empty(0)
        """``edges x (1 + operations)``; the first column, of no operation, adds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x channels x height x width`` to the same shape."""
        values = {0: x}
        for (u, v), row, operations in zip(
            self.pairs, self.strengths, self.operations, strict=True
        ):
            for strength, operation in zip(row[1:], operations, strict=True):  # type: ignore[call-overload]
                out = strength * operation(values[u])
                values[v] = values[v] + out if v in values else out
        return values[self.output]


def relax(
    space: CellSpace,
    build: Callable[[Architecture], nn.Module],
    train: Data,
    recipe: Recipe = RECIPE,
    *,
    seed: int = 0,
    architecture_rate: float = ARCHITECTURE_RATE,
    second_order: bool = False,
    device: str | torch.device | None = None,
    threads: int | None = None,
) -> Relaxed:
    """Train architecture parameters and weights by turns, and return the strengths.

    The training images are split into halves, which the seed draws. Each step descends once on the
    architecture parameters, by Adam on a batch of one half, and once on the weights, by gradient
    descent with momentum on a batch of the other half; gradients of the weights are clipped to a
    norm of 5. All randomness follows the seed; arithmetic is in float32.

    Args:
        space: A space of cells with operations on edges.
        build: Makes the network of a cell out of `EdgeCell`.
        train: The training data; a dataset is read once.
        recipe: How to train the weights; its momentum is plain here, as in the paper, and not
            Nesterov's.
        seed: The seed of weights, halves, order and augmentation.
        architecture_rate: The learning rate of the architecture parameters.
        second_order: Whether the loss on the one half is that after a plain step of the weights
            on the other, as in the paper's better variant; several times as slow. The gradient is
            exact, where the paper takes a finite difference.
        device: Where to train; by default the GPU if there is one.
        threads: CPU threads; by default as many as torch is set to use.

    Raises:
        InputError: If the space or the network cannot be relaxed, there are fewer than 4 images,
            or the rate is not positive.
        FloatingPointError: If a loss is not finite.
    """
    if not architecture_rate > 0:
        raise InputError(f"the architecture rate must be positive; got {architecture_rate}")
    images, classes = materialise(train)
    if len(images) < _FEWEST:
        raise InputError(
            f"a relaxation needs at least {_FEWEST} training images, half of them for the "
            f"architecture; got {len(images)}"
        )
    start = time.perf_counter()
    place = choose_device(device)
    with isolated(seed, place, threads):
        relaxation = Relaxation(space, build).to(place).train()
        data = images.float().to(place), classes.to(place)
        descent = _Descent(relaxation, architecture_rate, second_order, recipe)
        order, augmentation = generators(seed)
        theirs, ours = torch.randperm(len(images), generator=order).tensor_split(2)
        for epoch in range(1, recipe.epochs + 1):
            # The half of the weights is never the larger one, so that it is seen in full.
            steps = [
                [half[chosen] for chosen in shuffled(len(half), recipe.batch_size, order)]
                for half in (ours, theirs)
            ]
            done = (epoch - 1) * recipe.steps(len(ours))
            total = 0.0
            batches = zip(read(data, steps[0]), read(data, steps[1]), strict=False)
            for step, ((x, y), (x_held_out, y_held_out)) in enumerate(batches, start=done):
                total += descent.step(
                    (augment(x, recipe, augmentation), y),
                    (augment(x_held_out, recipe, augmentation), y_held_out),
                    recipe.rate(step, len(ours)),
                )
            if not math.isfinite(total):
                raise FloatingPointError(
                    f"the loss of the relaxation is not finite in epoch {epoch} of "
                    f"{recipe.epochs}; a learning rate below {recipe.learning_rate} may help"
                )
        strengths = relaxation.strengths.double().tolist()
    return Relaxed(tuple(map(tuple, strengths)), time.perf_counter() - start)


class _Descent:
    def __init__(
        self, relaxation: Relaxation, architecture_rate: float, second_order: bool, recipe: Recipe
    ) -> None:
        self.relaxation = relaxation
        self.second_order = second_order
        self.weights = {
            name: weight for name, weight in relaxation.named_parameters() if name != "alphas"
        }
        self.on_weights = torch.optim.SGD(
            self.weights.values(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.on_alphas = torch.optim.Adam(
            [relaxation.alphas],
            lr=architecture_rate,
            betas=_BETAS,
            weight_decay=_ARCHITECTURE_DECAY,
        )
        self.smoothing = recipe.label_smoothing

    def step(self, train: Pair, held_out: Pair, rate: float) -> float:
        """Descend once on the architecture and once on the weights; return the latter's loss."""
        alphas = self.relaxation.alphas
        ahead = self._ahead(train, rate) if self.second_order else {}
        (alphas.grad,) = torch.autograd.grad(self._loss(held_out, ahead), [alphas])
        self.on_alphas.step()
        for group in self.on_weights.param_groups:
            group["lr"] = rate
        loss = self._loss(train)
        gradients = torch.autograd.grad(
            loss, [*self.weights.values()], allow_unused=True, materialize_grads=True
        )
        for weight, gradient in zip(self.weights.values(), gradients, strict=True):
            weight.grad = gradient
        nn.utils.clip_grad_norm_(self.weights.values(), _LARGEST_GRADIENT)
        self.on_weights.step()
        return loss.item()

    def _ahead(self, train: Pair, rate: float) -> dict[str, Tensor]:
        """Return the weights after a plain step, as functions of the architecture parameters."""
        gradients = torch.autograd.grad(
            self._loss(train),
            [*self.weights.values()],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return {
            name: weight - rate * gradient
            for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True)
        }

    def _loss(self, batch: Pair, weights: dict[str, Tensor] | None = None) -> Tensor:
        x, y = batch
        logits = functional_call(self.relaxation, weights, (x,)) if weights else self.relaxation(x)
        return cross_entropy(logits, y, label_smoothing=self.smoothing)
