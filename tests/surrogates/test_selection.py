"""The kernel under which the observations are the most likely."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.kernels import RBFFeatureKernel
from graphbo.optimizers import GraphBO
from graphbo.spaces import CellSpace, Design
from graphbo.surrogates import GraphGP, GraphSurrogate, MostLikely, fit, log_likelihood
from graphbo.surrogates.defaults import weisfeiler_lehman

SPACE = CellSpace(4, ["a", "b"], on="nodes")
DESIGNS = [SPACE.sample(np.random.default_rng(i)) for i in range(40)]


def edges(design: Design) -> float:
    """What labels alone do not tell."""
    return float(len(design.architecture.operations_on_nodes().edges))


def operations(design: Design) -> float:
    """What labels alone tell."""
    return 3.0 * design.architecture.nodes.count("a") + design.architecture.nodes.count("b")


@pytest.mark.parametrize(("objective", "depth"), [(operations, 0), (edges, 1)])
def test_the_depth_follows_the_objective(objective, depth: int) -> None:  # type: ignore[no-untyped-def]
    choice = MostLikely([weisfeiler_lehman(SPACE, depth) for depth in range(3)])
    surrogate = GraphSurrogate(SPACE, [choice])
    surrogate.fit(DESIGNS, [objective(design) for design in DESIGNS])
    kernel = surrogate.models[0].covar_module.base_kernel
    assert isinstance(kernel, RBFFeatureKernel)
    assert len(kernel.store.feature_map.blocks) == depth + 1


def test_the_choice_has_the_highest_likelihood_of_all() -> None:
    rows = GraphSurrogate(SPACE).rows(DESIGNS)
    targets = torch.tensor([[edges(design)] for design in DESIGNS], dtype=torch.float64)
    targets = (targets - targets.mean()) / targets.std()
    train = [design.architecture for design in DESIGNS]
    kernels = [weisfeiler_lehman(SPACE, depth) for depth in range(3)]
    alone = [log_likelihood(fit(GraphGP(rows, targets, kernel(train)))) for kernel in kernels]
    chosen = MostLikely(kernels).fitted(rows, targets, train)
    assert log_likelihood(chosen).item() == pytest.approx(max(alone).item())


def test_a_search_takes_a_choice_as_a_kernel() -> None:
    optimizer = GraphBO(SPACE, kernels=[MostLikely([weisfeiler_lehman(SPACE, 1)])], initial=2)
    assert optimizer.settings["kernels"] == ["MostLikely"]


def test_there_must_be_a_choice() -> None:
    with pytest.raises(ValueError, match="at least one kernel"):
        MostLikely([])
