"""Proxies as tasks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from graphbo.datasets import ImageData
from graphbo.embeddings import Better
from graphbo.errors import InputError
from graphbo.evaluators.proxy import proxy_features
from graphbo.networks import NASBench201Network
from graphbo.pretraining import PROXIES, proxy_tasks
from graphbo.spaces import CellSpace, ChainSpace, NASBench101Space, PoolSpace, SearchSpace
from graphbo.tabulate.equivalence import networks

SPACE = CellSpace(3, ["skip_connect", "nor_conv_1x1", "avg_pool_3x3"], on="edges")
CELLS = [design.architecture for design in SPACE.enumerate()]


def test_tasks_are_proxies_of_small_networks(images: ImageData) -> None:
    names = ["parameters", "naswot"]
    tasks = proxy_tasks(SPACE, CELLS, names, images=images, seed=3)
    assert [(task.name, task.better) for task in tasks] == [(name, Better.HIGH) for name in names]
    build = partial(NASBench201Network, channels=8, cells=1, classes=10, in_channels=1)
    # What is computed is the first cell of each network.
    first = [group[0] for group in networks(CELLS).values()]
    expected = proxy_features([CELLS[i] for i in first], build, images.train, names, seed=3)
    found = np.stack([task.values for task in tasks], axis=1)
    np.testing.assert_allclose(found[first], expected, rtol=1e-6)


def test_cells_that_are_one_network_are_computed_once(images: ImageData) -> None:
    told: list[tuple[int, int]] = []
    (task,) = proxy_tasks(
        SPACE, CELLS, ["naswot"], images=images, on_progress=lambda *n: told.append(n)
    )
    groups = networks(CELLS).values()
    assert told[-1] == (len(groups), len(groups))
    assert len(groups) < len(CELLS)
    for group in groups:
        assert len(set(task.values[group])) == 1


def test_at_most_so_many_networks_are_computed(images: ImageData) -> None:
    told: list[tuple[int, int]] = []
    (task,) = proxy_tasks(
        SPACE,
        CELLS,
        ["parameters"],
        at_most=5,
        images=images,
        on_progress=lambda *n: told.append(n),
    )
    assert told[-1] == (5, 5)
    known = np.isfinite(task.values)
    drawn = [group for group in networks(CELLS).values() if known[group].any()]
    assert len(drawn) == 5
    assert sum(map(len, drawn)) == known.sum()
    (again,) = proxy_tasks(SPACE, CELLS, ["parameters"], at_most=5, images=images)
    assert np.array_equal(again.values, task.values, equal_nan=True)
    (other,) = proxy_tasks(SPACE, CELLS, ["parameters"], at_most=5, images=images, seed=1)
    assert not np.array_equal(other.values, task.values, equal_nan=True)


@pytest.mark.parametrize(
    "space", [SPACE, NASBench101Space(4), ChainSpace(2, ["conv3x3"], ["maxpool2"], [4])]
)
def test_every_space_with_networks_has_proxies(space: SearchSpace, images: ImageData) -> None:
    cells = [design.architecture for design in space.enumerate()][:12]
    tasks = proxy_tasks(space, cells, images=images)
    assert [task.name for task in tasks] == list(PROXIES)
    assert all(np.isfinite(task.values).all() for task in tasks)
    part = PoolSpace(cells, parent=space)
    assert np.array_equal(
        proxy_tasks(part, cells, ["flops"], images=images)[0].values, tasks[1].values
    )


def test_mistakes_are_named(images: ImageData) -> None:
    with pytest.raises(InputError, match="there is no proxy 'size'"):
        proxy_tasks(SPACE, CELLS, ["size"], images=images)
    with pytest.raises(InputError, match="at least 2 networks; got 1"):
        proxy_tasks(SPACE, CELLS, at_most=1, images=images)
    with pytest.raises(InputError, match="there is no network for the architectures of the space"):
        proxy_tasks(PoolSpace(CELLS), CELLS, images=images)
    with pytest.raises(InputError, match="the operation 'a' cannot be trained"):
        proxy_tasks(CellSpace(3, ["a"], on="edges"), CELLS, images=images)
