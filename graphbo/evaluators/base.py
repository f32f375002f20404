"""The contract of an evaluator, and the wrapper that makes one of a plain function."""

from __future__ import annotations

import math
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from graphbo.errors import InputError
from graphbo.spaces.base import Design
from graphbo.trial import COMPUTED, Evaluation, Fidelity, Job

if TYPE_CHECKING:
    from graphbo.evaluators.costs import NetworkCosts
    from graphbo.spaces.base import SearchSpace

_TAKES = ("architecture", "hyperparameters", "both")


@dataclass(frozen=True)
class Report:
    """What an evaluator yields for a job: its evaluation, or the traceback of its failure.

    Attributes:
        job: The job.
        evaluation: The result, or None if the job failed.
        error: The traceback of the failure, or None.
    """

    job: Job
    evaluation: Evaluation | None = None
    error: str | None = None

    @property
    def final(self) -> bool:
        """Whether the job is over; an intermediate report has neither."""
        return self.evaluation is not None or self.error is not None


class Evaluator(ABC):
    """Carries out jobs and yields a report for each as it finishes.

    Attributes:
        objectives: The names of the objectives it reports; the first is the one to minimise.
        capacity: How many jobs it takes at once.
        checkpoints: The folder in which it keeps the states of jobs, if it keeps any.
        epochs: The numbers of epochs that it can train for, ascending; empty if there is no choice.
        known: The names of those objectives and facts that `compute` gives without an evaluation.
        on_request: The names of further facts, reported only after a `request`.
        requested: Those of them that have been requested.
        thread_safe: Whether threads may evaluate side by side, and gain from it.
        factory: Makes an equal evaluator in another process, such as one on another machine; None
            to send this one as it is. Whatever is set afterwards, but for `checkpoints`, makes the
            evaluator another one, without a factory.
    """

    objectives: tuple[str, ...] = ("validation_error",)
    capacity: int = 1
    checkpoints: str | Path | None = None
    epochs: Sequence[int] = ()
    known: tuple[str, ...] = ()
    on_request: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    thread_safe: ClassVar[bool] = False
    factory: Callable[[], Evaluator] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("checkpoints", "factory"):
            self.__dict__.pop("factory", None)
        super().__setattr__(name, value)

    def describe(self) -> Mapping[str, Any]:
        """Return settings that results depend on, by name, as JSON values.

        A study is not continued where they differ. By default there are none.
        """
        return {}

    @property
    def facts(self) -> tuple[str, ...] | None:
        """The names of the facts that it reports; None if they are not known beforehand."""
        return None

    def request(self, names: Iterable[str]) -> None:
        """Report those of `on_request` that are named, from now on.

        A study requests what it is for.

        Args:
            names: What is not in `on_request` is passed over.

        Raises:
            InputError: If one cannot be measured here.
        """
        new = [n for n in names if n in self.on_request and n not in self.requested]
        if not new:
            return
        self._check_request(new)
        factory = self.factory
        self.requested = (*self.requested, *new)
        if factory is not None:
            self.factory = _Requesting(factory, self.requested)

    def _check_request(self, names: Sequence[str]) -> None:  # noqa: B027 (most measure nothing)
        """Refuse what cannot be measured here, of what is requested anew."""

    @property
    def reported(self) -> tuple[str, ...]:
        """The names of what it reports, also on request, as far as they are known beforehand."""
        return tuple(dict.fromkeys((*self.objectives, *(self.facts or ()), *self.on_request)))

    def compute(self, name: str, design: Design, fidelity: Fidelity | None = None) -> float:
        """Return an objective or fact of a design that is cheap and always the same.

        Args:
            name: One of `known`.
            design: The design, which is not evaluated.
            fidelity: How thoroughly it would be; by default fully.

        Returns:
            What an evaluation would report; NaN where it would report nothing.

        Raises:
            InputError: If it is not one of `known`.
        """
        raise InputError(f"only {list(self.known)} are known without an evaluation; not {name!r}")

    def check_space(self, space: SearchSpace) -> None:  # noqa: B027 (allows all)
        """Refuse a space whose designs it cannot evaluate; a study asks once.

        Raises:
            InputError: If it cannot.
        """

    @abstractmethod
    def evaluate_one(self, job: Job) -> Evaluation:
        """Carry out one job; whatever it raises becomes a failed trial."""

    def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
        """Carry out jobs; one that raises yields a report with its traceback."""
        for job in jobs:
            try:
                yield Report(job, self.evaluate_one(job))
            except Exception:
                yield Report(job, error=traceback.format_exc())


@dataclass(frozen=True)
class _Requesting:
    """A factory of evaluators that report what was requested."""

    factory: Callable[[], Evaluator]
    names: tuple[str, ...]

    def __call__(self) -> Evaluator:
        evaluator = self.factory()
        evaluator.request(self.names)
        return evaluator


