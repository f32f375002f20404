"""What the groups of a program compute, forwards and backwards.

Images are ``batch x h x w x slots x channels``, vectors ``batch x slots x features``: the
operations of a group stand side by side, as the groups of a grouped convolution. With the channels
last, a convolution on a CPU takes half as long as with the pixels last. The gradients are written
out instead of recorded by autograd, because the program of a population runs many hundred times
unchanged and its slots are read in ways that autograd can only undo by filling whole tensors with
zeros.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from typing_extensions import override

from graphbo.training.graph import Shape
from graphbo.training.schedule import Group

aten = torch.ops.aten
_MATRIX_PIXELS = 256  # up to here, a matrix product pools faster than the kernel for pooling
_DENSE_PIXELS = (16, 4)  # up to here, read and written, a convolution is a matrix product


class Step(ABC):
    """One group's computation.

    Attributes:
        parameters: The shapes of the stacked parameters, by role and name in the module.
        buffers: Those of the stacked buffers.
        weights: The tensors, as the program lays them out; `gradients` those of the parameters.
        fresh: Whether the gradients that it returns are its own.
    """

    fresh = True

    def __init__(self, group: Group) -> None:
        self.n = len(group.members)
        self.group = group
        self.parameters: dict[tuple[int, str], tuple[int, ...]] = {}
        self.buffers: dict[tuple[int, str], tuple[int, ...]] = {}
        self.weights: dict[tuple[int, str], Tensor] = {}
        self.gradients: dict[tuple[int, str], Tensor] = {}

    @abstractmethod
    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Map what is read by all slots to the result; may keep what `backward` needs."""

    @abstractmethod
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        """Store the gradients of the parameters and return that of what was read, if needed."""


