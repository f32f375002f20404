from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from graphbo.errors import InputError
from graphbo.training import population
from graphbo.training.graph import UntraceableError
from graphbo.training.native import available
from graphbo.training.population import Member, PopulationTrainer, useful_size
from graphbo.training.program import Program
from graphbo.training.recipe import Recipe
from graphbo.training.trainer import State, Training, train

ROWS = [(3, 2, 1, 3, 2, 4), (3, 3, 3, 3, 3, 3), (1, 4, 2, 0, 3, 1), (2, 0, 3, 1, 4, 0)]
EMPTY = (0, 0, 0, 0, 0, 0)
MakeNetwork = Callable[..., nn.Module]


def patches(n: int, seed: int, noise: float = 1.5) -> tuple[Tensor, Tensor]:
    """Noisy images, 2 x 5 x 7, of horizontal and vertical stripes and neither: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=generator)
    rows, columns = torch.arange(5) % 2 * 2.0 - 1, torch.arange(7) % 2 * 2.0 - 1
    patterns = torch.stack([rows[:, None].expand(5, 7), columns.expand(5, 7), torch.zeros(5, 7)])
    return patterns[y][:, None] + noise * torch.randn(n, 2, 5, 7, generator=generator), y


# Three steps an epoch, the last one of five images; 21 steps in all.
RECIPE = Recipe(
    epochs=7, batch_size=16, flip=True, crop=1, cutout=2, label_smoothing=0.1, learning_rate=0.05
)
TRAIN, VALIDATION, TEST = patches(37, 0), patches(21, 1), patches(13, 2)
DATA = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


_BACKEND = {"backend": "torch"}


@pytest.fixture(params=["torch", "native"], scope="module", autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every promise is kept by both ways of running a population."""
    if request.param == "native" and not available():
        pytest.skip("there is no C compiler here")
    _BACKEND["backend"] = request.param
    yield request.param
    _BACKEND["backend"] = "torch"


def together(
    members: Sequence[Member],
    recipe: Recipe = RECIPE,
    epochs: int | None = None,
    on_epoch: population.OnMemberEpoch | None = None,
    **options: Any,
) -> list[Training | Exception]:
    arguments: dict[str, Any] = {"device": "cpu", "precision": "float64", **DATA} | options
    if arguments["device"] == "cpu" and arguments["precision"] != "bfloat16":
        arguments = _BACKEND | arguments
    trainer = PopulationTrainer(recipe, **arguments)
    found = list(trainer.train(members, epochs, on_epoch))
    assert sorted(i for i, _ in found) == list(range(len(members)))
    return [dict(found)[i] for i in range(len(members))]


def alone(member: Member, recipe: Recipe = RECIPE, **options: Any) -> Training:
    defaults: dict[str, Any] = {"device": "cpu", "precision": "float64", **DATA}
    network = deepcopy(member.network)
    return train(network, recipe, seed=member.seed, state=member.state, **(defaults | options))


def assert_equal(found: Training | Exception, expected: Training, atol: float = 1e-8) -> None:
    """Compare all that a training says: losses, errors, weights, statistics and momentum."""
    assert isinstance(found, Training), found
    assert found.train_loss == pytest.approx(expected.train_loss, rel=0, abs=atol)
    assert found.validation_error == expected.validation_error
    assert found.test_error == expected.test_error
    assert found.stopped == expected.stopped
    ours, theirs = found.state, expected.state
    assert ours.keys() == theirs.keys()
    assert ours["epoch"] == theirs["epoch"]
    assert ours["network"].keys() == theirs["network"].keys()
    assert ours["momentum"].keys() == theirs["momentum"].keys()
    parameters = {name for name, _ in _parameters(theirs)}
    for name, tensor in theirs["network"].items():
        # A norm before an empty cell has statistics but no influence; it learns nothing alone.
        if name in parameters or f"{name.rpartition('.')[0]}.weight" in theirs["momentum"]:
            torch.testing.assert_close(ours["network"][name], tensor, rtol=0, atol=atol)
    for name, tensor in theirs["momentum"].items():
        torch.testing.assert_close(ours["momentum"][name], tensor, rtol=0, atol=atol)
    assert torch.equal(ours["order"], theirs["order"])
    assert torch.equal(ours["augmentation"], theirs["augmentation"])


def _parameters(state: State) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state["network"].items():
        if name.endswith((".weight", ".bias")):
            yield name, tensor


# As if each were alone ----------------------------------------------------------------------


