"""Architectures together with hyperparameters, and hyperparameters alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Design, HyperparameterValue, Row, SearchSpace
from graphbo.spaces.pool import operations_of

if TYPE_CHECKING:
    from ConfigSpace import Configuration, ConfigurationSpace

    from graphbo.spaces.hyperparameters import Hyperparameters


_MOST_LISTED = 100_000


class FixedSpace(SearchSpace):
    """One architecture and no other; its row is empty.

    Args:
        architecture: The architecture, pruned; by default the empty one.
        name: The name of the space.
    """

    def __init__(self, architecture: Architecture | None = None, name: str = "fixed") -> None:
        empty = Architecture([INPUT, OUTPUT], [])
        self.architecture = (empty if architecture is None else architecture).pruned()
        self.name = name
        self.decisions = ()
        self.operations = tuple(sorted(operations_of(self.architecture)))

    def decode(self, row: Row) -> Architecture:
        """Return the architecture of the empty row."""
        self._activated(row)
        return self.architecture

    def encode(self, architecture: Architecture) -> Row:
        """Return the empty row."""
        if architecture.pruned() != self.architecture:
            raise ValueError(f"{architecture!r} is not the architecture of the space {self.name}")
        return ()


class JointSpace(SearchSpace):
    """Architectures of a space, each with hyperparameters beside it.

    Its designs have the rows and architectures of that space, and `Design.hyperparameters` says
    the rest; two that differ in an inactive hyperparameter only are the same.

    Args:
        architectures: The space of the architectures.
        hyperparameters: A ``ConfigSpace.ConfigurationSpace``; see `Hyperparameters`.
        name: The name of the space.

    Raises:
        InputError: If there are no hyperparameters, or one is called as a decision of the
            architectures is.

    Example:
        >>> rates = ConfigurationSpace({"learning_rate": (1e-4, 1.0)})
        >>> space = JointSpace(NASBench201Space(), rates)
        >>> design = space.sample(np.random.default_rng(0))
        >>> design.architecture, design.hyperparameters["learning_rate"]
    """

    enumerable = False

    def __init__(
        self,
        architectures: SearchSpace,
        hyperparameters: ConfigurationSpace,
        name: str | None = None,
    ) -> None:
        from graphbo.spaces.hyperparameters import Hyperparameters  # imports ConfigSpace

        self.architectures = architectures
        self.hyperparameters: Hyperparameters = Hyperparameters(hyperparameters)
        self.name = name or f"{architectures.name}-joint"
        self.decisions = architectures.decisions
        self.operations = architectures.operations
        self.ports = architectures.ports
        self.aliases = dict(architectures.aliases)
        self.aligned_positions = architectures.aligned_positions
        self.configurable = architectures.configurable
        self.kind = "hyperparameters" if isinstance(architectures, FixedSpace) else "both"
        twice = {decision.name for decision in self.decisions} & set(hyperparameters)
        if twice:
            raise InputError(f"{min(twice)!r} is a hyperparameter and a decision of {self.name}")

    def __repr__(self) -> str:
        names = list(self.hyperparameters.configuration_space)
        return f"JointSpace({self.architectures!r}, {names}, name={self.name!r})"

    @property
    def width(self) -> int:
        """The number of entries of a row, behind which those of the hyperparameters stand."""
        # A pool has no decisions, and rows of one index.
        return 0 if self.kind == "hyperparameters" else max(len(self.decisions), 1)

    def decode(self, row: Row) -> Architecture:
        """Return the architecture that a row encodes."""
        return self.architectures.decode(row)

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of an architecture."""
        return self.architectures.encode(architecture)

    def design(self, row: Sequence[int], origin: str = "") -> Design:
        """Return the design that a row encodes, with the default hyperparameters."""
        return _joined(self.architectures.design(row), self.hyperparameters.default, origin)

    def design_of(self, architecture: Architecture, origin: str = "") -> Design:
        """Return the design of an architecture, with the default hyperparameters."""
        design = self.architectures.design_of(architecture)
        return _joined(design, self.hyperparameters.default, origin)

    # Moves ----------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Design:
        """Draw an architecture and hyperparameters independently."""
        design = self.architectures.sample(rng)
        return _joined(design, self.hyperparameters.sample(rng))

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        """Return the neighbours in the architecture, and those in one hyperparameter."""
        found = [
            _joined(near, design.hyperparameters)
            for near in self.architectures.neighbors(_alone(design))
        ]
        found += [
            _joined(design, near) for near in self.hyperparameters.neighbors(design.hyperparameters)
        ]
        return [near for near in found if near not in exclude]

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        """Change the architecture or a hyperparameter, each decision being as likely to change.

        Args:
            design: The parent.
            rng: The source of randomness.
            exclude: Designs to avoid; after 100 steps in vain one of them is returned.
        """
        share = self.width / (self.width + len(design.hyperparameters))
        child = design
        for _ in range(100):
            if rng.random() < share:
                mutant = self.architectures.mutate(_alone(child), rng)
                child = _joined(mutant, child.hyperparameters)
            else:
                values = self.hyperparameters.mutate(child.hyperparameters, rng)
                child = _joined(child, values)
            if child != design and child not in exclude:
                return child
        return child

    def crossover(self, first: Design, second: Design, rng: np.random.Generator) -> Design:
        """Cross the architectures, and take each hyperparameter from one of two parents."""
        child = self.architectures.crossover(_alone(first), _alone(second), rng)
        values = self.hyperparameters.crossover(first.hyperparameters, second.hyperparameters, rng)
        return _joined(child, values)

    def listed(self) -> Iterable[Design]:
        """Yield every design where there are up to 100,000, else nothing."""
        if self.enumerable or not self.architectures.enumerable:
            return super().listed()
        beside, designs = self.hyperparameters.listed, self.architectures.enumerate()
        if len(beside) * len(designs) > _MOST_LISTED:
            return ()
        return (_joined(design, values) for design in designs for values in beside)

    # ConfigSpace ----------------------------------------------------------------------------

    @cached_property
    def configuration_space(self) -> ConfigurationSpace:
        """The decisions of the architectures, and the hyperparameters."""
        from graphbo.spaces.configspace import build

        if not self.configurable:
            return self.architectures.configuration_space  # which says why there is none
        space = build(self.name, self.decisions)
        space.add_configuration_space("", self.hyperparameters.configuration_space, delimiter="")
        return space

    def to_configuration(self, design: Design) -> Configuration:
        """Return the ``ConfigSpace.Configuration`` of a design."""
        from ConfigSpace import Configuration

        own: Mapping[str, Any] = {}
        if self.decisions:
            own = dict(self.architectures.to_configuration(_alone(design)))
        return Configuration(self.configuration_space, values={**own, **design.hyperparameters})

    def from_configuration(self, configuration: Mapping[str, object], origin: str = "") -> Design:
        """Return the design of a configuration, or of any mapping from names to values.

        Raises:
            ValueError: If a decision or a hyperparameter is missing or has a value that it cannot
                take, or the configuration encodes no architecture of the space.
        """
        names = {decision.name for decision in self.decisions}
        own = {name: value for name, value in configuration.items() if name in names}
        rest = {name: value for name, value in configuration.items() if name not in names}
        values = self.hyperparameters.read(rest)
        return _joined(self.architectures.from_configuration(own), values, origin)


class HyperparameterSpace(JointSpace):
    """Hyperparameters alone: the architecture is always the same.

    Args:
        hyperparameters: A ``ConfigSpace.ConfigurationSpace``; see `Hyperparameters`.
        name: The name of the space.
        architecture: The architecture; by default the empty one.

    Example:
        >>> space = HyperparameterSpace(ConfigurationSpace({"x": (0.0, 1.0), "n": (1, 8)}))
        >>> sorted(space.sample(np.random.default_rng(0)).hyperparameters)
        ['n', 'x']
    """

    def __init__(
        self,
        hyperparameters: ConfigurationSpace,
        name: str = "hyperparameters",
        architecture: Architecture | None = None,
    ) -> None:
        super().__init__(FixedSpace(architecture), hyperparameters, name)


def _joined(
    design: Design, hyperparameters: Mapping[str, HyperparameterValue], origin: str = ""
) -> Design:
    return Design(design.architecture, design.row, origin, None, hyperparameters)


def _alone(design: Design) -> Design:
    return Design(design.architecture, design.row)
