"""The relaxation of DARTS by hand, its steps, and what it refuses."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import OPERATIONS, NASBench201Network
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.spaces import CellSpace, NASBench201Space
from graphbo.training.darts import Relaxation, Relaxed, _Descent, relax
from graphbo.training.recipe import Recipe

BUILD = partial(NASBench201Network, channels=3, cells=1, classes=3, in_channels=1)
RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.025)


def stripes(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.3 * torch.randn(n, 1, 6, 6, generator=generator), y


def relaxation(space: CellSpace, build: object = BUILD) -> Relaxation:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Relaxation(space, build)  # type: ignore[arg-type]


# The mixture -------------------------------------------------------------------------------------


def test_an_edge_adds_its_operations_weighted_by_a_softmax() -> None:
    """Shares 1/6 of nothing, 2/6 of a skip and 3/6 of a pooling of a single pixel."""
    relaxed = relaxation(CellSpace(2, ["skip_connect", "avg_pool_3x3"], on="edges"))
    with torch.no_grad():
        relaxed.alphas.copy_(torch.tensor([[1.0, 2.0, 3.0]]).log())
    torch.testing.assert_close(relaxed.strengths[0], torch.tensor([1.0, 2.0, 3.0]) / 6)
    relaxed(torch.ones(2, 1, 4, 4))  # hands the strengths to the cells
    x = torch.tensor([[[[5.0]]], [[[-1.0]]]])
    torch.testing.assert_close(relaxed.cells[0](x), 5 / 6 * x)
    x = torch.randn(2, 3, 4, 4)
    pooled = nn.AvgPool2d(3, 1, 1, count_include_pad=False)(x)
    torch.testing.assert_close(relaxed.cells[0](x), x / 3 + pooled / 2)


def test_nodes_sum_what_reaches_them() -> None:
    """With half of a skip on each edge, 1/2 (x + 1/2 x) = 3/4 x arrives."""
    relaxed = relaxation(CellSpace(3, ["skip_connect"], on="edges"))
    relaxed(torch.ones(2, 1, 4, 4))
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(relaxed.cells[0](x), 0.75 * x)


def test_a_certain_choice_is_the_network_of_its_cell() -> None:
    """All strength on the choices of one cell leaves what that cell computes."""
    space, row = NASBench201Space(), (1, 3, 2, 0, 4, 3)
    relaxed = relaxation(space).double()
    with torch.no_grad():
        relaxed.alphas.fill_(-1e4)
        relaxed.alphas[range(6), list(row)] = 0
    network = BUILD(space.decode(row)).double()
    outside = {k: v for k, v in relaxed.network.state_dict().items() if "operations" not in k}
    network.load_state_dict(outside, strict=False)
    cells = [module for module in network.modules() if isinstance(module, EdgeCell)]
    for cell, mixed in zip(cells, relaxed.cells, strict=True):
        for ends, operation in zip(cell.ends, cell.operations, strict=True):
            edge = space.pairs.index(ends)
            source = mixed.operations[edge][row[edge] - 1]  # type: ignore[index]
            operation.load_state_dict(source.state_dict(), strict=False)
    x = stripes(9)[0].double()
    with torch.no_grad():
        torch.testing.assert_close(relaxed(x), network.train()(x))


def test_batch_norm_has_no_scale_and_all_cells_share_the_architecture() -> None:
    relaxed = relaxation(NASBench201Space())
    names = [name for name, _ in relaxed.named_parameters()]
    assert names.count("alphas") == 1
    shapes = [tuple(p.shape) for name, p in relaxed.named_parameters() if name != "alphas"]
    assert all(len(shape) == 4 for shape in shapes[:-2]), "but for convolutions and the classifier"
    assert len(relaxed.cells) == 3


# The steps ---------------------------------------------------------------------------------------


class Noise(nn.Module):
    """Ignores what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.randn_like(x)


@pytest.mark.parametrize("second_order", [False, True])
def test_a_useless_operation_becomes_weak(
    second_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATIONS, "noise", lambda *_: Noise())
    space = CellSpace(2, ["nor_conv_3x3", "noise"], on="edges")
    found = relax(
        space,
        partial(BUILD, stages=1),
        stripes(64),
        Recipe(epochs=8, batch_size=16, learning_rate=0.05),
        architecture_rate=0.05,
        second_order=second_order,
        device="cpu",
    )
    ((nothing, convolution, noise),) = found.strengths
    assert 2 * noise < nothing < convolution
    assert sum(found.strengths[0]) == pytest.approx(1)
    assert found.seconds > 0


