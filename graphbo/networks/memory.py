"""What a network needs on a small device: memory for its activations, and flash for its weights.

What fits a microcontroller is decided by these two, not by its multiply-adds.

Reference: Lin et al., "MCUNet: Tiny deep learning on IoT devices", NeurIPS 2020.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from graphbo.errors import InputError
from graphbo.networks.flops import evaluating, zeros

BITS = (4, 8, 16, 32)
"""The numbers of bits that an activation or a weight may have."""
_WIDE = 32
"""The bits of biases, and of the scale and shift of a normalisation."""
_WEIGHTED = {"convolution", "addmm", "mm", "linear"}
_ELEMENTWISE = {
    *("hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "gelu", "silu", "mish", "prelu"),
    *("softplus", "cat"),  # where it puts several together, none of them has room for all
}
"""Operations on single elements that torch does not tag as such."""
_FRESH = ("clone", "empty", "zeros", "ones", "full", "new_", "rand", "arange")
"""How operations begin whose results may be meant to be written over: none stands for another."""


def activation_memory(network: nn.Module, shape: Sequence[int], bits: int = 32) -> int:
    """Return the bytes of the largest set of tensors that inference on one image needs at once.

    The operations are carried out one by one in the order of ``forward``. During each, its
    operands, its result and everything that a later one reads are in memory: the image until its
    last use, the result of the network to the end. A tensor is freed after its last use, a view is
    part of what it views. An operation on single elements (an activation, a sum, a normalisation
    by stored statistics) writes over an operand of the same size that nothing reads afterwards, as
    engines for small devices do. The same operation on the same operands is done once. Not counted
    are weights, which stay in flash, and what an operation needs within itself, such as the
    unfolded image of a convolution.

    What runs is recorded operation by operation where torch dispatches them, as this sees sums and
    slices, which hooks of modules do not, and whatever Python decides the order, which symbolic
    tracing does not.

    Args:
        network: Any module that takes one batch of images. It runs on one image of zeros, in
            evaluation mode, where it is (also on the meta device), and is left as it was.
        shape: Channels, height and width of an image.
        bits: Of each element: 8 after quantisation to integers.

    Raises:
        InputError: If the bits are not 4, 8, 16 or 32.

    Example:
        >>> chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> activation_memory(chain, (3, 16, 16), bits=8) == (8 + 4) * 16 * 16
        True
    """
    return footprint(network, shape, bits).activation_memory


def flash_size(network: nn.Module, shape: Sequence[int], bits: int = 32) -> int:
    """Return the bytes of the parameters and buffers that inference needs.

    Those are all that a forward pass reads. Weights have the bits that are asked for; what has one
    dimension (biases, scales, shifts) has 32. A batch normalisation is folded into the convolution
    or linear layer before it (or into those whose results are put together before it), if nothing
    else reads their results: of it remains a bias for each channel. Any other batch normalisation
    keeps a scale and a shift for each channel. The program, and the scales that quantisation adds,
    are not counted.

    Args:
        network: As in `activation_memory`.
        shape: Channels, height and width of an image; the size does not depend on height and width.
        bits: Of each weight: 8 after quantisation to integers.

    Raises:
        InputError: If the bits are not 4, 8, 16 or 32.

    Example:
        >>> block = nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16))
        >>> flash_size(block, (3, 8, 8), bits=8) == 16 * 3 * 9 + 4 * 16
        True
    """
    return footprint(network, shape, bits).flash


@dataclass(frozen=True)
class Footprint:
    """What a network needs.

    Attributes:
        activation_memory: See `activation_memory`.
        flash: See `flash_size`.
    """

    activation_memory: int
    flash: int


def footprint(network: nn.Module, shape: Sequence[int], bits: int = 32) -> Footprint:
    """Return both `activation_memory` and `flash_size`, whose arguments it takes, in one pass."""
    if bits not in BITS:
        raise InputError(f"bits must be one of {', '.join(map(str, BITS))}; got {bits}")
    record = _record(network, shape)
    return Footprint(_bytes(_peak(record), bits), _stored(record, bits))


@dataclass(frozen=True)
class _Step:
    """An operation.

    Attributes:
        name: Such as ``"convolution"``.
        reads: The values that it reads.
        makes: The values that it makes.
        weights: The keys of the parameters and buffers that it reads.
        channels: Of its first result.
        elementwise: Whether it may write over an operand.
        normalises: Whether it is a normalisation by stored statistics.
    """

    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    weights: tuple[int, ...]
    channels: int
    elementwise: bool
    normalises: bool


@dataclass
class _Record:
    """What a forward pass did.

    Attributes:
        stored: The parameters and buffers by their storage.
        steps: The operations in order.
        sizes: The number of elements of each value.
        image: The value that is the image.
        results: The values that the network returns.
    """

    stored: dict[int, Tensor]
    steps: list[_Step] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    image: int = 0
    results: tuple[int, ...] = ()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation; see `_Record`."""

    def __init__(self, record: _Record) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.record = record
        self._values: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no storage takes the place of one that was freed
        self._done: dict[Any, tuple[int, ...]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler is imported for nothing, which takes seconds

    def value(self, tensor: Tensor) -> int:
        """Return the value that a tensor is or views, a new one if it is not known."""
        storage, key = tensor.untyped_storage(), _key(tensor)
        if key not in self._values:
            self._kept.append(storage)
            self._values[key] = len(self.record.sizes)
            self.record.sizes.append(storage.nbytes() // tensor.element_size())
        return self._values[key]

    def _known(self, tensor: Tensor) -> bool:
        return _key(tensor) in self._values or _key(tensor) in self.record.stored

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operands = list(_tensors((args, kwargs)))
        weights = [key for t in operands if (key := _key(t)) in self.record.stored]
        reads = tuple(self.value(t) for t in operands if _key(t) not in self.record.stored)
        result = func(*args, **kwargs)
        fresh = [tensor for tensor in _tensors(result) if not self._known(tensor)]
        name = func.overloadpacket.__name__
        if func._schema.is_mutable:
            self._done.clear()
        signature = (func, self._signature((args, tuple(kwargs.items()))))
        reusable = reads and fresh and not name.startswith(_FRESH)
        reusable = reusable and torch.Tag.nondeterministic_seeded not in func.tags
        if reusable and signature in self._done:
            for tensor, value in zip(fresh, self._done[signature], strict=True):
                self._kept.append(tensor.untyped_storage())
                self._values[_key(tensor)] = value
            return result
        makes = tuple(map(self.value, fresh))
        if reusable:
            self._done[signature] = makes
        first = next(_tensors(result), None)
        channels = first.shape[1] if first is not None and first.dim() > 1 else 0
        given = dict(zip((each.name for each in func._schema.arguments), args, strict=False))
        normalises = bool(reads) and "batch_norm" in name and not given.get("training", False)
        elementwise = normalises or torch.Tag.pointwise in func.tags or name in _ELEMENTWISE
        if makes or func._schema.is_mutable:  # a view is read where it is used
            used = tuple(dict.fromkeys(weights))
            step = _Step(name, reads, makes, used, channels, elementwise, normalises)
            self.record.steps.append(step)
        return result

    def _signature(self, tree: Any) -> Any:
        """Return what equal operands and settings have in common, which can be hashed."""
        if isinstance(tree, list | tuple):
            return tuple(map(self._signature, tree))
        if not isinstance(tree, Tensor):
            return tree
        key = _key(tree)
        origin = ("weight", key) if key in self.record.stored else ("value", self._values[key])
        return (*origin, tree.shape, tree.stride(), tree.storage_offset(), tree.dtype)


def _record(network: nn.Module, shape: Sequence[int]) -> _Record:
    held = [*network.parameters(), *network.buffers()]
    record = _Record({_key(tensor): tensor for tensor in held})
    recorder = _Recorder(record)
    image = zeros(network, (1, *shape))
    record.image = recorder.value(image)
    with evaluating(network), recorder:
        result = network(image)
    record.results = tuple(recorder.value(tensor) for tensor in _tensors(result))
    return record


def _peak(record: _Record) -> int:
    """Return the elements of the largest set of tensors that is needed at once."""
    last = {value: i for i, step in enumerate(record.steps) for value in step.reads}
    last |= dict.fromkeys(record.results, len(record.steps))
    alive, peak = {record.image}, record.sizes[record.image]
    for i, step in enumerate(record.steps):
        # Of several results, such as a maximum and its place, those that nobody reads are not made.
        made = [value for j, value in enumerate(step.makes) if j == 0 or value in last]
        dying = {value for value in step.reads if last[value] == i}
        needed = sum(record.sizes[value] for value in alive.union(made))
        if step.elementwise and made:
            size = record.sizes[made[0]]
            needed -= size if size in {record.sizes[value] for value in dying} else 0
        peak = max(peak, needed)
        alive = (alive - dying) | {value for value in made if value in last}
    return peak


def _stored(record: _Record, bits: int) -> int:
    """Return the bytes of what is stored after folding."""
    readers = Counter(value for step in record.steps for value in set(step.reads))
    readers.update(record.results)
    uses = Counter(weight for step in record.steps for weight in set(step.weights))
    maker = {value: step for step in record.steps for value in step.makes[:1]}
    total, stored = 0, set[int]()
    for step in record.steps:
        if not step.normalises:
            stored.update(step.weights)
            continue
        layers = _before(step.reads[0], maker, readers) or []
        alone = all(uses[weight] == 1 for layer in layers for weight in layer.weights)
        if not alone or sum(layer.channels for layer in layers) != step.channels:
            total += 2 * _bytes(step.channels, _WIDE)
            continue
        # What has a bias keeps it.
        bare = [layer for layer in layers if len(layer.weights) == 1]
        total += sum(_bytes(layer.channels, _WIDE) for layer in bare)
    for key in stored:
        tensor = record.stored[key]
        total += _bytes(tensor.numel(), bits if tensor.dim() > 1 else _WIDE)
    return total


def _before(value: int, maker: dict[int, _Step], readers: Counter[int]) -> list[_Step] | None:
    """Return the layers with weights that a normalisation of a value can be folded into."""
    step = maker.get(value)
    if step is None or readers[value] > 1:
        return None
    if step.name in _WEIGHTED and step.weights:
        return [step]
    if step.name != "cat":
        return None
    parts = [_before(part, maker, readers) for part in step.reads]
    return None if None in parts else [each for part in parts if part for each in part]


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple | dict):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors(part)


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bytes(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)