@settings(max_examples=8)
@given(st.data())
def test_members_of_all_spaces_equal_those_trained_alone(
    networks: st.SearchStrategy[nn.Module], data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(networks, min_size=2, max_size=4))
    members = [Member(network, seed) for seed, network in enumerate(drawn, start=7)]
    for member, found in zip(members, together(members), strict=True):
        assert_equal(found, alone(member), atol=1e-6)  # rounding grows, more on some processors


@pytest.mark.parametrize("channels", [1, 3, 4, 8])
def test_members_of_different_cells_equal_those_trained_alone(
    edge_network: MakeNetwork, channels: int
) -> None:
    rows = [*ROWS, EMPTY]
    members = [Member(edge_network(row, channels, seed), seed) for seed, row in enumerate(rows)]
    for member, found in zip(members, together(members), strict=True):
        assert_equal(found, alone(member))


def test_a_member_does_not_depend_on_who_its_neighbours_are(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row, 4, seed), seed) for seed, row in enumerate(ROWS)]
    all_of_them = together(members)
    for chosen in ([0], [2, 0], [3, 1, 2], [1, 1]):
        for k, found in zip(chosen, together([members[k] for k in chosen]), strict=True):
            expected = all_of_them[k]
            assert isinstance(expected, Training)
            assert_equal(found, expected, atol=1e-10)


def test_members_of_different_recipes_equal_those_trained_alone(edge_network: MakeNetwork) -> None:
    recipes = [
        RECIPE,
        replace(RECIPE, learning_rate=0.2, momentum=0.0, weight_decay=0.0),
        replace(RECIPE, learning_rate=0.02, flip=False, crop=0, cutout=0),
        replace(RECIPE, momentum=0.5, weight_decay=0.1, crop=2),
    ]
    members = [
        Member(edge_network(row, 4, seed), seed, recipe=recipe)
        for seed, (row, recipe) in enumerate(zip(ROWS, recipes, strict=True))
    ]
    short = together(members, epochs=1)
    states = [found.state if isinstance(found, Training) else None for found in short]
    going_on = [replace(member, state=state) for member, state in zip(members, states, strict=True)]
    for member, recipe, found in zip(members, recipes, together(going_on, epochs=3), strict=True):
        assert_equal(found, alone(member, recipe, epochs=3))


def test_members_that_cannot_train_together_are_refused(edge_network: MakeNetwork) -> None:
    for other in ({"batch_size": 8}, {"label_smoothing": 0.0}, {"epochs": 8}):
        member = Member(edge_network(EMPTY, 1, 0), 0, recipe=replace(RECIPE, **other))
        with pytest.raises(InputError, match="members train together whose epochs, batch size"):
            together([member])


def test_any_size_gives_the_same(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row, 4, seed), seed) for seed, row in enumerate(ROWS)]
    for found, expected in zip(together(members, size=3), together(members, size=1), strict=True):
        assert isinstance(expected, Training)
        assert_equal(found, expected, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "images"),
    [
        ({"momentum": 0.0, "weight_decay": 0.0}, 37),
        ({"flip": False, "crop": 0, "cutout": 0, "label_smoothing": 0.0}, 32),
        ({"batch_size": 64}, 37),  # more than there are
        ({"batch_size": 12}, 37),  # leaves a single image, which is skipped
        ({"batch_size": 1}, 5),
    ],
)
def test_any_recipe_gives_what_it_gives_alone(
    edge_network: MakeNetwork, changes: dict[str, Any], images: int
) -> None:
    recipe = replace(RECIPE, epochs=3, **changes)
    data = {"train": patches(images, 0)}
    members = [Member(edge_network(row, 3, seed), seed) for seed, row in enumerate(ROWS)]
    for member, found in zip(members, together(members, recipe, **data), strict=True):
        assert_equal(found, alone(member, recipe, **data))


def test_a_dataset_serves_as_well_as_tensors(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row), seed) for seed, row in enumerate(ROWS[:2])]
    found = together(members, epochs=2, train=TensorDataset(*TRAIN), test=None)
    for one, expected in zip(found, together(members, epochs=2, test=None), strict=True):
        assert isinstance(expected, Training)
        assert expected.test_error == ()
        assert_equal(one, expected, atol=0)


