"""What is special about compiled code; that it trains as torch does stands in test_population."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from graphbo.errors import InputError
from graphbo.training import native
from graphbo.training.graph import trace
from graphbo.training.native import NativeNetwork, available, supported
from graphbo.training.population import Member, PopulationTrainer
from graphbo.training.program import Program
from graphbo.training.recipe import Recipe
from graphbo.training.trainer import Training, train

SHAPE = (2, 5, 7)
CPU = torch.device("cpu")
MakeNetwork = Callable[..., nn.Module]
needs_compiler = pytest.mark.skipif(not available(), reason="there is no C compiler here")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    yield tmp_path / "graphbo"
    monkeypatch.undo()
    forget()


def forget() -> None:
    native.available.cache_clear()
    native._library.cache_clear()


def data(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *SHAPE, generator=generator), torch.randint(3, (n,), generator=generator)


def trainer(**options: str) -> PopulationTrainer:
    return PopulationTrainer(Recipe(epochs=2, batch_size=8), data(24), data(16), **options)


# Where it can run ---------------------------------------------------------------------------


def test_grouped_convolutions_other_devices_and_types_are_left_to_torch() -> None:
    plain = trace(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(60, 3)), SHAPE)
    grouped = trace(nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten()), SHAPE)
    assert supported(plain, CPU, torch.float32)
    assert supported(plain, CPU, torch.float64)
    assert not supported(grouped, CPU, torch.float32)
    assert not supported(plain, CPU, torch.bfloat16)
    assert not supported(plain, torch.device("cuda"), torch.float32)


@needs_compiler
def test_a_network_that_it_cannot_train_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten())
    program = Program([network], SHAPE)
    with pytest.raises(InputError, match="cannot train this network"):
        NativeNetwork(program, 0, 8)


@needs_compiler
def test_images_too_small_for_a_network_fail_as_in_torch() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 9), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    assert not supported(trace(network, SHAPE), CPU, torch.float32)
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        list(trainer(backend="native").train([Member(network, 0)]))


@needs_compiler
def test_a_population_with_a_grouped_convolution_trains_all_the_same(
    edge_network: MakeNetwork,
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        grouped = nn.Sequential(
            nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(60, 3)
        )
    networks = [grouped, edge_network((3, 2, 1, 3, 2, 4)).float()]
    members = [Member(network, seed) for seed, network in enumerate(networks)]
    found = dict(trainer(backend="native", precision="float64").train(members))
    for k, member in enumerate(members):
        expected = train(
            member.network.double(), Recipe(epochs=2, batch_size=8), data(24), data(16),
            seed=member.seed, precision="float64",
        )  # fmt: skip
        training = found[k]
        assert isinstance(training, Training)
        assert training.train_loss == pytest.approx(expected.train_loss, rel=1e-8)


@needs_compiler
def test_the_backend_is_chosen_by_what_is_here() -> None:
    assert trainer(device="cpu").backend == "native"
    assert trainer(device="cpu", backend="torch").backend == "torch"
    assert trainer(device="cpu", precision="bfloat16").backend == "torch"
    with pytest.raises(InputError, match="the backend 'native' needs a CPU, float32 or float64"):
        trainer(device="cpu", precision="bfloat16", backend="native")


# What is learnt -----------------------------------------------------------------------------


@needs_compiler
def test_a_step_is_that_of_a_hand_computed_case() -> None:
    """One image of one pixel and a linear layer: logits w x, softmax minus the target, descent."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).double()
    with torch.no_grad():
        network[1].weight.copy_(torch.zeros(2, 1))
    shape = (1, 1, 1)
    program = Program([network], shape, dtype=torch.float64)
    alone = NativeNetwork(program, 0, 4)
    momentum = torch.zeros_like(program.weights)
    x, y = torch.tensor([[[[3.0]]]], dtype=torch.float64), torch.tensor([1])
    recipe = Recipe(momentum=0.0, weight_decay=0.0, label_smoothing=0.2)
    loss = alone.train(momentum, x, y, torch.tensor([0]), [1], [0.1], recipe)
    # Both shares are 1/2, the smoothed target is (0.1, 0.9): gradients 0.4 x and -0.4 x.
    assert loss == pytest.approx(torch.tensor(2.0).log().item())
    expected = torch.tensor([-0.1 * 0.4 * 3, 0.1 * 0.4 * 3], dtype=torch.float64)
    torch.testing.assert_close(program.weights, expected)
    assert alone.wrong(x, y) == (0, True)
    assert alone.wrong(x, 1 - y) == (1, True)
    assert alone.wrong(x * float("inf"), y)[1] is False


@needs_compiler
def test_a_norm_of_a_single_value_is_an_error() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2)
    ).double()
    shape = (1, 1, 1)
    program = Program([network], shape, dtype=torch.float64)
    alone = NativeNetwork(program, 0, 4)
    x, y = torch.ones(1, *shape, dtype=torch.float64), torch.tensor([1])
    with pytest.raises(ValueError, match="cannot learn from one image of one pixel"):
        alone.train(
            torch.zeros_like(program.weights), x, y, torch.tensor([0]), [1], [0.1], Recipe()
        )


@needs_compiler
def test_a_class_without_a_logit_is_an_error_as_in_torch() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(70, 3))
    x, y = data(24)
    y[5] = 3
    recipe = Recipe(epochs=1, batch_size=8)
    for backend in ("torch", "native"):
        there = PopulationTrainer(recipe, (x, y), data(16), device="cpu", backend=backend)
        with pytest.raises(IndexError, match="Target 3 is out of bounds"):
            list(there.train([Member(network, 0)]))


# Compiling ----------------------------------------------------------------------------------


@needs_compiler
def test_code_is_compiled_once_and_kept(elsewhere: Path) -> None:
    assert available()
    (made,) = elsewhere.iterdir()
    before = made.stat().st_mtime_ns
    forget()
    assert available()
    assert [made] == list(elsewhere.iterdir())
    assert made.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        ("/nowhere/cc", "the compiler '/nowhere/cc' cannot be run"),
        ("false", "the compiler 'false' failed"),
    ],
)
def test_without_a_working_compiler_torch_trains(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, message: str
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert not available()
    assert trainer(device="cpu").backend == "torch"
    with pytest.raises(InputError, match="a compiler is missing"):
        trainer(device="cpu", backend="native")
    with pytest.raises(InputError, match=message):
        native._library("float")
    assert list(elsewhere.iterdir()) == []


def test_a_machine_without_compilers_says_so(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(elsewhere))
    assert not available()
    with pytest.raises(InputError, match="none of cc, gcc and clang was found"):
        native._library("float")


def test_it_can_be_switched_off(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHBO_NATIVE", "0")
    assert not available()
    assert trainer(device="cpu").backend == "torch"
    assert not elsewhere.exists()
