from __future__ import annotations

import math
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network, activation_memory, flash_size
from graphbo.networks.deployment import Deployment
from graphbo.networks.flops import flops
from graphbo.spaces import Design, JointSpace, NASBench201Space
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.study import Study
from graphbo.training.recipe import Recipe
from graphbo.training.stopping import Patience
from graphbo.training.trainer import train
from graphbo.trial import COMPUTED, Evaluation, Job

BUILD = partial(NASBench201Network, channels=4, cells=1, classes=3, in_channels=1)
SPACE = NASBench201Space()
CONVOLUTION = SPACE.design_of(Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")]))
RECIPE = Recipe(epochs=3, batch_size=16)
EMPTY = SPACE.design_of(Architecture(["input", "output"], []))


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.3 * torch.randn(n, 1, 6, 6, generator=generator), y


def evaluator(
    build: Callable[[Architecture], nn.Module] = BUILD,
    train: Any = None,
    validation: Any = None,
    **options: Any,
) -> TrainingEvaluator:
    defaults = {"recipe": RECIPE, "device": "cpu"}
    return TrainingEvaluator(
        build, train or stripes(96, 0), validation or stripes(60, 1), **(defaults | options)
    )


class Constant(nn.Module):
    """Answers with fixed logits, whatever the image and the training."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return (self.logits + 0 * self.factor).expand(len(x), -1)


def build_constant(_: Architecture) -> nn.Module:
    return Constant([1.0, 0.0, 0.0])


def build_dropout(architecture: Architecture) -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), BUILD(architecture))


def build_infinite(_: Architecture) -> nn.Module:
    return Constant([math.inf, 0.0, 0.0])


def test_learns_what_can_be_learnt() -> None:
    result = evaluator(test=stripes(60, 2), recipe=Recipe(epochs=6, batch_size=16)).evaluate_one(
        Job(CONVOLUTION)
    )
    assert set(result.objectives) == {"validation_error", "test_error"}
    assert result.objectives["validation_error"] < 10
    assert result.objectives["test_error"] < 10
    assert result.cost > 0
    assert len(result.curve) == 6
    assert result.curve[-1] == result.objectives["validation_error"]
    assert result.facts == {
        "epochs": 6,
        "parameters": sum(p.numel() for p in BUILD(CONVOLUTION.architecture).parameters()),
        "flops": flops(BUILD(CONVOLUTION.architecture), (1, 6, 6)),
        "activation_memory": activation_memory(BUILD(CONVOLUTION.architecture), (1, 6, 6)),
        "flash": flash_size(BUILD(CONVOLUTION.architecture), (1, 6, 6)),
    }
    assert result.checkpoint is None


def test_errors_are_percentages_of_wrong_answers() -> None:
    x = torch.zeros(8, 1, 6, 6)
    validation = (x, torch.tensor([0, 0, 0, 0, 0, 0, 1, 2]))
    test = (x[:4], torch.tensor([0, 1, 1, 1]))
    result = evaluator(build_constant, validation=validation, test=test).evaluate_one(
        Job(CONVOLUTION)
    )
    assert result.objectives == {"validation_error": 25.0, "test_error": 75.0}


def test_objectives_name_the_test_error_only_with_test_data() -> None:
    assert evaluator().objectives == ("validation_error",)
    assert evaluator(test=stripes(6, 2)).objectives == ("validation_error", "test_error")


@pytest.mark.parametrize("build", [BUILD, build_dropout])
def test_same_seed_gives_the_same_result_whatever_happened_before(
    build: Callable[[Architecture], nn.Module],
) -> None:
    hard = (stripes(96, 0)[0], torch.arange(96).flip(0) % 3)
    first = evaluator(build, train=hard).evaluate_one(Job(CONVOLUTION, seed=5))
    torch.manual_seed(123)
    copy = pickle.loads(pickle.dumps(evaluator(build, train=hard)))
    again = copy.evaluate_one(Job(CONVOLUTION, seed=5))
    other = copy.evaluate_one(Job(CONVOLUTION, seed=6))
    assert (again.objectives, again.curve) == (first.objectives, first.curve)
    assert other.curve != first.curve


@pytest.mark.parametrize("build", [build_dropout, build_infinite])
def test_global_random_state_is_left_as_it_was(build: Callable[[Architecture], nn.Module]) -> None:
    state = torch.get_rng_state()
    list(evaluator(build).evaluate([Job(CONVOLUTION, seed=1)]))
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_are_set_while_training_only() -> None:
    before, seen = torch.get_num_threads(), []

    def build(architecture: Architecture) -> nn.Module:
        seen.append(torch.get_num_threads())
        return build_constant(architecture)

    evaluator(build, threads=before + 1).evaluate_one(Job(CONVOLUTION))
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_fidelity_sets_the_epochs() -> None:
    result = evaluator().evaluate_one(Job(CONVOLUTION, {"epochs": 2}))
    assert result.facts["epochs"] == len(result.curve) == 2


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        ({"epochs": 0}, "a whole number from 1 to the 3 of the recipe; got 0"),
        ({"epochs": 4}, "a whole number from 1 to the 3 of the recipe; got 4"),
        ({"epochs": 1.5}, "a whole number from 1 to the 3 of the recipe; got 1.5"),
        ({"data": 0}, "fraction of the data must be above 0 and at most 1; got 0"),
        ({"resolution": 7}, "whole number of pixels from 1 to 6; got 7"),
        ({"width": 0}, "width multiplies channels and must be positive; got 0"),
        ({"images": 10}, "'epochs', 'data', 'resolution', 'width'.*got 'images'"),
    ],
)
def test_other_fidelities_are_refused(fidelity: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluator().evaluate_one(Job(CONVOLUTION, fidelity))


def test_a_fidelity_changes_what_it_names_and_nothing_else() -> None:
    shapes = []

    class Spy(nn.Module):
        def __init__(self, width: float = 1.0) -> None:
            super().__init__()
            self.width = width
            self.body = BUILD(CONVOLUTION.architecture, width=width)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                shapes.append(tuple(x.shape))
            return self.body(x)  # type: ignore[no-any-return]

    def build(_: Architecture, width: float = 1.0) -> nn.Module:
        return Spy(width)

    def run(**fidelity: float) -> tuple[list[tuple[int, ...]], Any]:
        shapes.clear()
        result = evaluator(build).evaluate_one(Job(CONVOLUTION, {"epochs": 1, **fidelity}))
        return list(shapes), result

    full, whole = run()
    assert full == [(16, 1, 6, 6)] * 6
    assert run(data=0.5)[0] == [(16, 1, 6, 6)] * 3
    small, shrunk = run(resolution=3)
    assert small == [(16, 1, 3, 3)] * 6
    assert shrunk.facts["parameters"] == whole.facts["parameters"]
    assert shrunk.facts["flops"] < whole.facts["flops"]
    same, wide = run(width=2)
    assert same == full
    assert wide.facts["parameters"] > 2 * whole.facts["parameters"]
    everything, equal = run(data=1.0, resolution=6, width=1.0)
    assert (everything, equal.curve) == (full, whole.curve)


def test_width_needs_a_network_that_has_one() -> None:
    with pytest.raises(InputError, match="build must take a keyword width"):
        evaluator(build_constant).evaluate_one(Job(CONVOLUTION, {"width": 0.5}))


def test_a_recipe_augments() -> None:
    plain = evaluator().evaluate_one(Job(CONVOLUTION, seed=3))
    recipe = Recipe(epochs=3, batch_size=16, crop=2)
    assert evaluator(recipe=recipe).evaluate_one(Job(CONVOLUTION, seed=3)).curve != plain.curve


def test_costs_of_the_network_are_known_without_training() -> None:
    trained = evaluator().evaluate_one(Job(CONVOLUTION, {"epochs": 1}))
    state = torch.get_rng_state()
    for name in COMPUTED:
        assert evaluator().compute(name, CONVOLUTION) == trained.facts[name]
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(InputError, match="are known without an evaluation; not 'latency_ms'"):
        evaluator().compute("latency_ms", CONVOLUTION)
    fitted = TrainingEvaluator(BUILD, fit=lambda network, job: 1.0)
    assert fitted.known == (), "a training function of one's own reports what it likes"
    assert fitted.facts is None
    assert evaluator().facts == ("epochs", *COMPUTED)


def test_the_costs_are_those_of_the_deployment(tmp_path: Path) -> None:
    job = Job(CONVOLUTION, {"epochs": 1})
    usual = evaluator(checkpoints=tmp_path)
    small = evaluator(checkpoints=tmp_path, deployment=Deployment(bits=8))
    facts = {each: each.evaluate_one(job).facts for each in (usual, small)}
    assert facts[usual]["activation_memory"] == 4 * facts[small]["activation_memory"]
    assert facts[usual]["flash"] > facts[small]["flash"] == small.compute("flash", CONVOLUTION)
    assert "deployment" not in usual.describe(), "studies of before go on"
    assert small.describe()["deployment"] == {"bits": 8}
    assert len(list(tmp_path.glob("*.pt"))) == 1, "the training itself is the same"


def test_latency_is_measured_if_asked_for() -> None:
    facts = evaluator(latency=True).evaluate_one(Job(CONVOLUTION, {"epochs": 1})).facts
    assert 0 < facts["latency_ms"] < 10_000
    asked = evaluator()
    asked.request(["latency_ms", "flops"])
    assert asked.requested == ("latency_ms",)
    assert asked.facts == ("epochs", *COMPUTED, "latency_ms")
    assert "latency_ms" not in asked.known
    assert "latency_ms" in asked.evaluate_one(Job(CONVOLUTION, {"epochs": 1})).facts


# Checkpoints -----------------------------------------------------------------------------------

HARD = (stripes(96, 0)[0], torch.arange(96).flip(0) % 3)


def outcome(evaluation: Evaluation) -> tuple[Any, ...]:
    return evaluation.objectives, evaluation.curve, evaluation.facts


def hard(folder: Path | None, **options: Any) -> TrainingEvaluator:
    build = options.pop("build", build_dropout)
    return evaluator(build, train=HARD, test=stripes(30, 2), checkpoints=folder, **options)


@pytest.mark.parametrize("fidelity", [{}, {"data": 0.5, "resolution": 3}])
def test_a_promoted_trial_equals_one_trained_directly(
    tmp_path: Path, fidelity: dict[str, float]
) -> None:
    direct = hard(tmp_path / "a").evaluate_one(Job(CONVOLUTION, fidelity, seed=5))
    low = hard(tmp_path / "b").evaluate_one(Job(CONVOLUTION, {**fidelity, "epochs": 1}, seed=5))
    assert low.checkpoint is not None
    # Another name: what it goes on from is the checkpoint of the job alone.
    (tmp_path / "c").mkdir()
    named = shutil.copy(low.checkpoint, tmp_path / "c" / "named.pt")
    high = hard(tmp_path / "c").evaluate_one(Job(CONVOLUTION, fidelity, 5, str(named)))
    assert low.curve == direct.curve[:1]
    assert outcome(high) == outcome(direct)
    networks = [
        torch.load(str(result.checkpoint), weights_only=True)["state"]["network"]
        for result in (direct, high, low)
    ]
    assert all(torch.equal(tensor, networks[1][name]) for name, tensor in networks[0].items())
    assert not all(torch.equal(tensor, networks[2][name]) for name, tensor in networks[0].items())


def test_an_interrupted_training_goes_on_where_it_was(tmp_path: Path) -> None:
    def interrupt(curve: Sequence[float]) -> bool:
        if len(curve) == 2:
            raise KeyboardInterrupt
        return False

    job = Job(CONVOLUTION, seed=5)
    with pytest.raises(KeyboardInterrupt):
        hard(tmp_path, stop=interrupt).evaluate_one(job)
    (path,) = tmp_path.iterdir()
    assert torch.load(path, weights_only=True)["state"]["epoch"] == 2
    assert outcome(hard(tmp_path).evaluate_one(job)) == outcome(hard(None).evaluate_one(job))
    assert list(tmp_path.iterdir()) == [path]


def test_only_what_is_missing_is_trained(tmp_path: Path) -> None:
    passes = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = BUILD(CONVOLUTION.architecture)

        def forward(self, x: Tensor) -> Tensor:
            passes.extend([0] * (self.training and isinstance(x, Tensor)))  # not when it is traced
            return self.body(x) * 1  # type: ignore[no-any-return]  # and so no compiled code

    trained = []
    for epochs in (1, 3, 3, 2):
        passes.clear()
        counting = hard(tmp_path, build=lambda _: Counting())
        result = counting.evaluate_one(Job(CONVOLUTION, {"epochs": epochs}))
        trained.append(len(passes))
        assert len(result.curve) == result.facts["epochs"] == epochs
        assert result.objectives["validation_error"] == result.curve[-1]
    assert trained == [6, 12, 0, 0]


def test_trainings_that_differ_do_not_share_a_checkpoint(tmp_path: Path) -> None:
    job = Job(CONVOLUTION, {"epochs": 1})
    first = hard(tmp_path).evaluate_one(job)
    assert first.checkpoint is not None
    for other in (
        Job(CONVOLUTION, {"epochs": 1}, seed=1),
        Job(EMPTY, {"epochs": 1}),
        Job(CONVOLUTION, {"epochs": 1, "data": 0.5}),
    ):
        assert hard(tmp_path).checkpoint(other) != hard(tmp_path).checkpoint(job)
        with pytest.raises(InputError, match="another training; what differs is"):
            hard(tmp_path).evaluate_one(replace(other, checkpoint=first.checkpoint))
    smaller = hard(tmp_path, recipe=Recipe(epochs=3, batch_size=8))
    with pytest.raises(InputError, match="what differs is: recipe"):
        smaller.evaluate_one(replace(job, checkpoint=first.checkpoint))
    with pytest.raises(InputError, match="what differs is: network"):
        hard(tmp_path, build=BUILD).evaluate_one(replace(job, checkpoint=first.checkpoint))


def test_a_network_of_the_same_name_with_other_weights_does_not_go_on(tmp_path: Path) -> None:
    def built(channels: int) -> Callable[[Architecture], nn.Module]:
        return lambda cell: NASBench201Network(cell, channels, cells=1, classes=3, in_channels=1)

    job = Job(CONVOLUTION, {"epochs": 1})
    first = evaluator(built(4), checkpoints=tmp_path).evaluate_one(job)
    with pytest.raises(InputError, match="that of another network"):
        evaluator(built(6), checkpoints=tmp_path).evaluate_one(
            replace(job, checkpoint=first.checkpoint)
        )


def test_no_checkpoint_outside_of_the_folder_is_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(CONVOLUTION, {"epochs": 1})
    elsewhere = hard(tmp_path / "elsewhere").evaluate_one(job)
    assert elsewhere.checkpoint is not None
    outside = Path(elsewhere.checkpoint)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "link.pt").symlink_to(outside)
    before, read = outside.read_bytes(), []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: (read.append(a[0]), load(*a, **k))[1])
    for checkpoint in (
        str(outside),
        str(folder / ".." / "elsewhere" / outside.name),
        str(folder / "link.pt"),
        "/proc/self/environ",
    ):
        for keeping in (folder, None):
            with pytest.raises(InputError, match="is not read"):
                hard(keeping).evaluate_one(replace(job, checkpoint=checkpoint))
    assert read == []
    assert outside.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["link.pt"]


def test_a_folder_of_checkpoints_that_was_moved_is_gone_on_from(tmp_path: Path) -> None:
    first = hard(tmp_path / "old").evaluate_one(Job(CONVOLUTION, {"epochs": 1}))
    (tmp_path / "old").rename(tmp_path / "new")
    job = Job(CONVOLUTION, {"epochs": 2}, checkpoint=first.checkpoint)
    moved = hard(tmp_path / "new").evaluate_one(job)
    assert outcome(moved) == outcome(hard(None).evaluate_one(replace(job, checkpoint=None)))


def test_what_results_depend_on_is_described_alike_in_every_process() -> None:
    class Maker:
        def __call__(self, cell: Architecture, style: object) -> nn.Module:
            return build_constant(cell)

    one, two = (evaluator(partial(Maker(), style=object())).describe() for _ in range(2))
    assert one == two
    assert evaluator().describe()["network"] == (
        "NASBench201Network(cells=1, channels=4, classes=3, in_channels=1)"
    )
    for other in (evaluator(recipe=Recipe()), evaluator(train=stripes(96, 3)), evaluator(Maker())):
        assert other.describe() != evaluator().describe()
    fitted = TrainingEvaluator(BUILD, fit=parameters_of)
    assert fitted.describe()["fit"] == "parameters_of"


def parameters_of(network: nn.Module, job: Job) -> float:
    return float(sum(parameter.numel() for parameter in network.parameters()))


@pytest.mark.parametrize(
    ("device", "message"), [("nowhere", "there is no device 'nowhere'"), ("cuda", "finds no GPU")]
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=message):
        evaluator(device=device)


class Flickering(Dataset[tuple[Tensor, int]]):
    """Images of stripes with new noise every time."""

    def __init__(self) -> None:
        self.images, self.classes = stripes(48, 0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.images[i] + torch.randn(1, 6, 6), int(self.classes[i])


def test_jobs_on_a_random_dataset_are_trained_as_one_by_one() -> None:
    jobs = [Job(CONVOLUTION, {"epochs": 2}, seed=seed) for seed in (0, 1)]
    together = [report.evaluation for report in evaluator(train=Flickering()).evaluate(jobs)]
    for job, ours in zip(jobs, together, strict=True):
        assert ours is not None
        assert ours.curve == evaluator(train=Flickering()).evaluate_one(job).curve


def test_parts_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"validation images have the shape \(1, 4, 4\)"):
        evaluator(validation=(torch.zeros(3, 1, 4, 4), torch.arange(3)))


# Early stop ------------------------------------------------------------------------------------


def test_a_training_without_progress_is_stopped_and_says_so() -> None:
    result = evaluator(build_constant, stop=Patience(1)).evaluate_one(Job(CONVOLUTION))
    assert result.facts["stopped"] == 1
    assert result.facts["epochs"] == len(result.curve) == 2
    assert result.objectives["validation_error"] == result.curve[-1]


def test_a_stopped_training_stays_stopped_when_it_is_promoted(tmp_path: Path) -> None:
    stopping = evaluator(build_constant, stop=Patience(1), checkpoints=tmp_path)
    direct = evaluator(build_constant, stop=Patience(1)).evaluate_one(Job(CONVOLUTION))
    first = stopping.evaluate_one(Job(CONVOLUTION, {"epochs": 2}))
    assert "stopped" not in first.facts
    promoted = stopping.evaluate_one(Job(CONVOLUTION, checkpoint=first.checkpoint))
    assert outcome(promoted) == outcome(direct)


# A training function of one's own --------------------------------------------------------------


def test_a_function_of_ones_own_gets_the_network_and_the_job() -> None:
    def fit(network: nn.Module, job: Job) -> float:
        assert job.fidelity == {"epochs": 7, "width": 2}
        return float(sum(p.numel() for p in network.parameters())) + torch.rand(()).item()

    own = TrainingEvaluator(BUILD, fit=fit, device="cpu")
    state = torch.get_rng_state()
    results = [own.evaluate_one(Job(CONVOLUTION, {"epochs": 7, "width": 2})) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    count = sum(p.numel() for p in BUILD(CONVOLUTION.architecture, width=2).parameters())
    assert int(results[0].objectives["validation_error"]) == results[0].facts["parameters"] == count
    assert results[0].objectives == results[1].objectives
    assert results[0].cost > 0


def test_a_function_of_ones_own_may_use_the_trainer_and_return_an_evaluation() -> None:
    def fit(network: nn.Module, job: Job) -> Evaluation:
        result = train(network, RECIPE, stripes(96, 0), stripes(60, 1), seed=job.seed, device="cpu")
        return Evaluation({"validation_error": result.validation_error[-1]}, cost=1.5)

    own = TrainingEvaluator(BUILD, fit=fit, device="cpu").evaluate_one(Job(CONVOLUTION, seed=5))
    assert own.objectives == evaluator().evaluate_one(Job(CONVOLUTION, seed=5)).objectives
    assert own.cost == 1.5


def test_training_needs_data_or_a_function() -> None:
    with pytest.raises(InputError, match="needs train and validation data, or a function fit"):
        TrainingEvaluator(BUILD, stripes(6, 0))


class Images(Dataset[tuple[Tensor, int]]):
    """A data set that computes its images when asked, and has plain integers as classes."""

    def __init__(self, n: int, seed: int) -> None:
        self.x, self.y = stripes(n, seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i], int(self.y[i])


@pytest.mark.parametrize("wrap", [lambda n, seed: TensorDataset(*stripes(n, seed)), Images])
def test_datasets_serve_as_well_as_tensors(wrap: Callable[[int, int], Dataset[Any]]) -> None:
    state = torch.get_rng_state()
    on_datasets = evaluator(
        train=wrap(96, 0),
        validation=wrap(60, 1),
        test=wrap(30, 2),
        recipe=Recipe(epochs=6, batch_size=16),
    )
    first = on_datasets.evaluate_one(Job(CONVOLUTION))
    assert first.objectives["validation_error"] < 10
    assert on_datasets.evaluate_one(Job(CONVOLUTION)).curve == first.curve
    assert torch.equal(torch.get_rng_state(), state)


def test_empty_cell_gets_an_error_near_chance() -> None:
    result = evaluator().evaluate_one(Job(EMPTY))
    assert result.objectives["validation_error"] == pytest.approx(200 / 3)


def test_a_single_image_left_over_is_skipped() -> None:
    # 17 images in batches of 16, and images so small that batch norm sees one value per channel.
    x, y = stripes(17, 0)
    tiny = (x[:, :, :1, :1], y)
    result = evaluator(train=tiny, validation=tiny).evaluate_one(Job(CONVOLUTION))
    assert len(result.curve) == 3


def test_diverging_training_is_a_floating_point_error() -> None:
    x, y = stripes(96, 0)
    spoilt = (torch.where(torch.arange(96)[:, None, None, None] == 7, math.nan, x), y)
    with pytest.raises(FloatingPointError, match="training loss is not finite in epoch 1 of 3"):
        evaluator(train=spoilt).evaluate_one(Job(CONVOLUTION))


def test_answers_that_are_not_finite_are_a_floating_point_error() -> None:
    x, y = stripes(60, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        evaluator(validation=(x * math.nan, y)).evaluate_one(Job(CONVOLUTION))


def test_a_failure_becomes_a_report() -> None:
    jobs = [Job(CONVOLUTION), Job(Design(CONVOLUTION.architecture, CONVOLUTION.row), {"epochs": 0})]
    good, bad = sorted(evaluator().evaluate(jobs), key=lambda report: report.error is not None)
    assert good.error is None
    assert good.job is jobs[0]
    assert bad.evaluation is None
    assert bad.error is not None
    assert "InputError" in bad.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": (torch.zeros(3, 1, 2, 2), torch.zeros(2).long())}, "3 images but 2 classes"),
        ({"validation": (torch.zeros(0, 1, 2, 2), torch.zeros(0).long())}, "validation data are"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"precision": "half"}, "the precision is one of"),
        ({"fit": lambda network, job: 0.0}, "not both"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluator(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_trains_on_a_gpu_and_restores_its_random_state() -> None:
    state = torch.cuda.get_rng_state()
    result = evaluator(device="cuda", recipe=Recipe(epochs=6, batch_size=16)).evaluate_one(
        Job(CONVOLUTION)
    )
    assert result.objectives["validation_error"] < 10
    assert torch.equal(torch.cuda.get_rng_state(), state)


# Hyperparameters ----------------------------------------------------------------------------


def chosen(design: Design = CONVOLUTION, **values: float | str) -> Design:
    return replace(design, hyperparameters=values)


def joint(**settings: object) -> JointSpace:
    return JointSpace(SPACE, hyperparameters_from_settings(settings))


def test_hyperparameters_take_the_place_of_settings_of_recipe_and_network() -> None:
    design = chosen(learning_rate=0.02, channels=3, augmentation="crop", crop=1)
    found = evaluator().evaluate_one(Job(design, {"epochs": 2}))
    recipe = replace(RECIPE, learning_rate=0.02, crop=1)
    expected = evaluator(partial(BUILD, channels=3), recipe=recipe)
    assert replace(found, cost=0) == replace(
        expected.evaluate_one(Job(CONVOLUTION, {"epochs": 2})), cost=0
    )
    assert found.curve != evaluator().evaluate_one(Job(CONVOLUTION, {"epochs": 2})).curve


def test_a_width_as_fidelity_multiplies_channels_that_are_chosen() -> None:
    wide = evaluator().network(Job(chosen(channels=3), {"width": 2.0}))
    assert wide.stem[0].out_channels == 6  # type: ignore[index,union-attr]


def test_trainings_of_other_hyperparameters_share_no_checkpoint(tmp_path: Path) -> None:
    trainer = hard(tmp_path)
    jobs = [
        Job(design, {"epochs": 1})
        for design in (CONVOLUTION, chosen(learning_rate=0.02), chosen(channels=5))
    ]
    assert len({trainer.checkpoint(job) for job in jobs}) == 3
    first = trainer.evaluate_one(jobs[1])
    again = trainer.evaluate_one(Job(jobs[1].design, {"epochs": 2}, checkpoint=first.checkpoint))
    assert again.curve[:1] == first.curve
    assert again.curve == hard(None).evaluate_one(Job(jobs[1].design, {"epochs": 2})).curve
    with pytest.raises(InputError, match="what differs is: recipe"):
        trainer.evaluate_one(replace(jobs[0], checkpoint=first.checkpoint))


def test_a_study_refuses_hyperparameters_that_mean_nothing_before_it_starts() -> None:
    with pytest.raises(InputError, match=r"training knows no hyperparameter 'dropuot'; it must be"):
        Study(joint(dropuot=[0, 1]), evaluator(), "random")
    with pytest.raises(InputError, match="no hyperparameter 'epochs'"):
        Study(joint(epochs=[1, 2]), evaluator(), "random")
    with pytest.raises(InputError, match="augmentation must be 'none' or some of"):
        Study(joint(augmentation=["none", "mixup"]), evaluator(), "random")
    space = joint(augmentation=["none", "flip"], momentum=[0.0, 0.9], cells=[1, 2])
    result = Study(space, evaluator(), "random", fidelity={"epochs": 1}).run(trials=2)
    assert result.failed == 0
    assert sorted(result.hyperparameters) == ["augmentation", "cells", "momentum"]


def test_a_training_function_of_ones_own_reads_hyperparameters_itself() -> None:
    def fit(network: nn.Module, job: Job) -> float:
        channels = network.stem[0].out_channels  # type: ignore[index,union-attr]
        return float(channels) + float(job.design.hyperparameters["anything"])  # type: ignore[operator]

    trainer = TrainingEvaluator(BUILD, fit=fit)
    trainer.check_space(joint(anything=[0.5, 0.25], channels=[2, 3]))
    result = trainer.evaluate_one(Job(chosen(anything=0.5, channels=2)))
    assert result.objectives == {"validation_error": 2.5}
