"""The graph edit distance kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.edit_distance import EditDistances
from graphbo.kernels.distances import DistanceKernel, DistanceMap, Floats
from graphbo.kernels.store import Decoder, FeatureStore


class EditDistanceMap(DistanceMap):
    """The graph edit distances to some landmarks, in one block.

    Each distance depends on its two architectures only: it is exact where both have at most six
    inner nodes (operations on nodes), and an approximation from counts elsewhere; see
    `EditDistances`.

    Args:
        landmarks: The architectures to which distances are measured.
    """

    blocks = ("edit distance",)

    def __init__(self, landmarks: Sequence[Architecture]) -> None:
        super().__init__(landmarks)
        self._all = EditDistances(self.landmarks)
        # An index with one large graph is exact for none, so that small ones have their own.
        exact = [EditDistances([landmark]).exact for landmark in self.landmarks]
        self._small = np.flatnonzero(exact)
        self._exact = EditDistances([self.landmarks[i] for i in self._small])

    def distances(self, architectures: Sequence[Architecture]) -> Floats:
        """Return the distances to the landmarks, `1 x n x landmarks`."""
        result = np.empty((1, len(architectures), len(self.landmarks)))
        for i, architecture in enumerate(architectures):
            result[0, i] = self._all.distances(architecture)
            if not self._all.exact and len(self._small):
                small = self._exact.distances(architecture)
                result[0, i, self._small] = small
        return result


class EditDistanceKernel(DistanceKernel):
    """A squared exponential of graph edit distances to landmarks.

    The formula and what it does about indefiniteness are those of `DistanceKernel`, with the least
    number of node and edge edits that turn one architecture into the other as the distance.

    Reference: Bunke and Allermann, "Inexact graph matching for structural pattern recognition",
    Pattern Recognition Letters 1 (1983); Neuhaus and Bunke, "Bridging the gap between graph edit
    distance and kernel machines", World Scientific (2007).

    Args:
        decoder: From a row of integers to its architecture; picklable.
        landmarks: The architectures to which distances are measured, a sample of the space for
            instance.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If there is no landmark.

    Example:
        >>> decoder = ListDecoder(architectures)
        >>> EditDistanceKernel(decoder, architectures)(decoder.rows).to_dense().shape
        torch.Size([n, n])
    """

    def __init__(self, decoder: Decoder, landmarks: Sequence[Architecture], **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, EditDistanceMap(landmarks)), **kwargs)