def test_one_step_descends_on_both_halves() -> None:
    """By Adam the first step is the learning rate, down the gradient of the held-out half."""
    relaxed = relaxation(CellSpace(2, ["nor_conv_3x3", "skip_connect"], on="edges"))
    train, held_out = stripes(9, 1), stripes(9, 2)
    before = {name: p.detach().clone() for name, p in relaxed.named_parameters()}
    loss = cross_entropy(relaxed(held_out[0]), held_out[1])
    (slope,) = torch.autograd.grad(loss, [relaxed.alphas])
    descent = _Descent(relaxed, 0.01, False, Recipe(momentum=0, weight_decay=0))
    descent.step(train, held_out, 0.1)
    torch.testing.assert_close(relaxed.alphas - before["alphas"], -0.01 * slope.sign())
    moves = [p - before[name] for name, p in relaxed.named_parameters() if name != "alphas"]
    norm = sum(float(move.detach().square().sum()) for move in moves) ** 0.5
    assert 0 < norm <= 0.1 * 5 + 1e-6, "clipped to a norm of 5"


def test_the_second_order_is_the_slope_of_the_loss_after_a_step() -> None:
    relaxed = relaxation(CellSpace(2, ["nor_conv_3x3", "skip_connect"], on="edges")).double()
    train, held_out = ((x.double(), y) for x, y in (stripes(9, 1), stripes(9, 2)))
    descent = _Descent(relaxed, 0.01, True, Recipe())

    def after_a_step() -> Tensor:
        return descent._loss(held_out, descent._ahead(train, 0.5))

    (slope,) = torch.autograd.grad(after_a_step(), [relaxed.alphas])
    (first_order,) = torch.autograd.grad(descent._loss(held_out), [relaxed.alphas])
    for choice in range(3):
        values = []
        for shift in (1e-6, -1e-6):
            with torch.no_grad():
                relaxed.alphas[0, choice] += shift
            values.append(after_a_step().item())
            with torch.no_grad():
                relaxed.alphas[0, choice] -= shift
        assert float(slope[0, choice]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)
    assert not torch.allclose(slope, first_order, rtol=0.01)


# Determinism and mistakes ------------------------------------------------------------------------


def run(seed: int = 0, **settings: object) -> Relaxed:
    space = CellSpace(3, ["nor_conv_3x3", "skip_connect"], on="edges")
    given = {"architecture_rate": 0.05, "device": "cpu"} | settings
    return relax(space, BUILD, stripes(25), RECIPE, seed=seed, **given)  # type: ignore[arg-type]


def test_all_follows_the_seed_and_leaves_the_random_state() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = run()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert run().strengths == found.strengths
    assert run(seed=1).strengths != found.strengths


def test_a_dataset_and_augmentation_do_as_well() -> None:
    space = CellSpace(2, ["nor_conv_1x1"], on="edges")
    recipe = Recipe(epochs=1, batch_size=8, flip=True, crop=1)
    pair = stripes(12)
    found = [relax(space, BUILD, data, recipe) for data in (pair, TensorDataset(*pair))]
    assert found[0].strengths == found[1].strengths


@pytest.mark.parametrize(
    ("space", "images", "settings", "message"),
    [
        (CellSpace(3, ["conv3x3"], on="nodes"), 8, {}, "needs operations on edges"),
        (CellSpace(2, ["skip_connect"], on="edges"), 3, {}, "at least 4 training images"),
        (
            CellSpace(2, ["skip_connect"], on="edges"),
            8,
            {"architecture_rate": 0.0},
            "rate must be positive; got 0.0",
        ),
    ],
)
def test_mistakes_are_named(
    space: CellSpace, images: int, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        relax(space, BUILD, stripes(images), RECIPE, **settings)  # type: ignore[arg-type]


def test_a_network_without_cells_is_refused() -> None:
    def plain(_: Architecture) -> nn.Module:
        return nn.Flatten()

    with pytest.raises(InputError, match="there is none"):
        relaxation(CellSpace(2, ["skip_connect"], on="edges"), plain)


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    x, y = stripes(12)
    with pytest.raises(FloatingPointError, match="not finite in epoch 1 of 2"):
        relax(CellSpace(2, ["skip_connect"], on="edges"), BUILD, (x * float("nan"), y), RECIPE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("second_order", [False, True])
def test_it_trains_on_a_gpu(second_order: bool) -> None:
    strengths = torch.tensor(run(device="cuda", second_order=second_order).strengths)
    torch.testing.assert_close(strengths.sum(1), torch.ones(3))
    assert len(strengths.unique()) > 1, "it has moved"
