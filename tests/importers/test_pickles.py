"""Pickles of strangers: containers and numbers are read, anything else is refused unseen."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphbo.errors import InputError
from graphbo.importers.pickles import load, load_entries

SIMPLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


class Order:
    """A pickle that touches a file when it is read without care."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def entries(content: dict[str, Any], protocol: int = 4) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    stream = io.BytesIO(pickle.dumps(content, protocol))
    load_entries(stream, "all", lambda index, entry: found.append((index, entry)))
    return found


@given(SIMPLE, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_numbers_text_and_containers_are_read(content: Any, protocol: int) -> None:
    assert load(io.BytesIO(pickle.dumps(content, protocol))) == content


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_numpy_becomes_plain_numbers_and_lists(protocol: int) -> None:
    content = OrderedDict(
        scalar=np.float64(0.5),
        single=np.float32(0.25),
        whole=np.int64(-7),
        matrix=np.arange(6.0).reshape(2, 3),
        fortran=np.asfortranarray(np.arange(6).reshape(2, 3)),
        big=np.array([1, 2], ">i4"),
        some={1, 2},
    )
    read = load(io.BytesIO(pickle.dumps(content, protocol)))
    assert type(read) is OrderedDict
    assert (read["scalar"], read["single"], read["whole"]) == (0.5, 0.25, -7)
    assert type(read["scalar"]) is float
    assert read["matrix"] == [[0, 1, 2], [3, 4, 5]]
    assert read["fortran"] == [[0, 1, 2], [3, 4, 5]]
    assert read["big"] == [1, 2]
    assert read["some"] == {1, 2}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("read", [load, lambda file: load_entries(file, "all", print)])
def test_what_names_anything_else_is_refused_and_not_run(
    tmp_path: Path, protocol: int, read: Callable[[io.BytesIO], Any]
) -> None:
    trace = tmp_path / "trace"
    for function, arguments, name in (
        (os.system, (f"touch {trace}",), f"{os.system.__module__}.system"),
        (eval, (f"open({str(trace)!r}, 'w')",), "builtins.eval"),
        (getattr, ({}, "get"), "builtins.getattr"),
        (np.load, (str(trace),), "numpy.load"),
        (Path, (str(trace),), "pathlib.Path"),
    ):
        content = {"all": {0: {"x": Order(function, *arguments)}, 1: {}}}
        data = pickle.dumps(content, protocol)
        with pytest.raises(InputError, match=f"holds {name}"):
            read(io.BytesIO(data))
    assert not trace.exists()


def test_names_with_dots_do_not_reach_into_what_is_allowed() -> None:
    data = b"\x80\x04\x8c\x0bcollections\x8c\x15OrderedDict.__init__\x93."
    with pytest.raises(InputError, match=r"holds collections\.OrderedDict\.__init__"):
        load(io.BytesIO(data.replace(b"\x15", b"\x14")))


def test_numpy_objects_and_tensors_are_refused() -> None:
    with pytest.raises(InputError, match="NumPy entries of the type 'O8'"):
        load(io.BytesIO(pickle.dumps(np.array([{}], object))))
    with pytest.raises(InputError, match=r"holds torch\._utils\._rebuild_tensor_v2"):
        load(io.BytesIO(pickle.dumps({"weights": torch.zeros(2)})))
    with pytest.raises(InputError, match="refers to tensors"):
        load(io.BytesIO(b"\x80\x02U\x01xQ."))


def test_an_array_that_would_become_as_many_lists_as_it_claims_is_refused() -> None:
    data = pickle.dumps(np.zeros((77777, 0)), protocol=4)
    absurd = data.replace((77777).to_bytes(3, "little") + b"\0", (2**31 - 1).to_bytes(4, "little"))
    assert absurd != data
    with pytest.raises(InputError, match=r"claims the shape \(2147483647, 0\)"):
        load(io.BytesIO(absurd))


@given(st.binary(max_size=60))
def test_rubbish_fails_in_no_other_way(data: bytes) -> None:
    with contextlib.suppress(InputError):  # a few bytes do make a pickle
        load(io.BytesIO(data))


def test_cut_off_pickles_are_damaged() -> None:
    data = pickle.dumps({"all": {i: {"x": 1.5} for i in range(5)}})
    for end in range(len(data)):
        with pytest.raises(InputError, match="damaged"):
            load(io.BytesIO(data[:end]))
        with pytest.raises(InputError, match="damaged"):
            load_entries(io.BytesIO(data[:end]), "all", lambda index, entry: None)


# Entry by entry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 1000, 1001, 2500])
@pytest.mark.parametrize("width", [1, 2])
def test_every_entry_is_handed_over_once(protocol: int, count: int, width: int) -> None:
    shared = "a string of all", np.float64(1)
    expected = [
        (i, {f"{w}": {"name": shared[0], "value": i / 3, "number": 1.0} for w in range(width)})
        for i in range(count)
    ]
    given = {
        i: {f"{w}": {"name": shared[0], "value": i / 3, "number": shared[1]} for w in range(width)}
        for i in range(count)
    }
    content = {"before": ["x", {7: {"y": 1}}], "all": given, "after": {1, 2}}
    assert entries(content, protocol) == expected


def test_ordered_dictionaries_hold_entries_too() -> None:
    content = {"all": OrderedDict({3: OrderedDict(a={"b": {0: {1: 2.5}}}), 4: OrderedDict(a=1)})}
    assert entries(content) == [(3, {"a": {"b": {0: {1: 2.5}}}}), (4, {"a": 1})]


def test_entries_are_dropped_when_they_were_handed_over() -> None:
    shared = [1, 2]
    with pytest.raises(InputError, match="refers to a container in an earlier one"):
        entries({"all": {0: {"x": shared}, 1: {"x": shared}}})
    assert entries({"all": {0: {"x": shared, "y": shared}}}) == [(0, {"x": [1, 2], "y": [1, 2]})]
