"""The cell space of NAS-Bench-201 (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from graphbo.architecture import Architecture
from graphbo.spaces.base import Row
from graphbo.spaces.cell import NONE, CellSpace

OPERATIONS = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_STATES = 4


class NASBench201Space(CellSpace):
    """15,625 cells with four nodes, of which 8,765 remain distinct after pruning.

    Each of the six edges carries one of four operations, or ``"none"``, which removes it. The
    cell whose input does not reach its output is part of the benchmark and so of this space.
    """

    def __init__(self) -> None:
        super().__init__(_STATES, OPERATIONS, on="edges", name="nasbench201")

    @staticmethod
    def parse(text: str) -> Architecture:
        """Return the pruned architecture of a string of the benchmark.

        Args:
            text: Such as ``"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|"``.

        Raises:
            ValueError: If the text is not of this form.
        """
        return NASBench201Space().decode(NASBench201Space.parse_row(text))

    @staticmethod
    def parse_row(text: str) -> Row:
        """Return the row of a string of the benchmark, as it stands and not the canonical one.

        Raises:
            ValueError: If the text is not of this form.
        """
        names = (NONE, *OPERATIONS)
        row = []
        groups = text.strip().split("+")
        for group in groups:
            for source, part in enumerate(group.strip("|").split("|")):
                operation, _, number = part.partition("~")
                if operation not in names or number != str(source):
                    raise ValueError(f"{part!r} in {text!r} is no edge of NAS-Bench-201")
                row.append(names.index(operation))
        if len(groups) != _STATES - 1 or [group.count("~") for group in groups] != [1, 2, 3]:
            raise ValueError(
                f"a cell of NAS-Bench-201 has groups of 1, 2 and 3 edges; got {text!r}"
            )
        return tuple(row)

    def format(self, architecture: Architecture) -> str:
        """Return the string of the benchmark for an architecture's canonical row."""
        names = (NONE, *OPERATIONS)
        row = dict(zip(self.pairs, self.encode(architecture), strict=True))
        groups = [
            "|" + "|".join(f"{names[row[u, v]]}~{u}" for u in range(v)) + "|"
            for v in range(1, _STATES)
        ]
        return "+".join(groups)
