"""String Gaussian processes against the definition, and the promises of the docstring."""

from __future__ import annotations

import math
from collections.abc import Callable

import gpytorch
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import ListDecoder, StringGPKernel, WLKernel, WLRBFKernel
from graphbo.kernels.testing import check_kernel, example_architectures
from graphbo.surrogates.fitting import fit, log_posterior
from graphbo.surrogates.graph_gp import GraphGP

Matrix = npt.NDArray[np.float64]
LocalKernel = Callable[[float, float], float]
EXAMPLES = example_architectures()


def string_kernel(
    boundaries: list[float],
    lengthscales: list[float],
    scales: list[float] | None = None,
    local: str = "rbf",
) -> StringGPKernel:
    kernel = StringGPKernel(boundaries, local).double()  # type: ignore[arg-type]
    kernel.lengthscale = torch.tensor([lengthscales])
    kernel.outputscale = torch.tensor(scales or [1.0] * len(lengthscales))
    return kernel


def column(values: list[float] | Matrix) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float64).unsqueeze(-1)


def gram(kernel: gpytorch.kernels.Kernel, x1: Tensor, x2: Tensor | None = None) -> Matrix:
    with torch.no_grad():
        result: Matrix = kernel(x1, x2).to_dense().numpy()
    return result


def of_values_and_derivatives(
    local: str, length: float, scale: float, a: Tensor, b: Tensor, order_a: int, order_b: int
) -> Tensor:
    """The local covariance of derivatives of z, by differentiating the formula automatically."""
    if a == b and local == "matern52":  # where |a - b| has no derivative
        return scale * torch.tensor([[1.0, 0.0], [0.0, 5 / 3 / length**2]])[order_a, order_b]
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    if local == "rbf":
        value = scale * (-0.5 * ((a - b) / length).square()).exp()
    else:
        u = (a - b).abs() / length
        value = scale * (1 + 5**0.5 * u + 5 / 3 * u.square()) * (-(5**0.5) * u).exp()
    for variable, order in ((a, order_a), (b, order_b)):
        if order:
            (value,) = torch.autograd.grad(value, variable, create_graph=True)
    return value.detach()


def by_conditioning(
    boundaries: list[float],
    lengthscales: list[float],
    scales: list[float],
    local: str,
    points: Matrix,
) -> Matrix:
    """The joint covariance of a string GP at some points, step by step from its definition.

    First the boundary conditions, one after the other; then each interval's points given the
    conditions at both its ends, independently of the other intervals.
    """

    def local_covariance(
        k: int, first: list[tuple[float, int]], second: list[tuple[float, int]]
    ) -> Matrix:
        return np.array(
            [
                [
                    of_values_and_derivatives(
                        local,
                        lengthscales[k],
                        scales[k],
                        torch.tensor(a, dtype=torch.float64),
                        torch.tensor(b, dtype=torch.float64),
                        i,
                        j,
                    ).item()
                    for b, j in second
                ]
                for a, i in first
            ]
        )

    ends = [[(a, 0), (a, 1)] for a in boundaries]
    joint = local_covariance(0, ends[0], ends[0])
    for k in range(len(lengthscales)):
        before = local_covariance(k, ends[k], ends[k])
        across = local_covariance(k, ends[k + 1], ends[k])
        move = across @ np.linalg.inv(before)
        left = local_covariance(k, ends[k + 1], ends[k + 1]) - move @ across.T
        cross = joint[:, -2:] @ move.T
        corner = move @ joint[-2:, -2:] @ move.T + left
        joint = np.block([[joint, cross], [cross.T, corner]])
    weights = np.zeros((len(points), len(joint)))
    left_over = np.zeros((len(points), len(points)))
    inside = np.clip(np.searchsorted(boundaries, points, side="right") - 1, 0, len(scales) - 1)
    for k in range(len(scales)):
        mine = np.flatnonzero(inside == k)
        z = [(float(t), 0) for t in points[mine]]
        if not z:
            continue
        both = ends[k] + ends[k + 1]
        conditions = local_covariance(k, both, both)
        to_points = local_covariance(k, z, both)
        explained = to_points @ np.linalg.inv(conditions)
        weights[np.ix_(mine, range(2 * k, 2 * k + 4))] = explained
        left_over[np.ix_(mine, mine)] = local_covariance(k, z, z) - explained @ to_points.T
    result: Matrix = weights @ joint @ weights.T + left_over
    return result


