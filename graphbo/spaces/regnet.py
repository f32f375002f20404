"""The design space of RegNet (Radosavovic et al., CVPR 2020): widths by a few numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import groupby, product
from typing import Any, NamedTuple

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Row
from graphbo.spaces.first_row import FirstRowSpace

_MULTIPLE = 8
_MOST_BLOCKS = 1_000_000
_LABEL = re.compile(r"x([1-9]\d*)g([1-9]\d*)(?:b([1-9]\d*))?")


class Block(NamedTuple):
    """An X block: 1x1, grouped 3x3 and 1x1 convolutions beside a shortcut.

    Attributes:
        width: Its output channels.
        group: Channels of a group of the 3x3 convolution.
        bottleneck: How many times fewer channels the 3x3 convolution has.

    Example:
        >>> Block(24, 8).label, Block(64, 8, 2).label
        ('x24g8', 'x64g8b2')
    """

    width: int
    group: int
    bottleneck: int = 1

    @property
    def label(self) -> str:
        """What a node is called that is this block."""
        ratio = f"b{self.bottleneck}" if self.bottleneck != 1 else ""
        return f"x{self.width}g{self.group}{ratio}"

    @classmethod
    def parse(cls, label: str) -> Block:
        """Return the block with a label.

        Raises:
            InputError: If it is no such label.
        """
        found = _LABEL.fullmatch(label)
        if found is None:
            raise InputError(
                f"a block is labelled by its width and group width, such as 'x24g8'; got {label!r}"
            )
        width, group, bottleneck = (int(number or 1) for number in found.groups())
        return cls(width, group, bottleneck)

    @classmethod
    def compatible(cls, width: int, group: int, bottleneck: int = 1) -> Block:
        """Return the block of nearly some width whose groups are whole.

        A group has no more channels than there are, and their number is rounded to a multiple of
        it.
        """
        inner = max(1, width // bottleneck)
        group = min(group, inner)
        inner = max(1, round(inner / group)) * group
        return cls(inner * bottleneck, group, bottleneck)


def block_widths(depth: int, w_0: int, w_a: float, w_m: float) -> list[int]:
    r"""Return the width of each block.

    .. math:: u_j = w_0 + w_a j, \qquad s_j = \log_{w_m}(u_j / w_0), \qquad
        w_j = w_0 \, w_m^{\lfloor s_j \rceil}, \qquad 0 \le j < d

    rounded to multiples of 8. Blocks of one width are a stage.

    Reference: Radosavovic et al., "Designing network design spaces", CVPR 2020, section 3.3.

    Args:
        depth: The number d of blocks.
        w_0: The initial width, positive.
        w_a: The slope, at least 0.
        w_m: The ratio of the widths of stages, greater than 1.

    Example:
        >>> block_widths(5, 24, 36.44, 2.49)
        [24, 56, 152, 152, 152]
    """
    steps = (round(math.log1p(w_a * j / w_0) / math.log(w_m)) for j in range(depth))
    return [max(1, round(w_0 * w_m**step / _MULTIPLE)) * _MULTIPLE for step in steps]


class RegNetSpace(FirstRowSpace):
    """Chains of X blocks whose widths are a quantised line, as in RegNet.

    The decisions are the numbers of `block_widths`, the group width and the bottleneck ratio, on
    grids. An architecture is the chain of its blocks, ``input -> x24g8 -> x56g8 -> output``; where
    the width changes, a stage begins and the image halves. Different numbers may give the same
    chain: the first row in lexicographic order stands for it.

    Reference: Radosavovic et al., "Designing network design spaces", CVPR 2020. There networks have
    4 stages, up to 64 blocks and widths that are multiples of 8; bottlenecks did not pay.

    Args:
        depth: The numbers of blocks, ascending.
        w_0: The initial widths, multiples of 8, ascending.
        w_a: The slopes of the widths, ascending.
        w_m: The ratios of the widths of stages, ascending.
        group_width: The channels of a group, ascending; see `Block.compatible`.
        bottleneck: The bottleneck ratios, ascending.
        stages: How many stages a network may have; numbers that give others are no row.
        name: The name of the space.

    Raises:
        InputError: If an argument is out of range or not ascending, no row has so many stages, or
            there are more than a million blocks in all rows.

    Example:
        >>> space = RegNetSpace([13], [24], [36.44], [2.49], [8], [1])
        >>> space.stages_of(space.decode((0, 0, 0, 0, 0, 0)))
        [(24, 1), (56, 1), (152, 4), (368, 7)]
    """

    chain = True

    def __init__(
        self,
        depth: Sequence[int] = (4, 5, 6, 7, 8, 9, 10),
        w_0: Sequence[int] = (8, 16),
        w_a: Sequence[float] = (4.0, 6.0, 9.0, 13.0),
        w_m: Sequence[float] = (1.6, 2.0, 2.5),
        group_width: Sequence[int] = (4, 8, 16),
        bottleneck: Sequence[int] = (1, 2),
        stages: Sequence[int] = (3, 4),
        name: str = "regnet",
    ) -> None:
        self.name = name
        self.grids: dict[str, tuple[Any, ...]] = {
            "depth": tuple(depth),
            "w_0": tuple(w_0),
            "w_a": tuple(w_a),
            "w_m": tuple(w_m),
            "group_width": tuple(group_width),
            "bottleneck": tuple(bottleneck),
        }
        self.stages = tuple(stages)
        self._check()
        self.decisions = tuple(
            Decision(key, tuple(f"{value:g}" for value in grid), ordered=True)
            for key, grid in self.grids.items()
        )
        self.operations = self._list_operations()

    def __repr__(self) -> str:
        grids = (*self.grids.values(), self.stages)
        return f"RegNetSpace({', '.join(str(list(grid)) for grid in grids)})"

    def _check(self) -> None:
        least = {"w_a": (0.0, "at least 0"), "w_m": (1.0, "greater than 1")}
        for key, grid in self.grids.items():
            low, words = least.get(key, (1.0, "at least 1"))
            if not grid or list(grid) != sorted(set(grid)):
                raise InputError(f"{key} must be ascending, and at least one; got {list(grid)}")
            if not (low <= grid[0] and grid[-1] < math.inf) or (key == "w_m" and grid[0] == low):
                raise InputError(f"{key} must be {words}; got {list(grid)}")
        if any(w % _MULTIPLE for w in self.grids["w_0"]):
            raise InputError(f"w_0 must be multiples of {_MULTIPLE}; got {list(self.grids['w_0'])}")
        if not self.stages:
            raise InputError("there must be a number of stages that is allowed; got stages=[]")
        rows = math.prod(map(len, self.grids.values()))
        if rows * self.grids["depth"][-1] > _MOST_BLOCKS:
            raise InputError(
                f"the rows of a space of RegNet have at most {_MOST_BLOCKS:,} blocks; these "
                f"{rows:,} have up to {self.grids['depth'][-1]} each"
            )

    def _list_operations(self) -> tuple[str, ...]:
        numbers = product(*self.grids.values())
        found = {block for each in numbers for block in self._blocks(*each) or ()}
        if not found:
            wanted = " or ".join(map(str, self.stages))
            raise InputError(f"no network of the space {self.name} has {wanted} stages")
        return tuple(block.label for block in sorted(found))

    def _blocks(
        self, depth: int, w_0: int, w_a: float, w_m: float, group: int, bottleneck: int
    ) -> list[Block] | None:
        """Return the blocks of some numbers; None if they make another number of stages."""
        widths = block_widths(depth, w_0, w_a, w_m)
        blocks = [Block.compatible(width, group, bottleneck) for width in widths]
        return blocks if len(_runs(blocks)) in self.stages else None

    def decode(self, row: Row) -> Architecture:
        """Return the chain that the numbers of a row give."""
        if self._activated(row) != tuple(row):
            raise ValueError(f"{row} is no row of the space {self.name}")
        numbers = [grid[index] for grid, index in zip(self.grids.values(), row, strict=True)]
        blocks = self._blocks(*numbers)
        if blocks is None:
            raise ValueError(
                f"the numbers {numbers} do not make {' or '.join(map(str, self.stages))} stages"
            )
        return chain_of(blocks)

    @staticmethod
    def stages_of(architecture: Architecture) -> list[tuple[int, int]]:
        """Return the width and the depth of each stage of a chain.

        Raises:
            InputError: If the architecture is no chain of blocks.
        """
        return _runs(blocks_of(architecture))


def chain_of(blocks: Sequence[Block]) -> Architecture:
    """Return the chain of some blocks."""
    nodes = (INPUT, *(block.label for block in blocks), OUTPUT)
    return Architecture._trusted(nodes, tuple((i, i + 1, "") for i in range(len(blocks) + 1)))


def blocks_of(architecture: Architecture) -> list[Block]:
    """Return the blocks of a chain.

    Raises:
        InputError: If the architecture is no chain of blocks.
    """
    # Nodes are in topological order, so that a chain links each to the next.
    n = len(architecture)
    if architecture.edges != tuple((i, i + 1, "") for i in range(n - 1)):
        raise InputError("the architecture is no chain from input to output")
    return [Block.parse(label) for label in architecture.nodes[1:-1]]


def _runs(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    return [(width, len(list(run))) for width, run in groupby(block.width for block in blocks)]
