"""What the benchmarks of embeddings share: cheap labels, encoders pretrained on them, and methods.

Of the target problem nothing but its space is looked at here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.embeddings import Better, Pretrained, Settings, Task, make_encoder, pretrain, save
from graphbo.embeddings.tasks import votes
from graphbo.errors import InputError
from graphbo.optimizers import EmbeddingBO, GraphBO
from graphbo.pretraining import PROXIES, Column, proxy_tasks, table_task
from graphbo.pretraining.tables import resolved
from graphbo.problems import Problem, get_problem
from graphbo.spaces import Design, SearchSpace
from graphbo.spaces.description import described, whole
from graphbo.surrogates import GraphSurrogate, embedding, weisfeiler_lehman

Values = NDArray[np.float64]

BY_LABELS = "in the order of the cheap labels"
"""The method that needs a table."""

UNTRAINED = "untrained"
"""Stands for objectives: the encoder as it is drawn."""

_CHUNK = 2000
_ENDLESS = 1_000_000


@dataclass(frozen=True)
class Setting:
    """What is known in advance of a search.

    Attributes:
        problem: The name of the target problem.
        data: The folder of the tables.
        tables: The cheap columns, such as ``nasbench201-cifar10@12``.
        labels: How many results are drawn of each; None for all.
        networks: How many networks the proxies are computed of; None for all.
        proxies: The names of the proxies.
        objectives: The pretraining objectives, or `UNTRAINED`.
        epochs: The epochs of the pretraining.
        folder: Where proxies and encoders are kept.
    """

    problem: str
    data: str | None
    tables: tuple[str, ...]
    labels: int | None
    networks: int | None
    proxies: tuple[str, ...]
    objectives: tuple[str, ...]
    epochs: int
    folder: Path

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Setting:
        """Return the setting that the options of `add_options` say."""
        return cls(
            problem=arguments.problem,
            data=arguments.data,
            tables=tuple(arguments.tables),
            labels=arguments.labels,
            networks=60 if arguments.quick else arguments.networks,
            proxies=tuple(arguments.proxies),
            objectives=Settings().objectives,
            epochs=2 if arguments.quick else Settings().epochs,
            folder=arguments.folder,
        )

    @property
    def described(self) -> dict[str, Any]:
        """What a result says of it, as JSON values."""
        content = asdict(self)
        del content["data"], content["folder"]
        return content


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a `Setting`."""
    parser.add_argument("--problem", default="nasbench201-cifar100", help="the target")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--tables", type=names, default=[], help="PROBLEM@EPOCHS, comma-separated")
    parser.add_argument("--labels", type=int, help="results drawn of each; by default all")
    parser.add_argument("--networks", type=int, help="with proxies; by default all")
    parser.add_argument("--proxies", type=names, default=list(PROXIES), help="comma-separated")
    parser.add_argument("--folder", type=Path, default=Path("runs", "embeddings"))
    parser.add_argument("--quick", action="store_true", help="hardly pretrain, to try it out")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="a JSON file")


def names(text: str) -> list[str]:
    """Return the names in a text with commas between."""
    return [name for name in map(str.strip, text.split(",")) if name]


def numbers(text: str) -> list[int]:
    """Return the whole numbers in a text with commas between."""
    return [int(part) for part in text.split(",")]