def test_classes_serve_however_they_lie_in_memory(edge_network: MakeNetwork) -> None:
    def spread(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, classes = data
        return images, torch.stack([classes, classes + 1], dim=1)[:, 0]

    members = [Member(edge_network(row, 3, i), i) for i, row in enumerate(ROWS[:2])]
    expected = together(members, epochs=2)
    strided = {name: spread(part) for name, part in DATA.items()}
    narrow = {name: TensorDataset(x, y.to(torch.uint8)) for name, (x, y) in DATA.items()}
    for data in (strided, narrow):
        for one, other in zip(together(members, epochs=2, **data), expected, strict=True):
            assert isinstance(one, Training)
            assert isinstance(other, Training)
            assert_equal(one, other, atol=1e-12)


def test_the_same_arguments_give_the_same_to_the_last_bit(edge_network: MakeNetwork) -> None:
    def run() -> list[Training | Exception]:
        members = [Member(edge_network(row, 8, seed), seed) for seed, row in enumerate(ROWS)]
        return together(members, epochs=2, precision="float32")

    for found, expected in zip(run(), run(), strict=True):
        assert isinstance(expected, Training)
        assert_equal(found, expected, atol=0)


def test_nothing_else_is_changed(edge_network: MakeNetwork) -> None:
    network = edge_network(ROWS[0])
    before, random = deepcopy(network.state_dict()), torch.get_rng_state()
    threads = torch.get_num_threads()
    together([Member(network, 0)], epochs=1, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_seconds_are_shared_evenly(edge_network: MakeNetwork) -> None:
    found = together([Member(edge_network(row), 0) for row in ROWS], epochs=1)
    seconds = [training.seconds for training in found if isinstance(training, Training)]
    assert 0 < max(seconds) < 2 * min(seconds)


# Divergence ---------------------------------------------------------------------------------


def spoil(network: nn.Module, value: float) -> nn.Module:
    for parameter in network.parameters():
        parameter.data.fill_(value)
    return network


@pytest.mark.parametrize(
    ("channels", "value"),
    [(1, 1e300), (3, float("nan")), (4, float("inf")), (8, float("nan")), (16, 1e300)],
)
def test_members_that_diverge_fail_by_themselves(
    edge_network: MakeNetwork, channels: int, value: float
) -> None:
    rows = [ROWS[0], ROWS[0], ROWS[1], ROWS[1], ROWS[2], ROWS[0]]
    members = [Member(edge_network(row, channels, seed), seed) for seed, row in enumerate(rows)]
    calm = together(members, epochs=2)
    for k in (1, 3):
        spoil(members[k].network, value)
    for k, found in enumerate(together(members, epochs=2)):
        if k in (1, 3):
            assert isinstance(found, FloatingPointError)
            assert "not finite in epoch 1 of 7; a learning rate below 0.05 may help" in str(found)
        else:
            expected = calm[k]
            assert isinstance(expected, Training)
            assert_equal(found, expected)


@pytest.mark.parametrize("channels", [1, 3, 4, 8, 16])
def test_members_that_diverge_fail_by_themselves_in_single_precision(
    edge_network: MakeNetwork, channels: int
) -> None:
    # Eight members and one that fails: they go on in the same program, bit by bit the same.
    members = [Member(edge_network(ROWS[k % 2], channels, k), k) for k in range(8)]
    calm = together(members, epochs=2, precision="float32")
    spoil(members[3].network, float("nan"))
    for k, found in enumerate(together(members, epochs=2, precision="float32")):
        expected = calm[k]
        assert isinstance(expected, Training)
        if k == 3:
            assert isinstance(found, FloatingPointError)
        else:
            assert_equal(found, expected, atol=0)


def test_a_member_that_diverges_in_training_fails_as_it_does_alone() -> None:
    # Without a norm, and with a learning rate far too high for all but small weights.
    def unstable(scale: float) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            body = [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()]
            network = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        for parameter in network.parameters():
            parameter.data *= scale
        return network.double()

    recipe = replace(RECIPE, epochs=12, learning_rate=2.0, momentum=0.0)
    members = [Member(unstable(scale), 3) for scale in (1e-3, 1e40, 1e-4, 1e-5, 1e-6)]
    found = together(members, recipe)
    with pytest.raises(FloatingPointError) as error:
        alone(members[1], recipe)
    assert isinstance(found[1], FloatingPointError)
    assert str(found[1]) == str(error.value)
    for k in (0, 2, 3, 4):
        assert_equal(found[k], alone(members[k], recipe))


def test_answers_that_are_not_finite_fail_a_member(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row), seed) for seed, row in enumerate(ROWS)]
    bad = VALIDATION[0].clone()
    bad[3] = float("inf")
    for found in together(members, epochs=1, validation=(bad, VALIDATION[1])):
        assert isinstance(found, FloatingPointError)
        assert str(found) == "the trained network answers with values not finite"


# Going on and stopping ----------------------------------------------------------------------


