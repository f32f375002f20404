"""Look-up of recorded results."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, refuse_hyperparameters
from graphbo.evaluators.costs import NetworkCosts
from graphbo.spaces.base import Design, HyperparameterValue, Row, SearchSpace
from graphbo.trial import COMPUTED, Evaluation, Fidelity, Job

Array = NDArray[np.float64]
_Values = Mapping[str, HyperparameterValue]
_Network = tuple[Architecture, frozenset[tuple[str, HyperparameterValue]]]
_CHECKPOINT = "epochs "
"""What a checkpoint of a look-up begins with; the epochs follow."""
_COMPUTED = ("parameters", "flops")


class TableEvaluator(Evaluator):
    """Looks results up in a table of ``n`` entries, recorded for ``k`` training schedules.

    The look-up is by network: architectures are pruned, and all entries of isomorphic ones, with
    equal hyperparameters if there are any, are averaged, which is the best estimate of what the
    network reaches. A missing or failed result is
    NaN and left out of the averages.

    Args:
        architectures: The architecture of each entry (``n``).
        objectives: Values to minimise by name, each ``n x k``, or ``n`` if there is one schedule.
            The first is the one that a result must have.
        epochs: The epochs of each schedule (``k``), ascending; empty for a single schedule whose
            length is not known.
        cost: Seconds of training (``n x k``, or ``n`` for the longest schedule). For a schedule
            without any recorded cost, that of the longest one with it is scaled by the epochs.
        facts: Further measured numbers by name, such as ``parameters`` and ``flops`` (each ``n``).
        rows: The row of a search space that each entry stands for, used with ``entries="raw"``.
        entries: ``"mean"`` averages; ``"raw"`` takes the entry with the design's own row if there
            is one with its network, else the first entry of the network; ``"seed"`` takes the
            one of the network's entries that the seed of the job picks, as noise, while `values`
            averages them.
        hyperparameters: Those of each entry (``n``), if it was trained with some.
        curves: Whether the schedules are points of one training, so that the results up to the
            one asked for are its learning curve, and a job that goes on from a shorter schedule
            costs the rest.
        known: The facts that are not measured but follow from the architecture, so that an
            optimiser may look them up beforehand; by default ``parameters`` and ``flops``, of
            those that there are.
        costs: Builds the networks of designs, whose costs that are not among the facts are then
            computed, or measured on this machine, on request.

    Raises:
        InputError: If the shapes do not agree or an argument is out of range.

    Example:
        >>> chain = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
        >>> table = TableEvaluator([chain, chain], {"validation_error": [6.0, 8.0]})
        >>> table.evaluate_one(Job(Design(chain, (0,)))).objectives
        {'validation_error': 7.0}
    """

    thread_safe = True

    def __init__(
        self,
        architectures: Sequence[Architecture],
        objectives: Mapping[str, ArrayLike],
        *,
        epochs: Sequence[int] = (),
        cost: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
        rows: Sequence[Row] | None = None,
        entries: str = "mean",
        curves: bool = False,
        known: Sequence[str] | None = None,
        hyperparameters: Sequence[_Values] | None = None,
        costs: NetworkCosts | None = None,
    ) -> None:
        if entries not in ("mean", "raw", "seed"):
            raise InputError(f"entries is 'mean', 'raw' or 'seed'; got {entries!r}")
        if not architectures or not objectives:
            raise InputError("a table has at least one entry and one objective")
        if list(epochs) != sorted(set(epochs)) or any(e <= 0 for e in epochs):
            raise InputError(f"the epochs must be positive and ascending; got {list(epochs)}")
        self.objectives = tuple(objectives)
        self.epochs = tuple(epochs)
        self.entries = entries
        self.curves = curves
        n, k = len(architectures), max(len(epochs), 1)
        self._joint = hyperparameters is not None
        if hyperparameters is not None and len(hyperparameters) != n:
            raise InputError(f"there must be hyperparameters of each of the {n} entries")
        beside: Iterable[_Values] = hyperparameters or itertools.repeat({})
        networks = list(map(_network, architectures, beside))
        groups: dict[_Network, list[int]] = {}
        for entry, network in enumerate(networks):
            groups.setdefault(network, []).append(entry)
        self.architectures = tuple(a for a, _ in groups)
        """The distinct networks; some differ in their hyperparameters only."""
        if entries == "raw":
            index = np.arange(n)
            self._first = {network: group[0] for network, group in groups.items()}
            own = zip(rows or (), networks, strict=rows is not None)
            self._own = {pair: entry for entry, pair in enumerate(own)}
        else:
            index = np.empty(n, int)
            for i, group in enumerate(groups.values()):
                index[group] = i
            self._first = {network: i for i, network in enumerate(groups)}
            self._own = {}
        tables = {name: _table(name, values, n, k) for name, values in objectives.items()}
        self._values = {name: _means(values, index) for name, values in tables.items()}
        # What jobs are answered from: entry by entry with entries="seed", else by network.
        self._groups = list(groups.values()) if entries == "seed" else []
        shown = np.arange(n) if self._groups else index
        self._shown = tables if self._groups else self._values
        self._facts = {
            name: _means(_table(name, values, n, 1), shown)[:, 0]
            for name, values in (facts or {}).items()
        }
        unknown = [name for name in known or () if name not in self._facts]
        if unknown:
            raise InputError(f"the table has the facts {list(self._facts)}; not {unknown[0]!r}")
        usual = [name for name in _COMPUTED if name in self._facts]
        self.known = tuple(usual if known is None else known)
        self._costs = costs
        if costs is not None:
            self.on_request = tuple(name for name in costs.names if name not in self._facts)
            self.known += tuple(name for name in self.on_request if name in COMPUTED)
        self._cost = None if cost is None else _means(self._all_costs(cost, n, k), shown)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse a space with hyperparameters that the table does not record.

        Raises:
            InputError: If it has some.
        """
        if not self._joint:
            refuse_hyperparameters(space, "the table has results")

    def describe(self) -> Mapping[str, Any]:
        """Return a digest of all results."""
        return {"results": self._digest}

    @cached_property
    def _digest(self) -> str:
        content = hashlib.blake2b(digest_size=8)
        for name, values in self._values.items():
            content.update(f"{name} {values.shape}".encode())
            content.update(np.ascontiguousarray(values).tobytes())
        return content.hexdigest()

    def _check_request(self, names: Sequence[str]) -> None:
        if self._costs is not None:
            self._costs.deployment.check(names)

    def values(self, objective: str | None = None, fidelity: Fidelity | None = None) -> Array:
        """Return an objective of everything in the table, NaN where there is no finite entry.

        Args:
            objective: Its name; by default the first.
            fidelity: The schedule; by default the longest.

        Returns:
            One value for each of `architectures`, or for each entry with ``entries="raw"``.
        """
        name = self.objectives[0] if objective is None else objective
        if name not in self._values:
            raise InputError(f"the table has the objectives {list(self.objectives)}; not {name!r}")
        return self._values[name][:, self._schedule(fidelity or {})].copy()

    @property
    def facts(self) -> tuple[str, ...]:
        """The names of the facts."""
        return (*self._facts, *self.requested)

    def fact(self, name: str, architecture: Architecture) -> float:
        """Return a fact of a network, NaN if it was not measured.

        Args:
            name: One of `facts`.
            architecture: The network; results are not looked at.

        Raises:
            InputError: If the table has no such fact.
            LookupError: If the network is not in the table.
        """
        if name not in self._facts:
            raise InputError(f"the table has the facts {list(self._facts)}; not {name!r}")
        return self._fact(name, self._entry(Design(architecture, ())))

    def compute(self, name: str, design: Design, fidelity: Fidelity | None = None) -> float:
        """Return one of the facts in `known`, NaN where the table has none.

        Raises:
            InputError: If the fact is not in `known`.
            LookupError: If the network is not in the table.
        """
        if name not in self.known:
            return super().compute(name, design, fidelity)
        entry = self._entry(design)
        if self._costs is not None and name in self.on_request:
            return self._costs.cost(name, design)
        return self._fact(name, entry)

    def _fact(self, name: str, entry: int) -> float:
        values = self._facts[name][self._groups[entry] if self._groups else [entry]]
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else float("nan")

    def evaluate_one(self, job: Job) -> Evaluation:
        """Look a design up.

        Raises:
            InputError: If the fidelity was not recorded.
            LookupError: If the network is not in the table, or has no finite result.
        """
        schedule = self._schedule(job.fidelity)
        entry = self._entry(job.design)
        if self._groups:
            entry = self._picked(self._groups[entry], schedule, job.seed)
        found = {name: float(values[entry, schedule]) for name, values in self._shown.items()}
        objectives = {name: value for name, value in found.items() if np.isfinite(value)}
        if self.objectives[0] not in objectives:
            raise LookupError(
                f"the table has no finite {self.objectives[0]} for {job.design.architecture!r}"
            )
        facts = {name: float(values[entry]) for name, values in self._facts.items()}
        if self._costs is not None:
            facts |= self._costs.costs(self.requested, job.design)
        if self.epochs:
            facts["epochs"] = float(self.epochs[schedule])
        cost = 0.0 if self._cost is None else float(np.nan_to_num(self._cost[entry, schedule]))
        checkpoint = None
        if self.curves and self.epochs:
            cost -= self._paid(job.checkpoint, entry, schedule)
            if schedule < len(self.epochs) - 1:
                checkpoint = f"{_CHECKPOINT}{self.epochs[schedule]}"
        curve = self._shown[self.objectives[0]][entry, : schedule + 1]
        return Evaluation(
            objectives,
            cost=cost,
            curve=tuple(curve.tolist()) if self.curves and np.isfinite(curve).all() else (),
            facts={name: value for name, value in facts.items() if np.isfinite(value)},
            checkpoint=checkpoint,
        )

    def _paid(self, checkpoint: str | None, entry: int, schedule: int) -> float:
        """Return the seconds up to a checkpoint that an earlier look-up left, before a schedule."""
        if self._cost is None or checkpoint is None or not checkpoint.startswith(_CHECKPOINT):
            return 0.0
        done = self._schedule({"epochs": float(checkpoint.removeprefix(_CHECKPOINT))})
        return float(np.nan_to_num(self._cost[entry, done])) if done < schedule else 0.0

    def _schedule(self, fidelity: Fidelity) -> int:
        if not fidelity:
            return len(self.epochs) - 1 if self.epochs else 0
        epochs = fidelity.get("epochs")
        if set(fidelity) != {"epochs"} or epochs not in self.epochs:
            recorded = f"epochs {list(self.epochs)}" if self.epochs else "no fidelity but the full"
            raise InputError(
                f"the table has no results at the fidelity {dict(fidelity)}; it records {recorded}"
            )
        return self.epochs.index(epochs)

    def _entry(self, design: Design) -> int:
        network = _network(design.architecture, design.hyperparameters)
        if network not in self._first:
            beside = dict(design.hyperparameters)
            what = (
                f"{design.architecture!r} with {beside}" if beside else f"{design.architecture!r}"
            )
            raise LookupError(f"{what} is not in the table")
        return self._own.get((design.row, network), self._first[network])

    def _picked(self, entries: Sequence[int], schedule: int, seed: int) -> int:
        """Return the entry that a seed picks among those with a result."""
        results = self._shown[self.objectives[0]]
        recorded = [entry for entry in entries if np.isfinite(results[entry, schedule])]
        return recorded[seed % len(recorded)] if recorded else entries[0]

    def _all_costs(self, cost: ArrayLike, n: int, k: int) -> Array:
        given = np.asarray(cost, dtype=float)
        if given.shape == (n,):
            costs = np.full((n, k), np.nan)
            costs[:, -1] = given
        else:
            costs = _table("cost", given, n, k).copy()
        recorded = np.flatnonzero(np.isfinite(costs).any(axis=0))
        if len(recorded) and self.epochs:
            longest = int(recorded[-1])
            for schedule in set(range(k)) - set(recorded.tolist()):
                ratio = self.epochs[schedule] / self.epochs[longest]
                costs[:, schedule] = ratio * costs[:, longest]
        return costs


def _network(architecture: Architecture, hyperparameters: _Values) -> _Network:
    return architecture.pruned(), frozenset(hyperparameters.items())


def _table(name: str, values: ArrayLike, n: int, k: int) -> Array:
    table: NDArray[Any] = np.asarray(values, dtype=float)
    if table.shape not in ((n, k), (n,) if k == 1 else (n, k)):
        raise InputError(
            f"{name} must have the shape {(n, k)} of entries and schedules; got {table.shape}"
        )
    return table.reshape(n, k)


def _means(table: Array, index: NDArray[Any]) -> Array:
    """Average the finite values of the rows with equal index; NaN where there is none."""
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    finite = np.isfinite(table)
    sums = np.add.reduceat(np.where(finite, table, 0.0)[order], starts)
    counts = np.add.reduceat(finite[order].astype(float), starts)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
