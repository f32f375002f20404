from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators import TrainingEvaluator
from graphbo.evaluators.inheritance import InheritanceEvaluator
from graphbo.networks import NASBench201Network
from graphbo.spaces import Design, JointSpace, NASBench201Space
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.training.recipe import Recipe
from graphbo.trial import Evaluation, Job

SPACE = NASBench201Space()
BUILD = partial(NASBench201Network, channels=4, cells=1, classes=3, in_channels=1)
PARENT, CHILD, FAR = (
    SPACE.design(row) for row in ((0, 3, 0, 3, 0, 1), (3, 3, 0, 3, 2, 1), (4, 1, 4, 4, 4, 4))
)


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of stripes in three directions."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.5 * torch.randn(n, 1, 6, 6, generator=generator), y


def training(**options: Any) -> TrainingEvaluator:
    recipe = Recipe(epochs=8, batch_size=16)
    defaults = {"recipe": recipe, "device": "cpu", "test": data(45, 2)}
    return TrainingEvaluator(BUILD, data(96, 0), data(90, 1), **(defaults | options))


def evaluator(**options: Any) -> InheritanceEvaluator:
    return InheritanceEvaluator(training(), **options)


def first_two(inheriting: InheritanceEvaluator, child: Design = CHILD) -> list[Evaluation]:
    return [inheriting.evaluate_one(Job(design)) for design in (PARENT, child)]


def test_the_first_network_is_trained_in_full() -> None:
    result = evaluator().evaluate_one(Job(PARENT, seed=3))
    alone = training().evaluate_one(Job(PARENT, seed=3))
    assert result.objectives == alone.objectives
    assert result.curve == alone.curve
    assert result.facts == {**alone.facts, "generation": 0}


def test_an_heir_starts_where_its_parent_stopped() -> None:
    parent, child = first_two(evaluator())
    assert child.facts["distance"] == 2
    assert child.facts["exact"] == 1
    assert child.facts["generation"] == 1
    assert child.facts["epochs"] == len(child.curve) == 2
    assert child.facts["epochs"] < parent.facts["epochs"]
    assert child.cost > 0
    afresh = training().evaluate_one(Job(CHILD))
    assert child.curve[0] < afresh.curve[0]
    assert set(child.objectives) == {"validation_error", "test_error"}


def test_without_a_near_parent_training_is_full() -> None:
    _, far = first_two(evaluator(), FAR)
    assert far.facts["generation"] == 0
    assert len(far.curve) == 8
    _, near = first_two(evaluator(max_distance=1))
    assert near.facts["generation"] == 0
    _, heir = first_two(evaluator(max_generation=0))
    assert heir.facts["generation"] == 0


def test_the_same_network_does_not_inherit_from_itself() -> None:
    """Results of several seeds are independent, whatever the order of the nodes."""
    inheriting = evaluator()
    inheriting.evaluate_one(Job(SPACE.design((0, 3, 0, 0, 0, 2))))
    twin = SPACE.design((3, 0, 0, 0, 2, 0))
    assert inheriting.evaluate_one(Job(twin, seed=1)).facts["generation"] == 0
    heir = inheriting.evaluate_one(Job(SPACE.design((0, 3, 0, 1, 0, 2))))
    assert heir.facts["generation"] == 1


def test_the_recipe_after_inheriting_can_be_chosen() -> None:
    _, child = first_two(evaluator(recipe=Recipe(epochs=1, batch_size=16, learning_rate=0.01)))
    assert child.facts["epochs"] == 1


def test_with_a_folder_the_parents_outlive_the_process(tmp_path: Path) -> None:
    folder = tmp_path / "parents"
    _, expected = first_two(evaluator())
    evaluator(folder=folder).evaluate_one(Job(PARENT))
    child = evaluator(folder=folder).evaluate_one(Job(CHILD))
    assert child.objectives == expected.objectives
    assert child.facts == expected.facts
    assert len(list(folder.iterdir())) == 2
    next(folder.glob("*.pt")).write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged"):
        evaluator(folder=folder)


def test_a_lower_fidelity_is_refused() -> None:
    inheriting = evaluator()
    assert inheriting.evaluate_one(Job(PARENT, {"epochs": 8})).facts["epochs"] == 8
    for fidelity in ({"epochs": 2}, {"data": 0.5}):
        with pytest.raises(InputError, match="at full fidelity only"):
            inheriting.evaluate_one(Job(CHILD, fidelity))


def test_what_cannot_inherit_is_refused() -> None:
    def fit(network: object, job: Job) -> float:
        return 0.0

    own = TrainingEvaluator(BUILD, fit=fit)
    with pytest.raises(InputError, match="not in one's own"):
        InheritanceEvaluator(own)
    with pytest.raises(InputError, match="must be at least 0"):
        evaluator(max_distance=-1)


def test_the_random_state_is_left_as_it_was() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first_two(evaluator())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_empty_cell_can_be_a_parent() -> None:
    inheriting = evaluator()
    empty = SPACE.design_of(Architecture(["input", "output"], []))
    inheriting.evaluate_one(Job(empty))
    child = inheriting.evaluate_one(Job(SPACE.design((0, 0, 0, 3, 0, 0))))
    assert child.facts["distance"] == 1


def test_a_space_with_hyperparameters_is_refused() -> None:
    space = JointSpace(SPACE, hyperparameters_from_settings({"channels": [2, 3]}))
    with pytest.raises(InputError, match="by the architecture alone, and the space"):
        evaluator().check_space(space)
    with pytest.raises(InputError, match="no hyperparameters beside it"):
        evaluator().evaluate_one(Job(replace(PARENT, hyperparameters={"channels": 2})))
