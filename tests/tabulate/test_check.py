"""Whether a table is whole, and how useful it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.problems.curves import MISSING, CurveTable
from graphbo.tabulate import check
from graphbo.tabulate.statistics import agreement, by_epoch, figures, spearman, statistics

SPACE = {"type": "cell", "nodes": 2, "operations": ["a", "b", "c", "d", "e"], "on": "edges"}


def test_a_table_that_was_built_passes(table: CurveTable, tmp_path: Path) -> None:
    table.write(tmp_path / "tiny.npz")
    read, finding = check.read(tmp_path / "tiny.npz")
    assert finding.passed
    assert read is not None
    assert [f.name for f in check.check(read) if f.passed] == [
        "completeness",
        "results",
        "equal networks",
    ]


def failed(table: CurveTable) -> dict[str, str]:
    return {f.name: f.detail for f in check.check(table) if not f.passed}


def rows(table: CurveTable, keep: list[int]) -> CurveTable:
    """The table of some of the rows."""
    assert table.valid is not None
    assert table.test is not None
    assert table.seconds is not None
    return replace(
        table,
        rows=table.rows[keep],
        valid=table.valid[keep],
        test=table.test[keep],
        seconds=table.seconds[keep],
        facts={name: values[keep] for name, values in table.facts.items()},
    )


def test_missing_and_repeated_cells_are_counted(table: CurveTable) -> None:
    n = len(table.rows)
    assert failed(rows(table, list(range(2, n)))) == {"completeness": "2 cells are missing"}
    assert failed(rows(table, [*range(n), 4])) == {
        "completeness": "1 cells are there more than once"
    }


def test_seeds_and_epochs_are_those_of_the_protocol(table: CurveTable) -> None:
    assert table.valid is not None
    assert table.test is not None
    shorter = replace(
        table, valid=table.valid[..., :1], test=table.test[..., :1], epochs=table.epochs[:1]
    )
    assert failed(shorter) == {"completeness": "the protocol has 2 seeds and 2 epochs"}


def changed(table: CurveTable, where: tuple[object, ...], value: int, *kinds: str) -> CurveTable:
    """The table with some counts replaced."""
    arrays = {kind: np.array(getattr(table, kind)) for kind in kinds}
    for array in arrays.values():
        array[where] = value
    return replace(table, **arrays)  # type: ignore[arg-type]


def last_alone(table: CurveTable) -> int:
    """A cell whose network no other cell is: that of 3x3 convolutions everywhere."""
    return int(table.facts["parameters"].argmax())


def test_a_missing_epoch_is_found(table: CurveTable) -> None:
    torn = changed(table, (last_alone(table), 0, 1), MISSING, "valid")
    assert failed(torn) == {"results": "1 trainings lack some of their epochs"}


def test_a_training_may_be_missing_if_it_is_said_to_have_diverged(table: CurveTable) -> None:
    gone = changed(table, (last_alone(table), 1), MISSING, "valid", "test")
    assert failed(gone) == {"results": "1 trainings are missing, 0 of them said to diverge"}
    assert not failed(replace(gone, about={**table.about, "diverged": "1 trainings"}))


def test_cells_of_a_network_share_their_results(table: CurveTable) -> None:
    skip = next(i for i, row in enumerate(table.rows.tolist()) if row == [0, 3, 0])
    (same,) = [i for i, row in enumerate(table.rows.tolist()) if row in ([1, 0, 3], [3, 0, 1])][:1]
    assert (table.percent("valid")[skip] == table.percent("valid")[same]).all()
    assert failed(changed(table, (skip, 0, 0), 1, "test")) == {
        "equal networks": "1 networks have cells with different results"
    }


def test_a_damaged_file_fails_and_a_missing_one_is_a_mistake(
    table: CurveTable, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.npz"
    table.write(path)
    arrays = dict(np.load(path))
    arrays["valid"][0, 0, 0] ^= 1
    np.savez_compressed(path, **arrays)
    read, finding = check.read(path)
    assert read is None
    assert not finding.passed
    assert "checksum" in finding.detail
    with pytest.raises(InputError, match="there is no file"):
        check.read(tmp_path / "other.npz")


def test_a_table_of_others_has_no_protocol_to_check_against(table: CurveTable) -> None:
    with pytest.raises(InputError, match="records no protocol"):
        check.check(replace(table, about={}))


def test_retraining_gives_what_is_recorded(table: CurveTable) -> None:
    counted: list[int] = []
    found = check.retrain(table, 2, seed=1, on_progress=counted.append)
    assert [finding.passed for finding in found] == [True, True]
    assert counted == [1, 2]
    again, other = (check.retrain(table, 2, seed=seed) for seed in (1, 2))
    assert again == found
    assert other != found


def test_retraining_finds_results_of_something_else(table: CurveTable) -> None:
    """Seeds that agree, at accuracies that no training reaches."""
    wrong = changed(table, (slice(None),), 0, "valid", "test")
    assert not any(finding.passed for finding in check.retrain(wrong, 1))
    heavier = replace(table, facts={**table.facts, "flops": table.facts["flops"] + 1})
    (finding,) = check.retrain(heavier, 1)
    assert not finding.passed
    assert "flops" in finding.detail


def test_no_retraining_and_less_than_none(table: CurveTable) -> None:
    assert check.retrain(table, 0) == []
    with pytest.raises(InputError, match="at least 0; got -1"):
        check.retrain(table, -1)


# Statistics -----------------------------------------------------------------------------------


def synthetic(counts: list[list[list[int]]]) -> CurveTable:
    """Accuracies of the six cells with one edge or none; the parameters are the row's."""
    return CurveTable(
        "synthetic",
        SPACE,
        rows=np.arange(6)[:, None],
        epochs=np.arange(1, len(counts[0][0]) + 1),
        valid=np.array(counts),
        images={"valid": 100},
        facts={"parameters": np.arange(6)},
    )


