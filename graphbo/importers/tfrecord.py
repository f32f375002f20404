"""The framing of TensorFlow's record files, with their checksums."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphbo.errors import InputError
from graphbo.importers.stream import CountedFile, Progress, no_progress

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_BLOCK = 1024
_LARGEST = 1 << 26


def _tables() -> NDArray[np.uint32]:
    """Return what a byte adds to the checksum, by how many bytes follow it and its value."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    tables = np.empty((_BLOCK, 256), np.uint32)
    tables[0] = table
    for i in range(1, _BLOCK):
        tables[i] = (tables[i - 1] >> 8) ^ table[tables[i - 1] & 0xFF]
    return tables


_TABLES = _tables()
_FOLLOWING = np.arange(_BLOCK - 1, -1, -1)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes.

    The checksum is linear: every byte contributes by its value and its place alone, so that a block
    takes one look-up of all its bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    state = 0xFFFFFFFF
    values = np.frombuffer(data, np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].copy()
        # The state so far acts like four more bytes, added to the next ones.
        head = np.frombuffer(struct.pack("<I", state), np.uint8)[: len(block)]
        block[: len(head)] ^= head
        following = _FOLLOWING[_BLOCK - len(block) :]
        mixed = int(np.bitwise_xor.reduce(_TABLES[following, block]))
        state = mixed ^ (state >> (8 * len(block)) if len(block) < 4 else 0)
    return state ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """Return the checksum as record files store it: rotated, and with a constant added."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path, progress: Progress = no_progress) -> Iterator[bytes]:
    """Yield the records of a file one by one.

    Each is framed by its length (8 bytes), the checksum of the length, and its own checksum (4
    bytes each), all little-endian.

    Args:
        path: The file.
        progress: Called with how many MiB have been read, and of how many.

    Raises:
        InputError: If the file is cut off or a checksum does not match.
    """
    with io.BufferedReader(CountedFile(path, progress), 1 << 20) as file:
        number = 0
        while header := file.read(12):
            where = f"{path}, record {number}"
            if len(header) < 12:
                raise InputError(f"{where} is cut off")
            if struct.unpack("<I", header[8:])[0] != masked_crc(header[:8]):
                raise InputError(f"{where}: the checksum of the length does not match")
            (length,) = struct.unpack("<Q", header[:8])
            if length > _LARGEST:
                raise InputError(f"{where} claims to have {length} bytes")
            data, footer = file.read(length), file.read(4)
            if len(data) < length or len(footer) < 4:
                raise InputError(f"{where} is cut off")
            if struct.unpack("<I", footer)[0] != masked_crc(data):
                raise InputError(f"{where}: the checksum of the content does not match")
            yield data
            number += 1
