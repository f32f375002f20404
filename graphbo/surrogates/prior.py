r"""A prediction made in advance as the prior mean of a Gaussian process.

With a predictor p the targets are

.. math:: y = b + a\,p(x) + f(x) + \varepsilon, \qquad
    a \sim N(\tfrac12, \tfrac14), \quad b \sim N(0, 1),

since they are normal scores of whatever was observed, whose offset and scale say nothing in
absolute terms. Integrated over a and b, the mean is p(x) / 2 and the covariance that of f plus
``1 + p(x) p(x') / 4``, exactly and without further hyperparameters; see Rasmussen and Williams,
"Gaussian Processes for Machine Learning", 2006, section 2.7.
"""

from __future__ import annotations

from typing import Any

import torch
from gpytorch.kernels import Kernel
from gpytorch.means import Mean
from torch import Tensor

from graphbo.kernels import Decoder, Embedding, EmbeddingStore

SLOPE = 0.5
"""The mean and the standard deviation of the factor a."""

OFFSET = 1.0
"""The standard deviation of the offset b, whose mean is 0."""


class RowPredictor:
    """Predicts targets from rows; each prediction is made once.

    Args:
        decoder: From a row to its architecture; picklable.
        predictor: From ``n`` architectures to ``n`` values, lower is better, about standard normal
            over the space; picklable.
        typical: `m x d` rows drawn from the space, at whose distances the length-scales of a
            process start. What is observed first is what the predictor likes best, and so close
            together that it would say little of the space. Without them, the observed rows.

    Raises:
        ValueError: When it is called, if the predictor does not give each architecture one finite
            value.
    """

    def __init__(
        self, decoder: Decoder, predictor: Embedding, typical: Tensor | None = None
    ) -> None:
        self.store = EmbeddingStore(decoder, predictor)
        self.typical = typical

    def __call__(self, x: Tensor) -> Tensor:
        """Return the predictions for rows `... x n x d`, `... x n`."""
        values = self.store(x)
        if values.shape[-1] != 1 and x.numel():
            raise ValueError(
                "a predictor gives one value for each architecture; "
                f"this one gives {values.shape[-1]}"
            )
        return values.reshape(x.shape[:-1])


class PriorMean(Mean):
    """Half of what a predictor says, for rows."""

    def __init__(self, predictor: RowPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x: Tensor) -> Tensor:
        """Return the prior means of rows `... x n x d`, `... x n`."""
        return SLOPE * self.predictor(x)


class PriorKernel(Kernel):
    """What the unknown factor and offset of a predictor add to a covariance."""

    def __init__(self, predictor: RowPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        p1, p2 = SLOPE * self.predictor(x1), SLOPE * self.predictor(x2)
        product = p1 * p2 if diag else p1.unsqueeze(-1) * p2.unsqueeze(-2)
        return OFFSET**2 + product


def factors(p: Tensor, y: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Return the posterior of the offset and the factor, were there no f.

    Args:
        p: Predictions, `n`.
        y: Targets, `n`.
        noise: The variance of the noise.

    Returns:
        Their means (2) and covariance (`2 x 2`).
    """
    design = torch.stack([torch.ones_like(p), p], dim=1)
    mean = p.new_tensor([0.0, SLOPE])
    precision = torch.diag(p.new_tensor([OFFSET**-2, SLOPE**-2])) + design.mT @ design / noise
    covariance = torch.linalg.inv(precision)
    residual = y - design @ mean
    return mean + covariance @ (design.mT @ residual) / noise, covariance
