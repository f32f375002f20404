"""NATS-Bench files of the structure that its authors publish, made small here."""

from __future__ import annotations

import bz2
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.errors import InputError
from graphbo.importers import import_tables
from graphbo.importers.natsbench import read_natsbench
from graphbo.problems import get_problem
from graphbo.problems.curves import CurveTable
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.trial import Job

CELLS = [
    "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
    "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|",  # the same network
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
]
SPACE = NASBench201Space()


def training(dataset: str, seed: int, epochs: int, cell: int, **changes: Any) -> dict[str, Any]:
    """One training as `ResultsCount.state_dict` writes it."""
    every = {"cifar10-valid": ["x-valid"]}.get(dataset, ["ori-test"])
    last = {"cifar10-valid": ["ori-test"], "cifar10": []}.get(dataset, ["x-valid", "x-test"])
    accuracies = {
        f"{name}@{e}": 50.0 + cell + e + seed / 1000 - (seed / 1000) % 0.04
        for names, known in ((every, range(epochs)), (last, [epochs - 1]))
        for name in names
        for e in known
    }
    return {
        "name": dataset,
        "net_state_dict": None,
        "train_acc1es": {e: np.float64(e) for e in range(epochs)},
        "train_acc5es": None,
        "train_losses": {e: 1.0 / (e + 1) for e in range(epochs)},
        "train_times": OrderedDict((e, 2.0 + cell) for e in range(epochs)),
        "arch_config": {
            "channel": 16,
            "num_cells": 5,
            "arch_str": CELLS[cell],
            "class_num": 10,
        },
        "params": 0.5 + cell,
        "flop": 100.25,
        "seed": str(seed),
        "epochs": epochs,
        "latency": [0.01 + cell],
        "eval_names": every + last,
        "eval_acc1es": accuracies,
        "eval_times": dict.fromkeys(accuracies, 0.5),
        "eval_losses": dict.fromkeys(accuracies, 1.0),
        **changes,
    }


def schedule(cell: int, epochs: int, datasets: dict[str, list[int]]) -> dict[str, Any]:
    """All trainings of a cell by one schedule as `ArchResults.state_dict` writes them."""
    return {
        "arch_index": cell,
        "arch_str": CELLS[cell],
        "all_results": {
            (dataset, seed): training(dataset, seed, epochs, cell)
            for dataset, seeds in datasets.items()
            for seed in seeds
        },
        "dataset_seed": datasets,
        "clear_net_done": True,
    }


def entry(cell: int) -> dict[str, Any]:
    seeds = [777, 888] if cell else [777]
    long = {"cifar10-valid": seeds, "cifar10": [777], "cifar100": seeds, "ImageNet16-120": [777]}
    return OrderedDict(
        {"12": schedule(cell, 3, {"cifar10-valid": [111]}), "200": schedule(cell, 5, long)}
    )


def archive() -> dict[str, Any]:
    return {
        "meta_archs": CELLS,
        "total_archs": len(CELLS),
        # Read back, since that is how the published file came about.
        "arch2infos": {i: pickle.loads(pickle.dumps(entry(i))) for i in range(len(CELLS))},
        "evaluated_indexes": set(range(len(CELLS))),
    }


