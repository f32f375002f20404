"""The kernels serve a list of networkx graphs and targets, and nothing else of graphbo."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.kernels import Kernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import (
    FeatureStore,
    LinearFeatureKernel,
    ListDecoder,
    PathMap,
    WLKernel,
    WLOptimalAssignmentKernel,
    WLRBFKernel,
)


def random_graph(rng: np.random.Generator) -> nx.DiGraph:
    """A graph of 7 nodes whose names are letters."""
    graph = nx.DiGraph()
    labels = ["input", *rng.choice(["conv", "pool", "skip"], 5), "output"]
    for i, label in enumerate(labels):
        graph.add_node("abcdefg"[i], label=label)
        for j in range(i):
            if j == i - 1 or rng.random() < 0.3:
                graph.add_edge("abcdefg"[j], "abcdefg"[i])
    return graph


def error(graph: nx.DiGraph) -> float:
    """One point less for each convolution that follows another."""
    label = nx.get_node_attributes(graph, "label")
    return 20.0 - sum(label[u] == label[v] == "conv" for u, v in graph.edges)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


RNG = np.random.default_rng(0)
GRAPHS, NEW = ([random_graph(RNG) for _ in range(n)] for n in (60, 100))
KERNELS: dict[str, Callable[[ListDecoder], Kernel]] = {
    "WL": WLKernel,
    "WL, scaled": lambda decoder: ScaleKernel(WLKernel(decoder, normalize=False)),
    "WL-OA": WLOptimalAssignmentKernel,
    "WL-RBF": WLRBFKernel,
    "WL-RBF, scaled": lambda decoder: ScaleKernel(WLRBFKernel(decoder, depth=1)),
    "WL and paths": lambda decoder: (
        WLKernel(decoder) + LinearFeatureKernel(FeatureStore(decoder, PathMap()))
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_botorch_model_learns_from_networkx_graphs(name: str) -> None:
    decoder = ListDecoder(GRAPHS)
    errors = column([error(graph) for graph in GRAPHS])
    gp = SingleTaskGP(decoder.rows, errors, covar_module=KERNELS[name](decoder))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(gp.likelihood, gp))
    posterior = gp.posterior(decoder.add(NEW))
    predicted, truth = posterior.mean.squeeze(-1).detach(), [error(graph) for graph in NEW]
    assert np.corrcoef(predicted, truth)[0, 1] > 0.7
    assert (posterior.variance > 0).all()


def test_graphs_that_are_added_get_rows_of_their_own() -> None:
    decoder = ListDecoder(GRAPHS[:3])
    first = decoder.rows
    added = decoder.add([NEW[0], Architecture.from_networkx(NEW[1])])
    assert added.tolist() == [[3.0], [4.0]]
    assert added.dtype == torch.float64
    assert torch.equal(decoder.rows, torch.cat([first, added]))
    assert decoder((4,)) == Architecture.from_networkx(NEW[1])
    assert decoder((0,)) == Architecture.from_networkx(GRAPHS[0])
    assert decoder.add([]).shape == (0, 1)


def test_an_empty_decoder_can_be_filled() -> None:
    decoder = ListDecoder()
    assert decoder.rows.shape == (0, 1)
    assert torch.equal(decoder.add(GRAPHS), ListDecoder(iter(GRAPHS)).rows)


def test_adding_graphs_changes_no_covariance() -> None:
    decoder = ListDecoder(GRAPHS[:10])
    kernel = WLRBFKernel(decoder)
    before = kernel(decoder.rows).to_dense()
    added = decoder.add(NEW[:5])
    joint = kernel(decoder.rows).to_dense()
    torch.testing.assert_close(joint[:10, :10], before)
    torch.testing.assert_close(kernel(added, decoder.rows).to_dense(), joint[10:])
    torch.testing.assert_close(copy.deepcopy(kernel)(decoder.rows).to_dense(), joint)


def test_a_model_that_was_pickled_takes_new_graphs_through_its_own_decoder() -> None:
    decoder = ListDecoder(GRAPHS)
    errors = column([error(graph) for graph in GRAPHS])
    gp = SingleTaskGP(decoder.rows, errors, covar_module=WLKernel(decoder)).eval()
    loaded = pickle.loads(pickle.dumps(gp))
    again = loaded.covar_module.store.decoder.add(NEW)
    mean = gp.posterior(decoder.add(NEW)).mean
    torch.testing.assert_close(loaded.posterior(again).mean, mean)


@pytest.mark.parametrize("number", [60, -1])
def test_a_row_of_no_graph_is_refused(number: int) -> None:
    decoder = ListDecoder(GRAPHS)
    with pytest.raises(ValueError, match=f"row {number} is none of the 60 architectures"):
        WLKernel(decoder)(column([float(number)])).to_dense()


def test_a_graph_that_is_no_architecture_is_refused() -> None:
    unlabelled = nx.path_graph(3, create_using=nx.DiGraph)
    with pytest.raises(ValueError, match="node 0 has no attribute 'label'"):
        ListDecoder([unlabelled])
