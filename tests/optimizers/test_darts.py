"""Differentiable search on tiny images: the contract, the order, the cost, and what is refused."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from graphbo.comparison import compare
from graphbo.datasets import shapes
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.optimizers import DARTS, make_optimizer
from graphbo.problems import Problem, get_problem
from graphbo.problems.training import problem_from_images
from graphbo.spaces import CellSpace, ChainSpace, NASBench101Space, NASBench201Space, SearchSpace
from graphbo.study import Study
from graphbo.testing import check_optimizer
from graphbo.training import darts
from graphbo.training.darts import relax
from graphbo.training.recipe import Recipe
from graphbo.trial import Trial

IMAGES = shapes(train=16, validation=16, test=16, size=8, classes=2)
SPACE = CellSpace(3, ["nor_conv_1x1", "skip_connect"], on="edges")
QUICK: dict[str, Any] = {"search_epochs": 2, "batch_size": 4, "architecture_rate": 0.5}


def problem(space: SearchSpace = SPACE, **recipe: Any) -> Problem:
    given = {"epochs": 1, "batch_size": 8} | recipe
    return problem_from_images(IMAGES, space, recipe=Recipe(**given), channels=2, stages=1)


def optimizer(space: SearchSpace = SPACE, *, seed: int = 0, **settings: Any) -> DARTS:
    found = DARTS(space, seed=seed, **QUICK | settings)
    found.attach(problem(space).evaluator, {"epochs": 1})
    return found


# The contract ------------------------------------------------------------------------------------


def test_it_conforms_where_there_are_images() -> None:
    limited = CellSpace(3, ["nor_conv_1x1", "avg_pool_3x3"], on="edges", max_edges=2)
    check_optimizer(optimizer, [SPACE, limited], rounds=4)


@pytest.mark.slow
def test_it_conforms_on_nasbench201() -> None:
    check_optimizer(
        partial(optimizer, search_epochs=1, batch_size=8), [NASBench201Space()], rounds=4
    )


# The order ---------------------------------------------------------------------------------------


def test_the_strongest_cell_comes_first_and_the_others_by_the_product_of_strengths() -> None:
    found = optimizer()
    designs = found.ask(4) + found.ask(100)
    strengths = found.memory["strengths"]

    def strength(row: tuple[int, ...]) -> float:
        return math.prod(edge[choice] for edge, choice in zip(strengths, row, strict=True))

    assert designs[0].row == tuple(edge.index(max(edge)) for edge in strengths)
    products = [strength(design.row) for design in designs]
    assert products == sorted(products, reverse=True)
    best: dict[object, float] = {}
    for design in SPACE.enumerate():
        best[design.architecture] = 0.0
    for row in ((a, b, c) for a in range(3) for b in range(3) for c in range(3)):
        cell = SPACE.decode(row)
        best[cell] = max(best[cell], strength(row))
    assert {design.architecture: strength(design.row) for design in designs} == pytest.approx(best)
    assert {design.origin for design in designs} == {"darts"}
    assert found.ask() == []


def test_the_strengths_are_those_of_the_relaxation() -> None:
    found = optimizer(search_epochs=1)
    found.ask()
    images = problem().evaluator
    assert isinstance(images, TrainingEvaluator)
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=0.025, weight_decay=3e-4)
    expected = relax(SPACE, images.build, IMAGES.train, recipe, architecture_rate=0.5)
    assert found.memory["strengths"] == [list(edge) for edge in expected.strengths]


def test_it_takes_augmentation_and_fidelity_from_the_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []

    def spy(*arguments: Any, **settings: Any) -> darts.Relaxed:
        given.extend(arguments)
        return relax(*arguments, **settings)

    monkeypatch.setattr("graphbo.optimizers.darts.relax", spy)
    found = DARTS(SPACE, **QUICK)
    low = {"epochs": 1, "data": 0.5, "resolution": 4, "width": 2}
    found.attach(problem(flip=True, crop=1, learning_rate=0.3).evaluator, low)
    found.ask()
    _, build, (images, _), recipe = given
    assert (recipe.flip, recipe.crop, recipe.learning_rate, recipe.epochs) == (True, 1, 0.025, 2)
    assert images.shape == (8, 1, 4, 4)
    assert build(SPACE.decode((1, 1, 1))).stem[0].out_channels == 4


# In a study --------------------------------------------------------------------------------------


def test_a_study_counts_the_supernet_and_does_not_train_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, path = problem(), tmp_path / "study.sqlite"
    trained: list[float] = []

    def spy(*arguments: Any, **settings: Any) -> darts.Relaxed:
        found = relax(*arguments, **settings)
        trained.append(found.seconds)
        return found

    monkeypatch.setattr("graphbo.optimizers.darts.relax", spy)
    whole = Study.of(task, DARTS(SPACE, **QUICK)).run(4)
    (seconds,) = trained
    evaluation = whole.trials[0].evaluation
    assert evaluation is not None
    assert evaluation.cost > evaluation.facts["search_seconds"] > seconds
    Study.of(task, DARTS(SPACE, **QUICK), storage=path).run(2)
    monkeypatch.setattr("graphbo.optimizers.darts.relax", None)
    resumed = Study.of(task, DARTS(SPACE, **QUICK), storage=path).run(4)
    assert [(t.design, t.value) for t in resumed.trials] == [
        (t.design, t.value) for t in whole.trials
    ]


def test_results_change_nothing() -> None:
    found, other = optimizer(), optimizer()
    for value in (1.0, 2.0, 3.0):
        (design,), (same,) = found.ask(), other.ask()
        assert design.row == same.row
        found.tell(Trial(design, value=value))
        other.tell(Trial(same, value=-value))


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        (NASBench101Space(4), {}, "darts mixes the operations on the edges of a cell"),
        (ChainSpace(2), {}, "are no such cells"),
        (SPACE, {"search_epochs": 0}, "search_epochs must be at least 1; got 0"),
        (SPACE, {"batch_size": 0}, "batch_size must be at least 1; got 0"),
        (SPACE, {"learning_rate": 0.0}, "learning_rate must be positive; got 0.0"),
        (SPACE, {"architecture_rate": -1.0}, "architecture_rate must be positive; got -1.0"),
    ],
)
def test_mistakes_are_named(space: SearchSpace, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_optimizer("darts", space, **settings)


@pytest.mark.parametrize(
    "evaluator",
    [
        FunctionEvaluator(lambda cell: len(cell.edges)),
        TrainingEvaluator(lambda _: torch.nn.Flatten(), fit=lambda *_: 1.0),
    ],
    ids=["function", "fit"],
)
def test_a_problem_without_images_is_refused_at_once(evaluator: Evaluator) -> None:
    with pytest.raises(
        InputError, match=r"darts trains a supernet, and this \w+ has no images; take"
    ):
        Study(SPACE, evaluator, "darts")


def test_a_comparison_on_a_table_is_refused_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this TableEvaluator has no images"):
        compare(
            get_problem("digits-table"), ["random", "darts"], trials=2, seeds=1, output=tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_without_a_study_it_must_be_shown_the_images() -> None:
    with pytest.raises(InputError, match="darts trains a supernet, and has no images; take"):
        DARTS(SPACE).ask()
