"""String kernels on subsequences with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gpytorch
import numpy as np
import torch
from gpytorch.constraints import Interval, Positive
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels.base import LengthscaleKernel, assign, feature_covariance
from graphbo.kernels.counts import Counts
from graphbo.kernels.feature_maps import DerivedMap, FeatureMap
from graphbo.kernels.flat import gapped_walks
from graphbo.kernels.naming import Occurrence
from graphbo.kernels.store import Decoder, FeatureStore
from graphbo.kernels.strings import Strings, string_graphs, string_occurrences


class SubsequenceMap(FeatureMap):
    """Counts of the subsequences of an architecture's strings, by length and gap, in blocks.

    An occurrence of a subsequence is a choice of positions; its gap is the number of positions
    that it leaves out between its first and its last. The strings are those of `SpectrumMap`, ends
    included, and the subsequences of all paths are counted without going through the paths.

    Reference: Lodhi et al., "Text classification using string kernels", JMLR 2 (2002).

    Args:
        length: The largest number of tokens in a subsequence, at least 1.
        max_gap: The largest gap, at least 0; occurrences with a larger one are not counted. No
            gap in a string of m tokens is larger than m - 2.
        strings: ``"paths"`` or ``"tokens"``; see `SpectrumMap`.

    Raises:
        ValueError: If the length is less than 1, ``max_gap`` negative, or ``strings`` neither.
    """

    def __init__(self, length: int = 3, max_gap: int = 2, strings: Strings = "paths") -> None:
        if length < 1:
            raise ValueError(f"the length of subsequences must be at least 1; got {length}")
        if max_gap < 0:
            raise ValueError(f"the largest gap must be at least 0; got {max_gap}")
        string_graphs([], strings)  # refuses what it does not know
        self.length = length
        self.max_gap = max_gap
        self.strings: Strings = strings
        gaps = range(max_gap + 1)
        names = [f"length_{n}_gap_{gap}" for n in range(2, length + 1) for gap in gaps]
        self.blocks = ("length_1", *names)

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every subsequence and its nodes; see `FeatureMap.occurrences`."""
        gaps = range(self.max_gap + 1)
        keys = [(1, 0), *((n, gap) for n in range(2, self.length + 1) for gap in gaps)]
        blocks = dict(zip(keys, self.blocks, strict=True))
        return string_occurrences(architecture, self.strings, blocks)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = string_graphs(graphs, self.strings)
        first, last = flat.path_counts()
        result = []
        for n, walks in enumerate(gapped_walks(flat, self.length, self.max_gap, first), 1):
            for gap in range(self.max_gap + 1 if n > 1 else 1):
                result.append(walks.chosen(walks.gaps == gap).counted(flat, last))
        return result


