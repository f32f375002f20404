"""The space of DARTS (Liu, Simonyan and Yang, ICLR 2019): a normal and a reduction cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Row, SearchSpace
from graphbo.spaces.counting import distinct_cells
from graphbo.spaces.product import ProductSpace

OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
)
INPUTS = ("c_{k-2}", "c_{k-1}")
"""The labels of a cell's inputs: what the cell before the last puts out, and what the last does."""
NORMAL, REDUCE = "normal", "reduce"
_NODES = 4
_MAX_ENUMERABLE = 200_000

Gene = tuple[str, int]
"""An operation and the node that it reads: 0 and 1 are the inputs, 2 is the first other node."""


class Genotype(NamedTuple):
    """A pair of cells in the form in which papers publish them.

    Attributes:
        normal: Two genes for each node of the normal cell.
        normal_concat: The nodes whose concatenation the cell puts out.
        reduce: The same of the reduction cell.
        reduce_concat: The same of the reduction cell.
    """

    normal: Sequence[Gene]
    normal_concat: Sequence[int]
    reduce: Sequence[Gene]
    reduce_concat: Sequence[int]


class DARTSCellSpace(SearchSpace):
    """The cells of DARTS: 1,037,664,180 rows for four nodes and seven operations.

    A cell reads the outputs of the two cells before it. Each node sums two operations, on two
    different ones of the inputs and the nodes before it; the output concatenates all nodes. The
    operations sit on edges: ``"input"`` feeds the two nodes labelled as `INPUTS` says, and nodes
    are states.

    Args:
        operations: The operations.
        nodes: The number of nodes between inputs and output, at least 1.
        name: The name of the space.

    Raises:
        InputError: If an argument is out of range or an operation is repeated or reserved.

    Example:
        >>> space = DARTSCellSpace()
        >>> [decision.name for decision in space.decisions[3:6]]
        ['inputs_3', 'first_3', 'second_3']
        >>> space.decisions[3].choices
        ('0_1', '0_2', '1_2')
    """

    ports = INPUTS

    def __init__(
        self,
        operations: Sequence[str] = OPERATIONS,
        nodes: int = _NODES,
        name: str = "darts-cell",
    ) -> None:
        if nodes < 1:
            raise InputError(f"a cell has at least 1 node beside its inputs; got {nodes}")
        if not operations or len(set(operations)) < len(operations):
            raise InputError(f"the operations must be distinct, and at least one; got {operations}")
        reserved = {INPUT, OUTPUT, "", *INPUTS} & set(operations)
        if reserved:
            raise InputError(f"{min(reserved)!r} is reserved and cannot be an operation")
        self.name = name
        self.nodes = nodes
        self.operations = tuple(operations)
        self.pairs = [tuple(combinations(range(node), 2)) for node in range(2, nodes + 2)]
        self.decisions = tuple(self._list_decisions())
        self._choices = tuple(len(decision.choices) for decision in self.decisions)
        self.enumerable = math.prod(self._choices) <= _MAX_ENUMERABLE

    def __repr__(self) -> str:
        return f"DARTSCellSpace({list(self.operations)}, {self.nodes})"

    def _list_decisions(self) -> Iterator[Decision]:
        for node, pairs in enumerate(self.pairs, start=2):
            yield Decision(f"inputs_{node}", tuple(f"{u}_{v}" for u, v in pairs))
            yield Decision(f"first_{node}", self.operations)
            yield Decision(f"second_{node}", self.operations)

    @property
    def size(self) -> int | None:
        """The number of distinct cells; None beyond four nodes."""
        return distinct_cells(self.nodes, len(self.operations)) if self.nodes <= _NODES else None

    def decode(self, row: Row) -> Architecture:
        """Return the cell that a row encodes."""
        for choice, choices in zip(row, self._choices, strict=True):
            if not 0 <= choice < choices:
                raise ValueError(f"{choice} is not one of the choices 0 to {choices - 1}")
        labels = (INPUT, *INPUTS, *[""] * self.nodes, OUTPUT)
        edges = [(0, 1, ""), (0, 2, "")]
        for i, pairs in enumerate(self.pairs):
            pair, *chosen = row[3 * i : 3 * i + 3]
            for source, choice in zip(pairs[pair], chosen, strict=True):
                edges.append((source + 1, i + 3, self.operations[choice]))
            edges.append((i + 3, self.nodes + 3, ""))
        return Architecture._trusted(labels, tuple(sorted(edges)))

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of a cell, which has its nodes in their canonical order."""
        cell = architecture.pruned().canonical()
        states = [i for i, label in enumerate(cell.nodes) if label == ""]
        labels = sorted([INPUT, *INPUTS, *[""] * self.nodes, OUTPUT])
        if sorted(cell.nodes) != labels:
            raise ValueError(
                f"a cell of the space {self.name} has the inputs {' and '.join(INPUTS)} and "
                f"{self.nodes} states; got {cell!r}"
            )
        order = [*(cell.nodes.index(label) for label in INPUTS), *states]
        position = {node: i for i, node in enumerate(order)}
        row: list[int] = []
        for node, pairs in zip(states, self.pairs, strict=True):
            reads = sorted((position.get(u, -1), w) for u, v, w in cell.edges if v == node)
            sources = tuple(source for source, _ in reads)
            unknown = [label for _, label in reads if label not in self.operations]
            if unknown or sources not in pairs:
                raise ValueError(
                    f"a node of the space {self.name} sums two of the operations "
                    f"{list(self.operations)} on what comes before it; got {reads}"
                )
            row += [pairs.index(sources), *(self.operations.index(label) for _, label in reads)]
        # What has not been read yet: the edges of the input and those of the output.
        if {(u, v) for u, v, w in cell.edges if v not in states and not w} != {
            *((cell.input, node) for node in order[:2]),
            *((node, cell.output) for node in states),
        } or any(w for _, v, w in cell.edges if v not in states):
            raise ValueError(
                f"the input of a cell of the space {self.name} feeds {' and '.join(INPUTS)}, and "
                f"its output takes every node; got {cell!r}"
            )
        return tuple(row)

    def from_genes(self, genes: Sequence[Gene]) -> Architecture:
        """Return the cell that genes describe, two for each node, in any order of the two.

        Raises:
            InputError: If there are more or fewer, an operation is unknown, or a node does not
                read two different ones before it.
        """
        if len(genes) != 2 * self.nodes:
            raise InputError(
                f"a cell with {self.nodes} nodes has {2 * self.nodes} genes; got {len(genes)}"
            )
        row: list[int] = []
        for i, pairs in enumerate(self.pairs):
            chosen = sorted((int(source), str(label)) for label, source in genes[2 * i : 2 * i + 2])
            sources = tuple(source for source, _ in chosen)
            for _, label in chosen:
                if label not in self.operations:
                    raise InputError(
                        f"unknown operation {label!r} in a genotype; the operations are "
                        f"{list(self.operations)}"
                    )
            if sources not in pairs:
                raise InputError(f"node {i + 2} reads two different nodes before it; got {sources}")
            row += [pairs.index(sources), *(self.operations.index(label) for _, label in chosen)]
        return self.decode(tuple(row))

    def to_genes(self, architecture: Architecture) -> list[Gene]:
        """Return the genes of a cell's canonical row, two for each node."""
        row = self.encode(architecture)
        genes: list[Gene] = []
        for i, pairs in enumerate(self.pairs):
            pair, *chosen = row[3 * i : 3 * i + 3]
            for source, choice in zip(pairs[pair], chosen, strict=True):
                genes.append((self.operations[choice], source))
        return genes


