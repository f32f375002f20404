"""Problems by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.problems import get_problem, list_problems, tables
from graphbo.problems.curves import CurveTable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    strings = ["|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"]
    np.savez(
        tmp_path / "nasbench201.npz", arch_str=np.array(strings), cifar10_valid_acc_9=np.ones(1)
    )
    return tmp_path


TRAINED = [
    *("digits", "shapes", "darts-shapes", "enas-shapes", "hierarchical-shapes", "wired-shapes"),
    "regnet-shapes",
]
TUNED = ["cells-digits", "mlp-digits", "branin", "hartmann6", "rosenbrock4", "ackley8"]


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No folder is named, and the package comes with the tables of this one only: with none."""
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)
    monkeypatch.setattr(tables, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped"


def test_without_a_folder_there_are_the_problems_that_need_none() -> None:
    assert [name for name, _ in list_problems()] == [*TRAINED, *TUNED]


def test_digits_needs_no_table() -> None:
    assert get_problem("digits").name == "digits"


def test_images_in_the_folder_are_problems(folder: Path) -> None:
    np.savez(folder / "mnist_small.npz", x=np.zeros((10, 4, 4)), y=np.zeros(10, dtype=int))
    listed = dict(list_problems(folder))
    assert list(listed) == [
        "digits",
        "shapes",
        "mnist",
        "darts-shapes",
        "enas-shapes",
        "hierarchical-shapes",
        "wired-shapes",
        "regnet-shapes",
        "nasbench201-cifar10",
        *TUNED,
    ]
    problem = get_problem("mnist", folder)
    assert (problem.name, problem.description) == ("mnist", listed["mnist"])
    with pytest.raises(InputError, match=r"'cifar10' needs the file cifar10\.npz"):
        get_problem("cifar10", folder)


def curves(name: str, correct: int) -> CurveTable:
    return CurveTable(
        name,
        {"type": "nasbench201"},
        rows=np.array([[0, 0, 0, 1, 0, 0]]),
        epochs=np.array([1]),
        valid=np.array([[[correct]]]),
        images={"valid": 100},
        about={"description": "a cell"},
    )


def test_a_table_of_the_package_is_the_first_problem(shipped: Path, folder: Path) -> None:
    curves("small-table", 60).write(shipped / "small-table.npz")
    assert list_problems()[0] == ("small-table", "a cell (part of the package)")
    assert [name for name, _ in list_problems(folder)] == [
        "small-table",
        *TRAINED,
        "nasbench201-cifar10",
        *TUNED,
    ]
    assert get_problem("small-table").optimum == 40
    # One of the same name that the user names stands in for it.
    curves("small-table", 70).write(folder / "new.npz")
    assert list_problems(folder)[0] == ("small-table", "a cell (new.npz)")
    assert [name for name, _ in list_problems(folder)].count("small-table") == 1
    assert get_problem("small-table", folder).optimum == pytest.approx(30)


def test_the_folder_is_named_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHBO_DATA", str(folder))
    names = [name for name, _ in list_problems()]
    assert names == [*TRAINED, "nasbench201-cifar10", *TUNED]
    assert get_problem("nasbench201-cifar10").fidelity == {"epochs": 9}
    assert get_problem("nasbench201-cifar10", folder / "nasbench201.npz").optimum == 99


def test_a_missing_table_is_named_with_its_place(folder: Path) -> None:
    message = r"needs the table nasbench101\.npz, and there is none in .*GRAPHBO_DATA.*'digits'"
    with pytest.raises(InputError, match=message):
        get_problem("nasbench101", folder)
    with pytest.raises(InputError, match=r"nasbench201\.npz, and GRAPHBO_DATA is not set"):
        get_problem("nasbench201-cifar100")


def test_an_unknown_problem_is_answered_with_the_nearest_names(folder: Path) -> None:
    with pytest.raises(InputError, match="the nearest names are digits"):
        get_problem("digit")
    with pytest.raises(InputError, match="the nearest names are nasbench201-cifar10"):
        get_problem("nasbench201-cifr10", folder)
    with pytest.raises(
        InputError, match=r"the problems are digits, shapes, cifar10, .*, nasbench201-cifar10"
    ):
        get_problem("zzz", folder)


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        list_problems(tmp_path / "nowhere")
    monkeypatch.setenv("GRAPHBO_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere that GRAPHBO_DATA names does not exist"):
        list_problems()


def test_listing_imports_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; from graphbo.problems import list_problems; "
        f"print(len(list_problems({str(folder)!r}))); "
        "print({'torch', 'ConfigSpace', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    in_the_package = len(list((Path(tables.__file__).parent / "data").glob("*.npz")))
    assert done.stdout.split("\n")[:2] == [
        str(len(TRAINED) + 1 + len(TUNED) + in_the_package),
        "set()",
    ]