@contextmanager
def mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Give a function like `map` that computes in so many processes; in this one if it is one."""
    if processes == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        yield executor.map


# Cheap labels ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def load_target(problem: str, data: str | None) -> Problem:
    """Return the target problem; a process has one thread."""
    torch.set_num_threads(1)
    found = get_problem(problem, data)
    if not found.space.enumerable:
        raise InputError(f"the space of {problem} cannot be enumerated")
    return found


def cells(problem: Problem) -> list[Architecture]:
    """Return the architectures of the space of a problem."""
    return [design.architecture for design in problem.space.enumerate()]


def prepare(setting: Setting) -> None:
    """Compute the proxies if they are not there yet, before processes ask for them."""
    target = load_target(setting.problem, setting.data)
    for text in setting.tables:
        column = resolved(Column.of(text), setting.data)
        assert isinstance(column.problem, Problem)
        if column.problem.name == target.name and column.fidelity == target.fidelity:
            raise InputError(f"{text} are the labels of the target {setting.problem} themselves")
    _proxies(setting)


def _proxies(setting: Setting) -> list[Task]:
    if not setting.proxies:
        return []
    problem = load_target(setting.problem, setting.data)
    key = _digest([described(problem.space), len(cells(problem)), setting.networks])
    path = setting.folder / f"proxies-{problem.space.name}-{key}.npz"
    found = dict(np.load(path)) if path.exists() else {}
    missing = [name for name in setting.proxies if name not in found]
    if missing:
        print(
            f"computing {', '.join(missing)} of {problem.space.name}", file=sys.stderr, flush=True
        )
        made = proxy_tasks(
            problem.space, cells(problem), missing, at_most=setting.networks, device="cpu"
        )
        found |= {task.name: task.values for task in made}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **found)
    return [Task(name, found[name], Better.HIGH) for name in setting.proxies]


def cheap_tasks(setting: Setting, seed: int) -> list[Task]:
    """Return what is known of all cells, or of some, in advance.

    Args:
        setting: The setting.
        seed: The seed of the draw of labels.
    """
    problem = load_target(setting.problem, setting.data)
    columns = [Column.of(text) for text in setting.tables]
    tables = [
        table_task(column, cells(problem), setting.labels, seed, data=setting.data)
        for column in columns
    ]
    return [*tables, *_proxies(setting)]


# Encoders ----------------------------------------------------------------------------------------


def checkpoint(setting: Setting, seed: int) -> Path:
    """Return the file of the encoder that the cheap labels make, pretrained if it is not there.

    Args:
        setting: The setting.
        seed: The seed of the draw of labels and of the pretraining.
    """
    problem = load_target(setting.problem, setting.data)
    content = {**setting.described, "problem": described(problem.space)}
    path = setting.folder / f"{problem.space.name}-{_digest(content)}-{seed}.pt"
    if not path.exists():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = make_encoder("gin", whole(problem.space).operations)
        if setting.objectives == (UNTRAINED,):
            made = Pretrained(encoder).eval()
            made.standardize(encoder.batch(cells(problem)))
        else:
            settings = Settings(setting.objectives, epochs=setting.epochs, seed=seed)
            made = pretrain(encoder, cells(problem), cheap_tasks(setting, seed), settings)
        save(made, path, {"space": described(problem.space)})
    return path


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


# The same without an encoder ---------------------------------------------------------------------


class LookUp:
    """Gives architectures numbers that are known: an embedding, or a prediction."""

    def __init__(self, name: str, architectures: Sequence[Architecture], values: Values) -> None:
        self.name = name
        self.known = dict(zip(architectures, torch.from_numpy(values), strict=True))

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return the numbers of architectures, `n x dim` or `n`."""
        return torch.stack([self.known[architecture] for architecture in architectures])


def plain_vectors(setting: Setting, seed: int) -> tuple[LookUp, LookUp | None]:
    """Return the cheap quantities themselves as an embedding, and their mean omen if there is one.

    Each quantity is replaced by its normal scores. What is missing is predicted by a Gaussian
    process with the default kernels from what is there.
    """
    problem = load_target(setting.problem, setting.data)
    tasks = cheap_tasks(setting, seed)
    columns = [_filled(problem.space, task.scores) for task in tasks]
    vectors = np.stack([(column - column.mean()) / column.std() for column in columns], axis=1)
    weights = np.array(votes(tasks))
    architectures = cells(problem)
    if not weights.any():
        return LookUp("plain", architectures, vectors), None
    omens = vectors @ weights
    omens = (omens - omens.mean()) / omens.std()
    return LookUp("plain", architectures, vectors), LookUp("omens", architectures, omens)