class Convolution(Step):
    """Grouped convolution, with the batch norm and the ReLU that may follow it."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        inside, outside, kernel, stride, padding, dilation, groups, bias, *norm = group.settings
        self.norm = _Norm(self, outside, norm[0][0], norm[0][1], role=1) if norm else None
        self.relu = bool(norm and norm[0][2])
        self.out_channels = outside
        self.options = (stride, padding, dilation, groups * self.n)
        self.parameters[0, "weight"] = (outside, inside // groups, *kernel)
        if bias:
            self.parameters[0, "bias"] = (outside,)

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        images = _planes(x.contiguous())
        weight = self.weights[0, "weight"].flatten(0, 1).to(x.dtype)
        bias = self.weights.get((0, "bias"))
        bias = None if bias is None else bias.flatten().to(x.dtype)
        if self.norm is not None and not training:
            weight, bias = self.norm.folded(weight, bias)
            out = conv2d(images, weight, bias, *self.options)
            return self._rectified(out, training)
        out = conv2d(images, weight, bias, *self.options)
        if training:
            self.saved = images, weight
        return self._finished(out, training)

    def _finished(self, out: Tensor, training: bool) -> Tensor:
        """Apply norm and rectifier to `_planes`."""
        if self.norm is not None:
            out = self.norm.forward(out) if training else self.norm.evaluated(out)
        return self._rectified(out, training)

    def _rectified(self, out: Tensor, training: bool) -> Tensor:
        if self.relu:
            out = out.relu_()
            self.result = out
        return _slots(out, self.n)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        out = _planes(gradient)
        if self.relu:
            out = aten.threshold_backward(out, self.result, 0)
            del self.result
        if self.norm is not None:
            out = self.norm.backward(out)
        return self._differentiated(out, needed)

    def _differentiated(self, out: Tensor, needed: bool) -> Tensor | None:
        """Do what `backward` does, for the convolution alone."""
        images, weight = self.saved
        del self.saved
        stride, padding, dilation, groups = self.options
        bias = self.gradients.get((0, "bias"))
        before, by_weight, by_bias = aten.convolution_backward(
            out,
            images,
            weight,
            None if bias is None else [weight.shape[0]],
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            groups,
            [needed, True, bias is not None],
        )
        _store(self.gradients[0, "weight"], by_weight)
        if bias is not None:
            _store(bias, by_bias)
        return _slots(before, self.n) if needed else None


class DenseConvolution(Convolution):
    """Convolution of images of so few pixels that every one of them matters to every result.

    It is the product with a matrix ``input channels and pixels x output channels and pixels``.
    """

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        kernel, stride, padding, dilation = group.settings[2:6]
        _, *self.before = group.inputs[0]
        _, *self.after = group.shape
        # Which entry of the kernel leads from a pixel to a result: those of a kernel of numbers.
        taps = torch.arange(1.0, 1 + kernel[0] * kernel[1]).view(1, 1, *kernel)
        unit = torch.eye(self.before[0] * self.before[1]).view(-1, 1, *self.before)
        tap = conv2d(unit, taps, None, stride, padding, dilation).flatten(1).long()
        self.tap, self.zero = (tap - 1).clamp(min=0).flatten(), (tap == 0).flatten()

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        kernel = self.weights[0, "weight"].to(x.dtype)
        n, outside, inside = kernel.shape[:3]
        self.tap, self.zero = self.tap.to(x.device), self.zero.to(x.device)
        matrix = kernel.flatten(3).index_select(3, self.tap).masked_fill_(self.zero, 0)
        # n x (pixels, inside) x (pixels, outside)
        pixels = self.before[0] * self.before[1]
        matrix = matrix.view(n, outside, inside, pixels, -1).permute(0, 3, 2, 4, 1)
        matrix = matrix.reshape(n, pixels * inside, -1)
        images = self._by_slot(x)
        out = self._by_image(torch.bmm(images, matrix), self.after)
        if training:
            self.saved = images, matrix
        return self._finished(_planes(out), training)

    def _differentiated(self, out: Tensor, needed: bool) -> Tensor | None:
        images, matrix = self.saved
        del self.saved
        gradient = self._by_slot(_slots(out, self.n))
        by_matrix = torch.bmm(images.transpose(1, 2), gradient)
        target = self.gradients[0, "weight"]
        n, outside, inside = target.shape[:3]
        pixels = self.before[0] * self.before[1]
        by_tap = by_matrix.view(n, pixels, inside, -1, outside).permute(0, 4, 2, 1, 3)
        by_tap = by_tap.reshape(n, outside, inside, -1).masked_fill_(self.zero, 0)
        target.zero_().flatten(3).index_add_(3, self.tap, by_tap.to(target.dtype))
        if not needed:
            return None
        return self._by_image(torch.bmm(gradient, matrix.transpose(1, 2)), self.before)

    def _by_slot(self, x: Tensor) -> Tensor:
        """Return images as ``slots x batch x (pixels, channels)``."""
        return x.permute(3, 0, 1, 2, 4).reshape(self.n, len(x), -1)

    def _by_image(self, x: Tensor, size: list[int]) -> Tensor:
        """Undo `_by_slot`."""
        return x.view(*x.shape[:2], *size, -1).permute(1, 2, 3, 0, 4).contiguous()


class _Norm:
    """Batch norm on `_planes`."""

    def __init__(self, step: Step, channels: int, eps: float, momentum: float, role: int) -> None:
        self.step, self.role = step, role
        self.eps, self.momentum = eps, momentum
        for name in ("weight", "bias"):
            step.parameters[role, name] = (channels,)
        for name in ("running_mean", "running_var"):
            step.buffers[role, name] = (channels,)

    def _weights(self) -> list[Tensor]:
        names = ("weight", "bias", "running_mean", "running_var")
        return [self.step.weights[self.role, name].view(-1) for name in names]

    def forward(self, x: Tensor) -> Tensor:
        if len(x) * x[0, 0].numel() == 1:
            raise ValueError("batch norm cannot learn from one image of one pixel")
        out, *statistics = aten.native_batch_norm(
            x, *self._weights(), True, self.momentum, self.eps
        )
        self.saved = x, *statistics
        return out  # type: ignore[no-any-return]

    def backward(self, gradient: Tensor) -> Tensor:
        weight, _, running_mean, running_variance = self._weights()
        x, mean, scale = self.saved
        del self.saved
        before, by_weight, by_bias = aten.native_batch_norm_backward(
            *(gradient, x, weight, running_mean, running_variance, mean, scale),
            *(True, self.eps, [True, True, True]),
        )
        _store(self.step.gradients[self.role, "weight"], by_weight)
        _store(self.step.gradients[self.role, "bias"], by_bias)
        return before  # type: ignore[no-any-return]

    def evaluated(self, x: Tensor) -> Tensor:
        """Return what it gives with the running statistics."""
        scale, shift = self._affine()
        return x * scale[:, None, None].to(x.dtype) + shift[:, None, None].to(x.dtype)

    def folded(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the convolution that includes the norm with its running statistics."""
        scale, shift = self._affine()
        shift = shift if bias is None else torch.addcmul(shift, bias.to(scale.dtype), scale)
        return weight * scale[:, None, None, None].to(weight.dtype), shift.to(weight.dtype)

    def _affine(self) -> tuple[Tensor, Tensor]:
        weight, bias, mean, variance = self._weights()
        scale = weight * torch.rsqrt(variance + self.eps)
        return scale, bias - mean * scale


