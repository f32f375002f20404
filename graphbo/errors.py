"""Errors that a user can mend; the command line prints them in one line and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any


class InputError(ValueError):
    """What the user gave cannot be used; the message says what would be right."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the extra: pip install 'graphbo[{extra}]'"
        )
        self._arguments = package, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments, self.__dict__  # to travel between processes


def nearest_names(name: str, known: Sequence[str], otherwise: str) -> str:
    """Return a clause with the known names that are closest to a wrong one.

    Args:
        name: The wrong name.
        known: The right ones.
        otherwise: The clause if none of them is close.
    """
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"the nearest names are {', '.join(close)}" if close else otherwise
