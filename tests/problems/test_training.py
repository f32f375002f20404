"""Problems that train for real: by name, from images, and from a file."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.datasets import ImageData, shapes
from graphbo.errors import InputError
from graphbo.problems import (
    Problem,
    get_problem,
    load_problem_file,
    problem_from_images,
    training_problem,
)
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    DARTSSpace,
    ENASMacroSpace,
    HierarchicalSpace,
    NASBench101Space,
    NASBench201Space,
    PoolSpace,
    RandomlyWiredSpace,
    RegNetSpace,
    SearchSpace,
)
from graphbo.training.recipe import Recipe
from graphbo.trial import Job

CONVOLUTION = Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")])
EMPTY = Architecture(["input", "output"], [])


@pytest.fixture
def images() -> ImageData:
    return shapes(32, 20, 20, size=8, classes=4)


def write(folder: Path, text: str) -> Path:
    path = folder / "problem.toml"
    path.write_text(text)
    return path


def network(problem: Problem, architecture: Architecture) -> Any:
    return problem.evaluator.build(architecture)  # type: ignore[attr-defined]


def training_data(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    job = Job(problem.space.sample(np.random.default_rng(0)))
    return problem.evaluator.settings(job).train  # type: ignore[attr-defined,no-any-return]


# By name -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_digits_trains_cells_and_a_convolution_beats_the_empty_cell() -> None:
    problem = pickle.loads(pickle.dumps(get_problem("digits")))
    assert (problem.name, problem.fidelity, problem.trials) == ("digits", {"epochs": 3}, 30)
    assert isinstance(problem.space, NASBench201Space)
    assert problem.objective in problem.evaluator.objectives
    errors = [
        problem.evaluator.evaluate_one(
            Job(problem.space.design_of(architecture), {"epochs": 1})
        ).objectives
        for architecture in (CONVOLUTION, EMPTY)
    ]
    assert set(errors[0]) == {"validation_error", "test_error"}
    assert errors[0]["validation_error"] < 60
    assert errors[1]["validation_error"] > 80


@pytest.mark.parametrize("name", ["cifar10", "mnist", "flowers17"])
def test_problems_on_real_images_build_networks_that_fit_them(data_folder: Path, name: str) -> None:
    problem = training_problem(name, data_folder)
    x, y = training_data(problem)
    logits = network(problem, CONVOLUTION)(x[:4])
    assert logits.shape == (4, int(y.max()) + 1)


@pytest.mark.parametrize(
    ("name", "epochs", "space", "description"),
    [
        ("darts-shapes", 4, DARTSSpace, "pairs of cells of DARTS"),
        ("enas-shapes", 6, ENASMacroSpace, "networks of six layers of ENAS"),
        ("hierarchical-shapes", 4, HierarchicalSpace, "hierarchical cells of three motifs"),
    ],
)
def test_other_spaces_have_a_problem_on_shapes(
    name: str, epochs: int, space: type[SearchSpace], description: str
) -> None:
    problem = get_problem(name)
    assert (problem.name, problem.fidelity) == (name, {"epochs": epochs})
    assert isinstance(problem.space, space)
    assert problem.description.startswith(description)
    x, y = training_data(problem)
    design = problem.space.sample(np.random.default_rng(0))
    assert network(problem, design.architecture)(x[:4]).shape == (4, int(y.max()) + 1)


@pytest.mark.parametrize(
    ("name", "kind", "called"),
    [
        ("wired-shapes", RandomlyWiredSpace, "randomly wired networks"),
        ("regnet-shapes", RegNetSpace, "chains of RegNet"),
    ],
)
def test_shapes_are_learnt_by_networks_of_other_spaces(name: str, kind: type, called: str) -> None:
    problem = get_problem(name)
    assert (problem.name, problem.fidelity) == (name, {"epochs": 4})
    assert isinstance(problem.space, kind)
    assert f"{called} trained for real" in problem.description
    x, y = training_data(problem)
    design = problem.space.sample(np.random.default_rng(0))
    assert network(problem, design.architecture)(x[:4]).shape == (4, int(y.max()) + 1)


def test_an_unknown_training_problem_is_named() -> None:
    with pytest.raises(InputError, match="no training problem 'imagenet'; it is one of digits"):
        training_problem("imagenet")


# From images -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "space",
    [
        None,
        CellSpace(3, ["nor_conv_3x3", "skip_connect"], on="edges"),
        NASBench101Space(4),
        ChainSpace(2, ["conv3x3"], ["maxpool2"], [4, 8]),
        DARTSSpace(["sep_conv_3x3", "skip_connect"], nodes=1),
        ENASMacroSpace(3, ["conv3x3", "maxpool3x3"]),
        HierarchicalSpace(motifs=1, motif_nodes=2, nodes=3),
        RandomlyWiredSpace([3], [0.5], [1], [2], seeds=2),
        RegNetSpace([3], [8], [8.0], [2.0]),
    ],
)
def test_every_space_has_its_networks(images: ImageData, space: Any) -> None:
    problem = problem_from_images(images, space, recipe=Recipe(epochs=1, batch_size=16))
    design = problem.space.sample(np.random.default_rng(0))
    evaluation = problem.evaluator.evaluate_one(Job(design, problem.fidelity))
    assert set(evaluation.objectives) == {"validation_error", "test_error"}
    assert network(problem, design.architecture)(images.train[0]).shape == (32, 4)


def test_settings_reach_the_network_and_the_problem(images: ImageData) -> None:
    problem = problem_from_images(
        images, recipe=Recipe(epochs=2), name="mine", trials=4, channels=3, stages=1
    )
    assert (problem.name, problem.trials, problem.fidelity) == ("mine", 4, {"epochs": 2})
    parameters = dict(network(problem, CONVOLUTION).named_parameters())
    assert parameters["stem.0.weight"].shape == (3, 1, 3, 3)
    last = list(parameters)[-1]
    assert parameters[last].shape == (4,)
    assert max(p.shape[0] for p in parameters.values()) == 4  # no stage that doubles the channels


def test_what_cannot_be_trained_is_named(images: ImageData) -> None:
    def fails(message: str, space: Any = None, **settings: Any) -> None:
        with pytest.raises(InputError, match=message):
            problem_from_images(images, space, **settings)

    fails("has no setting 'layers'; its settings are channels, cells, ", layers=3)
    fails("chain has no setting 'channels'; it has no settings", ChainSpace(2), channels=8)
    fails("channels must be a whole number of at least 1; got 0", channels=0)
    fails("cells must be a whole number of at least 1; got 1.5", cells=1.5)
    fails("operation 'fft' cannot be trained", CellSpace(3, ["fft"], on="edges"))
    fails("operation 'fft-8' cannot be trained", ChainSpace(2, ["fft"], [], [8]))
    fails("operation 'fft' cannot be trained", DARTSSpace(["fft"]))
    fails("operation 'fft' cannot be trained", ENASMacroSpace(2, ["fft"]))
    for space in (
        HierarchicalSpace(["conv3x3", "maxpool2"]),
        ENASMacroSpace(4, ["conv3x3", "maxpool2"]),
        CellSpace(3, ["maxpool2"], on="edges"),
    ):
        fails("operation 'maxpool2' changes the size of the image, which only the pools", space)
    fails("'maxpool3x3' cannot be a layer of a chain, .* 8 into 16", ChainSpace(2, ["maxpool3x3"]))
    fails("drop_path must be a number from 0 to below 1; got 1.0", DARTSSpace(), drop_path=1.0)
    pool = PoolSpace([CONVOLUTION, EMPTY])
    fails("no network for the architectures of the space pool", pool)


# From a file -------------------------------------------------------------------------------------

SMALL = 'dataset = "shapes"\noptions = { train = 32, validation = 20, test = 20, classes = 4 }\n'


def test_a_file_names_dataset_network_and_recipe(tmp_path: Path) -> None:
    text = f"""trials = 5
[space]
type = "cell"
nodes = 3
operations = ["nor_conv_3x3", "skip_connect"]
on = "edges"

[train]
{SMALL}channels = 3
epochs = 2
learning_rate = 1
flip = true
"""
    problem = get_problem(str(write(tmp_path, text)))
    assert (problem.name, problem.trials, problem.space.size) == ("problem", 5, 15)
    assert problem.fidelity == {"epochs": 2}
    recipe = problem.evaluator.recipe  # type: ignore[attr-defined]
    assert recipe == Recipe(epochs=2, learning_rate=1, flip=True)
    assert network(problem, CONVOLUTION).stem[0].out_channels == 3
    design = problem.space.design_of(CONVOLUTION)
    evaluation = problem.evaluator.evaluate_one(Job(design, problem.fidelity))
    assert len(evaluation.curve) == 2


def test_a_file_declares_hyperparameters_of_the_training(tmp_path: Path) -> None:
    text = f"""
[train]
{SMALL}epochs = 1
learning_rate = 1
[hyperparameters]
weight_decay = {{ low = 1e-5, high = 1e-2, log = true }}
channels = {{ low = 2, high = 4 }}
"""
    problem = load_problem_file(write(tmp_path, text))
    assert problem.space.name == "nasbench201-joint"
    assert problem.space.kind == "both"
    design = problem.space.design_of(CONVOLUTION)
    design = replace(design, hyperparameters={"weight_decay": 1e-3, "channels": 2})
    result = problem.evaluator.evaluate_one(Job(design))
    assert 0 <= result.objectives["validation_error"] <= 100
    path = write(tmp_path, f"[train]\n{SMALL}[hyperparameters]\ndropuot = [0, 1]\n")
    with pytest.raises(InputError, match="training knows no hyperparameter 'dropuot'"):
        load_problem_file(path)


def test_cells_of_darts_train_alone_or_beside_others(tmp_path: Path) -> None:
    text = f"""[space]
