"""The comparisons that advice rests on, and the file that they are stored in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbo.advice.features import SpaceFeatures, Task
from graphbo.errors import InputError

Array = npt.NDArray[np.float64]
FORMAT = 1
SHIPPED = Path(__file__).with_name("measurements.json")
"""The measurements that come with the package; ``benchmarks/conditions.py`` writes them."""
_DIGITS = 5


@dataclass(frozen=True)
class Measurement:
    """Several optimisers compared in one condition, over several seeds.

    Attributes:
        name: The name of the condition.
        problem: The name of the problem.
        space: What its space is like.
        fidelities: Whether the budget was one in epochs, and they could be chosen.
        workers: How many designs were evaluated at a time.
        points: The budgets at which regrets are given, ascending: trials, or full trainings.
        regrets: For each optimiser its regrets, ``points x seeds``; NaN where there is no result.
        areas: For each optimiser the mean regret over all that it spent, up to the last point
            (``seeds``), where the budget was one in epochs.
        areas_in_seconds: The same over the seconds of training, up to what every run has spent,
            where these are known.
        seconds: For each optimiser what it took for a trial.
        inapplicable: For each optimiser that cannot be used on the problem, why not.
    """

    name: str
    problem: str
    space: SpaceFeatures
    fidelities: bool
    workers: int
    points: tuple[float, ...]
    regrets: Mapping[str, Array]
    areas: Mapping[str, Array] = field(default_factory=dict)
    areas_in_seconds: Mapping[str, Array] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    inapplicable: Mapping[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """The number of runs of each optimiser."""
        return int(next(iter(self.regrets.values())).shape[1])

    def task(self, point: int) -> Task:
        """Return the search that was measured, with its budget at one of the points."""
        return Task(self.space, self.points[point], self.fidelities, self.workers)

    def nearest(self, budget: float) -> int:
        """Return the point whose budget is nearest, in its logarithm; the smaller of equals.

        The points of a run are correlated, so that only one of them is evidence.
        """
        distances = np.abs(np.log(np.array(self.points) / budget))
        return int(np.argmin(np.round(distances, 12)))

    def wins(self, point: int, among: Collection[str]) -> tuple[list[str], Array]:
        """Return how often each optimiser has a smaller regret than each other one.

        Args:
            point: The point.
            among: Those that count.

        Returns:
            The names of those that were compared, sorted, and the share of seeds in which the
            first of a pair is ahead, ties counting half, ``optimisers x optimisers``; the diagonal
            is 0.
        """
        names = sorted(set(among) & set(self.regrets))
        index = [self._index[name] for name in names]
        return names, self._wins[point][np.ix_(index, index)]

    def share(self, name: str, point: int) -> float:
        """Return an optimiser's mean share of wins against all others that were compared.

        A mean rank among ``n`` is 1 + (n - 1) (1 - share), so that 1 - share is the mean rank
        normalised to 0 for the best and 1 for the worst.
        """
        row = self._wins[point][self._index[name]]
        return float(row.sum() / max(len(row) - 1, 1))

    def mean_rank(self, name: str, point: int) -> float:
        """Return an optimiser's mean rank over the seeds, among all that were compared."""
        return 1 + (len(self.regrets) - 1) * (1 - self.share(name, point))

    def mean_regret(self, name: str, point: int) -> float:
        """Return an optimiser's mean regret; NaN if some run has no result."""
        return float(np.mean(self.regrets[name][point]))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(sorted(self.regrets))}

    @cached_property
    def _wins(self) -> Array:
        table = np.stack([self.regrets[name] for name in self._index])
        values = np.where(np.isnan(table), np.inf, table)  # no result loses against any
        first, second = values[:, None], values[None]
        shares = ((first < second) + 0.5 * (first == second)).mean(axis=-1)
        shares[range(len(table)), range(len(table))] = 0.0
        found: Array = np.moveaxis(shares, -1, 0)
        return found


def read_measurements(path: str | Path | None = None) -> tuple[Measurement, ...]:
    """Return the measurements of a file.

    Args:
        path: The file; by default the one that comes with the package.

    Raises:
        InputError: If it cannot be read, or holds no measurements.
    """
    return _read_shipped() if path is None else _read(Path(path))


@lru_cache
def _read_shipped() -> tuple[Measurement, ...]:
    return _read(SHIPPED)


def _read(path: Path) -> tuple[Measurement, ...]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] > FORMAT:
            raise InputError(f"{path} was written by a newer version: upgrade graphbo to read it")
        return tuple(map(_measurement, content["conditions"]))
    except OSError as error:
        raise InputError(f"the measurements {path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged, or no file of measurements") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged, or no file of measurements") from error


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    found = entry["optimizers"]
    return Measurement(
        name=entry["name"],
        problem=entry["problem"],
        space=SpaceFeatures(**entry["space"]),
        fidelities=entry["fidelities"],
        workers=entry["workers"],
        points=tuple(map(float, entry["points"])),
        regrets={name: np.array(each["regret"], dtype=np.float64) for name, each in found.items()},
        areas=_arrays(found, "area"),
        areas_in_seconds=_arrays(found, "area_in_seconds"),
        seconds={name: float(each["seconds_per_trial"]) for name, each in found.items()},
        inapplicable=entry["inapplicable"],
    )


def _arrays(found: Mapping[str, Any], key: str) -> dict[str, Array]:
    return {name: np.array(each[key]) for name, each in found.items() if key in each}


def to_text(measurements: Sequence[Measurement], command: str) -> str:
    """Return measurements as the text of a file, a line for each optimiser.

    Args:
        measurements: The measurements.
        command: The command that made them.
    """
    conditions = ",\n".join(map(_condition_text, measurements))
    head = f'"format": {FORMAT},\n"command": {json.dumps(command)}'
    return f'{{\n{head},\n"conditions": [\n{conditions}\n]\n}}\n'


def _condition_text(measurement: Measurement) -> str:
    head = {
        "name": measurement.name,
        "problem": measurement.problem,
        "space": dataclasses.asdict(measurement.space),
        "fidelities": measurement.fidelities,
        "workers": measurement.workers,
        "points": list(map(_number, measurement.points)),
        "inapplicable": dict(measurement.inapplicable),
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    runs = [
        f"    {json.dumps(name)}: "
        + json.dumps(
            {
                "seconds_per_trial": _number(measurement.seconds.get(name, 0.0)),
                **{
                    key: list(map(_number, areas[name].tolist()))
                    for key, areas in (
                        ("area", measurement.areas),
                        ("area_in_seconds", measurement.areas_in_seconds),
                    )
                    if name in areas
                },
                "regret": [list(map(_number, row)) for row in table.tolist()],
            },
            separators=(",", ":"),
            allow_nan=False,
        )
        for name, table in measurement.regrets.items()
    ]
    inside = ",\n".join([*lines, '  "optimizers": {\n' + ",\n".join(runs) + "\n  }"])
    return f"{{\n{inside}\n}}"


def _number(value: float) -> float | int | None:
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