class SubsequenceKernel(gpytorch.kernels.Kernel):
    r"""The gap-weighted subsequence kernel on the strings of architectures, of unit diagonal.

    .. math:: k(x, x') = \sum_{n=1}^{N} w_n \sum_{|u| = n} \phi_u(x) \, \phi_u(x'), \qquad
        \phi_u(x) = \sum_{g=0}^{G} \gamma^g c_{u, g}(x)

    where :math:`c_{u, g}` counts the occurrences of the subsequence u with gap g (see
    `SubsequenceMap`), divided by the geometric mean of ``k(x, x)`` and ``k(x', x')``. The gap decay
    :math:`\gamma` and the weights are learnt by gradient. The match decay m of the literature is
    the special case :math:`w_n = m^{2n}`; Lodhi's single decay is that with :math:`m = \gamma`.

    For each n the sum is a polynomial of degree 2G in the gap decay. It is interpolated, exactly
    and with its gradient, from inner products at 2G + 1 decays, which are computed once and kept:
    a covariance costs (N - 1)(2G + 1) + 1 multiplications at any decay, and no dynamic program
    over pairs of strings.

    Reference: Lodhi et al., "Text classification using string kernels", JMLR 2 (2002); with
    learnt decays Beck and Cohn, "Learning kernels over strings using Gaussian processes", IJCNLP
    2017, and Moss et al., "BOSS: Bayesian optimization over string spaces", NeurIPS 2020.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        length: The length N of the longest subsequences.
        max_gap: The largest gap G; see `SubsequenceMap`.
        strings: ``"paths"`` or ``"tokens"``; see `SpectrumMap`.
        normalize: Whether the diagonal is scaled to one.
        kwargs: What every GPyTorch kernel takes.

    Example:
        >>> kernel = SubsequenceKernel(ListDecoder(architectures), length=3, max_gap=2)
        >>> kernel.gap_decay = 0.8
        >>> kernel.weights = 0.5 ** (2 * torch.arange(1, 4))  # a match decay of 0.5
    """

    def __init__(
        self,
        decoder: Decoder,
        length: int = 3,
        max_gap: int = 2,
        strings: Strings = "paths",
        *,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store = FeatureStore(decoder, _DecayedMap(length, max_gap, strings))
        self.normalize = normalize
        self.decays = tuple(_nodes(max_gap))  # no buffer, which GPyTorch would index as a batch
        for name, size, constraint in (
            ("raw_weights", length, Positive()),
            ("raw_gap_decay", 1, Interval(0.0, 1.0)),
        ):
            raw = torch.zeros(*self.batch_shape, size)
            self.register_parameter(name, torch.nn.Parameter(raw))
            self.register_constraint(name, constraint)

    @property
    def weights(self) -> Tensor:
        """The weight of each length (`... x length`)."""
        weights: Tensor = self.raw_weights_constraint.transform(self.raw_weights)
        return weights

    @weights.setter
    def weights(self, value: Tensor | float) -> None:
        assign(self, "raw_weights", value)

    @property
    def gap_decay(self) -> Tensor:
        """The factor of each position that is left out, between 0 and 1 (`... x 1`)."""
        decay: Tensor = self.raw_gap_decay_constraint.transform(self.raw_gap_decay)
        return decay

    @gap_decay.setter
    def gap_decay(self, value: Tensor | float) -> None:
        assign(self, "raw_gap_decay", value)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        return feature_covariance(self.store, self._block_weights(), x1, x2, diag, self.normalize)

    def _block_weights(self) -> Tensor:
        """Return the weights of the inner products at the nodes, `... x blocks`."""
        weights = self.weights
        nodes = weights.new_tensor(self.decays)
        same = torch.eye(len(nodes), dtype=torch.bool, device=nodes.device)
        # Lagrange's polynomials: the j-th is one at the j-th node and zero at the others.
        spans = (nodes.unsqueeze(-1) - nodes).masked_fill(same, 1)
        factors = (self.gap_decay.unsqueeze(-1) - nodes) / spans
        basis = factors.masked_fill(same, 1).prod(-1)
        longer = weights[..., 1:, None] * basis.unsqueeze(-2)
        return torch.cat([weights[..., :1], longer.flatten(-2)], dim=-1)


class SubsequenceRBFKernel(LengthscaleKernel):
    r"""A squared exponential of the distance that the subsequence kernel induces.

    .. math:: k(x, x') = \exp\Bigl(-\frac{d(x, x')^2}{2 \ell^2}\Bigr), \qquad
        d(x, x')^2 = s(x, x) + s(x', x') - 2 s(x, x')

    where s is the `SubsequenceKernel`, whose parameters are learnt beside the length-scale.

    Reference: Lodhi et al., "Text classification using string kernels", JMLR 2 (2002), for s.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        length: The length of the longest subsequences.
        max_gap: The largest gap; see `SubsequenceMap`.
        strings: ``"paths"`` or ``"tokens"``; see `SpectrumMap`.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.
    """

    def __init__(
        self,
        decoder: Decoder,
        length: int = 3,
        max_gap: int = 2,
        strings: Strings = "paths",
        **kwargs: Any,
    ) -> None:
        super().__init__(1, **kwargs)
        self.similarity = SubsequenceKernel(
            decoder, length, max_gap, strings, batch_shape=self.batch_shape
        )

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        if diag and x1 is x2:
            return self._unit_diagonal(x1)
        squared = self._squared_distance(x1, x2, diag)
        lengthscale = self.lengthscale.squeeze(-1) if diag else self.lengthscale
        covariance: Tensor = (-0.5 * squared / lengthscale.to(squared).square()).exp()
        return covariance

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return the length-scale at which the distances among some rows give the exponent -1/2.

        Args:
            x: `n x d`.

        Returns:
            `1 x 1`.
        """
        with torch.no_grad():
            squared = self._squared_distance(x, x, diag=False)
        return squared.mean(dim=(-2, -1)).clamp_min(0.01).sqrt().reshape(1, 1)

    def _squared_distance(self, x1: Tensor, x2: Tensor, diag: bool) -> Tensor:
        own1, own2 = (self.similarity.forward(x, x, diag=True) for x in (x1, x2))
        if not diag:
            own1, own2 = own1.unsqueeze(-1), own2.unsqueeze(-2)
        squared: Tensor = own1 + own2 - 2 * self.similarity.forward(x1, x2, diag=diag)
        return squared.clamp_min(0)


class _DecayedMap(DerivedMap):
    """Subsequences, each occurrence counted by ``decay**gap``, at a few decays.

    The blocks are length 1, at which there is no gap, and then all decays for each length.
    """

    def __init__(self, length: int, max_gap: int, strings: Strings) -> None:
        super().__init__(SubsequenceMap(length, max_gap, strings))
        self.max_gap = max_gap
        self.decays = _nodes(max_gap)
        longer = [f"length_{n}_decay_{t}" for n in range(2, length + 1) for t in self.decays]
        self.blocks = ("length_1", *longer)

    def derived(self, counts: Sequence[Counts]) -> list[Counts]:
        """Return the decayed sums of counts by gap."""
        first, *others = counts
        result = [first]
        for start in range(0, len(others), self.max_gap + 1):
            parts = others[start : start + self.max_gap + 1]
            result.extend(_decayed(parts, decay) for decay in self.decays)
        return result


def _decayed(parts: Sequence[Counts], decay: float) -> Counts:
    """Add up counts by gap, times ``decay**gap``."""
    used = list(enumerate(parts)) if decay else [(0, parts[0])]
    return Counts.of(
        parts[0].n,
        np.concatenate([part.rows for _, part in used]),
        np.concatenate([part.columns for _, part in used]),
        np.concatenate([part.values * decay**gap for gap, part in used]),
    )


def _nodes(max_gap: int) -> list[float]:
    """Return `2 max_gap + 1` numbers from 0 to 1, at which a polynomial is well determined.

    They are Chebyshev's, rounded to short binary fractions, so that for gaps up to four sums over
    features are exact and do not depend on their order.
    """
    if max_gap == 0:
        return [1.0]
    angles = np.pi * np.arange(2 * max_gap + 1) / (2 * max_gap)
    grid = 2.0 ** np.ceil(np.log2(2 * max_gap**2))
    nodes: list[float] = (np.rint(grid * (1 - np.cos(angles)) / 2) / grid).tolist()
    return nodes
