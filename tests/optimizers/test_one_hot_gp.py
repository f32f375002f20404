"""The same loop without graphs: what is equal to graph-bo, and what is not."""

from __future__ import annotations

import math

import pytest
import torch

from graphbo.errors import InputError
from graphbo.optimizers import GraphBO, OneHotGP, Optimizer, RandomSearch
from graphbo.spaces import CellSpace, ChainSpace, PoolSpace
from graphbo.surrogates import OneHotEncoding
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b"], on="edges")


def told(optimizer: Optimizer, n: int = 12) -> Optimizer:
    designs = RandomSearch(SPACE, seed=1).ask(n)
    optimizer.tell([Trial(d, value=float(len(d.architecture.edges))) for d in designs])
    return optimizer


def test_the_code_of_a_configuration_by_hand() -> None:
    space = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16])
    # depth 1 or 2; layer conv3x3 or maxpool2, and width 8 or 16, of the first and the second.
    chains = [
        space.from_configuration({"depth": "1", "layer_1": "conv3x3", "width_1": "16"}),
        space.from_configuration(
            {"depth": "2", "layer_1": "maxpool2", "layer_2": "conv3x3", "width_2": "8"}
        ),
    ]
    code = OneHotEncoding(space)([chain.architecture for chain in chains])
    expected = [[1, 0, 1, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0, 1, 0, 1, 0]]
    torch.testing.assert_close(code, torch.tensor(expected).double())


def test_the_kernel_by_hand() -> None:
    """Two cells that differ in one edge are two choices apart."""
    optimizer = told(OneHotGP(SPACE))
    optimizer.ask()
    assert isinstance(optimizer, OneHotGP)
    (model,) = optimizer.surrogate.models
    kernel = model.covar_module.base_kernel  # type: ignore[union-attr]
    kernel.lengthscale = torch.full((1, 18), 2.0).double()  # type: ignore[union-attr]
    rows = torch.tensor([[1, 0, 1, 0, 0, 1], [1, 0, 1, 0, 0, 2]]).double()
    distance = math.sqrt(5 * (1 / 4 + 1 / 4))
    expected = (1 + distance + distance**2 / 3) * math.exp(-distance)
    assert kernel(rows).to_dense()[0, 1].item() == pytest.approx(expected)  # type: ignore[operator]


def test_all_but_the_kernel_is_that_of_graph_bo() -> None:
    ours, theirs = told(OneHotGP(SPACE)), told(GraphBO(SPACE))
    assert isinstance(ours, OneHotGP)
    assert isinstance(theirs, GraphBO)
    assert OneHotGP(SPACE, seed=3).ask(5) == GraphBO(SPACE, seed=3).ask(5)
    (design,) = ours.ask()
    theirs.ask()
    assert design.origin == "one-hot-gp"
    scores = [optimizer.surrogate.transform.scores for optimizer in (ours, theirs)]
    assert scores[0].tolist() == scores[1].tolist()
    assert OneHotGP._score is GraphBO._score


def test_a_part_of_a_space_is_read_as_the_whole() -> None:
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()[::2]], parent=SPACE)
    optimizer = OneHotGP(pool, initial=2)
    for i in range(4):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value=float(i)))
    assert design.architecture in pool


def test_a_pool_of_no_space_is_refused() -> None:
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()[:5]], name="mine")
    with pytest.raises(InputError, match="no ConfigSpace describes the space mine; take one"):
        OneHotGP(pool)
