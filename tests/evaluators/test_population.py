from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.evaluators.base import Report
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network
from graphbo.spaces import Design, NASBench201Space
from graphbo.study import Study
from graphbo.training import population
from graphbo.training.recipe import Recipe
from graphbo.training.stopping import Patience
from graphbo.training.trainer import State
from graphbo.trial import Job

SPACE = NASBench201Space()
BUILD = partial(NASBench201Network, channels=3, cells=1, classes=3, in_channels=1, stages=2)
CONVOLUTION = SPACE.design_of(Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")]))
EMPTY = SPACE.design_of(Architecture(["input", "output"], []))
POOL = SPACE.design_of(Architecture(["input", "output"], [(0, 1, "avg_pool_3x3")]))
BOTH = SPACE.design_of(
    Architecture(["input", "", "output"], [(0, 1, "nor_conv_1x1"), (1, 2, "avg_pool_3x3")])
)
DESIGNS = [CONVOLUTION, BOTH, EMPTY, POOL]
RECIPE = Recipe(epochs=3, batch_size=16)


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.8 * torch.randn(n, 1, 6, 6, generator=generator), y


class Counting(TrainingEvaluator):
    """Counts the epochs trained, and is interrupted once it has kept so many."""

    limit: int | None = None

    def save(self, job: Job, state: State) -> None:
        super().save(job, state)
        self.saved = [*getattr(self, "saved", []), (job.design, state["epoch"])]
        if len(self.saved) == self.limit:
            raise KeyboardInterrupt


def evaluator(build: Callable[..., nn.Module] = BUILD, **options: Any) -> Counting:
    defaults = {"recipe": RECIPE, "device": "cpu", "precision": "float64"}
    data = {"train": stripes(42, 0), "validation": stripes(60, 1)}
    return Counting(build, **{**data, **defaults, **options})


def together(trainer: TrainingEvaluator, jobs: Sequence[Job]) -> list[Report]:
    """Return the reports in the order of the jobs, of which there must be one for each."""
    reports = list(trainer.evaluate(jobs))
    assert len(reports) == len(jobs)
    return [next(report for report in reports if report.job is job) for job in jobs]


def assert_equal(report: Report, trainer: TrainingEvaluator) -> None:
    """Compare a report with what the job gives alone."""
    expected = trainer.evaluate_one(replace(report.job, checkpoint=None))
    assert report.evaluation is not None, report.error
    found = report.evaluation
    assert found.objectives == expected.objectives
    assert found.curve == expected.curve
    assert found.facts == expected.facts
    assert found.cost > 0


@pytest.fixture
def populations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the populations trained; one that holds a single network is none."""
    sizes: list[int] = []
    original = population.PopulationTrainer.train

    def train(self: Any, members: Any, *arguments: Any) -> Any:
        if self.size > 1:
            sizes.append(len(members))
        return original(self, members, *arguments)

    monkeypatch.setattr(population.PopulationTrainer, "train", train)
    return sizes


def test_jobs_that_come_together_train_together(populations: list[int]) -> None:
    trainer = evaluator(test=stripes(30, 2))
    jobs = [Job(design, seed=seed) for seed, design in enumerate(DESIGNS)]
    reports = together(trainer, jobs)
    assert populations == [4]
    for report in reports:
        assert_equal(report, trainer)
    assert populations == [4]  # what is evaluated alone is trained alone


def test_a_population_of_one_is_no_population(populations: list[int]) -> None:
    trainer = evaluator(population=1)
    assert trainer.capacity == 1
    assert len(list(trainer.evaluate([Job(design) for design in DESIGNS]))) == 4
    assert populations == []
    assert evaluator(population=6).capacity == 6


def test_jobs_of_different_fidelities_come_together(populations: list[int]) -> None:
    fidelities: list[dict[str, float]] = [
        {},
        {"epochs": 3},
        {"epochs": 2},
        {"epochs": 2, "width": 2.0},
        {"epochs": 2, "data": 0.5},
        {"epochs": 2, "data": 0.5, "width": 0.5},
        {"epochs": 2, "resolution": 4},
        {"epochs": 2, "resolution": 4, "data": 0.5},
    ]
    trainer = evaluator()
    jobs = [Job(DESIGNS[i % 4], fidelity, i) for i, fidelity in enumerate(fidelities)]
    for report in together(trainer, jobs):
        assert_equal(report, trainer)
    assert sorted(populations) == [2, 2, 2]


def build_some(architecture: Architecture) -> nn.Module:
    if architecture == BOTH.architecture:
        raise ValueError("no such network")
    if architecture == POOL.architecture:
        return nn.Sequential(nn.Dropout(0.3), BUILD(architecture))
    return BUILD(architecture)


def test_jobs_that_cannot_be_built_or_trained_together_do_not_hurt_others(
    populations: list[int],
) -> None:
    trainer = evaluator(build_some)
    jobs = [
        *(Job(design, seed=seed) for seed, design in enumerate(DESIGNS)),
        Job(CONVOLUTION, {"epochs": 9}),
        Job(CONVOLUTION, {"colour": 1}),
        Job(EMPTY, seed=5, checkpoint="nowhere.pt"),
    ]
    reports = together(trainer, jobs)
    errors = {1: "no such network", 4: "got 9", 5: "got 'colour'", 6: "is not read"}
    for i, report in enumerate(reports):
        if i in errors:
            assert report.evaluation is None
            assert errors[i] in str(report.error)
        else:
            assert_equal(report, trainer)
    assert populations == [2]  # the network with dropout trains alone


def build_lstm(architecture: Architecture) -> nn.Module:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(6, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(self.lstm(x[:, 0])[0][:, -1])
            return logits

    return Rows()


def test_networks_of_any_kind_are_trained(populations: list[int]) -> None:
    trainer = evaluator(build_lstm)
    for report in together(trainer, [Job(design) for design in DESIGNS[:2]]):
        assert_equal(report, trainer)
    assert populations == []


def build_spoilt(architecture: Architecture) -> nn.Module:
    network = BUILD(architecture)
    if architecture == BOTH.architecture:
        network.stem[0].weight.data.fill_(float("nan"))
    return network


def test_a_job_that_diverges_fails_by_itself() -> None:
    trainer = evaluator(build_spoilt)
    reports = together(trainer, [Job(design) for design in DESIGNS])
    assert "FloatingPointError: the training loss is not finite" in str(reports[1].error)
    for k in (0, 2, 3):
        assert_equal(reports[k], trainer)


def test_what_ends_a_population_fails_its_jobs_and_no_others() -> None:
    # An image at a third of the data is of a class that the networks do not know.
    x, y = stripes(42, 0)
    y[:] = torch.where(torch.arange(42) == 0, 7, y)
    trainer = evaluator(train=(x, y))
    share = next(s / 42 for s in range(2, 43) if 7 in _fraction(trainer, s / 42))
    smaller = share - 1 / 42
    jobs = [Job(design, {"data": s, "epochs": 1}) for s in (share, smaller) for design in DESIGNS]
    reports = together(trainer, jobs)
    assert all("out of bounds" in str(report.error) for report in reports[:4])
    assert all(report.evaluation is not None for report in reports[4:])


def _fraction(trainer: TrainingEvaluator, share: float) -> list[int]:
    train = trainer.settings(Job(EMPTY, {"data": share})).train
    assert isinstance(train, tuple)
    classes: list[int] = train[1].tolist()
    return classes


def test_a_training_without_progress_leaves() -> None:
    trainer = evaluator(stop=Patience(1), recipe=Recipe(epochs=8, batch_size=16))
    reports = together(trainer, [Job(design, seed=3) for design in DESIGNS])
    for report in reports:
        assert_equal(report, trainer)
    lengths = [len(r.evaluation.curve) for r in reports if r.evaluation is not None]
    assert len(set(lengths)) > 1
    assert any(r.evaluation.facts.get("stopped") for r in reports if r.evaluation is not None)


def test_promoted_jobs_go_on_together_from_where_they_were(tmp_path: Path) -> None:
    trainer = evaluator(checkpoints=tmp_path)
    low = together(trainer, [Job(design, {"epochs": 1}, 2) for design in DESIGNS])
    high = []
    for report in low:
        assert report.evaluation is not None
        assert report.evaluation.checkpoint is not None
        high.append(Job(report.job.design, {}, 2, report.evaluation.checkpoint))
    again = evaluator(checkpoints=tmp_path)
    reports = together(again, high)
    assert Counter(epoch for _, epoch in again.saved) == {2: 4, 3: 4}
    for report in reports:
        assert_equal(report, evaluator())
    # Nothing is left to do for those that were trained for longer already.
    done = evaluator(checkpoints=tmp_path)
    for report, earlier in zip(
        together(done, [Job(design, {"epochs": 1}, 2) for design in DESIGNS]), low, strict=True
    ):
        assert report.evaluation is not None
        assert earlier.evaluation is not None
        assert report.evaluation.objectives == earlier.evaluation.objectives
    assert not hasattr(done, "saved")


@pytest.mark.parametrize("limit", [3, 14, 20])
def test_an_interrupted_study_goes_on_from_the_checkpoints(tmp_path: Path, limit: int) -> None:
    def study(trainer: TrainingEvaluator, name: str) -> Study:
        return Study(SPACE, trainer, "random", seed=1, batch=4, storage=tmp_path / f"{name}.sqlite")

    first = evaluator(checkpoints=tmp_path / "states")
    first.limit = limit
    interrupted = study(first, "interrupted")
    with pytest.raises(KeyboardInterrupt):
        interrupted.run(trials=8)
    assert len(interrupted.trials) == (0 if limit < 12 else 4)
    interrupted.close()

    second = evaluator(checkpoints=tmp_path / "states")
    resumed = study(second, "interrupted")
    result = resumed.run(trials=8)
    resumed.close()
    # Each epoch of each trial was trained once, before the interruption or after it.
    assert Counter(first.saved + second.saved) == {
        (trial.design, epoch): 1 for trial in result.trials for epoch in (1, 2, 3)
    }
    whole = study(evaluator(), "whole")
    expected = whole.run(trials=8)
    whole.close()
    by_number = {trial.number: trial for trial in expected.trials}
    assert len(by_number) == 8
    for found in result.trials:
        trial = by_number[found.number]
        assert (found.design, found.seed, found.value) == (trial.design, trial.seed, trial.value)
        assert found.evaluation is not None
        assert trial.evaluation is not None
        assert found.evaluation.curve == trial.evaluation.curve


def test_a_population_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    class Limited(population.Program):
        def __init__(self, networks: Sequence[nn.Module], *arguments: Any) -> None:
            if len(networks) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(networks, *arguments)

    monkeypatch.setattr(population, "Program", Limited)
    trainer = evaluator()
    for report in together(trainer, [Job(design) for design in DESIGNS]):
        assert_equal(report, trainer)


def test_equal_jobs_are_reported_each() -> None:
    job = Job(CONVOLUTION, {"epochs": 1})
    reports = list(evaluator().evaluate([job, job, Job(CONVOLUTION, {"epochs": 1})]))
    assert len(reports) == 3
    assert len({report.evaluation.curve for report in reports if report.evaluation}) == 1


def with_hyperparameters(design: Design, **values: float | str) -> Design:
    return replace(design, hyperparameters=values)


def test_jobs_of_different_hyperparameters_come_together(populations: list[int]) -> None:
    trainer = evaluator()
    jobs = [
        Job(with_hyperparameters(CONVOLUTION, learning_rate=0.02, channels=2), {"epochs": 2}),
        Job(with_hyperparameters(BOTH, weight_decay=0.1, augmentation="flip"), {"epochs": 2}),
        Job(with_hyperparameters(BOTH, batch_size=8), {"epochs": 2}),
        Job(with_hyperparameters(POOL, batch_size=8, momentum=0.0), {"epochs": 2}),
        Job(with_hyperparameters(POOL, label_smoothing=0.1), {"epochs": 2}),
    ]
    for report in together(trainer, jobs):
        assert_equal(report, trainer)
    assert sorted(populations) == [2, 2]


def test_a_job_whose_hyperparameters_cannot_be_fails_alone() -> None:
    jobs = [
        Job(with_hyperparameters(CONVOLUTION, learning_rate=rate), {"epochs": 1})
        for rate in (0.1, -1.0, 0.2)
    ]
    reports = together(evaluator(), jobs)
    assert [report.error is None for report in reports] == [True, False, True]
    assert "learning_rate must be positive; got -1.0" in str(reports[1].error)
