"""Feature maps that see other labels than those that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.counts import Counts
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.naming import Occurrence


class RelabelledMap(FeatureMap):
    """The features of architectures whose labels have been replaced.

    So the same operation in several parts of an architecture can be one:
    ``{"normal/conv3x3": "conv3x3", "reduce/conv3x3": "conv3x3"}``.

    Args:
        source: The map that gives the features.
        labels: What stands for a label; those that are not named stay.

    Raises:
        ValueError: If a label becomes that of the input or the output, or those become another.
    """

    def __init__(self, source: FeatureMap, labels: Mapping[str, str]) -> None:
        ends = {INPUT, OUTPUT}
        wrong = [a for a, b in labels.items() if a != b and ends & {a, b}]
        if wrong:
            raise ValueError(
                f"input and output keep their labels, and no other gets them; got {wrong[0]!r} "
                f"for {labels[wrong[0]]!r}"
            )
        self.source = source
        self.labels = dict(labels)
        self.blocks = source.blocks

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return where the features of the other map occur; see `FeatureMap.occurrences`."""
        return self.source.occurrences(self._relabelled(architecture.operations_on_nodes()))

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        return self.source._counts([self._relabelled(graph) for graph in graphs])

    def _relabelled(self, graph: Architecture) -> Architecture:
        nodes = tuple(self.labels.get(label, label) for label in graph.nodes)
        return Architecture._trusted(nodes, graph.edges)