def dump(path: Path, content: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    meta = {"meta_archs": CELLS, "total_archs": 3, "arch2infos": None, "evaluated_indexes": set()}
    dump(folder / "meta.pickle.pbz2", meta)
    for i in range(len(CELLS)):
        dump(folder / f"{i:06d}.pickle.pbz2", entry(i))
    return folder


def by_name(tables: list[CurveTable]) -> dict[str, CurveTable]:
    return {table.name: table for table in tables}


def test_each_dataset_and_schedule_is_a_table(folder: Path) -> None:
    tables = by_name(read_natsbench(folder))
    assert sorted(tables) == [
        "nats-cifar10-5",
        "nats-cifar10-valid-3",
        "nats-cifar10-valid-5",
        "nats-cifar100-5",
        "nats-imagenet16-120-5",
    ]
    table = tables["nats-cifar10-valid-5"]
    assert table.rows.tolist() == [list(SPACE.parse_row(text)) for text in CELLS]
    assert table.epochs.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(table.percent("valid")[2, 0], [52.76, 53.76, 54.76, 55.76, 56.76])
    np.testing.assert_allclose(table.percent("valid")[2, 1, -1], 56.88)
    assert np.isnan(table.percent("valid")[0, 1]).all()  # the seed 888 was not run
    assert np.isnan(table.percent("test")[:, :, :4]).all()
    np.testing.assert_allclose(table.percent("test")[1, 0, 4], 55.76)
    assert table.seconds is not None
    assert table.seconds[1].tolist() == [15, 15]
    assert table.facts["parameters"].tolist() == [500_000, 1_500_000, 2_500_000]
    assert table.facts["flops"].tolist() == [100_250_000] * 3
    assert table.facts["latency"].tolist() == pytest.approx([0.01, 1.01, 2.01])


def test_epochs_without_validation_are_left_out(folder: Path) -> None:
    tables = by_name(read_natsbench(folder))
    assert tables["nats-cifar100-5"].epochs.tolist() == [5]
    assert tables["nats-cifar100-5"].percent("test").shape == (3, 2, 1)
    whole = tables["nats-cifar10-5"]
    assert whole.valid is None
    assert whole.epochs.tolist() == [1, 2, 3, 4, 5]


def as_bz2(path: Path) -> Path:
    return dump(path / "NATS-tss-v1_0-3ffb9.pickle.pbz2", archive())


def as_zip(path: Path) -> Path:
    torch.save(archive(), path / "NAS-Bench-201-v1_1-096897.pth")
    return path / "NAS-Bench-201-v1_1-096897.pth"


def as_old_torch(path: Path) -> Path:
    file = path / "NAS-Bench-201-v1_0-e61699.pth"
    torch.save(archive(), file, _use_new_zipfile_serialization=False)
    return file


@pytest.mark.parametrize("write", [as_bz2, as_zip, as_old_torch])
def test_one_file_with_all_cells_gives_the_same_tables(
    tmp_path: Path, folder: Path, write: Any
) -> None:
    single, many = by_name(read_natsbench(write(tmp_path))), by_name(read_natsbench(folder))
    assert list(single) == list(many)
    for name, table in single.items():
        for array in ("rows", "epochs", "valid", "test", "seconds"):
            np.testing.assert_array_equal(getattr(table, array), getattr(many[name], array))
        assert list(table.facts) == list(many[name].facts)


def test_the_tables_can_be_searched(tmp_path: Path, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    output = tmp_path / "tables"
    files = import_tables(folder, output, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert sorted(output.iterdir()) == sorted(files)
    problem = get_problem("nats-cifar10-valid-5", output)
    assert problem.space.size == 2  # two of the three cells are one network
    evaluation = problem.evaluator.evaluate_one(Job(problem.space.design_of(SPACE.parse(CELLS[0]))))
    assert evaluation.objectives["validation_error"] == pytest.approx(
        100 - (54.76 + 55.76 + 55.88) / 3
    )
    assert len(evaluation.curve) == 5


# Refusals ----------------------------------------------------------------------------------------


class Order:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("single", [False, True])
def test_malicious_pickles_are_refused_and_not_run(
    tmp_path: Path, folder: Path, single: bool
) -> None:
    trace, bad = tmp_path / "trace", entry(1)
    bad["200"]["all_results"]["cifar10", 777]["net_state_dict"] = Order(trace)
    if single:
        source = dump(tmp_path / "x.pickle.pbz2", {"arch2infos": {0: entry(0), 1: bad}})
        where = r"x\.pickle\.pbz2 cannot be read, in what follows entry 0: it holds posix\.mkdir"
    else:
        dump(folder / "000001.pickle.pbz2", bad)
        source = folder
        where = r"000001\.pickle\.pbz2 cannot be read: it holds posix\.mkdir"
    with pytest.raises(InputError, match=where):
        import_tables(source, tmp_path / "tables")
    assert not trace.exists()
    assert not (tmp_path / "tables").exists()


def test_trained_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"arch2infos": {0: {"x": torch.zeros(2)}}}, tmp_path / "full.pth")
    with pytest.raises(
        InputError, match=r"full\.pth cannot be read, .*(refers to tensors|_rebuild)"
    ):
        read_natsbench(tmp_path / "full.pth")


@pytest.mark.parametrize("write", [as_bz2, as_zip, as_old_torch])
def test_truncated_files_are_named(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=path.name):
            read_natsbench(path)


def test_truncated_entries_are_named(folder: Path) -> None:
    path = folder / "000002.pickle.pbz2"
    content = path.read_bytes()
    for end in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"000002\.pickle\.pbz2 cannot be read: "):
            read_natsbench(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "attribute 'values'"),
        ({"200": {}}, "KeyError"),
        ({"200": {"all_results": {"cifar10": {}}, "arch_str": CELLS[0]}}, "ValueError"),
        (
            {"200": {"all_results": {("svhn", 1): {"epochs": 1}}, "arch_str": CELLS[0]}},
            "the dataset 'svhn' is unknown",
        ),
        (
            {
                "200": {
                    "all_results": {("cifar10", 1): training("cifar10", 1, 2, 0)},
                    "arch_str": "|conv~0|",
                }
            },
            "no edge of NAS-Bench-201",
        ),
        (
            {
                "200": {
                    "all_results": {
                        ("cifar10", 1): training(
                            "cifar10", 1, 2, 0, eval_acc1es={"ori-test@1": 101.0}
                        )
                    },
                    "arch_str": CELLS[0],
                }
            },
            "101 is no accuracy",
        ),
        (
            {name: schedule(0, 5, {"cifar10": [1]}) for name in ("200", "again")},
            "has the seed 1 twice",
        ),
    ],
)
def test_entries_of_another_structure_are_named(folder: Path, content: Any, message: str) -> None:
    dump(folder / "000001.pickle.pbz2", content)
    with pytest.raises(InputError, match=f"000001.*is not as NATS-Bench writes it: .*{message}"):
        read_natsbench(folder)


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no files \*\.pickle\.pbz2 in the folder"):
        read_natsbench(tmp_path / "empty")
    with pytest.raises(InputError, match="holds no results"):
        read_natsbench(dump(tmp_path / "x.pickle.pbz2", {"arch2infos": None}))
    np.savez(tmp_path / "x.npz", x=np.zeros(2))
    (tmp_path / "x.npz").rename(tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"without a 'data\.pkl'"):
        read_natsbench(tmp_path / "x.pth")