@pytest.mark.parametrize("local", ["rbf", "matern52"])
def test_the_covariance_follows_the_definition(local: str) -> None:
    boundaries, lengthscales, scales = [-0.5, 0.25, 1.0, 2.0], [0.5, 0.4, 0.9], [1.0, 0.3, 2.5]
    points = np.array([-0.5, -0.1, 0.1, 0.25, 0.4, 0.7, 0.95, 1.0, 1.3, 1.9, 2.0])
    kernel = string_kernel(boundaries, lengthscales, scales, local)
    expected = by_conditioning(boundaries, lengthscales, scales, local, points)
    np.testing.assert_allclose(gram(kernel, column(points)), expected, atol=1e-6)
    assert np.abs(expected - np.diag(np.diag(expected))).max() > 0.5


def test_two_intervals_by_hand() -> None:
    """Unit local kernels on [0, 1] and [1, 2]; the second has length-scale 2 and variance 4.

    Under the first, (z(1), z'(1)) has covariance diag(1, 1). Under the second it would have
    diag(4, 4 / 2^2). Both z(2) and z(1.5) are, given (z(1), z'(1)),

        z(1 + d) = r (z(1) + d z'(1)) + noise, r = exp(-d^2 / 8),

    with the covariance of the noise as under the second kernel alone. z(0.5) and (z(1), z'(1))
    have the covariances e and -e / 2, where e = exp(-1/8), since d/dt exp(-(t - 0.5)^2 / 2) at 1
    is -e / 2.
    """
    kernel = string_kernel([0, 1, 2], [1.0, 2.0], [1.0, 4.0])
    found = gram(kernel, column([0.5, 1.0, 1.5, 2.0]))
    e, r1, r2 = math.exp(-1 / 8), math.exp(-(0.5**2) / 8), math.exp(-1 / 8)
    noise = 4 * math.exp(-(0.5**2) / 8) - r1 * r2 * (4 + 0.5 * 1 * 1)
    expected = {
        (0, 0): 1,
        (0, 1): e,
        (0, 2): r1 * (e - 0.5 * e / 2),
        (0, 3): r2 * (e - e / 2),
        (1, 1): 1,
        (1, 2): r1,
        (2, 2): r1**2 * (1 + 0.25) + 4 - r1**2 * (4 + 0.25),
        (2, 3): r1 * r2 * (1 + 0.5) + noise,
        (3, 3): r2**2 * (1 + 1) + 4 - r2**2 * (4 + 1),
    }
    for (i, j), value in expected.items():
        assert found[i, j] == pytest.approx(value, abs=1e-7), (i, j)


@pytest.mark.parametrize("local", ["rbf", "matern52"])
@given(
    length=st.floats(0.05, 20),
    scale=st.floats(0.1, 10),
    times=st.lists(st.floats(-1, 2), min_size=1, max_size=8),
)
def test_one_interval_is_the_local_kernel(
    local: str, length: float, scale: float, times: list[float]
) -> None:
    plain = ScaleKernel(RBFKernel() if local == "rbf" else MaternKernel(nu=2.5)).double()
    plain.base_kernel.lengthscale, plain.outputscale = length, scale
    kernel = string_kernel([0, 1], [length], [scale], local)
    x = column(times)
    np.testing.assert_allclose(gram(kernel, x), gram(plain, x), atol=1e-7 * scale)


def test_equal_local_kernels_do_not_make_a_stationary_process() -> None:
    """Across a boundary only the value and the derivative there are remembered."""
    kernel, plain = string_kernel([0, 1, 2], [0.5, 0.5]), RBFKernel().double()
    plain.lengthscale = 0.5
    x = column([0.6, 1.4, 1.8])
    difference = np.abs(gram(kernel, x) - gram(plain, x))
    assert difference[1, 2] < 1e-7
    assert difference[0, 1] > 0.01


