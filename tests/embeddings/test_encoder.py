"""Every encoder passes the conformance suite, and the suite notices broken promises."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings import ENCODERS, Encoder, GINEncoder, GraphBatch, make_encoder
from graphbo.embeddings.testing import EncoderMaker, check_encoder, example_architectures
from graphbo.spaces import CellSpace, ChainSpace, SearchSpace

OPERATIONS = ("conv1x1", "conv3x3", "maxpool")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_conform(name: str, seed: int) -> None:
    check_encoder(ENCODERS[name], seed=seed)


@pytest.mark.parametrize("settings", [{"dim": 3, "hidden": 8, "layers": 1}, {"layers": 2}])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_conform_whatever_their_size(name: str, settings: dict[str, int]) -> None:
    check_encoder(lambda operations: make_encoder(name, operations, **settings))


@pytest.mark.parametrize(
    "space",
    [CellSpace(4, ["a", "b"], on="edges"), ChainSpace(3, ["conv3x3"], ["maxpool2"], [8, 16])],
    ids=["cell", "chain"],
)
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_conform_on_spaces(name: str, space: SearchSpace) -> None:
    check_encoder(ENCODERS[name], [design.architecture for design in space.enumerate()[::9][:20]])


@pytest.mark.parametrize("name", ENCODERS)
def test_deep_networks_have_finite_vectors(name: str) -> None:
    labels = ["input", *["conv1x1"] * 48, "output"]
    deep = Architecture(labels, [(i, i + 1) for i in range(49)])
    vectors = make_encoder(name, OPERATIONS)([deep, *example_architectures()])
    assert torch.isfinite(vectors).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_training_reduces_a_loss(name: str) -> None:
    """The number of operations of a kind can be learned in a few steps."""
    torch.manual_seed(0)
    encoder = make_encoder(name, OPERATIONS, dim=1)
    batch = encoder.batch(example_architectures())
    hits = (batch.labels == encoder.vocabulary.index("conv1x1")).float()
    target = torch.zeros(len(batch)).index_add(0, batch.graph, hits)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = (encoder(batch).squeeze(-1) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * target.var()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ENCODERS)
def test_cuda_and_cpu_agree_in_vectors_and_gradients(name: str) -> None:
    encoder = make_encoder(name, OPERATIONS).double()
    results = []
    for device in ("cpu", "cuda"):
        encoder.zero_grad()
        encoder.to(device)
        vectors = encoder(example_architectures())
        assert vectors.device.type == device
        vectors.square().sum().backward()
        gradients = [p.grad.cpu() for p in encoder.parameters() if p.grad is not None]
        results.append((vectors.detach().cpu(), gradients))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize(
    ("operations", "settings", "message"),
    [
        ((), {}, "at least one"),
        (("a", "a"), {}, "distinct"),
        (("a",), {"dim": 0}, "dim must be at least 1; got 0"),
        (("a",), {"hidden": 0}, "hidden must be at least 1; got 0"),
        (("a",), {"layers": 0}, "layers must be at least 1; got 0"),
    ],
)
@pytest.mark.parametrize("name", ENCODERS)
def test_bad_arguments_are_refused(
    name: str, operations: Sequence[str], settings: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ENCODERS[name](operations, **settings)


# The suite notices ----------------------------------------------------------------------------


class _Broken(GINEncoder):
    """An encoder with a fault to be found."""

    name = "broken"

    def __init__(self, operations: Sequence[str], dim: int = 4, **settings: int) -> None:
        super().__init__(operations, dim=dim, hidden=8, layers=3)
        self.settings = {"operations": list(operations), "dim": dim}


class StandardizesTheBatch(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return super().propagate(starts - starts.mean(0), batch)


class AddsNoise(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return super().propagate(starts + 1e-3 * torch.randn_like(starts), batch)


class IgnoresTheEdges(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return starts


class IgnoresTheLabels(_Broken):
    def states(self, batch: GraphBatch) -> Tensor:
        return super().states(batch.with_labels(torch.zeros_like(batch.labels)))


class CountsOnCanonicalOrder(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        place = torch.arange(len(starts)) - batch.starts[batch.graph]
        return super().propagate(starts * (1 + 0.1 * place[:, None]), batch)


class SeesTheNodesAsTheyCome(_Broken):
    def forward(self, architectures: Sequence[Architecture] | GraphBatch) -> Tensor:
        vectors = super().forward(architectures)
        if isinstance(architectures, GraphBatch) or not len(architectures):
            return vectors
        second = [float(len(a.nodes[1])) for a in architectures]
        return vectors + torch.tensor(second)[:, None] * 1e-3


class NeedsAnEdge(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return super().propagate(starts, batch) / min(batch.edges.shape[1], 1)


class HasAnIdleParameter(_Broken):
    def __init__(self, operations: Sequence[str], dim: int = 4) -> None:
        super().__init__(operations, dim)
        self.idle = nn.Parameter(torch.zeros(3))


class CutsGradients(_Broken):
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return super().propagate(starts + starts.detach(), batch)


class TakesUnknownLabels(_Broken):
    def batch(self, architectures: Sequence[Architecture]) -> GraphBatch:
        known = [
            Architecture([v if v in self.vocabulary else "" for v in a.nodes], a.edges)
            for a in architectures
        ]
        return super().batch(known)


class ForgetsASetting(_Broken):
    def __init__(self, operations: Sequence[str], dim: int = 4, scale: float = 0.5) -> None:
        super().__init__(operations, dim)
        self.scale = scale

    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        return super().propagate(starts, batch) + self.scale


class DoubleOnly(_Broken):
    def pool(self, states: Tensor, batch: GraphBatch) -> Tensor:
        return super().pool(states, batch).double()


def test_the_encoder_behind_the_broken_ones_conforms() -> None:
    check_encoder(_Broken)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (StandardizesTheBatch, "rest of the batch"),
        (AddsNoise, "a second call"),
        (IgnoresTheEdges, "different architectures"),
        (IgnoresTheLabels, "different architectures"),
        (CountsOnCanonicalOrder, "labels that are hidden"),
        (SeesTheNodesAsTheyCome, "must serve as its architectures"),
        (NeedsAnEdge, "must be finite"),
        (HasAnIdleParameter, "must depend on the parameter idle"),
        (CutsGradients, "gradient in labels.weight must agree"),
        (TakesUnknownLabels, "unknown label must be refused by name"),
        (lambda operations: ForgetsASetting(operations, scale=2.0), "settings and the parameters"),
        (DoubleOnly, "in float32 gave vectors in torch.float64"),
    ],
)
def test_the_suite_notices_a_broken_promise(encoder: EncoderMaker, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_encoder(encoder)


def test_the_suite_needs_several_architectures() -> None:
    with pytest.raises(AssertionError, match="at least four"):
        check_encoder(GINEncoder, example_architectures()[:1] * 5)


def test_the_suite_leaves_the_random_numbers_and_the_encoder_as_they_are() -> None:
    made: list[Encoder] = []

    def make(operations: Sequence[str]) -> Encoder:
        made.append(GINEncoder(operations))
        return made[-1]

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_encoder(make)
    assert torch.rand(1) == expected
    assert all(p.grad is None for p in made[0].parameters())
