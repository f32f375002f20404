"""Worker processes that can be ended and replaced one by one."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from graphbo.errors import InputError
from graphbo.executors.frames import receive, send
from graphbo.executors.shipping import KEPT, Shipped, store
from graphbo.executors.worker import call

_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from graphbo.executors.worker import main; main()"
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 5.0  # seconds
_GRACE = 0.2  # until a process whose pipe was closed is gone, too


class WorkerDiedError(RuntimeError):
    """A worker process ended while it was at a call."""


class ProcessExecutor(Executor):
    """Processes on this machine, pinned one to a GPU, of which one may die without the others.

    In contrast to `concurrent.futures.ProcessPoolExecutor`, the death of a process fails the one
    call that it was at, with a `WorkerDiedError`, and a new process takes its place; ``cancel()``
    of a running future ends its process; nothing of ``__main__`` is imported again, so that scripts
    need no guard; and functions of scripts and notebooks can be called. Processes start with their
    first call, and end with this one, even if it is killed. Ctrl-C reaches this one only.

    Args:
        workers: How many.
        devices: The CUDA devices to pin workers to, in turn, as ``CUDA_VISIBLE_DEVICES`` names
            them; by default all that are visible. With more workers than devices several share one.
        threads: CPU threads of each; by default the machine's, divided among them.

    Raises:
        InputError: If there is less than one worker or thread.

    Example:
        >>> with ProcessExecutor(2) as executor:
        ...     list(executor.map(math.factorial, [3, 4]))
        [6, 24]
    """

    ships_once = True
    """Whether an evaluator reaches each worker once, instead of with each job."""

    def __init__(
        self,
        workers: int,
        *,
        devices: Sequence[str | int] | None = None,
        threads: int | None = None,
    ) -> None:
        if workers < 1:
            raise InputError(f"the number of workers must be at least 1; got {workers}")
        if threads is not None and threads < 1:
            raise InputError(f"the number of threads must be at least 1; got {threads}")
        pinned = _visible_devices() if devices is None else [str(device) for device in devices]
        each = threads or max(1, (os.cpu_count() or 1) // workers)
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._workers = [_Worker(_environment(i, pinned, each)) for i in range(workers)]
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._lock = threading.Lock()

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Future[Any]:
        """Queue a call; the next free worker takes it.

        Raises:
            InputError: If what is to be called cannot be pickled.
            RuntimeError: After `shutdown`.
        """
        shipped = [each for each in arguments if isinstance(each, Shipped)]
        light = [each.light() if isinstance(each, Shipped) else each for each in arguments]
        for each in shipped:
            _ = each.payload  # an evaluator that cannot be pickled is refused here
        try:
            message = call(function, *light, **keywords)
        except Exception as error:
            raise InputError(f"the call cannot be sent to another process ({error})") from error
        waiting = _Call(message, shipped)
        with self._lock:
            if self._closed:
                raise RuntimeError("this executor was shut down")
            if len(self._threads) < len(self._workers):
                worker = self._workers[len(self._threads)]
                thread = threading.Thread(target=worker.serve, args=(self._queue,), daemon=True)
                self._threads.append(thread)
                thread.start()
            self._queue.put(waiting)
        return waiting.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes once all calls are done, or those that run if the rest is cancelled."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if cancel_futures:
                    self._drop_waiting()
                for _ in self._threads:
                    self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _drop_waiting(self) -> None:
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if waiting is not None:
                waiting.future.cancel()

    @property
    def pids(self) -> list[int]:
        """The processes that live now."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]


class _CallFuture(Future[Any]):
    """A future whose call can be ended while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.worker: _Worker | None = None
        self.started: float | None = None
        """When a worker that was ready got the call, on the monotonic clock."""

    def cancel(self) -> bool:
        """Cancel the call, or end the process that is at it; it then fails."""
        worker = self.worker
        return super().cancel() or (worker is not None and worker.kill(self))


class _Call:
    """A call that waits for a worker."""

    def __init__(self, message: bytes, shipped: Sequence[Shipped]) -> None:
        self.message = message
        self.shipped = shipped
        self.future = _CallFuture()


class _Worker:
    """One process at a time, and the thread of the driver that serves it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._stored: list[str] = []  # as the process has them, the last used at the end
        self._current: Future[Any] | None = None
        self._killed = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def serve(self, calls: queue.SimpleQueue[_Call | None]) -> None:
        """Carry out calls until there is a None among them."""
        while (waiting := calls.get()) is not None:
            if waiting.future.set_running_or_notify_cancel():
                self._carry_out(waiting)
        self._end(_PATIENCE)

    def kill(self, future: Future[Any]) -> bool:
        """End the process if it is at this call, else return False."""
        with self._lock:
            if self._current is not future or self._process is None:
                return False
            self._killed = True
            _kill(self._process)
            return True

    def _carry_out(self, waiting: _Call) -> None:
        future = waiting.future
        try:
            process = self._running()
            with self._lock:
                self._current = future
            future.worker = self
            result, error = self._exchange(process, waiting)
        except (EOFError, OSError):
            error = WorkerDiedError(f"the worker process {self._ended()}")
        except Exception as problem:  # such as a result that cannot be unpickled here
            error = problem
        finally:
            with self._lock:
                self._current = None
            future.worker = None
            if self._killed:  # even if its answer came first, it takes no further call
                self._end(0)
            self._killed = False
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _exchange(
        self, process: subprocess.Popen[bytes], waiting: _Call
    ) -> tuple[Any, BaseException | None]:
        assert process.stdin is not None
        assert process.stdout is not None
        for each in waiting.shipped:
            if each.key in self._stored:
                self._stored.remove(each.key)
            else:
                send(process.stdin, call(store, each.key, each.payload))
                _, error = pickle.loads(receive(process.stdout))
                if error is not None:
                    return None, error
            self._stored = [*self._stored, each.key][-KEPT:]
        waiting.future.started = time.monotonic()
        send(process.stdin, waiting.message)
        result, error = pickle.loads(receive(process.stdout))
        return result, error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end(0)  # it died while it had nothing to do
        if self._process is None:
            self._stored = []
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        return self._process

    def _ended(self) -> str:
        """Return how the process ended; it may have closed its pipe only."""
        code = self._end(0)
        if code == -signal.SIGKILL:
            return "was killed, by someone or by the system for want of memory"
        if code is not None and code < 0:
            return f"ended by the signal {signal.Signals(-code).name}"
        return "could not be started" if code is None else f"ended by itself with exit code {code}"

    def _end(self, patience: float) -> int | None:
        """Let the process end, for so many seconds by itself; return its exit code."""
        process = self._process
        if process is None:
            return None
        self._process = None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()  # which tells it to end
        try:
            code = process.wait(patience or _GRACE)
        except subprocess.TimeoutExpired:
            code = None
        _kill(process)  # and what it has started
        process.stdout.close()
        return process.wait() if code is None else code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started: it leads a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(index: int, devices: Sequence[str], threads: int) -> dict[str, str]:
    chosen = {name: str(threads) for name in _THREADS}
    if devices:
        chosen["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
    return chosen


def _visible_devices() -> list[str]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return [name for name in named if name] or [str(index) for index in range(count)]
