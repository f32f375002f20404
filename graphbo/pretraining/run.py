"""A pretraining from a space to an encoder with its card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from graphbo.architecture import Architecture
from graphbo.datasets import ImageData, get_dataset
from graphbo.embeddings import (
    Encoder,
    Pretrained,
    Settings,
    Task,
    make_encoder,
    pretrain,
    versions,
)
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.pretraining.proxies import PROXIES, Progress, proxy_tasks
from graphbo.pretraining.tables import Column, resolved, table_task
from graphbo.problems.base import Problem
from graphbo.problems.training import skeleton
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.description import described, whole
from graphbo.training.trainer import choose_device

if TYPE_CHECKING:
    from graphbo.embeddings.pretraining import Progress as EpochProgress

_BATCH = 64
_MOST_DRAWS = 100


def pretrain_on(
    space: SearchSpace,
    *,
    tables: Sequence[Column] = (),
    labels: int | None = None,
    proxies: Sequence[str] = PROXIES,
    proxied: int = 2000,
    architectures: int = 20_000,
    encoder: str = "gin",
    encoder_settings: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    images: ImageData | None = None,
    data: str | Path | None = None,
    device: str | torch.device = "cpu",
    command: str | None = None,
    on_proxies: Progress | None = None,
    on_epoch: EpochProgress | None = None,
) -> Pretrained:
    """Pretrain an encoder on proxies and on tables.

    The result is a function of the arguments, of the labels that the tables name and of nothing
    else; on a CPU it is the same to the last bit on one machine.

    Args:
        space: The space; of a pool, its members only are looked at.
        tables: The columns of tables that it learns to predict.
        labels: Draw so many results of each table at random, if there are more; see `table_task`.
        proxies: Names of proxies; see `proxy_tasks`.
        proxied: Compute the proxies of so many networks at most.
        architectures: The most architectures. Of a larger space they are those with labels,
            however many, and others drawn at random.
        encoder: One of ``graphbo.embeddings.ENCODERS``.
        encoder_settings: Arguments of the encoder.
        settings: How to train; its seed is that of all randomness.
        images: The images of the proxies; by default the digits.
        data: The folder or file of the tables; see `get_problem`.
        device: Where to compute.
        command: The command line that does the same, for the card.
        on_proxies: Told how many networks the proxies were computed of, and how many there are.
        on_epoch: Told the number of finished epochs and the loss on what is held out.

    Returns:
        The encoder on the CPU. Its card is that of `pretrain` with the space, the data, the
        versions of the packages and the command.

    Raises:
        InputError: If an argument cannot be used.
        MissingExtraError: If scikit-learn is not installed, for the digits.
    """
    settings = settings or Settings()
    device = choose_device(device)
    try:
        fresh = _encoder(encoder, space, encoder_settings or {}, settings.seed).to(device)
        columns = [resolved(column, data) for column in tables]
        found = [_known(space, column, labels, settings.seed) for column in columns]
        labelled = dict.fromkeys(
            architecture
            for column, (_, known) in zip(columns, found, strict=True)
            if column.fidelity is not None  # everything may have facts
            for architecture in known
        )
        chosen = _architectures(space, architectures, settings.seed, labelled)
        tasks = [
            Task(task.name, np.array([known.get(a, np.nan) for a in chosen]), task.better)
            for task, known in found
        ]
        record: dict[str, Any] = {}
        if tables:
            record["tables"] = [
                _about_table(column, int(np.isfinite(task.values).sum()), settings.seed)
                for column, task in zip(columns, tasks, strict=True)
            ]
        if proxies:
            images = get_dataset("digits") if images is None else images
            tasks += proxy_tasks(
                space,
                chosen,
                proxies,
                at_most=proxied,
                images=images,
                batch_size=_BATCH,
                seed=settings.seed,
                device=device,
                on_progress=on_proxies,
            )
            record["proxies"] = {
                "names": list(proxies),
                "images": images.name,
                "batch_size": _BATCH,
                "network": _about_network(space, images),
                "networks_at_most": proxied,
                "seed": settings.seed,
            }
        pretrained = pretrain(fresh, chosen, tasks, settings, on_epoch=on_epoch).cpu()
    except InputError:
        raise
    except ValueError as error:  # of graphbo.embeddings, which stands by itself
        raise InputError(str(error)) from error
    whole_space = space.enumerable and len(chosen) == space.size
    how = f"those with labels and others at random, seed {settings.seed}"
    record["chosen"] = "all of the space" if whole_space else how
    pretrained.card |= {"space": described(space), "data": record, "versions": versions()}
    if command is not None:
        pretrained.card["command"] = command
    return pretrained


def _encoder(name: str, space: SearchSpace, settings: Mapping[str, Any], seed: int) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        space = whole(space)
        return make_encoder(name, (*space.operations, *space.ports), **settings)


def _known(
    space: SearchSpace, column: Column, labels: int | None, seed: int
) -> tuple[Task, dict[Architecture, float]]:
    """Return the task of a `resolved` column, and its values of architectures of the space."""
    assert isinstance(column.problem, Problem)
    evaluator = column.problem.evaluator
    assert isinstance(evaluator, TableEvaluator)
    members = [architecture for architecture in evaluator.architectures if architecture in space]
    task = table_task(column, members, labels, seed)
    known = zip(members, task.values.tolist(), strict=True)
    return task, {member: value for member, value in known if np.isfinite(value)}


def _architectures(
    space: SearchSpace, at_most: int, seed: int, labelled: Iterable[Architecture]
) -> list[Architecture]:
    """Return all architectures of a space, or random ones beside those with labels."""
    if at_most < 1:
        raise InputError(f"at least 1 architecture is needed; got {at_most}")
    rng = np.random.default_rng(seed)
    every = [design.architecture for design in space.enumerate()] if space.enumerable else []
    if 0 < len(every) <= at_most:
        return every
    found = dict.fromkeys(labelled)
    draws = (every[i] for i in rng.permutation(len(every)).tolist())
    if not every:
        draws = (space.sample(rng).architecture for _ in range(_MOST_DRAWS * at_most))
    for architecture in draws:
        if len(found) >= at_most:
            break
        found.setdefault(architecture)
    return list(found)


def _about_table(column: Column, labels: int, seed: int) -> dict[str, Any]:
    problem, fidelity, name = column
    assert isinstance(problem, Problem)
    what = {"fact": name} if fidelity is None else {"objective": name, "fidelity": dict(fidelity)}
    return {"problem": problem.name, **what, "labels": labels, "seed": seed}


def _about_network(space: SearchSpace, images: ImageData) -> str:
    build = skeleton(whole(space), images)
    assert isinstance(build, partial)
    arguments = ", ".join(f"{name}={value}" for name, value in build.keywords.items())
    return f"{build.func.__name__}({arguments})"
