"""Making a table: every cell trained, in chunks that survive a stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.npz import NpzFile
from graphbo.problems.curves import MISSING, CurveTable
from graphbo.spaces.base import Design, HyperparameterValue
from graphbo.tabulate.equivalence import networks
from graphbo.tabulate.protocol import Protocol
from graphbo.tabulate.workers import Workers, advance

if TYPE_CHECKING:
    from torch import nn

    from graphbo.datasets.base import ImageData

CHUNK = 32
"""Networks in a chunk; all their seeds are trained before it is written."""
_TIMED_STEPS = 5

_POLL = 0.5  # seconds

OnProgress = Callable[[float, int], object]
"""Called with the number of networks that are done, with fractions, and that of all."""


def build(
    protocol: Protocol,
    folder: str | Path,
    *,
    jobs: int = 1,
    device: str | None = None,
    size: int = CHUNK,
    only: int | None = None,
    on_progress: OnProgress | None = None,
) -> CurveTable | None:
    """Train all designs of a protocol that no earlier call has trained.

    Cells without hyperparameters that are the same network (`contracted`) are trained once. Each
    finished chunk of 32 networks is a file in the folder: the same call goes on after any stop.

    Args:
        protocol: What to train and how.
        folder: Where the chunks are kept; several protocols may share it.
        jobs: Processes; each of several has one thread of the CPU. They end with this one.
        device: Where to train; by default the GPU if there is one.
        size: Networks that are trained as one program.
        only: The number of networks after which to stop, for a trial run; by default all are
            trained.
        on_progress: Told as the training goes, and once before it. Only whole chunks survive a
            stop.

    Returns:
        The table, or None if networks are missing because of `only`.

    Raises:
        InputError: If an argument is out of range, a chunk in the folder is damaged, or a process
            is killed.
    """
    for name, value in (("jobs", jobs), ("size", size), ("only", 1 if only is None else only)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}")
    _check_device(device)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error}") from error
    chunks = _chunks(protocol)
    wanted = chunks if only is None else chunks[: -(-only // CHUNK)]
    missing = [i for i in range(len(wanted)) if not _file(protocol, folder, i).exists()]
    total = sum(len(chunk) for chunk in wanted)
    before = total - sum(len(wanted[i]) for i in missing)
    trained = 0

    def report(epochs: int) -> None:
        nonlocal trained
        trained += epochs
        if on_progress is not None:
            done = trained / (protocol.recipe.epochs * len(protocol.seeds))
            on_progress(before + done, total)

    report(0)
    if missing:
        protocol.data()  # what is wrong with it is better said here than by a worker
    if jobs == 1:
        for i in missing:
            _train_chunk(protocol, folder, i, device, size, report)
    elif missing:
        _in_processes(protocol, folder, missing, min(jobs, len(missing)), device, size, report)
    return None if len(wanted) < len(chunks) else _assembled(protocol, folder)


def _check_device(device: str | None) -> None:
    import torch

    try:
        torch.zeros(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {device!r} cannot be used: {reason}") from error


def _in_processes(
    protocol: Protocol,
    folder: Path,
    missing: Sequence[int],
    jobs: int,
    device: str | None,
    size: int,
    report: Callable[[int], None],
) -> None:
    with Workers(jobs) as workers:
        with workers.submitting():
            running: set[Future[None]] = {
                workers.pool.submit(_train_chunk, protocol, folder, i, device, size, advance)
                for i in missing
            }
        counted = 0
        while running:
            finished, running = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
            for future in finished:
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise InputError(
                        "a process of the build was killed, perhaps for want of memory; with a "
                        "smaller size or fewer jobs the same command goes on from here"
                    ) from error
            now = workers.counter.value
            if now > counted:
                report(now - counted)
                counted = now


@cache
def _distinct(protocol: str) -> tuple[list[Design], list[list[int]]]:
    """Return the designs of a protocol, and the numbers of those that are the same network."""
    designs = Protocol.from_json(protocol).designs()
    if designs[0].hyperparameters:
        return designs, [[i] for i in range(len(designs))]
    return designs, list(networks(design.architecture for design in designs).values())


def _catalogue(protocol: Protocol) -> tuple[list[Design], list[list[int]]]:
    """Return the designs of a protocol, and those of each network in the order of training.

    The order is random, so that the first chunks tell how long all will take, and always the same.
    """
    designs, groups = _distinct(protocol.to_json())
    return designs, [groups[i] for i in np.random.default_rng(0).permutation(len(groups))]


def _chunks(protocol: Protocol) -> list[list[Design]]:
    """Divide the networks, each as the first of its designs."""
    designs, groups = _catalogue(protocol)
    chosen = [designs[group[0]] for group in groups]
    return [chosen[i : i + CHUNK] for i in range(0, len(chosen), CHUNK)]


def _file(protocol: Protocol, folder: Path, chunk: int) -> Path:
    return folder / f"{protocol.name}-{protocol.digest}-{chunk:05d}.npz"


def _train_chunk(
    protocol: Protocol,
    folder: Path,
    chunk: int,
    device: str | None,
    size: int,
    on_epochs: Callable[[int], object],
) -> None:
    from graphbo.networks.flops import flops, parameters

    data = protocol.data()
    designs = _chunks(protocol)[chunk]
    cells = [design.architecture for design in designs]
    beside = [design.hyperparameters for design in designs]
    valid, test = train_cells(
        protocol, data, cells, beside, device=device, size=size, on_epochs=on_epochs
    )
    built = [
        protocol.network(cell, protocol.seeds[0], data, values)
        for cell, values in zip(cells, beside, strict=True)
    ]
    seconds = [training_seconds(network, protocol, data) for network in built]
    path = _file(protocol, folder, chunk)
    for left in folder.glob(f"{path.name}.*.tmp"):  # of a process that was killed while it wrote
        left.unlink(missing_ok=True)
    unfinished = folder / f"{path.name}.{os.getpid()}.tmp"
    with unfinished.open("wb") as file:
        np.savez_compressed(
            file,
            valid=valid,
            test=test,
            seconds=np.array(seconds, dtype=np.float32),
            parameters=np.array([parameters(network) for network in built]),
            flops=np.array([flops(network, data.shape) for network in built]),
        )
    os.replace(unfinished, path)


def train_cells(
    protocol: Protocol,
    data: ImageData,
    cells: Sequence[Architecture],
    hyperparameters: Sequence[Mapping[str, HyperparameterValue]] | None = None,
    *,
    device: str | None = None,
    size: int = CHUNK,
    on_epochs: Callable[[int], object] | None = None,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Train cells with every seed of a protocol.

    Args:
        protocol: How.
        data: The images of the protocol.
        cells: The cells.
        hyperparameters: Those of each cell, if there are any.
        device: Where to train; by default the GPU if there is one.
        size: Networks that are trained as one program.
        on_epochs: Told how many epochs of single trainings are over since the last call, in all
            ``cells x seeds x epochs``.

    Returns:
        The counts of validation and of test images classified correctly after each epoch, each
        ``cells x seeds x epochs``; `MISSING` where a training diverged.
    """
    from graphbo.training.hyperparameters import tuned
    from graphbo.training.population import Member, PopulationTrainer

    recipe = protocol.recipe
    trainer = PopulationTrainer(
        recipe,
        data.train,
        data.validation,
        data.test,
        size=size,
        device=device,
        precision="float32",  # on every device, as chunks may come from several
    )
    beside = hyperparameters or [{} for _ in cells]
    jobs = [(i, s) for s in range(len(protocol.seeds)) for i in range(len(cells))]
    members = [
        Member(
            protocol.network(cells[i], protocol.seeds[s], data, beside[i]),
            protocol.seeds[s],
            recipe=tuned(recipe, beside[i]),
        )
        for i, s in jobs
    ]
    shape = (len(cells), len(protocol.seeds), recipe.epochs)
    valid, test = np.full(shape, MISSING, np.uint16), np.full(shape, MISSING, np.uint16)
    passed = np.zeros(len(jobs), int)

    def on_epoch(member: int, epoch: int, *_: object) -> None:
        # After running out of memory, a population begins again.
        if on_epochs is not None and epoch > passed[member]:
            on_epochs(int(epoch - passed[member]))
            passed[member] = epoch

    for member, training in trainer.train(members, on_epoch=on_epoch):
        on_epoch(member, recipe.epochs)  # also of those that failed
        if isinstance(training, Exception):
            if not isinstance(training, FloatingPointError):
                raise training
            continue
        where = jobs[member]
        valid[where] = _counts(training.validation_error, len(data.validation[1]))
        test[where] = _counts(training.test_error, len(data.test[1]))
    return valid, test


