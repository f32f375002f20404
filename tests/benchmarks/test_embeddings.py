"""The benchmarks of embeddings, on a table of sixty cells."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from graphbo.embeddings import load
from graphbo.spaces import NASBench201Space

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHEAP = ["--tables", "nasbench201-source@12", "--labels", "20", "--proxies", "parameters"]
Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = rng.integers(5, size=(60, 6))
    convolutions = ((rows == 2) | (rows == 3)).sum(1)
    noise = rng.normal(size=(3, 60))
    np.savez(
        tmp_path / "nasbench201.npz",
        ops=rows.astype(np.int8),
        op_names=np.array(NASBench201Space().decisions[0].choices),
        source_valid_acc_12=40 + 5 * convolutions + noise[0],
        target_valid_acc_12=40 + 5 * convolutions + noise[1],
        target_valid_acc_200=50 + 5 * convolutions + noise[2],
    )
    return tmp_path


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def run(folder: Path, module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Run:
    def ran(name: str, *arguments: str) -> Any:
        output = folder / f"{name}.json"
        given = ["--problem", "nasbench201-target", "--data", str(folder), "--quick"]
        where = ["--folder", str(folder / "kept"), "--processes", "1", "--output", str(output)]
        monkeypatch.setattr(sys, "argv", [name, *given, *where, *arguments])
        module(name).main()
        return json.loads(output.read_text())

    return ran


@pytest.mark.slow
def test_searches_and_orders_are_measured(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = "embedding,embedding without pretraining,kernels,plain vector"
    orders = ",".join(
        f"in the order of the {what}" for what in ("encoder", "plain mean", "cheap labels")
    )
    small = ["--seeds", "2", "--trials", "8", "--methods", f"{methods},{orders}"]
    result = run("embedding_search", *CHEAP, *small)
    assert list(result["methods"]) == [*methods.split(","), *orders.split(",")]
    for found in result["methods"].values():
        assert 1 <= found["evaluations_to_optimum"] <= 8
    shown = capsys.readouterr().out
    assert "| `nasbench201-target` from 20 of nasbench201-source@12, proxies, 2 seeds |" in shown
    # A pretrained and an untrained encoder for each seed, which a second run finds.
    before = {path: path.stat().st_mtime_ns for path in (folder / "kept").glob("*.pt")}
    assert len(before) == 4
    assert run("embedding_search", *CHEAP, *small) == result
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "kept").glob("*.pt")}


@pytest.mark.slow
def test_ranks_are_measured_from_no_label_on(run: Run) -> None:
    methods = ["--methods", "embedding,embedding without prior mean,graph kernel"]
    small = ["--repeats", "2", "--sizes", "0,10", "--test-cells", "20"]
    result = run("embedding_regression", *CHEAP, *methods, *small)
    measured = {name: list(found) for name, found in result["methods"].items()}
    assert measured == {
        "embedding": ["0", "10"],
        "embedding without prior mean": ["10"],
        "graph kernel": ["10"],
    }
    assert result["methods"]["embedding"]["0"]["mean"] > 0


@pytest.mark.slow
def test_objectives_are_left_out_one_by_one(run: Run) -> None:
    variants = "supervised,reconstruction,not pretrained,without tables"
    small = ["--seeds", "2", "--trials", "6", "--sizes", "0,10", "--test-cells", "20"]
    result = run("objectives_ablation", *CHEAP, "--variants", variants, *small)
    found = result["variants"]
    assert list(found) == variants.split(",")
    assert set(found["supervised"]) == {"plain 10", "prior 0", "prior 10", "evaluations"}
    assert set(found["reconstruction"]) == {"plain 10", "evaluations"}


@pytest.mark.slow
def test_the_labels_of_the_target_are_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("nasbench201-target", "nasbench201-target@200"):
        with pytest.raises(SystemExit):
            run("embedding_search", "--tables", text, "--proxies", "")
        assert "the labels of the target nasbench201-target themselves" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_not_known_of_a_cell_is_predicted(
    folder: Path, module: Callable[[str], ModuleType]
) -> None:
    shared = module("embedding_setting")
    setting = shared.Setting(
        problem="nasbench201-target",
        data=str(folder),
        tables=("nasbench201-source@12", "nasbench201-target@12"),
        labels=20,
        networks=None,
        proxies=(),
        objectives=("supervised",),
        epochs=1,
        folder=folder / "kept",
    )
    vectors, omens = shared.plain_vectors(setting, 0)
    cells = shared.cells(shared.load_target(setting.problem, setting.data))
    assert vectors(cells).shape == (len(cells), 2)
    assert vectors(cells).isfinite().all()
    truth = shared.load_target(setting.problem, setting.data).evaluator.values()
    recorded = shared.load_target(setting.problem, setting.data).evaluator.architectures
    assert np.corrcoef(omens(recorded), truth)[0, 1] > 0.7


def test_checkpoints_are_made_by_the_command_in_their_cards(
    module: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--spaces", "nasbench101", "--quick", "--threads", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["pretrain_checkpoints", *options])
    module("pretrain_checkpoints").main()
    assert "| nasbench101 | 0." in capsys.readouterr().out
    made = load(tmp_path / "nasbench101.pt")
    assert made.card["command"].startswith("graphbo pretrain nasbench101 ")
    assert made.card["architectures"] == 100
