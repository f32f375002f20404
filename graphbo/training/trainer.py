"""Training one network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graphbo.errors import InputError
from graphbo.training.augmentation import augment
from graphbo.training.compilation import compiled
from graphbo.training.data import Data, Pair, check_parts, read, shuffled, size
from graphbo.training.isolation import isolated
from graphbo.training.recipe import Recipe, generators

EVALUATION_BATCH = 512
PRECISIONS = ("auto", "float32", "bfloat16", "float64")

State = dict[str, Any]
"""Where a training is; see `train`. Nothing but numbers, lists, dicts and tensors on the CPU."""
OnEpoch = Callable[[int, float, State], bool | None]
"""Called after each epoch with its number from 1, the validation error and the state."""


@dataclass(frozen=True)
class Training:
    """What became of a training.

    Attributes:
        train_loss: The mean loss of the images shown in each epoch.
        validation_error: In percent, after each epoch.
        test_error: In percent, after each epoch; empty without test data.
        state: From which to go on.
        seconds: What it took in all, parts before a resumption included.
        stopped: Whether it was stopped before the epochs asked for.
    """

    train_loss: tuple[float, ...]
    validation_error: tuple[float, ...]
    test_error: tuple[float, ...]
    state: State
    seconds: float
    stopped: bool = False

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return len(self.validation_error)


def train(
    network: nn.Module,
    recipe: Recipe,
    train: Data,
    validation: Data,
    test: Data | None = None,
    *,
    seed: int,
    epochs: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "auto",
    compile: bool = False,
    state: State | None = None,
    on_epoch: OnEpoch | None = None,
) -> Training:
    """Train a network to classify images.

    All randomness follows the seed: on a CPU the same arguments give the same result to the last
    bit, for the same number of threads, and torch's global random state is left as it was. A
    training that goes on from a state, there, gives to the last bit what it would have given
    without the interruption. On CUDA, cuDNN is held to deterministic algorithms; other operations
    of the network may still differ in the last bits.

    The state is a dict: ``network`` (its state dict), ``momentum`` (a buffer for each parameter by
    name), ``epoch`` (how many are done), ``order``, ``augmentation``, ``random`` and, on CUDA,
    ``cuda_random`` (states of the generators), ``train_loss``, ``validation_error`` and
    ``test_error`` (lists), and ``seconds``.

    Args:
        network: Maps images to logits; it is trained in place, and moved to device and precision.
        recipe: How to train.
        train: The training data.
        validation: Data to report the validation error on.
        test: Data to report the test error on, if any.
        seed: The seed of the order of the images and of everything else that is random.
        epochs: How many epochs in all, up to those of the recipe; by default all.
        device: Where to train; by default the GPU if there is one.
        precision: ``"float32"``; ``"float64"``; ``"bfloat16"`` for mixed precision, on CUDA with
            the channels last in memory; ``"auto"`` is ``"bfloat16"`` on CUDA, else ``"float32"``.
        compile: Whether to compile the network with `torch.compile`. It takes tens of seconds for
            each new network, and gains nothing on a CPU with small networks: it can only pay on a
            GPU, for trainings of many minutes.
        state: Where to go on from; its network replaces the one given.
        on_epoch: May stop the training by returning True. The state that it is given is its own.

    Returns:
        Learning curves, from the first epoch on, and the state.

    Raises:
        InputError: If data, epochs, precision or state cannot be used.
        FloatingPointError: If the loss, or what the network answers, is not finite.
    """
    check_parts(train, validation, test)
    place = choose_device(device)
    precision = choose_precision(precision, place)
    epochs = recipe.epochs if epochs is None else epochs
    done = 0 if state is None else int(state["epoch"])
    if not max(1, done) <= epochs <= recipe.epochs or epochs != int(epochs):
        raise InputError(
            f"the epochs must be a whole number from {max(1, done)} to {recipe.epochs}; "
            f"got {epochs}"
        )
    with isolated(seed, place):
        trainer = _Trainer(network, recipe, (train, validation, test), place, precision, compile)
        trainer.start(seed, state)
        stopped = False
        for epoch in range(done + 1, int(epochs) + 1):
            trainer.epoch(epoch)
            if on_epoch is not None:
                error = trainer.validation_error[-1]
                if on_epoch(epoch, error, trainer.state()) and epoch < epochs:
                    stopped = True
                    break
        return Training(
            tuple(trainer.train_loss),
            tuple(trainer.validation_error),
            tuple(trainer.test_error),
            trainer.state(),
            trainer.seconds,
            stopped,
        )


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device asked for; by default the GPU if there is one.

    Raises:
        InputError: If there is none of this name, or no GPU that CUDA can use.
    """
    has_gpu = torch.cuda.is_available()
    try:
        chosen = torch.device(device or ("cuda" if has_gpu else "cpu"))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"there is no device {device!r}: {reason}") from error
    if chosen.type == "cuda" and not has_gpu:
        raise InputError(f"the device {str(chosen)!r} cannot be used: CUDA finds no GPU")
    return chosen


