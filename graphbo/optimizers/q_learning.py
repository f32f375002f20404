"""Q-learning over chains of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.chain import ChainSpace

State = tuple[int, str]
"""How many layers there are, and the last one."""

_START = 0.5
_ATTEMPTS = 100
# How many of the paper's 2,700 networks are trained before each chance of a random action.
_SCHEDULE = {
    1.0: 1500,
    0.9: 100,
    0.8: 100,
    0.7: 100,
    0.6: 150,
    0.5: 150,
    0.4: 150,
    0.3: 150,
    0.2: 150,
    0.1: 150,
}


class QLearning(Optimizer):
    """Learns which layer should follow which, from all chains evaluated so far.

    A state is the number of layers and the last one, an action the next layer or the end of the
    chain. The table of values starts at 0.5. After each result, 100 chains are drawn from the
    memory of results, and the values along each are updated, from its end to its start.

    Actions are random with a probability that falls from 1 to 0.1 as in the paper, over as many
    trials as ``schedule`` says in place of the paper's 2,700: more than half of them are random.
    A chain that was drawn before is drawn again.

    The reward at the end of a chain is its share of the results so far that are worse, where the
    paper takes the accuracy: an objective here may have any unit. It is 0.5 for a middling chain,
    and for one that stands alone.

    Reference: Baker et al., "Designing neural network architectures using reinforcement learning",
    ICLR 2017 (MetaQNN).

    Args:
        space: The search space; all its architectures must be chains.
        seed: The seed of all randomness.
        schedule: Over how many trials actions become less random.
        learning_rate: The share of the new in an update.
        discount: What the value of the next state counts.
        replay: How many chains are drawn from memory after each result.

    Raises:
        InputError: If architectures are no chains, or a setting is out of range.
    """

    name = "q-learning"
    hyperparameters = False

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        schedule: int = 150,
        learning_rate: float = 0.01,
        discount: float = 1.0,
        replay: int = 100,
    ) -> None:
        if schedule < 1 or replay < 1:
            raise InputError(f"schedule and replay are at least 1; got {schedule} and {replay}")
        if not (0 < learning_rate <= 1 and 0 <= discount <= 1):
            raise InputError(
                "the learning rate is above 0 and up to 1, the discount from 0 to 1; "
                f"got {learning_rate} and {discount}"
            )
        super().__init__(
            space,
            seed=seed,
            schedule=schedule,
            learning_rate=learning_rate,
            discount=discount,
            replay=replay,
        )
        self.schedule, self.replay_size = schedule, replay
        self._grammar = _grammar(space)
        self.values = ActionValues(self._grammar, learning_rate, discount)
        # What follows is a function of the told trials, taken in up to the number `_read`.
        self._read = 0
        self._memory: list[tuple[tuple[str, ...], float]] = []

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        self._read_told()
        chosen: list[Design] = []
        exclude = set(self._seen)
        for _ in range(n):
            chance = epsilon(len(self._seen) + len(chosen), self.schedule)
            for _ in range(_ATTEMPTS):
                design = self.space.design_of(_chain(self._walk(chance, rng)), self.name)
                if design not in exclude:
                    exclude.add(design)
                    chosen.append(design)
                    break
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _walk(self, chance: float, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the layers of a chain, drawn from its start to its end."""
        layers: tuple[str, ...] = ()
        while True:
            actions = self._grammar.after(layers)
            if rng.random() >= chance:
                values = [self.values(_state(layers), action) for action in actions]
                best = max(values)
                actions = [
                    action for action, value in zip(actions, values, strict=True) if value == best
                ]
            action = actions[int(rng.integers(len(actions)))]
            if action == OUTPUT:
                return layers
            layers = (*layers, action)

    def _read_told(self) -> None:
        """Learn from what was told since, one trial after the other."""
        for trial in self.told[self._read :]:
            self._read += 1
            if trial.value is None:
                continue
            self._memory.append((trial.design.architecture.pruned().nodes[1:-1], trial.value))
            rewards = 1 - (rankdata([value for _, value in self._memory]) - 0.5) / len(self._memory)
            rng = np.random.default_rng([self.seed, self._read, 1])
            for i in rng.integers(len(self._memory), size=self.replay_size).tolist():
                self.values.update(self._memory[i][0], float(rewards[i]))


