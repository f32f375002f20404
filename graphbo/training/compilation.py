"""Compiling a network for training."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from graphbo.errors import InputError


def compiled(network: nn.Module) -> nn.Module:
    """Return a compiled network that shares its parameters and buffers with the one given.

    torch 2.13 compiles average pooling in ceil mode to a wrong gradient wherever a window reaches
    over the border. Pooling by two is replaced by an equal form without such windows.

    Raises:
        InputError: If the network has another average pooling in ceil mode.
    """
    shared = [*network.parameters(), *network.buffers()]
    copy = deepcopy(network, {id(tensor): tensor for tensor in shared})
    for parent in list(copy.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.AvgPool2d) and module.ceil_mode:
                if not _halves(module):
                    raise InputError(f"{module} in ceil mode cannot be compiled; use compile=False")
                setattr(parent, name, nn.Sequential(_EvenSides(), nn.AvgPool2d(2)))
    return cast(nn.Module, torch.compile(copy))


def _halves(pool: nn.AvgPool2d) -> bool:
    pairs = (pool.kernel_size, pool.stride, pool.padding)
    return all(
        pair in (value, (value, value)) for pair, value in zip(pairs, (2, 2, 0), strict=True)
    )


class _EvenSides(nn.Module):
    """Repeats the last row and column of images whose sides are odd: their mean stays the same."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height % 2:
            x = torch.cat([x, x[..., -1:, :]], -2)
        return torch.cat([x, x[..., -1:]], -1) if width % 2 else x
