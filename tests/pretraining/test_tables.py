"""Labels of tables as tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.embeddings import Better
from graphbo.errors import InputError
from graphbo.evaluators import FunctionEvaluator, TableEvaluator
from graphbo.pretraining import Column, table_task
from graphbo.problems import Problem, get_problem, problem_from_frame
from graphbo.problems.curves import CurveTable
from graphbo.spaces import NASBench201Space
from graphbo.trial import Job

SPACE = NASBench201Space()


def test_a_task_holds_what_the_evaluator_looks_up(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    designs = problem.space.enumerate()
    column = Column("nasbench201-source", {"epochs": 12})
    task = table_task(column, [d.architecture for d in designs], data=table)
    assert task.name == "nasbench201-source@12"
    assert task.better is Better.LOW
    for design, value in zip(designs, task.values, strict=True):
        evaluation = problem.evaluator.evaluate_one(Job(design, {"epochs": 12}))
        assert value == evaluation.objectives["validation_error"]
    full = table_task(Column(problem), [d.architecture for d in designs])
    assert full.name == "nasbench201-source@200"
    assert not np.array_equal(full.values, task.values)


def test_labels_are_drawn_by_the_seed_and_the_rest_is_unknown(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    architectures = [design.architecture for design in problem.space.enumerate()]
    every = table_task(Column(problem, {"epochs": 12}), architectures).values

    def drawn(seed: int, labels: int = 20) -> np.ndarray:
        return table_task(Column(problem, {"epochs": 12}), architectures, labels, seed).values

    known = np.isfinite(drawn(0))
    assert known.sum() == 20
    assert np.array_equal(drawn(0)[known], every[known])
    assert np.array_equal(drawn(0), drawn(0), equal_nan=True)
    assert not np.array_equal(drawn(0), drawn(1), equal_nan=True)
    assert np.array_equal(drawn(0, 1000), every)


def test_what_the_table_lacks_is_unknown(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    members = [design.architecture for design in problem.space.enumerate()]
    rng = np.random.default_rng(1)
    others = [SPACE.sample(rng).architecture for _ in range(30)]
    task = table_task(Column(problem, {"epochs": 12}), [*members, *others])
    assert list(np.isfinite(task.values)) == [a in problem.space for a in [*members, *others]]
    with pytest.raises(InputError, match=r"source@12 has results for 0 of \d+ architectures"):
        table_task(Column(problem, {"epochs": 12}), [a for a in others if a not in problem.space])


def test_any_objective_may_be_the_labels(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    architectures = [design.architecture for design in problem.space.enumerate()]
    task = table_task(Column(problem, name="test_error"), architectures)
    assert (task.name, task.better) == ("nasbench201-source@200:test_error", Better.LOW)
    assert np.array_equal(task.values, problem.evaluator.values("test_error"))


def test_facts_are_columns_too_whatever_the_results(table: Path) -> None:
    """All of them are known, of cells without a result as well."""
    cells = [SPACE.design((0, 0, 0, choice, 0, 0)).architecture for choice in range(4)]
    facts = {"parameters": [1.0, 2.0, 3.0, np.nan], "latency": [4.0, 3.0, 2.0, 1.0]}
    evaluator = TableEvaluator(cells, {"error": [9.0, 8.0, np.nan, np.nan]}, facts=facts)
    problem = Problem("mine", SPACE, evaluator, objective="error")
    parameters = table_task(Column(problem, name="parameters"), cells, labels=2)
    assert (parameters.name, parameters.better) == ("mine:parameters", Better.HIGH)
    assert np.array_equal(parameters.values, facts["parameters"], equal_nan=True)
    latency = table_task(Column(problem, name="latency"), cells)
    assert (latency.name, latency.better) == ("mine:latency", Better.NEITHER)
    assert np.array_equal(latency.values, facts["latency"])
    outside = SPACE.design((1, 1, 1, 1, 1, 1)).architecture
    assert np.isnan(table_task(Column(problem, name="latency"), [*cells, outside]).values[-1])
    with pytest.raises(InputError, match="latency of mine does not depend on the fidelity"):
        table_task(Column(problem, {"epochs": 12}, "latency"), cells)
    with pytest.raises(InputError, match="no column 'size'; it has error, parameters, latency"):
        table_task(Column(problem, name="size"), cells)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("nasbench101", Column("nasbench101")),
        ("nasbench201-cifar10@12", Column("nasbench201-cifar10", {"epochs": 12})),
        ("digits-table:flops", Column("digits-table", None, "flops")),
        ("my.toml@3:test_error", Column("my.toml", {"epochs": 3}, "test_error")),
        ("C:\\files\\my.toml", Column("C:\\files\\my.toml")),
    ],
)
def test_columns_are_written_as_text(text: str, column: Column) -> None:
    assert Column.of(text) == column


@pytest.mark.parametrize("text", ["", "@12", "mine@", "mine@many", "mine@12:", "mine@1@2"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="PROBLEM@EPOCHS:COLUMN; got"):
        Column.of(text)


def test_a_table_of_learning_curves_gives_its_epochs_and_facts() -> None:
    rows = [(0, 0, 0, choice, 0, 0) for choice in range(4)]
    valid = [[[10 * i + e for e in range(2)]] for i in range(4)]
    curves = CurveTable(
        "curves",
        {"type": "nasbench201"},
        rows=np.array(rows),
        epochs=np.array([1, 2]),
        valid=np.array(valid),
        images={"valid": 50},
        facts={"flops": np.arange(4)},
    )
    problem = curves.problem()
    cells = [SPACE.design(row).architecture for row in rows]
    first = table_task(Column(problem, {"epochs": 1}), cells)
    assert first.name == "curves@1"
    assert first.values == pytest.approx([100, 80, 60, 40])
    assert list(table_task(Column(problem, name="flops"), cells).values) == [0, 1, 2, 3]


def test_a_table_without_epochs_gives_its_name() -> None:
    cells = [SPACE.design(row).architecture for row in ((3, 0, 0, 0, 0, 3), (3, 3, 0, 3, 0, 0))]
    problem = problem_from_frame({"architecture": cells, "error": [7.0, 5.0]}, name="mine")
    assert table_task(Column(problem), cells).name == "mine"


def test_mistakes_are_named(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    members = [design.architecture for design in problem.space.enumerate()]
    with pytest.raises(InputError, match=r"no results at the fidelity {'epochs': 25}"):
        table_task(Column(problem, {"epochs": 25}), members)
    with pytest.raises(InputError, match=r"at least 2 labels of nasbench201-source@12.*got 1"):
        table_task(Column(problem, {"epochs": 12}), members, 1)
    with pytest.raises(InputError, match="no problem 'nasbench201-sorce'"):
        table_task(Column("nasbench201-sorce"), members, data=table)
    trained = Problem("mine", SPACE, FunctionEvaluator(len))
    with pytest.raises(InputError, match=r"mine trains networks; .* on a table"):
        table_task(Column(trained), members)
