"""Processes of which one may die without the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from graphbo.errors import InputError, MissingExtraError
from graphbo.executors import ProcessExecutor, WorkerDiedError


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2) as two:
        yield two


def result(future: Future[Any]) -> Any:
    return future.result(timeout=60)


def wait_until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_calls_run_in_other_processes_as_many_at_once_as_there_are(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    def meet(own: str, other: str) -> int:
        (tmp_path / own).touch()
        while not (tmp_path / other).exists():  # neither ends unless both run
            time.sleep(0.01)
        return os.getpid()

    first, second = executor.submit(meet, "a", "b"), executor.submit(meet, "b", "a")
    pids = {result(first), result(second)}
    assert pids == set(executor.pids)
    assert os.getpid() not in pids
    assert len(pids) == 2


def test_what_a_call_raises_is_raised_here_with_where_it_was_raised(
    executor: ProcessExecutor,
) -> None:
    def fail() -> None:
        raise MissingExtraError("ray", "ray")

    with pytest.raises(MissingExtraError, match="pip install") as caught:
        result(executor.submit(fail))
    assert "in fail" in caught.value.__notes__[0]


def test_what_cannot_be_sent_back_is_an_error_of_its_call_alone(executor: ProcessExecutor) -> None:
    with pytest.raises(TypeError, match="pickle"):
        result(executor.submit(threading.Lock))

    class HomeMadeError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    def fail() -> None:
        raise HomeMadeError(1, 2)

    with pytest.raises(RuntimeError, match="1 and 2"):
        result(executor.submit(fail))
    assert result(executor.submit(abs, -1)) == 1


def test_what_cannot_be_sent_is_refused(executor: ProcessExecutor) -> None:
    with pytest.raises(InputError, match="cannot be sent to another process"):
        executor.submit(len, threading.Lock())


def test_what_a_call_prints_does_not_get_between_the_answers(
    executor: ProcessExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    def loud() -> str:
        print("hello")
        os.system("echo from a child")
        return input() if False else "done"

    assert result(executor.submit(loud)) == "done"


def test_a_call_that_exits_or_is_killed_takes_only_itself_along(executor: ProcessExecutor) -> None:
    other = executor.submit(time.sleep, 0.3)
    with pytest.raises(SystemExit):
        result(executor.submit(sys.exit, 3))
    with pytest.raises(WorkerDiedError, match="exit code 4"):
        result(executor.submit(os._exit, 4))
    with pytest.raises(WorkerDiedError, match="was killed"):
        result(executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL)))
    with pytest.raises(WorkerDiedError, match="SIGSEGV"):
        result(executor.submit(lambda: os.kill(os.getpid(), signal.SIGSEGV)))
    assert result(other) is None
    assert result(executor.submit(abs, -2)) == 2


def test_cancelling_a_call_that_runs_ends_its_process_and_what_that_started(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"

    def hang() -> None:
        child = subprocess.Popen(["sleep", "60"])
        pids.write_text(f"{os.getpid()} {child.pid}")
        while True:
            pass

    future = executor.submit(hang)
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    assert future.cancel()
    with pytest.raises(WorkerDiedError):
        result(future)
    worker, child = map(int, pids.read_text().split())
    wait_until(lambda: not alive(worker) and not alive(child))
    assert not future.cancel()
    assert result(executor.submit(abs, -3)) == 3


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except OSError:
        return False
    return state != "Z"


def test_each_worker_sees_one_device_and_its_share_of_the_threads() -> None:
    def seen() -> tuple[str | None, str | None]:
        time.sleep(0.2)
        return os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")

    with ProcessExecutor(3, devices=[5, "7"], threads=2) as three:
        found = [result(future) for future in [three.submit(seen) for _ in range(3)]]
    assert sorted(found) == [("5", "2"), ("5", "2"), ("7", "2")]


def test_after_a_shutdown_nothing_is_taken_and_no_process_is_left(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    running, waiting = executor.submit(time.sleep, 0.2), executor.submit(abs, -1)
    wait_until(running.running)
    executor.shutdown(cancel_futures=True)
    assert running.done()
    assert waiting.cancelled()
    assert executor.pids == []
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(abs, -1)


def test_processes_end_with_the_one_that_started_them() -> None:
    script = (
        "import time, threading\n"
        "from graphbo.executors import ProcessExecutor\n"
        "executor = ProcessExecutor(1)\n"
        "executor.submit(abs, -1).result()\n"
        "print(*executor.pids, flush=True)\n"
        "executor.submit(time.sleep, 60)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        pid = int(driver.stdout.readline())
        assert alive(pid)
        driver.kill()
    wait_until(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"workers": 0}, "number of workers"), ({"workers": 1, "threads": 0}, "number of threads")],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ProcessExecutor(**arguments)  # type: ignore[arg-type]