def test_noise_and_spread_of_the_better_half() -> None:
    pairs = [(10, 90), (20, 20), (30, 34), (50, 52), (60, 62), (70, 74)]
    table = synthetic([[[a], [b]] for a, b in pairs])
    found = statistics(table)
    # The first cell, with its wild seeds, is at 50: the better half are the last three.
    last = found.last
    noise = (2 + 2 + 8) / 3  # half the squared difference of two seeds is their variance
    means = np.array([51, 61, 72])
    assert last.noise == pytest.approx(math.sqrt(noise))
    spread = math.sqrt(means.var(ddof=1) - noise / 2)
    assert last.spread == pytest.approx(spread)
    assert last.ratio == pytest.approx(spread / math.sqrt(noise))
    assert last.mean_ratio == pytest.approx(last.ratio * math.sqrt(2))
    assert last.quantiles[0] == 20
    assert last.quantiles[-1] == 72


def test_the_best_and_the_largest_cell() -> None:
    table = synthetic([[[0]] * 2, [[10]] * 2, [[71]] * 2, [[72]] * 2, [[40]] * 2, [[50]] * 2])
    found = statistics(table)
    assert (found.best_accuracy, found.largest_accuracy) == (72, 50)
    assert '"c"' in found.best
    assert '"e"' in found.largest
    assert found.largest_rank == 3
    assert found.near_best == pytest.approx(2 / 6)
    assert found.facts_rho["parameters"] == pytest.approx(
        spearman(range(6), [0, 10, 71, 72, 40, 50])
    )
    assert (found.cells, found.networks) == (6, 6)


def test_correlations_between_seeds_and_epochs() -> None:
    rising, falling = range(6), range(5, -1, -1)
    table = synthetic([[[b, a], [a, a]] for a, b in zip(rising, falling, strict=True)])
    first, last = statistics(table).epochs
    assert first.seeds_rho == pytest.approx(-1)
    assert last.seeds_rho == pytest.approx(1)
    assert last.last_rho == pytest.approx(1)
    assert math.isnan(first.last_rho)  # all means are equal


def test_a_diverged_training_is_left_out() -> None:
    values = [[[a], [a + 2]] for a in (10, 20, 30, 40, 50, 60)]
    values[5][1] = [MISSING]
    values[0] = [[MISSING], [MISSING]]
    found = statistics(synthetic(values))
    assert found.best_accuracy == 60
    assert found.last.noise == pytest.approx(math.sqrt(2))
    assert found.last.quantiles[0] == 21


def test_spearman_is_that_of_ranks() -> None:
    assert spearman([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)
    assert spearman([1, 2, 3, float("nan")], [3, 2, 1, 9]) == pytest.approx(-1)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(
    "change", [lambda t: replace(t, facts={}), lambda t: replace(t, valid=t.valid[:, :1])]
)
def test_too_little_for_statistics(change: Callable[[CurveTable], CurveTable]) -> None:
    table = synthetic([[[a], [a]] for a in range(6)])
    with pytest.raises(InputError, match="lacks a second seed or the parameters"):
        statistics(change(table))


def test_agreement_with_a_table_of_the_user(tmp_path: Path) -> None:
    names = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    ours = CurveTable(
        "ours",
        {"type": "nasbench201"},
        rows=np.array([[0, 0, 0, a, 0, 0] for a in range(1, 5)]),
        epochs=np.array([1]),
        valid=np.array([[[10]], [[20]], [[30]], [[40]]]),
        images={"valid": 100},
    )
    strings = [f"|none~0|+|none~0|none~1|+|{name}~0|none~1|none~2|" for name in names]
    path = tmp_path / "nasbench201.npz"
    np.savez(
        path,
        arch_str=np.array(strings),
        cifar10_valid_acc_12=np.array([4.0, 3.0, 2.0, 1.0]),
        cifar10_valid_acc_200=np.array([1.0, 2.0, 4.0, 3.0]),
    )
    found = agreement(ours, path)
    assert list(found) == ["cifar10, 12 epochs", "cifar10, 200 epochs"]
    assert found["cifar10, 12 epochs"] == pytest.approx((-1, -1))
    assert found["cifar10, 200 epochs"] == pytest.approx((0.8, -1))


def test_the_figures_are_those_of_the_statistics(table: CurveTable) -> None:
    found = statistics(table)
    head, body = by_epoch(found)
    assert [row[0] for row in body] == ["1", "2"]
    assert all(len(row) == len(head) for row in body)
    assert dict(figures(found))["cells (distinct networks)"].startswith(f"{len(table.rows)} (")
