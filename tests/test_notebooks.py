"""Every notebook runs from top to bottom, without the tables of any benchmark."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# What a reader waits for and a test need not: the same code on less.
SMALLER = {
    "01_first_search": [("TRIALS, SEEDS = 40, 3", "TRIALS, SEEDS = 12, 1")],
    "03_training_and_tables": [
        ("for s in range(3)", "for s in range(1)"),
        ("epochs=5, batch_size=16", "epochs=2, batch_size=16"),
    ],
    "04_embeddings": [
        ("run(trials=20) for s in range(2)", "run(trials=10) for s in range(1)"),
        ("architectures=2000", "architectures=500"),
        ("Settings(epochs=30)", "Settings(epochs=5)"),
    ],
}


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)
    notebook = nbformat.read(path, as_version=4)
    for shown, smaller in SMALLER.get(path.stem, []):
        (cell,) = (cell for cell in notebook.cells if shown in cell.source)
        cell.source = cell.source.replace(shown, smaller)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    warnings = [o.text for o in outputs if o.get("name") == "stderr"]
    assert not warnings
    shown = [o for o in outputs if o.output_type in ("display_data", "execute_result")]
    pictures = ["image/png" in o.data for o in shown]
    assert pictures, "a notebook shows what it does"
    assert all(pictures), "a figure that is returned must be displayed"
    assert not list(tmp_path.iterdir()), "a notebook leaves no files behind"
