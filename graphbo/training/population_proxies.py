"""The proxies of many networks at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graphbo.training.graph import UntraceableError
from graphbo.training.program import Program
from graphbo.training.proxies import (
    agreements,
    checked,
    code_score,
    is_weight,
    jacobian_score,
    linearized,
    log_flow,
    proxy,
)
from graphbo.training.schedule import Group


def population_proxies(
    networks: Sequence[nn.Module], x: Tensor, y: Tensor, names: Sequence[str]
) -> Tensor:
    """Return the scores of several networks by several proxies; see `proxy`.

    The networks run as one `Program`; what proxies have in common is computed once. Networks that
    cannot run together, and proxies that were added, are computed one by one.

    Args:
        networks: Freshly initialised networks (``K``), all of one dtype and on one device.
        x: Images, ``n x c x h x w``, shown to all of them.
        y: Their classes, ``n`` (int64).
        names: Keys of `PROXIES` (``p``).

    Returns:
        ``K x p`` (float64, on the CPU), equal to those of `proxy` up to rounding.

    Raises:
        InputError: If there is no proxy of a name.
    """
    scores = torch.empty(len(networks), len(names), dtype=torch.double)
    found: dict[str, Tensor] = {}
    for name in names:
        checked(name)
    together = [name for name in names if name in _TOGETHER]
    if networks and together:
        try:
            for compute in dict.fromkeys(_TOGETHER[name] for name in together):
                found |= compute(networks, x, y, together)
        except UntraceableError:
            found = {}
    for column, name in enumerate(names):
        if name in found:
            scores[:, column] = found[name].cpu()
        else:
            each = [proxy(name, network, x, y) for network in networks]
            scores[:, column] = torch.tensor(each, dtype=torch.double)
    return scores


def _batch_scores(
    networks: Sequence[nn.Module], x: Tensor, y: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    """Return what follows from the batch, its loss and the gradients of the logits."""
    program = Program(networks, tuple(x.shape[1:]), x.device, x.dtype)
    n, count = len(x), len(networks)
    kernel = torch.zeros(count, n, n, dtype=torch.double, device=x.device)

    def watch(group: Group, result: Tensor) -> None:
        if _is_rectified(group):
            repeats = torch.tensor(group.repeats, device=x.device)[:, None, None]
            agreeing = agreements((result > 0).movedim(-2, 0).flatten(2)) * repeats
            kernel.index_add_(0, torch.tensor(group.members, device=x.device), agreeing)

    found: dict[str, Tensor] = {}
    if {"naswot", "grad_norm", "snip"} & set(names):
        logits = _run(program, x, count, watch if "naswot" in names else None)
    if "naswot" in names:
        found["naswot"] = code_score(kernel)
    if {"grad_norm", "snip"} & set(names):
        logits = logits.detach().requires_grad_()
        # The sum of the mean losses of all networks.
        loss = count * cross_entropy(logits.flatten(0, 1), y.repeat_interleave(count))
        (gradient,) = torch.autograd.grad(loss, logits)
        program.backward(gradient)
        found["grad_norm"] = _over_weights(networks, program, lambda w, g: g.norm())
        found["snip"] = _over_weights(networks, program, lambda w, g: (w * g).abs().sum())
    if "jacobian_covariance" in names:
        found["jacobian_covariance"] = _jacobian_scores(program, x, count)
    return found


def _jacobian_scores(program: Program, x: Tensor, count: int) -> Tensor:
    logits = _run(program, x, count)
    gradient = program.backward(torch.ones_like(logits), images=True)
    if gradient is None:  # nothing reaches any of the logits
        gradient = torch.zeros(len(x), count, 1, dtype=x.dtype, device=x.device)
    return jacobian_score(gradient.transpose(0, 1).flatten(2))


def _flow_scores(
    networks: Sequence[nn.Module], x: Tensor, y: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    positive = [linearized(network) for network in networks]
    program = Program(positive, tuple(x.shape[1:]), x.device, torch.double)
    logits = _run(program, torch.ones_like(x[:1], dtype=torch.double), len(networks))
    program.backward(torch.ones_like(logits))
    return {"synflow": log_flow(_over_weights(positive, program, lambda w, g: (w * g).abs().sum()))}


def _run(
    program: Program, x: Tensor, count: int, watch: Callable[[Group, Tensor], None] | None = None
) -> Tensor:
    """Return the logits of all networks for the same images, ``n x K x classes``."""
    images = x.detach()[:, None].expand(-1, count, *x.shape[1:]).contiguous()
    with torch.no_grad():
        return program.forward(images, training=True, watch=watch)


def _over_weights(
    networks: Sequence[nn.Module], program: Program, score: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the sum over each network's weights (``K``) of a score of weight and gradient."""
    totals = []
    for member, network in enumerate(networks):
        weights = program.views(member, program.weights)
        gradients = program.views(member, program.gradients)
        counted = [
            name for name, p in network.named_parameters() if is_weight(p) and name in weights
        ]
        parts = [score(weights[name], gradients[name]) for name in counted]
        totals.append(torch.stack(parts).sum() if parts else program.weights.new_zeros(()))
    return torch.stack(totals)


def _is_rectified(group: Group) -> bool:
    """Whether a group's result is that of a ReLU, by itself or taken up by a convolution."""
    if group.kind == "convolution" and isinstance(group.settings[-1], tuple):
        return bool(group.settings[-1][-1])
    return group.kind == "relu"


_TOGETHER = {
    "naswot": _batch_scores,
    "grad_norm": _batch_scores,
    "snip": _batch_scores,
    "jacobian_covariance": _batch_scores,
    "synflow": _flow_scores,
}
