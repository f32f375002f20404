"""Random architectures for tests with hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import MissingExtraError

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


def architectures(
    labels: Sequence[str] = ("a", "b", "c"),
    *,
    max_nodes: int = 5,
    edge_labels: Sequence[str] = ("",),
) -> SearchStrategy[Architecture]:
    """Return a hypothesis strategy of architectures, unconnected and empty ones among them.

    Args:
        labels: What nodes between input and output may be labelled.
        max_nodes: The largest number of such nodes.
        edge_labels: What edges may be labelled.

    Raises:
        MissingExtraError: If hypothesis is not installed.

    Example:
        >>> @given(architectures(edge_labels=["", "conv"]))
        ... def test_pruning_is_idempotent(architecture):
        ...     assert architecture.pruned().pruned() == architecture.pruned()
    """
    try:
        from hypothesis import strategies as st
    except ImportError as error:
        raise MissingExtraError("hypothesis", "dev") from error

    @st.composite
    def draw_architecture(draw: DrawFn) -> Architecture:
        inner = draw(st.lists(st.sampled_from(labels), max_size=max_nodes))
        nodes = [INPUT, *inner, OUTPUT]
        pairs = [(u, v) for v in range(len(nodes)) for u in range(v)]
        there = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
        present = [pair for pair, kept in zip(pairs, there, strict=True) if kept]
        words = draw(
            st.lists(st.sampled_from(edge_labels), min_size=len(present), max_size=len(present))
        )
        edges = [(u, v, word) for (u, v), word in zip(present, words, strict=True)]
        return Architecture(nodes, edges)

    return draw_architecture()