class BatchNorm(Step):
    """Batch norm that follows no convolution."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.norm = _Norm(self, group.shape[0], group.settings[0], group.settings[1], role=0)

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        images = _planes(x.contiguous())
        out = self.norm.forward(images) if training else self.norm.evaluated(images)
        return _slots(out, self.n)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        return _slots(self.norm.backward(_planes(gradient)), self.n)


class Linear(Step):
    """A linear layer."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        (inside,), (outside,) = group.inputs[0], group.shape
        self.parameters[0, "weight"] = (outside, inside)
        if group.settings[0]:
            self.parameters[0, "bias"] = (outside,)

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.saved = x
        out = torch.einsum("bnf,nof->bno", x, self.weights[0, "weight"].to(x.dtype))
        bias = self.weights.get((0, "bias"))
        return out if bias is None else out + bias.to(x.dtype)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        x = self.saved
        del self.saved
        _store(self.gradients[0, "weight"], torch.einsum("bno,bnf->nof", gradient, x))
        if (0, "bias") in self.gradients:
            _store(self.gradients[0, "bias"], gradient.sum(0))
        if not needed:
            return None
        return torch.einsum("bno,nof->bnf", gradient, self.weights[0, "weight"].to(x.dtype))


class Relu(Step):
    """The rectifier."""

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.result = x.relu()
        return self.result

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        result: Tensor = aten.threshold_backward(gradient, self.result, 0)
        del self.result
        return result


class AveragePool(Step):
    """Average pooling: on small images as the product with a matrix ``pixels x pooled pixels``."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        kernel, stride, padding, ceil, include = group.settings
        self.options = (_pair(kernel), _pair(stride), _pair(padding), ceil, include, None)
        self.shape = group.shape
        _, height, width = group.inputs[0]
        self.matrix: Tensor | None = None
        if height * width <= _MATRIX_PIXELS:
            # The pooled image of each single pixel.
            unit = torch.eye(height * width, dtype=torch.float64).view(-1, 1, height, width)
            self.matrix = aten.avg_pool2d(unit, *self.options).flatten(1)

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        if self.matrix is None:
            self.saved = _planes(x.contiguous())
            return _slots(aten.avg_pool2d(self.saved, *self.options), self.n)
        if self.matrix.dtype != x.dtype or self.matrix.device != x.device:
            self.matrix = self.matrix.to(x)
        return self._product(self.matrix.T, x, self.shape)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        if self.matrix is not None:
            return self._product(self.matrix, gradient, self.group.inputs[0])
        out = aten.avg_pool2d_backward(_planes(gradient), self.saved, *self.options)
        del self.saved
        return _slots(out, self.n)

    def _product(self, matrix: Tensor, x: Tensor, shape: Shape) -> Tensor:
        out = matrix @ x.reshape(len(x), matrix.shape[1], -1)
        return out.view(layout(len(x), self.n, shape))


class MaxPool(Step):
    """Max pooling."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        kernel, stride, padding, ceil = group.settings
        self.options = (_pair(kernel), _pair(stride), _pair(padding), [1, 1], ceil)
        self.shape = group.shape

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        images = _planes(x.contiguous())
        out, where = aten.max_pool2d_with_indices(images, *self.options)
        self.saved = images, where
        return _slots(out, self.n)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        images, where = self.saved
        del self.saved
        out = aten.max_pool2d_with_indices_backward(_planes(gradient), images, *self.options, where)
        return _slots(out, self.n)