def final_reports(evaluator: Evaluator, jobs: Sequence[Job]) -> Iterator[Report]:
    """Carry out jobs, and yield what the evaluator does and a final report for each job.

    One that raises, exits, leaves jobs out or returns something else makes failed jobs.
    """
    waiting = {job.design: job for job in jobs}
    error = "the evaluator ended without a report on this job"
    try:
        for report in evaluator.evaluate(jobs):
            if report.final:
                del waiting[report.job.design]
            yield _checked(report)
    except (Exception, SystemExit):
        error = traceback.format_exc()
    for job in waiting.values():
        yield Report(job, error=error)


def _checked(report: Report) -> Report:
    found: object = report.evaluation
    if found is None or isinstance(found, Evaluation):
        return report
    error = f"the evaluator returned {type(found).__name__}, not an Evaluation"
    return Report(report.job, error=error)


def refuse_hyperparameters(space: SearchSpace, what: str) -> None:
    """Raise an `InputError` if a space has hyperparameters.

    Args:
        space: The space.
        what: What cannot choose them, as the beginning of a sentence.
    """
    if space.hyperparameters is not None:
        raise InputError(
            f"{what} by the architecture alone, and the space {space.name} has hyperparameters, "
            "too; search its architectures alone, or train them with a TrainingEvaluator"
        )


def offered_epochs(evaluator: Evaluator, fidelity: Fidelity) -> list[int]:
    """Return the numbers of epochs that an evaluator offers, up to those of a fidelity."""
    most = fidelity.get("epochs", math.inf)
    return [epochs for epochs in evaluator.epochs if epochs <= most]


class FunctionEvaluator(Evaluator):
    """Evaluates a plain function.

    Args:
        function: Takes what `takes` says and returns a number to minimise, or numbers by name.
        name: The name of the objective, or of several. What else a function returns by name is a
            fact.
        takes: ``"architecture"``, ``"hyperparameters"`` (a mapping from names to values), or
            ``"both"``, in this order.
        costs: Builds the networks of designs, whose costs (``parameters``, ``flops``,
            ``activation_memory``, ``flash``, and measured ``latency_ms`` and ``energy_mj``) are
            then facts on request.

    Raises:
        InputError: If `takes` is something else.

    Example:
        >>> evaluator = FunctionEvaluator(error, costs=NetworkCosts(build, shape=(3, 32, 32)))
        >>> graphbo.minimize(evaluator, space, constraints=["flash<=1e6"])
    """

    def __init__(
        self,
        function: Callable[..., float | Mapping[str, float]],
        name: str | Sequence[str] = "objective",
        takes: str = "architecture",
        *,
        costs: NetworkCosts | None = None,
    ) -> None:
        if takes not in _TAKES:
            raise InputError(f"a function takes one of {', '.join(_TAKES)}; got {takes!r}")
        self.function = function
        self.objectives = (name,) if isinstance(name, str) else tuple(name)
        self.takes = takes
        self.costs = costs
        if costs is not None:
            self.on_request, self.known = costs.names, COMPUTED

    def describe(self) -> Mapping[str, Any]:
        """Return what the function calls itself in its attribute ``described``, if it has one."""
        described = getattr(self.function, "described", None)
        return {} if described is None else {"function": described}

    def _check_request(self, names: Sequence[str]) -> None:
        if self.costs is not None:
            self.costs.deployment.check(names)

    def compute(self, name: str, design: Design, fidelity: Fidelity | None = None) -> float:
        """Return a cost of the network of a design that follows from it.

        Raises:
            InputError: If it is not in `known`.
        """
        if self.costs is None or name not in self.known:
            return super().compute(name, design, fidelity)
        return self.costs.cost(name, design)

    def evaluate_one(self, job: Job) -> Evaluation:
        """Call the function and time it."""
        both = {
            "architecture": job.design.architecture,
            "hyperparameters": dict(job.design.hyperparameters),
        }
        arguments = both.values() if self.takes == "both" else [both[self.takes]]
        start = time.perf_counter()
        found = self.function(*arguments)
        seconds = time.perf_counter() - start
        more = {} if self.costs is None else self.costs.costs(self.requested, job.design)
        if not isinstance(found, Mapping):
            return Evaluation({self.objectives[0]: float(found)}, cost=seconds, facts=more)
        numbers = {**{str(name): float(value) for name, value in found.items()}, **more}
        return Evaluation(
            {name: numbers[name] for name in self.objectives if name in numbers},
            cost=seconds,
            facts={name: value for name, value in numbers.items() if name not in self.objectives},
        )
