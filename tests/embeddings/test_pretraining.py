"""Pretraining learns, stops early, can be repeated to the bit, and touches nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings import (
    ENCODERS,
    OBJECTIVES,
    Better,
    Encoder,
    GINEncoder,
    GraphBatch,
    Predictor,
    Pretrained,
    Settings,
    Task,
    make_encoder,
    pretrain,
)
from graphbo.embeddings.tasks import Values
from graphbo.spaces import CellSpace

SPACE = CellSpace(4, ["a", "b"], on="edges")
CELLS = [design.architecture for design in SPACE.enumerate()]
np.random.default_rng(0).shuffle(CELLS)
NAN = float("nan")
TRAIN, TEST = slice(120), slice(120, None)


def count(operation: str) -> Values:
    return np.array([sum(label == operation for *_, label in a.edges) for a in CELLS], dtype=float)


A = count("a")


def tiny(name: str = "gin", seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return make_encoder(name, SPACE.operations, dim=4, hidden=16, layers=1)


def brief(
    *objectives: str, n: int = 30, encoder: Encoder | None = None, **settings: float
) -> Pretrained:
    """Return the result of two epochs on some cells."""
    plan = Settings(
        objectives or tuple(OBJECTIVES),
        **{"epochs": 2, "batch_size": 8, **settings},  # type: ignore[arg-type]
    )
    return pretrain(encoder or tiny(), CELLS[:n], [Task("a", A[:n], Better.LOW)], plan)


def assert_same(a: nn.Module, b: nn.Module, same: bool = True) -> None:
    first, second = a.state_dict(), b.state_dict()
    assert list(first) == list(second)
    assert all(map(torch.equal, first.values(), second.values())) == same


# Learning ---------------------------------------------------------------------------------------


def r_squared(module: nn.Module) -> float:
    """Return how well a linear map of embeddings predicts the operations of a kind, elsewhere."""
    with torch.no_grad():
        x, y = (module(CELLS[part]).double() for part in (TRAIN, TEST))
    x, y = (torch.nn.functional.pad(each, (1, 0), value=1.0).numpy() for each in (x, y))
    predicted = y @ np.linalg.lstsq(x, A[TRAIN], rcond=None)[0]
    return float(1 - np.square(predicted - A[TEST]).sum() / np.square(A[TEST] - A.mean()).sum())


def trained(encoder: Encoder, *objectives: str) -> tuple[Pretrained, list[float]]:
    losses: list[float] = []
    pretrained = pretrain(
        encoder,
        CELLS[TRAIN],
        [Task("a", A[TRAIN])],
        Settings(objectives, epochs=20, batch_size=32, learning_rate=1e-2),
        on_epoch=lambda _, loss: losses.append(loss),
    )
    return pretrained, losses


@pytest.mark.parametrize(
    ("name", "objective"),
    [*((name, "supervised") for name in ENCODERS), ("gin", "contrastive"), ("gcn", "contrastive")],
)
def test_embeddings_tell_more_than_those_of_an_untrained_encoder(name: str, objective: str) -> None:
    encoder = tiny(name)
    pretrained, losses = trained(encoder, objective)
    assert losses[0] > min(losses)
    untrained = r_squared(encoder)
    assert untrained < r_squared(pretrained)
    if objective == "supervised":
        assert r_squared(pretrained) > 0.97
        assert kendalltau(pretrained.predict(CELLS[TEST], "a").detach(), A[TEST]).statistic > 0.8


@pytest.mark.parametrize(("objective", "share"), [("reconstruction", 0.25), ("masked", 0.7)])
def test_the_loss_on_what_is_held_out_falls(objective: str, share: float) -> None:
    pretrained, losses = trained(tiny(), objective)
    assert min(losses) < share * losses[0]
    assert pretrained.tasks == ()


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_learns_from_all_objectives_together(name: str) -> None:
    pretrained = brief(encoder=tiny(name))
    assert list(pretrained.card["held_out_losses"]) == list(OBJECTIVES)
    assert all(0 < loss < 20 for loss in pretrained.card["held_out_losses"].values())
    assert pretrained.card["encoder"]["name"] == name
    embeddings = pretrained(CELLS[:30])
    assert embeddings.isfinite().all()
    torch.testing.assert_close(embeddings.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(embeddings.std(0), torch.ones(4), atol=1e-4, rtol=0)
    assert_same(pretrained.encoder, tiny(name), False)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_learns_from_every_objective(name: str, objective: str) -> None:
    pretrained = brief(objective, encoder=tiny(name))
    assert list(pretrained.card["held_out_losses"]) == [objective]
    assert pretrained(CELLS).isfinite().all()
    assert_same(pretrained.encoder, tiny(name), False)


def test_losses_are_added_up() -> None:
    told: list[tuple[int, float]] = []
    settings = Settings(("masked", "contrastive"), epochs=1)
    card = pretrain(tiny(), CELLS, settings=settings, on_epoch=lambda *x: told.append(x)).card
    ((epoch, loss),) = told
    assert epoch == 1
    assert loss == pytest.approx(sum(card["held_out_losses"].values()))


# Omens ------------------------------------------------------------------------------------------


def test_good_architectures_have_low_omens() -> None:
    """One operation is good, says a task of which few is better, and one where many is."""
    n = 120
    tasks = [
        Task("error", -A[:n], Better.LOW),
        Task("b", count("b")[:n]),
        Task("score", A[:n] + 0.5 * count("b")[:n], Better.HIGH),
    ]
    settings = Settings(("supervised",), epochs=20, batch_size=32, learning_rate=1e-2)
    pretrained = pretrain(tiny(), CELLS[:n], tasks, settings)
    with torch.no_grad():
        omens = Predictor(pretrained)(CELLS[:n])
        elsewhere = Predictor(pretrained)(CELLS[n:])
    assert omens.mean() == pytest.approx(0, abs=1e-4)
    assert omens.std() == pytest.approx(1, abs=1e-4)
    assert kendalltau(elsewhere, A[n:]).statistic < -0.7


# Early stopping ---------------------------------------------------------------------------------


class Watched(GINEncoder):
    """Shows the copy that is being trained, and what it only looks at."""

    latest: Watched
    looked_at: ClassVar[list[GraphBatch]] = []

    def states(self, batch: GraphBatch) -> Tensor:
        Watched.latest = self
        assert self.training == torch.is_grad_enabled()  # no dropout where the loss is measured
        if not self.training:
            Watched.looked_at.append(batch)
        return super().states(batch)


def test_training_stops_after_patience_and_keeps_the_best_epoch() -> None:
    """On noise, which cannot be learned but by heart."""
    torch.manual_seed(0)
    encoder = Watched(SPACE.operations, dim=4, hidden=16, layers=1)
    noise = Task("noise", np.random.default_rng(2).normal(size=60))
    losses: list[float] = []
    weights: list[dict[str, Tensor]] = []

    def on_epoch(epoch: int, loss: float) -> None:
        assert epoch == len(losses) + 1
        losses.append(loss)
        state = Watched.latest.state_dict()
        weights.append({name: tensor.clone() for name, tensor in state.items()})

    settings = Settings(("supervised",), epochs=60, batch_size=16, learning_rate=3e-3, patience=6)
    pretrained = pretrain(encoder, CELLS[:60], [noise], settings, on_epoch=on_epoch)
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 6 < 60
    # An epoch that is no better does not count once a better one has come.
    assert sorted(losses[: best + 1], reverse=True) != losses[: best + 1]
    assert pretrained.card["epochs"] == len(losses)
    assert pretrained.card["held_out_losses"] == {"supervised": losses[best]}
    for name, tensor in pretrained.encoder.state_dict().items():
        assert torch.equal(tensor, weights[best][name])
    assert not torch.equal(weights[best]["readout.weight"], weights[-1]["readout.weight"])


def test_the_seed_chooses_what_is_held_out() -> None:
    torch.manual_seed(0)
    encoder = Watched(SPACE.operations, dim=4, hidden=16, layers=1)
    held = []
    for seed in (0, 0, 1):
        Watched.looked_at.clear()
        brief("supervised", encoder=encoder, n=100, epochs=2, seed=seed)
        first, second, *_ = Watched.looked_at
        assert len(first) == len(second) == 10
        assert torch.equal(first.labels, second.labels)
        held.append(first.labels.tolist())
    assert held[0] == held[1] != held[2]


def test_without_a_rest_the_last_epoch_is_the_last() -> None:
    assert brief("reconstruction", epochs=3, patience=9).card["epochs"] == 3


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_both_parts_of_a_split_hold_two_or_more(share: float) -> None:
    pretrained = brief("supervised", "contrastive", n=10, held_out=share)
    assert all(pretrained.card["held_out_losses"].values())
    assert_same(pretrained.encoder, tiny(), False)


@pytest.mark.parametrize("seed", range(4))
def test_rare_labels_are_held_out_in_proportion(seed: int) -> None:
    """Without one that is held out, there would be no telling when to stop."""
    values = np.full(len(CELLS), NAN)
    values[[3, 50, 77, 120, 200]] = range(5)
    plan = Settings(("supervised",), epochs=1, seed=seed)
    card = pretrain(tiny(), CELLS, [Task("rare", values)], plan).card
    assert card["held_out_losses"]["supervised"] > 0
    assert card["tasks"]["rare"]["held_out_tau"] in (-1, 1)  # of two


def test_many_are_held_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = brief("supervised", held_out=0.5).card["held_out_losses"]
    monkeypatch.setattr("graphbo.embeddings.pretraining._AT_ONCE", 4)
    parts = brief("supervised", held_out=0.5).card["held_out_losses"]
    assert parts == pytest.approx(whole, rel=1e-5)


# A function of its arguments --------------------------------------------------------------------


@pytest.mark.parametrize("name", ENCODERS)
def test_equal_arguments_give_equal_weights(name: str) -> None:
    encoder = tiny(name)
    first = brief(encoder=encoder)
    torch.manual_seed(99)
    second = brief(encoder=encoder)
    assert_same(first, second)
    assert first.card == second.card


def test_other_arguments_give_other_weights() -> None:
    result = brief()
    assert_same(result, brief(seed=1), False)
    assert_same(result, brief(learning_rate=1e-3), False)
    assert_same(result, brief(n=31), False)
    assert_same(result, brief(encoder=tiny(seed=1)), False)


def test_the_given_encoder_stays_as_it_is() -> None:
    encoder = tiny().train()
    pretrained = brief(encoder=encoder)
    assert_same(encoder, tiny())
    assert encoder.training
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert not any(module.training for module in pretrained.modules())


def test_the_random_numbers_of_others_stay_as_they_are() -> None:
    encoder = tiny()
    draws = []
    for train in (False, True):
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        if train:
            brief(encoder=encoder)
        draws.append((torch.rand(1).item(), random.random(), np.random.random()))  # noqa: NPY002
    assert draws[0] == draws[1]


def test_a_failure_gives_the_random_numbers_back() -> None:
    def fail(_: int, __: float) -> None:
        raise KeyboardInterrupt

    encoder = tiny()
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        pretrain(encoder, CELLS, settings=Settings(("masked",)), on_epoch=fail)
    assert torch.equal(torch.get_rng_state(), before)


# Duplicates and missing labels ------------------------------------------------------------------


def renumbered(architecture: Architecture) -> Architecture:
    last = len(architecture) - 1
    edges = [(last - u, last - v, label) for u, v, label in architecture.edges]
    return Architecture(architecture.nodes[::-1], edges)


def with_tasks(architectures: Sequence[Architecture], values: Values) -> Pretrained:
    tasks = [Task("a", values, Better.HIGH), Task("noise", np.cos(values))]
    return pretrain(tiny(), architectures, tasks, Settings(tuple(OBJECTIVES), epochs=2))


def test_isomorphic_duplicates_count_once_as_the_first() -> None:
    cells, values = CELLS[:20], A[:20] + np.arange(20) / 99
    once = with_tasks(cells, values)
    more = [*cells, *map(renumbered, cells[:12]), cells[0]]
    twice = with_tasks(more, np.concatenate([values, -values[:12], [1000]]))
    assert_same(once, twice)
    assert once.card == twice.card
    assert once.card["architectures"] == 20


def test_the_label_of_a_duplicate_serves_where_the_first_has_none() -> None:
    cells, values = CELLS[:20], A[:20] + np.arange(20) / 99
    gaps = np.where(np.arange(20) % 2, values, NAN)
    assert_same(
        with_tasks(cells, values), with_tasks([*cells, *cells], np.concatenate([gaps, values]))
    )


def test_missing_labels_are_left_out() -> None:
    gaps = np.where(np.arange(120) % 3, NAN, A[TRAIN])
    settings = Settings(("supervised",), epochs=30, batch_size=32, learning_rate=1e-2)
    tasks = [Task("a", gaps), Task("b", count("b")[TRAIN])]
    pretrained = pretrain(tiny(), CELLS[TRAIN], tasks, settings)
    assert pretrained.card["tasks"]["a"]["known"] == 40
    assert pretrained.card["tasks"]["b"]["known"] == 120
    predicted = pretrained.predict(CELLS[TEST], "a").detach()
    assert kendalltau(predicted, A[TEST]).statistic > 0.7


# The card ---------------------------------------------------------------------------------------


def test_the_card_says_how_it_came_about() -> None:
    n = 60
    tasks = [Task("a", A[:n], Better.LOW), Task("same", np.ones(n))]
    settings = Settings(("supervised", "masked"), epochs=3, seed=7)
    card = pretrain(tiny(), CELLS[:n], tasks, settings).card
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["encoder"] == {"name": "gin", **tiny().settings}
    assert card["settings"]["objectives"] == ["supervised", "masked"]
    assert (card["settings"]["seed"], card["epochs"], card["architectures"]) == (7, 3, n)
    assert list(card["held_out_losses"]) == ["supervised", "masked"]
    assert card["tasks"]["a"]["better"] == "low"
    assert -1 <= card["tasks"]["a"]["held_out_tau"] <= 1
    assert card["tasks"]["same"] == {"known": n, "better": "neither", "held_out_tau": None}


def test_tasks_are_ignored_unless_they_are_an_objective() -> None:
    settings = Settings(("reconstruction",), epochs=1)
    assert_same(
        pretrain(tiny(), CELLS[:20], [Task("a", A[:20])], settings),
        pretrain(tiny(), CELLS[:20], [], settings),
    )


def test_supervision_without_tasks_leaves_the_other_objectives() -> None:
    with_it = Settings(("supervised", "masked"), epochs=1)
    without = Settings(("masked",), epochs=1)
    assert_same(
        pretrain(tiny(), CELLS[:20], [], with_it), pretrain(tiny(), CELLS[:20], [], without)
    )


# Precision and devices --------------------------------------------------------------------------


def test_an_encoder_in_double_precision_is_trained_in_it() -> None:
    pretrained = brief(encoder=tiny().double())
    assert pretrained(CELLS).dtype == torch.float64
    assert pretrained.omens(CELLS).dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_on_the_gpu_is_trained_there(name: str) -> None:
    encoder = tiny(name).cuda()
    before = torch.cuda.get_rng_state()
    pretrained = brief(encoder=encoder)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert pretrained(CELLS).is_cuda
    assert Predictor(pretrained)(CELLS).is_cuda


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_the_cpu_leaves_the_gpu_alone() -> None:
    torch.ones(1).cuda()
    before = torch.cuda.get_rng_state()
    brief()
    assert torch.equal(torch.cuda.get_rng_state(), before)


# Mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objectives": ()}, "the objectives are one or more of"),
        ({"objectives": ("masked", "jigsaw")}, r"'contrastive'\], each once; got .*jigsaw"),
        ({"objectives": ("masked", "masked")}, "each once"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"patience": 0}, "patience must be at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive; got 0"),
        ({"learning_rate": NAN}, "learning_rate must be positive; got nan"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more; got -1"),
        ({"held_out": 0.0}, "held_out must lie between 0 and 1; got 0"),
        ({"held_out": 1.0}, "held_out must lie between 0 and 1; got 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)  # type: ignore[arg-type]


def test_a_few_architectures_are_not_enough() -> None:
    with pytest.raises(ValueError, match="ten distinct architectures or more; got 9"):
        pretrain(tiny(), CELLS[:9] * 3)


def test_supervision_alone_needs_a_task() -> None:
    with pytest.raises(ValueError, match="'supervised' needs at least one task; got none"):
        pretrain(tiny(), CELLS, settings=Settings(("supervised",)))


def test_tasks_must_fit_the_architectures() -> None:
    with pytest.raises(ValueError, match="there are 20 architectures, but 19 values of 'a'"):
        pretrain(tiny(), CELLS[:20], [Task("a", A[:19])])
    with pytest.raises(ValueError, match="distinct names"):
        pretrain(tiny(), CELLS[:20], [Task("a", A[:20]), Task("a", A[:20])])
    single = np.where(np.arange(20) % 10, NAN, A[:20])
    with pytest.raises(ValueError, match="at least two that are known"):
        pretrain(tiny(), CELLS[:10] * 2, [Task("a", single)])


def test_architectures_must_fit_the_encoder() -> None:
    with pytest.raises(ValueError, match=r"the label 'b' is not among the operations \['a'\]"):
        pretrain(GINEncoder(["a"]), CELLS)


def test_a_training_that_explodes_is_no_result() -> None:
    with pytest.raises(ValueError, match=r"never finite; the learning rate, 1e\+30, may be too"):
        brief(learning_rate=1e30)
