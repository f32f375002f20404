"""The conformance suite of encoders."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder

EncoderMaker = Callable[[Sequence[str]], Encoder]

_FLOAT32 = 1e-4
_APART = 1e-4


def check_encoder(
    make_encoder: EncoderMaker,
    architectures: Sequence[Architecture] | None = None,
    *,
    seed: int = 0,
    tolerance: float = 1e-8,
) -> None:
    """Check that an encoder keeps the promises that pretraining and surrogates rely on.

    Vectors do not depend on what else is in the batch, on the order of nodes, or on whether
    operations sit on nodes or edges; different architectures get different ones; hidden labels
    cannot be seen, and all edges may be dropped. Gradients are right and reach every parameter.
    Unknown labels are refused, the settings and the parameters are all there is to an encoder, and
    it is the same in float32 and on CUDA where there is one. Run it in the tests of an encoder of
    your own.

    Args:
        make_encoder: Takes the operations and returns a new encoder, a class such as `GINEncoder`
            for instance.
        architectures: What to try it on, at least four distinct ones; by default
            `example_architectures`.
        seed: The seed of the parameters and of the renumberings.
        tolerance: The largest relative error in float64.

    Raises:
        AssertionError: If a promise is broken; the message says which.

    Example:
        >>> check_encoder(GINEncoder)
    """
    given = list(example_architectures() if architectures is None else architectures)
    assert len(set(given)) >= 4, "an encoder is checked on at least four distinct architectures"
    on_nodes = [architecture.operations_on_nodes() for architecture in given]
    labels = {label for architecture in on_nodes for label in architecture.nodes}
    operations = sorted(labels - {INPUT, OUTPUT, ""})
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = make_encoder(operations).double().eval()
    with torch.no_grad():
        # Away from values such as zero, at which other parameters might not matter.
        for p in encoder.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    _check_vectors(encoder, given)
    _check_batches(encoder, given, tolerance)
    _check_invariance(encoder, given, on_nodes, generator)
    _check_distinction(encoder, list(dict.fromkeys(on_nodes)))
    _check_corruption(encoder, on_nodes, operations, tolerance)
    _check_gradients(encoder, given, generator)
    _check_labels(encoder, operations)
    _check_rebuilding(encoder, given)
    _check_types(encoder, given)


def example_architectures() -> list[Architecture]:
    """Return small architectures that encoders should tell apart, and an empty one.

    Among them are pairs that differ only in the order of two operations, in the direction of all
    edges, or in which branch an operation sits on; the last have operations on edges.
    """
    a, b, c = "conv1x1", "conv3x3", "maxpool"
    on_nodes = [
        ([], []),
        ([], [(0, 1)]),
        ([a, b], [(0, 2), (2, 3), (3, 1)]),
        ([b, a], [(0, 2), (2, 3), (3, 1)]),
        ([a, a], [(0, 2), (0, 3), (2, 1), (3, 1), (0, 1)]),
        ([a, c, c], [(0, 2), (2, 3), (2, 4), (3, 1), (4, 1)]),
        ([a, c, c], [(0, 3), (0, 4), (3, 2), (4, 2), (2, 1)]),
        ([a, b, c, b], [(0, 2), (0, 3), (2, 4), (3, 4), (4, 5), (5, 1), (0, 5)]),
        ([a, a, b, b], [(0, 2), (2, 3), (3, 1), (0, 4), (4, 5), (5, 1)]),
        ([a, b, b, a], [(0, 2), (2, 3), (3, 1), (0, 4), (4, 5), (5, 1)]),
        ([a, c, b, c, a, b], [(0, 2), *((i, i + 1) for i in range(2, 7)), (7, 1), (2, 6)]),
    ]
    states = [INPUT, "", "", OUTPUT]
    return [
        *(Architecture([INPUT, OUTPUT, *inner], edges) for inner, edges in on_nodes),
        Architecture(states, [(0, 1, a), (0, 2, b), (1, 3, c), (2, 3, a)]),
        Architecture(states, [(0, 1, a), (1, 2, a), (2, 3, a), (0, 3, c)]),
        Architecture([INPUT, "", OUTPUT], [(0, 1, b), (1, 2, a), (0, 2, b)]),
    ]


def _vectors(encoder: Encoder, given: Sequence[Architecture] | GraphBatch) -> Tensor:
    with torch.no_grad():
        result: Tensor = encoder(given)
    return result


def _same(a: Tensor, b: Tensor, tolerance: float, message: str) -> None:
    assert a.shape == b.shape, f"{message}; the shapes are {tuple(a.shape)} and {tuple(b.shape)}"
    difference = (a.cpu().double() - b.cpu().double()).abs().max().item()
    allowed = tolerance * b.abs().max().clamp_min(1e-3).item()
    assert difference <= allowed, f"{message}; they differ by {difference:.3g}"


def _check_vectors(encoder: Encoder, given: list[Architecture]) -> None:
    vectors = _vectors(encoder, given)
    expected = (len(given), encoder.dim)
    assert vectors.shape == expected, f"{expected[0]} vectors were {tuple(vectors.shape)}"
    assert vectors.dtype == torch.float64, f"an encoder in float64 gave vectors in {vectors.dtype}"
    alone = torch.cat([_vectors(encoder, [architecture]) for architecture in given])
    assert torch.isfinite(torch.cat([vectors, alone])).all(), "the vectors must be finite"
    again = _vectors(encoder, given)
    assert vectors.equal(again), "a second call must give the same vectors"
    none = _vectors(encoder, [])
    assert none.shape == (0, encoder.dim), f"no architectures gave a {tuple(none.shape)} tensor"


def _check_batches(encoder: Encoder, given: list[Architecture], tolerance: float) -> None:
    vectors = _vectors(encoder, given)
    singles = torch.cat([_vectors(encoder, [architecture]) for architecture in given])
    _same(singles, vectors, tolerance, "the vectors must not depend on the rest of the batch")
    batch = encoder.batch(given)
    _same(_vectors(encoder, batch), vectors, tolerance, "a batch must serve as its architectures")
    order = torch.arange(len(given)).flip(0)
    chosen = _vectors(encoder, batch.select(order))
    _same(
        chosen, vectors.flip(0), tolerance, "the vectors must not depend on the rest of the batch"
    )


def _check_invariance(
    encoder: Encoder,
    given: list[Architecture],
    on_nodes: list[Architecture],
    generator: torch.Generator,
) -> None:
    vectors = _vectors(encoder, given)
    for _ in range(3):
        renumbered = _vectors(encoder, [_renumbered(a, generator) for a in given])
        assert renumbered.equal(vectors), "renumbering the nodes must not change the vectors"
    assert _vectors(encoder, on_nodes).equal(vectors), (
        "operations on edges must count like operations on nodes"
    )


def _check_distinction(encoder: Encoder, distinct: list[Architecture]) -> None:
    vectors = _vectors(encoder, distinct)
    distances = torch.cdist(vectors, vectors)
    near = distances + distances.max() * torch.eye(len(distinct)).to(distances)
    i, j = divmod(int(near.argmin()), len(distinct))
    assert near.min() > _APART * distances.mean(), (
        f"different architectures must have different vectors; "
        f"those of {distinct[i]} and {distinct[j]} agree"
    )


def _check_corruption(
    encoder: Encoder, on_nodes: list[Architecture], operations: list[str], tolerance: float
) -> None:
    """Check what masked and contrastive pretraining do to batches."""
    following = dict(zip(operations, [*operations[1:], operations[0]], strict=True))
    others = [
        Architecture([following.get(label, label) for label in a.nodes], a.edges) for a in on_nodes
    ]
    batch, other = encoder.batch(on_nodes), encoder.batch(others)
    hidden = torch.full_like(batch.labels, len(encoder.vocabulary))
    vectors = _vectors(encoder, batch.with_labels(hidden))
    _same(
        _vectors(encoder, other.with_labels(hidden)),
        vectors,
        tolerance,
        "labels that are hidden must not change the vectors",
    )
    change = (vectors - _vectors(encoder, batch)).abs().amax()
    assert change > 1e-6, "hiding the labels must change the vectors"
    dropped = batch.with_edges(torch.zeros_like(batch.edges[0], dtype=torch.bool))
    assert torch.isfinite(_vectors(encoder, dropped)).all(), (
        "the vectors must be finite when all edges are dropped"
    )


def _check_gradients(
    encoder: Encoder, given: list[Architecture], generator: torch.Generator
) -> None:
    """Compare gradients with central differences, along one direction for each parameter."""
    batch, step = encoder.batch(given), 1e-6
    weights = torch.randn(len(given), encoder.dim, generator=generator, dtype=torch.float64)
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    total = (weights * encoder(batch)).sum()
    gradients = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    for (name, parameter), gradient in zip(trained.items(), gradients, strict=True):
        assert gradient is not None, f"the vectors must depend on the parameter {name}"
        assert gradient.abs().max() > 1e-12, f"the vectors must depend on the parameter {name}"
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        before = parameter.detach().clone()
        values = []
        for signed in (step, -step):
            parameter.data = before + signed * direction
            values.append((weights * _vectors(encoder, batch)).sum())
        parameter.data = before
        exact, numeric = (gradient * direction).sum(), (values[0] - values[1]) / (2 * step)
        assert (exact - numeric).abs() <= 1e-4 * (1 + numeric.abs()), (
            f"the gradient in {name} must agree with finite differences; "
            f"it is {exact.item():.6g} against {numeric.item():.6g}"
        )


def _check_labels(encoder: Encoder, operations: list[str]) -> None:
    unknown = "not " + " or ".join(operations)
    refusal = ""
    try:
        encoder([Architecture([INPUT, unknown, OUTPUT], [(0, 1), (1, 2)])])
    except ValueError as error:
        refusal = str(error)
    assert unknown in refusal, "an unknown label must be refused by name, with a ValueError"


def _check_rebuilding(encoder: Encoder, given: list[Architecture]) -> None:
    assert isinstance(getattr(encoder, "name", None), str), "an encoder must have a name"
    settings = json.loads(json.dumps(encoder.settings))
    with torch.random.fork_rng():
        again = type(encoder)(**settings).to(torch.float64).eval()
    again.load_state_dict(encoder.state_dict())
    assert _vectors(again, given).equal(_vectors(encoder, given)), (
        "the settings and the parameters must be all that there is to an encoder"
    )


def _check_types(encoder: Encoder, given: list[Architecture]) -> None:
    vectors = _vectors(encoder, given)
    single = _vectors(copy.deepcopy(encoder).float(), given)
    assert single.dtype == torch.float32, f"an encoder in float32 gave vectors in {single.dtype}"
    _same(single, vectors, _FLOAT32, "float32 and float64 must agree")
    if torch.cuda.is_available():
        on_device = _vectors(copy.deepcopy(encoder).cuda(), given)
        assert on_device.is_cuda, "an encoder on CUDA must give vectors on CUDA"
        _same(on_device, vectors, 1e-6, "CUDA and CPU must agree")


def _renumbered(architecture: Architecture, generator: torch.Generator) -> Architecture:
    order = torch.randperm(len(architecture), generator=generator).tolist()
    return Architecture(
        [architecture.nodes[order.index(i)] for i in range(len(order))],
        [(order[u], order[v], label) for u, v, label in architecture.edges],
    )
