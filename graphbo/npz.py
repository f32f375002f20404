"""Reading ``.npz`` files that a user may have damaged or only half copied."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.errors import InputError

FOLDER_VARIABLE = "GRAPHBO_DATA"
"""The environment variable that names the folder of benchmark tables and images."""
_HARMLESS, _MOST_COMPRESSED = 1 << 30, 100
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


class NpzFile:
    """The arrays of an ``.npz`` file, read as they are asked for and checked.

    Args:
        path: The file.

    Raises:
        InputError: If there is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # From memory, because np.load leaves the file open when it fails.
            content = path.read_bytes()
            self._size = len(content)
            if content and not content.startswith((b"PK", b"\x93NUMPY")):
                raise ValueError("it is no archive of arrays")  # NumPy would take it for a pickle
            self._arrays: Mapping[str, NDArray[Any]] = np.load(
                io.BytesIO(content), allow_pickle=False
            )
            if content.startswith(b"PK"):
                self._archive = zipfile.ZipFile(io.BytesIO(content))
        except FileNotFoundError as error:
            raise InputError(f"there is no file {path}") from error
        except _DAMAGE as error:
            raise InputError(f"{path} is not a readable .npz file: {error}") from error
        if not isinstance(self._arrays, Mapping):
            raise InputError(f"{path} is not an .npz file, but a single array")

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return list(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def array(self, name: str, shape: tuple[int | None, ...], kinds: str = "iuf") -> NDArray[Any]:
        """Read an array.

        Args:
            name: Its name.
            shape: Its shape, None where any length will do.
            kinds: The kinds of numbers or text that are allowed, as NumPy abbreviates them.

        Raises:
            InputError: If it is not there, damaged, or of another shape or kind.
        """
        if name not in self._arrays:
            raise InputError(f"{self.path} has no array {name!r}")
        try:
            self._check_claims(name)
            array = self._arrays[name]
        except (*_DAMAGE, MemoryError) as error:
            raise InputError(f"{self.path}: the array {name!r} is damaged: {error}") from error
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = " x ".join("any" if length is None else str(length) for length in shape)
            raise InputError(
                f"{self.path}: {name!r} must have the shape {wanted}; it has "
                f"{' x '.join(map(str, array.shape))}"
            )
        if array.dtype.kind not in kinds:
            raise InputError(f"{self.path}: {name!r} has entries of the wrong type {array.dtype}")
        return array

    def _check_claims(self, name: str) -> None:
        """Refuse an array that claims to be larger than it is, before there is room made for it.

        Raises:
            ValueError: If it does.
        """
        members = self._archive.namelist()
        member = self._archive.getinfo(name if name in members else f"{name}.npy")
        if member.file_size > max(_HARMLESS, _MOST_COMPRESSED * self._size):
            raise ValueError(f"it would unpack to {member.file_size} bytes")
        with self._archive.open(member) as file:
            if np.lib.format.read_magic(file) == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            held = member.file_size - file.tell()
        claimed = max(dtype.itemsize, 1) * math.prod(shape)
        if claimed > held or max(shape, default=0) > member.file_size:
            raise ValueError(f"it claims the shape {shape} of {dtype}, and has {held} bytes")

    def accuracies(self, name: str, shape: tuple[int | None, ...], largest: float) -> NDArray[Any]:
        """Read accuracies from 0 to ``largest``, NaN where there is none, as float64.

        Raises:
            InputError: As `array` does, and if an accuracy is out of range.
        """
        values = self.array(name, shape).astype(float)
        wrong = (values < 0) | (values > largest)  # False for NaN
        if wrong.any():
            raise InputError(
                f"{self.path}: {name!r} holds {values[wrong][0]:g}, which is no accuracy from 0 "
                f"to {largest:g}"
            )
        return values
