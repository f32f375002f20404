"""Weights, length-scales, batches of hyperparameters, sums and products."""

from __future__ import annotations

import pytest
import torch
from gpytorch.constraints import GreaterThan, Interval
from gpytorch.kernels import AdditiveKernel, ProductKernel, ScaleKernel
from gpytorch.priors import GammaPrior

from graphbo.kernels import (
    FeatureStore,
    LinearFeatureKernel,
    ListDecoder,
    PathMap,
    RBFFeatureKernel,
    WLKernel,
    WLRBFKernel,
)
from graphbo.kernels.testing import example_architectures

decoder = ListDecoder(example_architectures())
rows = decoder.rows


def test_weights_can_be_set_together_or_one_by_one() -> None:
    kernel = WLKernel(decoder).double()
    kernel.weights = 0.5
    torch.testing.assert_close(kernel.weights, torch.full((3,), 0.5).double())
    kernel.weights = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(kernel.weights, torch.tensor([1.0, 2.0, 3.0]).double())
    kernel.initialize(weights=torch.tensor([3.0, 2.0, 1.0]))
    torch.testing.assert_close(kernel.weights, torch.tensor([3.0, 2.0, 1.0]).double())


def test_weights_obey_their_constraint_and_have_their_prior() -> None:
    kernel = WLKernel(
        decoder, weight_constraint=Interval(0.1, 0.9), weight_prior=GammaPrior(2.0, 2.0)
    )
    with torch.no_grad():
        kernel.raw_weights.fill_(100.0)
    assert kernel.weights.max() <= 0.9
    ((name, module, prior, closure, set_closure),) = kernel.named_priors()
    assert name == "weight_prior"
    torch.testing.assert_close(closure(module), kernel.weights)
    set_closure(module, torch.full((3,), 0.3))
    torch.testing.assert_close(kernel.weights, torch.full((3,), 0.3))
    assert torch.isfinite(prior.log_prob(kernel.weights)).all()


def test_a_normalised_kernel_does_not_depend_on_the_scale_of_its_weights() -> None:
    kernel = WLKernel(decoder).double()
    kernel.weights = torch.tensor([1.0, 2.0, 3.0])
    before = kernel(rows).to_dense()
    kernel.weights = torch.tensor([10.0, 20.0, 30.0])
    torch.testing.assert_close(kernel(rows).to_dense(), before)


def test_lengthscales_have_a_constraint_and_a_prior_as_everywhere_in_gpytorch() -> None:
    kernel = WLRBFKernel(
        decoder,
        lengthscale_prior=GammaPrior(2.0, 1.0),
        lengthscale_constraint=GreaterThan(0.5),
    )
    kernel.lengthscale = 2.0
    torch.testing.assert_close(kernel.lengthscale, torch.full((1, 3), 2.0))
    with torch.no_grad():
        kernel.raw_lengthscale.fill_(-50.0)
    assert kernel.lengthscale.min() >= 0.5
    assert [name for name, *_ in kernel.named_priors()] == ["lengthscale_prior"]


@pytest.mark.parametrize("make", [WLKernel, WLRBFKernel])
def test_a_batch_of_hyperparameters_gives_a_batch_of_grams(make: type[WLKernel]) -> None:
    batched = make(decoder, batch_shape=torch.Size([2])).double()
    singles = [make(decoder).double() for _ in range(2)]
    with torch.no_grad():
        for i, single in enumerate(singles):
            for name, parameter in single.named_parameters():
                parameter += torch.linspace(-1, i, parameter.numel()).reshape(parameter.shape)
                batched.get_parameter(name)[i] = parameter
    expected = torch.stack([single(rows).to_dense() for single in singles])
    torch.testing.assert_close(batched(rows).to_dense(), expected)
    torch.testing.assert_close(batched(rows, diag=True), expected.diagonal(dim1=-2, dim2=-1))
    both = torch.stack([rows, rows.flip(0)])
    expected = torch.stack([single(x).to_dense() for single, x in zip(singles, both, strict=True)])
    torch.testing.assert_close(batched(both).to_dense(), expected)


def test_sums_and_products_of_kernels_are_those_of_their_covariances() -> None:
    wl, rbf = WLKernel(decoder).double(), WLRBFKernel(decoder).double()
    a, b = wl(rows).to_dense(), rbf(rows).to_dense()
    assert isinstance(wl + rbf, AdditiveKernel)
    torch.testing.assert_close((wl + rbf)(rows).to_dense(), a + b)
    assert isinstance(wl * rbf, ProductKernel)
    torch.testing.assert_close((wl * rbf)(rows).to_dense(), a * b)
    scaled = ScaleKernel(wl).double()
    scaled.outputscale = 2.5
    torch.testing.assert_close((scaled + rbf)(rows[:3], rows).to_dense(), (2.5 * a + b)[:3])


def test_kernels_may_share_a_store() -> None:
    store = FeatureStore(decoder, PathMap())
    linear = LinearFeatureKernel(store, normalize=False).double()
    linear.weights = 1.0
    rbf = RBFFeatureKernel(store).double()
    rbf.lengthscale = 1.0
    gram = linear(rows).to_dense()
    distance = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    torch.testing.assert_close(rbf(rows).to_dense(), (-0.5 * distance).exp())


def test_at_the_typical_lengthscale_the_mean_exponent_is_minus_a_half() -> None:
    kernel = WLRBFKernel(decoder).double()
    kernel.lengthscale = kernel.typical_lengthscale(rows)
    exponents = kernel(rows).to_dense().log()
    # The blocks have a length-scale each, at which their exponents sum to one half in the mean.
    assert exponents.mean().item() == pytest.approx(-0.5, rel=1e-6)


def test_rows_that_are_all_the_same_still_have_a_typical_lengthscale() -> None:
    kernel = WLRBFKernel(decoder).double()
    typical = kernel.typical_lengthscale(rows[:1].expand(5, 1))
    assert (typical > 0).all()
    assert torch.isfinite(typical).all()
