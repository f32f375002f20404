from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from graphbo.errors import InputError
from graphbo.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint

IDENTITY = {"architecture": "a", "seed": 1, "recipe": {"epochs": 4}, "data": [10, 1, 2, 2]}
STATE = {"network": {"weight": torch.rand(3)}, "epoch": 2, "validation_error": [50.0, 25.5]}


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "new" / "folder", IDENTITY)
    save_checkpoint(path, IDENTITY, STATE)
    state = load_checkpoint(path, IDENTITY)
    assert torch.equal(state["network"]["weight"], STATE["network"]["weight"])  # type: ignore[index]
    assert (state["epoch"], state["validation_error"]) == (2, [50.0, 25.5])


def test_a_later_state_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, IDENTITY)
    for epoch in (1, 2, 3):
        save_checkpoint(path, IDENTITY, {**STATE, "epoch": epoch})
    assert load_checkpoint(path, IDENTITY)["epoch"] == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_state_before(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, IDENTITY)
    save_checkpoint(path, IDENTITY, STATE)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(path, IDENTITY, {"network": lambda: None})
    assert load_checkpoint(path, IDENTITY)["epoch"] == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x\.pt cannot be written"):
        save_checkpoint(tmp_path / "file" / "x.pt", IDENTITY, STATE)


def test_each_training_has_its_own_file() -> None:
    others: list[dict[str, Any]] = [{**IDENTITY, name: "other"} for name in IDENTITY]
    assert len({checkpoint_path("x", identity) for identity in [IDENTITY, *others]}) == 5
    assert checkpoint_path("x", dict(reversed(IDENTITY.items()))) == checkpoint_path("x", IDENTITY)


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", IDENTITY, STATE)
    with pytest.raises(InputError, match=r"another training; what differs is: data, seed$"):
        load_checkpoint(tmp_path / "a.pt", {**IDENTITY, "seed": 2, "data": []})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no checkpoint .*lost\.pt"):
        load_checkpoint(tmp_path / "lost.pt", IDENTITY)


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, IDENTITY, STATE)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"a\.pt is damaged, or no checkpoint of graphbo"):
        load_checkpoint(path, IDENTITY)


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save({"weight": torch.rand(3)}, tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a", "b")
    for name in ("weights", "text", "zip"):
        with pytest.raises(InputError, match=rf"{name}\.pt is damaged, or no checkpoint"):
            load_checkpoint(tmp_path / f"{name}.pt", IDENTITY)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "identity": "{}", "state": Trap()}, "trap.pt")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint("trap.pt", {})
    assert not Path("sprung").exists()


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    torch.save({"format": 9, "identity": "{}", "state": {}}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="a checkpoint of format 9; this version reads format 1"):
        load_checkpoint(tmp_path / "a.pt", {})
