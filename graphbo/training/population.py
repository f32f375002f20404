"""Training many different networks at once."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from graphbo.errors import InputError
from graphbo.training.augmentation import apply, augment, draw
from graphbo.training.data import Data, Pair, check_parts, image_shape, materialise, shuffled
from graphbo.training.descent import Descent, descent
from graphbo.training.graph import Shape, trace
from graphbo.training.isolation import isolated
from graphbo.training.native import NativeNetwork, available, supported
from graphbo.training.program import Program
from graphbo.training.recipe import Recipe, generators
from graphbo.training.trainer import State, Training, choose_device, choose_precision

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
_EVALUATION_BATCH = 64  # for each network; larger ones fall out of the caches of a CPU
_CACHE_BYTES = 4 * 2**20  # what one operation of all networks may write, to stay in the caches
_NATIVE_BATCH = 32  # images evaluated at once, at least
_BACKENDS = ("auto", "torch", "native")
_LEAVING = 4  # a program is made anew once one in so many of its networks has left


@dataclass(frozen=True)
class Member:
    """A network to train.

    Attributes:
        network: Maps images to logits. It is left as it is; the trained weights are in the state.
        seed: The seed of the order of its images and of their augmentation.
        state: Where to go on from, as `Training.state` says; by default the beginning.
        recipe: How to train it; by default as the trainer does. It may differ from the trainer's in
            all but epochs, batch size and label smoothing.
    """

    network: nn.Module
    seed: int
    state: State | None = None
    recipe: Recipe | None = None


OnMemberEpoch = Callable[[int, int, Sequence[float], Callable[[], State]], bool | None]
"""Called after each epoch of each member with its number, that of the epoch from 1, its validation
errors so far, and a function that returns its state."""


def useful_size(network: nn.Module, shape: Shape, batch_size: int, device: torch.device) -> float:
    """Return how many networks like this one to train at once, if the memory suffices.

    On a GPU the more the better. A CPU is the faster for several small networks, but slower again
    once what their operations write falls out of its caches.

    Args:
        network: One of the networks, the largest of them.
        shape: ``(c, h, w)`` of the images.
        batch_size: Images in a step.
        device: Where to train.
    """
    if device.type != "cpu":
        return math.inf
    largest = max(math.prod(operation.shape) for operation in trace(network, shape))
    return max(1, round(_CACHE_BYTES / (4 * largest * batch_size)))


def in_common(recipe: Recipe) -> tuple[int, int, float]:
    """Return what networks that train together must agree in."""
    return recipe.epochs, recipe.batch_size, recipe.label_smoothing


class PopulationTrainer:
    """Trains different networks together, each as if it were alone.

    Each network has its own weights, its own order of the images and its own augmentation, all from
    its own seed; they run as one `Program`. A network's result is that of `train` with the same
    seed, up to rounding, whoever its neighbours are; one that diverges fails by itself.

    Args:
        recipe: How to train.
        train: The training data; a dataset is read into memory, once.
        validation: Data to report the validation error on.
        test: Data to report the test error on, if any.
        size: How many networks to train as one program. It is halved when the memory does not
            suffice.
        device: Where to train; by default the GPU if there is one.
        threads: CPU threads; by default as many as torch is set to use. As many populations run
            side by side.
        precision: As in `train`; ``"bfloat16"`` keeps the weights in float32.
        backend: ``"torch"`` runs all networks of a population as one `Program`; ``"native"`` runs
            one after the other in compiled code (`NativeNetwork`), which is faster on a CPU.
            ``"auto"`` takes the latter where it can: on a CPU with a C compiler, in full precision,
            for networks without grouped convolutions.

    Raises:
        InputError: If data, size, precision or backend cannot be used.

    Example:
        >>> members = [Member(build(a), seed) for seed, a in enumerate(architectures)]
        >>> trainer = PopulationTrainer(Recipe(epochs=5), (x, y), (x_val, y_val))
        >>> [training.validation_error[-1] for training in trainer.train(members)]
        [12.5, 31.0, ...]
    """

    def __init__(
        self,
        recipe: Recipe,
        train: Data,
        validation: Data,
        test: Data | None = None,
        *,
        size: int = 16,
        device: str | torch.device | None = None,
        threads: int | None = None,
        precision: str = "auto",
        backend: str = "auto",
    ) -> None:
        check_parts(train, validation, test)
        if size < 1:
            raise InputError(f"the size of a population must be at least 1; got {size}")
        self.recipe = recipe
        self.size = size
        self.device = choose_device(device)
        self.threads = threads
        self.precision = choose_precision(precision, self.device)
        self.dtype = _DTYPES[self.precision]
        self.backend = self._chosen(backend)
        self._shape = image_shape(train)
        self._train = self._moved(train)
        self._validation = self._moved(validation)
        self._test = None if test is None else self._moved(test)

    def train(
        self,
        members: Sequence[Member],
        epochs: int | None = None,
        on_epoch: OnMemberEpoch | None = None,
    ) -> Iterator[tuple[int, Training | Exception]]:
        """Train networks, as many at once as fit.

        Args:
            members: The networks; their states, if any, must all be after the same epoch.
            epochs: How many epochs in all, up to those of the recipe; by default all.
            on_epoch: May stop the training of a member by returning True. It is called for one
                member at a time, in threads that train: it must not itself train.

        Yields:
            The number of a member and its training, or the `FloatingPointError` or the error of
            memory by which it failed: once for each, those that end together in order. The seconds
            of a training are its even share of those of all networks that ran with it.

        Raises:
            InputError: If the states are after different epochs or beyond those asked for, or the
                recipes differ in what they must agree in.
            UntraceableError: If a network has parts that only training alone can handle.
        """
        epochs = self.recipe.epochs if epochs is None else epochs
        for recipe in (member.recipe for member in members if member.recipe is not None):
            if in_common(recipe) != in_common(self.recipe):
                raise InputError(
                    "members train together whose epochs, batch size and label smoothing are "
                    f"{in_common(self.recipe)}; got {in_common(recipe)}"
                )
        done = {0 if member.state is None else int(member.state["epoch"]) for member in members}
        if len(done) > 1:
            raise InputError(f"members train together from one epoch on; got {sorted(done)}")
        if not max(1, *done, 0) <= epochs <= self.recipe.epochs or epochs != int(epochs):
            raise InputError(
                f"the epochs must be a whole number from {max(1, *done, 0)} to "
                f"{self.recipe.epochs}; got {epochs}"
            )
        waiting = list(range(len(members)))
        while waiting:
            size = min(self.size, -(-len(waiting) // self._lanes))
            chunks = [waiting[i : i + size] for i in range(0, len(waiting), size)][: self._lanes]
            waiting = waiting[sum(map(len, chunks)) :]
            again = []
            for chunk, found in zip(
                chunks, self._side_by_side(members, chunks, int(epochs), on_epoch), strict=True
            ):
                if not isinstance(found, Exception):
                    yield from found
                elif len(chunk) == 1:
                    yield chunk[0], found
                else:
                    again += chunk
                    self.size = (size + 1) // 2
            if again:
                waiting = again + waiting
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def _side_by_side(
        self,
        members: Sequence[Member],
        chunks: Sequence[Sequence[int]],
        epochs: int,
        on_epoch: OnMemberEpoch | None,
    ) -> list[list[tuple[int, Training | Exception]] | Exception]:
        """Train one population for each chunk; return what became of it, or its error of memory.

        On a CPU, populations on one thread each get more done than one on all threads.
        """
        lock, stop = threading.Lock(), threading.Event()

        def careful(*arguments: Any) -> bool:
            with lock:  # a caller need not care about threads
                return on_epoch is not None and bool(on_epoch(*arguments))

        def run(chunk: Sequence[int]) -> list[tuple[int, Training | Exception]] | Exception:
            try:
                # Whole chunks, so that nothing is yielded twice when the memory does not suffice.
                return list(self._together(members, chunk, epochs, careful, stop))
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold the tensors
                return error

        threads = self.threads if len(chunks) == 1 else 1
        with isolated(members[chunks[0][0]].seed, self.device, threads):
            if len(chunks) == 1:
                return [run(chunks[0])]
            with ThreadPoolExecutor(len(chunks)) as pool:
                try:
                    return list(pool.map(run, chunks))
                except BaseException:
                    stop.set()  # the pool waits for its threads
                    raise

    def _together(
        self,
        members: Sequence[Member],
        chosen: Sequence[int],
        epochs: int,
        on_epoch: OnMemberEpoch,
        stop: threading.Event,
    ) -> Iterator[tuple[int, Training | Exception]]:
        make = _NativePopulation if self.backend == "native" else _Population
        population = make(self, [members[i] for i in chosen], stop)
        left: set[int] = set()
        for epoch in range(population.done + 1, epochs + 1):
            failures = population.epoch(epoch)
            for k, i in enumerate(chosen):
                if k in left:
                    continue
                if k in failures:
                    left.add(k)
                    yield i, FloatingPointError(failures[k])
                    continue
                curve = population.validation_error[k]
                stopped = on_epoch(i, epoch, tuple(curve), partial(population.state, k))
                if stopped or epoch == epochs:
                    left.add(k)
                    yield i, population.training(k, bool(stopped) and epoch < epochs)
            population.leave(left)
            if len(left) == len(chosen):
                return
        if population.done >= epochs:  # nothing was left to do
            for k, i in enumerate(chosen):
                if k not in left:
                    yield i, population.training(k, False)

    def _chosen(self, backend: str) -> str:
        if backend not in _BACKENDS:
            raise InputError(f"there is no backend {backend!r}; choose from {list(_BACKENDS)}")
        can = self.precision != "bfloat16" and self.device.type == "cpu" and available()
        if backend == "native" and not can:
            raise InputError(
                "the backend 'native' needs a CPU, float32 or float64, and a C compiler; here "
                f"the device is {self.device.type}, the precision {self.precision}, and a compiler "
                f"is {'there' if available() else 'missing'}"
            )
        return "native" if can and backend != "torch" else "torch"

    @property
    def _lanes(self) -> int:
        """How many populations run side by side."""
        return 1 if self.device.type != "cpu" else self.threads or torch.get_num_threads()

    def _moved(self, data: Data) -> Pair:
        images, classes = materialise(data)
        dtype = torch.bfloat16 if self.precision == "bfloat16" else self.dtype
        # Compiled code reads the classes where they lie, one after the other.
        return images.to(self.device, dtype), classes.to(self.device, torch.int64).contiguous()


class _Population:
    """Networks in training, numbered from 0; some of them may have left."""

    def __init__(
        self, trainer: PopulationTrainer, members: Sequence[Member], stop: threading.Event
    ) -> None:
        self.trainer, self.recipe = trainer, trainer.recipe
        self.members = members
        self.recipes = [member.recipe or trainer.recipe for member in members]
        self.stop = stop
        self.began = time.perf_counter()
        self.order, self.augmentation = [], []
        self.train_loss: list[list[float]] = [[] for _ in members]
        self.validation_error: list[list[float]] = [[] for _ in members]
        self.test_error: list[list[float]] = [[] for _ in members]
        self.done = 0
        self.slots = list(range(len(members)))
        self.program = self._program()
        self.momentum = torch.zeros_like(self.program.weights)
        self.descent = self._descent()
        for k, member in enumerate(members):
            order, augmentation = generators(member.seed)
            self.order.append(order)
            self.augmentation.append(augmentation)
            if member.state is not None:
                self._resume(k, member.state)

    def _program(self) -> Program:
        networks = [self.members[k].network for k in self.slots]
        trainer = self.trainer
        return Program(networks, trainer._shape, trainer.device, trainer.dtype)

    def _descent(self) -> Descent:
        recipes = [self.recipes[k] for k in self.slots]
        return descent(recipes, self.program)

    def _resume(self, k: int, state: State) -> None:
        try:
            self.program.load(k, state["network"])
        except (KeyError, RuntimeError) as error:
            raise InputError(f"the state is that of another network: {error}") from error
        for name, buffer in self.program.views(k, self.momentum).items():
            if name in state["momentum"]:
                buffer.copy_(state["momentum"][name])
        self.order[k].set_state(state["order"])
        self.augmentation[k].set_state(state["augmentation"])
        self.train_loss[k] = list(state["train_loss"])
        self.validation_error[k] = list(state["validation_error"])
        self.test_error[k] = list(state["test_error"])
        self.done = int(state["epoch"])

    def leave(self, left: set[int]) -> None:
        """Go on without some networks, once it is worth making a new program."""
        staying = [k for k in self.slots if k not in left]
        leaving = len(self.slots) - len(staying)
        if not staying or leaving * _LEAVING < len(self.slots):
            return
        old, momentum = self.program, self.momentum
        before = {k: slot for slot, k in enumerate(self.slots)}
        self.slots = staying
        self.program = self._program()
        self.momentum = torch.zeros_like(self.program.weights)
        for slot, k in enumerate(staying):
            self.program.load(slot, old.state(before[k]))
            views = old.views(before[k], momentum)
            for name, buffer in self.program.views(slot, self.momentum).items():
                buffer.copy_(views[name])
        self.descent = self._descent()

    def epoch(self, epoch: int) -> dict[int, str]:
        """Train for one epoch and evaluate; return why networks failed, by their numbers."""
        losses, shown = self._pass(epoch)
        self.done = epoch
        means = (losses / shown).tolist()
        validation, finite = self._error(self.trainer._validation)
        test = None if self.trainer._test is None else self._error(self.trainer._test)[0]
        failures = {}
        for slot, k in enumerate(self.slots):
            if not math.isfinite(means[slot]):
                failures[k] = (
                    f"the training loss is not finite in epoch {epoch} of {self.recipe.epochs}; "
                    f"a learning rate below {self.recipes[k].learning_rate} may help"
                )
            elif not finite[slot]:
                failures[k] = "the trained network answers with values not finite"
            self.train_loss[k].append(means[slot])
            self.validation_error[k].append(validation[slot])
            if test is not None:
                self.test_error[k].append(test[slot])
        return failures

    def _check(self) -> None:
        if self.stop.is_set():
            raise InterruptedError("another population of this training has failed")

    def _pass(self, epoch: int) -> tuple[Tensor, int]:
        """Train for one epoch; return the sums of the networks' losses, and of how many images."""
        images, classes = self.trainer._train
        n = len(classes)
        orders = [shuffled(n, self.recipe.batch_size, self.order[k]) for k in self.slots]
        losses = torch.zeros_like(self.momentum[: len(self.slots)])
        shown = 0
        for step, batch in enumerate(zip(*orders, strict=True)):
            self._check()
            chosen = torch.stack(batch, 1).to(images.device)  # batch x networks
            x = images[chosen.flatten()].view(*chosen.shape, *images.shape[1:])
            x = self._augmented(x)
            share = self.recipe.decay((epoch - 1) * self.recipe.steps(n) + step, n)
            losses += len(chosen) * self._step(x, classes[chosen], share)
            shown += len(chosen)
        return losses, shown

    def _augmented(self, x: Tensor) -> Tensor:
        if not any(self.recipes[k].augments for k in self.slots):
            return x
        batch, _, _, height, width = x.shape
        drawn = [
            draw(batch, height, width, self.recipes[k], self.augmentation[k]) for k in self.slots
        ]
        return apply(x, torch.stack(drawn, 1))

    def _step(self, x: Tensor, y: Tensor, share: float) -> Tensor:
        """Make a step of gradient descent; return the mean loss of each network."""
        with torch.no_grad():
            logits = self.program.forward(x, training=True).to(self.momentum.dtype)
        logits = logits.detach().requires_grad_()
        loss = cross_entropy(
            logits.flatten(0, 1),
            y.flatten(),
            label_smoothing=self.recipe.label_smoothing,
            reduction="none",
        )
        loss = loss.view(y.shape).mean(0)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        with torch.no_grad():
            self.program.backward(gradient.to(x.dtype))
            self.descent.step(self.program.weights, self.program.gradients, self.momentum, share)
        return loss.detach()

    @torch.no_grad()
    def _error(self, data: Pair) -> tuple[list[float], list[bool]]:
        """Return the error of each network in percent, and whether its logits are finite."""
        images, classes = data
        networks = len(self.slots)
        wrong = torch.zeros(networks, dtype=torch.long, device=images.device)
        finite = torch.ones(networks, dtype=torch.bool, device=images.device)
        for first in range(0, len(images), _EVALUATION_BATCH):
            x, y = (part[first : first + _EVALUATION_BATCH] for part in data)
            shared = x[:, None].expand(-1, networks, -1, -1, -1)
            logits = self.program.forward(shared)
            finite &= torch.isfinite(logits).all(2).all(0)
            wrong += (logits.argmax(2) != y[:, None]).sum(0)
        return [100 * w / len(classes) for w in wrong.tolist()], finite.tolist()

    def state(self, k: int) -> State:
        """Return where a network's training is, as `train` does."""
        slot = self.slots.index(k)
        momentum = self.program.views(slot, self.momentum) if self.recipes[k].momentum else {}
        return {
            "network": self.program.state(slot),
            "momentum": {name: b.to("cpu", copy=True) for name, b in momentum.items()},
            "epoch": self.done,
            "order": self.order[k].get_state(),
            "augmentation": self.augmentation[k].get_state(),
            "random": torch.Generator().manual_seed(self.members[k].seed).get_state(),
            "train_loss": list(self.train_loss[k]),
            "validation_error": list(self.validation_error[k]),
            "test_error": list(self.test_error[k]),
            "seconds": self._seconds(k),
        }

    def training(self, k: int, stopped: bool) -> Training:
        """Return what became of a network."""
        return Training(
            tuple(self.train_loss[k]),
            tuple(self.validation_error[k]),
            tuple(self.test_error[k]),
            self.state(k),
            self._seconds(k),
            stopped,
        )

    def _seconds(self, k: int) -> float:
        state = self.members[k].state
        earlier = 0.0 if state is None else float(state["seconds"])
        return earlier + (time.perf_counter() - self.began) / len(self.members)


