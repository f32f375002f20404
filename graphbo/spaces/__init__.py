"""Search spaces: sets of architectures that convert to and from ConfigSpace."""

from graphbo.spaces.base import INACTIVE, Decision, Design, Row, SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.nasbench101 import NASBench101Space
from graphbo.spaces.nasbench201 import NASBench201Space

__all__ = [
    "INACTIVE",
    "CellSpace",
    "Decision",
    "Design",
    "NASBench101Space",
    "NASBench201Space",
    "Row",
    "SearchSpace",
]
