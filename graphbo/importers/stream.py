"""Files that say how far they have been read."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


class CountedFile(io.FileIO):
    """A file that reports its position, in MiB, when it is read.

    Args:
        path: The file.
        progress: Called whenever another MiB has been read.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path)
        self._progress = progress
        self._total = max(1, path.stat().st_size >> 20)
        self._shown = -1

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]
        """Read as `io.FileIO` does, and report."""
        count = super().readinto(buffer)
        done = min(self.tell() >> 20, self._total)
        if done != self._shown:
            self._shown = done
            self._progress(done, self._total)
        return count
