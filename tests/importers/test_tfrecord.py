"""The framing of record files."""

from __future__ import annotations

import doctest
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import graphbo.importers.tfrecord
from graphbo.errors import InputError
from graphbo.importers.tfrecord import crc32c, masked_crc, records


def slow_crc(data: bytes) -> int:
    """The definition: division of polynomials, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checksums = struct.pack("<I", masked_crc(length)), struct.pack("<I", masked_crc(data))
    return length + checksums[0] + data + checksums[1]


@given(st.binary(max_size=80))
@example(bytes(range(256)) * 9)
@example(b"x" * 1025)
@example(b"x" * 2047)
def test_the_checksum_is_that_of_the_definition(data: bytes) -> None:
    assert crc32c(data) == slow_crc(data)


def test_the_checksum_of_published_examples() -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_records_are_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("records") / "x.tfrecord"
    path.write_bytes(b"".join(map(frame, contents)))
    seen: list[tuple[int, int]] = []
    assert list(records(path, lambda done, total: seen.append((done, total)))) == contents
    assert seen == [(0, 1)]


def test_every_cut_and_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    content = frame(b"first") + frame(b"second")
    for end in range(len(frame(b"first")) + 1, len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"x\.tfrecord, record 1 is cut off"):
            list(records(path))
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(InputError, match=f"record {int(place >= 21)}.*does not match"):
            list(records(path))


def test_absurd_lengths_are_refused(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 40)
    (tmp_path / "x").write_bytes(length + struct.pack("<I", masked_crc(length)))
    with pytest.raises(InputError, match="record 0 claims to have 1099511627776 bytes"):
        list(records(tmp_path / "x"))


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(graphbo.importers.tfrecord).failed == 0
