"""Look-up by network in a table of results."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

import graphbo.evaluators.table
from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.spaces import Design, JointSpace, PoolSpace
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.trial import Job

NAN = float("nan")


def layer(label: str) -> Architecture:
    return Architecture([INPUT, label, OUTPUT], [(0, 1), (1, 2)])


A, B, C = layer("a"), layer("b"), layer("c")
# The network A again: nodes in another order, and one that leads nowhere.
A_AGAIN = Architecture([OUTPUT, "a", INPUT, "dead end"], [(1, 0), (2, 1), (2, 3)])


def job(architecture: Architecture, row: tuple[int, ...] = (0,), **fidelity: float) -> Job:
    return Job(Design(architecture, row), fidelity)


def table(**options: object) -> TableEvaluator:
    return TableEvaluator(
        [A, B, A_AGAIN, C],
        {
            "validation_error": [[20, 10], [30, 12], [24, 11], [40, NAN]],
            "test_error": [[NAN, 9], [NAN, 13], [NAN, 10], [NAN, NAN]],
        },
        epochs=[10, 100],
        **options,  # type: ignore[arg-type]
    )


def test_isomorphic_entries_are_averaged() -> None:
    evaluation = table().evaluate_one(job(A))
    assert evaluation.objectives == {"validation_error": 10.5, "test_error": 9.5}
    assert table().evaluate_one(job(A_AGAIN)) == evaluation
    assert evaluation.facts == {"epochs": 100}
    assert table().architectures == (A, B, C)


def test_raw_entries_are_those_of_the_row_else_the_first() -> None:
    raw = table(entries="raw", rows=[(5,), (6,), (7,), (8,)])
    assert raw.evaluate_one(job(A, (5,))).objectives["validation_error"] == 10
    assert raw.evaluate_one(job(A, (7,))).objectives["validation_error"] == 11
    # A row that is not in the table, and one that stands for another network.
    assert raw.evaluate_one(job(A, (9,))).objectives["validation_error"] == 10
    assert raw.evaluate_one(job(A, (6,))).objectives["validation_error"] == 10
    assert table(entries="raw").evaluate_one(job(B)).objectives["validation_error"] == 12
    assert raw.values()[:3].tolist() == [10, 12, 11]


def test_the_seed_of_a_job_picks_one_of_the_networks_entries() -> None:
    noisy = table(entries="seed", cost=[1, 2, 3, 4], facts={"latency": [5, 6, 7, 8]})
    results = [noisy.evaluate_one(replace(job(A), seed=seed)) for seed in range(4)]
    assert [found.objectives["validation_error"] for found in results] == [10, 11, 10, 11]
    assert [found.cost for found in results] == [1, 3, 1, 3]
    assert [found.facts["latency"] for found in results] == [5, 7, 5, 7]
    np.testing.assert_array_equal(noisy.values(), [10.5, 12, NAN])
    assert noisy.architectures == (A, B, C)
    with pytest.raises(LookupError, match="no finite validation_error"):
        noisy.evaluate_one(job(C))


def test_entries_without_a_result_are_not_picked() -> None:
    noisy = TableEvaluator([A, A, A], {"error": [NAN, 4, 6]}, entries="seed")
    found = [noisy.evaluate_one(replace(job(A), seed=seed)).objectives["error"] for seed in (0, 1)]
    assert found == [4, 6]


def test_schedules_of_one_training_are_its_learning_curve() -> None:
    assert table().evaluate_one(job(A)).curve == ()
    assert table(curves=True).evaluate_one(job(A)).curve == (22, 10.5)
    assert table(curves=True).evaluate_one(job(A, epochs=10)).curve == (22,)
    noisy = table(curves=True, entries="seed")
    assert noisy.evaluate_one(replace(job(A), seed=1)).curve == (24, 11)
    gap = TableEvaluator([A], {"error": [[NAN, 3]]}, epochs=[1, 2], curves=True)
    assert gap.evaluate_one(job(A)).curve == ()


def test_the_fidelity_chooses_a_recorded_schedule() -> None:
    evaluation = table().evaluate_one(job(A, epochs=10))
    assert evaluation.objectives == {"validation_error": 22}  # no test error was recorded there
    assert evaluation.facts["epochs"] == 10
    for fidelity in ({"epochs": 50}, {"width": 3}, {"epochs": 10, "width": 3}):
        with pytest.raises(InputError, match=r"it records epochs \[10, 100\]"):
            table().evaluate_one(job(A, **fidelity))


def test_costs_of_shorter_schedules_are_in_proportion_unless_recorded() -> None:
    evaluator = table(cost=[100, 200, 300, 400])
    assert evaluator.evaluate_one(job(A)).cost == 200
    assert evaluator.evaluate_one(job(A, epochs=10)).cost == 20
    recorded = table(cost=[[1, 100], [2, 200], [3, 300], [4, 400]])
    assert recorded.evaluate_one(job(B, epochs=10)).cost == 2
    assert table().evaluate_one(job(A)).cost == 0


@pytest.mark.parametrize("entries", ["mean", "raw", "seed"])
def test_facts_are_looked_up_without_results(entries: str) -> None:
    evaluator = table(
        entries=entries, facts={"parameters": [8, 9, 8, 7], "latency": [1, NAN, 3, 4]}
    )
    assert evaluator.facts == ("parameters", "latency")
    assert evaluator.fact("parameters", A) == 8
    assert evaluator.fact("latency", A) == (1 if entries == "raw" else 2)
    assert np.isnan(evaluator.fact("latency", B))
    with pytest.raises(InputError, match=r"has the facts \['parameters', 'latency'\]; not 'size'"):
        evaluator.fact("size", A)
    with pytest.raises(LookupError, match="not in the table"):
        evaluator.fact("latency", Architecture(["input", "x", "output"], [(0, 1), (1, 2)]))


def test_facts_are_averaged_and_missing_ones_left_out() -> None:
    evaluator = table(facts={"parameters": [8, 9, 8, 7], "latency": [1, NAN, 3, 4]})
    assert evaluator.evaluate_one(job(A)).facts == {"parameters": 8, "latency": 2, "epochs": 100}
    assert "latency" not in evaluator.evaluate_one(job(B)).facts


def test_failed_entries_do_not_count() -> None:
    evaluator = TableEvaluator([A, A, A], {"error": [NAN, 4, 6]})
    assert evaluator.evaluate_one(job(A)).objectives == {"error": 5}


def test_a_network_without_a_result_or_outside_the_table_fails_its_trial_alone() -> None:
    good, empty, unknown = table().evaluate([job(A), job(C), job(layer("d"))])
    assert good.evaluation is not None
    assert "no finite validation_error" in str(empty.error)
    assert "is not in the table" in str(unknown.error)
    with pytest.raises(LookupError, match="no finite validation_error"):
        table().evaluate_one(job(C))
    assert table().evaluate_one(job(C, epochs=10)).objectives == {"validation_error": 40}


def test_values_give_the_truth_of_every_network() -> None:
    np.testing.assert_array_equal(table().values(), [10.5, 12, NAN])
    assert table().values("validation_error", {"epochs": 10}).tolist() == [22, 30, 40]
    with pytest.raises(InputError, match="not 'loss'"):
        table().values("loss")


def test_a_single_schedule_needs_no_epochs() -> None:
    evaluator = TableEvaluator([A, B], {"error": [1, 2]}, cost=[7, 8])
    assert evaluator.evaluate_one(job(B)).objectives == {"error": 2}
    assert evaluator.evaluate_one(job(B)).cost == 8
    assert evaluator.evaluate_one(job(B)).facts == {}
    with pytest.raises(InputError, match="no fidelity but the full"):
        evaluator.evaluate_one(job(B, epochs=10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"architectures": [], "objectives": {"error": []}}, "at least one entry"),
        ({"architectures": [A], "objectives": {}}, "one objective"),
        ({"architectures": [A], "objectives": {"error": [1, 2]}}, "error must have the shape"),
        ({"architectures": [A], "objectives": {"error": [[1, 2]]}, "epochs": [9, 3]}, "ascending"),
        ({"architectures": [A], "objectives": {"error": [1]}, "entries": "best"}, "'best'"),
        ({"architectures": [A], "objectives": {"error": [1]}, "cost": [1, 2]}, "cost must have"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        TableEvaluator(**arguments)  # type: ignore[arg-type]


def test_facts_that_follow_from_the_architecture_are_known_beforehand() -> None:
    facts = {"parameters": [1, 2], "latency_ms": [3, np.nan], "flops": [5, 6]}
    evaluator = TableEvaluator([A, B], {"error": [1, 2]}, facts=facts)
    assert evaluator.known == ("parameters", "flops")
    assert evaluator.compute("flops", job(B).design) == 6
    with pytest.raises(InputError, match=r"only .* are known .* not 'latency_ms'"):
        evaluator.compute("latency_ms", job(B).design)


def test_the_user_may_say_which_facts_are_known() -> None:
    facts = {"parameters": [1, 2], "latency_ms": [3, np.nan]}
    evaluator = TableEvaluator([A, B], {"error": [1, 2]}, facts=facts, known=["latency_ms"])
    assert evaluator.known == ("latency_ms",)
    assert evaluator.compute("latency_ms", job(A).design) == 3
    assert np.isnan(evaluator.compute("latency_ms", job(B).design)), "not measured"
    with pytest.raises(InputError, match="the table has the facts"):
        TableEvaluator([A], {"error": [1]}, facts={"flops": [1]}, known=["power"])


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(graphbo.evaluators.table).failed == 0


def test_entries_with_hyperparameters_are_looked_up_with_them() -> None:
    joint = TableEvaluator(
        [A, A, A_AGAIN, B],
        {"validation_error": [5.0, 6.0, 8.0, 9.0]},
        hyperparameters=[{"rate": 0.1}, {"rate": 0.2}, {"rate": 0.2}, {"rate": 0.1}],
    )
    assert joint.architectures == (A, A, B)
    assert joint.values().tolist() == [5, 7, 9]
    found = joint.evaluate_one(Job(Design(A, (), hyperparameters={"rate": 0.2})))
    assert found.objectives == {"validation_error": 7}
    with pytest.raises(LookupError, match=r"with \{'rate': 0.3\} is not in the table"):
        joint.evaluate_one(Job(Design(A, (), hyperparameters={"rate": 0.3})))


def test_every_entry_has_hyperparameters_or_none_has() -> None:
    with pytest.raises(InputError, match="there must be hyperparameters of each of the 4 entries"):
        table(hyperparameters=[{"rate": 0.1}])


def test_a_table_without_hyperparameters_refuses_a_space_with_some() -> None:
    space = JointSpace(PoolSpace([A, B, C]), hyperparameters_from_settings({"rate": [0.1, 0.2]}))
    with pytest.raises(InputError, match="the table has results by the architecture alone"):
        table().check_space(space)
