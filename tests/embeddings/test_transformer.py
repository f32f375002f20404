"""The transformer's relations between nodes, and its heads."""

from __future__ import annotations

import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.embeddings import TransformerEncoder
from graphbo.embeddings.transformer import relations


def test_relations_tell_direction_and_distance() -> None:
    chain = Architecture(["input", "a", "a", "a", "output"], [(i, i + 1) for i in range(4)])
    empty = Architecture(["input", "output"], [])
    batch = TransformerEncoder(["a"]).batch([chain, empty])
    none, same = 3, 7
    assert relations(batch, 5).tolist() == [
        [
            [same, 6, 5, 4, 4],
            [0, same, 6, 5, 4],
            [1, 0, same, 6, 5],
            [2, 1, 0, same, 6],
            [2, 2, 1, 0, same],
        ],
        [[same if i == j else none for j in range(5)] for i in range(5)],
    ]


def test_distances_are_those_of_shortest_paths() -> None:
    labels = ["input", "a", "b", "output"]
    detour = Architecture(labels, [(0, 1), (1, 2), (2, 3), (0, 2)])
    batch = TransformerEncoder(["a", "b"]).batch([detour])
    assert relations(batch, 4)[0, 0].tolist() == [7, 6, 6, 5]


@pytest.mark.parametrize("length", [2, 3, 9, 17, 60])
def test_every_successor_is_found_however_far(length: int) -> None:
    labels = ["input", *["a"] * (length - 2), "output"]
    batch = TransformerEncoder(["a"]).batch(
        [Architecture(labels, [(i, i + 1) for i in range(length - 1)])]
    )
    related = relations(batch, length)[0]
    distance = torch.arange(length) - torch.arange(length)[:, None]
    assert torch.equal(related > 3, distance >= 0)
    assert torch.equal(related == 4, distance > 2)


def test_many_paths_do_not_overflow() -> None:
    """Every node feeds all later ones, so there are 2 ** 58 paths."""
    labels = ["input", *["a"] * 58, "output"]
    dense = Architecture(labels, [(i, j) for j in range(60) for i in range(j)])
    related = relations(TransformerEncoder(["a"]).batch([dense]), 60)[0]
    distance = torch.arange(60) - torch.arange(60)[:, None]
    assert torch.equal(related, torch.where(distance > 0, 6, torch.where(distance < 0, 0, 7)))


def test_the_relation_decides_what_is_attended_to() -> None:
    """With a bias against all but the same node, nodes cannot hear of each other."""
    encoder = TransformerEncoder(["a"], hidden=8).double()
    batch = encoder.batch([Architecture(["input", "a", "output"], [(0, 1), (1, 2)])])
    starts = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)

    def heard() -> torch.Tensor:
        (gradient,) = torch.autograd.grad(encoder.propagate(starts, batch)[2].sum(), starts)
        return gradient.abs().amax(1) > 0

    assert heard().tolist() == [True, True, True]
    with torch.no_grad():
        for layer in encoder.layers:
            layer.bias.weight[:7] = -torch.inf
    assert heard().tolist() == [False, False, True]


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_must_divide_hidden(heads: int) -> None:
    with pytest.raises(ValueError, match=f"heads must divide hidden, which is 64; got {heads}"):
        TransformerEncoder(["a"], heads=heads)
