"""A recurrent network that writes configurations, one decision after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphbo.spaces.base import INACTIVE, Decision

_RANGE = 0.08


class Controller(nn.Module):
    """Layers of LSTM cells with a softmax for each decision.

    At each step the cells see the choice that was made last. A decision that the conditions leave
    out is passed over: the cells make no step.

    Reference: Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017:
    two layers of 35 units, weights uniform in [-0.08, 0.08]. There the connections of a layer are
    chosen by attention to the layers before it, here each is a decision like any other.

    Args:
        decisions: The decisions, parents before those that depend on them.
        generator: The source of the initial weights.
        hidden: The number of units of each layer.
        layers: The number of layers.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        generator: torch.Generator,
        *,
        hidden: int = 35,
        layers: int = 2,
    ) -> None:
        super().__init__()
        sizes = [len(decision.choices) for decision in decisions]
        self.hidden = hidden
        with torch.random.fork_rng(devices=[]):  # where PyTorch draws weights, overwritten below
            self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
            self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
        self.tokens = nn.Parameter(torch.empty(1 + sum(sizes), hidden))  # the first is the start
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                uniform = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(_RANGE * (2 * uniform - 1))
        self._starts = [1 + sum(sizes[:i]) for i in range(len(sizes))]
        self._conditions = _conditions(decisions)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` rows, `n x decisions`, -1 where a decision is inactive."""
        return self._walk(n, None, generator)[0]

    def score(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log probability of rows, and the entropy of the decisions on the way.

        Args:
            rows: `n x decisions`, -1 where a decision is inactive.

        Returns:
            Sums over the active decisions, `n` each, differentiable in the weights.
        """
        _, log_probability, entropy = self._walk(len(rows), rows, None)
        return log_probability, entropy

    def _walk(
        self, n: int, given: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        zeros = self.tokens.new_zeros(n, self.hidden)
        states = [(zeros, zeros) for _ in self.cells]
        seen = self.tokens[:1].expand(n, -1)
        total, entropy = self.tokens.new_zeros(n), self.tokens.new_zeros(n)
        rows = torch.full((n, len(self.heads)), INACTIVE)
        for j, head in enumerate(self.heads):
            active = torch.ones(n, dtype=torch.bool)
            for column, allowed in self._conditions[j]:
                active &= torch.isin(rows[:, column], allowed)
            if not active.any():
                continue
            step, h = active.unsqueeze(-1), seen
            for i, cell in enumerate(self.cells):
                after = cell(h, states[i])
                h = after[0]
                states[i] = (
                    torch.where(step, after[0], states[i][0]),
                    torch.where(step, after[1], states[i][1]),
                )
            log_p = head(h).log_softmax(-1)
            if given is None:
                choice = torch.multinomial(log_p.exp(), 1, generator=generator).squeeze(-1)
            else:
                choice = given[:, j].clamp_min(0)
            rows[:, j] = torch.where(active, choice, INACTIVE)
            total = total + torch.where(active, log_p.gather(-1, choice[:, None]).squeeze(-1), 0)
            entropy = entropy - torch.where(active, (log_p.exp() * log_p).sum(-1), 0)
            seen = torch.where(step, self.tokens[self._starts[j] + choice], seen)
        return rows, total, entropy


def _conditions(decisions: Sequence[Decision]) -> list[list[tuple[int, Tensor]]]:
    """Return for each decision the columns that it depends on, and their indices that allow it."""
    names = [decision.name for decision in decisions]
    found = []
    for decision in decisions:
        conditions = []
        for parent, values in decision.conditions.items():
            column = names.index(parent)
            indices = [decisions[column].choices.index(value) for value in values]
            conditions.append((column, torch.tensor(indices)))
        found.append(conditions)
    return found
