"""Architectures of several parts, such as a normal and a reduction cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Design, Row, SearchSpace

SEPARATOR = "/"
_MAX_ENUMERABLE = 200_000
_ENDS = {label: f"{SEPARATOR}{label}" for label in (INPUT, OUTPUT)}


class ProductSpace(SearchSpace):
    """Architectures that consist of one architecture for each of several named parts.

    The parts stand side by side in one graph: ``"input"`` feeds ``"normal/input"``, where the part
    ``"normal"`` begins, and ``"normal/output"``, where it ends, feeds ``"output"``. Every label of
    a part, on nodes and edges, is preceded by its name and a slash; a part that does not connect
    its input to its output is left out. So two architectures are equal if and only if they are
    in every part.

    A row is the rows of the parts one after the other, and the decisions are called as the labels
    are, such as ``"normal/edge_0_1"``. Every operator works on the parts by their own.

    Args:
        parts: The space of each part, by its name.
        name: The name of the space; by default those of the parts.

    Raises:
        InputError: If there are no parts, a name is empty or has a slash, or a part is a pool or
            has hyperparameters. (Those of the whole are a `JointSpace` of this space.)

    Example:
        >>> from graphbo.spaces import CellSpace
        >>> cells = CellSpace(3, ["conv3x3", "skip"], on="edges")
        >>> space = ProductSpace({"normal": cells, "reduce": cells})
        >>> space.size == cells.size**2
        True
    """

    def __init__(self, parts: Mapping[str, SearchSpace], name: str | None = None) -> None:
        if not parts:
            raise InputError("a product of spaces needs at least one part")
        for part_name, part in parts.items():
            if not part_name or SEPARATOR in part_name:
                raise InputError(
                    f"the name of a part has at least one letter and no {SEPARATOR!r}; "
                    f"got {part_name!r}"
                )
            if not part.configurable or part.hyperparameters is not None:
                raise InputError(
                    f"the part {part_name!r} must be a space of architectures with decisions; "
                    f"got {part!r}"
                )
        self.parts = dict(parts)
        self.name = "+".join(parts) if name is None else name
        self.decisions = tuple(
            Decision(
                _prefixed(part_name, decision.name),
                decision.choices,
                {_prefixed(part_name, key): value for key, value in decision.conditions.items()},
                decision.ordered,
            )
            for part_name, part in parts.items()
            for decision in part.decisions
        )
        self.operations = self._labels(part.operations for part in parts.values())
        self.ports = self._labels((INPUT, OUTPUT, *part.ports) for part in parts.values())
        self.aliases = _aliases(self.parts)
        self.aligned_positions = all(part.aligned_positions for part in parts.values())
        rows = math.prod(len(decision.choices) for decision in self.decisions)
        self.enumerable = rows <= _MAX_ENUMERABLE and all(p.enumerable for p in parts.values())
        ends = accumulate((len(part.decisions) for part in parts.values()), initial=0)
        self._slices = [slice(start, end) for start, end in pairwise(ends)]

    def __repr__(self) -> str:
        return f"ProductSpace({self.parts!r}, name={self.name!r})"

    @property
    def size(self) -> int | None:
        """The product of the sizes of the parts, or None where one is not known."""
        sizes = [part.size for part in self.parts.values()]
        known = [size for size in sizes if size is not None]
        return math.prod(known) if len(known) == len(sizes) else None

    # Architectures --------------------------------------------------------------------------

    def join(self, parts: Mapping[str, Architecture]) -> Architecture:
        """Return the architecture that has these parts.

        Args:
            parts: An architecture for each part, by its name.

        Raises:
            InputError: If the names are not those of the parts.
        """
        if set(parts) != set(self.parts):
            raise InputError(
                f"an architecture of the space {self.name} has the parts {list(self.parts)}; "
                f"got {list(parts)}"
            )
        nodes, edges, ends = [INPUT], [], []
        for name in self.parts:
            part = parts[name].pruned()
            if not part.edges:
                continue
            start = len(nodes)
            nodes += [_prefixed(name, label) for label in part.nodes]
            edges += [(start + u, start + v, _prefixed(name, label)) for u, v, label in part.edges]
            edges.append((0, start + part.input, ""))
            ends.append(start + part.output)
        edges += [(end, len(nodes), "") for end in ends]
        return Architecture._trusted((*nodes, OUTPUT), tuple(sorted(edges)))

    def split(self, architecture: Architecture) -> dict[str, Architecture]:
        """Return the parts of an architecture, by their names; the inverse of `join`.

        Whether they belong to the spaces of the parts is not asked.

        Raises:
            ValueError: If the architecture does not consist of such parts.
        """
        return split(architecture, self.parts)

    def decode(self, row: Row) -> Architecture:
        """Return the architecture whose parts the slices of a row encode."""
        return self._join(part.decode(own) for part, own in self._rows_of(row))

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical rows of the parts, one after the other."""
        found = self.split(architecture)
        return _chained(part.encode(found[name]) for name, part in self.parts.items())

    def canonical_row(self, row: Row) -> Row:
        """Return the canonical rows of the parts, one after the other."""
        return _chained(part.canonical_row(own) for part, own in self._rows_of(row))

    # Moves ----------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Design:
        """Draw the parts independently."""
        return self._joined([part.sample(rng) for part in self.parts.values()])

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        """Return the designs in which one part is a neighbour of this one's."""
        own = self._designs_of(design)
        found = (
            self._joined([*own[:i], near, *own[i + 1 :]])
            for i, part in enumerate(self.parts.values())
            for near in part.neighbors(own[i])
        )
        return [near for near in found if near not in exclude]

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        """Mutate one part, each decision of the whole being as likely to change.

        Args:
            design: The parent.
            rng: The source of randomness.
            exclude: Designs to avoid; after 100 steps in vain one of them is returned.

        Returns:
            Another architecture; the parent itself only where the space has no other.
        """
        spaces = list(self.parts.values())
        # A part that has one member only would be drawn from in vain.
        free = [sum(len(each.choices) > 1 for each in part.decisions) for part in spaces]
        weights = np.array(free, float)
        if not weights.any():
            return design
        child = design
        for _ in range(100):
            own = self._designs_of(child)
            i = int(rng.choice(len(spaces), p=weights / weights.sum()))
            step = self._joined([*own[:i], spaces[i].mutate(own[i], rng), *own[i + 1 :]])
            if step == design:
                continue
            child = step
            if child not in exclude:
                break
        return child

    def crossover(self, first: Design, second: Design, rng: np.random.Generator) -> Design:
        """Cross each part of one parent with that of the other."""
        parents = zip(self._designs_of(first), self._designs_of(second), strict=True)
        return self._joined(
            [
                part.crossover(a, b, rng)
                for part, (a, b) in zip(self.parts.values(), parents, strict=True)
            ]
        )

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        every = (part.enumerate() for part in self.parts.values())
        return tuple(self._joined(chosen) for chosen in itertools.product(*every))

    # Rows and labels ------------------------------------------------------------------------

    def _rows_of(self, row: Row) -> Iterator[tuple[SearchSpace, Row]]:
        if len(row) != len(self.decisions):
            raise ValueError(
                f"a row of the space {self.name} has {len(self.decisions)} entries; got {len(row)}"
            )
        return zip(self.parts.values(), (row[part] for part in self._slices), strict=True)

    def _designs_of(self, design: Design) -> list[Design]:
        return [Design(part.decode(own), own) for part, own in self._rows_of(design.row)]

    def _join(self, architectures: Iterable[Architecture]) -> Architecture:
        return self.join(dict(zip(self.parts, architectures, strict=True)))

    def _joined(self, designs: Sequence[Design]) -> Design:
        architecture = self._join(design.architecture for design in designs)
        return Design(architecture, _chained(design.row for design in designs))

    def _labels(self, labels: Iterable[Iterable[str]]) -> tuple[str, ...]:
        return tuple(
            _prefixed(name, label)
            for name, own in zip(self.parts, labels, strict=True)
            for label in own
        )


