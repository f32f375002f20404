"""Tables of learning curves: the file format and the problem it makes."""

from __future__ import annotations

import doctest
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphbo.problems.curves
from graphbo.errors import InputError
from graphbo.problems import get_problem, list_problems
from graphbo.problems.curves import MARKER, MISSING, CurveTable, counts, is_curve_table, unrecorded
from graphbo.spaces import Design
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.joint_pool import JointPoolSpace
from graphbo.spaces.pool import PoolSpace
from graphbo.study import Study
from graphbo.trial import Job

SETTINGS = {"type": "cell", "nodes": 3, "operations": ["conv", "skip"], "on": "edges"}
SPACE = CellSpace(3, ["conv", "skip"], on="edges")
CELLS = SPACE.enumerate()
N = len(CELLS)


def arguments(**changes: Any) -> dict[str, Any]:
    """All cells of the space, two seeds, three epochs; the cell i reaches i + epoch + 1 of 100."""
    base = np.arange(N)[:, None, None] + [[1, 2, 3], [11, 12, 13]]
    return {
        "name": "toy",
        "space": SETTINGS,
        "rows": np.array([design.row for design in CELLS]),
        "epochs": [1, 2, 4],
        "valid": base,
        "test": base * 2,
        "images": {"valid": 100, "test": 200},
        "seconds": np.array([[8.0, 16.0]] * N),
        "facts": {"parameters": 10 * np.arange(N)},
        "about": {"description": "a toy", "licence": "none"},
        **changes,
    }


def table(**changes: Any) -> CurveTable:
    return CurveTable(**arguments(**changes))


def job(number: int, seed: int = 0, **fidelity: float) -> Job:
    return Job(CELLS[number], fidelity, seed=seed)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = table()
    written.write(tmp_path / "new" / "toy.npz")
    read = CurveTable.read(tmp_path / "new" / "toy.npz")
    for name in ("rows", "epochs", "valid", "test", "seconds"):
        array = getattr(written, name)
        np.testing.assert_array_equal(getattr(read, name), array)
        assert getattr(read, name).dtype == array.dtype
    assert list(read.facts) == ["parameters"]
    assert (read.name, read.space, read.about) == ("toy", SETTINGS, written.about)
    assert read.checksum == written.checksum
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["toy.npz"]


