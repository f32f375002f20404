"""Surrogates over architectures and hyperparameters."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from ConfigSpace import ConfigurationSpace, EqualsCondition

from graphbo.errors import InputError
from graphbo.spaces import CellSpace, Design, HyperparameterSpace, JointSpace
from graphbo.spaces.base import Column
from graphbo.surrogates import DeepEnsemble, GraphSurrogate, weisfeiler_lehman
from graphbo.surrogates.column_features import HyperparameterFeatures
from graphbo.surrogates.joint import with_hyperparameters
from graphbo.testing.optimizers import example_hyperparameters

CELLS = CellSpace(3, ["a", "b"], on="edges")
JOINT = JointSpace(CELLS, ConfigurationSpace({"rate": (0.0, 1.0)}))


def designs(n: int, space: JointSpace = JOINT) -> list[Design]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


def test_features_by_hand() -> None:
    features = HyperparameterFeatures(
        [
            Column("rate"),
            Column("optimizer", 3),
            Column("width", 3, ordered=True),
            Column("momentum", conditional=True),
        ]
    )
    assert features.dim == 1 + 3 + 1 + 2
    x = torch.tensor([[0.2, 1, 2, 0.5], [0.3, 0, 1, -1]], dtype=torch.float64)
    half = math.sqrt(0.5)
    expected = [[0.2, 0, 1, 0, 1.0, half, half], [0.3, 1, 0, 0, 0.5, 0, 0]]
    torch.testing.assert_close(features(x), torch.tensor(expected, dtype=torch.float64))


def test_what_is_inactive_is_equally_far_from_all_that_it_could_be() -> None:
    features = HyperparameterFeatures([Column("momentum", conditional=True)])
    x = torch.tensor([[-1.0], [0.0], [0.4], [1.0]])
    distances = torch.cdist(features(x), features(x))[0, 1:]
    torch.testing.assert_close(distances, torch.ones(3))


def test_designs_that_differ_in_what_is_inactive_are_the_same_point() -> None:
    space = ConfigurationSpace({"optimizer": ["adam", "sgd"], "momentum": (0.0, 1.0)})
    space.add(EqualsCondition(space["momentum"], space["optimizer"], "sgd"))
    joint = JointSpace(CELLS, space)
    some = designs(12, joint)
    surrogate = GraphSurrogate(joint).fit(some, [float(i % 5) for i in range(12)])

    def variants(optimizer: str, *momenta: float) -> list[Design]:
        beside = [{"optimizer": optimizer, "momentum": momentum} for momentum in momenta]
        return [Design(some[0].architecture, some[0].row, hyperparameters=each) for each in beside]

    alone = Design(some[0].architecture, some[0].row, hyperparameters={"optimizer": "adam"})
    adam, sgd = [alone, *variants("adam", 0.1, 0.9)], variants("sgd", 0.1, 0.9)
    rows = surrogate.rows(adam)
    assert torch.equal(rows, rows[:1].expand_as(rows))
    for model in surrogate.models:
        covariance = model.covar_module(rows).to_dense()
        torch.testing.assert_close(covariance, covariance[0, 0].expand_as(covariance))
    assert len(set(surrogate.predict(adam)[0].tolist())) == 1
    assert not torch.equal(*surrogate.rows(sgd))


def test_rows_hold_the_canonical_architecture_and_the_hyperparameters() -> None:
    space = JointSpace(CELLS, example_hyperparameters())
    some = designs(20, space)
    rows = GraphSurrogate(space).rows(some)
    width = len(CELLS.decisions)
    for row, design in zip(rows.tolist(), some, strict=True):
        assert tuple(map(int, row[:width])) == CELLS.encode(design.architecture)
        assert space.hyperparameters.values(row[width:]) == design.hyperparameters


def test_the_kernel_is_the_product_of_both_parts() -> None:
    (factory,) = with_hyperparameters(JOINT, [weisfeiler_lehman(JOINT)])
    kernel = factory([])
    rows = GraphSurrogate(JOINT).rows(designs(6))
    graph = weisfeiler_lehman(CELLS)([])(rows[:, :-1]).to_dense()
    beside = kernel.kernels[1](rows).to_dense()
    torch.testing.assert_close(kernel(rows).to_dense(), graph * beside)
    assert (beside < 1 - 1e-6).any()
    torch.testing.assert_close(pickle.loads(pickle.dumps(kernel))(rows).to_dense(), graph * beside)


def test_it_learns_from_both() -> None:
    def value(design: Design) -> float:
        rate = design.hyperparameters["rate"]
        assert isinstance(rate, float)
        return (rate - 0.3) ** 2 * 4 + sum(label == "a" for *_, label in design.architecture.edges)

    some = designs(60)
    surrogate = GraphSurrogate(JOINT).fit(some[:40], [value(design) for design in some[:40]])
    mean, _ = surrogate.predict(some[40:])
    truth = [value(design) for design in some[40:]]
    assert np.corrcoef(mean, truth)[0, 1] > 0.9


def test_hyperparameters_alone_have_one_model() -> None:
    space = HyperparameterSpace(example_hyperparameters())
    some = designs(12, space)
    surrogate = GraphSurrogate(space).fit(some, list(map(float, range(12))))
    assert len(surrogate.models) == 1
    assert surrogate.rows(some).shape == (12, len(space.hyperparameters.columns))


def test_what_knows_no_hyperparameters_is_refused() -> None:
    with pytest.raises(InputError, match="give the surrogate kernels instead of models"):
        GraphSurrogate(JOINT, [DeepEnsemble(CELLS, lambda cells: torch.zeros(len(cells), 1))])
    with pytest.raises(InputError, match="a prior predicts from architectures alone"):
        GraphSurrogate(JOINT, prior=lambda cells: torch.zeros(len(cells)))