def split(architecture: Architecture, names: Collection[str]) -> dict[str, Architecture]:
    """Return the parts of an architecture by their names; the inverse of `ProductSpace.join`.

    Args:
        architecture: The architecture.
        names: The names of the parts; one that is not there has no path from input to output.

    Raises:
        ValueError: If the architecture does not consist of such parts.
    """
    whole = architecture.pruned()
    parts = {name: Architecture([INPUT, OUTPUT], []) for name in names}
    found = [whole.input, whole.output]
    joined: set[tuple[int, int, str]] = set()
    for name in names:
        start, end = (_prefixed(name, label) for label in (INPUT, OUTPUT))
        if start not in whole.nodes or end not in whole.nodes:
            continue
        members = _reached(whole, whole.nodes.index(start))
        position = {node: i for i, node in enumerate(members)}
        inside = [edge for edge in whole.edges if edge[0] in position and edge[1] in position]
        parts[name] = Architecture(
            [_stripped(name, whole.nodes[node]) for node in members],
            [(position[u], position[v], _stripped(name, w)) for u, v, w in inside],
        )
        found += members
        joined |= {*inside, (whole.input, whole.nodes.index(start), "")}
        joined.add((whole.nodes.index(end), whole.output, ""))
    if sorted(found) != list(range(len(whole))) or joined != set(whole.edges):
        raise ValueError(
            f"the architecture must have the parts {list(names)} side by side; got {architecture!r}"
        )
    return parts


def _prefixed(name: str, label: str) -> str:
    # A state and an edge without an operation stay what they are.
    return f"{name}{SEPARATOR}{label}" if label else ""


def _stripped(name: str, label: str) -> str:
    prefix = f"{name}{SEPARATOR}"
    if label and not label.startswith(prefix):
        raise ValueError(f"{label!r} is no label of the part {name!r}")
    return label.removeprefix(prefix)


def _aliases(parts: Mapping[str, SearchSpace]) -> dict[str, str]:
    """Return what labels are called without their parts; nothing if no operation is in two."""
    found = [
        {part.aliases.get(label, label) for label in part.operations} for part in parts.values()
    ]
    if len(set().union(*found)) == sum(map(len, found)):
        return {}
    return {
        # The ends of a part must not become those of the whole.
        _prefixed(name, label): _ENDS.get(label, part.aliases.get(label, label))
        for name, part in parts.items()
        for label in (INPUT, OUTPUT, *part.ports, *part.operations)
    }


def _chained(rows: Iterable[Row]) -> Row:
    return tuple(itertools.chain.from_iterable(rows))


def _reached(graph: Architecture, start: int) -> list[int]:
    """Return what a node leads to, itself included and the output left out, in order."""
    reached = {start}
    for u, v, _ in graph.edges:  # sorted, so that a node is reached before it leads on
        if u in reached and v != graph.output:
            reached.add(v)
    return sorted(reached)
