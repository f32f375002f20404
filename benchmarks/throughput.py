"""How many architectures are trained per minute: one at a time, as a population, in processes.

Random cells of NAS-Bench-201, all different, are trained for real in every way:

- one at a time: `train`, with each number of ``--threads``;
- a population of K, for K from 1 doubling to ``--largest`` or as far as the memory goes, run by
  torch as one program, and on a CPU with a C compiler one after the other in compiled code;
- one process per core (on CUDA per GPU, or ``--processes``), each with one thread that trains one
  network at a time: what one would do without a population;
- one process per core, each with one thread that trains a population.

Processes are started, and everything is imported and run once, before the clock starts. All ways
take turns, ``--repeats`` times, and the least time of each counts, since a machine that does other
work can only add to it. What is printed is the rate of each way over the best rate of one at a
time in the same run. On CUDA there are the rate itself, the peak of the memory, the utilisation
(given the package nvidia-ml-py), and the arithmetic that the networks need (two operations for a
multiplication and addition, three times for a training step) per second and as a share of the peak
of the GPU, too.

    python benchmarks/throughput.py --output benchmarks/results/0.1.0/throughput.json
    python benchmarks/throughput.py --device cuda --networks 512 --alone 32 --largest 512
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from graphbo import __version__
from graphbo.datasets import ImageData, get_dataset
from graphbo.networks import NASBench201Network
from graphbo.networks.flops import flops
from graphbo.spaces import Design, NASBench201Space
from graphbo.training.native import available
from graphbo.training.population import Member, PopulationTrainer
from graphbo.training.recipe import Recipe
from graphbo.training.trainer import choose_device, train

PEAKS = {"V100": 125e12, "T4": 65e12, "L4": 121e12, "A100": 312e12, "H100": 989e12, "H200": 989e12}
"""Dense 16-bit tensor-core operations per second, from data sheets (SXM modules)."""

ALONE = "one at a time"


@dataclass(frozen=True)
class Setting:
    """What is trained, and where."""

    data: ImageData
    recipe: Recipe
    device: str
    precision: str

    def alone(self, members: Sequence[Member]) -> None:
        """Train networks one after the other."""
        for member in members:
            train(
                deepcopy(member.network),
                self.recipe,
                self.data.train,
                self.data.validation,
                seed=member.seed,
                device=self.device,
                precision=self.precision,
            )

    @property
    def backends(self) -> list[str]:
        """The ways of running a population here."""
        on_cpu = torch.device(self.device).type == "cpu" and self.precision != "bfloat16"
        return ["torch", "native"] if on_cpu and available() else ["torch"]

    def together(self, members: Sequence[Member], size: int, backend: str) -> bool:
        """Train networks as populations of a size; return whether it fitted into the memory."""
        trainer = PopulationTrainer(
            self.recipe,
            self.data.train,
            self.data.validation,
            size=size,
            device=self.device,
            precision=self.precision,
            backend=backend,
        )
        for _, training in trainer.train(members):
            if isinstance(training, Exception):
                raise training
        return trainer.size == size


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="shapes", help="as in `get_dataset`")
    parser.add_argument("--train", type=int, default=500, help="training images at most")
    parser.add_argument("--validation", type=int, default=500, help="validation images at most")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--alone", type=int, help="networks to train one at a time; default all")
    parser.add_argument("--largest", type=int, default=32, help="the largest population")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--threads", type=_numbers, default=sorted({1, cores or 1}))
    parser.add_argument("--processes", type=int, help="by default one per core, or per GPU")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default=str(choose_device()))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    arguments.alone = arguments.alone or arguments.networks
    numbers = ("train", "validation", "networks", "alone", "largest", "repeats", "epochs")
    if min([*(getattr(arguments, name) for name in numbers), *arguments.threads]) < 1:
        parser.error("all numbers must be at least 1")
    on_cuda = torch.device(arguments.device).type == "cuda"
    if arguments.processes is None:
        arguments.processes = torch.cuda.device_count() if on_cuda else cores
    result = {
        "version": __version__,
        "settings": vars(arguments) | {"output": None},
        "device": torch.cuda.get_device_name(arguments.device) if on_cuda else "cpu",
        "rows": measure(arguments),
    }
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


def sample(n: int, seed: int) -> list[Design]:
    """Draw different cells, rows uniformly."""
    space, rng = NASBench201Space(), np.random.default_rng(seed)
    found: dict[Design, None] = {}
    while len(found) < n:
        found[space.sample(rng)] = None
    return list(found)


# Measuring --------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each way of training."""
    data = get_dataset(arguments.dataset)
    data = data.subset(
        min(arguments.train, len(data.train[1])),
        min(arguments.validation, len(data.validation[1])),
    )
    recipe = Recipe(epochs=arguments.epochs, batch_size=arguments.batch_size)
    setting = Setting(data, recipe, arguments.device, arguments.precision)
    networks = [
        NASBench201Network(
            design.architecture,
            arguments.channels,
            arguments.cells,
            data.classes,
            data.in_channels,
        )
        for design in sample(arguments.networks, arguments.seed)
    ]
    members = [Member(network, seed) for seed, network in enumerate(networks)]
    work = [operations(network, setting) for network in networks]
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        ways = _ways(arguments, setting, members, stack)
        for way, run, n in ways:
            warm = run(members[: min(n, 2 * arguments.processes)])
            rows.append({**way, "networks": n, "seconds": float("inf"), "fits": warm})
        for _ in range(arguments.repeats):
            for row, (_, run, n) in zip(rows, ways, strict=True):
                if row["fits"]:
                    found = _timed(run, members[:n], row["threads"], arguments.device)
                    row["fits"] = found.pop("fits")
                    if found["seconds"] < row["seconds"]:
                        row.update(found)
    rows = [row for row in rows if row.pop("fits")]
    for row in rows:
        row["per_minute"] = 60 * row["networks"] / row["seconds"]
        row["operations_per_second"] = sum(work[: row["networks"]]) / row["seconds"]
    best = max(row["per_minute"] for row in rows if row["way"] == ALONE)
    return [{**row, "ratio": row["per_minute"] / best} for row in rows]


