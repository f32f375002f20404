"""A table small enough to be built in a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from graphbo.problems.curves import CurveTable
from graphbo.tabulate import Protocol, build
from graphbo.training.recipe import Recipe


@pytest.fixture(scope="session", autouse=True)
def small_chunks() -> Iterator[int]:
    """Eight networks in a chunk, so that a small table has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["graphbo.tabulate.build"], "CHUNK", 8)
        yield 8


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """All cells of three nodes, for one pass over plain digits."""
    pytest.importorskip("sklearn")
    return Protocol(
        "tiny",
        dataset={"name": "digits", "copies": 1, "canvas": 8, "noise": 0.0},
        skeleton={"channels": 4, "cells": 1, "stages": 1, "stem_stride": 2},
        recipe=Recipe(epochs=2, batch_size=64, learning_rate=0.1),
        seeds=(0, 5),
        space={
            "type": "cell",
            "nodes": 3,
            "operations": ["skip_connect", "nor_conv_1x1", "nor_conv_3x3"],
            "on": "edges",
        },
    )


@pytest.fixture(scope="session")
def table(protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> CurveTable:
    """The table of the protocol, built without interruption in this process."""
    built = build(protocol, tmp_path_factory.mktemp("whole"))
    assert built is not None
    return built
