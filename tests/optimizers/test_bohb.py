"""BOHB: the densities by hand, the rung of the model, and what it proposes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.optimizers import make_optimizer
from graphbo.optimizers.bohb import BOHB
from graphbo.optimizers.density import KernelDensity, impute, kernel
from graphbo.problems import get_problem
from graphbo.spaces import CellSpace, ChainSpace, SearchSpace
from graphbo.spaces.base import INACTIVE, Column, Row
from graphbo.study import Study
from graphbo.trial import Trial

ABC = Column("operation", 3)
WIDTH = Column("width", 3, ordered=True)
SPACE = CellSpace(3, ["a", "b"], on="edges")  # three decisions
RNG = np.random.default_rng(0)


def made(space: SearchSpace = SPACE, **settings: Any) -> BOHB:
    optimizer = make_optimizer("bohb", space, epochs=[1, 3, 9], **settings)
    assert isinstance(optimizer, BOHB)
    return optimizer


def told(optimizer: BOHB, epochs: int, rows: list[Row], best: Row = (0, 0, 0)) -> None:
    """Tell results that the optimiser did not ask for: the distance from the best row."""
    for row in rows:
        value = float(sum(a != b for a, b in zip(row, best, strict=True)))
        design = optimizer.space.design(row)
        optimizer.tell(Trial(design, value, fidelity={"epochs": float(epochs)}))


def distinct_rows(n: int) -> list[Row]:
    """Return rows of n architectures."""
    return [design.row for design in SPACE.enumerate()[:n]]


# Densities ---------------------------------------------------------------------------------------


def test_the_kernel_of_unordered_choices_is_that_of_aitchison_and_aitken() -> None:
    expected = [[0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]
    np.testing.assert_allclose(kernel(0.3, ABC), expected)


def test_the_kernel_of_ordered_choices_falls_with_the_steps() -> None:
    # 1, h/2 and h^2/2 of Wang and Van Ryzin for h = 0.4, divided by their sum over the choices.
    edge, middle = np.array([1, 0.2, 0.08]), np.array([0.2, 1, 0.2])
    expected = [edge / 1.28, middle / 1.4, edge[::-1] / 1.28]
    np.testing.assert_allclose(kernel(0.4, WIDTH), expected)


def test_the_density_of_two_rows_by_hand() -> None:
    density = KernelDensity(np.array([[0, 0], [1, 2]]), [ABC, WIDTH])
    # n = 2 and d = 2: 1.06 n^(-1/6) = 0.94435; half of all pairs of operations differ, so that
    # s = 1/2; the deviation of 0 and 2 is 1.
    h, w = density.bandwidths
    assert h == pytest.approx(0.47218, abs=1e-5)
    assert w == pytest.approx(0.94435, abs=1e-5)
    a, b, c = 1, w / 2, w**2 / 2
    expected = [
        (1 - h) * a / (a + b + c) / 2 + h / 2 * c / (a + b + c) / 2,
        h / 2 * b / (a + b + c) / 2 + h / 2 * b / (a + b + c) / 2,
    ]
    found = density.log_density(np.array([[0, 0], [2, 1]]))
    np.testing.assert_allclose(np.exp(found), expected)


def test_a_density_sums_to_one_and_draws_follow_it() -> None:
    density = KernelDensity(np.array([[0, 0], [1, 2], [1, 1]]), [ABC, WIDTH])
    rows = np.array([[i, j] for i in range(3) for j in range(3)])
    expected = np.exp(density.log_density(rows))
    assert expected.sum() == pytest.approx(1)
    counts = Counter(map(tuple, density.draw(20_000, RNG).tolist()))
    shares = [counts[tuple(row)] / 20_000 for row in rows.tolist()]
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_a_density_of_many_ordered_choices_is_a_number() -> None:
    density = KernelDensity(np.zeros((5, 1)), [Column("width", 150, True)])
    assert np.isfinite(density.log_density(np.array([[0.0], [149.0]]))).all()


def test_bandwidths_are_bounded_and_independent_of_the_numbering() -> None:
    same = KernelDensity(np.zeros((5, 2), int), [ABC, WIDTH], min_bandwidth=0.01)
    assert same.bandwidths == (0.01, 0.01)
    far = KernelDensity(np.array([[0], [9]]), [Column("", 10, ordered=True)])
    assert far.bandwidths == (1.0,)
    one = KernelDensity(np.zeros((5, 1), int), [Column("", 1)])
    np.testing.assert_allclose(one.log_density(np.zeros((1, 1), int)), 0)
    neighbours = KernelDensity(np.array([[0], [1], [1]]), [ABC])
    apart = KernelDensity(np.array([[0], [2], [2]]), [ABC])
    assert neighbours.bandwidths == apart.bandwidths


def test_a_wide_draw_of_unordered_choices_is_uniform() -> None:
    density = KernelDensity(np.zeros((9, 1), int), [ABC], min_bandwidth=0.5)
    shares = np.bincount(density.draw(6_000, RNG, factor=3)[:, 0].astype(int)) / 6_000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


def test_inactive_decisions_are_imputed_from_rows_in_which_they_are_active() -> None:
    decisions = [ABC, ABC, WIDTH]
    rows = np.array([[0, INACTIVE, INACTIVE], [1, 2, 1]])
    np.testing.assert_array_equal(impute(rows, decisions, RNG), [[0, 2, 1], [1, 2, 1]])
    assert rows[0, 1] == INACTIVE
    alone = [impute(rows[:1], decisions, RNG)[0].tolist() for _ in range(50)]
    assert {tuple(row) for row in alone} == {(0, i, j) for i in range(3) for j in range(3)}


# The model ---------------------------------------------------------------------------------------


def test_the_model_is_that_of_the_highest_rung_with_enough_results() -> None:
    optimizer = made()
    rows = distinct_rows(8)
    told(optimizer, 1, rows[:5])
    assert optimizer.observed() == []
    told(optimizer, 1, rows[5:])
    assert {row for _, row in optimizer.observed()} == set(rows)
    told(optimizer, 3, rows[:5])
    assert {row for _, row in optimizer.observed()} == set(rows)
    told(optimizer, 3, rows[5:6])
    assert {row for _, row in optimizer.observed()} == set(rows[:6])


def test_the_best_are_good_and_failures_are_the_worst() -> None:
    optimizer = made()
    rows = distinct_rows(8)
    optimizer.tell(Trial(SPACE.design(rows[0]), error="failed", fidelity={"epochs": 1.0}))
    told(optimizer, 1, rows[1:], best=rows[7])
    ranked = [row for _, row in optimizer.observed()]
    assert ranked[0] == rows[7]
    assert ranked[-1] == rows[0]
    densities = optimizer.densities(RNG)
    assert densities is not None
    good, others = densities
    # d + 1 = 4 of 8 at least are good, and the rest is not.
    np.testing.assert_array_equal(good.vectors, ranked[:4])
    np.testing.assert_array_equal(others.vectors, ranked[4:])


def test_of_few_results_some_are_in_both_densities() -> None:
    optimizer = made()
    told(optimizer, 1, distinct_rows(6))
    ranked = [row for _, row in optimizer.observed()]
    densities = optimizer.densities(RNG)
    assert densities is not None
    np.testing.assert_array_equal(densities[0].vectors, ranked[:4])
    np.testing.assert_array_equal(densities[1].vectors, ranked[2:])


def test_most_designs_come_from_the_model_and_a_third_are_random() -> None:
    optimizer = made(CellSpace(4, ["a", "b", "c"], on="edges"), seed=3)
    assert {design.origin for design in optimizer.ask(9)} == {"random"}
    optimizer.tell([Trial(design, float(sum(design.row))) for design in optimizer.pending])
    for _ in range(9 // 3 + 1):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, float(sum(design.row))))
    origins = Counter(design.origin for design in optimizer.ask(300))
    assert set(origins) == {"bohb", "random"}
    assert 70 < origins["random"] < 130


def test_the_model_favours_what_was_good() -> None:
    optimizer = made(CellSpace(4, ["a", "b", "c"], on="edges"))
    for _ in range(100):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, -float(design.row.count(1))))
    started = [trial.design for trial in optimizer.told if trial.epochs == 1]
    mean = {
        origin: np.mean([design.row.count(1) for design in started if design.origin == origin])
        for origin in ("random", "bohb")
    }
    assert mean["bohb"] > mean["random"] + 1


def test_conditional_decisions_are_searched() -> None:
    optimizer = made(ChainSpace(3, ["conv3x3"], ["maxpool2"], [8, 16]))
    for _ in range(40):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, float(len(design.architecture.nodes))))
    assert any(trial.design.origin == "bohb" for trial in optimizer.told)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("good_share", 1.5, "good_share of bohb is from 0 to 1; got 1.5"),
        ("random_share", -0.1, "random_share of bohb is from 0 to 1; got -0.1"),
        ("samples", 0, "samples of bohb must be at least 1; got 0"),
        ("bandwidth_factor", 0.0, "bandwidth_factor of bohb must be greater than 0; got 0.0"),
        ("min_bandwidth", 0.0, "min_bandwidth of bohb must be greater than 0; got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float, message: str) -> None:
    settings: dict[str, Any] = {setting: value}
    with pytest.raises(InputError, match=message):
        made(**settings)


@pytest.mark.slow
def test_it_beats_hyperband_on_average() -> None:
    problem = get_problem("digits-table")
    bohb, hyperband = (
        np.mean([Study.of(problem, name, seed=seed).run(epochs=200).value for seed in range(10)])
        for name in ("bohb", "hyperband")
    )
    assert bohb < hyperband