def test_trainings_go_on_alone_and_together(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row, 3, seed), seed) for seed, row in enumerate([*ROWS, EMPTY])]

    def after(trainings: Sequence[Training | Exception]) -> list[Member]:
        states = [training.state for training in trainings if isinstance(training, Training)]
        return [replace(m, state=state) for m, state in zip(members, states, strict=True)]

    first = after(together(members, epochs=2))
    then = after([alone(member, epochs=5) for member in first])
    whole = [alone(member) for member in members]
    for found, expected in zip(together(then), whole, strict=True):
        assert_equal(found, expected)
        assert isinstance(found, Training)
        assert found.seconds > 0


def test_trainings_at_their_end_are_returned_as_they_are(edge_network: MakeNetwork) -> None:
    member = Member(edge_network(ROWS[0]), 1)
    (found,) = together([member], epochs=2)
    assert isinstance(found, Training)
    (again,) = together([replace(member, state=found.state)], epochs=2)
    assert_equal(again, found, atol=0)


def test_members_leave_early_and_the_others_go_on(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(ROWS[k % 4], 4, k), k) for k in range(8)]
    last = {0: 1, 1: 2, 2: 2, 3: 2, 4: 4, 5: 7, 6: 7, 7: 6}
    seen: list[tuple[int, int]] = []

    def on_epoch(k: int, epoch: int, curve: Sequence[float], state: Callable[[], State]) -> bool:
        assert len(curve) == epoch
        assert state()["epoch"] == epoch
        assert state()["validation_error"] == list(curve)
        seen.append((k, epoch))
        return epoch == last[k]

    found = together(members, on_epoch=on_epoch)
    assert sorted(seen) == [(k, epoch) for k in range(8) for epoch in range(1, last[k] + 1)]
    for k, (training, member) in enumerate(zip(found, members, strict=True)):
        expected = alone(member, epochs=last[k])
        assert_equal(training, replace(expected, stopped=last[k] < 7))


def test_states_given_out_do_not_change(edge_network: MakeNetwork) -> None:
    states: list[State] = []

    def on_epoch(k: int, epoch: int, curve: Sequence[float], state: Callable[[], State]) -> None:
        states.append(state())
        kept.append(deepcopy(states[-1]))

    kept: list[State] = []
    together([Member(edge_network(ROWS[0]), 1)], epochs=3, on_epoch=on_epoch)
    for state, copy in zip(states, kept, strict=True):
        for part in ("network", "momentum"):
            assert all(torch.equal(state[part][name], copy[part][name]) for name in copy[part])
        assert state["train_loss"] == copy["train_loss"]


# Memory -------------------------------------------------------------------------------------


def limited(limit: int, error: Exception, step: int) -> type[Program]:
    """Return a program that has memory for so many networks, and fails in its n-th forward pass."""

    class Limited(Program):
        def __init__(self, networks: Sequence[nn.Module], *arguments: Any) -> None:
            super().__init__(networks, *arguments)
            self.n, self.calls = len(networks), 0
            self.fail(step == 0)

        def forward(self, images: Tensor, **options: Any) -> Tensor:
            self.calls += 1
            self.fail(self.calls == step)
            return super().forward(images, **options)

        def fail(self, now: bool) -> None:
            if now and self.n > limit:
                raise error

    return Limited


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), 0),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
            1,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), 4),
        (MemoryError(), 0),
    ],
)
def test_a_population_that_does_not_fit_is_halved(
    edge_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch, error: Exception, step: int
) -> None:
    members = [Member(edge_network(ROWS[k % 4], 3, k), k) for k in range(5)]
    expected = together(members, epochs=1)
    monkeypatch.setattr(population, "Program", limited(2, error, step))
    options = {"device": "cpu", "precision": "float64", "backend": "torch"}
    trainer = PopulationTrainer(RECIPE, **DATA, size=5, **options)
    found = list(trainer.train(members, 1))
    assert trainer.size == 2
    assert [i for i, _ in found] == list(range(5))
    for (_, training), one in zip(found, expected, strict=True):
        assert isinstance(one, Training)
        assert_equal(training, one, atol=1e-10)


def test_a_network_that_does_not_fit_alone_fails_alone(
    edge_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [Member(edge_network(ROWS[k % 4], 9 if k == 2 else 3, k), k) for k in range(4)]

    class Limited(Program):
        def forward(self, images: Tensor, **options: Any) -> Tensor:
            if any(group.shape[0] == 9 for group in self.groups):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images, **options)

    monkeypatch.setattr(population, "Program", Limited)
    found = together(members, epochs=1, backend="torch")
    assert isinstance(found[2], torch.OutOfMemoryError)
    assert all(isinstance(found[k], Training) for k in (0, 1, 3))


