"""NATS-Bench, topology space (Dong et al., TPAMI 2021), and NAS-Bench-201 (ICLR 2020) before it."""

from __future__ import annotations

import bz2
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from graphbo.errors import InputError
from graphbo.importers import pickles
from graphbo.importers.stream import CountedFile, Progress, no_progress
from graphbo.problems.curves import MISSING, CurveTable, counts, unrecorded
from graphbo.spaces.nasbench201 import NASBench201Space

_ENDING = ".pickle.pbz2"
_ENTRIES = "arch2infos"
# Of each dataset, the set of images to validate on and to test on, and how many they are.
_SETS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "cifar10-valid": {"valid": ("x-valid", 25_000), "test": ("ori-test", 10_000)},
    "cifar10": {"test": ("ori-test", 10_000)},
    "cifar100": {"valid": ("x-valid", 5_000), "test": ("x-test", 5_000)},
    "ImageNet16-120": {"valid": ("x-valid", 3_000), "test": ("x-test", 3_000)},
}
_OLD_TORCH = b"\x80\x02\x8a\n"  # how files of torch before 1.6 begin: a long integer


def read_natsbench(source: Path, progress: Progress = no_progress) -> list[CurveTable]:
    """Read the topology space of NATS-Bench, or NAS-Bench-201.

    Args:
        source: The folder ``NATS-tss-...-simple`` with a file for each cell, or one file with all,
            ``NATS-tss-*.pickle.pbz2`` or ``NAS-Bench-201-*.pth``. Only the accuracies are kept in
            memory.
        progress: Called with how much has been read, and of how much.

    Returns:
        A table ``nats-<dataset>-<epochs>`` for each dataset and training schedule. The validation
        accuracy is that on the set ``x-valid``, the test accuracy that on ``x-test``, or on
        ``ori-test`` for CIFAR-10; ``cifar10``, which trains on all 50,000 images, has only the
        latter. Epochs without it are left out.

    Raises:
        InputError: If the source is damaged, holds anything but numbers, text and containers, or
            is no such benchmark; the message names the file and the entry.
    """
    trainings = _Trainings()
    if source.is_dir():
        files = sorted(p for p in source.glob(f"*{_ENDING}") if p.name != f"meta{_ENDING}")
        if not files:
            raise InputError(f"there are no files *{_ENDING} in the folder {source}")
        for i, path in enumerate(files):
            _read_entry(path, trainings)
            progress(i + 1, len(files))
    else:
        _read_archive(source, trainings, progress)
    if not trainings.found:
        raise InputError(f"{source} holds no results of NATS-Bench")
    return [trainings.table(*key, source.name) for key in sorted(trainings.found)]


def _read_entry(path: Path, trainings: _Trainings) -> None:
    try:
        with bz2.open(path) as file:
            content = pickles.load(file)
            file.read(1)  # so that the checksum at the end is verified
    except (InputError, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    trainings.add(content, str(path))


def _read_archive(path: Path, trainings: _Trainings, progress: Progress) -> None:
    last = "the first entry"

    def on_entry(index: Any, content: Any) -> None:
        nonlocal last
        last = f"what follows entry {index}"
        trainings.add(content, f"{path}, entry {index}")

    try:
        with io.BufferedReader(CountedFile(path, progress)) as file, _pickle_of(file) as stream:
            pickles.load_entries(stream, _ENTRIES, on_entry)
            stream.read(1)  # so that the checksum at the end is verified
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path} cannot be read, in {last}: {error}") from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read, in {last}: {error}") from error


def _pickle_of(file: io.BufferedReader[Any]) -> IO[bytes]:
    """Return the stream of the pickle that a file of bz2, or of torch, holds."""
    start = file.peek(4)[:4]
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"PK"):  # torch since 1.6
        archive = zipfile.ZipFile(file)
        members = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(members) != 1:
            raise InputError("it is a zip archive without a 'data.pkl', so not of torch")
        return archive.open(members[0])
    if start == _OLD_TORCH:  # a number, a version and a description of the machine come first
        for _ in range(3):
            pickles.load_small(file)
    return file