def test_equal_tables_give_equal_bytes_and_others_another_checksum(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table().write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = table(about={"description": "another toy"})
    assert len({table().checksum, other.checksum, table(epochs=[1, 2, 3]).checksum}) == 3


def test_every_epoch_is_a_fidelity_with_its_share_of_the_seconds_and_the_curve_so_far() -> None:
    problem = table().problem()
    assert problem.fidelity == {"epochs": 4}
    full = problem.evaluator.evaluate_one(job(1))
    assert full.objectives == pytest.approx({"validation_error": 91, "test_error": 91})
    assert full.cost == 12
    assert full.curve == pytest.approx((93, 92, 91))
    assert full.facts == {"parameters": 10, "epochs": 4}
    short = problem.evaluator.evaluate_one(job(1, epochs=2))
    assert short.curve == pytest.approx((93, 92))
    assert short.objectives["validation_error"] == pytest.approx(92)
    assert short.cost == 6


def test_seconds_may_be_recorded_for_each_epoch() -> None:
    seconds = np.broadcast_to([1.0, 5.0, 6.0], (N, 2, 3))
    evaluator = table(seconds=seconds).problem().evaluator
    assert [evaluator.evaluate_one(job(0, epochs=e)).cost for e in (1, 2, 4)] == [1, 5, 6]


def test_trainings_of_their_own_are_no_curve() -> None:
    assert table(continuous=False).problem().evaluator.evaluate_one(job(1)).curve == ()


def test_the_seed_of_a_job_picks_a_training() -> None:
    problem = table().problem(entries="seed")
    found = [
        problem.evaluator.evaluate_one(job(2, seed)).objectives["validation_error"]
        for seed in range(4)
    ]
    assert found == pytest.approx([95, 85, 95, 85])
    assert problem.evaluator.evaluate_one(job(2, 1)).cost == 16
    assert problem.optimum == pytest.approx(table().problem().optimum)


def test_missing_trainings_are_left_out() -> None:
    valid = arguments()["valid"].copy()
    valid[2, 1] = MISSING
    found = table(valid=valid)
    assert np.isnan(found.percent("valid")[2, 1]).all()
    for entries in ("mean", "seed", "raw"):
        evaluation = found.problem(entries=entries).evaluator.evaluate_one(job(2, seed=1))
        assert evaluation.objectives["validation_error"] == pytest.approx(95)


def test_rows_of_one_network_are_averaged_or_kept_apart() -> None:
    rows = np.array([(1, 0, 0), (0, 1, 0), (2, 0, 0)])  # the first and third are the empty network
    assert SPACE.decode((1, 0, 0)) == SPACE.decode((2, 0, 0))
    valid = np.array([[[10]], [[20]], [[30]]])
    options = {"rows": rows, "valid": valid, "epochs": [3], "test": None}
    few = table(**options, seconds=None, facts={})
    empty = Job(Design(SPACE.decode((2, 0, 0)), (2, 0, 0)))
    values = {
        entries: few.problem(entries=entries).evaluator.evaluate_one(empty).objectives
        for entries in ("mean", "seed", "raw")
    }
    assert values["mean"]["validation_error"] == pytest.approx(80)
    assert values["seed"]["validation_error"] == pytest.approx(90)
    # A pool has rows of its own, so that the first entry stands for the network.
    assert values["raw"]["validation_error"] in (pytest.approx(90), pytest.approx(70))


def test_a_table_of_all_cells_has_their_space_and_others_are_a_pool() -> None:
    assert isinstance(table().problem().space, CellSpace)
    part = {name: arguments()[name][:4] for name in ("rows", "valid", "test", "seconds")}
    pool = table(**part, facts={}).problem().space
    assert isinstance(pool, PoolSpace)
    assert pool.size == 4


def test_without_validation_images_the_test_error_is_minimised() -> None:
    problem = table(valid=None).problem()
    assert problem.objective == "test_error"
    assert problem.optimum == problem.test_optimum == 100 - (N - 1 + 8)


@given(st.integers(1, MISSING - 1), st.data())
def test_accuracies_of_whole_images_survive_as_counts(images: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, images))
    found = counts([100 * correct / images, np.nan], images)
    assert found.tolist() == [correct, MISSING]


def test_accuracies_beyond_100_are_refused() -> None:
    with pytest.raises(InputError, match="101 is no accuracy"):
        counts([50, 101], 10)


# Finding ---------------------------------------------------------------------------------------


def test_tables_are_found_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table().write(tmp_path / "any name.npz")
    np.savez(tmp_path / "images.npz", x=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"PK")
    monkeypatch.setenv("GRAPHBO_DATA", str(tmp_path))
    assert ("toy", "a toy (any name.npz)") in list_problems()
    problem = get_problem("toy")
    assert problem.optimum == pytest.approx(100 - (N - 1 + 8))
    monkeypatch.delenv("GRAPHBO_DATA")
    assert get_problem("toy", tmp_path / "any name.npz").name == "toy"


def test_a_table_called_like_a_published_one_is_still_known_by_its_content(tmp_path: Path) -> None:
    table(name="nasbench201-mine").write(tmp_path / "nasbench201-mine.npz")
    assert get_problem("nasbench201-mine", tmp_path).objective == "validation_error"


