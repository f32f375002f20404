"""The network around a hierarchical cell (Liu et al., ICLR 2018)."""

from __future__ import annotations

from graphbo.architecture import Architecture
from graphbo.networks.nasbench201 import NASBench201Network
from graphbo.spaces.hierarchical import flattened


class HierarchicalNetwork(NASBench201Network):
    """The skeleton of NAS-Bench-201 around a hierarchical cell, which is built in full.

    Each copy of a motif has weights of its own, as in the paper. Where a motif ends makes no
    difference: a network is that of the flattened cell.

    Args:
        architecture: The cell, as in `HierarchicalSpace`. An empty cell is legal.
        channels: Channels of the first stage; all else is as in `NASBench201Network`.

    Raises:
        ValueError: If the operations do not sit on the edges or one of them is unknown.

    Example:
        >>> design = HierarchicalSpace().sample(np.random.default_rng(0))
        >>> HierarchicalNetwork(design.architecture, 8, 1)(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    @staticmethod
    def cell(architecture: Architecture) -> Architecture:
        """Return the cell without the marks of where its motifs end."""
        return flattened(architecture)
