"""Training networks for real."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report
from graphbo.evaluators.costs import NetworkCosts
from graphbo.evaluators.population import evaluate_together, train_alone
from graphbo.networks.deployment import Deployment
from graphbo.networks.flops import parameters
from graphbo.spaces.base import Design, HyperparameterValue, SearchSpace
from graphbo.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from graphbo.training.data import (
    Data,
    Resolutions,
    changes,
    check_parts,
    fingerprint,
    fraction,
    image_shape,
)
from graphbo.training.hyperparameters import AUGMENTATION, RECIPE_NAMES, changes_named, tuned
from graphbo.training.isolation import isolated
from graphbo.training.recipe import Recipe
from graphbo.training.stopping import StoppingRule
from graphbo.training.trainer import State, choose_device, choose_precision
from graphbo.trial import COMPUTED, MEASURED, Evaluation, Fidelity, Job

Fit = Callable[[nn.Module, Job], Evaluation | float]
"""A training function of one's own: takes a new network and the job, returns the result."""

AXES = ("epochs", "data", "resolution", "width")
"""The fidelities of a training."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Settings:
    """What a job asks for.

    Attributes:
        epochs: How long to train.
        recipe: How to train, as the hyperparameters of the design say.
        train: The training data, as many and at the resolution that the fidelity says.
        validation: All validation data, at this resolution.
        test: All test data, at this resolution.
    """

    epochs: int
    recipe: Recipe
    train: Data
    validation: Data
    test: Data | None


class TrainingEvaluator(Evaluator):
    """Trains a network to classify images and measures its error.

    Stochastic gradient descent as a `Recipe` says. All randomness follows the seed of the job: on
    a CPU the same job gives the same result to the last bit, for the same number of threads, and
    torch's global random state is left as it was. Trainings in several threads of one process wait
    for each other; use processes.

    The fidelities of a job are ``epochs``, up to those of the recipe, whose schedule it follows;
    ``data``, the fraction of the training images, a smaller one always part of a larger one;
    ``resolution``, the height in pixels that all images are shrunk to by averaging over areas; and
    ``width``, passed on to ``build`` to multiply the channels. What is not given is full.

    The hyperparameters of a design (`JointSpace`) take the place of the attributes of the recipe
    and of the arguments of ``build`` that they are named after; see
    `graphbo.training.hyperparameters.tuned`.

    With a folder for checkpoints, the state is written there after every epoch and kept. A job
    goes on from its ``checkpoint``, which must be in the folder, or else from the state that an
    earlier job with the same architecture, seed, data, recipe, name and arguments of ``build`` and
    other fidelities than the epochs has left there: a training that was interrupted, or ran for
    fewer epochs. On a CPU its result is, to the last bit, that of training without the
    interruption. Where more epochs are recorded than the job asks for, the result is taken from
    the record.

    Args:
        build: Makes the network of an architecture; it maps images to logits. It must be picklable
            for use in other processes: ``functools.partial(NASBench201Network, channels=8)``. For
            the fidelity ``width`` it must take a keyword of this name.
        train: The training data: images ``n x channels x height x width`` with their classes, or
            a dataset of pairs, which is read image by image in every epoch.
        validation: The data whose error is to be minimised.
        test: Data to report the test error on, if any.
        recipe: How to train.
        device: Where to train; by default the GPU if there is one.
        threads: CPU threads of a training alone; by default as many as torch is set to use.
            Networks too small to share them train on one, in compiled code where that can be (see
            `PopulationTrainer`). Populations run side by side on all that torch is set to use, one
            each.
        precision: Of the arithmetic; see `graphbo.training.trainer.train`.
        compile: Whether to compile each network; see there.
        checkpoints: A folder for the states of trainings; by default none are kept.
        stop: Ends a training early, such as `graphbo.training.stopping.Patience`; a function of the
            validation errors so far. The last error counts.
        latency: Whether to measure how long a forward pass of one image takes, after training, as
            if ``latency_ms`` had been requested.
        deployment: How the networks are to run once they are trained, for what they cost there.
        population: Networks trained at once, at most, where jobs come together; 1 trains one after
            the other. It is halved when the memory does not suffice, and smaller on a CPU where
            that is faster. What comes out is the same up to rounding; see `PopulationTrainer`.
        fit: A training function of one's own in place of data and all of the above but ``build``,
            ``device`` and ``threads``. It is called with the new network, on the CPU, and the job,
            torch being seeded with the seed of the job, and returns an `Evaluation`, or the
            validation error as a number. What it makes of fidelities other than ``width`` and of
            hyperparameters other than arguments of ``build``, which the network already has, is
            its own affair.

    Attributes:
        objectives: ``validation_error`` and, given test data, ``test_error``, both in percent.

    Raises:
        InputError: If data are empty or do not fit together, or an argument is out of range.

    Example:
        >>> build = functools.partial(NASBench201Network, channels=8, cells=1)
        >>> evaluator = TrainingEvaluator(build, (x, y), (x_val, y_val), recipe=Recipe(epochs=10))
        >>> evaluator.evaluate_one(Job(space.sample(rng), {"epochs": 5})).objectives
        {'validation_error': 7.5}
    """

    def __init__(
        self,
        build: Callable[..., nn.Module],
        train: Data | None = None,
        validation: Data | None = None,
        test: Data | None = None,
        *,
        recipe: Recipe | None = None,
        device: str | torch.device | None = None,
        threads: int | None = None,
        precision: str = "auto",
        compile: bool = False,
        checkpoints: str | Path | None = None,
        stop: StoppingRule | None = None,
        latency: bool = False,
        deployment: Deployment | None = None,
        population: int = 32,
        fit: Fit | None = None,
    ) -> None:
        data = {"train": train, "validation": validation, "test": test}
        if fit is None and (train is None or validation is None):
            raise InputError("training needs train and validation data, or a function fit of yours")
        if fit is not None and any(part is not None for part in data.values()):
            raise InputError("give data or a function fit of yours, not both: it has its own data")
        if train is not None and validation is not None:
            check_parts(train, validation, test)
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1; got {threads}")
        if population < 1:
            raise InputError(f"population must be at least 1; got {population}")
        choose_precision(precision, choose_device(device))
        self.build = build
        self.recipe = Recipe() if recipe is None else recipe
        self.epochs = () if fit is not None else range(1, self.recipe.epochs + 1)
        self.device = device
        self.threads = threads
        self.precision = precision
        self.compile = compile
        self.checkpoints = checkpoints
        self.stop = stop
        self.deployment = Deployment() if deployment is None else deployment
        self.population = population
        self.capacity = 1 if fit is not None or compile else population
        self.fit = fit
        self.known = () if fit is not None else COMPUTED
        self.objectives = ("validation_error", "test_error")[: 1 if test is None else 2]
        self.on_request = () if fit is not None else MEASURED
        if latency:
            self.request(["latency_ms"])
        self._costs: dict[tuple[float, float | None], NetworkCosts] = {}
        self._data = {name: Resolutions(part) for name, part in data.items() if part is not None}

    @property
    def facts(self) -> tuple[str, ...] | None:
        """The names of the facts that it reports; with `fit` that is up to this function."""
        if self.fit is not None:
            return None
        return ("epochs", *COMPUTED, *self.requested)

    def _check_request(self, names: Sequence[str]) -> None:
        self.deployment.check(names, choose_device(self.device))

    def compute(self, name: str, design: Design, fidelity: Fidelity | None = None) -> float:
        """Return a cost of the network of a design, which is not trained.

        Raises:
            InputError: If it is not one of `graphbo.trial.COMPUTED`, or there is a
                training function `fit`.
        """
        if name not in self.known:
            return super().compute(name, design, fidelity)
        return self.costs([name], design, fidelity or {})[name]

    def costs(self, names: Iterable[str], design: Design, fidelity: Fidelity) -> dict[str, float]:
        """Return what networks of a design cost at a fidelity; see `NetworkCosts.costs`."""
        at = fidelity.get("width", 1.0), fidelity.get("resolution")
        if at not in self._costs:
            shape = image_shape(self._data["train"].at(at[1]))
            self._costs[at] = NetworkCosts(self.builder(fidelity), shape, self.deployment)
        return self._costs[at].costs(names, design)

    def describe(self) -> dict[str, Any]:
        """Return the network, recipe and data, or the training function, by their names."""
        network = {"network": _named(self.build)}
        if self.fit is not None:
            return {**network, "fit": _named(self.fit)}
        trained = {**network, "recipe": self.recipe.describe(), "data": self._fingerprints}
        deployed = self.deployment.describe()
        return {**trained, "deployment": dict(deployed)} if deployed else trained

    def check_space(self, space: SearchSpace) -> None:
        """Refuse hyperparameters that say nothing about a training.

        Raises:
            InputError: If one is neither a setting of the recipe nor an argument of ``build``, or
                a choice of ``augmentation`` cannot be used.
        """
        if space.hyperparameters is None or self.fit is not None:
            return
        arguments = _arguments(self.build)
        for name in space.hyperparameters.configuration_space:
            if name == AUGMENTATION:
                for choice in space.hyperparameters.choices(name):
                    changes_named(choice)
            elif name not in RECIPE_NAMES and arguments is not None and name not in arguments:
                raise InputError(
                    f"training knows no hyperparameter {name!r}; it must be a setting of the "
                    f"recipe ({', '.join(RECIPE_NAMES)}) or an argument of the network "
                    f"({', '.join(arguments)})"
                )

    def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
        """Train the networks of all jobs together, as populations; see `evaluate_one`.

        The cost of each is its even share of the seconds of its population. A network that has
        parts which only training alone can handle is trained alone; so are all where a dataset
        changes its images at random, as a population reads it once.
        """
        jobs = list(jobs)
        if len(jobs) < 2 or self.capacity == 1 or self._random:
            yield from super().evaluate(jobs)
            return
        yield from evaluate_together(self, jobs)

    def evaluate_one(self, job: Job) -> Evaluation:
        """Train the job's architecture and measure it.

        Returns:
            The objectives; the seconds spent on this job as cost; the validation error after each
            epoch as curve; as facts ``epochs``, ``parameters``, ``flops`` (multiply-adds),
            ``activation_memory`` and ``flash`` (bytes, as the deployment says), ``latency_ms``
            and ``energy_mj`` if requested, and ``stopped`` (1) if the training was stopped early;
            and the checkpoint, given a folder for them.

        Raises:
            InputError: If the fidelity, a hyperparameter or the checkpoint cannot be used.
            FloatingPointError: If the loss, or what the network answers, is not finite.
        """
        start = time.perf_counter()
        with isolated(job.seed, choose_device(self.device), self.threads):
            if self.fit is not None:
                return self._fitted(self.fit, job, start)
            settings, network = self.settings(job), self.network(job)
            state = self.state(job, network)
            if state is None or self.end(state["validation_error"], settings.epochs) is None:
                state = self._train(job, settings, network, state)
            return self.evaluation(job, settings, network, state, start)

    # The parts of an evaluation, for evaluators that train in another way --------------------

    def settings(self, job: Job) -> Settings:
        """Return the length of a job's training, its recipe and its data.

        Raises:
            InputError: If the fidelity has other axes, or a value is out of range.
        """
        unknown = sorted(set(job.fidelity) - set(AXES))
        if unknown:
            raise InputError(f"training knows the fidelities {list(AXES)}; got {unknown[0]!r}")
        epochs = job.fidelity.get("epochs", self.recipe.epochs)
        if not 1 <= epochs <= self.recipe.epochs or epochs != int(epochs):
            raise InputError(
                f"the epochs must be a whole number from 1 to the {self.recipe.epochs} of the "
                f"recipe; got {epochs}"
            )
        resolution = job.fidelity.get("resolution")
        parts = {name: data.at(resolution) for name, data in self._data.items()}
        return Settings(
            int(epochs),
            tuned(self.recipe, job.design.hyperparameters),
            fraction(parts["train"], job.fidelity.get("data", 1.0)),
            parts["validation"],
            parts.get("test"),
        )

    def network(self, job: Job) -> nn.Module:
        """Build the network of a job, on the CPU, its weights drawn from the job's seed.

        Raises:
            InputError: If the fidelity has a width, but `build` takes none.
        """
        build = self.builder(job.fidelity, job.design.hyperparameters)
        with isolated(job.seed, torch.device("cpu")):
            return build(job.design.architecture)

    def builder(
        self,
        fidelity: Fidelity,
        hyperparameters: Mapping[str, HyperparameterValue] = MappingProxyType({}),
    ) -> Callable[..., nn.Module]:
        """Return what builds the networks of a fidelity and of some hyperparameters.

        Args:
            fidelity: Its width is looked at.
            hyperparameters: Those are passed on that are no settings of the recipe; with a `fit`
                of one's own, only arguments of `build`.

        Raises:
            InputError: If the fidelity has a width, but `build` takes none.
        """
        known = None if self.fit is None else _arguments(self.build)
        given: dict[str, Any] = {
            name: value
            for name, value in hyperparameters.items()
            if name not in RECIPE_NAMES and (known is None or name in known)
        }
        width = fidelity.get("width", 1.0)
        if width != 1:
            if not _takes(self.build, "width"):
                raise InputError("for the fidelity 'width', build must take a keyword width")
            given["width"] = width
        return partial(self.build, **given) if given else self.build

    def checkpoint(self, job: Job) -> Path | None:
        """Return where the state of a job's training is kept, or None if it is not."""
        if self.checkpoints is None:
            return None
        return checkpoint_path(self.checkpoints, self._identity(job))

    def state(self, job: Job, network: nn.Module) -> State | None:
        """Return the furthest state that a job can go on from, if there is one.

        Raises:
            InputError: If a checkpoint is damaged, of another training or network, or not in the
                folder for checkpoints: a job that comes from a file must not say what is read.
        """
        own = self.checkpoint(job)
        paths = {own.resolve()} if own is not None and own.exists() else set()
        # Where a study was moved, the folder has the state under the same name.
        if job.checkpoint and Path(job.checkpoint).name not in {path.name for path in paths}:
            paths.add(self._within_folder(job.checkpoint))
        states = [load_checkpoint(path, self._identity(job)) for path in sorted(paths)]
        state = max(states, key=lambda state: state["epoch"], default=None)
        if state is not None and _shapes(state["network"]) != _shapes(network.state_dict()):
            raise InputError(f"the checkpoint {paths.pop()} is that of another network")
        return state

    def _within_folder(self, checkpoint: str) -> Path:
        """Return the path of a checkpoint, links followed, if it is in the folder for them."""
        if self.checkpoints is None:
            raise InputError(
                f"the checkpoint {checkpoint} is not read: the evaluator has no folder for "
                "checkpoints; name the folder that it is in as checkpoints"
            )
        path = Path(checkpoint).resolve()
        if path.parent != Path(self.checkpoints).resolve():
            raise InputError(
                f"the checkpoint {checkpoint} is not read: it is not in the folder "
                f"{self.checkpoints}, where those of this evaluator are"
            )
        return path

    def save(self, job: Job, state: State) -> None:
        """Keep the state of a job's training, given a folder for it."""
        path = self.checkpoint(job)
        if path is not None:
            save_checkpoint(path, self._identity(job), state)

    def end(self, curve: Sequence[float], epochs: int) -> int | None:
        """Return the epoch at which a training ends, if it is among those recorded.

        Args:
            curve: The validation errors so far.
            epochs: How many epochs are asked for.
        """
        for epoch in range(1, min(len(curve), epochs) + 1):
            if epoch == epochs or (self.stop is not None and self.stop(curve[:epoch])):
                return epoch
        return None

    def evaluation(
        self, job: Job, settings: Settings, network: nn.Module, state: State, start: float
    ) -> Evaluation:
        """Return the result of a job whose training has ended.

        Args:
            job: The job.
            settings: Its settings.
            network: Its network, trained or not: only its structure is used.
            state: The state, with the curves.
            start: When work on the job began, on the clock of `time.perf_counter`.
        """
        epochs = self.end(state["validation_error"], settings.epochs)
        assert epochs is not None
        objectives = {name: float(state[name][epochs - 1]) for name in self.objectives}
        facts: dict[str, float] = {
            "epochs": epochs,
            **self.costs(COMPUTED, job.design, job.fidelity),
        }
        if epochs < settings.epochs:
            facts["stopped"] = 1
        device, shape = choose_device(self.device), image_shape(settings.train)
        for name in self.requested:
            facts[name] = self.deployment.measured(name, network, shape, device)
        path = self.checkpoint(job)
        return Evaluation(
            objectives,
            cost=time.perf_counter() - start,
            curve=tuple(state["validation_error"][:epochs]),
            facts=facts,
            checkpoint=None if path is None else str(path),
        )

    def _train(
        self, job: Job, settings: Settings, network: nn.Module, state: State | None
    ) -> State:
        def on_epoch(epoch: int, error: float, state: State) -> bool:
            self.save(job, state)
            return self.stop is not None and self.stop(state["validation_error"])

        watched = self.checkpoints is not None or self.stop is not None
        return train_alone(
            network,
            settings.recipe,
            settings,
            seed=job.seed,
            device=self.device,
            precision=self.precision,
            compile=self.compile,
            state=state,
            on_epoch=on_epoch if watched else None,
        ).state

    def _fitted(self, fit: Fit, job: Job, start: float) -> Evaluation:
        network = self.network(job)
        result = fit(network, job)
        if isinstance(result, Evaluation):
            return result
        return Evaluation(
            {"validation_error": float(result)},
            cost=time.perf_counter() - start,
            facts={"parameters": parameters(network)},
        )

    def _identity(self, job: Job) -> dict[str, Any]:
        """Return what trainings must agree in for one to go on from the other."""
        full = {"data": 1.0, "width": 1.0, "resolution": image_shape(self._data["train"].data)[1]}
        chosen = job.design.hyperparameters
        return {
            **{name: value for name, value in self.describe().items() if name != "deployment"},
            "network": _named(self.builder({}, chosen)),
            "recipe": tuned(self.recipe, chosen).describe(),
            "architecture": job.design.architecture.to_string(),
            "seed": job.seed,
            "fidelity": {
                axis: float(value)
                for axis, value in job.fidelity.items()
                if axis != "epochs" and value != full[axis]
            },
            "precision": choose_precision(self.precision, choose_device(self.device)),
        }

    @cached_property
    def _random(self) -> bool:
        return any(changes(part.data) for part in self._data.values())

    @cached_property
    def _fingerprints(self) -> dict[str, str]:
        return {name: fingerprint(part.data) for name, part in self._data.items()}


def _named(function: Callable[..., object]) -> str:
    """Return a name that is the same in every process, with the arguments of a partial."""
    if isinstance(function, partial):
        given = [*map(repr, function.args)]
        given += [f"{key}={value!r}" for key, value in sorted(function.keywords.items())]
        return _ADDRESS.sub("", f"{_named(function.func)}({', '.join(given)})")
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name


def _arguments(function: Callable[..., object]) -> list[str] | None:
    """Return what can be passed on beside the architecture; None if that is anything.

    The width is a fidelity.
    """
    named = list(inspect.signature(function).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in named):
        return None
    return [p.name for p in named[1:] if p.name != "width" and p.kind is not p.VAR_POSITIONAL]


def _takes(function: Callable[..., object], keyword: str) -> bool:
    named = inspect.signature(function).parameters
    return keyword in named or any(p.kind is p.VAR_KEYWORD for p in named.values())


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
