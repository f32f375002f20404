"""The conformance suite of search spaces."""

from __future__ import annotations

import pickle

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces.base import INACTIVE, Design, SearchSpace


def check_space(space: SearchSpace, *, samples: int = 30, seed: int = 0) -> None:
    """Check that a search space keeps the promises that optimisers rely on.

    Run it in the tests of a space of your own.

    Args:
        space: The space.
        samples: How many architectures to draw.
        seed: The seed of the draws.

    Raises:
        AssertionError: If a promise is broken; the message says which, and for which design.
    """
    _check_decisions(space)
    designs = _draw(space, samples, seed)
    assert designs == _draw(space, samples, seed), "the same seed must draw the same designs"
    for i, design in enumerate(designs):
        rng = np.random.default_rng([seed, i])
        _check_design(space, design)
        _check_encoding(space, design, rng)
        _check_moves(space, design, designs[i - 1], rng)
    _check_strangers(space)
    if space.enumerable:
        _check_enumeration(space, designs)
    if space.configurable:
        _check_configurations(space, designs, seed)
    else:
        _check_refusal(space, designs[0])
    copy = pickle.loads(pickle.dumps(space))
    for design in designs:
        assert copy.decode(design.row) == design.architecture, "a space must survive pickling"


def _draw(space: SearchSpace, samples: int, seed: int) -> list[Design]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(samples)]


def _check_decisions(space: SearchSpace) -> None:
    known: dict[str, tuple[str, ...]] = {}
    for decision in space.decisions:
        assert decision.name not in known, f"two decisions are called {decision.name!r}"
        assert decision.choices, f"{decision.name} has no choices"
        assert len(set(decision.choices)) == len(decision.choices), (
            f"{decision.name} has a choice twice"
        )
        for parent, values in decision.conditions.items():
            assert parent in known, f"{parent!r} must come before {decision.name!r}"
            assert set(values) <= set(known[parent]), (
                f"{decision.name} depends on values that {parent!r} never takes"
            )
        known[decision.name] = decision.choices


def _check_design(space: SearchSpace, design: Design) -> None:
    """Check one point: its row, its architecture, and that they belong together."""
    architecture, row = design.architecture, design.row
    if space.hyperparameters is not None:
        beside = space.hyperparameters
        values = beside.values(beside.vector(design.hyperparameters))
        assert values == design.hyperparameters, f"{design} must come back from its vector"
    assert space.is_valid(row), f"{row} must be valid"
    assert space.decode(row) == architecture, f"{row} must decode to {architecture!r}"
    again = space.decode(row)
    assert (again.nodes, again.edges) == (architecture.nodes, architecture.edges), (
        f"{row} must always decode to the same drawing"
    )
    assert all(isinstance(index, int) for index in row), f"{row} must hold plain integers"
    assert not space.is_valid((*row, 0)), "a row that is too long must not be valid"
    assert architecture.pruned() == architecture, f"{architecture!r} must be pruned"
    labels = {*architecture.nodes, *(label for _, _, label in architecture.edges)}
    unknown = labels - {INPUT, OUTPUT, "", *space.operations, *space.ports}
    assert not unknown, f"{architecture!r} has labels outside the operations: {unknown}"
    if space.decisions:
        assert len(row) == len(space.decisions), f"{row} must have one entry for each decision"
        for decision, index in zip(space.decisions, row, strict=True):
            assert INACTIVE <= index < len(decision.choices), f"{decision.name} is {index}"


