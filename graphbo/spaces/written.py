"""Designs as a user writes them down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.nasbench201 import NASBench201Space

Written = Architecture | Design | str | Mapping[str, object]
"""An architecture, also as a string, or a configuration."""

_SHOWN = 80
_GRAPH = {"nodes", "edges"}


def read_architecture(written: object) -> Architecture:
    """Return an architecture that may be written as a string.

    Args:
        written: The architecture, a string that `Architecture.to_string` wrote, or one of
            NAS-Bench-201 (``"|conv~0|+..."``).

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(written, Architecture):
        return written
    text = str(written).strip()
    return NASBench201Space.parse(text) if text.startswith("|") else Architecture.from_string(text)


def written_designs(space: SearchSpace, entries: Sequence[Written], origin: str) -> list[Design]:
    """Return the designs of a space that a user lists.

    Args:
        space: The space.
        entries: Architectures, also as strings or as mappings with ``nodes`` and ``edges``;
            configurations, mappings from the names of decisions and hyperparameters to what is
            chosen; or designs. Beside an architecture alone stand the default hyperparameters.
        origin: The origin of the designs.

    Raises:
        InputError: If one cannot be read, is not of the space, or stands there twice.
    """
    if isinstance(entries, str | Mapping):
        raise InputError(f"the {origin} designs are a list; got {_short(entries)}")
    found: dict[Design, int] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            design = _design(space, entry).described(origin)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"entry {number} of the {origin} designs, {_short(entry)}, is none of the space "
                f"{space.name}: {error}"
            ) from error
        if design in found:
            raise InputError(
                f"entry {number} of the {origin} designs, {_short(entry)}, is the same design as "
                f"entry {found[design]}; leave one of them out"
            )
        found[design] = number
    return list(found)


def read_entries(path: str | Path) -> list[Written]:
    """Return the entries of a JSON file, for `written_designs`.

    Args:
        path: A file with a list of architectures, as strings or objects, and configurations.

    Raises:
        InputError: If there is no such file, or it holds no such list.
    """
    wanted = "a JSON list of architectures or configurations"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as {wanted}: {error}") from error
    if not isinstance(content, list) or not content:
        raise InputError(f"{path} must hold {wanted}, one at least; it holds {_short(content)}")
    return content


def _design(space: SearchSpace, entry: Written) -> Design:
    if isinstance(entry, Mapping) and set(entry) != _GRAPH:
        return space.from_configuration(entry)
    if isinstance(entry, Design):
        return _member(space, entry)
    if isinstance(entry, Mapping):
        entry = json.dumps(dict(entry))
    if not isinstance(entry, Architecture | str):
        raise TypeError("it is neither an architecture nor a configuration")
    return space.design_of(read_architecture(entry))


def _member(space: SearchSpace, design: Design) -> Design:
    """Return a design of the space that equals one of the user's own making."""
    found = space.design_of(design.architecture)
    if space.hyperparameters is None:
        if design.hyperparameters:
            raise ValueError("the space has no hyperparameters")
        return found
    values = space.hyperparameters.read(design.hyperparameters)
    found = replace(found, hyperparameters=values)
    if space.enumerable and found not in space.enumerate():
        raise ValueError("it is not in the pool")
    return found


def _short(entry: object) -> str:
    text = entry.to_string() if isinstance(entry, Architecture) else repr(entry)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
