"""PyTorch modules built from an architecture, and what they cost."""

from graphbo.networks.chain import ChainNetwork
from graphbo.networks.darts import DARTS_OPERATIONS, DARTSNetwork
from graphbo.networks.deployment import Deployment
from graphbo.networks.enas import ENASMacroNetwork
from graphbo.networks.hierarchical import HierarchicalNetwork
from graphbo.networks.memory import activation_memory, flash_size
from graphbo.networks.nasbench101 import NASBench101Network
from graphbo.networks.nasbench201 import NASBench201Network
from graphbo.networks.operations import OPERATIONS
from graphbo.networks.randomly_wired import RandomlyWiredNetwork
from graphbo.networks.regnet import RegNetNetwork

__all__ = [
    "DARTS_OPERATIONS",
    "OPERATIONS",
    "ChainNetwork",
    "DARTSNetwork",
    "Deployment",
    "ENASMacroNetwork",
    "HierarchicalNetwork",
    "NASBench101Network",
    "NASBench201Network",
    "RandomlyWiredNetwork",
    "RegNetNetwork",
    "activation_memory",
    "flash_size",
]