def _check_encoding(space: SearchSpace, design: Design, rng: np.random.Generator) -> None:
    """Check that one canonical row stands for all drawings of an architecture."""
    architecture = design.architecture
    canonical = space.encode(architecture)
    assert space.decode(canonical) == architecture, f"{architecture!r} must round-trip"
    assert space.canonical_row(design.row) == canonical, f"{design.row} has two canonical rows"
    assert space.canonical_row(canonical) == canonical, f"{canonical} must be its own"
    assert architecture in space, f"{architecture!r} must be in the space"
    order = rng.permutation(len(architecture)).tolist()
    drawn_anew = Architecture(
        [architecture.nodes[order.index(i)] for i in range(len(order))],
        [(order[u], order[v], label) for u, v, label in architecture.edges],
    )
    assert space.encode(drawn_anew) == canonical, (
        f"{architecture!r} must have the same row however its nodes are numbered"
    )
    found = space.design_of(architecture)
    assert found.architecture == architecture, f"{architecture!r} must give its design"
    if space.hyperparameters is None:
        assert found == design, f"{architecture!r} must give its design"
    else:
        assert found == space.design(canonical), "a row must have the default hyperparameters"


def _check_moves(
    space: SearchSpace, design: Design, other: Design, rng: np.random.Generator
) -> None:
    """Check neighbours, mutation and crossover."""
    neighbors = space.neighbors(design)
    assert len(set(neighbors)) == len(neighbors), f"neighbours of {design.row} are repeated"
    assert design not in neighbors, f"{design.row} must not be its own neighbour"
    for neighbor in neighbors[:5]:
        _check_design(space, neighbor)
    exclude = set(neighbors[::2])
    for neighbor in space.neighbors(design, exclude):
        assert neighbor not in exclude, "an excluded neighbour was returned"
    child = space.mutate(design, rng, exclude)
    _check_design(space, child)
    if space.size != 1:
        assert child != design, f"a mutant of {design.row} must be another architecture"
    if len(exclude) < len(neighbors):
        assert child not in exclude, "an excluded mutant was returned"
    state = rng.bit_generator.state
    mixed = space.crossover(design, other, rng)
    _check_design(space, mixed)
    rng.bit_generator.state = state
    assert space.crossover(design, other, rng) == mixed, "the same seed must give the same child"


def _check_strangers(space: SearchSpace) -> None:
    stranger = Architecture([INPUT, "no such operation", OUTPUT], [(0, 1), (1, 2)])
    assert stranger not in space, "an unknown operation must not be in the space"
    assert 3 not in space, "a number must not be in the space"
    try:
        space.encode(stranger)
    except ValueError:
        return
    raise AssertionError("encoding an unknown operation must raise a ValueError")


def _check_enumeration(space: SearchSpace, designs: list[Design]) -> None:
    everything = space.enumerate()
    assert len(everything) == space.size, "size must be the number of enumerated designs"
    known = {design: design.row for design in everything}
    assert len(known) == len(everything), "a design was enumerated twice"
    for design in designs:
        assert design in known, f"{design.row} was not enumerated"
        row = space.encode(design.architecture)
        assert known[design] == row, "enumerated rows must be canonical"
    for design in everything[:: max(1, len(everything) // 100)]:
        _check_design(space, design)


def _check_configurations(space: SearchSpace, designs: list[Design], seed: int) -> None:
    configuration_space = space.configuration_space
    names = {decision.name for decision in space.decisions}
    if space.hyperparameters is not None:
        names |= set(space.hyperparameters.configuration_space)
    assert set(configuration_space) == names, "one hyperparameter for each decision"
    for design in designs:
        configuration = space.to_configuration(design)
        found = space.from_configuration(configuration)
        assert (found, found.row) == (design, design.row), (
            f"{design} must come back from its configuration"
        )
    configuration_space.seed(seed)
    for configuration in configuration_space.sample_configuration(len(designs) + 1):
        try:
            design = space.from_configuration(configuration)
        except ValueError:
            continue  # a configuration that encodes no architecture is allowed
        _check_design(space, design)
        assert space.to_configuration(design) == configuration, (
            f"{dict(configuration)} must come back from its design"
        )


def _check_refusal(space: SearchSpace, design: Design) -> None:
    for attempt in (
        lambda: space.configuration_space,
        lambda: space.to_configuration(design),
        lambda: space.from_configuration({}),
    ):
        try:
            attempt()
        except ValueError:
            continue
        raise AssertionError("a space without ConfigSpace must raise a ValueError that says so")
