"""Single layers that keep a function: other kernel sizes, identities, more channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def fit_kernel(weight: Tensor, size: int) -> Tensor:
    """Return kernels of another odd size: with zeros around them, or their centre.

    Args:
        weight: Kernels ``o x i x k x k``.
        size: The new k.
    """
    margin = (size - weight.shape[-1]) // 2
    return nn.functional.pad(weight, [margin] * 4)


def averaging_kernel(weight: Tensor) -> Tensor:
    """Return kernels of the shape ``o x i x k x k`` that average each channel in their window."""
    size = weight.shape[-1]
    channels = torch.eye(*weight.shape[:2], dtype=weight.dtype, device=weight.device)
    return channels[..., None, None].expand(-1, -1, size, size) / size**2


def identity_norm(
    norm: nn.BatchNorm2d, mean: Tensor | float = 0.0, variance: Tensor | float = 1.0
) -> None:
    """Make a batch norm the identity in evaluation mode.

    It is the identity in training as well, for inputs of this mean and variance.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_().add_(mean)
    norm.running_var.zero_().add_(variance)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(norm.running_mean)


def rectified_moments(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel after a batch norm and a ReLU.

    What the batch norm returns is taken to be Gaussian, with its shift as mean and its scale as
    standard deviation.
    """
    mean, deviation = norm.bias, norm.weight.abs().clamp_min(1e-12)
    ratio = mean / deviation
    below = 0.5 * torch.erfc(-ratio / math.sqrt(2))
    density = torch.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    first = mean * below + deviation * density
    second = (mean**2 + deviation**2) * below + mean * deviation * density
    return first, (second - first**2).clamp_min(0)


def widen(
    channels: int, width: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Choose which channels a wider layer repeats (Net2WiderNet).

    Args:
        channels: How many there are.
        width: How many there will be; fewer drop the last.
        generator: The source of randomness.

    Returns:
        For each new channel the old one that it repeats, and the share of the weights that lead on
        from it (both ``width``; int64 and float64). The shares of one channel add up to 1 and
        differ: equal copies would have equal gradients and stay copies.
    """
    extra = torch.randint(channels, (max(width - channels, 0),), generator=generator)
    source = torch.cat([torch.arange(min(channels, width)), extra])
    parts = 0.5 + torch.rand(width, generator=generator, dtype=torch.double)
    totals = torch.zeros(channels, dtype=torch.double).index_add_(0, source, parts)
    return source, parts / totals[source]
