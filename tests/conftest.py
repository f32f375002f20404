"""Fixtures that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A busy machine is no failure, and a failure must come again.
settings.register_profile("graphbo", deadline=None, derandomize=True)
settings.load_profile("graphbo")
torch.set_num_threads(1)  # several threads in each of several workers slow each other down

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real benchmark tables; the test is skipped where there is none."""
    folder = Path(os.environ.get("GRAPHBO_DATA", _BESIDE))
    if not (folder / "nasbench201.npz").exists():
        pytest.skip("the benchmark tables are not here; set GRAPHBO_DATA to their folder")
    return folder
