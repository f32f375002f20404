"""Every kernel passes the conformance suite, and the suite notices broken promises."""

from __future__ import annotations

from collections.abc import Sequence

import gpytorch
import pytest
import torch
from gpytorch.kernels import Kernel, ScaleKernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import (
    Decoder,
    EditDistanceKernel,
    EmbeddingKernel,
    EmbeddingStore,
    FeatureStore,
    GraphletKernel,
    LinearEmbeddingKernel,
    LinearFeatureKernel,
    ListDecoder,
    OneHotKernel,
    OptimalTransportKernel,
    PathKernel,
    PathMap,
    PathProfileKernel,
    RandomWalkKernel,
    RBFFeatureKernel,
    ShortestPathKernel,
    SpectrumKernel,
    SpectrumRBFKernel,
    SubsequenceKernel,
    SubsequenceRBFKernel,
    WLKernel,
    WLOptimalAssignmentKernel,
    WLRBFKernel,
    operations_of,
    path_vocabulary,
)
from graphbo.kernels.testing import KernelMaker, check_kernel, example_architectures
from graphbo.spaces import CellSpace, ChainSpace, SearchSpace

PATHS = path_vocabulary(example_architectures()[:6])
OPERATIONS = operations_of(example_architectures())
LANDMARKS = example_architectures()[::2]


def sizes(architectures: Sequence[Architecture]) -> Tensor:
    return torch.tensor([[0.7 * len(a), 1.3 * len(a.edges)] for a in architectures])


