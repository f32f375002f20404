"""The conformance suite of kernels."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gpytorch
import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.store import Decoder

KernelMaker = Callable[[Decoder], Kernel]
Encoder = Callable[[Architecture], Sequence[int]]

_FLOAT32 = 1e-4


def check_kernel(
    make_kernel: KernelMaker,
    architectures: Sequence[Architecture] | None = None,
    *,
    encode: Encoder | None = None,
    seed: int = 0,
    tolerance: float = 1e-8,
) -> None:
    """Check that a kernel keeps the promises that models and optimisers rely on.

    The covariance is symmetric, positive semi-definite and invariant under renumbering of nodes;
    its diagonal, its blocks and its batches agree with the whole; it has right gradients in its
    hyperparameters, is the same in float32 and on CUDA where there is one, notices rows that
    change in place, survives pickling and deep copies, and serves an exact Gaussian process. Run
    it in the tests of a kernel of your own.

    Args:
        make_kernel: Takes a decoder from rows to architectures and returns a new kernel, a class
            such as `WLKernel` for instance. The kernel may ignore the decoder.
        architectures: What to try it on, at least four distinct ones; by default
            `example_architectures`.
        encode: From an architecture to its row. By default a row holds a number, which only the
            decoder understands. A kernel that reads the rows themselves, such as `OneHotKernel`,
            needs those of a space (``space.encode``); then renumbering the nodes reaches it only
            through the encoder.
        seed: The seed of the renumberings and of the hyperparameters.
        tolerance: The largest relative error in float64.

    Raises:
        AssertionError: If a promise is broken; the message says which.

    Example:
        >>> check_kernel(WLKernel)
    """
    generator = torch.Generator().manual_seed(seed)
    given = list(example_architectures() if architectures is None else architectures)
    assert len(set(given)) >= 4, "a kernel is checked on at least four distinct architectures"
    drawn_anew = [_renumbered(architecture, generator) for _ in range(3) for architecture in given]
    decoder, rows = _decoder([*given, *drawn_anew], encode)

    def make() -> Kernel:
        kernel = make_kernel(decoder).double()
        with torch.no_grad():
            for parameter in kernel.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.3 * noise
        return kernel

    x, again = rows[: len(given)], rows[len(given) :]
    _check_gram(make(), x, tolerance)
    for drawing in again.reshape(3, *x.shape):
        _check_renumbering(make(), x, drawing, tolerance)
    _check_blocks(make(), x, tolerance)
    _check_batches(make(), x, tolerance)
    _check_memory(make(), make, x, tolerance)
    _check_types(make(), x)
    _check_copies(make(), x, tolerance)
    _check_gradients(make(), x, generator)
    _check_model(make(), x, generator, tolerance)


def example_architectures() -> list[Architecture]:
    """Return ten small architectures, with operations on nodes and on edges, and an empty one."""
    a, b, c = "conv1x1", "conv3x3", "maxpool"
    on_nodes = [
        ([], []),
        ([], [(0, 1)]),
        ([a], [(0, 2), (2, 1)]),
        ([a, b], [(0, 2), (2, 3), (3, 1)]),
        ([b, a], [(0, 2), (2, 3), (3, 1)]),
        ([a, a], [(0, 2), (0, 3), (2, 1), (3, 1), (0, 1)]),
        ([a, b, c, a], [(0, 2), (0, 3), (2, 4), (3, 4), (3, 5), (4, 1), (5, 1)]),
    ]
    result = [Architecture([INPUT, OUTPUT, *inner], edges) for inner, edges in on_nodes]
    states = [INPUT, "", "", OUTPUT]
    return [
        *result,
        Architecture(states, [(0, 1, a), (0, 2, b), (1, 3, c), (2, 3, a)]),
        Architecture(states, [(0, 1, a), (1, 2, a), (2, 3, a), (0, 3, c)]),
        Architecture([INPUT, "", OUTPUT], [(0, 1, b), (1, 2, a), (0, 2, b)]),
    ]


class _Lookup:
    """A decoder that knows some rows."""

    def __init__(self, table: dict[tuple[int, ...], Architecture]) -> None:
        self.table = table

    def __call__(self, row: tuple[int, ...]) -> Architecture:
        return self.table[row]


def _decoder(architectures: list[Architecture], encode: Encoder | None) -> tuple[_Lookup, Tensor]:
    rows = [(i,) if encode is None else tuple(encode(a)) for i, a in enumerate(architectures)]
    return _Lookup(dict(zip(rows, architectures, strict=True))), torch.tensor(rows).double()


def _renumbered(architecture: Architecture, generator: torch.Generator) -> Architecture:
    order = torch.randperm(len(architecture), generator=generator).tolist()
    return Architecture(
        [architecture.nodes[order.index(i)] for i in range(len(order))],
        [(order[u], order[v], label) for u, v, label in architecture.edges],
    )


def _gram(kernel: Kernel, x1: Tensor, x2: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        result: Tensor = kernel(x1, x2).to_dense()
    return result


def _same(a: Tensor, b: Tensor, tolerance: float, message: str) -> None:
    assert a.shape == b.shape, f"{message}; the shapes are {tuple(a.shape)} and {tuple(b.shape)}"
    a, b = a.cpu().double(), b.cpu().double()
    difference = (a - b).abs().max().item() if a.numel() else 0.0
    allowed = tolerance * max(b.abs().max().item() if b.numel() else 0.0, 1e-3)
    assert difference <= allowed, f"{message}; they differ by {difference:.3g}"


def _check_gram(kernel: Kernel, x: Tensor, tolerance: float) -> None:
    for dtype, slack in ((torch.float64, tolerance), (torch.float32, _FLOAT32)):
        gram = _gram(kernel.to(dtype), x.to(dtype))
        assert gram.shape == (len(x), len(x)), f"{len(x)} rows gave a {tuple(gram.shape)} gram"
        assert gram.dtype == dtype, f"rows in {dtype} gave a gram in {gram.dtype}"
        assert torch.isfinite(gram).all(), "the covariances must be finite"
        _same(gram, gram.mT, slack, "the gram must be symmetric")
        eigenvalues = torch.linalg.eigvalsh(gram.double())
        assert eigenvalues[0] >= -slack * len(x) * eigenvalues[-1].clamp_min(1e-3), (
            f"the gram in {dtype} must be positive semi-definite; "
            f"its smallest eigenvalue is {eigenvalues[0].item():.3g}"
        )
        assert eigenvalues[-1] > 0, "the covariances must not all be zero"


def _check_renumbering(kernel: Kernel, x: Tensor, again: Tensor, tolerance: float) -> None:
    gram = _gram(kernel, x)
    message = "renumbering the nodes must not change the covariances"
    _same(_gram(kernel, again), gram, tolerance, message)
    _same(_gram(kernel, x, again), gram, tolerance, message)


def _check_blocks(kernel: Kernel, x: Tensor, tolerance: float) -> None:
    gram, n = _gram(kernel, x), len(x) // 2
    with torch.no_grad():
        diagonal = kernel(x, diag=True)
        paired = kernel(x[:n], x[-n:], diag=True)
    _same(diagonal, gram.diagonal(), tolerance, "`diag=True` must give the gram's diagonal")
    _same(
        paired,
        gram[:n, -n:].diagonal(),
        tolerance,
        "`diag=True` of two sets must give the diagonal of their covariances",
    )
    message = "the covariances of two sets must be a block of their joint gram"
    _same(_gram(kernel, x[:n], x[n:]), gram[:n, n:], tolerance, message)
    _same(_gram(kernel, x[n:], x[:1]), gram[n:, :1], tolerance, message)
    twice = torch.cat([x[:2], x[:2]])
    _same(
        _gram(kernel, twice),
        gram[:2, :2].repeat(2, 2),
        tolerance,
        "repeated rows must have repeated covariances",
    )


def _check_batches(kernel: Kernel, x: Tensor, tolerance: float) -> None:
    n = len(x) // 2
    batch, other = torch.stack([x[:n], x[-n:], x[:n].flip(0)]), torch.stack([x, x, x.flip(0)])
    square = torch.stack([_gram(kernel, part) for part in batch])
    cross = torch.stack([_gram(kernel, a, b) for a, b in zip(batch, other, strict=True)])
    message = "a batch must give the covariances of each of its members"
    _same(_gram(kernel, batch), square, tolerance, message)
    _same(_gram(kernel, batch, other), cross, tolerance, message)
    _same(_gram(kernel, batch[:, None], other[:, None]), cross[:, None], tolerance, message)
    with torch.no_grad():
        diagonals = kernel(batch, diag=True)
    _same(diagonals, square.diagonal(dim1=-2, dim2=-1), tolerance, message)
    shared = torch.stack([_gram(kernel, x, part) for part in batch])
    message = "a set without batch shape must be paired with each member of a batch"
    _same(_gram(kernel, x, batch), shared, tolerance, message)
    _same(_gram(kernel, batch, x), shared.mT, tolerance, message)


def _check_memory(kernel: Kernel, make: Callable[[], Kernel], x: Tensor, tolerance: float) -> None:
    """Check that whatever a kernel remembers of earlier calls does not show."""
    fresh = make()
    fresh.load_state_dict(kernel.state_dict())
    gram = _gram(fresh, x)
    for n in (2, len(x), 3, len(x) - 1):
        message = "earlier calls must not change the covariances"
        _same(_gram(kernel, x[:n], x), gram[:n], tolerance, message)
        _same(_gram(kernel, x[:n]), gram[:n, :n], tolerance, message)
    changing = x.clone()
    _gram(kernel, changing)
    changing[:] = x.flip(0)
    message = "rows that change in place must change the covariances"
    _same(_gram(kernel, changing), gram.flip((0, 1)), tolerance, message)
    shared = x.clone().numpy()
    _gram(kernel, torch.from_numpy(shared))
    shared[:] = x.flip(0).numpy()
    _same(_gram(kernel, torch.from_numpy(shared)), gram.flip((0, 1)), tolerance, message)
    strided = x.repeat(1, 2)[:, : x.shape[1]]
    _same(_gram(kernel, strided), gram, tolerance, "views of rows must serve as rows")
    with torch.inference_mode():
        _same(_gram(kernel, x.clone()), gram, tolerance, "inference mode must change nothing")


def _check_types(kernel: Kernel, x: Tensor) -> None:
    gram = _gram(kernel, x)
    single = copy.deepcopy(kernel).float()
    for rows in (x.float(), x):
        _same(_gram(single, rows), gram, _FLOAT32, "float32 and float64 must agree")
    if torch.cuda.is_available():
        moved = copy.deepcopy(kernel).cuda()
        on_device = _gram(moved, x.cuda())
        assert on_device.is_cuda, "rows on CUDA must give covariances on CUDA"
        _same(on_device, gram, 1e-6, "CUDA and CPU must agree")


def _check_copies(kernel: Kernel, x: Tensor, tolerance: float) -> None:
    gram = _gram(kernel, x)
    for name, copied in (
        ("pickled", pickle.loads(pickle.dumps(kernel))),
        ("deep", copy.deepcopy(kernel)),
    ):
        _same(_gram(copied, x), gram, tolerance, f"a {name} copy must have the same covariances")
        with torch.no_grad():
            for parameter in copied.parameters():
                parameter += 0.5
        message = f"changing a {name} copy must not change the kernel"
        _same(_gram(kernel, x), gram, tolerance, message)


def _check_gradients(kernel: Kernel, x: Tensor, generator: torch.Generator) -> None:
    """Compare gradients with central differences, in at most eight entries of each parameter."""
    weights = torch.randn(len(x), len(x), generator=generator, dtype=torch.float64)

    def value() -> Tensor:
        total: Tensor = (weights * kernel(x).to_dense()).sum()
        return total

    trained = [(name, p) for name, p in kernel.named_parameters() if p.requires_grad]
    for name, parameter in trained:
        total = value()
        gradient = None
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, [parameter], allow_unused=True)
        assert gradient is not None, f"the covariances must depend on the parameter {name}"
        assert torch.isfinite(gradient).all(), f"the gradient in {name} must be finite"
        flat, step = parameter.detach().view(-1), 1e-5
        for i in torch.randperm(flat.numel(), generator=generator)[:8].tolist():
            with torch.no_grad(), _restored(flat):
                flat[i] += step
                up = value()
                flat[i] -= 2 * step
                numeric = (up - value()) / (2 * step)
            exact = gradient.view(-1)[i]
            assert (exact - numeric).abs() <= 1e-5 * (1 + numeric.abs()), (
                f"the gradient in {name} must agree with finite differences; "
                f"it is {exact.item():.6g} against {numeric.item():.6g}"
            )


@contextmanager
def _restored(values: Tensor) -> Iterator[None]:
    before = values.clone()
    yield
    values.copy_(before)


class _Model(gpytorch.models.ExactGP):
    def __init__(self, x: Tensor, y: Tensor, kernel: Kernel) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ZeroMean()
        self.covar_module = kernel
        self.double()
        likelihood.noise = 0.1

    def forward(self, x: Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def _check_model(kernel: Kernel, x: Tensor, generator: torch.Generator, tolerance: float) -> None:
    """Compare the posterior of GPyTorch's exact Gaussian process with the formula."""
    n = len(x) - len(x) // 3
    y = torch.randn(n, generator=generator, dtype=torch.float64)
    model = _Model(x[:n], y, kernel)
    model.train()
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    value = likelihood(model(x[:n]), y)
    assert torch.isfinite(value), "the marginal likelihood must be finite"
    value.backward()
    model.eval()
    with torch.no_grad(), gpytorch.settings.fast_computations(False, False, False):
        posterior = model(x)
        mean, covariance = posterior.mean, posterior.covariance_matrix
    gram = _gram(kernel, x)
    noise = 0.1 * torch.eye(n, dtype=torch.float64)
    solved = torch.linalg.solve(gram[:n, :n] + noise, torch.cat([y[:, None], gram[:n]], dim=1))
    slack = max(tolerance, 1e-6)
    message = "the posterior mean of an exact Gaussian process must follow the formula"
    _same(mean, gram[:, :n] @ solved[:, 0], slack, message)
    message = "the posterior covariance of an exact Gaussian process must follow the formula"
    _same(covariance, gram - gram[:, :n] @ solved[:, 1:], slack * 10, message)
