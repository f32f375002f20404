"""String Gaussian processes: non-stationary kernels stitched from local ones, on one column."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from gpytorch.constraints import Interval, Positive
from gpytorch.priors import Prior
from torch import Tensor

from graphbo.kernels.base import LengthscaleKernel, assign

Correlation = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Gives a correlation at signed distances, and its first two derivatives there."""

_SHARE = 0.4  # of the whole line: about the typical length-scale of evenly spread points


class StringGPKernel(LengthscaleKernel):
    r"""The covariance of a string Gaussian process on a continuous column.

    Boundary times :math:`a_0 < \dots < a_K` cut the line into K intervals, each with a local
    kernel :math:`k_k` of its own length-scale and output scale. The boundary conditions
    :math:`b_k = (z(a_k), z'(a_k))` form a Markov chain,

    .. math:: b_0 \sim N(0, \mathbf{K}_1(a_0, a_0)), \quad
        b_k \mid b_{k-1} \sim N(M_k b_{k-1},
        \mathbf{K}_k(a_k, a_k) - M_k \mathbf{K}_k(a_{k-1}, a_k)), \quad
        M_k = \mathbf{K}_k(a_k, a_{k-1}) \mathbf{K}_k(a_{k-1}, a_{k-1})^{-1}

    where :math:`\mathbf{K}_k` is the covariance of (value, derivative) under :math:`k_k`; between
    two boundaries the process is the local one given the conditions at both, independently of the
    other intervals. So value and derivative are continuous everywhere, while smoothness and scale
    may differ from interval to interval. With one interval it is the local kernel.

    An interval together with its right boundary is the local process given :math:`b_{k-1}` alone.
    With :math:`T_k(t) = \mathbf{K}_k(t, a_{k-1})_{z} \mathbf{K}_k(a_{k-1}, a_{k-1})^{-1}` and
    :math:`D_k = \mathrm{Cov}(b_k) - \mathbf{K}_{k+1}(a_k, a_k)`, this gives

    .. math:: k(s, t) = k_k(s, t) + T_k(s) D_{k-1} T_k(t)^\top \text{ within interval } k, \quad
        k(s, t) = \mathrm{Cov}(z_s, b_i) M_{i+1}^\top \cdots M_{j-1}^\top T_j(t)^\top
        \text{ for } s \text{ in } i < j,

    where the only inverses are of diagonal matrices, so that no jitter is needed. The first and
    the last local kernel also serve what lies outside :math:`[a_0, a_K]`. Length-scales start at
    0.4 of the whole line, unless a constraint is given, and output scales at one.

    A string Gaussian process has one column: give each column its own kernel by ``active_dims``
    and multiply them, as the string kernels of the papers do.

    Reference: Kom Samo and Roberts, "String Gaussian process kernels", arXiv 1506.02239; "String
    and membrane Gaussian processes", JMLR 17 (2016).

    Args:
        boundaries: The boundary times, ascending, K + 1 of them.
        local: The local kernels, squared exponentials (``"rbf"``) or ``"matern52"``.
        learn_boundaries: Whether the inner boundary times are hyperparameters.
        outputscale_prior: A prior over the output scales.
        outputscale_constraint: A constraint of the output scales; positive by default.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If the boundaries are not ascending, or the local kernel is unknown.

    Example:
        >>> # Rows hold six columns of an architecture, a weight decay and a learning rate.
        >>> graph = WLKernel(decoder, active_dims=range(6))
        >>> matern = gpytorch.kernels.MaternKernel(nu=2.5, active_dims=(6,))
        >>> string = StringGPKernel([0.0, 0.3, 1.0], active_dims=(7,))
        >>> (graph * matern * string)(rows).to_dense().shape  # n rows
        torch.Size([n, n])
    """

    def __init__(
        self,
        boundaries: Sequence[float] = (0.0, 0.5, 1.0),
        local: Literal["rbf", "matern52"] = "rbf",
        *,
        learn_boundaries: bool = False,
        outputscale_prior: Prior | None = None,
        outputscale_constraint: Interval | None = None,
        **kwargs: Any,
    ) -> None:
        times = [float(time) for time in boundaries]
        widths = [b - a for a, b in pairwise(times)]
        if not widths or not all(0 < width < math.inf for width in widths):
            raise ValueError(f"boundaries must be two or more ascending numbers; got {times}")
        if local not in _CORRELATIONS:
            raise ValueError(f"local must be one of {list(_CORRELATIONS)}; got {local!r}")
        super().__init__(len(widths), **kwargs)
        self.local = local
        self.first, self.length = times[0], times[-1] - times[0]
        if kwargs.get("lengthscale_constraint") is None:
            self.initialize(lengthscale=_SHARE * self.length)
        logits = (torch.tensor(widths) / self.length).log().repeat(*self.batch_shape, 1)
        parameter = torch.nn.Parameter(logits, requires_grad=learn_boundaries)
        self.register_parameter("raw_widths", parameter)
        raw = torch.zeros(*self.batch_shape, len(widths))
        self.register_parameter("raw_outputscale", torch.nn.Parameter(raw))
        self.register_constraint("raw_outputscale", outputscale_constraint or Positive())
        self.outputscale = 1.0
        if outputscale_prior is not None:
            self.register_prior("outputscale_prior", outputscale_prior, _get_scale, _set_scale)

    @property
    def is_stationary(self) -> bool:
        """Whether the covariance depends on the difference of two points only: it does not."""
        return False

    @property
    def boundaries(self) -> Tensor:
        """The boundary times, `... x K + 1`."""
        ends = self.length * self.raw_widths.softmax(-1).cumsum(-1)
        return self.first + torch.cat([torch.zeros_like(ends[..., :1]), ends], dim=-1)

    @property
    def outputscale(self) -> Tensor:
        """The variance of each local kernel, `... x K`."""
        scale: Tensor = self.raw_outputscale_constraint.transform(self.raw_outputscale)
        return scale

    @outputscale.setter
    def outputscale(self, value: Tensor | float) -> None:
        assign(self, "raw_outputscale", value)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``.

        Raises:
            ValueError: If the rows have more than one column.
        """
        if x1.shape[-1] != 1:
            raise ValueError(
                f"a string Gaussian process has one column, chosen by active_dims; "
                f"got {x1.shape[-1]}"
            )
        strings = self._strings(x1)
        t1, inside1, features1 = strings.points(x1.squeeze(-1))
        t2, inside2, features2 = strings.points(x2.squeeze(-1))
        lengthscale, scale = (_select(inside1, v) for v in (strings.lengthscale, strings.scale))
        if diag:
            together = (inside1 * inside2).sum(-1)
            stitched = (features1 @ strings.middle * features2).sum(-1)
        else:
            together = inside1 @ inside2.mT
            stitched = features1 @ strings.middle @ features2.mT
            t1, t2 = t1.unsqueeze(-1), t2.unsqueeze(-2)
            lengthscale, scale = lengthscale.unsqueeze(-1), scale.unsqueeze(-1)
        local = scale * strings.correlation((t1 - t2) / lengthscale)[0]
        return together * local + stitched

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return length-scales at which the distances among some rows give the exponent -1/2.

        Args:
            x: `n x 1`.

        Returns:
            `1 x K`, at least a tenth of the mean width of the intervals.
        """
        floor = 0.1 * self.length / self.num_lengthscales
        typical: Tensor = (2 * x.var(unbiased=False)).sqrt().clamp_min(floor)
        return typical.expand(1, self.num_lengthscales)

    def _strings(self, like: Tensor) -> _Strings:
        correlation, curvature = _CORRELATIONS[self.local]
        hyperparameters = self.boundaries, self.lengthscale.squeeze(-2), self.outputscale
        return _Strings(correlation, curvature, *(value.to(like) for value in hyperparameters))


