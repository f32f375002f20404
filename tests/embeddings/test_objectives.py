"""The losses of pretraining against their formulas, computed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings import OBJECTIVES, GINEncoder, GraphBatch
from graphbo.embeddings.objectives import (
    Contrastive,
    MaskedOperations,
    Objective,
    Reconstruction,
    Step,
    Supervised,
)
from graphbo.embeddings.testing import example_architectures

OPERATIONS = ("conv1x1", "conv3x3", "maxpool")
EXAMPLES = example_architectures()
SKIP = Architecture(["input", "conv1x1", "maxpool", "output"], [(0, 1), (1, 2), (2, 3), (0, 3)])
CHAIN = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
EMPTY = Architecture(["input", "output"], [])


class Recording(GINEncoder):
    """Remembers the batches that it was shown."""

    def __init__(self, operations: Sequence[str] = OPERATIONS) -> None:
        super().__init__(operations, dim=6, hidden=8, layers=2)
        self.seen: list[GraphBatch] = []

    def states(self, batch: GraphBatch) -> Tensor:
        self.seen.append(batch)
        return super().states(batch)


@pytest.fixture
def encoder() -> Recording:
    torch.manual_seed(0)
    return Recording().double()


def step(
    encoder: Recording,
    architectures: Sequence[Architecture] = EXAMPLES,
    targets: Tensor | None = None,
    seed: int = 0,
) -> Step:
    targets = torch.empty(len(architectures), 0) if targets is None else targets
    generator = torch.Generator().manual_seed(seed)
    return Step(encoder, encoder.batch(architectures), targets, generator)


def made(name: str, encoder: Recording, tasks: int = 2) -> Objective:
    torch.manual_seed(1)
    if name == "supervised":
        return Supervised(nn.Linear(encoder.dim, tasks)).double()
    return OBJECTIVES[name](encoder).double()  # type: ignore[call-arg]


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


# All --------------------------------------------------------------------------------------------


def test_objectives_go_by_their_names() -> None:
    assert list(OBJECTIVES) == ["supervised", "reconstruction", "masked", "contrastive"]
    assert all(kind.name == name for name, kind in OBJECTIVES.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_are_finite_and_teach_the_encoder_and_their_own_parts(
    name: str, encoder: Recording
) -> None:
    objective = made(name, encoder)
    targets = torch.randn(len(EXAMPLES), 2, generator=torch.Generator().manual_seed(0)).double()
    loss = objective(step(encoder, targets=targets))
    assert loss.shape == ()
    assert loss.item() > 0
    loss.backward()
    # Labels that never occur, or are never hidden, need no gradient.
    for parameter in (*objective.parameters(), encoder.labels.weight):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["reconstruction", "masked", "contrastive"])
def test_randomness_comes_from_the_generator_alone(name: str, encoder: Recording) -> None:
    objective = made(name, encoder)
    before = torch.get_rng_state()
    losses = [objective(step(encoder, seed=seed)).item() for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("architectures", [[EMPTY], [SKIP], [EMPTY, CHAIN]], ids=len)
def test_the_smallest_batches_have_finite_losses(
    name: str, architectures: list[Architecture], encoder: Recording
) -> None:
    loss = made(name, encoder)(
        step(encoder, architectures, torch.zeros(len(architectures), 2).double())
    )
    assert loss.isfinite()
    loss.backward()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_cuda_and_cpu_agree(name: str, encoder: Recording) -> None:
    targets = torch.randn(len(EXAMPLES), 2, generator=torch.Generator().manual_seed(0)).double()
    objective = made(name, encoder)
    on_cpu = objective(step(encoder, targets=targets))
    encoder.cuda()
    on_gpu = objective.cuda()(step(encoder, targets=targets.cuda()))
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), on_cpu)


# Supervised -------------------------------------------------------------------------------------


def supervised(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of given predictions."""

    class Given(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            return predictions

    architectures = EXAMPLES[: len(targets)]
    loss: Tensor = Supervised(Given())(step(Recording(), architectures, targets))
    return loss


def test_the_mean_squared_error_leaves_out_what_is_not_known() -> None:
    nan = math.nan
    predictions = torch.tensor([[1.0, 5.0, 9.0], [2.0, 5.0, 9.0], [4.0, 7.0, 9.0]])
    targets = torch.tensor([[0.0, nan, nan], [2.0, nan, nan], [1.0, 5.0, nan]])
    # (1 + 0 + 9) / 3 for the first task, 4 for the second, and no third.
    loss = supervised(predictions.requires_grad_(), targets)
    assert loss.item() == pytest.approx((10 / 3 + 4) / 2)
    (gradient,) = torch.autograd.grad(loss, predictions)
    expected = [[1 / 3, 0, 0], [0, 0, 0], [1, 2, 0]]
    torch.testing.assert_close(gradient, torch.tensor(expected))


def test_a_batch_without_targets_teaches_nothing() -> None:
    predictions = torch.randn(3, 2, requires_grad=True)
    loss = supervised(predictions, torch.full((3, 2), math.nan))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, predictions)
    assert not gradient.any()