KERNELS: dict[str, KernelMaker] = {
    "wl": WLKernel,
    "wl of depth 0": lambda decoder: WLKernel(decoder, depth=0),
    "wl, not normalised": lambda decoder: WLKernel(decoder, normalize=False),
    "wl optimal assignment": WLOptimalAssignmentKernel,
    "wl rbf": WLRBFKernel,
    "paths": lambda decoder: PathKernel(decoder, PATHS),
    "paths, all others": lambda decoder: PathKernel(decoder, []),
    "linear in paths": lambda decoder: LinearFeatureKernel(FeatureStore(decoder, PathMap())),
    "rbf of paths": lambda decoder: RBFFeatureKernel(FeatureStore(decoder, PathMap(), unary=True)),
    "cut and contracted paths": lambda decoder: LinearFeatureKernel(
        FeatureStore(decoder, PathMap(1, contract={"maxpool"}))
    ),
    "path profile": lambda decoder: PathProfileKernel(decoder, OPERATIONS),
    "shortest paths": ShortestPathKernel,
    "random walks": RandomWalkKernel,
    "graphlets": lambda decoder: GraphletKernel(decoder, size=4),
    "spectrum": SpectrumKernel,
    "spectrum of tokens": lambda decoder: SpectrumKernel(decoder, strings="tokens"),
    "spectrum rbf": SpectrumRBFKernel,
    "subsequences": SubsequenceKernel,
    "subsequences, not normalised": lambda decoder: SubsequenceKernel(decoder, normalize=False),
    "subsequences of tokens": lambda decoder: SubsequenceKernel(decoder, 4, 3, "tokens"),
    "subsequences of length 1": lambda decoder: SubsequenceKernel(decoder, 1, 0),
    "subsequence rbf": SubsequenceRBFKernel,
    "edit distances": lambda decoder: EditDistanceKernel(decoder, LANDMARKS),
    "optimal transport": lambda decoder: OptimalTransportKernel(decoder, LANDMARKS),
    "normalised optimal transport": lambda decoder: OptimalTransportKernel(
        decoder, LANDMARKS, structure=(0.1, 0.8), masses={"conv3x3": 3}, normalized=True
    ),
    "embedding": lambda decoder: EmbeddingKernel(EmbeddingStore(decoder, sizes)),
    "embedding, relevance determination": lambda decoder: EmbeddingKernel(
        EmbeddingStore(decoder, sizes), 2
    ),
    "linear in an embedding": lambda decoder: LinearEmbeddingKernel(EmbeddingStore(decoder, sizes)),
    "sum": lambda decoder: ScaleKernel(WLKernel(decoder)) + WLRBFKernel(decoder),
    "product": lambda decoder: WLOptimalAssignmentKernel(decoder) * PathKernel(decoder, PATHS),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_conform(name: str) -> None:
    check_kernel(KERNELS[name])


@pytest.mark.parametrize("name", KERNELS)
def test_what_a_kernel_remembers_does_not_show_in_the_last_bit(name: str) -> None:
    """Searches that are resumed would go astray where two scores are all but equal."""
    decoder = ListDecoder(example_architectures())
    x, n = decoder.rows, len(decoder.rows)
    calls = [(x[i:j], x[k:]) for i, j, k in [(0, 1, 0), (0, n, 0), (0, 4, 0), (0, 1, 9), (3, 7, 2)]]
    calls += [(b, a) for a, b in calls] + [(a, a) for a, _ in calls]

    def make() -> Kernel:
        kernel = KERNELS[name](decoder).double()
        with torch.no_grad():
            for parameter in kernel.parameters():
                parameter += torch.linspace(-1.3, 1.7, parameter.numel()).reshape(parameter.shape)
        return kernel

    warm = make()
    with torch.no_grad():
        for order in (calls, calls[::-1], calls[::2]):
            for a, b in order:
                assert warm(a, b).to_dense().equal(make()(a, b).to_dense())


@pytest.mark.parametrize(
    "space",
    [CellSpace(4, ["a", "b"], on="edges"), ChainSpace(3, ["conv3x3"], ["maxpool2"], [8, 16])],
    ids=["cell", "chain"],
)
def test_position_kernels_conform_on_canonical_rows(space: SearchSpace) -> None:
    architectures = [design.architecture for design in space.enumerate()[::9][:20]]
    cardinalities = [len(decision.choices) for decision in space.decisions]
    check_kernel(lambda decoder: OneHotKernel(cardinalities), architectures, encode=space.encode)
    check_kernel(
        lambda decoder: OneHotKernel(cardinalities) * PathKernel(decoder, ["/a", "/a/b"]),
        architectures,
        encode=space.encode,
    )


class _Broken(Kernel):
    """The number of nodes under a squared exponential, with a fault to be found."""

    has_lengthscale = True

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def sizes(self, x: Tensor) -> Tensor:
        values = [
            self.measure(self.decoder(tuple(row)))
            for row in x.reshape(-1, x.shape[-1]).int().tolist()
        ]
        return torch.tensor(values).to(x).reshape(x.shape[:-1])

    def measure(self, architecture: Architecture) -> float:
        return float(len(architecture))

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        a, b = self.sizes(x1), self.sizes(x2)
        difference = a - b if diag else a.unsqueeze(-1) - b.unsqueeze(-2)
        scale = self.lengthscale.squeeze(-1) if diag else self.lengthscale
        result: Tensor = (-0.5 * (difference / scale).square()).exp()
        return result


class DependsOnTheDrawing(_Broken):
    def measure(self, architecture: Architecture) -> float:
        return sum(i * len(set(label)) / 10 for i, label in enumerate(architecture.nodes))


class NegativeDefinite(_Broken):
    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        return -super().forward(x1, x2, diag=diag)


class WrongDiagonal(_Broken):
    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        return super().forward(x1, x2, diag=diag) * (2 if diag else 1)


class StandardizesEachSet(_Broken):
    def sizes(self, x: Tensor) -> Tensor:
        return super().sizes(x) - super().sizes(x).mean()


class RemembersForEver(_Broken):
    def sizes(self, x: Tensor) -> Tensor:
        self.seen: dict[tuple[int, ...], Tensor] = getattr(self, "seen", {})
        return self.seen.setdefault((x.data_ptr(), *x.shape), super().sizes(x)).clone()


class NoGradient(_Broken):
    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        return super().forward(x1, x2, diag=diag).detach() + 0 * self.lengthscale.sum()


class NoUseOfTheHyperparameter(_Broken):
    lengthscale = torch.ones(1, 1)


class CannotBePickled(_Broken):
    def __init__(self, decoder: Decoder) -> None:
        super().__init__(decoder)
        self.decoder = lambda row: decoder(row)


class Float32Only(_Broken):
    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        return super().forward(x1, x2, diag=diag).float()


def test_the_kernel_behind_the_broken_ones_conforms() -> None:
    check_kernel(_Broken)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (DependsOnTheDrawing, "renumbering"),
        (NegativeDefinite, "positive semi-definite"),
        (WrongDiagonal, "diag=True"),
        (StandardizesEachSet, "of two sets"),
        (RemembersForEver, "change"),
        (NoGradient, "finite differences"),
        (NoUseOfTheHyperparameter, "must depend on the parameter raw_lengthscale"),
        (Float32Only, "gave a gram in torch.float32"),
    ],
)
def test_the_suite_notices_a_broken_promise(kernel: KernelMaker, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_kernel(kernel)


def test_the_suite_notices_a_kernel_that_cannot_be_pickled() -> None:
    with pytest.raises((AttributeError, TypeError, __import__("pickle").PicklingError)):
        check_kernel(CannotBePickled)


def test_the_suite_needs_several_architectures() -> None:
    with pytest.raises(AssertionError, match="at least four"):
        check_kernel(WLKernel, example_architectures()[:1] * 5)


def test_kernels_of_gpytorch_work_beside_ours() -> None:
    """Rows may carry further columns, which `active_dims` gives to other kernels."""
    decoder = ListDecoder(example_architectures())
    rows = torch.cat([decoder.rows, torch.linspace(0, 1, 10).double().unsqueeze(-1)], dim=-1)
    joint = WLKernel(decoder, active_dims=(0,)) * gpytorch.kernels.RBFKernel(active_dims=(1,))
    expected = WLKernel(decoder)(rows[:, :1]).to_dense()
    expected = expected * gpytorch.kernels.RBFKernel()(rows[:, 1:]).to_dense()
    torch.testing.assert_close(joint.double()(rows).to_dense(), expected, rtol=1e-5, atol=1e-6)
