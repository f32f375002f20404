from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import ChainNetwork, NASBench201Network
from graphbo.networks.nasbench201 import EdgeCell
from graphbo.spaces import CellSpace, NASBench101Space, NASBench201Space
from graphbo.spaces.base import Row
from graphbo.training.recipe import Recipe
from graphbo.training.supernet import CalibratedBatchNorm, Supernet, train_supernet

SPACE = NASBench201Space()
BUILD = partial(NASBench201Network, channels=3, cells=1, classes=3, in_channels=1)
ROWS = st.tuples(*[st.integers(0, 4)] * 6)


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.3 * torch.randn(n, 1, 6, 6, generator=generator), y


def supernet(seed: int = 0) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Supernet(SPACE, BUILD)


def standalone(shared: Supernet, row: Row) -> nn.Module:
    """Return the network of a cell alone, with the weights that it shares."""
    network = BUILD(SPACE.decode(row))
    state = shared.network.state_dict()
    for name, module in network.named_modules():
        if isinstance(module, EdgeCell):
            cell = shared.network.get_submodule(name)
            chosen = [
                (SPACE.pairs.index(ends), row[SPACE.pairs.index(ends)]) for ends in chosen_ends(row)
            ]
            for operation, (edge, choice) in zip(module.operations, chosen, strict=True):
                source = cell.operations[edge][choice - 1].state_dict()  # type: ignore[index, union-attr]
                operation.load_state_dict(source, strict=False)
    outside = {k: v for k, v in state.items() if k in network.state_dict()}
    network.load_state_dict(outside, strict=False)
    return network


def chosen_ends(row: Row) -> list[tuple[int, int]]:
    """Return the edges of a canonical row, in the order of those of its architecture."""
    position = sorted(
        {node for pair, c in zip(SPACE.pairs, row, strict=True) if c for node in pair}
    )
    cell = SPACE.decode(row)
    return [(position[u], position[v]) for u, v, _ in cell.edges]


@settings(max_examples=15)
@given(ROWS)
def test_a_cell_of_the_supernet_is_the_network_with_its_weights(row: Row) -> None:
    row = SPACE.canonical_row(row)
    shared, (x, _) = supernet(), stripes(12, 0)
    network = standalone(shared, row)
    shared.choose(row)
    with torch.no_grad():
        torch.testing.assert_close(shared.train()(x), network.train()(x))


def test_it_holds_every_operation_on_every_edge_once() -> None:
    def weights(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    empty = weights(BUILD(Architecture(["input", "output"], [])))
    single = [
        weights(BUILD(Architecture(["input", "output"], [(0, 1, operation)]))) - empty
        for operation in SPACE.operations
    ]
    assert weights(supernet()) == empty + 6 * sum(single)


def test_in_evaluation_batch_norm_uses_the_statistics_of_the_first_images() -> None:
    x = torch.randn(20, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    norm = CalibratedBatchNorm(nn.BatchNorm2d(3)).eval()
    norm.images = 8
    mean, variance = x[:8].mean((0, 2, 3)), x[:8].var((0, 2, 3), correction=0)
    expected = (x - mean[:, None, None]) / (variance + 1e-5).sqrt()[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_scores_depend_neither_on_company_nor_on_the_size_of_the_passes() -> None:
    shared, (x, _), validation = supernet(), stripes(24, 0), stripes(90, 1)
    rng = np.random.default_rng(0)
    rows = [SPACE.canonical_row(SPACE.sample(rng).row) for _ in range(12)]
    # Cells that begin alike, in any order, and one twice.
    rows += [(1, 3, 2, a, b, 3) for a in range(3) for b in range(3)] + [rows[0]]
    together = shared.errors(rows, x, validation)
    alone = [shared.errors([row], x, validation)[0] for row in rows]
    assert together == alone
    assert shared.errors(rows, x, validation, batch_size=50) == together
    assert len(set(together)) > 5


def test_training_leaves_what_the_paths_do_not_touch_alone() -> None:
    class OneCell(CellSpace):
        def sample(self, rng: np.random.Generator):  # type: ignore[no-untyped-def]
            return self.design((0, 0, 0, 3, 0, 0))

    space = OneCell(4, SPACE.operations, on="edges")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shared = Supernet(space, BUILD)
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    train_supernet(shared, Recipe(epochs=1, batch_size=8), stripes(25, 0))
    changed = {
        name.partition("operations.")[2]
        for name, value in shared.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert {name for name in changed if name} == {"3.2.1.weight", "3.2.2.weight", "3.2.2.bias"}


@pytest.mark.slow
def test_a_trained_supernet_tells_cells_that_can_learn_from_the_empty_one() -> None:
    train, validation = stripes(96, 0), stripes(90, 1)
    empty, convolutions = (0,) * 6, (0, 3, 0, 3, 0, 3)
    errors = []
    for seed in range(5):  # rounding, other on every processor, decides single trainings
        shared = supernet()
        train_supernet(shared, Recipe(epochs=30, batch_size=16), train, seed)
        errors.append(shared.errors([empty, convolutions], train[0], validation))
    chance, good = map(np.mean, zip(*errors, strict=True))
    assert chance == pytest.approx(100 * 2 / 3)
    assert good < 30


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_it_trains_and_scores_on_a_gpu() -> None:
    shared, train, validation = supernet().cuda(), stripes(96, 0), stripes(90, 1)
    train_supernet(shared, Recipe(epochs=2, batch_size=16), train)
    (error,) = shared.errors([(0, 3, 0, 3, 0, 3)], train[0], validation)
    assert 0 <= error <= 100


def test_training_follows_the_seed() -> None:
    states = []
    for seed in (0, 0, 1):
        shared = supernet()
        train_supernet(shared, Recipe(epochs=1, batch_size=16, flip=True), stripes(48, 0), seed)
        states.append(shared.state_dict()["network.stem.0.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_diverging_training_is_an_error() -> None:
    x, y = stripes(16, 0)
    with pytest.raises(FloatingPointError, match="in epoch 1 of 2"):
        train_supernet(supernet(), Recipe(epochs=2), (x * torch.inf, y))


def test_weights_are_saved_and_read(tmp_path: Path) -> None:
    supernet(0).save(tmp_path / "weights.pt")
    other = supernet(1)
    other.load(tmp_path / "weights.pt")
    for name, value in supernet(0).state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    (tmp_path / "empty.pt").write_bytes(b"nothing")
    torch.save({"stem": torch.ones(2)}, tmp_path / "other.pt")
    for name in ("empty.pt", "other.pt"):
        with pytest.raises(InputError, match=f"{name} does not hold the weights"):
            other.load(tmp_path / name)


def test_weights_are_saved_in_a_new_folder_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "supernet.pt"
    supernet().save(path)
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_cell_with_operations_on_edges_is_refused() -> None:
    with pytest.raises(InputError, match="on nodes"):
        Supernet(NASBench101Space(), BUILD)
    with pytest.raises(InputError, match="there is none"):
        Supernet(SPACE, lambda _: ChainNetwork(Architecture(["input", "output"], [(0, 1)])))