class _NativePopulation(_Population):
    """Networks in training one after the other, each in compiled code, if all of them can be."""

    def _networks(self) -> Iterator[tuple[int, NativeNetwork]] | None:
        """Return each network that has not left and its number; None if some need torch.

        One at a time is made for its turn, so that one at a time takes memory.
        """
        program = self.program
        if not all(supported(o, program.device, program.dtype) for o in program.operations):
            return None
        batch = max(self.recipe.batch_size, _NATIVE_BATCH)
        return ((k, NativeNetwork(program, slot, batch)) for slot, k in enumerate(self.slots))

    @override
    def _pass(self, epoch: int) -> tuple[Tensor, int]:
        networks = self._networks()
        if networks is None:
            return super()._pass(epoch)
        n = len(self.trainer._train[1])
        first = (epoch - 1) * self.recipe.steps(n)
        losses, sizes = [], [0]
        for k, network in networks:
            self._check()
            steps = shuffled(n, self.recipe.batch_size, self.order[k])
            sizes = [len(step) for step in steps]
            recipe = self.recipes[k]
            rates = [recipe.rate(first + step, n) for step in range(len(steps))]
            shown = self._shown(k, steps)
            losses.append(network.train(self.momentum, *shown, sizes, rates, recipe))
        self.program.count_pass(len(sizes))
        return torch.tensor(losses, dtype=torch.float64), sum(sizes)

    def _shown(self, k: int, steps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return images and classes, and which of them a network is shown one after the other."""
        (images, classes), order = self.trainer._train, torch.cat(list(steps))
        recipe = self.recipes[k]
        if not recipe.augments:
            return images, classes, order
        changed = [augment(images[step], recipe, self.augmentation[k]) for step in steps]
        return torch.cat(changed), classes[order], torch.arange(len(order))

    @override
    def _error(self, data: Pair) -> tuple[list[float], list[bool]]:
        networks = self._networks()
        if networks is None:
            return super()._error(data)
        found = [network.wrong(*data) for _, network in networks]
        return [100 * wrong / len(data[1]) for wrong, _ in found], [finite for _, finite in found]


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    signs = ("can't allocate memory", "not enough memory", "ALLOC_FAILED")  # of CPU, CPU, CUDA
    return any(sign in str(error) for sign in signs)