def test_a_cpu_takes_fewer_networks_of_larger_images(edge_network: MakeNetwork) -> None:
    # The widest result has 4 channels of 16 x 16 pixels: 4 KiB an image, and 4 MiB are of use.
    network, cpu = edge_network(ROWS[0], 4), torch.device("cpu")
    assert useful_size(network, (2, 16, 16), 64, cpu) == 16
    assert useful_size(network, (2, 32, 32), 64, cpu) == 4
    assert useful_size(network, (2, 512, 512), 64, cpu) == 1
    assert useful_size(network, (2, 512, 512), 64, torch.device("cuda")) > 1000


def test_another_error_is_not_taken_for_a_lack_of_memory(
    edge_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "Program", limited(0, RuntimeError("a bug"), 1))
    with pytest.raises(RuntimeError, match="a bug"):
        together([Member(edge_network(ROWS[0]), 0)], epochs=1, backend="torch")


# Precision and arguments --------------------------------------------------------------------


@pytest.mark.slow
def test_bfloat16_trains_as_well_as_float32(edge_network: MakeNetwork) -> None:
    rows = [ROWS[k % 4] for k in range(12)]
    members = [Member(edge_network(row, 8, seed).float(), seed) for seed, row in enumerate(rows)]
    data = {"train": patches(160, 0, 4.0), "validation": patches(200, 1, 4.0)}
    recipe = Recipe(epochs=6, batch_size=16)

    def errors(precision: str) -> Tensor:
        found = together(members, recipe, precision=precision, **data)
        assert all(isinstance(training, Training) for training in found)
        last = [t.validation_error[-1] for t in found if isinstance(t, Training)]
        return torch.tensor(last).sort().values

    exact, rough = errors("float32"), errors("bfloat16")
    assert not torch.equal(exact, rough)
    assert 5 < exact.mean() < 40  # of 67 by guessing
    assert (rough.mean() - exact.mean()).abs() < 3
    assert (rough - exact).abs().max() < 10


def test_weights_stay_in_float32_under_bfloat16(edge_network: MakeNetwork) -> None:
    (found,) = together([Member(edge_network(ROWS[0]), 0)], epochs=1, precision="bfloat16")
    assert isinstance(found, Training)
    assert found.state["network"]["stem.0.weight"].dtype is torch.float32
    assert found.state["momentum"]["stem.0.weight"].dtype is torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "the size of a population must be at least 1; got 0"),
        ({"epochs": 8}, "a whole number from 1 to 7; got 8"),
        ({"epochs": 0}, "a whole number from 1 to 7; got 0"),
        ({"precision": "float8"}, "the precision is one of"),
        ({"backend": "jax"}, "there is no backend 'jax'; choose from"),
        ({"train": (TRAIN[0], TRAIN[1][:3])}, "37 images but 3 classes"),
    ],
)
def test_bad_arguments_are_refused(
    edge_network: MakeNetwork, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        together([Member(edge_network(ROWS[0]), 0)], **options)


def test_members_start_from_the_same_epoch(edge_network: MakeNetwork) -> None:
    members = [Member(edge_network(row), seed) for seed, row in enumerate(ROWS[:2])]
    state = alone(members[0], epochs=2).state
    with pytest.raises(InputError, match=r"from one epoch on; got \[0, 2\]"):
        together([replace(members[0], state=state), members[1]])
    with pytest.raises(InputError, match="a whole number from 2 to 7; got 1"):
        together([replace(members[0], state=state)], epochs=1)


def test_a_state_of_another_network_is_refused(edge_network: MakeNetwork) -> None:
    state = alone(Member(edge_network(ROWS[0]), 0), epochs=1).state
    for other in (edge_network(ROWS[1]), edge_network(ROWS[0], 3)):
        with pytest.raises(InputError, match="the state is that of another network"):
            together([Member(other, 0, state)])


def test_a_network_with_other_parts_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(70, 3))
    with pytest.raises(UntraceableError, match="a Dropout"):
        together([Member(network, 0)])


def test_no_members_give_no_trainings() -> None:
    assert together([]) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("channels", [1, 4, 8])
def test_a_gpu_gives_what_the_cpu_gives(edge_network: MakeNetwork, channels: int) -> None:
    members = [Member(edge_network(row, channels, seed), seed) for seed, row in enumerate(ROWS)]
    spoil(members[1].network, float("nan"))
    found = together(members, device="cuda")
    assert isinstance(found[1], FloatingPointError)
    for k in (0, 2, 3):
        assert_equal(found[k], alone(members[k]))
