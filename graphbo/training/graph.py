"""A network as a list of operations, so that equal ones of several networks can run as one."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

Shape = tuple[int, ...]
Settings = tuple[Any, ...]

_TRACING = threading.Lock()  # tracing replaces methods of all modules while it lasts
IMAGES = "images"
SUM = "sum"
_FREE = {"relu", "average_pool", "max_pool", "mean", "flatten", "narrow", SUM, "cat"}


class UntraceableError(ValueError):
    """A network does something that a population cannot do for several networks at once."""


@dataclass(frozen=True)
class Operation:
    """One operation of a network.

    Operations of one `kind`, the same `settings` and the same shapes differ in their weights only.

    Attributes:
        kind: What it does: ``"convolution"``, ``"relu"``, ``"sum"``, ...
        settings: Whatever else decides how it is computed.
        inputs: The positions of earlier operations that it reads.
        shape: The shape of its result for one image.
        modules: The names of the modules whose weights it uses, in a fixed order of roles.
        repeats: How many equal operations of the network it stands for.
    """

    kind: str
    settings: Settings
    inputs: tuple[int, ...]
    shape: Shape
    modules: tuple[str, ...] = ()
    repeats: int = 1


def trace(network: nn.Module, shape: Shape) -> list[Operation]:
    """Write a network down as operations; the first is the images, the last gives the logits.

    Sums are flattened, a convolution takes up the batch norm and ReLU that follow it and that
    nothing else reads, what is computed twice from the same input is computed once, and what does
    not reach the logits is left out.

    Args:
        network: Maps images ``n x c x h x w`` to logits ``n x classes``.
        shape: ``(c, h, w)``.

    Raises:
        UntraceableError: If it has a module or function that is none of those known, its operations
            depend on the images, or it shares or freezes weights.
    """
    with _TRACING:
        reader = _Reader(network, shape)
        try:
            operations = reader.operations()
        # An unforeseen call, or images that are too small for a pooling.
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError) as error:
            message = f"the network calls something in an unknown way: {error}"
            raise UntraceableError(message) from error
    return _without_unused(_fused(operations))


def _the_graph(network: nn.Module) -> fx.Graph:
    """Return the symbolic trace of a network, which must be the same in training and evaluation.

    Raises:
        UntraceableError: If it is not, or the network has hooks.
    """
    if _has_hooks(network):
        raise UntraceableError("a population does not call the hooks of a network")
    modes = {module: module.training for module in network.modules()}
    graphs = []
    try:
        with torch.random.fork_rng([]):  # a network may draw what it leaves out
            for seed, mode in enumerate((False, True)):
                torch.default_generator.manual_seed(seed)
                network.train(mode)
                if any(module.training != mode for module in network.modules()):
                    raise UntraceableError("a part of the network does not change to training")
                graphs.append(fx.Tracer().trace(network))
    finally:
        for module, mode in modes.items():
            module.training = mode
    if str(graphs[0]) != str(graphs[1]):
        raise UntraceableError("the network does not always compute the same")
    return graphs[1]


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


class _Reader:
    """Reads the operations off the symbolic trace of a network."""

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        self._modules = dict(network.named_modules())
        try:
            self._graph = _the_graph(network)
        except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError) as error:
            raise UntraceableError(f"the network cannot be traced: {error}") from error
        self._found: list[Operation] = [Operation(IMAGES, (), (), shape)]
        self._known: dict[tuple[str, Settings, tuple[int, ...]], int] = {}
        self._values: dict[fx.Node, int] = {}
        self._trained: set[int] = set()

    def operations(self) -> list[Operation]:
        for node in self._graph.nodes:
            if node.op == "placeholder":
                self._values[node] = 0
            elif node.op == "output":
                last = self._values[node.args[0]]
                return [*self._found, Operation("output", (), (last,), self._found[last].shape)]
            elif node.op == "call_module":
                self._module(node)
            else:
                self._function(node)
        raise UntraceableError("the network returns nothing")

    def _add(
        self,
        node: fx.Node,
        kind: str,
        settings: Settings,
        inputs: Sequence[int],
        shape: Shape,
        module: str = "",
    ) -> None:
        key = (kind, settings, tuple(inputs))
        if kind in _FREE and key in self._known:
            same = self._values[node] = self._known[key]
            found = self._found[same]
            self._found[same] = replace(found, repeats=found.repeats + 1)
            return
        self._known[key] = self._values[node] = len(self._found)
        names = (module,) if module else ()
        self._found.append(Operation(kind, settings, tuple(inputs), shape, names))

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self._modules[name]
        if len(node.args) != 1 or node.kwargs:
            raise UntraceableError(f"a population gives the module {name!r} one tensor only")
        source = self._values[node.args[0]]  # type: ignore[index]
        shape = self._found[source].shape
        reader = next((r for kind, r in _MODULES.items() if type(module) is kind), None)
        if reader is None:
            raise UntraceableError(
                f"a population cannot train the module {name!r}, a {type(module).__name__}"
            )
        self._check(name, module, source)
        found = reader(module, shape)
        if found is None:
            self._values[node] = source
        else:
            kind, settings, result = found
            has_weights = next(module.parameters(), None) is not None or kind == "batch_norm"
            self._add(node, kind, settings, [source], result, name if has_weights else "")

    def _check(self, name: str, module: nn.Module, source: int) -> None:
        """Refuse a module that does not do what its type and its weights say."""
        weights = list(module.parameters())
        if not all(weight.requires_grad for weight in weights):
            raise UntraceableError(f"a population trains all weights; {name!r} has frozen ones")
        if not self._trained.isdisjoint(map(id, weights)):
            raise UntraceableError(f"the module {name!r} has weights that are used twice")
        self._trained.update(map(id, weights))
        if _has_hooks(module):
            raise UntraceableError(f"a population does not call the hooks of the module {name!r}")
        if getattr(module, "inplace", False):
            same = [node for node, value in self._values.items() if value == source]
            readers = {user for node in same for user in node.users} - set(same)
            if len(readers) > 1 or self._found[source].kind in ("images", "flatten", "narrow"):
                raise UntraceableError(f"the module {name!r} changes in place what others read")

    def _function(self, node: fx.Node) -> None:
        arguments = node.args
        target: Any = node.target
        if node.op == "get_attr" or set(node.kwargs) - {"dim", "inplace"}:
            raise UntraceableError(f"a population cannot compute {node.format_node()}")
        if node.kwargs.get("inplace"):
            raise UntraceableError("a population computes functions in place in modules only")
        sources = [self._values[a] for a in arguments if isinstance(a, fx.Node)]
        shapes = [self._found[source].shape for source in sources]
        if target in (operator.add, torch.add, "add") and len(sources) == 2:
            if shapes[0] != shapes[1]:
                raise UntraceableError("a population cannot add tensors of different shapes")
            terms = [term for source in sources for term in self._terms(source)]
            self._add(node, SUM, (), terms, shapes[0])
        elif target is torch.cat:
            joined: Any = arguments[0]
            parts = [self._values[part] for part in joined]
            if (arguments[1] if len(arguments) > 1 else node.kwargs.get("dim", 0)) != 1:
                raise UntraceableError("a population can concatenate channels only")
            channels = [self._found[part].shape for part in parts]
            whole = (sum(shape[0] for shape in channels), *channels[0][1:])
            self._add(node, "cat", tuple(shape[0] for shape in channels), parts, whole)
        elif target in (torch.relu, nn.functional.relu, "relu"):
            self._add(node, "relu", (), sources, shapes[0])
        elif target in (torch.flatten, "flatten") and arguments[1:] == (1,):
            self._add(node, "flatten", (), sources, (_product(shapes[0]),))
        elif target is torch.zeros_like:
            self._add(node, "zeros", (), (), shapes[0])
        elif target is operator.getitem and _channels(arguments[1]) is not None:
            start, stop, _ = _channels(arguments[1]).indices(shapes[0][0])  # type: ignore[union-attr]
            if (start, stop) == (0, shapes[0][0]):
                self._values[node] = sources[0]
            else:
                whole = (stop - start, *shapes[0][1:])
                self._add(node, "narrow", (start, stop - start), sources, whole)
        else:
            raise UntraceableError(f"a population cannot compute {node.format_node()}")

    def _terms(self, source: int) -> tuple[int, ...]:
        found = self._found[source]
        return found.inputs if found.kind == SUM else (source,)


def _channels(key: object) -> slice | None:
    """Return the slice of channels that an index takes, None if it takes anything else."""
    if isinstance(key, tuple) and len(key) == 2 and key[0] == slice(None):
        part = key[1]
        if isinstance(part, slice) and part.step is None:
            return part
    return None


Found = tuple[str, Settings, Shape]


def _convolution(module: nn.Conv2d, shape: Shape) -> Found:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UntraceableError("a population pads convolutions with a given number of zeros only")
    sizes = tuple(
        (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for length, kernel, stride, padding, dilation in zip(
            shape[1:],
            module.kernel_size,
            module.stride,
            module.padding,
            module.dilation,
            strict=True,
        )
    )
    settings = (
        *(module.in_channels, module.out_channels, module.kernel_size, module.stride),
        *(module.padding, module.dilation, module.groups, module.bias is not None),
    )
    return "convolution", settings, (module.out_channels, *sizes)


def _batch_norm(module: nn.BatchNorm2d, shape: Shape) -> Found:
    if not (module.affine and module.track_running_stats and module.momentum is not None):
        raise UntraceableError("a population needs batch norm with scales and running statistics")
    return "batch_norm", (module.eps, module.momentum), shape


def _pool(module: nn.AvgPool2d | nn.MaxPool2d, shape: Shape) -> Found:
    shape_of = module(torch.empty(1, *shape, device="meta")).shape
    stride = module.stride or module.kernel_size
    settings: Settings = (module.kernel_size, stride, module.padding, module.ceil_mode)
    if isinstance(module, nn.AvgPool2d):
        return "average_pool", (*settings, module.count_include_pad), tuple(shape_of[1:])
    if module.dilation not in (1, (1, 1)) or module.return_indices:
        raise UntraceableError("a population knows max pooling without dilation only")
    return "max_pool", settings, tuple(shape_of[1:])


def _global_pool(module: nn.AdaptiveAvgPool2d, shape: Shape) -> Found:
    if module.output_size not in (1, (1, 1)):
        raise UntraceableError("a population knows adaptive pooling to one pixel only")
    return "mean", (), (shape[0], 1, 1)


def _flatten(module: nn.Flatten, shape: Shape) -> Found:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise UntraceableError("a population flattens all but the images only")
    return "flatten", (), (_product(shape),)


def _linear(module: nn.Linear, shape: Shape) -> Found:
    return "linear", (module.bias is not None,), (module.out_features,)


_MODULES: dict[type[nn.Module], Callable[[Any, Shape], Found | None]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda module, shape: ("relu", (), shape),
    nn.AvgPool2d: _pool,
    nn.MaxPool2d: _pool,
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.Flatten: _flatten,
    nn.Linear: _linear,
    nn.Identity: lambda module, shape: None,
}


def _product(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _fused(operations: list[Operation]) -> list[Operation]:
    """Let convolutions take up the batch norm, and then the ReLU, that alone reads them."""
    readers = [0] * len(operations)
    for operation in operations:
        for source in operation.inputs:
            readers[source] += 1
    result: list[Operation] = []
    position: list[int] = []
    for operation in operations:
        inputs = tuple(position[source] for source in operation.inputs)
        before = result[inputs[0]] if inputs else None
        alone = before is not None and readers[operation.inputs[0]] == 1
        if alone and before is not None and before.kind == "convolution":
            norm = before.settings[-1] if isinstance(before.settings[-1], tuple) else None
            if operation.kind == "batch_norm" and norm is None:
                settings = (*before.settings, (*operation.settings, False))
                modules = before.modules + operation.modules
                result[inputs[0]] = replace(before, settings=settings, modules=modules)
                position.append(inputs[0])
                continue
            if operation.kind == "relu" and norm is not None and not norm[-1]:
                settings = (*before.settings[:-1], (*norm[:-1], True))
                repeats = operation.repeats
                result[inputs[0]] = replace(before, settings=settings, repeats=repeats)
                position.append(inputs[0])
                continue
        position.append(len(result))
        result.append(replace(operation, inputs=inputs))
    return result


def _without_unused(operations: list[Operation]) -> list[Operation]:
    used = {0, len(operations) - 1}
    for i in reversed(range(len(operations))):
        if i in used:
            used.update(operations[i].inputs)
    kept = sorted(used)
    position = {old: new for new, old in enumerate(kept)}
    return [
        replace(operations[old], inputs=tuple(position[i] for i in operations[old].inputs))
        for old in kept
    ]
