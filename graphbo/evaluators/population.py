"""Several jobs of a training evaluator as one population."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from graphbo.evaluators.base import Report
from graphbo.networks.flops import parameters
from graphbo.training.data import image_shape
from graphbo.training.graph import Shape, UntraceableError, trace
from graphbo.training.native import available, supported
from graphbo.training.population import Member, PopulationTrainer, in_common, useful_size
from graphbo.training.recipe import Recipe
from graphbo.training.trainer import (
    OnEpoch,
    State,
    Training,
    choose_device,
    choose_precision,
    train,
)
from graphbo.trial import Job

if TYPE_CHECKING:
    from graphbo.evaluators.training import Settings, TrainingEvaluator


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A job that is ready to be trained."""

    job: Job
    settings: Settings
    network: nn.Module
    state: State | None

    @property
    def key(self) -> tuple[Any, ...]:
        """What jobs that train together have in common."""
        others = {axis: self.job.fidelity.get(axis) for axis in ("data", "resolution")}
        done = 0 if self.state is None else self.state["epoch"]
        return self.settings.epochs, done, in_common(self.settings.recipe), *others.values()


def evaluate_together(evaluator: TrainingEvaluator, jobs: Sequence[Job]) -> Iterator[Report]:
    """Train the networks of several jobs as populations; report each as its population ends.

    Jobs train together that have the same fidelity but for the width, the same batch size and
    label smoothing, and go on from the same epoch. Those whose network a `Program` cannot run train
    alone.
    """
    groups: dict[tuple[Any, ...], list[_Prepared]] = {}
    for job in jobs:
        start = time.perf_counter()
        try:
            settings, network = evaluator.settings(job), evaluator.network(job)
            prepared = _Prepared(job, settings, network, evaluator.state(job, network))
            ended = prepared.state is not None and evaluator.end(
                prepared.state["validation_error"], settings.epochs
            )
            report = _report(evaluator, prepared, prepared.state, start) if ended else None
        except Exception:
            report = Report(job, error=traceback.format_exc())
        if report is None:
            groups.setdefault(prepared.key, []).append(prepared)
        else:
            yield report
    for group in groups.values():
        shape = image_shape(group[0].settings.train)
        together = [prepared for prepared in group if _traceable(prepared.network, shape)]
        # Networks of a size share more operations.
        together.sort(key=lambda prepared: parameters(prepared.network))
        if len(together) > 1:
            yield from _reported(evaluator, together)
        else:
            together = []
        alone = [prepared.job for prepared in group if prepared not in together]
        for job in alone:
            yield from evaluator.evaluate([job])


def _traceable(network: nn.Module, shape: Shape) -> bool:
    try:
        trace(network, shape)
    except UntraceableError:
        return False
    return True


def train_alone(
    network: nn.Module,
    recipe: Recipe,
    settings: Settings,
    *,
    seed: int,
    device: str | torch.device | None = None,
    precision: str = "auto",
    compile: bool = False,
    state: State | None = None,
    on_epoch: OnEpoch | None = None,
) -> Training:
    """Train a network by itself in the fastest way: as `train` does, or in compiled code.

    The latter is faster on a CPU for networks that are too small to be worth several threads.
    Arguments and errors are those of `train`; whether the network itself is trained or only the
    state that is returned is left open.
    """
    trainer = None if compile else _compiled(network, recipe, settings, device, precision)
    if trainer is None:
        return train(
            network,
            recipe,
            settings.train,
            settings.validation,
            settings.test,
            seed=seed,
            epochs=settings.epochs,
            device=device,
            precision=precision,
            compile=compile,
            state=state,
            on_epoch=on_epoch,
        )

    def on_member_epoch(
        _: int, epoch: int, curve: Sequence[float], now: Callable[[], State]
    ) -> bool:
        return on_epoch is not None and bool(on_epoch(epoch, curve[-1], now()))

    watching = None if on_epoch is None else on_member_epoch
    ((_, found),) = trainer.train([Member(network, seed, state)], settings.epochs, watching)
    if isinstance(found, Exception):
        raise found
    return found


def _compiled(
    network: nn.Module,
    recipe: Recipe,
    settings: Settings,
    device: str | torch.device | None,
    precision: str,
) -> PopulationTrainer | None:
    """Return what trains a network in compiled code, if that is the fastest way."""
    device = choose_device(device)
    precision = choose_precision(precision, device)
    data = (settings.train, settings.validation, settings.test)
    in_memory = all(part is None or isinstance(part, tuple) for part in data)
    if device.type != "cpu" or precision == "bfloat16" or not in_memory or not available():
        return None
    shape = image_shape(settings.train)
    try:
        if not supported(trace(network, shape), device, torch.float32):
            return None
    except UntraceableError:
        return None
    if useful_size(network, shape, recipe.batch_size, device) <= 1:
        return None
    return PopulationTrainer(
        recipe,
        settings.train,
        settings.validation,
        settings.test,
        size=1,
        device=device,
        threads=1,
        precision=precision,
        backend="native",
    )


def _reported(evaluator: TrainingEvaluator, group: Sequence[_Prepared]) -> Iterator[Report]:
    """Yield a report for each job; what ends the population is the error of those still open."""
    left = [prepared.job for prepared in group]
    error = ""
    try:
        for report in _trained(evaluator, group):
            left.remove(report.job)
            yield report
    except Exception:
        error = traceback.format_exc()
    yield from (Report(job, error=error) for job in left)


def _trained(evaluator: TrainingEvaluator, group: Sequence[_Prepared]) -> Iterator[Report]:
    def on_epoch(
        member: int, epoch: int, curve: Sequence[float], state: Callable[[], State]
    ) -> bool:
        if evaluator.checkpoints is not None:
            evaluator.save(group[member].job, state())
        return evaluator.stop is not None and evaluator.stop(curve)

    watched = evaluator.checkpoints is not None or evaluator.stop is not None
    settings = group[0].settings
    useful = useful_size(
        group[-1].network,
        image_shape(settings.train),
        settings.recipe.batch_size,
        choose_device(evaluator.device),
    )
    trainer = PopulationTrainer(
        settings.recipe,
        settings.train,
        settings.validation,
        settings.test,
        size=int(min(evaluator.population, useful)),
        device=evaluator.device,
        precision=evaluator.precision,
    )
    members = [Member(p.network, p.job.seed, p.state, p.settings.recipe) for p in group]
    for i, training in trainer.train(members, settings.epochs, on_epoch if watched else None):
        prepared = group[i]
        if isinstance(training, Exception):
            error = "".join(traceback.format_exception(training))
            yield Report(prepared.job, error=error)
            continue
        before = 0.0 if prepared.state is None else float(prepared.state["seconds"])
        start = time.perf_counter() - (training.seconds - before)
        yield _report(evaluator, prepared, training.state, start)


def _report(
    evaluator: TrainingEvaluator, prepared: _Prepared, state: State | None, start: float
) -> Report:
    assert state is not None
    job, settings, network = prepared.job, prepared.settings, prepared.network
    return Report(job, evaluator.evaluation(job, settings, network, state, start))