class _Trainings:
    """The trainings read so far, by dataset and number of epochs."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], _Schedule] = {}

    def add(self, content: Any, where: str) -> None:
        """Add the trainings of one cell.

        Raises:
            InputError: If the content is not what the benchmark writes.
        """
        try:
            for dataset, seed, text, training in _trainings_of(content):
                epochs = int(training["epochs"])
                if dataset not in _SETS:
                    raise InputError(f"the dataset {dataset!r} is unknown; known: {list(_SETS)}")
                if not 1 <= epochs <= 10_000:
                    raise InputError(f"{epochs} is no number of epochs")
                schedule = self.found.setdefault((dataset, epochs), _Schedule(dataset, epochs))
                schedule.add(text, seed, training)
        except (InputError, LookupError, TypeError, ValueError, AttributeError) as error:
            what = str(error) if isinstance(error, InputError) else repr(error)
            raise InputError(f"{where} is not as NATS-Bench writes it: {what}") from error

    def table(self, dataset: str, epochs: int, source: str) -> CurveTable:
        """Return the table of one dataset and schedule."""
        return self.found[dataset, epochs].table(source)


def _trainings_of(content: Any) -> Iterator[tuple[str, int, str, Mapping[str, Any]]]:
    """Yield dataset, seed, cell and record of each training."""
    for schedule in content.values():
        for (dataset, seed), training in schedule["all_results"].items():
            yield dataset, int(seed), schedule["arch_str"], training


class _Schedule:
    """The trainings of one dataset and number of epochs."""

    def __init__(self, dataset: str, epochs: int) -> None:
        self.dataset, self.epochs = dataset, epochs
        self.cells: dict[str, int] = {}
        self.facts: dict[str, list[float]] = {"parameters": [], "flops": [], "latency": []}
        self.rows: list[tuple[int, ...]] = []
        self.results: dict[tuple[int, int], dict[str, NDArray[np.uint16]]] = {}
        self.seconds: dict[tuple[int, int], float] = {}

    def add(self, text: str, seed: int, training: Mapping[str, Any]) -> None:
        if text not in self.cells:
            self.rows.append(NASBench201Space.parse_row(text))
            self.cells[text] = len(self.cells)
            self.facts["parameters"].append(1e6 * float(training["params"]))
            self.facts["flops"].append(1e6 * float(training["flop"]))
            latency = training.get("latency") or [np.nan]
            self.facts["latency"].append(float(np.mean(latency)))
        key = self.cells[text], seed
        if key in self.results:
            raise InputError(f"the cell {text} has the seed {seed} twice on {self.dataset}")
        recorded = training["eval_acc1es"]
        self.results[key] = {}
        for kind, (name, images) in _SETS[self.dataset].items():
            found = [recorded.get(f"{name}@{epoch}", np.nan) for epoch in range(self.epochs)]
            self.results[key][kind] = counts(found, images)
        times = training.get("train_times")
        self.seconds[key] = float(sum(times.values())) if times else np.nan

    def table(self, source: str) -> CurveTable:
        seeds = sorted({seed for _, seed in self.results})
        shape = len(self.cells), len(seeds), self.epochs
        kinds = _SETS[self.dataset]
        results = {kind: unrecorded(shape, source) for kind in kinds}
        seconds = np.full(shape[:2], np.nan, np.float32)
        for (cell, seed), training in self.results.items():
            column = seeds.index(seed)
            seconds[cell, column] = self.seconds[cell, seed]
            for kind, values in training.items():
                results[kind][cell, column] = values
        main = next(iter(kinds))
        kept = np.flatnonzero((results[main] != MISSING).any(axis=(0, 1)))
        if not len(kept):
            raise InputError(f"{source} has no accuracies of {self.dataset} on {kinds[main][0]}")
        facts = {
            name: np.asarray(values) if name == "latency" else np.rint(values).astype(np.int64)
            for name, values in self.facts.items()
            if np.isfinite(values).any()
        }
        return CurveTable(
            f"nats-{self.dataset.lower()}-{self.epochs}",
            {"type": "nasbench201"},
            rows=np.array(self.rows),
            epochs=kept + 1,
            valid=results["valid"][:, :, kept] if "valid" in results else None,
            test=results["test"][:, :, kept],
            images={kind: images for kind, (_, images) in kinds.items()},
            seconds=seconds * ((kept[-1] + 1) / self.epochs),
            facts=facts,
            about={
                "description": f"cells of NATS-Bench (topology) on {self.dataset}, "
                f"{self.epochs} epochs",
                "dataset": self.dataset,
                "protocol": f"{self.epochs} epochs, one training for each of the seeds {seeds}",
                "source": source,
            },
        )
