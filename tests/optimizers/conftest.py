"""A pretrained encoder for any space, in no time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from graphbo.embeddings import GINEncoder, Pretrained, save
from graphbo.spaces import SearchSpace
from graphbo.spaces.description import described

Checkpoints = Callable[[SearchSpace], Path]
PACKAGES = {"smac": "smac", "tpe": "optuna"}


@pytest.fixture(autouse=True)
def _skip_without_extra(request: pytest.FixtureRequest) -> None:
    """Skip a test of an optimiser, its parameter ``name``, whose package is not installed."""
    callspec = getattr(request.node, "callspec", None)
    name = callspec.params.get("name") if callspec is not None else None
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])


@pytest.fixture
def printed() -> Callable[[str], list[str]]:
    """Runs a script under two hashes of strings, and returns what each printed."""

    def run(script: str) -> list[str]:
        return [
            subprocess.run(
                [sys.executable, "-c", script],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        ]

    return run


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """Makes a checkpoint for a space; its encoder is small and its weights are random."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def checkpoint(space: SearchSpace) -> Path:
        record = described(space)
        name = hashlib.blake2b(repr(record).encode(), digest_size=8).hexdigest()
        path = folder / f"{name}.pt"
        if not path.exists():
            with torch.random.fork_rng():
                torch.manual_seed(0)
                operations = space.operations or ("none",)
                encoder = GINEncoder(operations, dim=4, hidden=8, layers=1)
                pretrained = Pretrained(encoder, ["omen"], [1.0], {"space": record})
            save(pretrained.eval(), path)
        return path

    return checkpoint