def _filled(space: SearchSpace, scores: Values) -> Values:
    known = np.isfinite(scores)
    if known.all():
        return scores
    designs = space.enumerate()
    surrogate = GraphSurrogate(space)
    surrogate.fit([designs[i] for i in np.flatnonzero(known)], scores[known].tolist())
    return np.where(known, scores, predicted(surrogate, designs))


def predicted(surrogate: GraphSurrogate, designs: Sequence[Design]) -> Values:
    """Return what a fitted surrogate predicts, a part of the designs at a time."""
    starts = range(0, len(designs), _CHUNK)
    return np.concatenate([surrogate.predict(designs[i : i + _CHUNK])[0] for i in starts])


# Methods -----------------------------------------------------------------------------------------


class Known:
    """What a method may use: the space, a seed and, made when asked for, what is cheap."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.seed = setting, seed
        self.space = load_target(setting.problem, setting.data).space

    @cached_property
    def checkpoint(self) -> Path:
        """The pretrained encoder."""
        return checkpoint(self.setting, self.seed)

    @cached_property
    def untrained(self) -> Path:
        """The encoder before its pretraining."""
        return checkpoint(replace(self.setting, objectives=(UNTRAINED,)), self.seed)

    @cached_property
    def plain(self) -> tuple[LookUp, LookUp | None]:
        """The cheap quantities as they are."""
        return plain_vectors(self.setting, self.seed)

    def by_labels(self) -> GraphBO:
        """Return what goes through the cells in the order of the cheap labels, without proxies."""
        if not self.setting.tables:
            raise InputError("there is no order of cheap labels without tables; name some")
        _, omens = plain_vectors(replace(self.setting, proxies=()), self.seed)
        return GraphBO(self.space, seed=self.seed, prior=omens, initial=_ENDLESS)

    def embedding_bo(self, **settings: Any) -> EmbeddingBO:
        """Return the search on the pretrained encoder."""
        return EmbeddingBO(self.space, seed=self.seed, checkpoint=self.checkpoint, **settings)

    def plain_bo(self, prior: bool = True, **settings: Any) -> GraphBO:
        """Return the search on the cheap quantities as they are."""
        vectors, omens = self.plain
        return GraphBO(
            self.space,
            seed=self.seed,
            kernels=[embedding(self.space, vectors)],
            prior=omens if prior else None,
            **settings,
        )


Method = Callable[[Known], GraphBO]

METHODS: dict[str, Method] = {
    "kernels and embedding": lambda k: k.embedding_bo(),
    "embedding": lambda k: k.embedding_bo(surrogate="embedding"),
    "embedding fine-tuned": lambda k: k.embedding_bo(surrogate="deep-kernel"),
    "Bayesian linear on embedding": lambda k: k.embedding_bo(surrogate="linear"),
    "ensemble on embedding": lambda k: k.embedding_bo(surrogate="ensemble"),
    "embedding without prior mean": lambda k: k.embedding_bo(surrogate="embedding", prior=False),
    "embedding without pretraining": lambda k: EmbeddingBO(
        k.space, seed=k.seed, checkpoint=k.untrained, surrogate="embedding", prior=False
    ),
    "kernels": lambda k: GraphBO(k.space, seed=k.seed),
    "graph kernel": lambda k: GraphBO(k.space, seed=k.seed, kernels=[weisfeiler_lehman(k.space)]),
    "plain vector": lambda k: k.plain_bo(),
    "plain vector without prior mean": lambda k: k.plain_bo(prior=False),
}
"""Surrogates in the loop of `GraphBO`: from what is known to the optimiser."""

ORDERS: dict[str, Method] = {
    "in the order of the encoder": lambda k: k.embedding_bo(initial=_ENDLESS),
    "in the order of the plain mean": lambda k: k.plain_bo(initial=_ENDLESS),
    BY_LABELS: lambda k: k.by_labels(),
}
"""No surrogate: cells in the order of a prediction made in advance."""


def choose(parser: argparse.ArgumentParser, wanted: Sequence[str], known: Sequence[str]) -> None:
    """End with a message if a name is not known."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; choose from {'; '.join(known)}")
