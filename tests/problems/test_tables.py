"""Benchmark files: any data set in them, whole or in part, sound or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.problems import get_problem, list_problems
from graphbo.problems.nasbench101 import nasbench101
from graphbo.problems.nasbench201 import nasbench201
from graphbo.problems.tables import shipped_problems
from graphbo.spaces import NASBench201Space, PoolSpace
from graphbo.trial import Job

NAMES = ("avg_pool_3x3", "none", "nor_conv_3x3", "skip_connect", "nor_conv_1x1")
SPACE = NASBench201Space()
ROWS = np.array(list(SPACE._rows()))
# The columns of the file are in another order than the choices of the space.
OPS = np.array([NAMES.index(choice) for choice in SPACE.decisions[0].choices])[ROWS]


def arrays_201(rows: np.ndarray = ROWS, ops: np.ndarray = OPS) -> dict[str, np.ndarray]:
    convolutions = (rows == 3).sum(axis=1)
    return {
        "ops": ops.astype(np.int8),
        "op_names": np.array(NAMES),
        "foo_16_valid_acc_200": (60 + 5 * convolutions + 0.01 * rows[:, 0]).astype(np.float32),
        "foo_16_valid_acc_25": 50.0 + convolutions,
        "foo_16_valid_acc_200_seeds": np.zeros((len(rows), 3)),
        "foo_16_test_acc_200": 55.0 + convolutions,
        "foo_16_train_time_200_s": np.full(len(rows), 80.0),
        "foo_16_params_M": np.full(len(rows), 0.5),
        "latency_devices": np.array(["phone", "gpu_1"]),
        "latency_ms": np.tile([20.0, 3.0], (len(rows), 1)),
        "bar_valid_acc_7": np.arange(len(rows)) * 100 / len(rows),
    }


def arrays_101() -> dict[str, np.ndarray]:
    """Two cells of seven and three vertices, one of them twice."""
    adjacency = np.zeros((3, 7, 7), np.uint8)
    adjacency[0, [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]] = 1
    adjacency[1:, [0, 1], [1, 2]] = 1
    return {
        "adjacency": adjacency,
        "ops": np.array([[-1, 0, 1, 2, 0, 1, -1], *[[-1, 2, *[-1] * 5]] * 2], np.int8),
        "num_vertices": np.array([7, 3, 3], np.uint8),
        "epochs": np.array([4, 108]),
        "valid_acc": np.array([[0.5, 0.9], [0.25, 0.8], [0.35, 0.7]]),
        "train_time_108_s": np.array([270.0, 540.0, 540.0]),
        "params": np.array([10, 20, 20]),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    np.savez(folder / "nasbench201.npz", **arrays_201())
    np.savez(folder / "nasbench101_small.npz", **arrays_101())
    (folder / "images.npz").write_text("not a table, and not looked at")
    return folder


# NAS-Bench-201 -----------------------------------------------------------------------------------


def test_each_dataset_in_a_file_makes_a_problem(folder: Path) -> None:
    names = [name for name, _ in list_problems(folder) if name not in shipped_problems()]
    tables = ["nasbench201-foo-16", "nasbench201-bar", "nasbench101"]
    assert names[:8] == [
        "digits",
        "shapes",
        "darts-shapes",
        "enas-shapes",
        "hierarchical-shapes",
        *tables,
    ]
    assert "200 epochs" in dict(list_problems(folder))["nasbench201-foo-16"]


def test_a_whole_table_searches_the_space_of_the_benchmark(folder: Path) -> None:
    problem = get_problem("nasbench201-foo-16", folder)
    assert isinstance(problem.space, NASBench201Space)
    assert problem.fidelity == {"epochs": 200}
    design = problem.space.design((3, 2, 0, 0, 0, 3))
    evaluation = problem.evaluator.evaluate_one(Job(design))
    assert problem.evaluator.objectives == ("validation_error", "test_error")
    # The edge 1<-0 leads nowhere here, so that whatever sits on it makes another entry of the same
    # network, with an accuracy of its own.
    entries = [
        tuple(row) for row in ROWS.tolist() if SPACE.decode(tuple(row)) == design.architecture
    ]
    truth = np.mean([60 + 5 * entry.count(3) + 0.01 * entry[0] for entry in entries])
    assert len(entries) > 1
    assert evaluation.objectives["validation_error"] == pytest.approx(100 - truth, abs=1e-4)
    assert evaluation.cost == 80
    latencies = {"latency_ms_phone": 20, "latency_ms_gpu_1": 3}
    assert evaluation.facts == {"parameters": 500_000, **latencies, "epochs": 200}


def test_shorter_schedules_are_fidelities(folder: Path) -> None:
    problem = get_problem("nasbench201-foo-16", folder)
    design = problem.space.design((3, 3, 3, 3, 3, 3))
    evaluation = problem.evaluator.evaluate_one(Job(design, {"epochs": 25}))
    assert evaluation.objectives == {"validation_error": 100 - 56}
    assert evaluation.cost == 10


def test_a_dataset_may_have_validation_accuracies_alone(folder: Path) -> None:
    problem = get_problem("nasbench201-bar", folder)
    evaluation = problem.evaluator.evaluate_one(Job(problem.space.design((1,) * 6)))
    assert set(evaluation.objectives) == {"validation_error"}
    assert evaluation.cost == 0
    assert "parameters" not in evaluation.facts
    assert evaluation.facts["epochs"] == 7


def test_optimum_and_best_permille_are_those_of_the_networks(folder: Path) -> None:
    problem = get_problem("nasbench201-foo-16", folder)
    values = np.sort(
        [problem.evaluator.evaluate_one(Job(d)).objectives["validation_error"]
         for d in problem.space.enumerate()]
    )  # fmt: skip
    assert problem.optimum == values[0]
    assert problem.top_permille == values[8]  # round(8.765) is 9


def test_raw_entries_are_an_option(folder: Path) -> None:
    raw = nasbench201("foo-16", folder / "nasbench201.npz", entries="raw")
    for row in ((3, 2, 0, 0, 0, 3), (0, 2, 0, 0, 0, 3)):
        error = raw.evaluator.evaluate_one(Job(raw.space.design(row))).objectives[
            "validation_error"
        ]
        assert error == pytest.approx(40 - 5 * row.count(3) - 0.01 * row[0], abs=1e-4)


def test_strings_do_instead_of_operations(tmp_path: Path) -> None:
    strings = [SPACE.format(design.architecture) for design in SPACE.enumerate()[:50]]
    path = tmp_path / "mine.npz"
    np.savez(path, arch_str=np.array(strings), d_valid_acc_9=np.arange(50.0))
    problem = get_problem("nasbench201-d", path)
    assert isinstance(problem.space, PoolSpace)
    assert problem.space.size == 50
    assert problem.optimum == 100 - 49


def test_a_table_of_a_part_is_a_pool(tmp_path: Path) -> None:
    np.savez(tmp_path / "nasbench201_part.npz", **arrays_201(ROWS[::7], OPS[::7]))
    problem = get_problem("nasbench201-bar", tmp_path)
    assert isinstance(problem.space, PoolSpace)
    assert isinstance(problem.space.parent, NASBench201Space)
    assert problem.space.operations == tuple(sorted(NAMES[:1] + NAMES[2:]))
    assert (
        problem.optimum
        == problem.evaluator.evaluate_one(
            Job(min(problem.space.enumerate(), key=lambda d: _error(problem, d)))
        ).objectives["validation_error"]
    )


def _error(problem, design):  # type: ignore[no-untyped-def]
    return problem.evaluator.evaluate_one(Job(design)).objectives["validation_error"]


# NAS-Bench-101 -----------------------------------------------------------------------------------


def test_nasbench101_is_a_pool_of_its_cells(folder: Path) -> None:
    problem = get_problem("nasbench101", folder)
    assert isinstance(problem.space, PoolSpace)
    small = Architecture([INPUT, "maxpool3x3", OUTPUT], [(0, 1), (1, 2)])
    assert problem.space.size == 2
    assert small in problem.space
    evaluation = problem.evaluator.evaluate_one(Job(problem.space.design_of(small)))
    assert evaluation.objectives["validation_error"] == pytest.approx(25)
    assert evaluation.facts == {"parameters": 20, "epochs": 108}
    assert evaluation.cost == 540
    short = problem.evaluator.evaluate_one(Job(problem.space.design_of(small), {"epochs": 4}))
    assert short.objectives["validation_error"] == pytest.approx(70)
    assert short.cost == 20
    assert problem.optimum == pytest.approx(10)


# Damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"foo_16_valid_acc_200": np.zeros(3)}, "'foo_16_valid_acc_200' must have the shape 100"),
        ({"foo_16_valid_acc_200": np.full(100, 101.0)}, "holds 101, which is no accuracy"),
        ({"foo_16_valid_acc_200": np.full(100, "x")}, "'foo_16_valid_acc_200' has .* wrong type"),
        ({"foo_16_valid_acc_200": np.full(100, np.nan)}, "no finite validation_error"),
        ({"foo_16_test_acc_200": np.zeros((100, 2))}, "'foo_16_test_acc_200' must have"),
        ({"foo_16_params_M": np.zeros(7)}, "'foo_16_params_M' must have"),
        ({"foo_16_train_time_200_s": np.zeros(7)}, "'foo_16_train_time_200_s' must have"),
        ({"ops": np.full((100, 6), 9)}, "'ops' must hold numbers of the 5"),
        ({"ops": np.zeros((100, 5), int)}, "'ops' must have the shape any x 6"),
        ({"op_names": np.array(["conv"] * 5)}, "unknown operation 'conv'"),
        ({"op_names": None}, "no array 'op_names'"),
        ({"ops": None}, "no array 'arch_str'"),
        ({"ops": None, "arch_str": np.array(["|x|"])}, "'arch_str', entry 0: '' in|no edge"),
    ],
)
def test_incomplete_nasbench201_files_say_what_is_wrong(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    arrays = {**arrays_201(ROWS[:100], OPS[:100]), **change}
    path = tmp_path / "nasbench201.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message) as caught:
        get_problem("nasbench201-foo-16", tmp_path)
    assert "nasbench201" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adjacency": np.ones((3, 7, 7), int)}, "'adjacency' must be upper triangular"),
        ({"adjacency": np.zeros((3, 7, 7), int)}, "entry 0 does not join input and output"),
        ({"adjacency": np.zeros((3, 7, 6), int)}, "'adjacency' must have the shape 3 x 7 x 7"),
        ({"ops": np.full((3, 7), 3)}, "'ops', entry 0: .* are no operations"),
        ({"num_vertices": np.array([8, 3, 3])}, "'num_vertices' must lie between 2 and 7"),
        ({"epochs": np.array([108, 4])}, "'epochs' must be ascending"),
        ({"valid_acc": np.full((3, 2), 90.0)}, "holds 90, which is no accuracy from 0 to 1"),
        ({"valid_acc": None}, "no array 'valid_acc'"),
    ],
)
def test_incomplete_nasbench101_files_say_what_is_wrong(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    arrays = {**arrays_101(), **change}
    path = tmp_path / "nasbench101.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message) as caught:
        nasbench101(path)
    assert "nasbench101.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_files_that_are_no_archive_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nasbench201.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"nasbench201\.npz is not a readable \.npz file"):
        get_problem("nasbench201-cifar10", tmp_path)


def test_truncated_and_altered_archives_are_noticed(tmp_path: Path, folder: Path) -> None:
    content = bytearray((folder / "nasbench201.npz").read_bytes())
    (tmp_path / "nasbench201.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="not a readable"):
        get_problem("nasbench201-foo-16", tmp_path)
    content[1000:2000] = bytes(1000)  # within 'ops'
    (tmp_path / "nasbench201.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"the array 'ops' is damaged|'ops' must"):
        get_problem("nasbench201-foo-16", tmp_path)


def test_a_single_array_and_a_foreign_archive_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="a single array"):
        get_problem("nasbench201-foo", tmp_path / "one.npy")
    np.savez(tmp_path / "images.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="has no array named like"):
        get_problem("nasbench201-foo", tmp_path / "images.npz")


# The real tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "best"), [("cifar10", 91.61), ("cifar100", 73.49)])
def test_the_published_optimum_stays_the_optimum(
    data_folder: Path, dataset: str, best: float
) -> None:
    problem = get_problem(f"nasbench201-{dataset}", data_folder)
    with np.load(data_folder / "nasbench201.npz") as table:
        accuracies = table[f"{dataset}_valid_acc_200"]
        text = str(table["arch_str"][accuracies.argmax()])
    winner = SPACE.parse(text)
    assert _error(problem, problem.space.design_of(winner)) == problem.optimum
    assert 100 - problem.optimum == pytest.approx(best, abs=0.005)
    values = problem.evaluator.values()
    assert (values == problem.optimum).sum() == 1
    assert len(values) == 8_765


def test_operations_and_strings_of_the_real_table_agree(data_folder: Path) -> None:
    problem = get_problem("nasbench201-cifar10", data_folder)
    with np.load(data_folder / "nasbench201.npz") as table:
        strings = table["arch_str"][::50].tolist()
        accuracies = table["cifar10_valid_acc_200"][::50].astype(float)
    raw = nasbench201("cifar10", data_folder / "nasbench201.npz", entries="raw")
    for text, accuracy in zip(strings, accuracies, strict=True):
        design = problem.space.design(SPACE.parse_row(text))
        assert _error(raw, design) == pytest.approx(100 - accuracy)


def test_the_real_sample_of_nasbench101_is_a_pool(data_folder: Path) -> None:
    problem = get_problem("nasbench101", data_folder)
    assert isinstance(problem.space, PoolSpace)
    assert problem.space.size == 20_000
    assert problem.evaluator.epochs == (4, 12, 36, 108)
    assert 100 - problem.optimum == pytest.approx(94.91, abs=0.005)
    design = problem.space.sample(np.random.default_rng(0))
    assert len(problem.space.neighbors(design)) == 24
