"""Weights for a network from a trained one that differs little, keeping its function if possible.

Wei et al., "Network morphism", ICML 2016; Chen et al., "Net2Net: accelerating learning via
knowledge transfer", ICLR 2016; Elsken et al., "Simple and efficient architecture search for
convolutional neural networks", 2017 (arXiv 1711.04528).
"""

from __future__ import annotations

import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.edit_distance import edit_distance
from graphbo.errors import InputError
from graphbo.networks.chain import ChainNetwork
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.training.cell_morphism import cell_distance, inherit_cells
from graphbo.training.chain_morphism import chain_distance, inherit_chain


def distance(parent: Architecture, child: Architecture) -> float:
    """Return how much separates an architecture from one whose weights it could inherit.

    The number of edges that differ between cells with operations on edges; see `cell_distance`;
    for chains see `chain_distance`; otherwise the edit distance.
    """
    parent, child = parent.pruned(), child.pruned()
    if all(label for a in (parent, child) for _, _, label in a.edges):
        return cell_distance(parent, child)
    if all(a.edges == tuple((i, i + 1, "") for i in range(len(a) - 1)) for a in (parent, child)):
        return chain_distance(parent, child)
    return float(edit_distance(parent, child))


def inherit(
    network: nn.Module,
    child: Architecture,
    trained: nn.Module,
    parent: Architecture,
    generator: torch.Generator | None = None,
) -> bool:
    """Give a network the weights of a trained one; see `inherit_cells` and `inherit_chain`.

    Args:
        network: A freshly built network of the child; its weights are overwritten.
        child: Its architecture.
        trained: The trained network of the parent, of the same skeleton.
        parent: Its architecture.
        generator: The source of randomness of wider layers.

    Returns:
        Whether the function is kept exactly, in evaluation mode and up to rounding.

    Raises:
        InputError: If the networks are neither of `EdgeCell` nor `ChainNetwork`, or of different
            skeletons.
    """
    if isinstance(network, ChainNetwork) and isinstance(trained, ChainNetwork):
        return inherit_chain(network, child, trained, parent, generator)
    if any(isinstance(module, EdgeCell) for module in network.modules()):
        return inherit_cells(network, child, trained, parent)
    raise InputError(
        "weights are inherited by networks with cells whose operations sit on edges, and by "
        f"chains; got {type(network).__name__}"
    )
