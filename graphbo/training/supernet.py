"""One network that holds every cell of a space: trained once, it scores each by inheriting."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.spaces.base import Row
from graphbo.spaces.cell import CellSpace
from graphbo.training.augmentation import augment
from graphbo.training.data import Pair, read, shuffled
from graphbo.training.recipe import Recipe, generators


class Supernet(nn.Module):
    """A skeleton whose cells hold every operation on every edge; `choose` picks one of each.

    The weights of an operation on an edge are shared by all cells that have it there. A cell takes
    the place of its canonical row, so that isomorphic cells share everything.

    Args:
        space: A space of cells with operations on edges, such as `NASBench201Space`.
        build: Makes the network of a cell out of `EdgeCell`, such as
            ``partial(NASBench201Network, channels=8)``.

    Raises:
        InputError: If the operations of the space do not sit on edges, or `build` uses no such
            cells.

    Example:
        >>> supernet = Supernet(NASBench201Space(), partial(NASBench201Network, cells=1))
        >>> supernet.choose((0, 0, 0, 3, 0, 0))
        >>> supernet(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(self, space: CellSpace, build: Callable[[Architecture], nn.Module]) -> None:
        super().__init__()
        if space.on != "edges":
            raise InputError(f"a supernet needs operations on edges; those of {space} are on nodes")
        self.space = space
        labels = [INPUT, *[""] * (space.nodes - 2), OUTPUT]
        # One network with each operation on all edges: their cells together hold everything.
        networks = [
            build(Architecture(labels, [(*pair, operation) for pair in space.pairs]))
            for operation in space.operations
        ]
        self.network = networks[0]
        self.cells: list[SharedCell] = []
        for name, _ in list(_edge_cells(self.network)):
            cells = [network.get_submodule(name) for network in networks]
            shared = SharedCell(space, [cell for cell in cells if isinstance(cell, EdgeCell)])
            self.network.set_submodule(name, shared)
            self.cells.append(shared)
        if not self.cells:
            raise InputError("a supernet is made of networks with an EdgeCell; there is none")
        for name, module in list(self.network.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                self.network.set_submodule(name, CalibratedBatchNorm(module))

    def choose(self, row: Row) -> None:
        """Make the forward pass that of the cell with a row of the space."""
        for cell in self.cells:
            cell.row = row

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.network(x)
        return logits

    def errors(
        self,
        rows: Sequence[Row],
        calibration: Tensor,
        validation: Pair,
        batch_size: int = 1024,
    ) -> list[float]:
        """Return the error of each cell in percent.

        Batch norm takes its statistics from the calibration images, for each cell anew. Cells are
        scored in the order of their rows, and what is computed of a network before its second
        cell is kept for those that begin alike.

        Args:
            rows: The row of each cell; canonical ones where isomorphic cells shall score alike.
            calibration: A few hundred training images.
            validation: What the error is measured on.
            batch_size: Images in a pass, those of the calibration included at least once.
        """
        device = next(self.parameters()).device
        n = len(calibration)
        distinct = sorted(set(rows))
        wrong = dict.fromkeys(distinct, 0)
        self.eval()
        for module in self.modules():
            if isinstance(module, CalibratedBatchNorm):
                module.images = n
        parts = read(
            validation, torch.split(torch.arange(len(validation[0])), max(batch_size - n, 1))
        )
        with torch.no_grad():
            for x, y in parts:
                images = torch.cat([calibration.to(device), x.to(device)])
                classes = y.to(device)
                self.cells[0].kept = {}
                for row in distinct:
                    self.choose(row)
                    logits = self(images)[n:]
                    wrong[row] += int((logits.argmax(1) != classes).sum())
                self.cells[0].kept = None
        return [100 * wrong[row] / len(validation[1]) for row in rows]

    def save(self, path: Path) -> None:
        """Write the weights to a file, in a folder that is made if need be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            torch.save(self.state_dict(), unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Read weights that `save` wrote.

        Raises:
            InputError: If the file holds no weights of such a supernet.
        """
        try:
            self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch states no common class of what a bad file raises
            raise InputError(f"{path} does not hold the weights of this supernet") from error


class SharedCell(nn.Module):
    """A cell with all operations on all edges; nodes sum what reaches them by the chosen ones.

    Args:
        space: The space of the cells.
        cells: For each operation of the space the cell with this operation on all edges.
    """

    def __init__(self, space: CellSpace, cells: Sequence[EdgeCell]) -> None:
        super().__init__()
        self.pairs = space.pairs
        self.output = space.nodes - 1
        of_pair = [dict(zip(cell.ends, cell.operations, strict=True)) for cell in cells]
        self.operations = nn.ModuleList(
            nn.ModuleList(operations[pair] for operations in of_pair) for pair in space.pairs
        )
        self.row: Row = (0,) * len(space.pairs)
        self.kept: dict[tuple[int, int], tuple[Row, Tensor]] | None = None
        """Outputs by edge and choice, with the part of the row they depend on; None for off."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x channels x height x width`` to the same shape; zeros if empty."""
        values = {0: x}
        for edge, ((u, v), choice) in enumerate(zip(self.pairs, self.row, strict=True)):
            if choice and u in values:
                out = self._operation(edge, choice, values[u], u)
                values[v] = values[v] + out if v in values else out
        return values.get(self.output, torch.zeros_like(x))

    def _operation(self, edge: int, choice: int, x: Tensor, node: int) -> Tensor:
        # A node's value follows from the edges into it and into the nodes before it.
        past = self.row[: node * (node + 1) // 2]
        if self.kept is not None:
            found = self.kept.get((edge, choice))
            if found is not None and found[0] == past:
                return found[1]
        out: Tensor = self.operations[edge][choice - 1](x)  # type: ignore[index]
        if self.kept is not None:
            self.kept[edge, choice] = past, out
        return out


class CalibratedBatchNorm(nn.Module):
    """Batch norm that, in eval mode, takes its statistics from the first images of the batch.

    Running averages mean nothing where the inputs come from another cell in every step.

    Args:
        norm: The batch norm whose scale and shift it takes over.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.images = 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``n x channels x height x width``."""
        if self.training:
            return batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        variance, mean = torch.var_mean(x[: self.images], (0, 2, 3), correction=0)
        return batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.eps)


def train_supernet(supernet: Supernet, recipe: Recipe, train: Pair, seed: int = 0) -> None:
    """Train a supernet by uniform sampling of single paths.

    Each step draws a row of the space uniformly and trains the weights of its cell alone.

    Guo et al., "Single path one-shot neural architecture search with uniform sampling", ECCV 2020.

    Args:
        supernet: What to train, on its device, in place.
        recipe: How; its epochs should be some times those of one network.
        train: The training data.
        seed: The seed of paths, order and augmentation.

    Raises:
        FloatingPointError: If the loss is not finite.
    """
    device = next(supernet.parameters()).device
    images, classes = (half.to(device) for half in train)
    order, augmentation = generators(seed)
    paths = np.random.default_rng(seed)
    optimizer = torch.optim.SGD(
        supernet.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    supernet.train()
    n = len(images)
    for epoch in range(1, recipe.epochs + 1):
        total = 0.0
        batches = read((images, classes), shuffled(n, recipe.batch_size, order))
        for step, (x, y) in enumerate(batches, start=(epoch - 1) * recipe.steps(n)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, n)
            x = augment(x, recipe, augmentation)
            supernet.choose(supernet.space.canonical_row(supernet.space.sample(paths).row))
            loss = cross_entropy(supernet(x), y, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # Without a gradient (None) a weight is left alone, weight decay and momentum included.
            optimizer.step()
            total += loss.item()
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss of the supernet is not finite in epoch {epoch} of {recipe.epochs}; "
                f"a learning rate below {recipe.learning_rate} may help"
            )


def _edge_cells(network: nn.Module) -> list[tuple[str, EdgeCell]]:
    return [(name, m) for name, m in network.named_modules() if isinstance(m, EdgeCell)]