def choose_precision(precision: str, device: torch.device) -> str:
    """Return the precision on a device that ``"auto"`` stands for, or the one asked for.

    Raises:
        InputError: If there is none of this name.
    """
    if precision not in PRECISIONS:
        raise InputError(f"the precision is one of {list(PRECISIONS)}; got {precision!r}")
    if precision == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    return precision


class _Trainer:
    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        data: tuple[Data, Data, Data | None],
        device: torch.device,
        precision: str,
        compile: bool,
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.mixed = precision == "bfloat16"
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self.format = torch.contiguous_format
        if self.mixed and device.type == "cuda":
            self.format = torch.channels_last
        self.network = network.to(device, self.dtype)
        if self.format is torch.channels_last:
            self.network.to(memory_format=self.format)  # type: ignore[call-overload]
        # Evaluation runs uncompiled: compiling it as well would cost more than it saves.
        self.trained = compiled(self.network) if compile else self.network
        self.train, self.validation = self._moved(data[0]), self._moved(data[1])
        self.test = None if data[2] is None else self._moved(data[2])
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )

    def start(self, seed: int, state: State | None) -> None:
        """Begin with a seed, or where a state is."""
        self.began = time.perf_counter()
        self.order, self.augmentation = generators(seed)
        self.done, self.earlier = 0, 0.0
        self.train_loss: list[float] = []
        self.validation_error: list[float] = []
        self.test_error: list[float] = []
        if state is None:
            return
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise InputError(f"the state is that of another network: {error}") from error
        parameters = dict(self.network.named_parameters())
        for name, buffer in state["momentum"].items():
            # A copy with the layout of the parameter.
            copy = torch.empty_like(parameters[name]).copy_(buffer)
            self.optimizer.state[parameters[name]]["momentum_buffer"] = copy
        self.order.set_state(state["order"])
        self.augmentation.set_state(state["augmentation"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "cuda_random" in state:
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        self.done, self.earlier = int(state["epoch"]), float(state["seconds"])
        self.train_loss = list(state["train_loss"])
        self.validation_error = list(state["validation_error"])
        self.test_error = list(state["test_error"])

    @property
    def seconds(self) -> float:
        return self.earlier + time.perf_counter() - self.began

    def state(self) -> State:
        """Return a copy of where the training is."""
        momentum = {
            name: self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        state: State = {
            "network": _copied(self.network.state_dict()),
            "momentum": _copied(momentum),
            "epoch": self.done,
            "order": self.order.get_state(),
            "augmentation": self.augmentation.get_state(),
            "random": torch.get_rng_state(),
            "train_loss": list(self.train_loss),
            "validation_error": list(self.validation_error),
            "test_error": list(self.test_error),
            "seconds": self.seconds,
        }
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        return state

    def epoch(self, epoch: int) -> None:
        """Train for one epoch and evaluate; its number counts from 1."""
        images = size(self.train)
        first = (epoch - 1) * self.recipe.steps(images)
        steps = shuffled(images, self.recipe.batch_size, self.order)
        total, shown = torch.zeros((), device=self.device, dtype=self.dtype), 0
        self.trained.train()
        for step, (x, y) in enumerate(self._batches(self.train, steps), start=first):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(step, images)
            x = augment(x, self.recipe, self.augmentation).contiguous(memory_format=self.format)
            with self._autocast():
                logits = self.trained(x)
                loss = cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach() * len(y)
            shown += len(y)
        mean = total.item() / shown
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"the training loss is not finite in epoch {epoch} of {self.recipe.epochs}; "
                f"a learning rate below {self.recipe.learning_rate} may help"
            )
        self.train_loss.append(mean)
        self.validation_error.append(self.error(self.validation))
        if self.test is not None:
            self.test_error.append(self.error(self.test))
        self.done = epoch

    @torch.no_grad()
    def error(self, data: Data) -> float:
        """Return the share of wrongly classified images in percent."""
        self.network.eval()
        n = size(data)
        wrong = torch.zeros((), dtype=torch.long, device=self.device)
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        for x, y in self._batches(data, torch.split(torch.arange(n), EVALUATION_BATCH)):
            with self._autocast():
                logits = self.network(x.contiguous(memory_format=self.format))
            finite &= torch.isfinite(logits).all()
            wrong += (logits.argmax(1) != y).sum()
        if not finite:
            raise FloatingPointError("the trained network answers with values not finite")
        return 100 * wrong.item() / n

    def _moved(self, data: Data) -> Data:
        """Put tensors on the device once; a dataset stays what it is."""
        if not isinstance(data, tuple):
            return data
        return data[0].to(self.device, self.dtype), data[1].to(self.device)

    def _batches(self, data: Data, steps: Sequence[Tensor]) -> Iterator[Pair]:
        for x, y in read(data, steps):
            yield x.to(self.device, self.dtype), y.to(self.device)

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.mixed:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # Contiguous, so that a state is the same wherever the training was.
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }
