"""Problems of hyperparameters: test functions, and a perceptron that is trained."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.problems import get_problem, list_problems
from graphbo.problems.functions import FUNCTIONS
from graphbo.study import Study
from graphbo.trial import Job

OPTIMA = {
    "branin": {"x1": np.pi, "x2": 2.275},
    "hartmann6": dict(
        zip(
            [f"x{i + 1}" for i in range(6)],
            [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],
            strict=True,
        )
    ),
    "rosenbrock4": {f"x{i + 1}": 1.0 for i in range(4)},
    "ackley8": {f"x{i + 1}": 0.0 for i in range(8)},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_their_optimum_where_it_should_be(name: str) -> None:
    problem = get_problem(name)
    design = problem.space.from_configuration(OPTIMA[name])
    evaluation = problem.evaluator.evaluate_one(Job(design))
    assert evaluation.objectives["value"] == pytest.approx(problem.optimum, abs=1e-4)
    rng = np.random.default_rng(0)
    for _ in range(20):
        job = Job(problem.space.sample(rng))
        value = pickle.loads(pickle.dumps(problem)).evaluator.evaluate_one(job)
        assert problem.optimum is not None
        assert value.objectives["value"] >= problem.optimum


def test_every_problem_of_hyperparameters_is_listed() -> None:
    names = [name for name, _ in list_problems()]
    assert {"mlp-digits", *FUNCTIONS} <= set(names)


def test_a_perceptron_learns_and_shorter_trainings_are_the_beginning_of_longer_ones() -> None:
    problem = get_problem("mlp-digits")
    assert problem.epochs == [1, 3, 9]
    good = {
        "activation": "relu",
        "optimizer": "adam",
        "layers": 1,
        "units": 64,
        "dropout": 0.0,
        "learning_rate": 0.005,
        "weight_decay": 1e-5,
        "label_smoothing": 0.0,
        "batch_size": 32,
    }
    design = problem.space.from_configuration(good)
    full = problem.evaluator.evaluate_one(Job(design, seed=3))
    assert full.objectives["validation_error"] < 15
    assert full.curve[-1] == full.objectives["validation_error"]
    assert len(full.curve) == full.facts["epochs"] == 9
    short = problem.evaluator.evaluate_one(Job(design, {"epochs": 3}, seed=3))
    assert short.curve == full.curve[:3]
    bad = problem.space.from_configuration({**good, "learning_rate": 1e-4})
    assert problem.evaluator.evaluate_one(Job(bad)).objectives["validation_error"] > 30


def test_a_multi_fidelity_search_of_hyperparameters() -> None:
    result = Study.of(get_problem("mlp-digits"), "bohb").run(epochs=40)
    assert {trial.fidelity["epochs"] for trial in result.trials} == {1.0, 3.0, 9.0}
    assert result.hyperparameters["optimizer"] in ("sgd", "adam")
    assert "hyperparameters=" in repr(result)


def test_the_momentum_of_adam_is_refused() -> None:
    space = get_problem("mlp-digits").space
    design = space.sample(np.random.default_rng(0))
    values = {**design.hyperparameters, "optimizer": "adam", "momentum": 0.5}
    with pytest.raises(InputError, match="momentum"):
        space.from_configuration(values)
