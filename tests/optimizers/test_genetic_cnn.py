"""The genetic algorithm, step by step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.optimizers import GeneticCNN, RandomSearch
from graphbo.optimizers.configured import Configurations
from graphbo.optimizers.genetic_cnn import roulette, stages
from graphbo.spaces import CellSpace, ChainSpace, Design, PoolSpace
from graphbo.trial import Trial

BITS = CellSpace(4, ["a"], on="nodes")
SPACE = CellSpace(4, ["a", "b"], on="edges")


def error(design: Design) -> float:
    labels = [label for *_, label in design.architecture.edges]
    return 20.0 - 2 * labels.count("b") - labels.count("a")


def evaluated(optimizer: GeneticCNN, asks: int = 1) -> list[Design]:
    designs = [design for _ in range(asks) for design in optimizer.ask()]
    optimizer.tell([Trial(design, value=error(design)) for design in designs])
    return designs


def test_the_roulette_by_hand() -> None:
    """3, 2, 1 and 0 better than the worst; a failure is never drawn."""
    assert roulette([1.0, 2.0, 3.0, 4.0]) == pytest.approx([3 / 6, 2 / 6, 1 / 6, 0])
    assert roulette([None, 5.0, 7.0]) == [0, 1, 0]
    assert roulette([None, 5.0, 5.0]) == [0, 0.5, 0.5]
    assert roulette([-1e308, 1e308]) == [1, 0]


def test_stages_are_what_belongs_to_a_node_or_a_layer() -> None:
    def named(space: CellSpace | ChainSpace) -> list[list[str]]:
        names = [decision.name for decision in space.decisions]
        return [[names[i] for i in stage] for stage in stages(space.decisions)]

    assert named(SPACE) == [
        ["edge_0_1"],
        ["edge_0_2", "edge_1_2"],
        [f"edge_{i}_3" for i in (0, 1, 2)],
    ]
    assert named(BITS)[0] == ["operation_1", "edge_0_1"]
    assert named(ChainSpace(2)) == [["depth"], ["layer_1", "width_1"], ["layer_2", "width_2"]]


def test_certain_mutation_flips_every_bit() -> None:
    optimizer = GeneticCNN(BITS, mutation_rate=1.0)
    # Two operations without a choice, and the edges 0-1, 0-2, 1-2, 0-3, 1-3 and 2-3.
    parent = BITS.design((0, 0, 1, 0, 0, 0, 1, 1))
    assert optimizer._mutate(parent, np.random.default_rng(0)).row == (0, 0, 0, 1, 1, 1, 0, 0)
    only = BITS.design((0, 0, 1, 1, 0, 1, 0, 0))
    child = optimizer._mutate(only, np.random.default_rng(0))
    assert child == only, "it would cut the input off, so the parent stays"


def test_certain_crossover_exchanges_everything_and_rare_crossover_whole_stages() -> None:
    first, second = SPACE.design((1, 1, 1, 1, 1, 1)), SPACE.design((2, 2, 2, 2, 2, 2))
    certain = GeneticCNN(SPACE, crossover_rate=1.0)
    assert certain._exchange(first, second, np.random.default_rng(0)) == (second, first)
    rows = Counter(
        GeneticCNN(SPACE)._exchange(first, second, np.random.default_rng(i))[0].row
        for i in range(1000)
    )
    allowed = {(a, b, b, c, c, c) for a in (1, 2) for b in (1, 2) for c in (1, 2)}
    # The pairs of nodes come in the order of their ends: 0-1, 0-2, 1-2, 0-3, 1-3, 2-3.
    assert set(rows) == allowed
    assert rows[first.row] / 1000 == pytest.approx(0.8**3, abs=0.05)


def test_what_becomes_active_is_drawn() -> None:
    space = ChainSpace(6)
    short = space.design_of(space.sample(np.random.default_rng(3)).architecture)
    optimizer = GeneticCNN(space, mutation_rate=0.5)
    children = [optimizer._mutate(short, np.random.default_rng(i)) for i in range(60)]
    assert len({child.row[-2] for child in children}) > 3


def test_a_generation_is_evaluated_before_the_next_is_bred() -> None:
    optimizer = GeneticCNN(SPACE, population=6, mutation_rate=0.3)
    first = evaluated(optimizer, asks=5)
    last = optimizer.ask()
    assert {design.origin for design in [*first, *last]} == {"initial"}
    early = optimizer.ask()
    assert early[0].origin == "random", "there are no parents yet"
    optimizer.tell([Trial(design, value=error(design)) for design in last])
    (design,) = optimizer.ask()
    assert design.origin in ("mutation", "crossover")
    optimizer.tell(Trial(early[0], value=0.0))
    optimizer.ask()
    assert early[0] in optimizer._others or early[0] in optimizer._parents


def test_selection_prefers_the_good_and_ignores_failures() -> None:
    optimizer = GeneticCNN(
        SPACE, population=8, mutation_probability=0.0, crossover_probability=0.0, seed=1
    )
    designs = optimizer.ask(8)
    good, bad = designs[0], designs[1:]
    optimizer.tell([Trial(good, value=1.0), *(Trial(design, value=5.0) for design in bad[:4])])
    optimizer.tell([Trial(design, error="failed") for design in bad[4:]])
    optimizer.ask()
    assert optimizer._parents == [good] * 8, "the others are as bad as the worst"


def test_the_search_is_better_than_a_random_one() -> None:
    def best(kind: type[GeneticCNN] | type[RandomSearch], seed: int) -> float:
        optimizer = kind(SPACE, seed=seed)
        for _ in range(60):
            (design,) = optimizer.ask()
            optimizer.tell(Trial(design, value=error(design)))
        assert optimizer.best is not None
        return optimizer.best.value or 0.0

    ours, theirs = (np.mean([best(k, s) for s in range(8)]) for k in (GeneticCNN, RandomSearch))
    assert ours < theirs


def test_an_offspring_outside_of_a_pool_is_its_nearest_member() -> None:
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()[::3]], parent=SPACE)
    configurations = Configurations(pool, "test")
    for design in SPACE.enumerate()[:6]:
        found = configurations.design(design.row, "mutation")
        assert found is not None
        assert found == (design if design.architecture in pool else pool.neighbors(design)[0])
        assert configurations.row(found) == SPACE.encode(found.architecture)
        assert found.origin == "mutation"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 1}, "at least 2 individuals; got 1"),
        ({"mutation_rate": 1.5}, "mutation_rate of genetic-cnn is from 0 to 1; got 1.5"),
        ({"crossover_probability": -0.1}, "is from 0 to 1; got -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GeneticCNN(SPACE, **settings)  # type: ignore[arg-type]


def test_a_pool_of_no_space_is_refused() -> None:
    pool = PoolSpace([design.architecture for design in SPACE.enumerate()[:5]], name="mine")
    with pytest.raises(InputError, match="genetic-cnn reads the configuration"):
        GeneticCNN(pool)
