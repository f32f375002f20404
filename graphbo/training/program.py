"""Several networks as one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from graphbo.errors import InputError
from graphbo.training.gather import Addition, Gather, Gradients
from graphbo.training.graph import IMAGES, SUM, Shape, trace
from graphbo.training.schedule import Group, schedule
from graphbo.training.steps import STEPS, Step, layout, rearranged

Watch = Callable[[Group, Tensor], None]


class Program:
    """Runs several networks, each on images of its own, as one.

    The networks are written down as operations (`trace`); those that differ in their weights only
    are stacked and run together (`schedule`), a convolution of several networks as one grouped
    convolution. What each network computes is what it computes alone, up to rounding.

    Args:
        networks: Networks that map images ``n x c x h x w`` to logits ``n x classes``, made of
            convolutions, batch norms, ReLUs, poolings, linear layers, sums and concatenations.
            Their weights are copied.
        shape: ``(c, h, w)`` of the images.
        device: Where to run.
        dtype: The type of the weights.

    Attributes:
        operations: Those of each network.
        weights: All parameters in one flat tensor.
        gradients: Their gradients, after `backward`.
        buffers: The running statistics of all norms in another flat tensor.

    Raises:
        UntraceableError: If a network has anything else.
        InputError: If they have different numbers of classes.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        shape: Shape,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.operations = [trace(network, shape) for network in networks]
        self.groups = schedule(self.operations)
        if len(self.groups[-1].members) < len(networks):
            raise InputError("the networks of a population must have the same number of classes")
        sizes = [len(group.members) for group in self.groups]
        self._steps: list[Step | None] = []
        self._gathers: list[list[Gather | Addition]] = []
        for group in self.groups:
            make = STEPS.get(group.kind)
            self._steps.append(None if make is None else make(group))
            self._gathers.append(_gathers(group, sizes, self.device))
        self._lay_out()
        self._passes = 0
        self._states: list[dict[str, Tensor]] = [{} for _ in networks]
        self._passes_before = [0 for _ in networks]  # those when the state was loaded
        for member, network in enumerate(networks):
            self.load(member, network.state_dict())

    def _lay_out(self) -> None:
        """Put all parameters into one tensor, and the buffers into another."""
        shapes: dict[str, list[tuple[Step, tuple[int, str], Shape]]] = {"p": [], "b": []}
        for step in self._steps:
            if step is not None:
                for kind, found in (("p", step.parameters), ("b", step.buffers)):
                    shapes[kind] += [(step, key, (step.n, *shape)) for key, shape in found.items()]

        def size(kind: str) -> int:
            return sum(torch.Size(shape).numel() for _, _, shape in shapes[kind])

        self.weights = torch.zeros(size("p"), device=self.device, dtype=self.dtype)
        self.gradients = torch.zeros_like(self.weights)
        self.buffers = torch.zeros(size("b"), device=self.device, dtype=self.dtype)
        self._names: list[dict[str, tuple[bool, int, Shape]]] = []
        networks = len(self.groups[0].members)
        self._names = [{} for _ in range(networks)]
        for kind, flat in (("p", self.weights), ("b", self.buffers)):
            offset = 0
            for step, key, shape in shapes[kind]:
                length = torch.Size(shape).numel()
                step.weights[key] = flat[offset : offset + length].view(shape)
                if kind == "p":
                    step.gradients[key] = self.gradients[offset : offset + length].view(shape)
                each = length // step.n
                members = zip(step.group.members, step.group.modules, strict=True)
                for slot, (member, modules) in enumerate(members):
                    name = f"{modules[key[0]]}.{key[1]}"
                    start = offset + slot * each
                    self._names[member][name] = (kind == "p", start, shape[1:])
                offset += length

    # States ---------------------------------------------------------------------------------

    def views(self, member: int, flat: Tensor) -> dict[str, Tensor]:
        """Return the parts of a tensor laid out as `weights` that belong to a network, by name."""
        return {
            name: flat[start : start + torch.Size(shape).numel()].view(shape)
            for name, (is_parameter, start, shape) in self._names[member].items()
            if is_parameter
        }

    def offset(self, member: int, name: str) -> int:
        """Return where a parameter of a network begins in `weights`, or a buffer in `buffers`."""
        return self._names[member][name][1]

    def count_pass(self, passes: int = 1) -> None:
        """Count forward passes in training that were made without this program."""
        self._passes += passes

    def load(self, member: int, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a network from a state dict."""
        parts = dict(self._tensors(member))
        for name, tensor in parts.items():
            tensor.copy_(state[name])
        # The others are copied: whoever gave the state may go on training.
        self._states[member] = {
            name: tensor if name in parts else tensor.detach().clone()
            for name, tensor in state.items()
        }
        self._passes_before[member] = self._passes

    def state(self, member: int) -> dict[str, Tensor]:
        """Return a network's state dict, on the CPU.

        What has no influence on the logits is as it was loaded.
        """
        parts = dict(self._tensors(member))
        state = {
            name: parts.get(name, tensor).detach().to("cpu", copy=True)
            for name, tensor in self._states[member].items()
        }
        for name in parts:
            count = f"{name.rpartition('.')[0]}.num_batches_tracked"
            if name.endswith("running_mean") and count in state:
                state[count] += self._passes - self._passes_before[member]
        return state

    def _tensors(self, member: int) -> Iterator[tuple[str, Tensor]]:
        for name, (is_parameter, start, shape) in self._names[member].items():
            flat = self.weights if is_parameter else self.buffers
            yield name, flat[start : start + torch.Size(shape).numel()].view(shape)

    # Running --------------------------------------------------------------------------------

    def forward(
        self, images: Tensor, *, training: bool = False, watch: Watch | None = None
    ) -> Tensor:
        """Return the logits of all networks.

        Args:
            images: ``batch x networks x c x h x w``.
            training: Whether batch norm takes the statistics of the batch, and what `backward`
                needs is kept.
            watch: Called with each group and its result, ``batch x h x w x members x c`` or
                ``batch x members x features``.

        Returns:
            ``batch x networks x classes``.
        """
        results: list[Tensor] = []
        for group, step, gathers in zip(self.groups, self._steps, self._gathers, strict=True):
            if group.kind == IMAGES:
                result = rearranged(images).contiguous()
            elif group.kind == "zeros":
                shape = layout(len(images), len(group.members), group.shape)
                result = images.new_zeros(shape)
            elif step is not None:
                assert isinstance(gathers[0], Gather)
                result = step.forward(gathers[0].read(results), training)
            elif group.kind == SUM:
                result = _sum(gathers, results)
            else:
                parts = [gather.read(results) for gather in gathers]  # type: ignore[call-arg]
                result = torch.cat(parts, -1)  # type: ignore[arg-type]
            if watch is not None:
                watch(group, result)
            results.append(result)
        self._results = results if training else []
        self._passes += training
        return results[-1]

    def backward(self, gradient: Tensor, *, images: bool = False) -> Tensor | None:
        """Write the gradients of all parameters to `gradients`, after a forward pass in training.

        Args:
            gradient: That of the logits, ``batch x networks x classes``. What it is for one network
                has no effect on the gradients of another.
            images: Whether to return the gradient of the images.

        Returns:
            ``batch x networks x c x h x w`` if asked for and they reach the logits, else None.
        """
        found = Gradients(self._results)
        last = len(self.groups) - 1
        found.add(last, None, gradient, shared=True)
        for i in range(last, 0, -1):
            group, step, gathers = self.groups[i], self._steps[i], self._gathers[i]
            of_result = found.take(i)
            if of_result is None or group.kind == "zeros":
                continue
            if step is not None:
                gather = gathers[0]
                assert isinstance(gather, Gather)
                needed = images or gather.reads != {0}
                before = step.backward(of_result, needed)
                if needed and before is not None:
                    gather.write(before, found, shared=not step.fresh)
            elif group.kind == SUM:
                _spread(gathers, of_result, found)
            else:
                parts = torch.split(of_result, list(group.settings), -1)
                for gather, part in zip(gathers, parts, strict=True):
                    assert isinstance(gather, Gather)
                    gather.write(part, found, shared=True)
            self._results[i] = self._results[i].new_empty(0)  # its memory is free for others
        self._results = []
        by_image = found.take(0) if images else None
        return None if by_image is None else rearranged(by_image)


def _gathers(group: Group, sizes: Sequence[int], device: torch.device) -> list[Gather | Addition]:
    if group.kind in (IMAGES, "zeros"):
        return []
    terms = max(len(sources) for sources in group.sources)
    first = Gather([sources[0] for sources in group.sources], sizes, device)
    if group.kind != SUM:
        others = [[sources[i] for sources in group.sources] for i in range(1, terms)]
        return [first, *(Gather(other, sizes, device) for other in others)]
    gathers: list[Gather | Addition] = [first]
    for i in range(1, terms):
        slots = [slot for slot, sources in enumerate(group.sources) if len(sources) > i]
        chosen = [group.sources[slot][i] for slot in slots]
        gathers.append(Addition(chosen, slots, sizes, len(group.members), device))
    return gathers


def _sum(gathers: Sequence[Gather | Addition], results: Sequence[Tensor]) -> Tensor:
    first, *others = gathers
    assert isinstance(first, Gather)
    total = first.read(results)
    total = total.clone(memory_format=torch.contiguous_format) if first.borrows else total
    for other in others:
        assert isinstance(other, Addition)
        other.read(results, total)
    return total


def _spread(gathers: Sequence[Gather | Addition], gradient: Tensor, gradients: Gradients) -> None:
    for gather in gathers:
        if isinstance(gather, Gather):
            gather.write(gradient, gradients, shared=True)
        else:
            gather.write(gradient, gradients)
