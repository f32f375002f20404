"""The cell space of NAS-Bench-101 (Ying et al., ICML 2019)."""

from __future__ import annotations

from graphbo.spaces.cell import CellSpace

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")


class NASBench101Space(CellSpace):
    """Cells with at most 7 vertices and 9 edges, operations on the vertices.

    The benchmark has 423,624 distinct valid cells. A row that prunes to more than nine edges, or
    to nothing, is not valid; there is no list of forbidden clauses.

    Args:
        max_vertices: The largest number of vertices, at most 7. Up to 5 the space is small
            enough to enumerate: 2,532 cells.
    """

    def __init__(self, max_vertices: int = 7) -> None:
        if not 2 <= max_vertices <= 7:
            raise ValueError(f"cells of NAS-Bench-101 have 2 to 7 vertices; got {max_vertices}")
        super().__init__(max_vertices, OPERATIONS, on="nodes", max_edges=9, name="nasbench101")

    @property
    def size(self) -> int | None:
        """Number of distinct cells; for 7 vertices the figure of the benchmark's authors."""
        return 423_624 if self.nodes == 7 else super().size
