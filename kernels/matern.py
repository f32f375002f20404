"""The Matern kernel on vectors that a function gives architectures."""

from __future__ import annotations

import math

from torch import Tensor

from graphbo.kernels.embedding import EmbeddingKernel

_SMALLEST = 1e-15


class MaternEmbeddingKernel(EmbeddingKernel):
    r"""A Matern covariance with smoothness 5/2 of the distance between the vectors.

    .. math:: k(x, x') = \Bigl(1 + \sqrt{5}\, r + \frac{5}{3} r^2\Bigr) e^{-\sqrt{5}\, r}, \quad
        r^2 = \sum_j \frac{(z_j(x) - z_j(x'))^2}{\ell_j^2}

    Its functions are twice differentiable and no smoother, where those of `EmbeddingKernel` are
    infinitely smooth.

    Reference: Snoek et al., "Practical Bayesian optimization of machine learning algorithms",
    NeurIPS 2012, who argue for it with a length-scale for each coordinate.

    Args:
        store: From rows to vectors.
        num_lengthscales: One for all coordinates, or as many as the vectors have.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Example:
        >>> store = EmbeddingStore(decoder, embedding)
        >>> MaternEmbeddingKernel(store)(rows).shape
        torch.Size([100, 100])
    """

    def _covariance(self, squared: Tensor) -> Tensor:
        # The root has no gradient at zero.
        distance = math.sqrt(5) * squared.clamp_min(_SMALLEST).sqrt()
        return (1 + distance + 5 / 3 * squared) * (-distance).exp()
