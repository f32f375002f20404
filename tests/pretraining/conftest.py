"""A small table in the format of NAS-Bench-201, and small images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.datasets import ImageData
from graphbo.datasets.shapes import shapes
from graphbo.spaces import NASBench201Space

SPACE = NASBench201Space()


@pytest.fixture(scope="session")
def arrays() -> dict[str, np.ndarray]:
    """Sixty cells, two datasets, two fidelities."""
    rng = np.random.default_rng(0)
    rows = rng.integers(5, size=(60, 6))
    convolutions = ((rows == 2) | (rows == 3)).sum(1)
    noise = rng.normal(size=(4, 60))
    return {
        "ops": rows.astype(np.int8),
        "op_names": np.array(SPACE.decisions[0].choices),
        "source_valid_acc_12": 40 + 5 * convolutions + noise[0],
        "source_valid_acc_200": 50 + 5 * convolutions + noise[1],
        "source_test_acc_200": 50 + 5 * convolutions + noise[1],
        "target_valid_acc_12": 30 + 5 * convolutions + noise[2],
        "target_valid_acc_200": 40 + 5 * convolutions + noise[3],
    }


@pytest.fixture
def table(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """The folder with the table."""
    folder = tmp_path / "tables"
    folder.mkdir()
    np.savez(folder / "nasbench201.npz", **arrays)
    return folder


@pytest.fixture(scope="session")
def images() -> ImageData:
    return shapes(train=80, validation=20, test=20, size=8)
