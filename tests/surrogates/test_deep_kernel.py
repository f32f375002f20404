"""An encoder that is fine-tuned together with a Gaussian process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.embeddings import ENCODERS, Encoder, GINEncoder, make_encoder
from graphbo.spaces import CellSpace
from graphbo.surrogates import (
    DeepKernel,
    GraphGP,
    ModelFactory,
    RowPredictor,
    embedding,
    fit,
    log_posterior,
)

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TRAIN = list(range(0, len(ROWS), 13))
ARCHITECTURES = [DESIGNS[i].architecture for i in TRAIN]
X = ROWS[TRAIN]


def counts(architectures: Sequence[Architecture]) -> Tensor:
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor([x.count("a") - x.count("b") for x in labels], dtype=torch.float64)


Y = counts(ARCHITECTURES).unsqueeze(-1)
Y = (Y - Y.mean()) / Y.std()


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return GINEncoder(SPACE.operations, dim=4, hidden=8, layers=2)


def frozen_model(encoder: Encoder, prior: RowPredictor | None = None) -> GraphGP:
    return fit(GraphGP(X, Y, embedding(SPACE, encoder)(ARCHITECTURES), prior))


def weights_of(model: GraphGP) -> list[Tensor]:
    kernel = next(m for m in model.covar_module.modules() if hasattr(m, "store"))
    return list(kernel.store.embedding.encoder.parameters())


@pytest.mark.parametrize("prior", [None, RowPredictor(SPACE.decode, counts)])
def test_fine_tuning_raises_the_log_posterior(encoder: Encoder, prior: RowPredictor | None) -> None:
    factory = DeepKernel(SPACE, encoder, deviation=0.1, learning_rate=3e-3)
    assert isinstance(factory, ModelFactory)
    tuned = factory.fitted(X, Y, ARCHITECTURES, prior)
    assert not tuned.training
    gain = log_posterior(tuned) - log_posterior(frozen_model(encoder, prior))
    moved = sum(
        (after - before).square().sum()
        for after, before in zip(weights_of(tuned), encoder.parameters(), strict=True)
    )
    assert gain > 0.5
    assert gain > moved / (2 * 0.1**2), "the prior of the weights is part of what is maximised"
    assert not any(weight.requires_grad for weight in weights_of(tuned))


def test_a_strong_prior_of_the_weights_leaves_the_pretrained_encoder(encoder: Encoder) -> None:
    tuned = DeepKernel(SPACE, encoder, deviation=1e-7).fitted(X, Y, ARCHITECTURES)
    for ours, theirs in zip(tuned.moments(ROWS), frozen_model(encoder).moments(ROWS), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_every_fit_starts_from_the_pretrained_weights(encoder: Encoder) -> None:
    before = copy.deepcopy(encoder.state_dict())
    factory = DeepKernel(SPACE, encoder)
    first = factory.fitted(X, Y, ARCHITECTURES).moments(ROWS)
    factory.fitted(X[:5], -Y[:5], ARCHITECTURES[:5])
    for again in (factory, pickle.loads(pickle.dumps(factory)), DeepKernel(SPACE, encoder)):
        for ours, theirs in zip(
            again.fitted(X, Y, ARCHITECTURES).moments(ROWS), first, strict=True
        ):
            assert ours.equal(theirs)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in encoder.parameters())


def test_graphs_are_made_once_whatever_the_order(encoder: Encoder) -> None:
    factory = DeepKernel(SPACE, encoder)
    everything = [design.architecture for design in DESIGNS]
    for part in (everything[5:9], everything[::3], everything[7:2:-1], everything[5:9]):
        ours = factory.encoder(factory._graphs(part))
        torch.testing.assert_close(ours, factory.encoder(part), rtol=1e-12, atol=1e-12)


def test_models_survive_pickling(encoder: Encoder) -> None:
    model = DeepKernel(SPACE, encoder).fitted(X, Y, ARCHITECTURES)
    again = pickle.loads(pickle.dumps(model))
    for ours, theirs in zip(again.moments(ROWS), model.moments(ROWS), strict=True):
        assert ours.equal(theirs)


def test_one_observation_leaves_everything_as_it_is(encoder: Encoder) -> None:
    prior = RowPredictor(SPACE.decode, counts)
    model = DeepKernel(SPACE, encoder).fitted(X[:1], 0 * Y[:1], ARCHITECTURES[:1], prior)
    for after, before in zip(weights_of(model), encoder.parameters(), strict=True):
        assert after.equal(before.double())


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_encoder_can_be_tuned(kind: str) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(kind, operations=SPACE.operations, dim=4, hidden=8, layers=1)
    tuned = DeepKernel(SPACE, encoder, deviation=0.1, learning_rate=3e-3, steps=5)
    model = tuned.fitted(X, Y, ARCHITECTURES)
    assert log_posterior(model) > log_posterior(frozen_model(encoder))


def test_the_deviation_is_positive(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="must be positive; got 0"):
        DeepKernel(SPACE, encoder, deviation=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_encoder_on_a_gpu_serves_rows_on_the_cpu(encoder: Encoder) -> None:
    model = DeepKernel(SPACE, encoder.cuda()).fitted(X, Y, ARCHITECTURES)
    assert weights_of(model)[0].is_cuda
    assert model.moments(ROWS)[0].device == ROWS.device
