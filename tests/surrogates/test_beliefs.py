"""Beliefs are standardised predictions, and say where they come from."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces import CellSpace, DARTSSpace, JointSpace, NASBench201Space, SearchSpace
from graphbo.surrogates import (
    Belief,
    FromTrials,
    GraphSurrogate,
    OperationBelief,
    Standardised,
    path_profile,
    weisfeiler_lehman,
)
from graphbo.testing.optimizers import example_hyperparameters
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b", "c"], on="edges", name="test")
DESIGNS = SPACE.enumerate()
WL = [weisfeiler_lehman(SPACE)]
CELLS = [design.architecture for design in DESIGNS]


def error(cell: Architecture) -> float:
    return 10.0 - 2 * sum(label == "a" for *_, label in cell.edges) + len(cell.edges) / 3


def trials(n: int = 40, seed: int = 0) -> list[Trial]:
    picked = np.random.default_rng(seed).permutation(len(DESIGNS))[:n]
    return [Trial(DESIGNS[i], error(CELLS[i]), number=number) for number, i in enumerate(picked)]


MAKERS: list[Callable[[], Standardised]] = [
    lambda: Belief(SPACE, error),
    lambda: OperationBelief(SPACE, {"a": 1.0, "b": -0.5}),
    lambda: FromTrials(SPACE, trials(12), WL),
]
TYPES = ["Belief", "OperationBelief", "FromTrials"]


@pytest.mark.parametrize("make", MAKERS, ids=TYPES)
def test_a_belief_is_about_standard_over_the_space(make: Callable[[], Standardised]) -> None:
    belief = make()
    rng = np.random.default_rng(5)
    drawn = belief([SPACE.sample(rng).architecture for _ in range(2000)])
    assert drawn.shape == (2000,)
    assert abs(float(drawn.mean())) < 0.15
    assert abs(float(drawn.std()) - 1) < 0.1
    assert belief([]).shape == (0,)


@pytest.mark.parametrize("make", MAKERS, ids=TYPES)
def test_a_pickle_and_another_making_say_the_same(make: Callable[[], Standardised]) -> None:
    belief = make()
    for other in (pickle.loads(pickle.dumps(belief)), make()):
        assert other.name == belief.name
        torch.testing.assert_close(other(CELLS[:20]), belief(CELLS[:20]), rtol=0, atol=0)


def test_a_function_is_shifted_and_scaled_and_no_more() -> None:
    belief = Belief(SPACE, error)
    raw = torch.tensor([error(cell) for cell in CELLS])
    torch.testing.assert_close(belief(CELLS).float(), (raw - belief.center) / belief.spread)
    assert belief.name == "error"
    assert Belief(SPACE, error, "mine").name == "mine"


def test_operations_count_as_often_as_they_occur() -> None:
    space = CellSpace(3, ["a", "b"], on="nodes")
    belief = OperationBelief(space, {"a": 2.0, "b": -1.0})
    chains = [
        Architecture(["input", *labels, "output"], [(i, i + 1) for i in range(len(labels) + 1)])
        for labels in (["a"], ["b"])
    ]
    assert (-belief.values(chains)).tolist() == [2.0, -1.0]
    aside = Architecture(["input", "a", "b", "output"], [(0, 1), (0, 2), (1, 3)])
    assert (-belief.values([aside.pruned()])).tolist() == [2.0]
    good, bad = belief(chains).tolist()
    assert good < bad


def test_only_ratios_of_benefits_matter_and_others_have_other_names() -> None:
    one = OperationBelief(SPACE, {"a": 1.0, "b": -0.5})
    ten = OperationBelief(SPACE, {"a": 10.0, "b": -5.0})
    torch.testing.assert_close(one(CELLS), ten(CELLS))
    assert one.name == OperationBelief(SPACE, {"b": -0.5, "a": 1.0, "c": 0.0}).name
    assert one.name != OperationBelief(SPACE, {"a": 1.0}).name


def test_an_operation_may_be_meant_in_all_parts_or_in_one() -> None:
    space = DARTSSpace()
    whole = OperationBelief(space, {"sep_conv_3x3": 1.0, "reduce/sep_conv_3x3": 0.5})
    assert whole.benefits["normal/sep_conv_3x3"] == 1.0
    assert whole.benefits["reduce/sep_conv_3x3"] == 1.5
    assert whole.benefits["normal/max_pool_3x3"] == 0.0


def test_benefits_that_mean_nothing_are_refused() -> None:
    space = NASBench201Space()
    with pytest.raises(InputError, match=r"no operation 'conv_3x3'; .* nor_conv_3x3"):
        OperationBelief(space, {"conv_3x3": 1.0})
    with pytest.raises(InputError, match="benefit of a must be a finite number; got nan"):
        OperationBelief(SPACE, {"a": float("nan")})
    with pytest.raises(InputError, match=r"the same value, .* tells nothing"):
        OperationBelief(SPACE, {"a": 0.0})
    with pytest.raises(InputError, match="must give finite numbers; it gave inf"):
        Belief(SPACE, lambda _: float("inf"), "endless")


def test_trials_predict_the_rest_of_the_space() -> None:
    prior = FromTrials(SPACE, trials(40), WL)
    assert kendalltau(prior(CELLS), [error(cell) for cell in CELLS])[0] > 0.7
    surrogate = GraphSurrogate(SPACE, WL).fit(
        [t.design for t in trials(40)], [t.value or 0.0 for t in trials(40)]
    )
    expected = (surrogate.predict(DESIGNS)[0] - prior.center) / prior.spread
    np.testing.assert_allclose(prior(CELLS).numpy(), expected, atol=1e-6)


def test_the_name_tells_what_the_trials_were() -> None:
    name = FromTrials(SPACE, trials(10), WL).name
    assert name.startswith("trials-")
    changed = trials(10)
    changed[3] = Trial(changed[3].design, 99.0)
    assert FromTrials(SPACE, changed, WL).name != name
    assert FromTrials(SPACE, trials(11), WL).name != name
    assert FromTrials(SPACE, trials(10), [path_profile(SPACE)]).name != name
    failed = Trial(DESIGNS[-1], error="failed", number=10)
    assert FromTrials(SPACE, [*trials(10), failed], WL).name == name


def test_only_the_longest_trainings_count() -> None:
    short = [
        Trial(t.design, -error(t.design.architecture), fidelity={"epochs": 1}) for t in trials(9)
    ]
    full = [Trial(t.design, t.value, fidelity={"epochs": 9}) for t in trials(6)]
    assert FromTrials(SPACE, [*short, *full], WL).name == FromTrials(SPACE, full, WL).name


def test_many_trials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphbo.surrogates.beliefs._MOST", 12)
    prior = FromTrials(SPACE, trials(60), WL)
    assert len(prior.surrogate.transform.values) == 12
    best = sorted(t.value or 0.0 for t in trials(60))[:6]
    assert sorted(prior.surrogate.transform.values)[:6] == best


@pytest.mark.parametrize(
    ("space", "given", "message"),
    [
        (SPACE, trials(4), "needs 5 completed trials at least, .*; 4 of 4 are completed"),
        (SPACE, [*trials(4), Trial(DESIGNS[0], error="x")], "4 of 5 are completed"),
        (
            SPACE,
            [
                *(replace(t, fidelity={"epochs": 1.0}) for t in trials(9)),
                *(replace(t, fidelity={"epochs": 9.0}) for t in trials(3)),
            ],
            "as long as the longest; 3 of 12 are with the most epochs, 9",
        ),
        (CellSpace(4, ["a", "b"], on="edges"), trials(9), "is not of the space"),
        (SPACE, [Trial(t.design, 1.0) for t in trials(8)], "the same value, 0, and tells nothing"),
        (JointSpace(SPACE, example_hyperparameters()), trials(9), "has hyperparameters, too"),
    ],
)
def test_trials_that_cannot_serve_are_refused(
    space: SearchSpace, given: list[Trial], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FromTrials(space, given)
