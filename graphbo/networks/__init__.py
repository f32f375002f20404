"""PyTorch modules built from an architecture."""

from graphbo.networks.chain import ChainNetwork
from graphbo.networks.darts import DARTS_OPERATIONS, DARTSNetwork
from graphbo.networks.enas import ENASMacroNetwork
from graphbo.networks.hierarchical import HierarchicalNetwork
from graphbo.networks.nasbench101 import NASBench101Network
from graphbo.networks.nasbench201 import NASBench201Network
from graphbo.networks.operations import OPERATIONS

__all__ = [
    "DARTS_OPERATIONS",
    "OPERATIONS",
    "ChainNetwork",
    "DARTSNetwork",
    "ENASMacroNetwork",
    "HierarchicalNetwork",
    "NASBench101Network",
    "NASBench201Network",
]
