"""The operations that architectures name, as PyTorch modules."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import partial, reduce

from torch import Tensor, nn

from graphbo.errors import InputError

Factory = Callable[[int, int], nn.Module]
"""Makes a module from a number of input channels and one of output channels."""


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Sequential:
    """Return convolution, batch norm and ReLU, in this order, at stride 1."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def stem(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """Return a 3x3 convolution and batch norm: where most skeletons begin."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )


def relu_separable_conv_bn(
    in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return ReLU, a depthwise and a 1x1 convolution, and batch norm, in this order."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            *(in_channels, in_channels, kernel_size, stride, padding, dilation),
            groups=in_channels,
            bias=False,
        ),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def separable_conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int = 3
) -> nn.Sequential:
    """Return a depthwise and a 1x1 convolution, batch norm and ReLU, in this order, at stride 1."""
    return nn.Sequential(
        nn.Conv2d(
            *(in_channels, in_channels, kernel_size),
            padding=kernel_size // 2,
            groups=in_channels,
            bias=False,
        ),
        *conv_bn_relu(in_channels, out_channels, kernel_size=1),
    )


def relu_conv_bn(
    in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1
) -> nn.Sequential:
    """Return ReLU, convolution and batch norm, in this order."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _unparametrised(make: Callable[[], nn.Module]) -> Factory:
    """Wrap a module that keeps the number of channels and has no use for it."""

    def factory(in_channels: int, out_channels: int) -> nn.Module:
        if in_channels != out_channels:
            raise ValueError(
                f"{make().__class__.__name__} keeps the number of channels; "
                f"it cannot turn {in_channels} into {out_channels}"
            )
        return make()

    return factory


_average_pooling = _unparametrised(
    partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False)
)
OPERATIONS: dict[str, Factory] = {
    # NAS-Bench-201
    "nor_conv_1x1": partial(relu_conv_bn, kernel_size=1),
    "nor_conv_3x3": partial(relu_conv_bn, kernel_size=3),
    "skip_connect": _unparametrised(nn.Identity),
    "avg_pool_3x3": _average_pooling,
    # NAS-Bench-101 and chains
    "conv1x1": partial(conv_bn_relu, kernel_size=1),
    "conv3x3": partial(conv_bn_relu, kernel_size=3),
    "conv5x5": partial(conv_bn_relu, kernel_size=5),
    "maxpool3x3": _unparametrised(partial(nn.MaxPool2d, 3, stride=1, padding=1)),
    # ENAS, beside convolutions and maximum pooling as above
    "sepconv3x3": partial(separable_conv_bn_relu, kernel_size=3),
    "sepconv5x5": partial(separable_conv_bn_relu, kernel_size=5),
    "avgpool3x3": _average_pooling,
    # With ceil mode an image of one pixel passes unchanged.
    "maxpool2": _unparametrised(partial(nn.MaxPool2d, 2, ceil_mode=True)),
    "avgpool2": _unparametrised(partial(nn.AvgPool2d, 2, ceil_mode=True)),
}
"""The known operations by label; add your own here to use them in any skeleton."""


def operation(label: str, in_channels: int, out_channels: int) -> nn.Module:
    """Return a new module for an operation.

    Args:
        label: A key of `OPERATIONS`.
        in_channels: Channels of what it takes, ``n x in_channels x height x width``.
        out_channels: Channels of what it returns.

    Raises:
        ValueError: If the label is unknown, or a pooling or skip is to change the channels.
    """
    if label not in OPERATIONS:
        raise ValueError(f"no module for the operation {label!r}; there is {sorted(OPERATIONS)}")
    return OPERATIONS[label](in_channels, out_channels)


def total(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of tensors, at least one, each added as it comes."""
    return reduce(operator.add, tensors)


def scaled(channels: int, width: float) -> int:
    """Return a number of channels times a multiplier: rounded half to even, and at least 1.

    Raises:
        InputError: If the multiplier is not positive.
    """
    if not width > 0:
        raise InputError(f"the width multiplies channels and must be positive; got {width}")
    return max(1, round(channels * width))


def classifier(channels: int, classes: int) -> nn.Sequential:
    """Return global average pooling and a linear layer: the head of every skeleton."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
