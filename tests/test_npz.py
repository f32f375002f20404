"""Arrays from files of strangers: none runs code, and none is larger than what is there of it."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.npz import NpzFile


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.mark, "run")


def archive(path: Path, *, header: str, body: bytes = b"", deflated: bool = False) -> Path:
    """Write an archive with one array ``x``, whose header says what it likes."""
    stream = io.BytesIO()
    text = header.encode()
    stream.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body)
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind, compresslevel=9 if deflated else None) as file:
        file.writestr("x.npy", stream.getvalue())
    return path


def header(dtype: str, shape: str) -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("<f8", "(1000000000000,)"),
        ("<f8", "(1000000000000, 0)"),
        ("<U0", "(1000000000000,)"),
        ("<U1000000", "(1000000,)"),
        ("|i1", "(65, 1)"),
    ],
)
def test_an_array_that_claims_more_than_it_holds_is_refused_before_there_is_room_for_it(
    dtype: str, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.npz", header=header(dtype, shape), body=b"")
    file = NpzFile(path)
    monkeypatch.setattr(np.lib.format, "read_array", None)  # which would make the room
    with pytest.raises(InputError, match="is damaged: it claims the shape"):
        file.array("x", (None,) * (2 if ", " in shape else 1), "iufU")


def test_an_archive_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 4_000_000
    path = archive(
        tmp_path / "a.npz", header=header("|u1", f"({size},)"), body=bytes(size), deflated=True
    )
    assert len(NpzFile(path).array("x", (size,))) == size  # harmless, however small the file
    monkeypatch.setattr("graphbo.npz._HARMLESS", 1_000_000)
    with pytest.raises(InputError, match="it would unpack to 4000"):
        NpzFile(path).array("x", (size,))


def test_pickles_are_neither_loaded_as_files_nor_as_entries(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Bomb(mark)))
    np.savez(tmp_path / "entry.npz", x=np.array([Bomb(mark)], dtype=object))
    with pytest.raises(InputError, match="not a readable"):
        NpzFile(tmp_path / "bare.npz")
    with pytest.raises(InputError, match="is damaged"):
        NpzFile(tmp_path / "entry.npz").array("x", (1,), "O")
    assert not mark.exists()


def test_ordinary_arrays_of_every_kind_are_read(tmp_path: Path) -> None:
    arrays = {
        "text": np.array(["a", "bc"]),
        "nothing": np.zeros((0, 3)),
        "one": np.array(2.5),
        "turned": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    file = NpzFile(tmp_path / "a.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(file.array(name, array.shape, "iufU"), array)
