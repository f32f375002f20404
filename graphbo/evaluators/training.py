"""Training networks for real."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator
from graphbo.trial import Evaluation, Fidelity, Job

Data = tuple[Tensor, Tensor] | Dataset[tuple[Tensor, int]]
"""Images ``n x channels x height x width`` and classes ``n`` (int64), or a dataset of pairs."""

# torch's random state and number of threads are global: they serve one training at a time.
_GLOBAL_STATE = threading.Lock()


class TrainingEvaluator(Evaluator):
    """Trains a network to classify images and measures its error.

    Stochastic gradient descent with Nesterov momentum on the cross-entropy, the learning rate
    falling to zero along a cosine in every step. All randomness follows the seed of the job: on
    a CPU the same job gives the same result to the last bit, for the same number of threads, and
    torch's global random state is left as it was.

    Trainings in several threads of one process wait for each other; use processes.

    Args:
        build: Makes the network of an architecture; it maps images to logits. It must be picklable
            for use in other processes: ``functools.partial(NASBench201Network, channels=8)``.
        train: The training data.
        validation: The data whose error is to be minimised.
        test: Data to report the test error on, if any.
        epochs: Epochs of a full training; a job with the fidelity ``{"epochs": e}`` trains for e.
        batch_size: Images in a step.
        learning_rate: The learning rate of the first step.
        momentum: Nesterov momentum; 0 for plain gradient descent.
        weight_decay: L2 penalty on all parameters.
        device: Where to train; by default the GPU if there is one.
        threads: CPU threads of a training; by default as many as torch is set to use. Small
            networks are fastest with one.

    Attributes:
        objectives: ``validation_error`` and, given test data, ``test_error``, both in percent.

    Raises:
        InputError: If data are empty or do not fit together, or a number is out of range.

    Example:
        >>> build = functools.partial(NASBench201Network, channels=8, cells=1)
        >>> evaluator = TrainingEvaluator(build, (x, y), (x_val, y_val), epochs=10)
        >>> evaluator.evaluate_one(Job(space.sample(rng))).objectives
        {'validation_error': 7.5}
    """

    def __init__(
        self,
        build: Callable[[Architecture], nn.Module],
        train: Data,
        validation: Data,
        test: Data | None = None,
        *,
        epochs: int = 12,
        batch_size: int = 64,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        device: str | torch.device | None = None,
        threads: int | None = None,
    ) -> None:
        for name, data in (("train", train), ("validation", validation), ("test", test)):
            if data is not None:
                _check(name, data)
        for name, value, low in (
            ("epochs", epochs, 1),
            ("batch_size", batch_size, 1),
            ("momentum", momentum, 0),
            ("weight_decay", weight_decay, 0),
            ("threads", 1 if threads is None else threads, 1),
        ):
            if value < low:
                raise InputError(f"{name} must be at least {low}; got {value}")
        if learning_rate <= 0:
            raise InputError(f"learning_rate must be positive; got {learning_rate}")
        self.build = build
        self.train = train
        self.validation = validation
        self.test = test
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.device = device
        self.threads = threads
        self.objectives = ("validation_error",) if test is None else _BOTH

    def evaluate_one(self, job: Job) -> Evaluation:
        """Train the job's architecture and measure it.

        Returns:
            The objectives; the seconds that it took as cost; the validation error after each epoch
            as curve; ``epochs`` and ``parameters`` as facts.

        Raises:
            InputError: If the fidelity is anything but a positive whole number of epochs.
            FloatingPointError: If the loss, or what the network answers, is not finite.
        """
        epochs = _epochs(job.fidelity, self.epochs)
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        start = time.perf_counter()
        with _isolated(job.seed, device, self.threads):
            network = self.build(job.design.architecture).to(device)
            curve = self._fit(network, epochs, job.seed, device)
            objectives = {"validation_error": curve[-1]}
            if self.test is not None:
                objectives["test_error"] = self._error(network, self.test, device)
        return Evaluation(
            objectives,
            cost=time.perf_counter() - start,
            curve=tuple(curve),
            facts={
                "epochs": epochs,
                "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
            },
        )

    def _fit(self, network: nn.Module, epochs: int, seed: int, device: torch.device) -> list[float]:
        """Train a network and return its validation error in percent after each epoch."""
        shuffle = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )
        images = _size(self.train)
        steps = epochs * -(-images // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        curve = []
        for epoch in range(1, epochs + 1):
            network.train()
            total = torch.zeros((), device=device)
            for x, y in _batches(self.train, self.batch_size, device, shuffle):
                # Batch norm cannot learn from a single image that is left over.
                if len(x) > 1 or images == 1 or self.batch_size == 1:
                    loss = cross_entropy(network(x), y)
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    total += loss.detach()
                schedule.step()
            if not torch.isfinite(total):
                raise FloatingPointError(
                    f"the training loss is not finite in epoch {epoch} of {epochs}; "
                    f"a learning rate below {self.learning_rate} may help"
                )
            curve.append(self._error(network, self.validation, device))
        return curve

    @torch.no_grad()
    def _error(self, network: nn.Module, data: Data, device: torch.device) -> float:
        """Return the share of wrongly classified images in percent."""
        network.eval()
        wrong, n = torch.zeros((), dtype=torch.long, device=device), 0
        for x, y in _batches(data, _EVALUATION_BATCH, device):
            logits = network(x)
            if not torch.isfinite(logits).all():
                raise FloatingPointError("the trained network answers with values not finite")
            wrong += (logits.argmax(1) != y).sum()
            n += len(y)
        return 100 * wrong.item() / n


_BOTH = ("validation_error", "test_error")
_EVALUATION_BATCH = 512


def _epochs(fidelity: Fidelity, full: int) -> int:
    unknown = sorted(set(fidelity) - {"epochs"})
    if unknown:
        raise InputError(f"training knows the fidelity 'epochs' only; got {unknown[0]!r}")
    epochs = fidelity.get("epochs", full)
    if epochs < 1 or epochs != int(epochs):
        raise InputError(f"the epochs must be a positive whole number; got {epochs}")
    return int(epochs)


def _size(data: Data) -> int:
    return len(data[0]) if isinstance(data, tuple) else len(cast(Sized, data))


def _check(name: str, data: Data) -> None:
    if isinstance(data, tuple) and len(data[0]) != len(data[1]):
        raise InputError(
            f"the {name} data have {len(data[0])} images but {len(data[1])} classes; "
            "there must be one class for each image"
        )
    if not _size(data):
        raise InputError(f"the {name} data are empty")


def _batches(
    data: Data, batch_size: int, device: torch.device, shuffle: torch.Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all data once in batches on a device, in an order drawn from `shuffle` if given."""
    if not isinstance(data, tuple):
        loader = DataLoader(data, batch_size, shuffle=shuffle is not None, generator=shuffle)
        for x, y in loader:
            yield x.to(device), y.to(device)
        return
    images, classes = (tensor.to(device) for tensor in data)
    n = len(images)
    order = torch.arange(n) if shuffle is None else torch.randperm(n, generator=shuffle)
    for chosen in torch.split(order.to(device), batch_size):
        yield images[chosen], classes[chosen]


@contextmanager
def _isolated(seed: int, device: torch.device, threads: int | None) -> Iterator[None]:
    """Seed torch's global generators and set its threads; restore both at the end."""
    devices = [device] if device.type == "cuda" else []
    with _GLOBAL_STATE, torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)
