"""Whether a table is whole, and holds what its protocol gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.problems.curves import MISSING, CurveTable
from graphbo.spaces.base import Design
from graphbo.tabulate.equivalence import networks
from graphbo.tabulate.protocol import Protocol
from graphbo.tabulate.statistics import text

TOLERANCE = 4.0
"""Standard deviations between seeds by which a retrained accuracy may differ."""
_ALIKE = 100  # cells of similar accuracy that tell the noise of one


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


def read(path: str | Path) -> tuple[CurveTable | None, Finding]:
    """Read a table, and check that it is what was written.

    Returns:
        The table, or None if it cannot be read, and the finding.

    Raises:
        InputError: If there is no such file.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no file {path}")
    try:
        table = CurveTable.read(path)
    except InputError as error:
        return None, Finding("checksum", False, str(error))
    return table, Finding("checksum", True, table.checksum)


def check(table: CurveTable) -> list[Finding]:
    """Check that a table of `build` is complete and agrees with its protocol.

    Raises:
        InputError: If it records no protocol.
    """
    protocol = recorded_protocol(table)
    if table.vectors is not None:
        return [_complete(table, protocol, table.designs()), _recorded(table, protocol)]
    designs = table.designs()
    return [
        _complete(table, protocol, designs),
        _recorded(table, protocol),
        _shared(table, [design.architecture for design in designs]),
    ]


def recorded_protocol(table: CurveTable) -> Protocol:
    """Return the protocol that a table was made by.

    Raises:
        InputError: If it records none.
    """
    if "protocol" not in table.about:
        raise InputError(
            f"the table {table.name} records no protocol: it was not made by graphbo table build"
        )
    return Protocol.from_json(table.about["protocol"])


def _complete(table: CurveTable, protocol: Protocol, designs: Sequence[Design]) -> Finding:
    wanted, found = set(protocol.designs()), set(designs)
    faults = {
        "cells are missing": len(wanted - found),
        "cells are not of the space": len(found - wanted),
        "cells are there more than once": len(designs) - len(found),
    }
    shape = (table.seeds, tuple(table.epochs.tolist()))
    planned = (len(protocol.seeds), tuple(range(1, protocol.recipe.epochs + 1)))
    wrong = [f"{count:,} {fault}" for fault, count in faults.items() if count]
    if shape != planned:
        wrong.append(f"the protocol has {planned[0]} seeds and {len(planned[1])} epochs")
    if dict(table.space) != dict(protocol.space):
        wrong.append(f"the space is {dict(table.space)}, that of the protocol {protocol.space}")
    whole = f"{len(wanted):,} cells, {shape[0]} seeds, {len(shape[1])} epochs"
    return Finding("completeness", not wrong, "; ".join(wrong) or whole)


def _recorded(table: CurveTable, protocol: Protocol) -> Finding:
    """Every training is there from its first to its last epoch, or said to have diverged."""
    kinds = [counts for counts in (table.valid, table.test) if counts is not None]
    if len(kinds) < 2 or table.seconds is None or {"parameters", "flops"} - set(table.facts):
        return Finding("results", False, "the table lacks accuracies, seconds, parameters or flops")
    gone = np.stack([counts == MISSING for counts in kinds])  # kind x cell x seed x epoch
    diverged = gone.all(axis=(0, 3))
    torn = int((gone.any(axis=(0, 3)) & ~diverged).sum())
    said = table.about.get("diverged", "0").split()[0]
    wrong = []
    if torn:
        wrong.append(f"{torn:,} trainings lack some of their epochs")
    if str(diverged.sum()) != said:
        wrong.append(f"{diverged.sum():,} trainings are missing, {said} of them said to diverge")
    if not np.isfinite(table.seconds).all() or (table.seconds <= 0).any():
        wrong.append("seconds are missing")
    trainings = f"{diverged.size:,} trainings, {said} of them diverged"
    return Finding("results", not wrong, "; ".join(wrong) or trainings)


