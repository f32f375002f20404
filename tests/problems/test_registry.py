"""Problems by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.problems import get_problem, list_problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    strings = ["|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"]
    np.savez(
        tmp_path / "nasbench201.npz", arch_str=np.array(strings), cifar10_valid_acc_9=np.ones(1)
    )
    return tmp_path


@pytest.fixture(autouse=True)
def _no_folder_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)


def test_without_tables_there_is_digits_alone() -> None:
    assert [name for name, _ in list_problems()] == ["digits"]


def test_digits_needs_no_table() -> None:
    assert get_problem("digits").name == "digits"


def test_the_folder_is_named_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHBO_DATA", str(folder))
    assert [name for name, _ in list_problems()] == ["digits", "nasbench201-cifar10"]
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
    with pytest.raises(InputError, match="the problems are digits, nasbench201-cifar10"):
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
    assert done.stdout.split("\n")[:2] == ["2", "set()"]
