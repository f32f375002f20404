"""The right advice follows where it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.advice import Advice, Measurement, SpaceFeatures, Task, advise_from
from graphbo.errors import InputError

Measured = Callable[..., Measurement]
SPACE = SpaceFeatures(size=1000)
TASK = Task(SPACE, budget=100)


def advised(measurements: list[Measurement], task: Task, usable: str) -> str:
    return advise_from(measurements, task, set(usable)).optimizer


def test_what_wins_everywhere_is_advised(measured: Measured) -> None:
    advice = advise_from([measured("one", "abc"), measured("two", "acb")], TASK, set("abc"))
    assert advice.optimizer == "a"
    assert [each.optimizer for each in advice.runners_up] == ["b", "c"]
    assert advice.score > 0.5 > advice.runners_up[1].score


def test_one_wins_early_and_another_late(measured: Measured) -> None:
    orders = ["abc", "abc", "bac"]
    both = [measured(name, orders, points=(10, 25, 150)) for name in ("one", "two")]
    assert advised(both, replace(TASK, budget=12), "abc") == "a"
    assert advised(both, replace(TASK, budget=200), "abc") == "b"


def test_a_budget_between_conditions_goes_with_the_nearer(measured: Measured) -> None:
    both = [measured("small", "ab", points=(10,)), measured("large", "ba", points=(160,))]
    assert advised(both, replace(TASK, budget=30), "ab") == "a"
    assert advised(both, replace(TASK, budget=50), "ab") == "b"


def test_workers_matter(measured: Measured) -> None:
    both = [measured("alone", "ab"), measured("together", "ba", workers=8)]
    assert advised(both, TASK, "ab") == "a"
    assert advised(both, replace(TASK, workers=8), "ab") == "b"


def test_what_cannot_be_used_does_not_count(measured: Measured) -> None:
    """One needs a checkpoint, and is the best where there is one."""
    ready = replace(SPACE, encoder=True)
    both = [measured("with", "dab", space=ready), measured("without", "ab")]
    assert advised(both, replace(TASK, space=ready), "abd") == "d"
    assert advised(both, TASK, "ab") == "a"


def test_one_that_needs_a_choice_of_epochs_competes_where_there_is_one(measured: Measured) -> None:
    both = [
        measured("full", "abz"),
        measured("short", "caz", fidelities=True, points=(40,)),
    ]
    task = Task(SPACE, budget=40, fidelities=True)
    assert advised(both, task, "abcz") == "c"
    assert advised(both, TASK, "abz") == "a"


def test_kinds_of_spaces_matter(measured: Measured) -> None:
    mixed = SpaceFeatures(kind="both", size=None, enumerable=False, conditional=True)
    both = [measured("cells", "ab"), measured("mixed", "ba", space=mixed)]
    assert advised(both, TASK, "ab") == "a"
    assert advised(both, replace(TASK, space=mixed), "ab") == "b"


def test_beating_the_strong_counts_for_more(measured: Measured) -> None:
    """a and c win equally often, c against a."""
    both = [measured("one", "ayz"), measured("two", "cab")]
    assert advised(both, TASK, "abcyz") == "c"


def test_it_ranks_as_shares_do_where_all_were_measured_everywhere(measured: Measured) -> None:
    rng = np.random.default_rng(0)
    measurements = [
        replace(
            measured(f"m{i}", "abcde"),
            regrets={letter: rng.random((1, 7)) for letter in "abcde"},
        )
        for i in range(4)
    ]
    advice = advise_from(measurements, TASK, set("abcde"))
    shares = {
        letter: np.mean([each.share(letter, 0) for each in measurements]) for letter in "abcde"
    }
    ranked = [advice.optimizer, *(each.optimizer for each in advice.runners_up)]
    assert ranked == sorted(shares, key=lambda letter: -shares[letter])


def test_little_evidence_is_taken_for_little(measured: Measured) -> None:
    near, far = measured("near", "ab"), measured("far", "ab", workers=64, points=(2,))
    scores = [advise_from([each], TASK, set("ab")).score for each in (near, far)]
    # One measurement that is alike, won throughout, under a prior of half its weight.
    assert scores[0] > 0.7
    assert 0.5 < scores[1] < 0.55


def test_several_points_of_a_run_count_once(measured: Measured) -> None:
    one = measured("one", ["ab"], points=(100,))
    many = measured("one", ["ab"] * 4, points=(90, 100, 110, 120))
    scores = [advise_from([each], TASK, set("ab")).score for each in (one, many)]
    assert scores[0] == scores[1]


def test_ties_count_half(measured: Measured) -> None:
    tied = replace(measured("one", "ab"), regrets={name: np.zeros((1, 3)) for name in "ab"})
    advice = advise_from([tied], TASK, set("ab"))
    assert advice.score == pytest.approx(0.5)
    assert advice.optimizer == "a"  # by name


@given(st.permutations(range(5)))
def test_the_order_of_the_measurements_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(1)
    measurements = [
        Measurement(
            f"m{i}",
            f"p{i % 2}",
            SPACE,
            False,
            1 + i,
            (10.0, 100.0),
            {name: rng.random((2, 3)) for name in "abcd"[: 2 + i % 3]},
        )
        for i in range(5)
    ]
    shuffled = [measurements[i] for i in order]
    assert advise_from(shuffled, TASK, set("abcd")) == advise_from(measurements, TASK, set("abcd"))


def test_the_evidence_says_what_was_measured(measured: Measured) -> None:
    advice = advise_from(
        [measured("other", "ba", workers=4), measured("alike", "abc")],
        TASK,
        set("ab"),
        left_out={"c": "it needs chains", "d": "it needs chains"},
        problem="mine",
    )
    near, far = advice.evidence
    assert (near.condition, near.weight) == ("alike", 1)
    assert (near.mean_rank, near.compared, near.mean_regret) == (1, 3, 0)
    assert (near.best_other, near.best_other_regret, near.seeds) == ("b", 1, 4)
    assert far.weight == pytest.approx(np.exp(-1))
    text = str(advice)
    assert text.startswith("a, for mine: 100 trials, one at a time\n")
    assert "alike, 100 trials, one at a time: mean rank 1.0 of 3, mean regret 0, b 1" in text
    assert "c, d: it needs chains" in text


def test_nothing_that_was_measured_can_be_used(measured: Measured) -> None:
    with pytest.raises(InputError, match="none of the optimisers"):
        advise_from([measured("one", "ab")], TASK, {"z"})


def test_one_alone_is_advised(measured: Measured) -> None:
    advice: Advice = advise_from([measured("one", "ab")], TASK, {"b"})
    assert (advice.optimizer, advice.score, advice.evidence) == ("b", 0.5, ())