def _shared(table: CurveTable, architectures: Sequence[Architecture]) -> Finding:
    arrays = [table.valid, table.test, table.seconds, *table.facts.values()]
    groups = networks(architectures)
    unlike = 0
    for group in groups.values():
        for array in arrays:
            if array is not None and (array[group] != array[group[:1]]).any():
                unlike += 1
                break
    return Finding(
        "equal networks",
        not unlike,
        f"{unlike:,} networks have cells with different results"
        if unlike
        else f"{len(groups):,} networks, and the same results for the cells of each",
    )


def retrain(
    table: CurveTable,
    count: int = 5,
    *,
    seed: int = 0,
    device: str | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> list[Finding]:
    """Train random cells of a table again, each alone, and compare.

    Each is trained with one of the protocol's seeds. Its parameters and FLOPs must be those of the
    table, its accuracies after the last epoch within four standard deviations between the seeds of
    a cell, pooled over the hundred cells of the most similar accuracy (and within one image, where
    these never differ).

    Args:
        table: The table.
        count: How many cells.
        seed: Picks the cells and their seeds.
        device: Where to train; by default the GPU if there is one.
        on_progress: Told the number of cells that are done.

    Raises:
        InputError: If the count is negative, or the table records no protocol or a single seed.
    """
    from graphbo.networks.flops import flops, parameters
    from graphbo.training.hyperparameters import tuned
    from graphbo.training.trainer import train

    if count < 0:
        raise InputError(f"the number of cells to train again must be at least 0; got {count}")
    protocol = recorded_protocol(table)
    if table.seeds < 2:
        raise InputError(
            f"the table {table.name} has a single seed, which tells nothing of the noise"
        )
    data = protocol.data()
    designs = table.designs()
    architectures = [design.architecture for design in designs]
    # Of the cells of a network, the build trains that with the first canonical row.
    first = list(range(len(designs)))
    if table.vectors is None:
        first = sorted(group[0] for group in networks(architectures).values())
    last = {kind: table.percent(kind)[:, :, -1] for kind in ("valid", "test")}
    trained = [i for i in first if np.isfinite(last["valid"][i]).any()]
    rng = np.random.default_rng(seed)
    chosen = rng.choice(trained, min(count, len(trained)), replace=False)
    findings = []
    for done, i in enumerate(chosen, start=1):
        s = int(rng.choice(np.flatnonzero(np.isfinite(last["valid"][i]))))
        beside = designs[i].hyperparameters
        network = protocol.network(architectures[i], protocol.seeds[s], data, beside)
        facts = {"parameters": parameters(network), "flops": flops(network, data.shape)}
        training = train(
            network,
            tuned(protocol.recipe, beside),
            data.train,
            data.validation,
            data.test,
            seed=protocol.seeds[s],
            device=device,
            precision="float32",  # as the build has it
        )
        reached = {"valid": training.validation_error[-1], "test": training.test_error[-1]}
        passed, parts = True, []
        for kind, error in reached.items():
            recorded = float(last[kind][i, s])
            allowed = max(TOLERANCE * _noise(last[kind], i), 100 / table.images[kind])
            passed &= abs(100 - error - recorded) <= allowed + 1e-9
            parts.append(f"{kind} {100 - error:.2f} for {recorded:.2f} +- {allowed:.2f} %")
        for fact, value in facts.items():
            if fact in table.facts and value != table.facts[fact][i]:
                passed = False
                parts.append(f"{fact} {value} for {table.facts[fact][i]}")
        name = f"retraining {text(table, architectures[i])}, seed {protocol.seeds[s]}"
        findings.append(Finding(name, passed, ", ".join(parts)))
        if on_progress is not None:
            on_progress(done)
    return findings


def _noise(values: NDArray[np.float64], cell: int) -> float:
    """Return the standard deviation between seeds (``cells x seeds``) of cells like one."""
    mean = np.nanmean(values[cell])
    several = values[np.isfinite(values).sum(axis=1) > 1]
    if not len(several):
        return 0.0
    alike = np.argsort(np.abs(np.nanmean(several, axis=1) - mean), kind="stable")[:_ALIKE]
    return float(np.nanvar(several[alike], axis=1, ddof=1).mean() ** 0.5)
