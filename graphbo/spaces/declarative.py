"""Search spaces from the settings of a declarative file."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphbo.errors import InputError
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.chain import ChainSpace
from graphbo.spaces.darts import DARTSSpace
from graphbo.spaces.enas import ENASMacroSpace
from graphbo.spaces.hierarchical import HierarchicalSpace
from graphbo.spaces.nasbench101 import NASBench101Space
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.spaces.randomly_wired import RandomlyWiredSpace
from graphbo.spaces.regnet import RegNetSpace

SPACES: Mapping[str, Callable[..., SearchSpace]] = {
    "cell": CellSpace,
    "chain": ChainSpace,
    "darts": DARTSSpace,
    "enas": ENASMacroSpace,
    "hierarchical": HierarchicalSpace,
    "nasbench101": NASBench101Space,
    "nasbench201": NASBench201Space,
    "randomly-wired": RandomlyWiredSpace,
    "regnet": RegNetSpace,
}
_LISTS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "Sequence[str]": ("strings", (str,)),
    "Sequence[int]": ("whole numbers", (int,)),
    "Sequence[float]": ("numbers", (int, float)),
}
"""What a list holds, in words and in types, by the annotation of the argument."""
_LARGEST = 200


def space_from_settings(settings: Mapping[str, Any], *, where: str = "[space]") -> SearchSpace:
    """Build a search space from settings, such as the ``[space]`` table of a TOML file.

    Args:
        settings: ``type`` is one of ``"cell"``, ``"chain"``, ``"darts"``, ``"enas"``,
            ``"hierarchical"``, ``"nasbench101"``, ``"nasbench201"``, ``"randomly-wired"`` and
            ``"regnet"``; the others are the arguments of that space's class.
        where: How error messages call the settings.

    Raises:
        InputError: If a setting is missing, unknown, or has a value that cannot be used.

    Example:
        >>> space_from_settings(
        ...     {"type": "cell", "nodes": 4, "operations": ["conv3x3", "skip"], "on": "edges"}
        ... )
        CellSpace(4, ['conv3x3', 'skip'], on='edges')
    """
    kind = settings.get("type", "")
    if not isinstance(kind, str) or kind not in SPACES:
        given = f"= {kind!r} is unknown" if kind else "is missing"
        raise InputError(f"{where}: type {given}; it is one of {list(SPACES)}")
    arguments = {key: value for key, value in settings.items() if key != "type"}
    parameters = inspect.signature(SPACES[kind]).parameters
    check_keys(arguments, parameters, where)
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in arguments:
            raise InputError(f"{where}: a space of type {kind!r} needs the key {key!r}")
    for key, value in arguments.items():
        _check_value(key, value, str(parameters[key].annotation), where)
    try:
        return SPACES[kind](**arguments)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise an `InputError` that names the first unknown key, and the nearest known one."""
    names = list(known)
    for key in given:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the keys are {names}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")


def _check_value(key: str, value: object, annotation: str, where: str) -> None:
    if annotation in _LISTS:
        wanted, kinds = _LISTS[annotation]
        if not isinstance(value, list) or not all(type(item) in kinds for item in value):
            raise InputError(f"{where}: {key} must be a list of {wanted}; got {value!r}")
    elif annotation in ("int", "int | None"):
        if type(value) is not int:
            raise InputError(f"{where}: {key} must be a whole number; got {value!r}")
        if value > _LARGEST:  # what a table from elsewhere claims must not fill the memory
            raise InputError(f"{where}: {key} must be at most {_LARGEST}; got {value}")
    elif not isinstance(value, str):
        raise InputError(f"{where}: {key} must be a string; got {value!r}")
