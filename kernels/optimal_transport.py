"""Optimal transport between the layers of two architectures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.kernels.distances import DistanceKernel, DistanceMap, Floats
from graphbo.kernels.layers import Layers
from graphbo.kernels.store import Decoder, FeatureStore

END_MASS = 0.1
"""The mass of the input, and of the output, relative to the mass of all operations."""

_UNASSIGNED = 2.0  # a unit of mass that is left on both sides; no match costs more


class TransportMap(DistanceMap):
    r"""The OTMANN distances to some landmarks, a block for each weight of the structural term.

    The layers of two networks are matched by a transport plan Z that minimises

    .. math:: d = \sum_{ij} Z_{ij} \bigl(M_{ij} + \nu C_{ij}\bigr)
        + \sum_i \Bigl(m_i - \sum_j Z_{ij}\Bigr) + \sum_j \Bigl(m'_j - \sum_i Z_{ij}\Bigr)

    with at most the mass m of a layer sent or received. M is the mismatch of the labels. C is the
    mean absolute difference of six path lengths, from the input and to the output: the shortest,
    the longest, and the mean of a random walk. Input and output match only each other, and have a
    tenth of the mass of all operations (of one, where the operations have less). Where no path
    leads from the input to the output, its length is beyond all others.

    Architectures are compared as they are after `Architecture.operations_on_nodes` and
    `Architecture.pruned`. Where all masses are one, the plan is an assignment; else it is found by
    the network simplex of the library POT.

    Reference: Kandasamy et al., "Neural architecture search with Bayesian optimisation and
    optimal transport", NeurIPS 2018.

    Args:
        landmarks: The architectures to which distances are measured.
        structure: The weights :math:`\nu` of the structural term, at least 0.
        mismatch: The cost of matching two different labels, in either order; ``math.inf`` forbids
            it. By default 1, for pairs that are not named too.
        masses: The mass of an operation by its label, such as its number of parameters in units
            of the typical one; 1 for labels that are not named. Needs the extra ``transport``.
        normalized: Whether to divide by the total mass of both networks, which gives distances
            between 0 and 1.

    Raises:
        ValueError: If there is no landmark or no weight, a weight, a cost or a mass is negative or
            not a number, or a mismatch is not one of two labels with one cost.
        MissingExtraError: If there are masses and POT is not installed.
    """

    def __init__(
        self,
        landmarks: Sequence[Architecture],
        *,
        structure: Sequence[float] = (0.8,),
        mismatch: Mapping[tuple[str, str], float] | None = None,
        masses: Mapping[str, float] | None = None,
        normalized: bool = False,
    ) -> None:
        super().__init__(landmarks)
        self.structure = np.array(structure, dtype=float).reshape(-1)
        self.mismatch = {pair: float(cost) for pair, cost in (mismatch or {}).items()}
        self.masses = {label: float(mass) for label, mass in (masses or {}).items()}
        self.normalized = normalized
        _check(self.structure.tolist(), self.mismatch, self.masses)
        if self.masses:
            _transport()
        self.blocks = tuple(f"transport, structure {weight:g}" for weight in self.structure)
        self._layers = Layers.of(self.landmarks, self.masses)

    def distances(self, architectures: Sequence[Architecture]) -> Floats:
        """Return the distances to the landmarks, `blocks x n x landmarks`."""
        first, second = Layers.of(architectures, self.masses), self._layers
        result = self._between_ends(first, second)
        solve = _transported if self.masses else _assigned
        targets = second.parts()
        for i, part in enumerate(first.parts()):
            gaps = np.abs(first.paths[part, None] - second.paths).mean(-1)
            labels = self._mismatches(first.labels[part], second.labels)
            costs = labels + self.structure[:, None, None] * gaps
            costs = np.minimum(costs, _UNASSIGNED)
            for j, target in enumerate(targets):
                masses = first.masses[part], second.masses[target]
                for block, cost in enumerate(costs[:, :, target]):
                    result[block, i, j] += solve(cost, *masses)
        if self.normalized:
            result /= (1 + 2 * END_MASS) * (first.totals[:, None] + second.totals)
        return result

    def _between_ends(self, first: Layers, second: Layers) -> Floats:
        """Return the part of the distances that input and output have, `blocks x n x m`."""
        gaps = np.abs(first.ends[:, None] - second.ends).mean(-1)
        costs = np.minimum(self.structure[:, None, None, None] * gaps, _UNASSIGNED).sum(-1)
        a, b = END_MASS * first.totals[:, None], END_MASS * second.totals
        result: Floats = np.minimum(a, b) * costs + 2 * np.abs(a - b)
        return result

    def _mismatches(self, first: Sequence[str], second: Sequence[str]) -> Floats:
        """Return the cost of matching labels, `n x m`."""
        words, rows = np.unique(np.array(first, dtype=object), return_inverse=True)
        others, columns = np.unique(np.array(second, dtype=object), return_inverse=True)
        table = np.array([[self._mismatch(a, b) for b in others] for a in words])
        return table.reshape(len(words), len(others))[np.ix_(rows, columns)]

    def _mismatch(self, a: str, b: str) -> float:
        if a == b:
            return 0.0
        return self.mismatch.get((a, b), self.mismatch.get((b, a), 1.0))


class OptimalTransportKernel(DistanceKernel):
    """A squared exponential of optimal transport (OTMANN) distances to landmarks.

    The formula and what it does about indefiniteness are those of `DistanceKernel`; `TransportMap`
    defines the distance. NASBOT's own covariance is a sum of the exponentials of the plain and of
    the normalised distance; here too the kernels of both can be added.

    Reference: Kandasamy et al., "Neural architecture search with Bayesian optimisation and
    optimal transport", NeurIPS 2018.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        landmarks: The architectures to which distances are measured, a sample of the space for
            instance.
        structure: The weights of the structural term, each of which gives a distance with a
            length-scale of its own.
        mismatch: The cost of matching two different labels; see `TransportMap`.
        masses: The mass of an operation by its label; see `TransportMap`.
        normalized: Whether distances are divided by the total mass of both networks.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If there is no landmark or no weight, a weight, a cost or a mass is negative or
            not a number, or a mismatch is not one of two labels with one cost.
        MissingExtraError: If there are masses and POT is not installed.

    Example:
        >>> decoder = ListDecoder(architectures)
        >>> OptimalTransportKernel(decoder, architectures)(decoder.rows).to_dense().shape
        torch.Size([n, n])
    """

    def __init__(
        self,
        decoder: Decoder,
        landmarks: Sequence[Architecture],
        *,
        structure: Sequence[float] = (0.8,),
        mismatch: Mapping[tuple[str, str], float] | None = None,
        masses: Mapping[str, float] | None = None,
        normalized: bool = False,
        **kwargs: Any,
    ) -> None:
        distances = TransportMap(
            landmarks,
            structure=structure,
            mismatch=mismatch,
            masses=masses,
            normalized=normalized,
        )
        super().__init__(FeatureStore(decoder, distances), **kwargs)


def _assigned(cost: Floats, first: Floats, second: Floats) -> float:
    """Return the cost of the best plan for layers of mass one, of which the fewer are assigned."""
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum()) + abs(len(first) - len(second))


def _transported(cost: Floats, first: Floats, second: Floats) -> float:
    """Return the cost of the best plan, in which the lighter network sends or receives all."""
    if first.sum() > second.sum():
        return _transported(cost.T, second, first)
    surplus = second.sum() - first.sum()
    if not first.any():
        return float(surplus)
    sources = np.append(first, surplus)
    costs = np.vstack([cost, np.ones(len(second))])  # what is left over is unassigned
    # Only the optimum is needed, and marginals are right by construction.
    quick = {"center_dual": False, "check_marginals": False}
    return float(_transport().emd2(sources, second, costs, **quick))


def _transport() -> Any:
    try:
        import ot
    except ImportError as error:
        raise MissingExtraError("POT", "transport") from error
    return ot


def _check(
    structure: Sequence[float], mismatch: Mapping[Any, float], masses: Mapping[str, float]
) -> None:
    if not structure or not all(0 <= weight < math.inf for weight in structure):
        raise ValueError(f"structure holds one or more weights of at least 0; got {structure}")
    for pair, cost in mismatch.items():
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise ValueError(f"mismatches are named by pairs of labels; got {pair!r}")
        if not cost >= 0:
            raise ValueError(f"a mismatch costs at least 0 (math.inf is allowed); {pair}: {cost}")
        if pair[0] == pair[1] and cost:
            raise ValueError(f"equal labels match at no cost; {pair}: {cost}")
        if mismatch.get(pair[::-1], cost) != cost:
            raise ValueError(f"the mismatch of {pair} has two different costs, in both orders")
    for label, mass in masses.items():
        if not 0 <= mass < math.inf:
            raise ValueError(f"a mass is finite and at least 0; {label!r} has {mass}")