class _Strings:
    """What all points need of the boundary conditions.

    Args:
        correlation: The form of the local kernels, for a length-scale of one.
        curvature: Minus its second derivative at zero.
        times: `... x K + 1`.
        lengthscale: `... x K`.
        scale: `... x K`.
    """

    def __init__(
        self,
        correlation: Correlation,
        curvature: float,
        times: Tensor,
        lengthscale: Tensor,
        scale: Tensor,
    ) -> None:
        self.correlation, self.curvature = correlation, curvature
        self.times, self.lengthscale, self.scale = times, lengthscale, scale
        # The transitions M_k and the local covariances of a boundary, `... x K x 2 x 2`.
        level, slope, bend = correlation(times.diff(dim=-1) / lengthscale)
        entries = [level, -slope * lengthscale / curvature, slope / lengthscale, -bend / curvature]
        move = torch.stack(entries, dim=-1).reshape(*level.shape, 2, 2)
        variances = [scale, scale * curvature / lengthscale.square()]
        local = torch.stack(variances, dim=-1).diag_embed()
        # What the covariance of b_{k-1} has beyond the k-th local one.
        excess = [torch.zeros_like(local[..., 0, :, :])]
        for k in range(local.shape[-3] - 1):
            step = move[..., k, :, :]
            covariance = local[..., k, :, :] + step @ excess[-1] @ step.mT
            excess.append(covariance - local[..., k + 1, :, :])
        within = torch.stack(excess, dim=-3)
        self.carried = _block_diagonal(within @ move.mT)
        later = _chained(move)
        upper = torch.cat([_block_diagonal(within), later.mT], dim=-1)
        lower = torch.cat([later, torch.zeros_like(later)], dim=-1)
        self.middle = torch.cat([upper, lower], dim=-2)

    def points(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return times `... n`, the intervals they are in, and features, `... n x 4 K`.

        With `middle` between them, the features give what the boundaries add to the covariance.
        """
        later = t.unsqueeze(-1) >= self.times[..., 1:-1].unsqueeze(-2)
        inside = torch.nn.functional.one_hot(later.sum(-1), self.scale.shape[-1]).to(t)
        columns = self.lengthscale, self.scale, self.times[..., :-1], self.times[..., 1:]
        lengthscale, scale, left, right = (_select(inside, values) for values in columns)
        level, slope, _ = self.correlation((t - left) / lengthscale)
        before = torch.stack([level, -slope * lengthscale / self.curvature], dim=-1)
        level, slope, _ = self.correlation((t - right) / lengthscale)
        after = torch.stack([scale * level, -scale * slope / lengthscale], dim=-1)
        before, after = (
            (inside.unsqueeze(-1) * part.unsqueeze(-2)).flatten(-2) for part in (before, after)
        )
        return t, inside, torch.cat([before, after + before @ self.carried], dim=-1)


def _chained(move: Tensor) -> Tensor:
    """Return the products of transitions from each interval to each later one, `... 2 K x 2 K`."""
    number = move.shape[-3]
    nothing = torch.zeros_like(move[..., 0, :, :])
    rows = []
    for i in range(number):
        blocks = [nothing] * (i + 1)
        product = nothing + torch.eye(2).to(nothing)
        for j in range(i + 1, number):
            blocks.append(product)
            product = product @ move[..., j, :, :].mT
        rows.append(torch.cat(blocks, dim=-1))
    return torch.cat(rows, dim=-2)


def _block_diagonal(blocks: Tensor) -> Tensor:
    """Return `... 2 K x 2 K` of `... K x 2 x 2`."""
    eye = torch.eye(blocks.shape[-3]).to(blocks)
    return torch.einsum("...kab,kl->...kalb", blocks, eye).flatten(-2).flatten(-3, -2)


def _select(inside: Tensor, values: Tensor) -> Tensor:
    """Return the value of each point's interval, `... n`, of `... K` values."""
    return (inside * values.unsqueeze(-2)).sum(-1)


def _squared_exponential(d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    level = (-0.5 * d.square()).exp()
    return level, -d * level, (d.square() - 1) * level


def _matern52(d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u = math.sqrt(5) * d.abs()
    decay = (-u).exp()
    slope, bend = -5 / 3 * d * (1 + u) * decay, -5 / 3 * (1 + u - u.square()) * decay
    return (1 + u + u.square() / 3) * decay, slope, bend


_CORRELATIONS: dict[str, tuple[Correlation, float]] = {
    "rbf": (_squared_exponential, 1.0),
    "matern52": (_matern52, 5 / 3),
}


def _get_scale(kernel: StringGPKernel) -> Tensor:
    return kernel.outputscale


def _set_scale(kernel: StringGPKernel, value: Tensor) -> None:
    kernel.outputscale = value