@pytest.mark.parametrize("local", ["rbf", "matern52"])
def test_value_and_derivative_are_continuous_over_a_boundary(local: str) -> None:
    kernel = string_kernel([0, 0.4, 1], [0.2, 0.6], [1.0, 3.0], local)
    a, h = 0.4, 1e-3

    def variance(points: list[float], weights: list[float]) -> float:
        w = np.array(weights)
        return float(w @ gram(kernel, column(points)) @ w)

    jump = variance([a - h, a + h], [1, -1])
    slope = variance([a, a + h], [1, -1])
    assert jump == pytest.approx(4 * slope, rel=0.05)  # E(z(a + h) - z(a - h))^2 ~ (2 h)^2 E z'^2
    bend = variance([a - h, a, a + h], [1 / h, -2 / h, 1 / h])  # right minus left derivative
    assert bend < 1e-3 * slope / h**2
    apart = variance([0.1, 0.11, 0.8, 0.81], [1 / 0.01, -1 / 0.01, -1 / 0.01, 1 / 0.01])
    assert apart > slope / h**2  # the derivative itself varies


def test_the_scale_differs_from_interval_to_interval() -> None:
    kernel = string_kernel([0, 0.5, 1], [0.05, 0.05], [1.0, 9.0])
    variance = np.diag(gram(kernel, column([0.1, 0.9])))
    np.testing.assert_allclose(variance, [1, 9], atol=1e-6)


@given(
    lengths=st.lists(st.floats(0.01, 50), min_size=4, max_size=4),
    scales=st.lists(st.floats(1e-2, 1e2), min_size=4, max_size=4),
    local=st.sampled_from(["rbf", "matern52"]),
)
def test_the_covariance_is_positive_semi_definite(
    lengths: list[float], scales: list[float], local: str
) -> None:
    """Outside the boundaries too, and for length-scales far from the widths."""
    kernel = string_kernel([0, 0.1, 0.5, 0.8, 1], lengths, scales, local)
    eigenvalues = np.linalg.eigvalsh(gram(kernel, column(np.linspace(-0.3, 1.3, 25))))
    assert eigenvalues[0] > -1e-9 * eigenvalues[-1]


@pytest.mark.parametrize("learn_boundaries", [False, True])
@pytest.mark.parametrize("local", ["rbf", "matern52"])
def test_string_kernels_conform(local: str, learn_boundaries: bool) -> None:
    def place(architecture: Architecture) -> list[float]:
        return [EXAMPLES.index(architecture) / 9]

    check_kernel(
        lambda decoder: StringGPKernel(
            (0, 0.25, 0.7, 1),
            local,  # type: ignore[arg-type]
            learn_boundaries=learn_boundaries,
        ),
        encode=place,  # type: ignore[arg-type]
    )


def test_a_batch_of_kernels() -> None:
    batch = torch.Size([2])
    kernel = StringGPKernel((0, 0.5, 1), batch_shape=batch).double()
    kernel.lengthscale = torch.tensor([[[0.1, 0.3]], [[0.4, 0.2]]])
    kernel.outputscale = torch.tensor([[1.0, 2.0], [0.5, 0.7]])
    x = column([0.1, 0.4, 0.6, 0.9])
    found = gram(kernel, x)
    assert found.shape == (2, 4, 4)
    for i, lengths, scales in ((0, [0.1, 0.3], [1.0, 2.0]), (1, [0.4, 0.2], [0.5, 0.7])):
        alone = string_kernel([0, 0.5, 1], lengths, scales)
        np.testing.assert_allclose(found[i], gram(alone, x), atol=1e-6)
        np.testing.assert_allclose(gram(kernel[i], x), gram(alone, x), atol=1e-6)
    with torch.no_grad():
        diagonal = kernel(x, diag=True).numpy()
    np.testing.assert_allclose(diagonal, np.diagonal(found, axis1=1, axis2=2), atol=1e-12)


def test_learnt_boundaries_stay_sorted_between_the_ends() -> None:
    kernel = StringGPKernel((0, 1, 4), learn_boundaries=True).double()
    torch.testing.assert_close(kernel.boundaries, torch.tensor([0.0, 1.0, 4.0]).double())
    with torch.no_grad():
        kernel.raw_widths += torch.tensor([5.0, -5.0])
    times = kernel.boundaries
    assert (times.diff() > 0).all()
    assert times[0] == 0
    assert times[-1].item() == pytest.approx(4)


def test_a_fit_finds_where_a_function_is_rough() -> None:
    """Half a wave on the left, three on the right."""
    x = column(np.linspace(0, 1, 60))
    y = torch.where(x < 0.5, torch.sin(math.pi * x), torch.cos(12 * math.pi * (x - 0.5)))
    string = fit(GraphGP(x, y, StringGPKernel((0, 0.5, 1))))
    left, right = string.covar_module.base_kernel.lengthscale.detach().squeeze().tolist()
    assert left > 3 * right
    plain = fit(GraphGP(x, y, StringGPKernel((0, 1))))
    with torch.no_grad():
        assert log_posterior(string) > log_posterior(plain) + 10


