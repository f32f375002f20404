"""Every space passes the conformance suite, and the suite notices broken promises."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    DARTSCellSpace,
    DARTSSpace,
    Decision,
    ENASMacroSpace,
    FixedSpace,
    HierarchicalSpace,
    HyperparameterSpace,
    JointPoolSpace,
    JointSpace,
    NASBench101Space,
    NASBench201Space,
    PoolSpace,
    ProductSpace,
    RandomlyWiredSpace,
    RegNetSpace,
    Row,
    SearchSpace,
)
from graphbo.testing.optimizers import example_hyperparameters
from graphbo.testing.spaces import check_space


def _small() -> CellSpace:
    return CellSpace(3, ["a", "b"], on="nodes")


def _pool() -> PoolSpace:
    return PoolSpace([design.architecture for design in NASBench101Space(4).enumerate()])


def _joint_pool() -> JointPoolSpace:
    whole = JointSpace(NASBench101Space(4), example_hyperparameters())
    rng = np.random.default_rng(0)
    return JointPoolSpace([whole.sample(rng) for _ in range(40)], whole)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CellSpace(4, ["a", "b"], on="edges"),
        lambda: CellSpace(4, ["a", "b"], on="nodes"),
        lambda: CellSpace(5, ["a"], on="nodes", max_edges=5),
        lambda: CellSpace(4, ["a", "b"], on="edges", max_edges=3),
        lambda: CellSpace(2, ["a"], on="nodes"),
        lambda: CellSpace(9, ["a", "b", "c"], on="nodes"),
        NASBench201Space,
        lambda: NASBench101Space(5),
        NASBench101Space,
        lambda: ChainSpace(3),
        lambda: ChainSpace(12),
        lambda: ChainSpace(1, ["conv"], [], [8]),
        _pool,
        lambda: PoolSpace(_pool().architectures[:1]),
        lambda: PoolSpace([d.architecture for d in NASBench201Space().enumerate()[::80]]),
        lambda: JointSpace(NASBench101Space(5), example_hyperparameters()),
        lambda: JointSpace(_pool(), example_hyperparameters()),
        lambda: HyperparameterSpace(example_hyperparameters()),
        _joint_pool,
        lambda: DARTSCellSpace(["a", "b"], 2),
        lambda: DARTSSpace(nodes=2),
        lambda: ENASMacroSpace(1),
        lambda: ENASMacroSpace(3, ["a", "b"]),
        lambda: ENASMacroSpace(6),
        lambda: HierarchicalSpace(["a"], motifs=2, motif_nodes=3, nodes=3),
        lambda: HierarchicalSpace(motifs=3, motif_nodes=3, nodes=4),
        lambda: RandomlyWiredSpace([4, 5], [0.0, 0.5], [1, 2], [2], [0.0, 0.5], seeds=3),
        lambda: RandomlyWiredSpace([1, 2], [0.5], [], [], seeds=1),
        lambda: RegNetSpace([3, 4], [8], [0.0, 8.0, 9.0], [1.5, 2.5], [4, 64], stages=[2, 3]),
        lambda: ProductSpace({"normal": CellSpace(3, ["a"], on="edges"), "reduce": _small()}),
        lambda: ProductSpace({"stem": ChainSpace(3), "cell": _small()}),
        lambda: ProductSpace({"fixed": FixedSpace(), "cells": ProductSpace({"cell": _small()})}),
    ],
    ids=[
        "edges", "nodes", "nodes-limited", "edges-limited", "single", "large", "nasbench201",
        "nasbench101-5", "nasbench101-7", "chain", "deep-chain", "single-chain", "pool",
        "single-pool", "pool-on-edges", "joint", "joint-pool", "hyperparameters", "pool-of-joint",
        "darts-cell", "darts", "single-enas", "small-enas", "enas", "small-hierarchical",
        "hierarchical", "randomly-wired", "tiny-wired", "regnet", "product", "large-product",
        "nested-product",
    ],
)  # fmt: skip
def test_spaces_conform(make: Callable[[], SearchSpace]) -> None:
    check_space(make(), samples=20)


class OneLayer(SearchSpace):
    """One layer out of two: the least that a user's own space needs."""

    name = "one layer"
    operations = ("a", "b")
    decisions = (Decision("layer", ("a", "b")),)

    def decode(self, row: Row) -> Architecture:
        if len(row) != 1 or row[0] not in (0, 1):
            raise ValueError(f"{row} is no row")
        return Architecture([INPUT, self.operations[row[0]], OUTPUT], [(0, 1), (1, 2)])

    def encode(self, architecture: Architecture) -> Row:
        for index in (0, 1):
            if self.decode((index,)) == architecture:
                return (index,)
        raise ValueError(f"{architecture!r} is not in the space")


class ForgetsLabels(OneLayer):
    operations = ("a", "c")
    decisions = (Decision("layer", ("a", "b")),)

    def decode(self, row: Row) -> Architecture:
        if len(row) != 1:
            raise ValueError(f"{row} is no row")
        return Architecture([INPUT, "ab"[row[0]], OUTPUT], [(0, 1), (1, 2)])


class EncodesAnything(OneLayer):
    def encode(self, architecture: Architecture) -> Row:
        return (0,)


class RepeatsADecision(OneLayer):
    decisions = (Decision("layer", ("a", "b")), Decision("layer", ("a", "b")))


class MissesOne(OneLayer):
    @property
    def size(self) -> int:
        return 3


def test_a_minimal_space_of_the_users_own_conforms() -> None:
    check_space(OneLayer())


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (ForgetsLabels(), "outside the operations"),
        (EncodesAnything(), "round-trip"),
        (RepeatsADecision(), "two decisions"),
        (MissesOne(), "size"),
    ],
)
def test_the_suite_notices_a_broken_promise(space: SearchSpace, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_space(space)


@pytest.mark.parametrize(
    "name",
    [
        "cell",
        "chain",
        "declarative",
        "pool",
        "nasbench201",
        "product",
        "darts",
        "enas",
        "hierarchical",
        "randomly_wired",
        "regnet",
    ],
)
def test_the_examples_in_the_documentation_are_right(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"graphbo.spaces.{name}")).failed == 0
