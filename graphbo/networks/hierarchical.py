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
        channels: Channels of the first stage.
        cells: Cells in each stage.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels of the first stage, rounded, to at least 1.
        stages: Number of stages.
        stem_stride: Stride of the first convolution.

    Raises:
        ValueError: If the operations do not sit on the edges or one of them is unknown.

    Example:
        >>> design = HierarchicalSpace().sample(np.random.default_rng(0))
        >>> HierarchicalNetwork(design.architecture, 8, 1)(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 16,
        cells: int = 5,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        stages: int = 3,
        stem_stride: int = 1,
    ) -> None:
        super().__init__(
            flattened(architecture),
            *(channels, cells, classes, in_channels, width, stages, stem_stride),
        )