def test_graphs_and_continuous_columns_combine_by_product() -> None:
    """A row is the columns of the architecture followed by the hyperparameters beside it."""
    decoder = ListDecoder(EXAMPLES)
    generator = torch.Generator().manual_seed(0)
    beside = torch.rand(10, 3, generator=generator, dtype=torch.float64)
    rows = torch.cat([decoder.rows, beside], dim=-1)
    graph, matern = WLKernel(decoder, active_dims=(0,)), MaternKernel(nu=2.5, active_dims=(1, 2))
    kernel = graph * matern * StringGPKernel((0, 0.5, 1), active_dims=(3,))
    expected = (
        gram(WLKernel(decoder).double(), rows[:, :1])
        * gram(MaternKernel(nu=2.5).double(), rows[:, 1:3])
        * gram(StringGPKernel((0, 0.5, 1)).double(), rows[:, 3:])
    )
    np.testing.assert_allclose(gram(kernel.double(), rows), expected, atol=1e-8)


def test_a_gaussian_process_on_graphs_and_a_continuous_column() -> None:
    """Also kernels with length-scales to centre read no column but their own."""
    decoder = ListDecoder(EXAMPLES)
    numbers = decoder.rows.repeat(4, 1)
    beside = torch.linspace(0, 1, 40).double().unsqueeze(-1)
    rows = torch.cat([numbers, beside], dim=-1)
    y = (numbers / 9 + torch.sin(6 * beside) - 1) / 0.8
    kernel = WLRBFKernel(decoder, active_dims=(0,)) * StringGPKernel(active_dims=(1,))
    model = fit(GraphGP(rows[::2], y[::2], kernel))
    means, variances = model.moments(rows)
    assert np.corrcoef(means[1::2].numpy(), y[1::2].squeeze(-1).numpy())[0, 1] > 0.8
    assert (variances > 0).all()
    joint = model.posterior(rows[:7])
    torch.testing.assert_close(joint.mean.squeeze(-1), means[:7], rtol=1e-5, atol=1e-6)


def test_hyperparameters_start_in_proportion_to_the_line() -> None:
    kernel = StringGPKernel((0, 10, 50))
    torch.testing.assert_close(kernel.lengthscale, torch.tensor([[20.0, 20.0]]))
    torch.testing.assert_close(kernel.outputscale, torch.ones(2))
    bounded = StringGPKernel((0, 10), lengthscale_constraint=gpytorch.constraints.Interval(0, 2))
    assert bounded.lengthscale.item() == pytest.approx(1)


def test_typical_lengthscales_follow_the_column() -> None:
    kernel = StringGPKernel((0, 1, 2))
    assert kernel.typical_lengthscale(column([0.0, 2.0])).tolist() == [[pytest.approx(2**0.5)] * 2]
    assert kernel.typical_lengthscale(column([1.0, 1.0])).tolist() == [[pytest.approx(0.1)] * 2]


def test_priors_on_the_local_kernels_count() -> None:
    prior = gpytorch.priors.LogNormalPrior(0.0, 1.0)
    kernel = StringGPKernel((0, 1, 2), outputscale_prior=prior, lengthscale_prior=prior)
    assert {name for name, *_ in kernel.named_priors()} == {
        "outputscale_prior",
        "lengthscale_prior",
    }
    for _, module, found, read, write in kernel.named_priors():
        write(module, torch.tensor(2.0))
        torch.testing.assert_close(
            found.log_prob(read(module)), prior.log_prob(torch.tensor(2.0)).expand_as(read(module))
        )


@pytest.mark.parametrize("boundaries", [[], [0.0], [0.0, 0.0], [1.0, 0.5], [0.0, math.nan, 1.0]])
def test_boundaries_must_ascend(boundaries: list[float]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        StringGPKernel(boundaries)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"local must be one of .*; got 'periodic'"):
        StringGPKernel(local="periodic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one column, chosen by active_dims; got 2"):
        StringGPKernel()(torch.zeros(3, 2)).to_dense()


def test_it_does_not_call_itself_stationary() -> None:
    assert not StringGPKernel().is_stationary