@settings(max_examples=40)
@given(st.data())
def test_the_loss_is_the_mean_over_tasks_of_each_alone(data: st.DataObject) -> None:
    numbers = st.none() | st.integers(-3, 3)
    rows = data.draw(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5))
    targets = torch.tensor([[math.nan if x is None else float(x) for x in row] for row in rows])
    predictions = torch.arange(3.0 * len(rows)).reshape(-1, 3).cos()
    known = targets.isfinite().any(0)
    alone = [supervised(predictions[:, [i]], targets[:, [i]]) for i in range(3) if known[i]]
    expected = torch.stack(alone).mean() if alone else torch.tensor(0.0)
    torch.testing.assert_close(supervised(predictions, targets), expected)


# Reconstruction ---------------------------------------------------------------------------------


def test_every_ordered_pair_of_nodes_of_one_graph_is_an_edge_or_not(encoder: Recording) -> None:
    """The loss of the edges alone, with a decoder that is sure of some edges."""
    objective = Reconstruction(encoder, latent=4, divergence=0).double()
    certain = 30.0
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.zero_()
        objective.edge.bias.fill_(certain)
    loss = objective(step(encoder, [SKIP, EMPTY, CHAIN]))
    # 4 * 3 + 2 * 1 + 3 * 2 = 20 pairs, of which 4 + 0 + 2 = 6 are edges.
    labels = math.log(len(encoder.vocabulary))
    assert loss.item() == pytest.approx(labels + 14 / 20 * certain)
    with torch.no_grad():
        objective.edge.bias.fill_(-certain)
    loss = objective(step(encoder, [SKIP, EMPTY, CHAIN]))
    assert loss.item() == pytest.approx(labels + 6 / 20 * certain)


def test_reconstruction_is_the_evidence_lower_bound(encoder: Recording) -> None:
    objective = made("reconstruction", encoder)
    assert isinstance(objective, Reconstruction)
    architectures = [SKIP, EMPTY, CHAIN, *EXAMPLES[-3:]]
    batch = encoder.batch(architectures)
    with torch.no_grad():
        loss = objective(step(encoder, architectures, seed=5)).item()
        moments = objective.moments(encoder.states(batch)).numpy()
        mean, log_variance = moments[:, :16], moments[:, 16:]
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(5)).numpy()
        z = mean + np.exp(log_variance / 2) * noise
        scores = log_softmax(objective.label(torch.from_numpy(z)).numpy())
    labels = -scores[np.arange(len(z)), batch.labels].mean()
    weight = objective.edge.weight[0].detach().numpy()
    bias = objective.edge.bias.item()
    edges = set(map(tuple, batch.edges.T.tolist()))
    errors = []
    for u in range(len(z)):
        for v in range(len(z)):
            if u != v and batch.graph[u] == batch.graph[v]:
                sign = 1 if (u, v) in edges else -1
                errors.append(np.log1p(np.exp(-sign * (z[u] @ weight @ z[v] + bias))))
    divergence = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean() / 2
    assert loss == pytest.approx(labels + np.mean(errors) + 0.005 * divergence)


