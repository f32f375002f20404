"""Kernels on Weisfeiler-Lehman subtrees."""

from __future__ import annotations

from typing import Any

from graphbo.kernels.base import LinearFeatureKernel, RBFFeatureKernel
from graphbo.kernels.feature_maps import WeisfeilerLehmanMap
from graphbo.kernels.store import Decoder, FeatureStore


class WLKernel(LinearFeatureKernel):
    r"""The Weisfeiler-Lehman subtree kernel, with a learnt weight for each depth.

    .. math:: k(x, x') = \sum_{h=0}^{H} w_h \langle c_h(x), c_h(x') \rangle

    where :math:`c_h` counts the labels of depth h; see `WeisfeilerLehmanMap`.

    Reference: Shervashidze et al., "Weisfeiler-Lehman graph kernels", JMLR 12 (2011); for
    architectures Ru et al., "Interpretable NAS via Bayesian optimisation with Weisfeiler-Lehman
    kernels", ICLR 2021.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        depth: The largest depth H.
        kwargs: What `LinearFeatureKernel` takes.

    Example:
        >>> decoder = ListDecoder(architectures)
        >>> WLKernel(decoder)(decoder.rows).to_dense().shape  # n architectures
        torch.Size([n, n])
    """

    def __init__(self, decoder: Decoder, depth: int = 2, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, WeisfeilerLehmanMap(depth)), **kwargs)


class WLOptimalAssignmentKernel(LinearFeatureKernel):
    r"""The Weisfeiler-Lehman optimal assignment kernel.

    .. math:: k(x, x') = \sum_{h=0}^{H} w_h \sum_c \min(c_h(x), c_h(x'))

    a histogram intersection, which is linear in unary-coded counts.

    Reference: Kriege et al., "On valid optimal assignment kernels and applications to graph
    classification", NeurIPS 2016.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        depth: The largest depth H.
        kwargs: What `LinearFeatureKernel` takes.
    """

    def __init__(self, decoder: Decoder, depth: int = 2, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, WeisfeilerLehmanMap(depth), unary=True), **kwargs)


class WLRBFKernel(RBFFeatureKernel):
    r"""A squared exponential of the differences between Weisfeiler-Lehman counts.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_{h=0}^{H}
        \frac{\lVert c_h(x) - c_h(x') \rVert_1}{\ell_h^2}\Bigr)

    The counts are coded in unary, so the squared distance is the sum of absolute differences.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        depth: The largest depth H.
        kwargs: What `RBFFeatureKernel` takes.
    """

    def __init__(self, decoder: Decoder, depth: int = 2, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, WeisfeilerLehmanMap(depth), unary=True), **kwargs)
