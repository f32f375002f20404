"""Search spaces: sets of architectures that convert to and from ConfigSpace."""

from graphbo.edit_distance import EditDistances, edit_distance
from graphbo.spaces.base import INACTIVE, Decision, Design, Row, SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.chain import ChainSpace
from graphbo.spaces.darts import DARTSCellSpace, DARTSSpace, Genotype
from graphbo.spaces.declarative import space_from_settings
from graphbo.spaces.enas import ENASMacroSpace
from graphbo.spaces.hierarchical import HierarchicalSpace, Hierarchy, flattened
from graphbo.spaces.joint import FixedSpace, HyperparameterSpace, JointSpace
from graphbo.spaces.joint_pool import JointPoolSpace
from graphbo.spaces.nasbench101 import NASBench101Space
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.spaces.pool import PoolSpace
from graphbo.spaces.product import ProductSpace
from graphbo.spaces.randomly_wired import RandomlyWiredSpace
from graphbo.spaces.regnet import RegNetSpace

__all__ = [
    "INACTIVE",
    "CellSpace",
    "ChainSpace",
    "DARTSCellSpace",
    "DARTSSpace",
    "Decision",
    "Design",
    "ENASMacroSpace",
    "EditDistances",
    "FixedSpace",
    "Genotype",
    "HierarchicalSpace",
    "Hierarchy",
    "HyperparameterSpace",
    "JointPoolSpace",
    "JointSpace",
    "NASBench101Space",
    "NASBench201Space",
    "PoolSpace",
    "ProductSpace",
    "RandomlyWiredSpace",
    "RegNetSpace",
    "Row",
    "SearchSpace",
    "edit_distance",
    "flattened",
    "space_from_settings",
]
