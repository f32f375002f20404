from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.supernet import SupernetEvaluator
from graphbo.networks import NASBench201Network
from graphbo.spaces import Design, JointSpace, NASBench201Space
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.training.recipe import Recipe
from graphbo.trial import Job

SPACE = NASBench201Space()
BUILD = partial(NASBench201Network, channels=4, cells=1, classes=3, in_channels=1)
ROWS = [(0, 3, 0, 3, 0, 3), (0, 0, 0, 1, 0, 0), (1, 3, 2, 0, 4, 3), (0, 0, 0, 0, 0, 0)]
JOBS = [Job(SPACE.design(row)) for row in ROWS]


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images that are brighter the higher their class."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    return torch.randn(n, 1, 6, 6, generator=generator) + y[:, None, None, None], y


def evaluator(path: Path | None = None, seed: int = 0) -> SupernetEvaluator:
    return SupernetEvaluator(
        *(SPACE, BUILD, data(60, 0), data(45, 1)),
        recipe=Recipe(epochs=3, batch_size=16),
        calibration=30,
        seed=seed,
        path=path,
        device="cpu",
    )


def test_jobs_together_score_as_one_by_one() -> None:
    scorer = evaluator()
    together = [report.evaluation for report in scorer.evaluate(JOBS)]
    alone = [evaluator().evaluate_one(job) for job in JOBS]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours is not None
        assert ours.objectives == theirs.objectives
    architectures = [job.design.architecture for job in JOBS]
    expected = [evaluation.objectives["validation_error"] for evaluation in alone]
    assert scorer.errors(architectures) == expected
    assert expected[-1] == pytest.approx(100 * 2 / 3), "the empty cell knows one class"
    assert min(expected) < 50


def test_the_first_job_pays_for_the_training() -> None:
    scorer = evaluator()
    first, second = (scorer.evaluate_one(JOBS[0]).cost for _ in range(2))
    assert first > 3 * second > 0


def test_isomorphic_cells_score_alike_whatever_the_seed_of_the_job() -> None:
    """The input reaches the output through the second or the third node."""
    scorer = evaluator()
    errors = {
        scorer.evaluate_one(Job(SPACE.design(row), seed=seed)).objectives["validation_error"]
        for row, seed in (((0, 3, 0, 0, 0, 2), 0), ((3, 0, 0, 0, 2, 0), 1))
    }
    assert len(errors) == 1


def test_a_file_replaces_the_training(tmp_path: Path) -> None:
    path = tmp_path / "supernet.pt"
    trained = evaluator(path).evaluate_one(JOBS[0]).objectives
    assert path.exists()
    assert evaluator(path, seed=0).evaluate_one(JOBS[0]).objectives == trained
    path.write_bytes(b"nothing")
    reports = list(evaluator(path).evaluate(JOBS[:2]))
    assert ["does not hold the weights" in str(report.error) for report in reports] == [True, True]


def test_a_cell_of_another_space_fails_alone() -> None:
    other = Design(Architecture(["input", "output"], [(0, 1, "conv9x9")]), ())
    reports = list(evaluator().evaluate([JOBS[0], Job(other), JOBS[1]]))
    by_job = {id(report.job): report.error for report in reports}
    assert by_job[id(JOBS[0])] is None
    assert by_job[id(JOBS[1])] is None
    assert [
        str(error).count("the supernet holds the cells of nasbench201")
        for error in by_job.values()
        if error
    ] == [1]


def test_images_of_another_precision_score_alike() -> None:
    single = evaluator()
    double = SupernetEvaluator(
        *(SPACE, BUILD, *((x.double(), y) for x, y in (data(60, 0), data(45, 1)))),
        recipe=single.recipe,
        calibration=30,
        device="cpu",
    )
    cells = [job.design.architecture for job in JOBS]
    assert double.errors(cells) == single.errors(cells)


def test_the_random_state_is_left_as_it_was() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    evaluator().evaluate_one(JOBS[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_too_little_calibration_is_refused() -> None:
    with pytest.raises(InputError, match="calibration must be at least 2"):
        SupernetEvaluator(SPACE, BUILD, data(60, 0), data(45, 1), calibration=1)


def test_a_space_with_hyperparameters_is_refused() -> None:
    space = JointSpace(SPACE, hyperparameters_from_settings({"channels": [2, 3]}))
    with pytest.raises(InputError, match="by the architecture alone, and the space"):
        evaluator().check_space(space)