type = "darts"
nodes = 1

[train]
{SMALL}channels = 2
cells = 2
drop_path = 0.1
epochs = 1
"""
    problem = load_problem_file(write(tmp_path, text))
    rng = np.random.default_rng(0)
    jobs = [Job(problem.space.sample(rng), seed=seed) for seed in (0, 1)]
    together = [report.evaluation for report in problem.evaluator.evaluate(jobs)]
    for job, evaluation in zip(jobs, together, strict=True):
        assert evaluation is not None
        assert evaluation.objectives == problem.evaluator.evaluate_one(job).objectives


def test_a_file_without_a_space_searches_that_of_nas_bench_201(tmp_path: Path) -> None:
    assert isinstance(
        load_problem_file(write(tmp_path, f"[train]\n{SMALL}")).space, NASBench201Space
    )


def test_images_may_lie_beside_the_file_or_in_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path, n in ((tmp_path / "mine.npz", 10), (data / "mnist.npz", 20)):
        np.savez(path, x=np.random.default_rng(0).random((n, 4, 4)), y=np.arange(n) % 2)
    mine = load_problem_file(write(tmp_path, '[train]\ndataset = "mine.npz"\n'))
    mnist = get_problem(str(write(tmp_path, '[train]\ndataset = "mnist"\n')), data)
    assert [len(training_data(problem)[1]) for problem in (mine, mnist)] == [6, 12]
    x, _ = training_data(mine)
    assert x.shape == (6, 1, 4, 4)
    assert x.dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "dataset must be the name of a dataset; got None"),
        ('dataset = "shapse"', "no dataset 'shapse'; the nearest names are shapes"),
        ('dataset = "no.npz"', r"there is no file .*no\.npz"),
        ('dataset = "shapes"\noptions = 3', "options must be a table of arguments; got 3"),
        ('dataset = "shapes"\noptions = { sice = 3 }', "the dataset 'shapes': .*sice"),
        (f"{SMALL}epoch = 3", "unknown key 'epoch'; did you mean 'epochs'"),
        (f"{SMALL}epochs = 1.5", "epochs must be a whole number; got 1.5"),
        (f"{SMALL}flip = 1", "flip must be true or false; got 1"),
        (f'{SMALL}momentum = "high"', "momentum must be a number; got 'high'"),
        (f"{SMALL}learning_rate = 0", "learning_rate must be positive; got 0"),
        (f"{SMALL}channels = 0", "channels must be a whole number of at least 1; got 0"),
    ],
)
def test_mistakes_name_the_file_and_the_section(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, f"[train]\n{text}\n")
    with pytest.raises(InputError, match=re.escape(f"{path}, [train]: ") + ".*" + message):
        load_problem_file(path)


def test_there_is_one_way_to_evaluate(tmp_path: Path) -> None:
    path = write(tmp_path, f'[evaluate]\ntable = "a.csv"\n[train]\n{SMALL}')
    with pytest.raises(InputError, match=r"either a section \[evaluate\] or a section \[train\]"):
        load_problem_file(path)
