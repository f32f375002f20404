"""Reading pickles that strangers wrote: numbers, text and containers, and nothing else.

A pickle is a program that may call whatever it names. Here it can name only what is listed below;
any other name is refused before anything of it is imported or called.
"""

from __future__ import annotations

import pickle
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

import numpy as np

from graphbo.errors import InputError

_KINDS = "biufSU"
OnEntry = Callable[[Any, Any], None]


class _DType:
    """What a pickled ``numpy.dtype`` says, without giving NumPy a state that a stranger made."""

    def __init__(self, name: str, *flags: bool) -> None:
        self.value = np.dtype(str(name))
        if self.value.kind not in _KINDS or self.value.names or self.value.subdtype:
            raise InputError(f"it holds NumPy entries of the type {name!r}, which are not read")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.value = self.value.newbyteorder(state[1])


class _List(list[Any]):
    """A pickled ``numpy.ndarray``, which becomes a (nested) list."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if max(shape, default=0) > len(data):  # such as 10^9 x 0, which would be as many lists
            raise InputError(f"it holds an array that claims the shape {shape}")
        values = np.frombuffer(data, dtype.value)
        self[:] = values.reshape(shape, order="F" if fortran else "C").tolist()


def _reconstruct(kind: type, *arguments: Any) -> _List:
    if kind is not _List:
        raise InputError("it holds a NumPy array of an unknown class")
    return _List()


def _scalar(dtype: _DType, data: bytes) -> Any:
    return np.frombuffer(data, dtype.value, count=1)[0].item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode``, which protocol 2 writes for bytes."""
    return text.encode("latin1" if encoding in ("latin1", "latin-1") else "ascii")


_MULTIARRAY: Mapping[str, Any] = {"_reconstruct": _reconstruct, "scalar": _scalar}
_NAMES: Mapping[str, Mapping[str, Any]] = {
    "collections": {"OrderedDict": OrderedDict},
    "builtins": {"set": set, "frozenset": frozenset},
    "_codecs": {"encode": _encode},
    "numpy": {"dtype": _DType, "ndarray": _List},
    "numpy.core.multiarray": _MULTIARRAY,
    "numpy._core.multiarray": _MULTIARRAY,
}


def _find(module: str, name: str) -> Any:
    module = "builtins" if module == "__builtin__" else module  # its name in protocols 0 to 2
    found = _NAMES.get(module, {}).get(name)
    if found is None:
        raise InputError(f"it holds {module}.{name}, which is neither number, text nor container")
    return found


def _refuse_reference(reference: object) -> Any:
    raise InputError("it refers to tensors, such as trained weights; take the file without them")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)

    def persistent_load(self, pid: object) -> Any:
        return _refuse_reference(pid)


def load(file: IO[bytes]) -> Any:
    """Read one object.

    Raises:
        InputError: If the pickle names anything that is not listed, or is damaged.
    """
    return _checked(_Unpickler(file).load)


def load_small(file: IO[bytes]) -> Any:
    """Read one object and nothing beyond it, so that what follows in the file can be read.

    Raises:
        InputError: As `load` does.
    """
    return _checked(_EntryUnpickler(file, "", lambda index, entry: None).load)


def load_entries(file: IO[bytes], key: str, on_entry: OnEntry) -> None:
    """Read the entries of a dictionary within a dictionary, one at a time.

    The pickle holds ``{..., key: {index: entry, ...}, ...}`` with dictionaries for entries. Each
    entry is dropped when it has been handed over, so that memory holds one at a time.

    Args:
        file: The pickle.
        key: Where the entries are.
        on_entry: Called with the index and the content of each.

    Raises:
        InputError: As `load` does, and if an entry refers to a container in an earlier one.
    """
    _checked(_EntryUnpickler(file, key, on_entry).load)


def _checked(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InputError:
        raise
    # Damage can make a pickle fail in any way; what can be called is known to do no harm.
    except Exception as error:
        raise InputError(f"it is damaged: {type(error).__name__}: {error}") from error


class _Memo:
    """The objects that a pickle may refer back to, by number.

    Containers are forgotten on `forget`; strings are kept once each, and a number for every place.
    """

    def __init__(self) -> None:
        self._codes = array("i")
        self._kept: list[Any] = []
        self._code_of: dict[Any, int] = {}
        self._containers: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __setitem__(self, index: int, value: Any) -> None:
        code = -1
        if isinstance(value, (dict, list, tuple, set)):
            self._containers[index] = value
        else:
            identity = value if isinstance(value, (str, bytes)) else id(value)
            code = self._code_of.setdefault(identity, len(self._kept))
            if code == len(self._kept):
                self._kept.append(value)
        if index == len(self._codes):
            self._codes.append(code)
        else:
            self._codes[index] = code

    def __getitem__(self, index: int) -> Any:
        code = self._codes[index]
        if code >= 0:
            return self._kept[code]
        if index not in self._containers:
            raise InputError("an entry refers to a container in an earlier one")
        return self._containers[index]

    def forget(self) -> None:
        self._containers.clear()


_PLAIN: Any = pickle._Unpickler.dispatch


# The unpickler in Python, because the one in C does not show what it has read so far.
class _EntryUnpickler(pickle._Unpickler):
    dispatch: ClassVar[Any] = dict(_PLAIN)
    memo: Any
    stack: list[Any]
    metastack: list[list[Any]]

    def __init__(self, file: IO[bytes], key: str, on_entry: OnEntry) -> None:
        super().__init__(file)
        self.memo = _Memo()
        self._key = key
        self._on_entry = on_entry

    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)

    def persistent_load(self, pid: object) -> Any:
        return _refuse_reference(pid)

    def _set_item(self) -> None:
        _PLAIN[pickle.SETITEM[0]](self)
        self._hand_over()

    def _set_items(self) -> None:
        _PLAIN[pickle.SETITEMS[0]](self)
        self._hand_over()

    dispatch |= {pickle.SETITEM[0]: _set_item, pickle.SETITEMS[0]: _set_items}

    def _hand_over(self) -> None:
        """Hand over the entry that has just been filled, if it is one.

        The stack is then ``..., key, entries, index, entry``, or without a mark between if the
        only one; of earlier entries there is None left.
        """
        stack = self.stack
        if len(stack) < 2 or not isinstance(stack[-2], int):
            return
        parents = self.metastack[-1] if self.metastack else []
        marked = parents[-2:-1] == [self._key] and (len(stack) == 2 or stack[-3] is None)
        if marked or stack[-4:-3] == [self._key]:
            self._on_entry(stack[-2], stack[-1])
            stack[-1] = None
            self.memo.forget()
