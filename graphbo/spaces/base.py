"""The contract of a search space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from graphbo.architecture import Architecture

if TYPE_CHECKING:
    from ConfigSpace import Configuration, ConfigurationSpace

    from graphbo.spaces.hyperparameters import Hyperparameters

Row = tuple[int, ...]
HyperparameterValue = str | int | float | bool
INACTIVE = -1


@dataclass(frozen=True)
class Decision:
    """One categorical choice of a search space.

    Attributes:
        name: The name of the hyperparameter.
        choices: What can be chosen.
        conditions: The decision exists only if every named decision has taken one of these values.
        ordered: Whether the choices have an order.
    """

    name: str
    choices: tuple[str, ...]
    conditions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: bool = False


@dataclass(frozen=True)
class Column:
    """What one entry of a vector stands for, which describes a design by numbers.

    Attributes:
        name: The name of the decision or hyperparameter.
        choices: How many there are; the entry is the index of one. 0 where the entry is a number
            from 0 to 1 between the lowest and the highest value, on the scale of the choice.
        ordered: Whether the choices have an order.
        conditional: Whether it can be inactive; the entry is -1 then.
    """

    name: str
    choices: int = 0
    ordered: bool = False
    conditional: bool = False


@dataclass(frozen=True)
class Design:
    """A point of a search space: what an optimiser proposes and an evaluator evaluates.

    Two designs are equal if their architectures and hyperparameters are: several rows may encode
    one network.

    Attributes:
        architecture: The network.
        row: The index of the choice taken at each decision, -1 where a decision is inactive.
        origin: How the optimiser came by it, such as ``"initial"`` or ``"mutation"``.
        fidelity: How thoroughly to evaluate it, where the optimiser decides that; None leaves it
            to the study.
        hyperparameters: What is chosen beside the architecture, by name; see `JointSpace`. It must
            not be changed.
    """

    architecture: Architecture
    row: Row = field(compare=False)
    origin: str = field(default="", compare=False)
    fidelity: Mapping[str, float] | None = field(default=None, compare=False)
    hyperparameters: Mapping[str, HyperparameterValue] = field(default_factory=dict)

    def __hash__(self) -> int:
        if not self.hyperparameters:
            return hash(self.architecture)
        return hash((self.architecture, frozenset(self.hyperparameters.items())))

    def described(self, origin: str) -> Design:
        """Return the same design with another origin."""
        return replace(self, origin=origin)

    def at(self, fidelity: Mapping[str, float] | None) -> Design:
        """Return the same design, to be evaluated so thoroughly."""
        return replace(self, fidelity=fidelity)


class SearchSpace(ABC):
    """A set of architectures, each encoded by one or more rows of categorical choices.

    A subclass gives `name`, `decisions`, `decode` and `encode`, and may override the properties and
    any of the operators. Everything else, `ConfigSpace` included, follows from the decisions.

    Attributes:
        name: A short name.
        decisions: The choices, parents before the decisions that depend on them.
        operations: The labels of what the architectures may do.
    """

    name: str
    decisions: tuple[Decision, ...]
    operations: tuple[str, ...]

    aligned_positions: bool = False
    """Whether equal decisions of two architectures stand at the same place of the network."""
    kind: str = "architectures"
    """What a design decides: ``"architectures"``, ``"hyperparameters"`` or ``"both"``."""
    chain: bool = False
    """Whether every architecture is a chain of layers."""
    enumerable: bool = True
    """Whether `enumerate` is affordable."""
    configurable: bool = True
    """Whether every point is a configuration of `configuration_space`."""
    ports: tuple[str, ...] = ()
    """Further labels of nodes that do nothing, such as where a part begins or ends."""
    aliases: Mapping[str, str] = MappingProxyType({})
    """What labels are called if it does not matter in which part of the network they stand."""
    hyperparameters: Hyperparameters | None = None
    """What is chosen beside the architecture, if anything; see `JointSpace`."""

    @abstractmethod
    def decode(self, row: Row) -> Architecture:
        """Return the (pruned) architecture that a row encodes.

        Raises:
            ValueError: If the row does not encode an architecture of the space.
        """

    @abstractmethod
    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of an architecture: one row for each isomorphism class.

        Raises:
            ValueError: If the architecture does not belong to the space.
        """

    # What follows from decode, encode and the decisions -------------------------------------

    @property
    def size(self) -> int | None:
        """The number of distinct architectures, or None where it is not known."""
        return len(self.enumerate()) if self.enumerable else None

    def __contains__(self, architecture: object) -> bool:
        if not isinstance(architecture, Architecture):
            return False
        try:
            self.encode(architecture)
        except ValueError:
            return False
        return True

    def holds(self, design: Design) -> bool:
        """Whether a design with its row, also one that was read from a file, is of the space."""
        try:
            if self.decode(design.row) != design.architecture:
                return False
            if self.hyperparameters is not None:
                self.hyperparameters.read(design.hyperparameters)
        except (ValueError, TypeError, IndexError):
            return False
        return self.hyperparameters is not None or not design.hyperparameters

    def is_valid(self, row: Row) -> bool:
        """Whether a row encodes an architecture of the space."""
        try:
            self.decode(row)
        except ValueError:
            return False
        return True

    def design(self, row: Sequence[int], origin: str = "") -> Design:
        """Return the design that a row encodes."""
        row = self._activated(row)
        return Design(self.decode(row), row, origin)

    def design_of(self, architecture: Architecture, origin: str = "") -> Design:
        """Return the design of an architecture, with its canonical row."""
        row = self.encode(architecture)
        return Design(self.decode(row), row, origin)

    def canonical_row(self, row: Row) -> Row:
        """Return the row that stands for all rows of the same architecture."""
        return self.encode(self.decode(row))

    def sample(self, rng: np.random.Generator) -> Design:
        """Draw a row uniformly from the choices, again until it is valid.

        Raises:
            ValueError: If 100,000 draws in a row are not valid.
        """
        for _ in range(100_000):
            design = self._design([int(rng.integers(len(d.choices))) for d in self.decisions])
            if design is not None:
                return design
        raise ValueError(f"no valid row of the space {self.name} was found in 100,000 draws")

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        """Return the other architectures that differ from a design in one decision.

        Args:
            design: The centre.
            exclude: Designs to leave out, such as those already seen.

        Returns:
            One design for each distinct architecture.
        """
        found: dict[Design, Design] = {}
        for row in self._neighbor_rows(design.row):
            neighbor = self._design(row)
            if neighbor is None or neighbor == design or neighbor in exclude:
                continue
            found.setdefault(neighbor, neighbor)
        return list(found.values())

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        """Change random decisions one at a time until the architecture is another one.

        Rows that encode the same architecture are walked through freely (a choice at a place
        that is cut off from the output changes nothing), so that no architecture is a dead end.

        Args:
            design: The parent.
            rng: The source of randomness.
            exclude: Designs to avoid; after 100 steps in vain one of them is returned.

        Returns:
            Another architecture; the parent itself only where the space has no other.
        """
        child = design
        for _ in range(100):
            step = self._design(self._random_step(child.row, rng))
            if step is None:
                continue
            child = step
            if child != design and child not in exclude:
                return child
        for _ in range(1000):
            if child != design:
                break
            child = self.sample(rng)
        return child

    def crossover(self, first: Design, second: Design, rng: np.random.Generator) -> Design:
        """Take each decision from one of two parents; the first parent if no mix is valid."""
        for _ in range(20):
            mask = rng.random(len(self.decisions)) < 0.5
            mixed = [
                a if keep and a != INACTIVE else (b if b != INACTIVE else max(a, 0))
                for a, b, keep in zip(first.row, second.row, mask, strict=True)
            ]
            child = self._design(mixed)
            if child is not None:
                return child
        return first

    def enumerate(self) -> tuple[Design, ...]:
        """Return every distinct architecture once, with its canonical row.

        Raises:
            ValueError: If the space is too large; see `enumerable`.
        """
        if not self.enumerable:
            raise ValueError(f"the space {self.name} is too large to enumerate")
        return self._all_designs

    def listed(self) -> Iterable[Design]:
        """Yield every design if that can be done in a moment, else nothing.

        A space need not be `enumerable` for that: one with a few hyperparameters is searched by
        moves and gradient steps, and yet has an end.
        """
        return self.enumerate() if self.enumerable else ()

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        # Rows often decode to the same nodes and edges; those need one canonical form, not many.
        drawings: dict[object, Architecture] = {}
        decoded: dict[Row, Architecture] = {}
        for row, architecture in self._decoded_rows():
            drawing = architecture.nodes, architecture.edges
            decoded[row] = drawings.setdefault(drawing, architecture)
        canonical = [self.encode(architecture) for architecture in dict.fromkeys(drawings.values())]
        return tuple(Design(decoded[row], row) for row in canonical)

    def _decoded_rows(self) -> Iterator[tuple[Row, Architecture]]:
        """Yield all valid rows in lexicographic order, with what they encode."""
        for row in self._rows():
            try:
                architecture = self.decode(row)
            except ValueError:
                continue
            yield row, architecture

    # ConfigSpace ----------------------------------------------------------------------------

    @cached_property
    def configuration_space(self) -> ConfigurationSpace:
        """The ``ConfigSpace.ConfigurationSpace`` of the decisions."""
        from graphbo.spaces.configspace import build

        return build(self.name, self.decisions)

    def to_configuration(self, design: Design) -> Configuration:
        """Return the ``ConfigSpace.Configuration`` of a design's row."""
        from ConfigSpace import Configuration

        values = {
            decision.name: decision.choices[index]
            for decision, index in zip(self.decisions, design.row, strict=True)
            if index != INACTIVE
        }
        return Configuration(self.configuration_space, values=values)

    def from_configuration(self, configuration: Mapping[str, object], origin: str = "") -> Design:
        """Return the design of a configuration, or of any mapping from names to choices.

        Raises:
            ValueError: If a decision is missing or takes an unknown choice, or the configuration
                encodes no architecture of the space.
        """
        names = {decision.name for decision in self.decisions}
        unknown = [name for name in configuration if name not in names]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a decision of the space {self.name}")
        row: list[int] = []
        for decision in self.decisions:
            if not self._is_active(decision, row):
                row.append(INACTIVE)
                continue
            given = configuration.get(decision.name, "<missing>")
            value = f"{given:g}" if isinstance(given, float) else str(given)
            if value not in decision.choices:
                raise ValueError(
                    f"{decision.name} must be one of {list(decision.choices)}; got {given}"
                )
            row.append(decision.choices.index(value))
        return self.design(tuple(row), origin)

    # Rows -----------------------------------------------------------------------------------

    @cached_property
    def _column(self) -> dict[str, int]:
        return {decision.name: i for i, decision in enumerate(self.decisions)}

    @cached_property
    def _unconditional(self) -> bool:
        return not any(decision.conditions for decision in self.decisions)

    @cached_property
    def _ranges(self) -> tuple[range, ...]:
        return tuple(range(len(decision.choices)) for decision in self.decisions)

    def _is_active(self, decision: Decision, row: Sequence[int]) -> bool:
        for parent, values in decision.conditions.items():
            column = self._column[parent]
            if row[column] == INACTIVE:
                return False
            if self.decisions[column].choices[row[column]] not in values:
                return False
        return True

    def _design(self, row: Sequence[int]) -> Design | None:
        """Return the design of a row, or None if it encodes no architecture of the space."""
        row = self._activated(row)
        try:
            return Design(self.decode(row), row)
        except ValueError:
            return None

    def _activated(self, row: Sequence[int]) -> Row:
        """Mark inactive decisions, and give those that became active their first choice."""
        if len(row) != len(self.decisions):
            raise ValueError(
                f"a row of the space {self.name} has {len(self.decisions)} entries; got {len(row)}"
            )
        if self._unconditional and all(map(range.__contains__, self._ranges, row)):
            return tuple(map(int, row))
        result: list[int] = []
        for decision, index in zip(self.decisions, row, strict=True):
            active = self._is_active(decision, result)
            if active and not INACTIVE <= index < len(decision.choices):
                raise ValueError(
                    f"{decision.name} has choices 0 to {len(decision.choices) - 1}; got {index}"
                )
            result.append(max(int(index), 0) if active else INACTIVE)
        return tuple(result)

    def _random_step(self, row: Row, rng: np.random.Generator) -> Row:
        """Change one active decision; decisions that become active are drawn at random."""
        active = [
            i
            for i, index in enumerate(row)
            if index != INACTIVE and len(self.decisions[i].choices) > 1
        ]
        if not active:
            return row
        column = active[int(rng.integers(len(active)))]
        changed = [
            index if index != INACTIVE else int(rng.integers(len(decision.choices)))
            for decision, index in zip(self.decisions, row, strict=True)
        ]
        shift = int(rng.integers(1, len(self.decisions[column].choices)))
        changed[column] = (changed[column] + shift) % len(self.decisions[column].choices)
        return tuple(changed)

    def _neighbor_rows(self, row: Row) -> Iterator[Row]:
        for column, index in enumerate(row):
            for choice in range(len(self.decisions[column].choices)):
                if index not in (INACTIVE, choice):
                    yield self._activated([*row[:column], choice, *row[column + 1 :]])

    def _rows(self) -> Iterator[Row]:
        """Yield every row once, in lexicographic order."""

        def extend(row: list[int]) -> Iterator[Row]:
            if len(row) == len(self.decisions):
                yield tuple(row)
                return
            decision = self.decisions[len(row)]
            active = self._is_active(decision, row)
            for choice in range(len(decision.choices)) if active else (INACTIVE,):
                yield from extend([*row, choice])

        return extend([])
