from __future__ import annotations

import sys

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.goals import Goals
from graphbo.report import anytime_figure, incumbent_values, search_figure
from graphbo.spaces import CellSpace, Design
from graphbo.trial import Evaluation, Trial

DESIGN = Design(Architecture(["input", "output"], []), ())


def trials(*values: float | None) -> list[Trial]:
    return [
        Trial(DESIGN, value=value, error="failed" if value is None else None) for value in values
    ]


def test_the_incumbent_is_the_best_so_far_and_failures_change_nothing() -> None:
    curve = incumbent_values(trials(None, 5.0, 7.0, None, 3.0))
    np.testing.assert_equal(curve, [np.nan, 5.0, 5.0, 5.0, 3.0])


def test_a_curve_is_cut_or_drawn_out_to_a_length() -> None:
    history = trials(5.0, 4.0, 3.0)
    np.testing.assert_equal(incumbent_values(history, 2), [5.0, 4.0])
    np.testing.assert_equal(incumbent_values(history, 5), [5.0, 4.0, 3.0, 3.0, 3.0])
    np.testing.assert_equal(incumbent_values([], 2), [np.nan, np.nan])


def test_a_search_is_plotted_as_trials_incumbent_and_failures() -> None:
    figure = search_figure(trials(9.0, None, 8.0, 8.5), objective="validation_error", optimum=7.5)
    (ax,) = figure.axes
    dots, best, failed = ax.get_lines()
    np.testing.assert_allclose(dots.get_ydata(), [1.5, np.nan, 0.5, 1.0])
    np.testing.assert_allclose(best.get_ydata(), [1.5, 1.5, 0.5, 0.5])
    np.testing.assert_equal(failed.get_xdata(), [2])
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "regret: validation error above the optimum (%)"
    assert ax.get_xlabel() == "evaluations"


def test_without_an_optimum_the_objective_itself_is_plotted() -> None:
    (ax,) = search_figure(trials(9.0, 8.0), objective="loss").axes
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), [9.0, 8.0])
    assert ax.get_ylabel() == "loss"
    (ax,) = search_figure(trials(9.0, -8.0), objective="loss").axes
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("values", [(None, None), (), (7.5, 7.5)])
def test_searches_without_a_regret_can_be_plotted(values: tuple[float | None, ...]) -> None:
    for optimum in (None, 7.5):
        search_figure(trials(*values), optimum=optimum).draw_without_rendering()


def test_anytime_curves_are_means_with_bands_on_a_log_axis() -> None:
    curves = {"a": [[4.0, 2.0, 1.0], [2.0, 2.0, 0.5]], "b": [[4.0, 4.0, 4.0], [4.0, 2.0, 2.0]]}
    (ax,) = anytime_figure(curves, title="toy").axes
    a, b = ax.get_lines()
    np.testing.assert_allclose(a.get_ydata(), [3.0, 2.0, 0.75])
    np.testing.assert_allclose(b.get_ydata(), [4.0, 3.0, 3.0])
    assert a.get_color() != b.get_color()
    assert a.get_linestyle() != b.get_linestyle()
    assert len(ax.collections) == 2
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "mean regret in validation error\n(percentage points)"
    assert ax.get_title() == "toy"


def test_a_mean_regret_of_nought_is_drawn_at_the_bottom_which_is_labelled() -> None:
    (ax,) = anytime_figure({"a": [[1.0, 0.5, 0.0]]}).axes
    line = ax.get_lines()[0]
    assert line.get_ydata()[-1] == ax.get_ylim()[0]  # type: ignore[index]
    assert [text.get_text() for text in ax.texts] == ["0"]


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[plot\]"):
        search_figure(trials(1.0))


def test_trainings_that_are_not_full_do_not_count_where_they_are_told_from_others() -> None:
    design = CellSpace(3, ["a"], on="edges").enumerate()[0]
    history = [
        Trial(design, value, fidelity={"epochs": epochs})
        for value, epochs in ((5.0, 1.0), (4.0, 3.0), (3.0, 3.0))
    ]
    np.testing.assert_equal(incumbent_values(history), [np.nan, 4.0, 3.0])
    np.testing.assert_equal(incumbent_values(history, full=3.0), [np.nan, 4.0, 3.0])
    np.testing.assert_equal(incumbent_values(history, full=9.0), [np.nan] * 3)


def test_trainings_of_fewer_epochs_and_what_breaks_a_constraint_are_open_circles() -> None:
    pytest.importorskip("matplotlib")
    design = CellSpace(3, ["a"], on="edges").enumerate()[0]
    history = [
        Trial(
            design,
            value,
            fidelity={"epochs": epochs},
            evaluation=Evaluation({"error": value, "size": size}),
        )
        for value, epochs, size in ((5.0, 1.0, 1.0), (4.0, 3.0, 1.0), (3.0, 3.0, 9.0))
    ]
    (axes,) = search_figure(history, goals=Goals.of("error", ["size<=2"])).axes
    shown = {line.get_label(): line for line in axes.lines}
    for label, number, style in (
        ("trial", 2, "full"),
        ("fewer epochs", 1, "none"),
        ("infeasible", 3, "none"),
    ):
        assert np.asarray(shown[label].get_xdata()).tolist() == [number]
        assert shown[label].get_fillstyle() == style
