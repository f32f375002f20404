"""From simple architectures to complex ones, with a surrogate as the guide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.growth import Growth
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

    from graphbo.surrogates.feed_forward import FeedForwardEnsemble

_RETRAIN_AFTER = 10
_EXAMPLES = 100


class PNAS(Optimizer):
    """Evaluates the simplest architectures, and then the most promising larger ones.

    The first stage is the simplest architectures of the space: those with one operation, or none.
    When a stage has been evaluated, the best of it grow by one block in every way that the space
    allows (see `Growth`), an ensemble of networks, trained on all results, predicts what becomes of
    them, and the best of these predictions are the next stage. So complexity is counted in steps of
    growth: each adds a connection between two nodes, or a node and its connections; in a chain, a
    layer.

    In the paper all is over when the largest size is reached. Here what the best designs of all
    stages can grow into, and their neighbours, are ranked from then on, so that any budget can be
    spent. While the last results of a stage are awaited, what was predicted to be next best is
    proposed, and whatever is told meanwhile joins the stage.

    The networks are the paper's perceptrons with two layers of 100 units, five of them, trained on
    absolute errors; each sees all data where the paper leaves out a fifth. A perceptron on the mean
    of learnt embeddings of blocks is one on counts of blocks: they see how often each operation
    feeds each other.

    Reference: Liu et al., "Progressive neural architecture search", ECCV 2018. A stage there has
    256 architectures; the default is such that the largest sizes are reached in some tens of
    trials.

    Args:
        space: The search space; it must have operations.
        seed: The seed of all randomness.
        beam: How many architectures a stage has.
        members: The number of networks.

    Raises:
        InputError: If the space has no operations or a setting is out of range.
    """

    name = "pnas"
    hyperparameters = False

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, beam: int = 5, members: int = 5
    ) -> None:
        if beam < 1 or members < 1:
            raise InputError(f"beam and members are at least 1; got {beam} and {members}")
        if not space.operations:
            raise InputError(f"the space {space.name} has no operations, and so nothing to grow by")
        super().__init__(space, seed=seed, beam=beam, members=members)
        self.beam, self.members = beam, members
        self._trained: tuple[int, FeedForwardEnsemble] | None = None
        self._labels = (*space.operations, *space.ports)
        rng = np.random.default_rng([seed, 0, 1])
        examples = [space.sample(rng) for _ in range(_EXAMPLES)]
        self._growth = Growth(space, examples)
        # What follows is a function of the told trials, taken in up to the number `_read`.
        self._read, self._stage = 0, 0
        self._known: set[Design] = set()
        self._recent: list[Trial] = []
        first = self._growth.simplest() or _smallest(space, examples)[:beam]
        self._ranked = [first[int(i)].described("simplest") for i in rng.permutation(len(first))]
        self._members = self._ranked

    @property
    def stage(self) -> int:
        """How often the architectures of the present stage have grown."""
        return self._stage

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        self._read_told()
        ranked = self._ranked
        if not ranked and len(self.completed) > 1:
            ranked = self._refinements(rng)
        chosen = [design for design in ranked if design not in self._seen][:n]
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _read_told(self) -> None:
        """Take in what was told since, one trial after the other, and grow when it is time."""
        for trial in self.told[self._read :]:
            self._read += 1
            self._known.add(trial.design)
            self._recent.append(trial)
            if self._members and all(m in self._known for m in self._members):
                self._grow()

    def _grow(self) -> None:
        """Begin the next stage; there is none if nothing can grow."""
        self._stage += 1
        rng = np.random.default_rng([self.seed, self._stage, 1])
        trials = _completed(self.told[: self._read])
        parents = _best(_completed(self._recent) or trials, self.beam)
        self._recent = []
        children = self._growth.children(parents, self._known, rng) or [
            design
            for parent in parents
            for design in self.space.neighbors(parent, self._known)
            if len(design.architecture.edges) > len(parent.architecture.edges)
        ]
        # Two parents can have a child in common.
        children = list(dict.fromkeys(children))
        self._ranked = self._by_prediction(children, trials, "growth")
        self._members = self._ranked[: self.beam]

    def _refinements(self, rng: np.random.Generator) -> list[Design]:
        """Return what the best designs of all can become, the most promising first."""
        completed = self.completed
        parents = _best(completed, self.beam)
        designs = self._growth.children(parents, self._seen, rng)
        for parent in parents:
            designs += self.space.neighbors(parent, self._seen)
        trained_on = max(len(completed) - len(completed) % _RETRAIN_AFTER, 2)
        return self._by_prediction(list(dict.fromkeys(designs)), completed[:trained_on], "refined")

    def _by_prediction(
        self, designs: Sequence[Design], trials: Sequence[Trial], origin: str
    ) -> list[Design]:
        """Return designs in the order of what networks predict, the best first."""
        if not designs or len(trials) < 2:
            return [design.described(origin) for design in designs]
        predictions = self._ensemble(trials)(self._code(designs)).mean(0)
        order = predictions.argsort(stable=True).tolist()
        return [designs[i].described(origin) for i in order]

    def _ensemble(self, trials: Sequence[Trial]) -> FeedForwardEnsemble:
        """Return networks trained on the first results, which their number determines."""
        import torch

        from graphbo.surrogates import NormalScores
        from graphbo.surrogates.feed_forward import FeedForwardEnsemble

        if self._trained is None or self._trained[0] != len(trials):
            scores = NormalScores([trial.value for trial in trials if trial.value is not None])
            ensemble = FeedForwardEnsemble(
                self._code([trial.design for trial in trials]),
                torch.as_tensor(scores.scores),
                seed=int(np.random.default_rng([self.seed, len(trials), 2]).integers(2**63)),
                members=self.members,
                width=100,
                depth=2,
            )
            self._trained = len(trials), ensemble
        return self._trained[1]

    def _code(self, designs: Sequence[Design]) -> Tensor:
        return block_counts([design.architecture for design in designs], self._labels)


def block_counts(architectures: Sequence[Architecture], operations: Sequence[str]) -> Tensor:
    """Return how often each operation, or the input, feeds each other, or the output.

    Args:
        architectures: The ``n`` architectures.
        operations: The ``k`` operations of the space, and other labels of nodes.

    Returns:
        `n x (k + 1)^2` counts, float64, in the order of what feeds and then of what is fed.
    """
    import torch

    pairs = product((INPUT, *operations), (*operations, OUTPUT))
    column = {pair: i for i, pair in enumerate(pairs)}
    counts = torch.zeros(len(architectures), len(column), dtype=torch.float64)
    for i, architecture in enumerate(architectures):
        graph = architecture.operations_on_nodes()
        for u, v, _ in graph.edges:
            counts[i, column[graph.nodes[u], graph.nodes[v]]] += 1
    return counts


def _completed(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.value is not None]


def _best(trials: Sequence[Trial], n: int) -> list[Design]:
    ranked = sorted(trials, key=lambda trial: trial.value or 0.0)
    return [trial.design for trial in ranked[:n]]


def _smallest(space: SearchSpace, examples: Sequence[Design]) -> list[Design]:
    """Return the designs with the fewest connections, of a space without any of the simplest."""
    designs = space.enumerate() if space.enumerable else list(dict.fromkeys(examples))
    fewest = min(len(design.architecture.edges) for design in designs)
    return [design for design in designs if len(design.architecture.edges) == fewest]
