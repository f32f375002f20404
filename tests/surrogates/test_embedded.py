"""Embeddings as surrogates take them."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings import GINEncoder
from graphbo.kernels import EmbeddingKernel, WLRBFKernel
from graphbo.spaces import CellSpace, DARTSSpace, NASBench201Space, RegNetSpace, SearchSpace
from graphbo.surrogates import (
    Frozen,
    GraphGP,
    GraphSurrogate,
    MostLikely,
    PathEncoding,
    default_kernels,
    embedding,
    fit,
    log_posterior,
    name_of,
    product_of,
    spectrum,
    sum_of,
    weisfeiler_lehman,
)

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ARCHITECTURES = [design.architecture for design in DESIGNS]
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TRAIN = list(range(0, len(ROWS), 9))


def counts(architectures: Sequence[Architecture]) -> Tensor:
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor([[x.count("a"), x.count("b")] for x in labels], dtype=torch.float64)


TARGETS = counts(ARCHITECTURES) @ torch.tensor([1.0, -0.5]).double()
TARGETS = ((TARGETS - TARGETS.mean()) / TARGETS.std()).unsqueeze(-1)


PRODUCT = product_of(weisfeiler_lehman(SPACE), embedding(SPACE, counts))
SUM = sum_of(weisfeiler_lehman(SPACE), embedding(SPACE, counts))


@pytest.mark.parametrize(
    "kernel",
    [
        embedding(SPACE, counts),
        embedding(SPACE, counts, ard=True),
        MostLikely([embedding(SPACE, counts), weisfeiler_lehman(SPACE)]),
        PRODUCT,
        SUM,
    ],
    ids=["shared", "ard", "choice", "product", "sum"],
)
def test_embeddings_stand_wherever_a_kernel_does(kernel) -> None:  # type: ignore[no-untyped-def]
    designs = [DESIGNS[i] for i in TRAIN]
    surrogate = GraphSurrogate(SPACE, [kernel])
    surrogate.fit(designs, [TARGETS[i].item() for i in TRAIN])
    mean, _ = surrogate.predict(DESIGNS)
    both = torch.stack([torch.tensor(mean), TARGETS.squeeze(-1)])
    assert torch.corrcoef(both)[0, 1] > 0.95
    copied = pickle.loads(pickle.dumps(surrogate.models[0]))
    for ours, theirs in zip(copied.moments(ROWS), surrogate.models[0].moments(ROWS), strict=True):
        assert ours.equal(theirs)


def test_factors_of_a_product_begin_with_equal_shares_of_the_distance() -> None:
    architectures = [ARCHITECTURES[i] for i in TRAIN]
    kernel = PRODUCT(architectures)
    model = GraphGP(ROWS[TRAIN], TARGETS[TRAIN], kernel)
    parts = model.covar_module.base_kernel.kernels
    assert isinstance(parts[0], type(weisfeiler_lehman(SPACE)(architectures)))
    assert isinstance(parts[1], EmbeddingKernel)
    typical = parts[1].typical_lengthscale(ROWS[TRAIN])
    torch.testing.assert_close(parts[1].lengthscale, typical * 2**0.5)
    before = log_posterior(model).item()
    assert log_posterior(fit(model)).item() > before


def test_relevance_determination_has_a_lengthscale_for_each_coordinate() -> None:
    architectures = ARCHITECTURES[:5]
    assert embedding(SPACE, counts)(architectures).lengthscale.shape == (1, 1)
    assert embedding(SPACE, counts, ard=True)(architectures).lengthscale.shape == (1, 2)


class Dropping(nn.Module):
    """A module in training mode, in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(2, 3), nn.Dropout(0.5)

    def forward(self, architectures: Sequence[Architecture]) -> Tensor:
        vectors: Tensor = self.dropout(self.linear(counts(architectures).to(self.linear.weight)))
        return vectors


