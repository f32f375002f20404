"""Graph kernels find a planted optimum in spaces of whole networks and of motifs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphbo.architecture import Architecture
from graphbo.functional import minimize
from graphbo.spaces import ENASMacroSpace, HierarchicalSpace, SearchSpace, flattened


def layers(architecture: Architecture) -> float:
    """Return less for convolutions, for long skip connections, and for few of them."""
    long = sum(v - u > 2 for u, v, _ in architecture.edges)
    return len(architecture.edges) - 3.0 * long - 2.0 * architecture.nodes.count("conv3x3")


def motifs(architecture: Architecture) -> float:
    """Return less for convolutions beside a skip connection, and for few operations."""
    cell = flattened(architecture)
    labels = [label for *_, label in cell.edges]
    return 0.5 * len(labels) - 2.0 * min(labels.count("nor_conv_3x3"), labels.count("skip_connect"))


@pytest.mark.parametrize(
    ("space", "planted"),
    [
        (ENASMacroSpace(3, ["conv3x3", "sepconv3x3", "maxpool3x3"]), layers),
        (HierarchicalSpace(["nor_conv_3x3", "skip_connect"], 1, 3, 4), motifs),
    ],
    ids=["enas", "hierarchical"],
)
def test_the_default_kernels_find_better_networks_than_random_search(
    space: SearchSpace, planted: Callable[[Architecture], float]
) -> None:
    found, drawn = (
        minimize(planted, space, budget=12, optimizer=name, seed=0)
        for name in ("graph-bo", "random")
    )
    assert planted(found.architecture) == found.value < drawn.value
