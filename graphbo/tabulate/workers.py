"""Worker processes that end with whoever started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

from graphbo.errors import InputError


class Workers:
    """Processes with one thread of the CPU each.

    As a context, it ends them at once if what it encloses ends early, whatever they are at. They
    end by themselves if this process is killed. Ctrl-C is left to this process.

    Args:
        count: How many.

    Example:
        >>> with Workers(2) as workers:
        ...     with workers.submitting():
        ...         futures = [workers.pool.submit(math.factorial, n) for n in range(100)]
        ...     done = [future.result() for future in futures]
    """

    def __init__(self, count: int) -> None:
        context = get_context("spawn")
        self.counter: Synchronized[int] = context.Value("q", 0)
        """What all workers have counted with `advance`."""
        reading, self._alive = context.Pipe(duplex=False)
        self.pool = ProcessPoolExecutor(count, context, _start, (reading, self.counter))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._alive.close()
        self.pool.shutdown(wait=True, cancel_futures=kind is not None)
        self._alive.close()

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Submit inside: processes that start here never see Ctrl-C, not even at their start."""
        mask = getattr(signal, "pthread_sigmask", None)
        if mask is None:  # Windows
            yield
            return
        before = mask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            mask(signal.SIG_SETMASK, before)


_counter: Synchronized[int] | None = None


def advance(steps: int) -> None:
    """Count further steps, in a worker."""
    if _counter is None:
        raise InputError("steps are counted in workers only")
    with _counter.get_lock():
        _counter.value += steps


def _start(reading: Connection, counter: Synchronized[int]) -> None:
    import torch

    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked
    threading.Thread(target=_end_with, args=(reading,), daemon=True).start()
    torch.set_num_threads(1)


def _end_with(reading: Connection) -> None:
    """End this process as soon as nobody holds the other end of the pipe."""
    try:
        reading.recv()
    except EOFError:
        os._exit(1)