Way = tuple[dict[str, Any], Callable[[Sequence[Member]], bool], int]


def _ways(
    arguments: argparse.Namespace,
    setting: Setting,
    members: Sequence[Member],
    stack: ExitStack,
) -> list[Way]:
    """Return name, function and number of networks of each way of training."""

    def one_by_one(members: Sequence[Member]) -> bool:
        setting.alone(members)
        return True

    n, processes = len(members), arguments.processes
    sizes = [2**i for i in range(n.bit_length()) if 2**i <= min(n, arguments.largest)]
    ways: list[Way] = []
    for threads in arguments.threads:
        named = {"way": ALONE, "size": 1, "processes": 1, "threads": threads}
        ways.append((named, one_by_one, min(n, arguments.alone)))
        for backend, size in itertools.product(setting.backends, sizes):

            def population(
                members: Sequence[Member], size: int = size, backend: str = backend
            ) -> bool:
                return setting.together(members, size, backend)

            ways.append((named | {"way": f"population, {backend}", "size": size}, population, n))
    if processes < 2:
        return ways
    pool = stack.enter_context(
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start, (setting,))
    )
    for way, size in (("processes", 1), ("processes with a population", sizes[-1])):
        size = max(1, min(size, n // processes))
        named = {"way": way, "size": size, "processes": processes, "threads": 1}

        def spread(members: Sequence[Member], size: int = size, way: str = way) -> bool:
            chunks = [members[i : i + size] for i in range(0, len(members), size)]
            return all(pool.map(_work, chunks, [way != "processes"] * len(chunks)))

        ways.append((named, spread, n))
    return ways


_SETTING: list[Setting] = []


def _start(setting: Setting) -> None:
    torch.set_num_threads(1)
    if torch.device(setting.device).type == "cuda":
        name = multiprocessing.current_process().name
        torch.cuda.set_device(int(name.rpartition("-")[2]) % torch.cuda.device_count())
    _SETTING.append(setting)


def _work(members: Sequence[Member], population: bool) -> bool:
    (setting,) = _SETTING
    if population:
        return setting.together(members, len(members), setting.backends[-1])
    setting.alone(members)
    return True


def _timed(
    run: Callable[[Sequence[Member]], bool], members: Sequence[Member], threads: int, device: str
) -> dict[str, Any]:
    """Return the seconds of a run, and on CUDA what it took of the GPU."""
    torch.set_num_threads(threads)
    if torch.device(device).type != "cuda":
        start = time.perf_counter()
        fits = run(members)
        return {"seconds": time.perf_counter() - start, "fits": fits}
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.synchronize(device)
    with _utilisation(device) as seen:
        start = time.perf_counter()
        fits = run(members)
        torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "fits": fits,
        "peak_gigabytes": torch.cuda.max_memory_allocated(device) / 1e9,
        "utilisation": float(np.mean(seen)) / 100 if seen else None,
    }


@contextmanager
def _utilisation(device: str) -> Iterator[list[int]]:
    """Sample the percentage of the time in which the GPU is busy."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            try:
                seen.append(torch.cuda.utilization(device))
            except (ImportError, RuntimeError):  # nvidia-ml-py is not there
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def operations(network: nn.Module, setting: Setting) -> float:
    """Return the floating-point operations of a training; a step takes three forward passes."""
    images = 3 * len(setting.data.train[1]) + len(setting.data.validation[1])
    return 2.0 * flops(network, setting.data.shape) * images * setting.recipe.epochs


# Output -----------------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    """Return a Markdown table of the ratios, and on CUDA of what the GPU does."""
    on_cuda = result["device"] != "cpu"
    peak = next((p for name, p in PEAKS.items() if name in result["device"]), None)
    heads = ["way", "processes", "threads of each", "at once in each", "times one at a time"]
    if on_cuda:
        heads += ["architectures per minute", "peak GB", "utilisation", "TFLOP/s", "of the peak"]
    lines = [_row(heads), "| --- |" + " ---: |" * (len(heads) - 1)]
    for row in result["rows"]:
        cells = [row["way"], *(str(row[key]) for key in ("processes", "threads", "size"))]
        cells.append(f"{row['ratio']:.2f}")
        if on_cuda:
            rate, busy = row["operations_per_second"], row["utilisation"]
            cells += [f"{row['per_minute']:.1f}", f"{row['peak_gigabytes']:.2f}"]
            cells += ["" if busy is None else f"{100 * busy:.0f} %", f"{rate / 1e12:.3f}"]
            cells.append("" if peak is None else f"{100 * rate / peak:.2f} %")
        lines.append(_row(cells))
    return "\n".join([f"Trained on: {result['device']}", "", *lines])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
