"""Weights for a cell with operations on its edges from a trained one that differs little."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.training.layer_morphism import averaging_kernel, fit_kernel, identity_norm

_CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")
_EXACT = {("nor_conv_1x1", "nor_conv_3x3")}

_Step = tuple[int | None, str, str, bool]
"""For an edge of the child: the parent's edge, the labels there and here, whether to silence."""


def cell_distance(parent: Architecture, child: Architecture) -> float:
    """Return the number of edges whose operation differs between two cells.

    A missing edge counts as one, and inner nodes are laid on each other so that the number is the
    smallest.
    """
    return _align(parent.pruned(), child.pruned())[1]


@torch.no_grad()
def inherit_cells(
    network: nn.Module, child: Architecture, trained: nn.Module, parent: Architecture
) -> bool:
    """Give a network of `EdgeCell` the weights of a trained one.

    What is the same on both sides is copied. The function is kept exactly, in training and in
    evaluation, where

    - a convolution is added on an edge into a node of the parent: it starts with a batch-norm
      scale of zero, and so do the convolutions into a new node if a skip or a pooling leaves it;
    - a 1x1 convolution becomes a 3x3 one, whose kernel has it as its centre.

    What cannot be kept starts near. A 3x3 convolution that becomes 1x1 keeps its centre. A skip
    that becomes a convolution starts as the identity, and an average pooling that becomes a 3x3
    convolution as the average: in evaluation, for positive inputs (there is a ReLU before the
    convolution), and for the pooling away from the border. A removed edge, a skip or pooling that
    is added between nodes of the parent, and a convolution that becomes a skip or a pooling have
    nothing to inherit.

    Args:
        network: A freshly built network of the child; its weights are overwritten.
        child: Its architecture.
        trained: The trained network of the parent, of the same skeleton.
        parent: Its architecture.

    Returns:
        Whether the function is kept exactly, up to rounding.

    Raises:
        InputError: If the skeletons differ.
    """
    child, parent = child.pruned(), parent.pruned()
    names = [name for name, module in network.named_modules() if isinstance(module, EdgeCell)]
    prefixes = tuple(f"{name}." for name in names)
    outside = [
        {k: v for k, v in whole.state_dict().items() if not k.startswith(prefixes)}
        for whole in (network, trained)
    ]
    shapes = [{key: value.shape for key, value in state.items()} for state in outside]
    if shapes[0] != shapes[1]:
        raise InputError("weights are inherited within one skeleton; these two differ")
    network.load_state_dict(outside[1], strict=False)
    steps, exact = _plan(parent, child, _align(parent, child)[0])
    for name in names:
        cell, source = network.get_submodule(name), trained.get_submodule(name)
        _fill(cast(EdgeCell, cell), cast(EdgeCell, source), steps)
    return exact


def _align(parent: Architecture, child: Architecture) -> tuple[dict[int, int], float]:
    """Lay the nodes of a parent on those of a child so that the fewest edges differ.

    Returns:
        The child's node of each node of the parent, as far as it has one, and the number of edges.
    """
    ours = {(u, v): label for u, v, label in child.edges}
    inner = [[i for i in range(len(a)) if i not in (a.input, a.output)] for a in (parent, child)]
    # A number below zero is a node that the child does not have.
    absent = [-1 - i for i in range(max(len(inner[0]) - len(inner[1]), 0))]
    best: tuple[dict[int, int], float] = {}, float("inf")
    for places in itertools.permutations([*inner[1], *absent], len(inner[0])):
        place = dict(zip(inner[0], places, strict=True))
        place |= {parent.input: child.input, parent.output: child.output}
        theirs = {(place[u], place[v]): label for u, v, label in parent.edges}
        differing = sum(ours.get(e) != theirs.get(e) for e in {*ours, *theirs})
        if differing < best[1]:
            best = {u: v for u, v in place.items() if v >= 0}, float(differing)
    return best


def _plan(
    parent: Architecture, child: Architecture, place: Mapping[int, int]
) -> tuple[list[_Step], bool]:
    """Return what to do on each edge of the child, and whether the function is kept."""
    theirs = {
        (place[u], place[v]): (i, label)
        for i, (u, v, label) in enumerate(parent.edges)
        if u in place and v in place
    }
    ours = {(u, v): label for u, v, label in child.edges}
    old = set(place.values())
    silent: set[tuple[int, int]] = set()

    def silence(edge: tuple[int, int]) -> bool:
        """Make a new edge pass zeros on, if that is possible."""
        u, _ = edge
        if ours[edge] in _CONVOLUTIONS:
            silent.add(edge)
            return True
        # A pooling or skip passes zeros on if all that reaches its source is zero.
        if u in old:
            return False
        silenced = [silence(before) for before in ours if before[1] == u]
        return all(silenced)

    exact = len(theirs) == len(parent.edges) and set(theirs) <= set(ours)
    steps: list[_Step] = []
    for edge, label in ours.items():
        before = theirs.get(edge)
        if before is None:
            # What reaches a new node does not matter unless it is passed on to an old one.
            exact &= edge[1] not in old or silence(edge)
        else:
            exact &= before[1] == label or (before[1], label) in _EXACT
    for edge, label in ours.items():
        number, past = theirs.get(edge, (None, ""))
        steps.append((number, past, label, edge in silent))
    return steps, exact


def _fill(cell: EdgeCell, trained: EdgeCell, steps: Sequence[_Step]) -> None:
    """Carry a plan out in one cell of the network."""
    for (number, past, label, silent), module in zip(steps, cell.operations, strict=True):
        if silent:
            nn.init.zeros_(_parts(module)[1].weight)
        if number is None:
            continue
        source = trained.operations[number]
        if past == label:
            module.load_state_dict(copy.deepcopy(source.state_dict()))
        elif label in _CONVOLUTIONS:
            convolution, norm = _parts(module)
            size = convolution.kernel_size[0]
            if past in _CONVOLUTIONS:
                other, other_norm = _parts(source)
                convolution.weight.copy_(fit_kernel(other.weight, size))
                norm.load_state_dict(other_norm.state_dict())
                continue
            identity_norm(norm)
            if past == "avg_pool_3x3" and size == 3:
                convolution.weight.copy_(averaging_kernel(convolution.weight))
            else:
                nn.init.dirac_(convolution.weight)


def _parts(operation: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return the parts of ReLU, convolution and batch norm that have weights."""
    _, convolution, norm = operation.children()
    return cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)
