"""The training of an encoder on what is cheap."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder
from graphbo.embeddings.objectives import OBJECTIVES, Objective, Step, Supervised
from graphbo.embeddings.pretrained import Pretrained
from graphbo.embeddings.tasks import Task, check_tasks, targets, votes

_AT_ONCE = 2000

Progress = Callable[[int, float], object]
"""Told the number of finished epochs and the loss on the architectures held out."""


@dataclass(frozen=True)
class Settings:
    """How to pretrain.

    Attributes:
        objectives: Names of `OBJECTIVES`, each once; their losses are added up.
        epochs: The most passes over the architectures.
        batch_size: Architectures in a batch.
        learning_rate: The highest learning rate, of AdamW; it rises over the first tenth of the
            steps and then falls to zero along a cosine.
        weight_decay: The weight decay of AdamW.
        held_out: The share of the architectures that is only looked at to stop early; the same
            share of those that any task knows, and of the others.
        patience: Stop after so many epochs without a lower loss on those.
        seed: The seed of all randomness.

    Raises:
        ValueError: If a value is out of range, or there is no objective of a name.
    """

    objectives: tuple[str, ...] = ("supervised", "reconstruction")
    epochs: int = 40
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    held_out: float = 0.1
    patience: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.objectives if name not in OBJECTIVES]
        if unknown or not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                f"the objectives are one or more of {list(OBJECTIVES)}, each once; "
                f"got {self.objectives}"
            )
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive; got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be 0 or more; got {self.weight_decay}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1; got {self.held_out}")


def pretrain(
    encoder: Encoder,
    architectures: Sequence[Architecture],
    tasks: Sequence[Task] = (),
    settings: Settings | None = None,
    *,
    on_epoch: Progress | None = None,
) -> Pretrained:
    """Train an encoder on architectures and on what is known of them.

    Some of the architectures are held out; training stops when the loss on them has not fallen for
    a while, and the weights at its lowest are kept. The result is a function of the arguments,
    the encoder's weights among them, on the CPU of one machine with one number of threads; a GPU
    may add up in another order each time.

    Args:
        encoder: The encoder, which stays as it is; a copy is trained.
        architectures: The architectures (``n``); isomorphic ones count once, with the first
            value of each task that is known.
        tasks: What is known of them, with NaN for what is not; only the objective ``"supervised"``
            looks at it.
        settings: How to train; see `Settings`.
        on_epoch: Told of the progress.

    Returns:
        The pretrained encoder, in evaluation mode. Its ``card`` holds the settings, the epochs
        trained, and for the architectures held out the loss of each objective and for each task
        Kendall's tau of prediction and truth.

    Raises:
        ValueError: If there are fewer than ten distinct architectures, one has a label that is not
            among the encoder's operations, the tasks do not fit them, the objective
            ``"supervised"`` is alone without a task, or no epoch ends with a finite loss.
    """
    settings = settings or Settings()
    index: dict[Architecture, int] = {}
    groups = np.array([index.setdefault(each, len(index)) for each in architectures], dtype=int)
    if len(index) < 10:
        raise ValueError(f"pretraining needs ten distinct architectures or more; got {len(index)}")
    if Supervised.name not in settings.objectives:
        tasks = ()  # nothing would learn to predict them
    check_tasks(tasks, len(groups))
    tasks = [task.merged(groups) for task in tasks]
    known = targets(tasks, len(index))
    names = [name for name in settings.objectives if name != Supervised.name or tasks]
    if not names:
        raise ValueError("the objective 'supervised' needs at least one task; got none")
    with torch.random.fork_rng(devices=_devices(encoder)):
        _seed(encoder, settings.seed)
        copied = copy.deepcopy(encoder)
        pretrained = Pretrained(copied, [task.name for task in tasks], votes(tasks))
        pretrained.to(copied.readout.weight)
        training = _Training(pretrained, copied.batch(list(index)), known, names, settings)
        training.run(on_epoch)
    pretrained.card = {
        "encoder": {"name": encoder.name, **encoder.settings},
        "settings": {**asdict(settings), "objectives": names},
        "architectures": len(index),
        "tasks": {
            task.name: {
                "known": int(torch.isfinite(known[:, i]).sum()),
                "better": task.better.name.lower(),
                "held_out_tau": training.agreement(i),
            }
            for i, task in enumerate(tasks)
        },
        "epochs": training.epochs,
        "held_out_losses": training.best_losses,
    }
    return pretrained


class _Training:
    """The state of one pretraining."""

    def __init__(
        self,
        pretrained: Pretrained,
        batch: GraphBatch,
        known: Tensor,
        names: Sequence[str],
        settings: Settings,
    ) -> None:
        self.pretrained, self.batch, self.settings = pretrained, batch, settings
        self.device = batch.labels.device
        self.known = known.to(self.device)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.held, self.used = _split(known, settings.held_out, self.generator)
        self.objectives = nn.ModuleDict({name: self._objective(name) for name in names}).to(
            pretrained.center
        )
        self.epochs = 0
        self.best_losses: dict[str, float] = {}

    def run(self, on_epoch: Progress | None) -> None:
        """Train until the end or until nothing gets better, and keep the best weights."""
        settings = self.settings
        # The head of the supervised objective belongs to the pretrained encoder, too.
        parameters = list(
            dict.fromkeys([*self.pretrained.encoder.parameters(), *self.objectives.parameters()])
        )
        optimizer = torch.optim.AdamW(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        total = settings.epochs * math.ceil(len(self.used) / settings.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total))
        lowest, since = math.inf, 0
        best = copy.deepcopy(self.pretrained.state_dict())
        while self.epochs < settings.epochs and since < settings.patience:
            self._train(True)
            for step in self._steps(self.used, settings.batch_size, self.generator, shuffled=True):
                loss = torch.stack(list(self._losses(step).values())).sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
            self.epochs += 1
            losses = self._evaluate()
            if sum(losses.values()) < lowest:
                lowest, since, self.best_losses = sum(losses.values()), 0, losses
                best = copy.deepcopy(self.pretrained.state_dict())
            else:
                since += 1
            if on_epoch is not None:
                on_epoch(self.epochs, sum(losses.values()))
        if not self.best_losses:
            raise ValueError(
                "the loss on the architectures held out was never finite; the learning rate, "
                f"{settings.learning_rate}, may be too high"
            )
        self.pretrained.load_state_dict(best)
        self._train(False)
        self.pretrained.standardize(self.batch)

    @torch.no_grad()
    def agreement(self, task: int) -> float | None:
        """Return Kendall's tau of prediction and truth where it was held out, None if unknown."""
        truth = self.known[self.held.to(self.device), task]
        there = torch.isfinite(truth)
        if there.sum() < 2:
            return None
        batch = self.batch.select(self.held.to(self.device)[there])
        predicted = self.pretrained.predict(batch, self.pretrained.tasks[task])
        tau = float(kendalltau(predicted.cpu(), truth[there].cpu()).statistic)
        return round(tau, 4) if math.isfinite(tau) else None

    def _objective(self, name: str) -> Objective:
        if name == Supervised.name:
            return Supervised(self.pretrained.head)
        return OBJECTIVES[name](self.pretrained.encoder)  # type: ignore[call-arg]

    def _train(self, mode: bool) -> None:
        self.pretrained.train(mode)
        self.objectives.train(mode)

    def _steps(
        self, among: Tensor, size: int, generator: torch.Generator, *, shuffled: bool
    ) -> Iterator[Step]:
        order = torch.randperm(len(among), generator=generator) if shuffled else slice(None)
        for part in torch.split(among[order], size):
            part = part.to(self.device)
            batch, known = self.batch.select(part), self.known[part]
            yield Step(self.pretrained.encoder, batch, known, generator)

    def _losses(self, step: Step) -> dict[str, Tensor]:
        return {name: objective(step) for name, objective in self.objectives.items()}

    @torch.no_grad()
    def _evaluate(self) -> dict[str, float]:
        """Return the loss of each objective on what is held out, always with the same noise."""
        self._train(False)
        generator = torch.Generator().manual_seed(0)
        means = dict.fromkeys(self.objectives, 0.0)
        for step in self._steps(self.held, _AT_ONCE, generator, shuffled=False):
            for name, loss in self._losses(step).items():
                means[name] += loss.item() * len(step.batch) / len(self.held)
        return means


def _split(known: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return which architectures are held out and which are used.

    A share of those with a target and of those without is held out, and at least two of each are
    held out and used where there are four: a contrast takes two.
    """
    order = torch.randperm(len(known), generator=generator)
    labelled = known.isfinite().any(1)[order]
    held, used = [], []
    for part in (order[labelled], order[~labelled]):
        least = min(2, len(part) // 2)
        count = min(max(round(share * len(part)), least), len(part) - least)
        held.append(part[:count])
        used.append(part[count:])
    return torch.cat(held), torch.cat(used)


def _rate(step: int, total: int) -> float:
    """Return the learning rate at a step, as a share of the highest."""
    warm = max(total // 10, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(total - warm, 1))


def _seed(encoder: Encoder, seed: int) -> None:
    """Seed what the training draws from, and no other device, whose state nobody would restore."""
    torch.default_generator.manual_seed(seed)
    for device in _devices(encoder):
        torch.cuda.default_generators[device.index].manual_seed(seed)


def _devices(encoder: Encoder) -> list[torch.device]:
    device = encoder.readout.weight.device
    return [device] if device.type == "cuda" else []
