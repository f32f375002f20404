"""What a network costs: parameters, multiply-adds and measured latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from graphbo.errors import InputError
from graphbo.threads import limited_threads


def parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Return the multiply-adds of one forward pass, the usual meaning of FLOPs in this field.

    Convolutions and linear layers are counted: each output element takes as many multiply-adds as
    weights reach it. Biases, normalisation, activations and pooling are left out. The published
    figures of NAS-Bench-201 add 3 for each element that a convolution of a cell puts out and 9
    for each that a pooling puts out.

    The network runs on one image of zeros, in evaluation mode, where it is (also on the meta
    device) and is left as it was.

    Args:
        network: Any module that takes one batch of images.
        shape: Channels, height and width of an image.

    Example:
        >>> flops(nn.Conv2d(3, 16, 3, padding=1, bias=False), (3, 32, 32)) == 32 * 32 * 16 * 3 * 9
        True
    """
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, _ConvNd | nn.Linear)
        weights = module.in_features if isinstance(module, nn.Linear) else module.weight[0].numel()
        total += output.numel() * weights

    counted = [m for m in network.modules() if isinstance(m, _ConvNd | nn.Linear)]
    if any(m.transposed for m in counted if isinstance(m, _ConvNd)):
        raise InputError("the multiply-adds of transposed convolutions are not counted")
    hooks = [module.register_forward_hook(count) for module in counted]
    try:
        with evaluating(network):
            network(zeros(network, (1, *shape)))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def latency(
    network: nn.Module,
    shape: Sequence[int],
    device: str | torch.device | None = None,
    *,
    batch: int = 1,
    repeats: int = 30,
    threads: int | None = None,
) -> float:
    """Measure how long a forward pass takes.

    Args:
        network: Any module that takes one batch of images; it is moved to the device.
        shape: Channels, height and width of an image.
        device: Where to measure; by default where the network is.
        batch: Images in the pass.
        repeats: Passes to take the median of; a tenth as many, but at least three, run before.
        threads: CPU threads; by default as many as torch is set to use.

    Returns:
        The median in milliseconds, in evaluation mode and float32 (or the network's own type).

    Raises:
        InputError: If batch or repeats is less than 1.
    """
    if batch < 1 or repeats < 1:
        raise InputError(f"batch and repeats must be at least 1; got {batch} and {repeats}")
    if device is not None:
        network.to(device)
    images = zeros(network, (batch, *shape))
    seconds = []
    with evaluating(network), limited_threads(threads):
        for _ in range(max(3, repeats // 10)):
            network(images)
        for _ in range(repeats):
            wait(images.device)
            start = time.perf_counter()
            network(images)
            wait(images.device)
            seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def zeros(network: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return zeros on the device and of the type of a network."""
    like = next(network.parameters(), torch.zeros(()))
    return torch.zeros(shape, device=like.device, dtype=like.dtype)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put all modules into evaluation mode, without gradients; restore their modes at the end."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