class ActionValues:
    """The table of what each action is worth in each state.

    Args:
        grammar: Which actions there are.
        learning_rate: The share of the new in an update.
        discount: What the value of the next state counts.
    """

    def __init__(self, grammar: Grammar, learning_rate: float, discount: float) -> None:
        self.grammar, self.learning_rate, self.discount = grammar, learning_rate, discount
        self._table: dict[tuple[State, str], float] = {}

    def __call__(self, state: State, action: str) -> float:
        """Return the value of an action; 0.5 if it was never taken."""
        return self._table.get((state, action), _START)

    def update(self, layers: Sequence[str], reward: float) -> None:
        """Update the values along a chain, its end first.

        Args:
            layers: The layers of the chain.
            reward: What it earned in the end; there is no reward on the way.
        """
        states = [_state(layers[:i]) for i in range(len(layers) + 1)]
        self._move(states[-1], OUTPUT, reward)
        for i in reversed(range(len(layers))):
            ahead = states[i + 1]
            best = max(self(ahead, action) for action in self.grammar.actions(ahead))
            self._move(states[i], layers[i], self.discount * best)

    def _move(self, state: State, action: str, target: float) -> None:
        old = self(state, action)
        self._table[state, action] = old + self.learning_rate * (target - old)


class Grammar(Protocol):
    """Which layers may follow; the output stands for the end of the chain."""

    def actions(self, state: State) -> Sequence[str]:
        """Return the actions in a state."""

    def after(self, layers: tuple[str, ...]) -> Sequence[str]:
        """Return the actions after some layers."""


class _AnyLayer:
    """Any layer may follow any other, up to a largest depth."""

    def __init__(self, layers: Sequence[str], max_depth: int) -> None:
        self._actions = [(*layers, OUTPUT)] * max_depth + [(OUTPUT,)]
        self._actions[0] = tuple(layers)

    def actions(self, state: State) -> Sequence[str]:
        return self._actions[state[0]]

    def after(self, layers: tuple[str, ...]) -> Sequence[str]:
        return self._actions[len(layers)]


class _Members:
    """The chains of a finite space."""

    def __init__(self, chains: Iterable[tuple[str, ...]]) -> None:
        after: dict[tuple[str, ...], dict[str, None]] = {}
        for chain in chains:
            path = (*chain, OUTPUT)
            for i, action in enumerate(path):
                after.setdefault(path[:i], {})[action] = None
        self._after: Mapping[tuple[str, ...], Sequence[str]] = {
            layers: tuple(actions) for layers, actions in after.items()
        }
        merged: dict[State, dict[str, None]] = {}
        for layers, actions in after.items():
            merged.setdefault(_state(layers), {}).update(actions)
        self._actions: Mapping[State, Sequence[str]] = {
            state: tuple(actions) for state, actions in merged.items()
        }

    def actions(self, state: State) -> Sequence[str]:
        return self._actions[state]

    def after(self, layers: tuple[str, ...]) -> Sequence[str]:
        return self._after[layers]


def epsilon(trials: int, schedule: int) -> float:
    """Return the chance of a random action after so many trials.

    Args:
        trials: How many chains were proposed.
        schedule: Over how many trials the paper's schedule is spread.
    """
    left = trials * sum(_SCHEDULE.values()) / schedule
    for chance, networks in _SCHEDULE.items():
        if left < networks:
            return chance
        left -= networks
    return min(_SCHEDULE)


def _grammar(space: SearchSpace) -> Grammar:
    if isinstance(space, ChainSpace):
        return _AnyLayer(space.operations, space.max_depth)
    if space.chain and space.enumerable:
        return _Members(design.architecture.nodes[1:-1] for design in space.enumerate())
    raise InputError(
        f"{QLearning.name} learns which layer should follow which in a chain of layers; the "
        f"architectures of the space {space.name} are no chains, or too many to list"
    )


def _state(layers: Sequence[str]) -> State:
    return len(layers), layers[-1] if layers else INPUT


def _chain(layers: Sequence[str]) -> Architecture:
    nodes = (INPUT, *layers, OUTPUT)
    return Architecture(nodes, list(pairwise(range(len(nodes)))))