def test_a_problem_file_may_name_a_table(tmp_path: Path) -> None:
    table().write(tmp_path / "curves.npz")
    file = tmp_path / "mine.toml"
    file.write_text('name = "renamed"\ntrials = 7\n[evaluate]\ntable = "curves.npz"\n')
    problem = get_problem(str(file))
    assert (problem.name, problem.trials) == ("renamed", 7)
    assert problem.evaluator.evaluate_one(job(1)).cost == 12
    file.write_text('[evaluate]\ntable = "curves.npz"\nobjective = "error"\n')
    with pytest.raises(InputError, match="no columns and names its space itself"):
        get_problem(str(file))


# Damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": [1, 1, 2]}, "positive and ascending"),
        ({"epochs": [0, 1, 2]}, "positive and ascending"),
        ({"valid": None, "test": None}, "at least one cell and one kind of result"),
        ({"valid": np.zeros((N, 0, 3), int), "test": None}, "at least one training"),
        ({"valid": np.zeros((2, 2, 3), int)}, f"valid must have the shape {N} x 2 x 3"),
        ({"test": np.zeros((N, 1, 3), int)}, f"test must have the shape {N} x 2 x 3"),
        ({"valid": np.full((N, 2, 3), 101)}, "above the 100 images"),
        ({"valid": np.full((N, 2, 3), 70_000)}, "valid must lie between 0 and 65535"),
        ({"valid": np.zeros((N, 2, 3))}, "whole numbers"),
        ({"images": {"valid": 100}}, r"images\['test'\] must be a number"),
        ({"seconds": np.zeros((N, 3))}, f"seconds must have the shape {N} x 2"),
        ({"seconds": np.zeros(N)}, f"seconds must have the shape {N} x 2"),
        ({"facts": {"flops": np.zeros(4)}}, f"flops must have the shape {N}"),
        ({"rows": np.full((N, 3), 300)}, "rows must lie between -128 and 127"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": np.full((N, 3), 3)}, "row 0: 3 is not one of the choices"),
        ({"space": {"type": "cube"}}, "the space of the table toy: type = 'cube' is unknown"),
        ({"valid": np.full((N, 2, 3), MISSING)}, "no finite validation_error"),
    ],
)
def test_tables_that_make_no_problem_say_why(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(**changes).problem()


def rewritten(path: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    with np.load(path) as content:
        np.savez(path, **{**content, **arrays})
    return path


def test_altered_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    table().write(path)
    content = path.read_bytes()
    altered = table().valid
    assert altered is not None
    with pytest.raises(InputError, match=r"toy\.npz: the content does not match its checksum"):
        CurveTable.read(rewritten(path, valid=altered[::-1]))
    path.write_bytes(content[: len(content) // 2])
    assert not is_curve_table(path)
    with pytest.raises(InputError, match=r"toy\.npz is not a readable"):
        CurveTable.read(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(InputError, match=f"no array '{MARKER}'"):
        CurveTable.read(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": 2, "name": "x", "about": {}}, "has version 2 of the format"),
        ({"format": 1}, "metadata cannot be read: 'name'"),
        ({"format": 1, "name": "x"}, "lack a name or a description"),
        ({"format": 1, "name": "x", "about": {}, "colour": 3}, "unexpected keyword .*colour"),
        ({"format": 1, "name": "x", "about": {}, "space": {}, "images": 3}, "attribute"),
    ],
)
def test_wrong_metadata_are_named(tmp_path: Path, metadata: dict[str, Any], message: str) -> None:
    path = tmp_path / "toy.npz"
    table().write(path)
    with pytest.raises(InputError, match=message):
        CurveTable.read(rewritten(path, **{MARKER: np.array(json.dumps(metadata))}))


@pytest.mark.parametrize("seconds", [10**9, -1, "2", [2]])
def test_seconds_of_absurd_dimensions_are_refused(tmp_path: Path, seconds: Any) -> None:
    path = tmp_path / "toy.npz"
    table().write(path)
    with np.load(path) as arrays:
        metadata = json.loads(str(arrays[MARKER]))
    with pytest.raises(InputError, match="seconds must have 2 or 3 dimensions"):
        CurveTable.read(
            rewritten(path, **{MARKER: np.array(json.dumps(metadata | {"seconds": seconds}))})
        )


@pytest.mark.parametrize(
    "space",
    [
        {"type": "cell", "nodes": 10**9, "operations": ["conv"], "on": "edges"},
        {"type": "chain", "max_depth": 10**9},
    ],
)
def test_a_table_whose_space_would_fill_the_memory_is_refused(
    tmp_path: Path, space: dict[str, Any]
) -> None:
    table(space=space).write(tmp_path / "toy.npz")  # with a checksum that is right
    with pytest.raises(InputError, match="must be at most 200; got 1000000000"):
        CurveTable.read(tmp_path / "toy.npz").problem()


def test_results_that_no_memory_would_hold_are_refused() -> None:
    with pytest.raises(InputError, match="made-up claims 1000000 x 1000000 x 10000 results"):
        unrecorded((10**6, 10**6, 10**4), "made-up")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "toy.npz"
    table().write(path)
    before = path.read_bytes()

    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "open", stop)
    with pytest.raises(KeyboardInterrupt):
        table(name="other").write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["toy.npz"]
    assert path.read_bytes() == before


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(graphbo.problems.curves).failed == 0


# Hyperparameters ----------------------------------------------------------------------------

RATES = {"rate": {"low": 0.1, "high": 0.9}, "kind": ["x", "y"]}


def joint_table(**changes: Any) -> CurveTable:
    """Each cell with two rates; columns are in the order of the names."""
    vectors = [[i % 2, (i + 1) / (2 * N)] for i in range(2 * N)]
    twice = {name: np.repeat(arguments()[name], 2, axis=0) for name in ("valid", "test", "seconds")}
    facts = {"parameters": np.repeat(10 * np.arange(N), 2)}
    rows = np.repeat(arguments()["rows"], 2, axis=0)
    own = {"hyperparameters": RATES, "vectors": vectors, "rows": rows, "facts": facts, **twice}
    return table(**{**own, **changes})


def test_a_table_with_hyperparameters_is_a_pool_of_designs(tmp_path: Path) -> None:
    written = joint_table()
    written.write(tmp_path / "joint.npz")
    read = CurveTable.read(tmp_path / "joint.npz")
    assert (read.checksum, read.hyperparameters) == (written.checksum, RATES)
    assert read.vectors is not None
    assert read.vectors.dtype == np.float32
    problem = read.problem()
    assert isinstance(problem.space, JointPoolSpace)
    assert (problem.space.size, problem.space.name) == (2 * N, "toy")
    designs = problem.space.enumerate()
    assert [design.hyperparameters["kind"] for design in designs[:3]] == ["x", "y", "x"]
    found = problem.evaluator.evaluate_one(Job(designs[-1], {"epochs": 2}))
    assert found.objectives == {"validation_error": 94.0 - N, "test_error": 94.0 - N}
    assert len(found.curve) == 2
    Study.of(problem, "random").run(trials=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": None}, "hyperparameters need both their settings and vectors"),
        ({"hyperparameters": {}}, "hyperparameters need both their settings and vectors"),
        ({"vectors": np.zeros((3, 2))}, "vectors must have the shape"),
        ({"vectors": np.zeros((2 * N, 3))}, "vectors of 3 entries for 2 hyperparameters"),
        ({"vectors": np.zeros((2 * N, 2))}, "has a design more than once"),
        ({"hyperparameters": {"rate": 3}}, "the hyperparameters of the table toy: rate must be"),
    ],
)
def test_hyperparameters_that_do_not_fit_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        joint_table(**changes).problem()


def test_rows_with_hyperparameters_cannot_be_kept_apart() -> None:
    with pytest.raises(InputError, match="entries='raw' is for cells without hyperparameters"):
        joint_table().problem(entries="raw")
