"""Cheap proxies of how well a network will do, from its initial weights and one batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graphbo.errors import InputError
from graphbo.networks.flops import flops as count_flops
from graphbo.networks.flops import parameters as count_parameters

Proxy = Callable[[nn.Module, Tensor, Tensor], float]
"""Takes a network, images ``n x c x h x w`` and classes ``n``; a higher score is a better omen."""

_BatchNorm = nn.modules.batchnorm._BatchNorm
_JACOBIAN_RIDGE = 1e-5  # as in the paper


def parameters(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the number of trainable parameters."""
    return float(count_parameters(network))


def flops(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the multiply-adds of the forward pass of one image."""
    return float(count_flops(network, x.shape[1:]))


def synflow(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the synaptic flow: the sum of |w dR/dw| over all weights, as ``log(1 + flow)``.

    R is the sum of the logits for one image of ones, with the absolute values of all weights and
    without batch norm. Products of many layers grow quickly: everything is computed in double
    precision, and a flow beyond it counts as its largest number. A cell that passes nothing on
    has the score 0.

    Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic
    flow", NeurIPS 2020; as a proxy: Abdelfattah et al., "Zero-cost proxies for lightweight NAS",
    ICLR 2021.
    """
    network = linearized(network)
    network(torch.ones_like(x[:1], dtype=torch.double)).sum().backward()  # type: ignore[no-untyped-call]
    flow = sum(((w * g).abs().sum() for w, g in _weights(network)), torch.zeros(()))
    return float(log_flow(flow))


def naswot(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the log-determinant of the kernel of the binary codes of the ReLUs.

    The code of an image says which units are active, of all ReLUs whose result reaches the logits;
    K counts the units in which two images agree. The score is ``log det (K + I)``: the identity,
    small against thousands of units, keeps it finite where images share a code; it is
    ``log(n N + 1)`` where all ``n`` share that of ``N`` units, and 0 without any ReLU.

    Mellor et al., "Neural architecture search without training", ICML 2021.
    """
    network = copy.deepcopy(network).train()
    found: list[Tensor] = []

    def keep(out: Tensor) -> None:
        # Without a parameter before it, a result has no gradient by itself.
        found.append(out if out.requires_grad else out.requires_grad_())

    with _after_each(network, nn.ReLU, keep):
        logits = network(x)
    # Only what reaches the logits has a gradient.
    reaches = torch.autograd.grad(logits.sum(), found, allow_unused=True) if found else ()
    kernel = torch.zeros(len(x), len(x), dtype=torch.double, device=x.device)
    for out, gradient in zip(found, reaches, strict=True):
        if gradient is not None:
            kernel += agreements((out > 0).flatten(1))
    return float(code_score(kernel))


def jacobian_covariance(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return how little the gradients of the logits by the images correlate among images.

    Minus the sum of ``log(v + k) + 1 / (v + k)`` over the eigenvalues v of the ``n x n`` matrix of
    correlations, with ``k = 1e-5``. A gradient without variance, as of a cell that passes nothing
    on, correlates fully with every other.

    Mellor et al., "Neural architecture search without training", version 1, 2020 (arXiv
    2006.04647).
    """
    network = copy.deepcopy(network).train()
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        network(x).sum(), x, allow_unused=True, materialize_grads=True
    )
    return float(jacobian_score(gradient.flatten(1)))


def grad_norm(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the Euclidean norms of the loss's gradient, one for each layer's weights, summed.

    Abdelfattah et al., "Zero-cost proxies for lightweight NAS", ICLR 2021.
    """
    network = _with_gradients(network, x, y)
    return float(sum(g.norm() for _, g in _weights(network)))


def snip(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the sum of |w dL/dw| over all weights, L being the loss.

    Lee et al., "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019.
    """
    network = _with_gradients(network, x, y)
    return float(sum((w * g).abs().sum() for w, g in _weights(network)))


PROXIES: dict[str, Proxy] = {
    "parameters": parameters,
    "flops": flops,
    "synflow": synflow,
    "naswot": naswot,
    "jacobian_covariance": jacobian_covariance,
    "grad_norm": grad_norm,
    "snip": snip,
}
"""The known proxies by name; add your own here to use them in evaluators and features."""


def proxy(name: str, network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the score of a network by a proxy.

    Weights are those of convolutions and linear layers; scales, shifts and biases do not count,
    except among the parameters. The loss is the mean cross-entropy. Batch norm normalises with the
    batch unless stated otherwise. The network is left as it was.

    Args:
        name: A key of `PROXIES`.
        network: A freshly initialised network that maps images to logits.
        x: Images, ``n x c x h x w``, of the network's dtype and on its device.
        y: Their classes, ``n`` (int64).

    Raises:
        InputError: If there is no such proxy.

    Example:
        >>> proxy("parameters", nn.Linear(3, 2), torch.ones(4, 3), torch.zeros(4).long())
        8.0
    """
    return checked(name)(network, x, y)


def checked(name: str) -> Proxy:
    """Return a proxy by name.

    Raises:
        InputError: If there is none.
    """
    if name not in PROXIES:
        raise InputError(f"there is no proxy {name!r}; choose from {sorted(PROXIES)}")
    return PROXIES[name]


# Parts that a population shares ---------------------------------------------------------------


def is_weight(parameter: Tensor) -> bool:
    """Whether a parameter belongs to a convolution or linear layer and is no bias."""
    return parameter.requires_grad and parameter.dim() > 1


@torch.no_grad()
def linearized(network: nn.Module) -> nn.Module:
    """Return a copy in double precision with positive parameters and without batch norm."""
    network = copy.deepcopy(network).double().train()
    for parameter in network.parameters():
        parameter.abs_()
    for name, module in list(network.named_modules()):
        if isinstance(module, _BatchNorm):
            network.set_submodule(name, nn.Identity())
    return network


def log_flow(flow: Tensor) -> Tensor:
    """Return ``log(1 + flow)``, finite for whatever the flow overflowed to."""
    largest = torch.finfo(flow.dtype).max
    return torch.nan_to_num(flow, nan=largest, posinf=largest).log1p()


def agreements(codes: Tensor) -> Tensor:
    """Return in how many units each two images agree.

    Args:
        codes: ``... x n x units`` (bool).

    Returns:
        ``... x n x n`` (float64).
    """
    # Agreements minus disagreements; exact in single precision, up to 2^24 units.
    signs = codes.float().mul_(2).sub_(1)
    return ((signs @ signs.mT).double() + codes.shape[-1]) / 2


def code_score(kernel: Tensor) -> Tensor:
    """Return ``log det (K + I)`` of kernels ``... x n x n``."""
    identity = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    score: Tensor = torch.linalg.slogdet(kernel + identity).logabsdet
    return score


def jacobian_score(gradients: Tensor) -> Tensor:
    """Return the score of gradients by image (``... x n x d``): see `jacobian_covariance`."""
    centred = gradients.double() - gradients.double().mean(-1, keepdim=True)
    norms = centred.norm(dim=-1, keepdim=True)
    flat = norms <= torch.finfo(gradients.dtype).eps * gradients.double().norm(dim=-1, keepdim=True)
    unit = centred / norms.masked_fill(flat, 1)
    correlations = (unit @ unit.mT).masked_fill(flat | flat.mT, 1)
    eigenvalues = torch.linalg.eigvalsh(correlations).clamp_min(0) + _JACOBIAN_RIDGE
    score: Tensor = -(eigenvalues.log() + 1 / eigenvalues).sum(-1)
    return score


def _with_gradients(network: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """Return a copy of a network with the gradient of the loss."""
    network = copy.deepcopy(network).train()
    cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
    return network


def _weights(network: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the weights that took part, with their gradients."""
    for parameter in network.parameters():
        if is_weight(parameter) and parameter.grad is not None:
            yield parameter.detach(), parameter.grad


@contextmanager
def _after_each(
    network: nn.Module, kind: type[nn.Module], read: Callable[[Tensor], None]
) -> Iterator[None]:
    """Show the output of every module of a kind to a function."""
    hooks = [
        module.register_forward_hook(lambda module, inputs, out: read(out))
        for module in network.modules()
        if isinstance(module, kind)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
