"""Local search and evolution on a line, where each step can be followed by eye."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.optimizers import LocalSearch, Optimizer, RegularizedEvolution
from graphbo.spaces import Decision, Design, Row, SearchSpace
from graphbo.trial import Trial

N = 30


class Line(SearchSpace):
    """Chains of 0 to 29 layers; neighbours differ by one layer."""

    name = "line"
    operations = ("a",)
    decisions = (Decision("length", tuple(str(i) for i in range(N)), ordered=True),)

    def decode(self, row: Row) -> Architecture:
        (n,) = row
        return Architecture([INPUT, *["a"] * n, OUTPUT], [(i, i + 1) for i in range(n + 1)])

    def encode(self, architecture: Architecture) -> Row:
        return (len(architecture) - 2,)

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        near = [self.design((i,)) for i in (place(design) - 1, place(design) + 1) if 0 <= i < N]
        return [design for design in near if design not in exclude]

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        near = self.neighbors(design, exclude) or self.neighbors(design)
        return near[int(rng.integers(len(near)))]


def place(design: Design) -> int:
    return design.row[0]


def values(optimum: int, other: int) -> list[float]:
    """A valley at each of two places, the first deeper."""
    return [min(abs(i - optimum), abs(i - other) + 0.5) for i in range(N)]


def step(optimizer: Optimizer, table: Sequence[float]) -> Design:
    (design,) = optimizer.ask()
    optimizer.tell(Trial(design, value=table[place(design)]))
    return design


def test_local_search_moves_to_the_first_better_neighbor_and_restarts_when_stuck() -> None:
    table = values(4, 22)
    for seed in range(5):
        optimizer = LocalSearch(Line(), seed=seed)
        current, seen, restarts = -1, set[int](), 0
        for k in range(N):
            design = step(optimizer, table)
            near = {current - 1, current + 1} & set(range(N)) - seen if k else set()
            if near:
                assert design.origin == "neighbor"
                assert place(design) in near
                if table[place(design)] < table[current]:
                    current = place(design)
            else:
                assert design.origin == "start"
                restarts += 1
                current = place(design)
            seen.add(place(design))
        assert seen == set(range(N))
        assert restarts >= 2


def test_local_search_reaches_the_bottom_of_a_valley_without_detours() -> None:
    table = [float(abs(i - 12)) for i in range(N)]
    for seed in range(5):
        optimizer = LocalSearch(Line(), seed=seed)
        start = place(step(optimizer, table))
        steps = 0
        while optimizer.best is not None and optimizer.best.value != 0:
            assert step(optimizer, table).origin == "neighbor"
            steps += 1
        assert steps <= abs(start - 12) + 1


def test_a_failed_neighbor_is_passed_over() -> None:
    table = [float(abs(i - 12)) for i in range(N)]
    optimizer = LocalSearch(Line(), seed=0)
    start = place(step(optimizer, table))
    (first,) = optimizer.ask()
    optimizer.tell(Trial(first, error="failed"))
    (second,) = optimizer.ask()
    assert {place(first), place(second)} == {start - 1, start + 1}


def test_parallel_local_search_starts_one_climb_at_a_time() -> None:
    optimizer = LocalSearch(Line(), seed=0)
    asked = [design for _ in range(4) for design in optimizer.ask()]
    assert [design.origin for design in asked] == ["start", "random", "random", "random"]
    optimizer.tell(Trial(asked[0], error="failed"))
    assert optimizer.ask()[0].origin == "start", "a start that failed is followed by another"


def test_a_batch_of_local_search_holds_all_neighbors_and_then_random_designs() -> None:
    optimizer = LocalSearch(Line(), seed=0)
    (start,) = optimizer.ask()
    optimizer.tell(Trial(start, value=1.0))
    batch = optimizer.ask(5)
    assert [design.origin for design in batch] == ["neighbor"] * 2 + ["random"] * 3
    assert {place(d) for d in batch[:2]} == {place(start) - 1, place(start) + 1}


def told(places: Sequence[int], **settings: int) -> RegularizedEvolution:
    """Evolution that was told the quality of some places: the further left, the better."""
    optimizer = RegularizedEvolution(Line(), **settings)
    optimizer.tell([Trial(Line().design((i,)), value=float(i)) for i in places])
    return optimizer


def test_evolution_mutates_the_best_of_its_population() -> None:
    for seed in range(5):
        (child,) = told([25, 10, 20], population=3, sample=3, seed=seed).ask()
        assert child.origin == "mutation"
        assert place(child) in (9, 11)


def test_evolution_keeps_only_the_last_as_population() -> None:
    for seed in range(5):
        (child,) = told([5, 25, 15, 20], population=3, sample=3, seed=seed).ask()
        assert place(child) in (14, 16), "the best of all has died of age"


def test_the_smaller_the_tournament_the_weaker_the_pressure() -> None:
    def parents(sample: int) -> set[int]:
        children = [
            place(told([5, 15, 25], population=3, sample=sample, seed=seed).ask()[0])
            for seed in range(30)
        ]
        return {min((5, 15, 25), key=lambda p: abs(p - child)) for child in children}

    assert parents(3) == {5}
    assert parents(2) == {5, 15}
    assert parents(1) == {5, 15, 25}


def test_evolution_starts_with_a_random_population_and_counts_what_is_pending() -> None:
    optimizer = RegularizedEvolution(Line(), population=4, sample=2)
    first = optimizer.ask(3)
    assert {design.origin for design in [*first, *optimizer.ask(1)]} == {"random"}
    optimizer.tell([Trial(first[0], value=1.0), Trial(first[1], error="failed")])
    assert optimizer.ask()[0].origin == "random", "a failure is no member"
    assert optimizer.ask()[0].origin == "mutation"
