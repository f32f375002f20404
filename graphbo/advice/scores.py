"""Scores of optimisers from weighted measurements."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from graphbo.advice.features import Task, similarity
from graphbo.advice.measurements import Array, Measurement
from graphbo.advice.report import Advice, Candidate, Evidence
from graphbo.errors import InputError

PRIOR = 0.5
"""The weight of what is known before: half that of one measurement of a search that is exactly
alike, so that a single one outweighs it. In it an optimiser wins half of its comparisons."""
_STEPS = 10_000
_EXACT = 1e-12


def advise_from(
    measurements: Sequence[Measurement],
    task: Task,
    usable: Collection[str],
    *,
    left_out: Mapping[str, str] | None = None,
    problem: str = "",
    notes: Sequence[str] = (),
) -> Advice:
    """Return which of the optimisers that can be used did best in searches like the given one.

    Each measurement is looked at where its budget is nearest. In each seed, each pair of optimisers
    that can be used is a comparison; those of an optimiser sum up to the `similarity` of the
    measurement. Not all were measured against all: which of them are strong follows from a
    Bradley-Terry model, in which one of strength a beats one of strength b with the probability
    a / (a + b), so that beating the strong counts for more than beating the weak. Where all were
    measured everywhere, it ranks as the weighted mean shares of wins do. A Beta prior of weight
    `PRIOR`, comparisons with one of strength 1 that end in a draw, takes strengths with little
    evidence to 1.

    Reference: Bradley and Terry, "Rank analysis of incomplete block designs", Biometrika 1952;
    fitted as by Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics
    2004.

    Args:
        measurements: The measurements, in any order.
        task: The search.
        usable: The optimisers that can be used; those that were not measured do not count.
        left_out: What the advice is to say of the others.
        problem: What it is to call the problem.
        notes: What it is to note.

    Raises:
        InputError: If none of them was measured.
    """
    ordered = sorted(measurements, key=lambda each: each.name)
    names = sorted({name for each in ordered for name in each.regrets if name in usable})
    if not names:
        raise InputError(
            "none of the optimisers that can be used here was measured; name one that suits"
        )
    index = {name: i for i, name in enumerate(names)}
    won = np.zeros((len(names), len(names)))
    weights = np.zeros(len(names))
    looked_at: list[tuple[float, int, Measurement]] = []
    for each in ordered:
        point = each.nearest(task.budget)
        compared, shares = each.wins(point, names)
        if len(compared) < 2:
            continue
        weight = similarity(task, each.task(point))
        rows = [index[name] for name in compared]
        won[np.ix_(rows, rows)] += weight * shares / (len(compared) - 1)
        weights[rows] += weight
        looked_at.append((weight, point, each))
    strengths = _strengths(won)
    scores = _expected_shares(strengths)
    # Rounded, so that what differs by the order of sums alone is a tie, and names decide.
    order = sorted(range(len(names)), key=lambda i: (-round(float(scores[i]), 9), names[i]))
    candidates = [Candidate(names[i], float(scores[i]), float(weights[i])) for i in order]
    best = candidates[0]
    evidence = [
        _evidence(best.optimizer, weight, point, each)
        for weight, point, each in looked_at
        if best.optimizer in each.regrets
    ]
    evidence.sort(key=lambda each: (-each.weight, each.condition))
    return Advice(
        optimizer=best.optimizer,
        score=best.score,
        runners_up=tuple(candidates[1:]),
        evidence=tuple(evidence),
        left_out=dict(left_out or {}),
        task=task,
        problem=problem,
        notes=tuple(notes),
    )


def _strengths(won: Array) -> Array:
    """Return the strengths under which these comparisons and the prior are most probable.

    Args:
        won: The weight of the comparisons that the first of a pair won, ``n x n``.
    """
    games = won + won.T
    wins = won.sum(axis=1) + PRIOR / 2
    strengths = np.ones(len(won))
    for _ in range(_STEPS):
        played = (games / (strengths[:, None] + strengths[None])).sum(axis=1)
        updated: Array = wins / (played + PRIOR / (strengths + 1))
        moved = float(np.abs(np.log(updated / strengths)).max())
        strengths = updated
        if moved < _EXACT:
            break
    return strengths


def _expected_shares(strengths: Array) -> Array:
    """Return the mean probability of each to beat another one; 1/2 if there is no other."""
    if len(strengths) == 1:
        return np.array([0.5])
    chances = strengths[:, None] / (strengths[:, None] + strengths[None])
    shares: Array = (chances.sum(axis=1) - 0.5) / (len(strengths) - 1)
    return shares


def _evidence(name: str, weight: float, point: int, measurement: Measurement) -> Evidence:
    regrets = {
        other: measurement.mean_regret(other, point)
        for other in sorted(measurement.regrets)
        if other != name
    }
    known = {other: value for other, value in regrets.items() if not math.isnan(value)} or regrets
    best_other = min(known, key=lambda other: known[other])
    return Evidence(
        condition=measurement.name,
        problem=measurement.problem,
        task=measurement.task(point),
        weight=weight,
        mean_rank=measurement.mean_rank(name, point),
        compared=len(measurement.regrets),
        mean_regret=measurement.mean_regret(name, point),
        best_other=best_other,
        best_other_regret=known[best_other],
        seeds=measurement.seeds,
    )
