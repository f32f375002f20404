from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.embeddings import GraphEncoder
from graphbo.spaces import NASBench101Space, NASBench201Space

OPERATIONS = ("conv", "pool")


@pytest.fixture
def encoder() -> GraphEncoder:
    torch.manual_seed(0)
    return GraphEncoder(OPERATIONS, dim=8, layers=3).double()


def shuffled(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    order = [int(i) for i in rng.permutation(len(architecture))]
    position = {node: i for i, node in enumerate(order)}
    return Architecture(
        [architecture.nodes[node] for node in order],
        [(position[u], position[v], label) for u, v, label in architecture.edges],
    )


@pytest.mark.parametrize("space", [NASBench201Space(), NASBench101Space()])
def test_batch_equals_single_results_and_node_order_does_not_matter(
    space: NASBench201Space | NASBench101Space,
) -> None:
    torch.manual_seed(0)
    encoder = GraphEncoder(space.operations, dim=16).double()
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng).architecture for _ in range(12)]
    vectors = encoder(architectures)
    assert vectors.shape == (12, 16)
    singles = torch.cat([encoder([architecture]) for architecture in architectures])
    relabelled = encoder([shuffled(architecture, rng) for architecture in architectures])
    torch.testing.assert_close(singles, vectors)
    torch.testing.assert_close(relabelled, vectors)


def test_direction_order_and_labels_are_told_apart(encoder: GraphEncoder) -> None:
    def chain(*labels: str) -> Architecture:
        ends = ("input", *labels, "output")
        return Architecture(ends, [(i, i + 1) for i in range(len(ends) - 1)])

    # The second fork is the first with all edges reversed.
    fork = [
        Architecture(["input", "conv", "pool", "pool", "output"], edges)
        for edges in (
            [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)],
            [(0, 2), (0, 3), (2, 1), (3, 1), (1, 4)],
        )
    ]
    vectors = encoder([chain("conv", "pool"), chain("pool", "conv"), chain("conv", "conv"), *fork])
    distances = torch.cdist(vectors, vectors) + torch.eye(5)
    assert distances.min() > 1e-3


def test_operations_on_edges_count_like_operations_on_nodes(encoder: GraphEncoder) -> None:
    on_edge = Architecture(["input", "output"], [(0, 1, "conv")])
    on_node = Architecture(["input", "conv", "output"], [(0, 1), (1, 2)])
    first, second = encoder([on_edge, on_node])
    torch.testing.assert_close(first, second)


def test_empty_architecture_and_empty_list(encoder: GraphEncoder) -> None:
    empty = Architecture(["input", "output"], [])
    assert torch.isfinite(encoder([empty])).all()
    assert encoder([]).shape == (0, 8)


def test_gradients_reach_every_parameter(encoder: GraphEncoder) -> None:
    architectures = [
        Architecture(["input", label, "output"], [(0, 1), (1, 2), (0, 2)]) for label in OPERATIONS
    ]
    (encoder(architectures) ** 2).sum().backward()
    without = [
        name
        for name, parameter in encoder.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


def test_unknown_label_is_refused(encoder: GraphEncoder) -> None:
    with pytest.raises(ValueError, match="'dense' is not in the vocabulary"):
        encoder([Architecture(["input", "dense", "output"], [(0, 1), (1, 2)])])


@pytest.mark.parametrize(
    ("operations", "dim", "layers"),
    [((), 8, 1), (("a", "a"), 8, 1), (("a",), 0, 1), (("a",), 8, 0)],
)
def test_bad_arguments_are_refused(operations: tuple[str, ...], dim: int, layers: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        GraphEncoder(operations, dim, layers)
