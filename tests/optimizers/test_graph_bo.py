"""Bayesian optimisation and its ablation."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.kernels import WLKernel
from graphbo.optimizers import GraphBO, Optimizer, RandomRanking, RandomSearch
from graphbo.spaces import CellSpace, ChainSpace, Design, NASBench101Space, SearchSpace
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b"], on="edges")


def planted(architecture: Architecture) -> float:
    """An error with one optimum among the 261 cells, which it takes several operations to reach."""
    flat = architecture.operations_on_nodes()
    pairs = [(flat.nodes[u], flat.nodes[v]) for u, v, _ in flat.edges]
    gain = 2.0 * pairs.count(("a", "b")) - 1.0 * pairs.count(("b", "a"))
    return 20 - gain - 0.3 * len(flat) + 0.5 * sum(node == "b" for node in flat.nodes)


OPTIMUM = min(planted(design.architecture) for design in SPACE.enumerate())


def run(optimizer: Optimizer, trials: int) -> list[float]:
    values = []
    for _ in range(trials):
        (design,) = optimizer.ask()
        values.append(planted(design.architecture))
        optimizer.tell(Trial(design, value=values[-1]))
        if values[-1] == OPTIMUM:
            break
    return values


def evaluations_to_optimum(make: type[Optimizer], seed: int, limit: int) -> int:
    return len(run(make(SPACE, seed=seed), limit))


def test_the_planted_function_has_few_optima() -> None:
    values = [planted(design.architecture) for design in SPACE.enumerate()]
    assert values.count(OPTIMUM) <= 2


@pytest.mark.slow
def test_graph_bo_finds_the_optimum_sooner_than_random_search_and_random_ranking() -> None:
    seeds, limit = range(4), 40
    ours = [evaluations_to_optimum(GraphBO, seed, limit) for seed in seeds]
    assert max(ours) < limit
    for other in (RandomSearch, RandomRanking):
        theirs = [evaluations_to_optimum(other, seed, len(SPACE.enumerate())) for seed in seeds]
        assert np.mean(ours) < 0.5 * np.mean(theirs)


def tell_all(optimizer: Optimizer, designs: Sequence[Design]) -> None:
    optimizer.tell([Trial(design, value=planted(design.architecture)) for design in designs])


def sample(n: int, space: SearchSpace = SPACE, seed: int = 0) -> list[Design]:
    return RandomSearch(space, seed=seed).ask(n)


def hyperparameters(optimizer: GraphBO) -> list[torch.Tensor]:
    return [p.detach().clone() for m in optimizer.surrogate.models for p in m.parameters()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(x.equal(y) for x, y in zip(a, b, strict=True))


def test_random_designs_come_first_and_failures_do_not_count() -> None:
    optimizer = GraphBO(SPACE, initial=3)
    first = optimizer.ask(2)
    assert {design.origin for design in first} == {"initial"}
    optimizer.tell([Trial(first[0], error="failed"), Trial(first[1], value=1.0)])
    more = optimizer.ask(3)
    assert [design.origin for design in more] == ["initial", "initial", "random"], (
        "one result is not enough for a model"
    )
    tell_all(optimizer, more)
    assert optimizer.ask()[0].origin == "graph-bo"


def test_hyperparameters_depend_on_the_observations_only() -> None:
    """Whether they came one by one or at once, and whatever was asked between them."""
    designs = sample(26)
    patient, hasty = GraphBO(SPACE), GraphBO(SPACE)
    for i, design in enumerate(designs):
        if i >= 18:
            patient.ask()
        tell_all(patient, [design] if design not in patient.pending else [])
        if design in patient.pending:
            patient.tell(Trial(design, value=planted(design.architecture)))
    order = [trial.design for trial in patient.completed]
    tell_all(hasty, order)
    patient.ask()
    hasty.ask()
    assert equal(hyperparameters(patient), hyperparameters(hasty))


def test_hyperparameters_are_fitted_anew_when_the_observations_have_grown_by_a_tenth() -> None:
    designs = sample(24)
    optimizer = GraphBO(SPACE)
    refitted = []
    tell_all(optimizer, designs[:18])
    optimizer.ask()
    before = hyperparameters(optimizer)
    for design in designs[18:]:
        if design.architecture in {trial.design.architecture for trial in optimizer.told}:
            continue
        tell_all(optimizer, [design])
        optimizer.ask()
        after = hyperparameters(optimizer)
        refitted.append((len(optimizer.completed), not equal(before, after)))
        before = after
    assert refitted == [(19, True), (20, True), (21, False), (22, True), (23, False), (24, True)]


def test_a_batch_holds_different_kinds_of_designs() -> None:
    """With pending points taken into account, not simply the best few of one score."""
    optimizer = GraphBO(SPACE, initial=5)
    tell_all(optimizer, sample(15))
    batch = copy.deepcopy(optimizer).ask(4)
    assert len(set(batch)) == 4
    assert batch[0] == optimizer.ask(1)[0]
    assert batch[1] == optimizer.ask(1)[0], "a pending design counts like one of the same batch"


def test_a_batch_is_the_same_whether_all_of_a_pool_is_scored_or_what_is_in_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    optimizer = GraphBO(SPACE)
    tell_all(optimizer, sample(25))
    whole = copy.deepcopy(optimizer).ask(6)
    module = "graphbo.acquisition.expected_improvement"
    for name, few in (("_FEW", 50), ("_BLOCK", 16), ("_EXACT", 8)):
        monkeypatch.setattr(f"{module}.{name}", few)
    assert optimizer.ask(6) == whole


@pytest.mark.parametrize("space", [SPACE, ChainSpace(12)], ids=["small", "large"])
def test_what_is_proposed_does_not_depend_on_whether_it_was_warmed_up(space: SearchSpace) -> None:
    warm, cold = GraphBO(space, seed=1), GraphBO(space, seed=1)
    warm.warm_up()
    for optimizer in (warm, cold):
        optimizer.tell(
            [Trial(d, value=float(len(d.architecture))) for d in sample(8, space, seed=5)]
        )
    assert warm.ask(2) == cold.ask(2)
    assert equal(hyperparameters(warm), hyperparameters(cold))


class Spy:
    """Records the pools that candidates are chosen from."""

    def __init__(self, original: Any) -> None:
        self.original = original
        self.calls: list[dict[str, Any]] = []

    def __call__(self, space: Any, parents: Any, exclude: Any, rng: Any, scorer: Any) -> Any:
        pool = self.original(space, parents, set(exclude), rng, scorer)
        self.calls.append({"parents": parents, "exclude": set(exclude), "pool": pool})
        return pool


@pytest.mark.parametrize("space", [SPACE, ChainSpace(12)], ids=["small", "large"])
def test_random_ranking_chooses_from_the_pool_of_graph_bo(
    space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphbo.optimizers import graph_bo

    spy = Spy(graph_bo.candidates)
    monkeypatch.setattr(graph_bo, "candidates", spy)
    proposals = []
    for make in (GraphBO, RandomRanking):
        optimizer = make(space, seed=1)
        optimizer.tell(
            [Trial(d, value=float(len(d.architecture))) for d in sample(25, space, seed=5)]
        )
        (design,) = optimizer.ask()
        assert design in spy.calls[-1]["pool"]
        proposals.append(design)
    ours, theirs = spy.calls
    assert ours["parents"] == theirs["parents"]
    assert len(ours["parents"]) == 20
    assert ours["exclude"] == theirs["exclude"]
    if space.enumerable:
        assert ours["pool"] == theirs["pool"]


def test_random_ranking_does_not_look_at_the_values() -> None:
    def proposals(sign: float) -> list[Design]:
        optimizer = RandomRanking(SPACE, seed=2)
        optimizer.tell([Trial(d, value=sign * planted(d.architecture)) for d in sample(12)])
        return optimizer.ask(5)

    assert proposals(1.0) == proposals(-1.0)


def test_graph_bo_looks_at_the_values() -> None:
    def proposal(sign: float) -> Design:
        optimizer = GraphBO(SPACE, seed=2)
        optimizer.tell([Trial(d, value=sign * planted(d.architecture)) for d in sample(12)])
        return optimizer.ask()[0]

    better, worse = proposal(1.0), proposal(-1.0)
    assert planted(better.architecture) < planted(worse.architecture)


def test_a_kernel_of_the_users_own_takes_one_argument() -> None:
    optimizer = GraphBO(SPACE, initial=5, kernels=[WLKernel(SPACE.decode, depth=1)])
    values = run(optimizer, 12)
    assert min(values[5:]) < min(values[:5])
    assert optimizer.settings["kernels"] == ["WLKernel"]


def fewer_b(architectures: Sequence[Architecture]) -> torch.Tensor:
    """A prediction in advance, in which many designs tie."""
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor([x.count("b") - x.count("a") - 1.0 for x in labels])


def test_with_a_prior_the_first_design_is_the_one_that_it_ranks_first() -> None:
    optimizer = GraphBO(SPACE, prior=fewer_b)
    assert optimizer.settings["initial"] == 1
    (first,) = optimizer.ask()
    assert first.origin == "prior"
    scores = fewer_b([design.architecture for design in SPACE.enumerate()])
    assert fewer_b([first.architecture]) == scores.min()
    optimizer.tell(Trial(first, value=planted(first.architecture)))
    assert optimizer.ask()[0].origin == "graph-bo", "one observation is enough"


def test_with_a_prior_what_comes_before_the_first_result_follows_it_too() -> None:
    optimizer = GraphBO(SPACE, prior=fewer_b)
    first = optimizer.ask(4)
    scores = fewer_b([design.architecture for design in first])
    everything = fewer_b([design.architecture for design in SPACE.enumerate()])
    assert scores.equal(everything.sort().values[:4])
    assert len(set(first)) == 4
    more = optimizer.ask(2)
    optimizer.tell([Trial(design, error="failed") for design in first])
    more += optimizer.ask(2)
    assert {design.origin for design in more} == {"prior"}
    assert not set(more) & set(first)
    assert len(set(more)) == 4


def test_a_prior_ranks_the_pool_of_a_space_that_cannot_be_enumerated() -> None:
    def short(architectures: Sequence[Architecture]) -> torch.Tensor:
        return torch.tensor([len(a) / 4 - 3.0 for a in architectures])

    space = ChainSpace(12)
    optimizer = GraphBO(space, prior=short, seed=3)
    first = optimizer.ask(3)
    drawn = short([design.architecture for design in sample(100, space)])
    assert short([design.architecture for design in first]).max() <= drawn.min()
    assert GraphBO(space, prior=short, seed=3).ask(3) == first


def test_a_good_prior_finds_the_optimum_sooner() -> None:
    def good(architectures: Sequence[Architecture]) -> torch.Tensor:
        noise = [int(a.key[:2], 16) / 128 - 1 for a in architectures]
        values = [planted(a) for a in architectures]
        return torch.tensor(values) / 2 - 9 + torch.tensor(noise)

    informed = run(GraphBO(SPACE, kernels=[WLKernel(SPACE.decode)], prior=good), 40)
    alone = run(GraphBO(SPACE, kernels=[WLKernel(SPACE.decode)]), 40)
    assert informed[-1] == OPTIMUM
    assert len(informed) < len(alone)


def test_more_than_one_design_may_follow_the_prior() -> None:
    optimizer = GraphBO(SPACE, prior=fewer_b, initial=3)
    for _ in range(3):
        (design,) = optimizer.ask()
        assert design.origin == "prior"
        tell_all(optimizer, [design])
    assert optimizer.ask()[0].origin == "graph-bo"


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, architectures: Sequence[Architecture]) -> torch.Tensor:
        return fewer_b(architectures)


def test_settings_tell_priors_and_embeddings_apart() -> None:
    from graphbo.surrogates import BayesianLinear, embedding

    settings = [
        GraphBO(SPACE, **given).settings
        for given in (
            {},
            {"prior": fewer_b},
            {"prior": Named("first")},
            {"prior": Named("second")},
            {"kernels": [embedding(SPACE, Named("first")), BayesianLinear(SPACE, fewer_b)]},
        )
    ]
    assert "prior" not in settings[0], "studies of before there were priors go on"
    assert [each.get("prior") for each in settings[1:4]] == ["fewer_b", "first", "second"]
    assert settings[4]["kernels"] == ["embedding(first)", "BayesianLinear(fewer_b)"]
    texts = [json.dumps(each, sort_keys=True) for each in settings]
    assert len(set(texts)) == len(texts)


def test_all_values_equal_and_values_of_any_size_are_fine() -> None:
    for value in (lambda i: 3.0, lambda i: 1e300 * i, lambda i: 1e-300 * (i % 2)):
        optimizer = GraphBO(SPACE, initial=4)
        optimizer.tell([Trial(d, value=value(i)) for i, d in enumerate(sample(8))])
        assert len(optimizer.ask(2)) == 2


def test_more_is_proposed_than_a_pool_of_a_large_space_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from graphbo.optimizers import graph_bo

    monkeypatch.setattr(graph_bo, "candidates", lambda *args: sample(3, seed=9))
    space = NASBench101Space()
    optimizer = RandomRanking(space)
    optimizer.tell([Trial(d, value=1.0) for d in sample(12, space)])
    assert len(set(optimizer.ask(6))) == 6


def asked(trials: int, told: Sequence[Design] = ()) -> list[Design]:
    """Search with one kernel, after a log in which each design was told at once."""
    optimizer = GraphBO(SPACE, seed=1, initial=4, kernels=[WLKernel(SPACE.decode)])
    for design in told:
        optimizer.replay([[design], Trial(design, value=planted(design.architecture))])
    for _ in range(trials):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value=planted(design.architecture)))
    return [trial.design for trial in optimizer.told]


def test_up_to_the_bound_on_exact_posteriors_designs_are_those_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for bound in (5, 10**9):
        monkeypatch.setattr("graphbo.surrogates.graph_gp._LARGEST_EXACT", bound)
        found.append(asked(6))  # the last ask has 5 observations
    assert found[0] == found[1]


def test_beyond_the_bound_a_search_goes_on_from_its_log_as_if_nothing_had_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphbo.surrogates.graph_gp._LARGEST_EXACT", 5)
    monkeypatch.setattr("graphbo.surrogates.graph_gp._INDUCING", 4)
    whole = asked(9)
    assert asked(3, told=whole[:6]) == whole
    assert len(set(whole)) == 9