# Masked operations ------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(0, 5))
def test_only_operations_are_hidden(share: float, seed: int) -> None:
    encoder = Recording()
    MaskedOperations(encoder, share=share)(step(encoder, seed=seed))
    before = encoder.batch(EXAMPLES)
    for shown in encoder.seen:
        hidden = shown.labels == len(encoder.vocabulary)
        assert (before.labels[hidden] >= 3).all()
        assert torch.equal(shown.labels[~hidden], before.labels[~hidden])
        assert torch.equal(shown.edges, before.edges)


def test_all_operations_may_be_hidden_and_are_guessed_by_cross_entropy(encoder: Recording) -> None:
    torch.manual_seed(1)
    objective = MaskedOperations(encoder, share=1).double()
    loss = objective(step(encoder))
    (shown,) = encoder.seen
    assert set(shown.labels.tolist()) == {0, 1, len(encoder.vocabulary)}
    operations = encoder.batch(EXAMPLES).labels >= 3
    with torch.no_grad():
        scores = log_softmax(objective.label(encoder.states(shown))[operations].numpy())
    truth = encoder.batch(EXAMPLES).labels[operations]
    assert loss.item() == pytest.approx(-scores[np.arange(len(truth)), truth].mean())


def test_about_the_share_is_hidden_and_another_each_time() -> None:
    encoder = Recording()
    objective = MaskedOperations(encoder, share=0.25)
    many = step(encoder, EXAMPLES * 40)
    objective(many)
    objective(many)
    first, second = (seen.labels == len(encoder.vocabulary) for seen in encoder.seen)
    operations = many.batch.labels >= 3
    assert first.sum() / operations.sum() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(first, second)


# Contrast ---------------------------------------------------------------------------------------


def test_the_contrast_is_the_normalised_cross_entropy_of_two_views(encoder: Recording) -> None:
    objective = made("contrastive", encoder)
    assert isinstance(objective, Contrastive)
    with torch.no_grad():
        loss = objective(step(encoder)).item()
        views = [objective.projection(encoder(seen)).numpy() for seen in encoder.seen[:2]]
    n = len(EXAMPLES)
    z = np.concatenate(views)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    terms = []
    for i in range(2 * n):
        other = (i + n) % (2 * n)
        rest = [k for k in range(2 * n) if k != i]
        terms.append(np.log(np.exp(z[rest] @ z[i] / 0.2).sum()) - z[other] @ z[i] / 0.2)
    assert loss == pytest.approx(np.mean(terms))


def test_equal_graphs_cannot_be_told_apart(encoder: Recording) -> None:
    objective = Contrastive(encoder, share=0).double()
    loss = objective(step(encoder, [SKIP] * 5))
    assert loss.item() == pytest.approx(math.log(9))


def test_views_hide_operations_and_drop_edges(encoder: Recording) -> None:
    Contrastive(encoder, share=0.15).double()(many := step(encoder, EXAMPLES * 40))
    assert len(encoder.seen) == 2
    operations = many.batch.labels >= 3
    for seen in encoder.seen:
        hidden = seen.labels == len(encoder.vocabulary)
        assert operations[hidden].all()
        assert hidden.sum() / operations.sum() == pytest.approx(0.15, abs=0.03)
        kept = seen.edges.shape[1] / many.batch.edges.shape[1]
        assert kept == pytest.approx(0.85, abs=0.03)
        assert len(seen) == len(many.batch)
    first, second = encoder.seen
    assert not torch.equal(first.labels, second.labels)
    assert first.edges.shape != second.edges.shape or not torch.equal(first.edges, second.edges)


def test_one_graph_alone_contrasts_with_nothing(encoder: Recording) -> None:
    objective = made("contrastive", encoder)
    assert objective(step(encoder, [SKIP])).item() == 0