def test_modules_are_frozen_as_they_are() -> None:
    module = Dropping()
    kernel = embedding(SPACE, module)(ARCHITECTURES)
    assert isinstance(kernel, EmbeddingKernel)
    expected = module.eval()(ARCHITECTURES)
    with torch.no_grad():
        module.linear.weight.zero_()
    module.train()
    vectors = kernel.features(ROWS)
    torch.testing.assert_close(vectors, expected.detach().double(), rtol=1e-5, atol=1e-6)
    assert module.linear.weight.dtype == torch.float32, "the module itself stays as it is"
    assert next(module.parameters()).requires_grad


def test_the_company_in_which_an_architecture_is_embedded_does_not_show() -> None:
    torch.manual_seed(0)
    encoder = GINEncoder(SPACE.operations, dim=8, hidden=16)
    expected = embedding(SPACE, encoder)(ARCHITECTURES).features(ROWS)
    for size in (1, 7, 100):
        store = embedding(SPACE, encoder)(ARCHITECTURES).store
        for part in torch.split(ROWS.flip(0)[:100], size):
            store(part)
        assert store(ROWS).equal(expected)


def test_names_tell_embeddings_apart() -> None:
    encoder = GINEncoder(SPACE.operations, dim=4, hidden=8)
    assert name_of(embedding(SPACE, counts)) == "embedding(counts)"
    assert name_of(embedding(SPACE, counts, ard=True)) == "embedding(counts, ard)"
    assert re.fullmatch(r"embedding\(gin-[0-9a-f]{8}\)", name_of(embedding(SPACE, encoder)))
    assert name_of(Frozen(encoder)) == name_of(Frozen(copy.deepcopy(encoder)))
    other = GINEncoder(SPACE.operations, dim=4, hidden=8)
    assert name_of(Frozen(other)) != name_of(Frozen(encoder)), "other weights, another name"
    assert name_of(PRODUCT) == "product_of(weisfeiler_lehman(2), embedding(counts))"
    assert name_of(WLRBFKernel(SPACE.decode)) == "WLRBFKernel"


@pytest.mark.parametrize("space", [SPACE, NASBench201Space(), DARTSSpace(), RegNetSpace()])
def test_names_tell_the_kernels_of_a_space_apart(space: SearchSpace) -> None:
    kernels = [*default_kernels(space), weisfeiler_lehman(space, 1), spectrum(space, 2)]
    assert len({name_of(kernel) for kernel in kernels}) == len(kernels)


def test_the_path_encoding_says_which_paths_there_are() -> None:
    encoding = PathEncoding(["a", "b"], 7)
    assert encoding.names == ("", "/a", "/b", "/a/a", "/a/b", "/b/a", "/b/b")
    edges = [(0, 1, "a"), (1, 2, "b"), (0, 2, "b"), (0, 3, "b"), (2, 3, ""), (1, 3, "")]
    both = [Architecture(["input", "", "", "output"], edges), DESIGNS[0].architecture]
    code = encoding(both)
    assert code.dtype == torch.float64
    assert code[0].tolist() == [0, 1, 1, 0, 1, 0, 0], "/b occurs twice, and /a/b"


def test_the_path_encoding_is_truncated_to_the_shortest_paths() -> None:
    everything = PathEncoding(SPACE.operations, 1000, max_length=3)
    assert len(everything.names) == 1 + 2 + 4 + 8
    short = PathEncoding(SPACE.operations, 5)
    assert short.names == everything.names[:5]
    torch.testing.assert_close(short(ARCHITECTURES), everything(ARCHITECTURES)[:, :5])


def test_strange_labels_have_paths_too() -> None:
    odd = Architecture(["input", "a/b", "output"], [(0, 1), (1, 2)])
    assert PathEncoding(["a/b", "..."], 3)([odd]).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("arguments", [([],), (["a"], 0), (["a"], 3, 0)])
def test_path_encodings_of_nothing_are_refused(arguments) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="at least one operation"):
        PathEncoding(*arguments)
