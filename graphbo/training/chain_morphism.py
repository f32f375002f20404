"""Weights for a chain of layers from a trained chain that differs little."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks.chain import ChainNetwork, parse_layer
from graphbo.training.layer_morphism import fit_kernel, identity_norm, rectified_moments, widen

_EXACT, _INEXACT = 1.0, 3.0


@dataclass(frozen=True)
class _Layer:
    """What a layer is: its label, its channels, and the kernel size of a convolution (else 0)."""

    label: str
    width: int
    kernel: int = 0


@dataclass
class _Stream:
    """The channels of the child between two layers.

    Attributes:
        source: The parent's channel that each is a copy of.
        share: Its share of the weights that lead on from that channel.
        norm: The batch norm of the last convolution, None for the images.
    """

    source: Tensor
    share: Tensor
    norm: nn.BatchNorm2d | None = None


def chain_distance(parent: Architecture, child: Architecture) -> float:
    """Return what separates two chains.

    Layers are aligned at the least cost: 1 for a wider convolution, a larger kernel, or a
    convolution that is added behind another and is at least as wide; 3 for any other change.
    """
    return _align(_layers(parent), _layers(child))[0]


@torch.no_grad()
def inherit_chain(
    network: ChainNetwork,
    child: Architecture,
    trained: ChainNetwork,
    parent: Architecture,
    generator: torch.Generator | None = None,
) -> bool:
    """Give a chain the weights of a trained one.

    The function is kept exactly where layers get wider (Net2WiderNet: channels are repeated, and
    the weights that lead on from them divided), kernels grow (zeros around them), and convolutions
    are added behind others, as wide as these or wider (Net2DeeperNet: they start as the identity,
    which the ReLU before them lets through). Their batch norm expects the mean and variance of a
    rectified Gaussian, so that in training, too, they start near the identity.

    Otherwise the function changes: narrower layers keep their first channels, smaller kernels
    their centre; layers that are removed, and poolings that are added, leave the others as they
    were.

    Args:
        network: A freshly built network of the child; its weights are overwritten.
        child: Its architecture.
        trained: The trained network of the parent.
        parent: Its architecture.
        generator: The source of randomness of wider layers.

    Returns:
        Whether the function is kept exactly, in evaluation mode and up to rounding.

    Raises:
        InputError: If the numbers of classes or of image channels differ, or a layer has weights
            but is no convolution, batch norm and ReLU.
    """
    head, trained_head = network.head[-1], trained.head[-1]
    assert isinstance(head, nn.Linear)
    assert isinstance(trained_head, nn.Linear)
    channels = _in_channels(network)
    if (channels, head.out_features) != (_in_channels(trained), trained_head.out_features):
        raise InputError("weights are inherited between chains for the same images and classes")
    theirs, ours = _layers(parent, channels), _layers(child, channels)
    stream = _Stream(torch.arange(channels), torch.ones(channels, dtype=torch.double))
    exact = True
    for i, j in _align(theirs, ours)[1]:
        if j is None:
            assert i is not None
            exact = False
            if theirs[i].kernel:  # the next layer of the parent expects other channels
                stream = _regrouped(stream, _parts(trained.layers[i])[0].out_channels)
        elif not ours[j].kernel:
            _check_without_weights(network.layers[j])
            exact &= i is not None and theirs[i].label == ours[j].label
        elif i is None:
            exact &= stream.norm is not None
            before, stream = stream, _insert(network.layers[j], stream, generator)
            exact &= len(stream.source) >= len(before.source)
        else:
            exact &= ours[j].width >= theirs[i].width and ours[j].kernel >= theirs[i].kernel
            stream = _match(network.layers[j], trained.layers[i], stream, generator)
    head.weight.copy_(trained_head.weight[:, stream.source] * stream.share.to(head.weight))
    head.bias.copy_(trained_head.bias)
    return exact


def _insert(layer: nn.Module, stream: _Stream, generator: torch.Generator | None) -> _Stream:
    """Make a new convolution pass its channels on."""
    convolution, norm = _parts(layer)
    channels, width = convolution.in_channels, convolution.out_channels
    copied, share = widen(channels, width, generator)
    middle = convolution.kernel_size[0] // 2
    nn.init.zeros_(convolution.weight)
    convolution.weight[torch.arange(width), copied, middle, middle] = 1
    if stream.norm is None:
        identity_norm(norm)
    else:
        mean, variance = rectified_moments(stream.norm)
        identity_norm(norm, mean[copied], variance[copied])
    return _Stream(stream.source[copied], stream.share[copied] * share, norm)


def _match(
    layer: nn.Module, trained: nn.Module, stream: _Stream, generator: torch.Generator | None
) -> _Stream:
    """Fill a convolution from its counterpart."""
    (convolution, norm), (other, other_norm) = _parts(layer), _parts(trained)
    copied, share = widen(other.out_channels, convolution.out_channels, generator)
    kernels = other.weight[copied][:, stream.source]
    kernels = kernels * stream.share.to(kernels)[:, None, None]
    convolution.weight.copy_(fit_kernel(kernels, convolution.kernel_size[0]))
    for name, values in norm.state_dict().items():
        theirs = other_norm.state_dict()[name]
        values.copy_(theirs[copied] if theirs.dim() else theirs)
    return _Stream(copied, share, norm)


def _regrouped(stream: _Stream, width: int) -> _Stream:
    """Let channels stand for those of a layer of the parent that the child does not have."""
    source = torch.arange(len(stream.source)) % width
    share = 1 / torch.bincount(source, minlength=width).double()[source]
    return _Stream(source, share, stream.norm)


def _parts(layer: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    assert isinstance(layer, nn.Sequential)
    convolution, norm = layer[0], layer[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return convolution, norm


def _layers(chain: Architecture, in_channels: int = 3) -> list[_Layer]:
    found = []
    width = in_channels
    for label in chain.nodes[1:-1]:
        name, width = parse_layer(label, width)
        kernel = re.fullmatch(r"conv(\d+)x\1", name)
        found.append(_Layer(label, width, int(kernel[1]) if kernel else 0))
    return found


def _in_channels(network: ChainNetwork) -> int:
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return first.in_channels if isinstance(first, nn.Conv2d) else first.in_features


def _check_without_weights(layer: nn.Module) -> None:
    if next(layer.parameters(), None) is not None:
        raise InputError(
            "chains inherit layers of convolution, batch norm and ReLU, and layers without "
            f"weights; got {layer}"
        )


def _align(
    parent: Sequence[_Layer], child: Sequence[_Layer]
) -> tuple[float, list[tuple[int | None, int | None]]]:
    """Return the least cost of turning one chain into the other, and the pairs of layers.

    A pair holds the index in the parent, or None for a layer that is added, and the index in the
    child, or None for one that is removed.
    """
    best: dict[tuple[int, int], tuple[float, list[tuple[int | None, int | None]]]] = {}
    for i in range(len(parent) + 1):
        for j in range(len(child) + 1):
            options: list[tuple[float, list[tuple[int | None, int | None]]]] = []
            if i and j:
                cost, pairs = best[i - 1, j - 1]
                change = _change(parent[i - 1], child[j - 1])
                options.append((cost + change, [*pairs, (i - 1, j - 1)]))
            if j:
                cost, pairs = best[i, j - 1]
                options.append((cost + _added(child, j - 1), [*pairs, (None, j - 1)]))
            if i:
                cost, pairs = best[i - 1, j]
                options.append((cost + _INEXACT, [*pairs, (i - 1, None)]))
            best[i, j] = min(options, key=lambda option: option[0], default=(0.0, []))
    return best[len(parent), len(child)]


def _added(child: Sequence[_Layer], j: int) -> float:
    """Return the cost of adding a layer: a convolution behind another can be the identity."""
    behind = child[j].kernel and any(layer.kernel for layer in child[:j])
    return _EXACT if behind and child[j].width >= child[j - 1].width else _INEXACT


def _change(parent: _Layer, child: _Layer) -> float:
    """Return the cost of turning one layer into another; infinite if it is better replaced."""
    if not parent.kernel and not child.kernel:
        return 0.0 if parent.label == child.label else _INEXACT
    if not parent.kernel or not child.kernel:
        return math.inf
    steps = ((parent.kernel, child.kernel), (parent.width, child.width))
    return sum(0.0 if a == b else _EXACT if a < b else _INEXACT for a, b in steps)