def _counts(errors: Sequence[float], images: int) -> NDArray[np.uint16]:
    return np.rint(images * (1 - np.array(errors) / 100)).astype(np.uint16)


def training_seconds(network: nn.Module, protocol: Protocol, data: ImageData) -> float:
    """Return the CPU seconds of training a network alone, as the fastest of a few steps has it."""
    import torch
    from torch.nn.functional import cross_entropy

    from graphbo.threads import limited_threads

    recipe = protocol.recipe
    x, y = (part[: recipe.batch_size] for part in data.train)
    # A learning rate of zero leaves the network as it is.
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=recipe.momentum)
    network.train()
    fastest = float("inf")
    with limited_threads(1):  # the time of all threads would count
        for _ in range(_TIMED_STEPS):
            start = time.process_time()
            loss = cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            fastest = min(fastest, time.process_time() - start)
    return fastest * recipe.epochs * recipe.steps(len(data.train[1]))


def _assembled(protocol: Protocol, folder: Path) -> CurveTable:
    """Return the table of all chunks, a row for each design."""
    data = protocol.data()
    designs, groups = _catalogue(protocol)
    source = np.empty(len(designs), int)
    for i, group in enumerate(groups):
        source[group] = i
    parts: dict[str, list[NDArray[Any]]] = {}
    seeds, epochs = len(protocol.seeds), protocol.recipe.epochs
    for i, chunk in enumerate(_chunks(protocol)):
        file, n = NpzFile(_file(protocol, folder, i)), len(chunk)
        for name in ("valid", "test"):
            parts.setdefault(name, []).append(file.array(name, (n, seeds, epochs)))
        for name in ("seconds", "parameters", "flops"):
            parts.setdefault(name, []).append(file.array(name, (n,)))
    arrays = {name: np.concatenate(found)[source] for name, found in parts.items()}
    recipe = protocol.recipe
    images = f"{len(data.train[1])} images {'x'.join(map(str, data.shape))}"
    diverged = int((arrays["valid"] == MISSING).all(axis=2).sum())
    joint, vectors = protocol.hyperparameters, None
    described = (
        f"all cells of {protocol.space['type']} trained on {data.name}, {recipe.epochs} epochs"
    )
    if joint:
        from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
        from graphbo.spaces.hyperparameters import Hyperparameters

        beside = Hyperparameters(hyperparameters_from_settings(joint))
        vectors = np.array([beside.vector(design.hyperparameters) for design in designs])
        described = f"{len(designs):,} cells of {protocol.space['type']} with hyperparameters, "
        described += f"trained on {data.name}, {recipe.epochs} epochs"
    return CurveTable(
        protocol.name,
        protocol.space,
        rows=np.array([design.row for design in designs]),
        hyperparameters=joint,
        vectors=vectors,
        epochs=np.arange(1, epochs + 1),
        valid=arrays["valid"],
        test=arrays["test"],
        images={"valid": len(data.validation[1]), "test": len(data.test[1])},
        seconds=np.repeat(arrays["seconds"][:, None], seeds, axis=1),
        facts={"parameters": arrays["parameters"], "flops": arrays["flops"]},
        about={
            "description": f"{described}, looked up",
            "dataset": f"{data.description}: {images}",
            "protocol": protocol.to_json(),
            "training": f"{recipe.epochs} epochs, {seeds} seeds",
            "diverged": f"{diverged} trainings",
            "seconds": "CPU seconds of training alone, from the fastest of a few steps",
            "licence": "MIT, as the package",
        },
    )
