"""A problem from a table of the user's own, in three lines."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest

import graphbo.problems.frame
from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.problems import problem_from_frame
from graphbo.spaces import CellSpace, Design, NASBench201Space, PoolSpace
from graphbo.trial import Job


def layer(label: str) -> Architecture:
    return Architecture([INPUT, label, OUTPUT], [(0, 1), (1, 2)])


def test_a_data_frame_becomes_a_pool() -> None:
    frame = pd.DataFrame(
        {"arch": [layer("a"), layer("b"), layer("a")], "loss": [4.0, 3.0, 6.0], "time": [1, 2, 3]}
    )
    problem = problem_from_frame(frame, architecture="arch", objective="loss", cost="time")
    assert isinstance(problem.space, PoolSpace)
    assert problem.space.size == 2
    assert problem.objective == "loss"
    assert (problem.optimum, problem.top_permille) == (3, 3)
    assert problem.fidelity == {}
    evaluation = problem.evaluator.evaluate_one(Job(problem.space.design_of(layer("a"))))
    assert (evaluation.objectives, evaluation.cost) == ({"loss": 5}, 2)


def test_strings_are_read() -> None:
    empty = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    frame = {"architecture": [layer("a").to_string(), empty], "error": [1, 2], "test": [3, 4]}
    problem = problem_from_frame(frame, test="test")
    assert set(problem.space.enumerate()) == {
        Design(layer("a"), (0,)),
        Design(NASBench201Space.parse(empty), (1,)),
    }
    evaluation = problem.evaluator.evaluate_one(Job(problem.space.enumerate()[1]))
    assert evaluation.objectives == {"error": 2, "test_error": 4}


def test_a_space_that_is_covered_is_searched_itself() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    members = [design.architecture for design in space.enumerate()]
    frame = pd.DataFrame({"architecture": members, "error": range(len(members))})
    assert problem_from_frame(frame, space=space).space is space
    part = problem_from_frame(frame[1:], space=space)
    assert isinstance(part.space, PoolSpace)
    assert part.space.parent is space
    with pytest.raises(InputError, match=r"architecture number 1 of the table.*does not belong"):
        problem_from_frame(frame, space=CellSpace(3, ["c"], on="edges"))


def test_the_best_permille_is_a_rank_among_distinct_networks() -> None:
    members = [layer(str(i)) for i in range(3000)]
    frame = {"architecture": [*members, *members], "error": [*range(3000), *range(3000)]}
    problem = problem_from_frame(frame)
    assert problem.top_permille == 2  # the third smallest of 3000


def test_failed_results_are_no_optimum() -> None:
    frame = {"architecture": [layer("a"), layer("b")], "error": [np.nan, 2.0]}
    assert problem_from_frame(frame).optimum == 2
    with pytest.raises(InputError, match="no finite error"):
        problem_from_frame({"architecture": [layer("a")], "error": [np.nan]})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"architecture": [layer("a")]}, "no column 'error'; the columns are .'architecture'."),
        (pd.DataFrame({"error": [1]}), "no column 'architecture'; the columns are .'error'."),
        ({"architecture": [], "error": []}, "'architecture' is empty"),
        ({"architecture": [layer("a")], "error": ["high"]}, "'error' must hold numbers"),
        ({"architecture": [layer("a")], "error": [1, 2]}, "error must have the shape"),
        ({"architecture": ["conv"], "error": [1]}, "'architecture', entry 0: .* must look like"),
        ({"architecture": ["|conv~0|"], "error": [1]}, "entry 0: .* no edge of NAS-Bench-201"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(frame: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem_from_frame(frame)  # type: ignore[arg-type]


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(graphbo.problems.frame).failed == 0
