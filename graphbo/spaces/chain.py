"""A macro network: a chain of layers of varying depth."""

from __future__ import annotations

from collections.abc import Sequence

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces.base import INACTIVE, Decision, Row, SearchSpace

_MAX_ENUMERABLE = 200_000


class ChainSpace(SearchSpace):
    """Chains of 1 to ``max_depth`` layers, each a convolution of some width or a pooling.

    The decisions are conditional: ``layer_i`` exists only if the ``depth`` reaches it, and
    ``width_i`` only if that layer is a convolution. An architecture is a path such as
    ``input -> conv3x3-32 -> maxpool2 -> output``.

    Args:
        max_depth: The largest number of layers, at least 1.
        operations: The convolutions, which have a width.
        pools: The layers without a width; may be empty.
        widths: The numbers of channels, in ascending order.
        name: The name of the space.

    Raises:
        ValueError: If an argument is out of range, repeated or reserved.

    Example:
        >>> ChainSpace(max_depth=3, operations=["conv3x3"], pools=["maxpool2"], widths=[8, 16]).size
        39
    """

    chain = True

    def __init__(
        self,
        max_depth: int,
        operations: Sequence[str] = ("conv1x1", "conv3x3", "conv5x5"),
        pools: Sequence[str] = ("maxpool2", "avgpool2"),
        widths: Sequence[int] = (8, 16, 32, 64),
        name: str = "chain",
    ) -> None:
        layers = (*operations, *pools)
        if max_depth < 1:
            raise ValueError(f"max_depth must be at least 1; got {max_depth}")
        if not operations or len(set(layers)) < len(layers):
            raise ValueError(
                f"the layers must be distinct, and at least one a convolution; got {list(layers)}"
            )
        if not widths or min(widths) < 1 or list(widths) != sorted(set(widths)):
            raise ValueError(f"the widths must be positive and ascending; got {list(widths)}")
        labels = {f"{op}-{width}": (op, width) for op in operations for width in widths}
        reserved = ({INPUT, OUTPUT, ""} & set(layers)) | (set(labels) & set(pools))
        if reserved:
            raise ValueError(f"{sorted(reserved)[0]!r} is reserved and cannot be a layer")
        self.name = name
        self.max_depth = max_depth
        self.layers = layers
        self.convolutions = tuple(operations)
        self.pools = tuple(pools)
        self.widths = tuple(widths)
        self.operations = (*labels, *pools)
        self.decisions = tuple(self._list_decisions())
        # The choices of a layer, by the label that it gets.
        self._parts: dict[str, tuple[int, int]] = {
            label: (layers.index(operation), self.widths.index(width))
            for label, (operation, width) in labels.items()
        } | {pool: (layers.index(pool), INACTIVE) for pool in pools}
        self._labels = {choices: label for label, choices in self._parts.items()}
        self.enumerable = self.size <= _MAX_ENUMERABLE

    def __repr__(self) -> str:
        return (
            f"ChainSpace({self.max_depth}, {list(self.convolutions)}, {list(self.pools)}, "
            f"{list(self.widths)})"
        )

    def _list_decisions(self) -> list[Decision]:
        depths = tuple(str(depth) for depth in range(1, self.max_depth + 1))
        widths = tuple(str(width) for width in self.widths)
        decisions = [Decision("depth", depths, ordered=True)]
        for i in range(1, self.max_depth + 1):
            deep_enough = {"depth": depths[i - 1 :]} if i > 1 else {}
            with_width = {f"layer_{i}": self.convolutions} if self.pools else {}
            decisions += [
                Decision(f"layer_{i}", self.layers, deep_enough),
                Decision(f"width_{i}", widths, {**deep_enough, **with_width}, ordered=True),
            ]
        return decisions

    @property
    def size(self) -> int:
        """The number of chains: the sum over depths d of ``(convolutions * widths + pools)^d``."""
        return sum(len(self.operations) ** depth for depth in range(1, self.max_depth + 1))

    def decode(self, row: Row) -> Architecture:
        """Return the chain that a row encodes."""
        if len(row) != len(self.decisions) or not 0 <= row[0] < self.max_depth:
            raise ValueError(f"{row} is no row of the space {self.name}")
        depth = row[0] + 1
        layers = [(row[1 + 2 * i], row[2 + 2 * i]) for i in range(self.max_depth)]
        if any(layer not in self._labels for layer in layers[:depth]) or any(
            layer != (INACTIVE, INACTIVE) for layer in layers[depth:]
        ):
            raise ValueError(f"{row} is no row of the space {self.name}")
        nodes = (INPUT, *(self._labels[layer] for layer in layers[:depth]), OUTPUT)
        edges = tuple((i, i + 1, "") for i in range(depth + 1))
        return Architecture._trusted(nodes, edges)

    def encode(self, architecture: Architecture) -> Row:
        """Return the row of a chain; there is only one."""
        chain = architecture.pruned()
        depth = len(chain) - 2
        if chain.edges != tuple((i, i + 1, "") for i in range(len(chain) - 1)):
            raise ValueError(f"an architecture of the space {self.name} is a chain; got {chain!r}")
        if not 1 <= depth <= self.max_depth:
            raise ValueError(
                f"a chain of the space {self.name} has 1 to {self.max_depth} layers; "
                f"this one has {depth}"
            )
        row = [depth - 1]
        for label in chain.nodes[1:-1]:
            if label not in self._parts:
                raise ValueError(
                    f"unknown layer {label!r} in the space {self.name}, whose layers are "
                    f"{list(self.operations)}"
                )
            row += self._parts[label]
        return (*row, *[INACTIVE] * (2 * (self.max_depth - depth)))