class Mean(Step):
    """Global average pooling."""

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x.mean((1, 2), keepdim=True)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        _, height, width = self.group.inputs[0]
        out = (gradient / (height * width)).expand(-1, height, width, -1, -1)
        return out.contiguous()


class Flatten(Step):
    """All of an image in one dimension, channel by channel."""

    fresh = False

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        return rearranged(x).flatten(2)

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        return rearranged(gradient.view(*gradient.shape[:2], *self.group.inputs[0])).contiguous()


class Narrow(Step):
    """Some of the channels."""

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x.narrow(-1, *self.group.settings).contiguous()

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        out = gradient.new_zeros(layout(len(gradient), self.n, self.group.inputs[0]))
        out.narrow(-1, *self.group.settings).copy_(gradient)
        return out


class Output(Step):
    """The logits of all networks."""

    fresh = False

    @override
    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x

    @override
    def backward(self, gradient: Tensor, needed: bool) -> Tensor | None:
        return gradient


def _convolution(group: Group) -> Convolution:
    _, _, kernel, *_, groups, bias = group.settings[:8]
    read, written = (shape[1] * shape[2] for shape in (group.inputs[0], group.shape))
    few = read <= _DENSE_PIXELS[0] and written <= _DENSE_PIXELS[1]
    dense = few and groups == 1 and not bias and kernel != (1, 1)
    return DenseConvolution(group) if dense else Convolution(group)


STEPS: dict[str, Callable[[Group], Step]] = {
    "convolution": _convolution,
    "batch_norm": BatchNorm,
    "linear": Linear,
    "relu": Relu,
    "average_pool": AveragePool,
    "max_pool": MaxPool,
    "mean": Mean,
    "flatten": Flatten,
    "narrow": Narrow,
    "output": Output,
}
"""The kinds that read one result for each slot; sums, concatenations and zeros read others."""


def _pair(size: int | tuple[int, int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def layout(batch: int, slots: int, shape: Shape) -> tuple[int, ...]:
    """Return the shape of results for a batch, each ``c x h x w`` or ``features`` for one image."""
    features, *pixels = shape
    return batch, *pixels, slots, features


def rearranged(x: Tensor) -> Tensor:
    """Return ``batch x h x w x slots x c`` as ``batch x slots x c x h x w``, and the reverse."""
    return x.permute(0, 3, 4, 1, 2) if x.dim() == 5 else x


def _planes(x: Tensor) -> Tensor:
    """Return images as torch has them: ``batch x channels of all slots x h x w``, channels last."""
    return x.flatten(3).permute(0, 3, 1, 2)


def _slots(planes: Tensor, n: int) -> Tensor:
    """Undo `_planes`."""
    return planes.permute(0, 2, 3, 1).contiguous().view(len(planes), *planes.shape[2:], n, -1)


def _store(target: Tensor, gradient: Tensor) -> None:
    target.copy_(gradient.view(target.shape))