class DARTSSpace(ProductSpace):
    """A normal and a reduction cell, as in DARTS: 10^18 rows.

    The parts of an architecture are called ``"normal"`` and ``"reduce"``; see `DARTSCellSpace` and
    `ProductSpace`.

    Reference: Liu, Simonyan and Yang, "DARTS: differentiable architecture search", ICLR 2019.

    Args:
        operations: The operations of both cells.
        nodes: The number of nodes of each cell.
        name: The name of the space.

    Raises:
        InputError: As `DARTSCellSpace` does.

    Example:
        >>> import numpy as np
        >>> space = DARTSSpace()
        >>> design = space.sample(np.random.default_rng(0))
        >>> space.from_genotype(space.to_genotype(design.architecture)) == design.architecture
        True
    """

    def __init__(
        self,
        operations: Sequence[str] = OPERATIONS,
        nodes: int = _NODES,
        name: str = "darts",
    ) -> None:
        self.cell = DARTSCellSpace(operations, nodes)
        super().__init__({NORMAL: self.cell, REDUCE: self.cell}, name)

    def __repr__(self) -> str:
        return f"DARTSSpace({list(self.cell.operations)}, {self.cell.nodes})"

    def from_genotype(self, genotype: Any) -> Architecture:
        """Return the architecture of a genotype.

        Args:
            genotype: A `Genotype`, or any named tuple or object with its attributes.

        Raises:
            InputError: If a cell is not one of the space, or its output leaves a node out.
        """
        parts = {}
        for name in (NORMAL, REDUCE):
            concatenated = list(getattr(genotype, f"{name}_concat"))
            if sorted(concatenated) != list(range(2, self.cell.nodes + 2)):
                raise InputError(
                    f"a cell of the space {self.name} puts out all of its nodes, 2 to "
                    f"{self.cell.nodes + 1}; got {name}_concat={concatenated}"
                )
            parts[name] = self.cell.from_genes(getattr(genotype, name))
        return self.join(parts)

    def to_genotype(self, architecture: Architecture) -> Genotype:
        """Return the genotype of an architecture's canonical row.

        Raises:
            ValueError: If the architecture does not belong to the space.
        """
        parts = self.split(architecture)
        nodes = list(range(2, self.cell.nodes + 2))
        normal, reduce = (self.cell.to_genes(parts[name]) for name in (NORMAL, REDUCE))
        return Genotype(normal, nodes, reduce, nodes)
