"""The macro space of ENAS (Pham et al., ICML 2018): layers with skip connections."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Row, SearchSpace

OPERATIONS = ("conv3x3", "sepconv3x3", "conv5x5", "sepconv5x5", "avgpool3x3", "maxpool3x3")
_MAX_ENUMERABLE = 200_000


class ENASMacroSpace(SearchSpace):
    """Whole networks of ENAS: a chain of layers, and skip connections between any two of them.

    Each layer chooses its operation, and of everything before the layer that it follows, the input
    included, whether it reads that too. An architecture has its operations on nodes, the edges of
    the chain, and an edge for each skip connection. The edges need no labels: a graph has at most
    one path through all nodes, so the chain is known. So no two rows encode one architecture, and
    there are ``operations^layers * 2^(layers * (layers - 1) / 2)``, 1.6 * 10^29 in the paper.

    The decisions are those of ENAS in its order: ``operation_i`` of each layer, numbered from 1,
    and ``skip_j_i`` for the connections from node j to it, 0 being the input.

    Reference: Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018.

    Args:
        layers: The number of layers, at least 1.
        operations: The operations.
        name: The name of the space.

    Raises:
        InputError: If there are no layers, or an operation is repeated or reserved.

    Example:
        >>> space = ENASMacroSpace(3)
        >>> [decision.name for decision in space.decisions]
        ['operation_1', 'operation_2', 'skip_0_2', 'operation_3', 'skip_0_3', 'skip_1_3']
        >>> space.size == 6**3 * 2**3
        True
    """

    aligned_positions = True

    def __init__(
        self,
        layers: int = 12,
        operations: Sequence[str] = OPERATIONS,
        name: str = "enas",
    ) -> None:
        if layers < 1:
            raise InputError(f"a network has at least 1 layer; got {layers}")
        if not operations or len(set(operations)) < len(operations):
            raise InputError(f"the operations must be distinct, and at least one; got {operations}")
        reserved = {INPUT, OUTPUT, ""} & set(operations)
        if reserved:
            raise InputError(f"{min(reserved)!r} is reserved and cannot be an operation")
        self.name = name
        self.layers = layers
        self.operations = tuple(operations)
        self.decisions = tuple(self._list_decisions())
        self.enumerable = self.size <= _MAX_ENUMERABLE

    def __repr__(self) -> str:
        return f"ENASMacroSpace({self.layers}, {list(self.operations)})"

    def _list_decisions(self) -> Iterator[Decision]:
        for layer in range(1, self.layers + 1):
            yield Decision(f"operation_{layer}", self.operations)
            for source in range(layer - 1):
                yield Decision(f"skip_{source}_{layer}", ("no", "yes"))

    @property
    def size(self) -> int:
        """The number of architectures, which is that of rows."""
        return math.prod(len(decision.choices) for decision in self.decisions)

    def decode(self, row: Row) -> Architecture:
        """Return the network that a row encodes."""
        for choice, decision in zip(row, self.decisions, strict=True):
            if not 0 <= choice < len(decision.choices):
                raise ValueError(
                    f"{decision.name} has choices 0 to {len(decision.choices) - 1}; got {choice}"
                )
        nodes, edges = [INPUT], [(self.layers, self.layers + 1, "")]
        start = 0
        for layer in range(1, self.layers + 1):
            operation, *skips = row[start : start + layer]
            nodes.append(self.operations[operation])
            edges.append((layer - 1, layer, ""))
            edges += [(source, layer, "") for source, there in enumerate(skips) if there]
            start += layer
        return Architecture._trusted((*nodes, OUTPUT), tuple(sorted(edges)))

    def encode(self, architecture: Architecture) -> Row:
        """Return the row of a network; there is only one."""
        network = architecture.pruned()
        if len(network) != self.layers + 2:
            raise ValueError(
                f"a network of the space {self.name} has {self.layers} layers; "
                f"this one has {len(network) - 2}"
            )
        edges = {(u, v) for u, v, _ in network.edges}
        # The only topological order of a graph with such a chain is that of the chain.
        chained = all((node, node + 1) in edges for node in range(self.layers + 1))
        into_output = sum(v == self.layers + 1 for _, v in edges)
        if not chained or into_output > 1 or any(label for *_, label in network.edges):
            raise ValueError(
                f"a network of the space {self.name} is a chain with skip connections between its "
                f"layers, whose edges have no labels; got {network!r}"
            )
        row: list[int] = []
        for layer, label in enumerate(network.nodes[1:-1], start=1):
            if label not in self.operations:
                raise ValueError(
                    f"unknown operation {label!r} in the space {self.name}, whose operations are "
                    f"{list(self.operations)}"
                )
            row.append(self.operations.index(label))
            row += [int((source, layer) in edges) for source in range(layer - 1)]
        return tuple(row)
