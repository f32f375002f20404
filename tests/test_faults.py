"""Faults that are really caused: killed drivers and workers, hanging evaluations, full disks."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.budget import Spending
from graphbo.errors import InputError
from graphbo.evaluators import FunctionEvaluator
from graphbo.executors import ProcessExecutor
from graphbo.optimizers import Optimizer, RandomSearch, RegularizedEvolution
from graphbo.spaces import CellSpace, Design
from graphbo.study import Study
from graphbo.trial import Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")


def error(architecture: Architecture) -> float:
    return 100.0 / (1 + sum(2 + (label == "conv") for *_, label in architecture.edges))


def study(
    objective: Callable[[Architecture], float] = error,
    *,
    seed: int = 0,
    optimizer: Optimizer | None = None,
    **settings: Any,
) -> Study:
    """A study by an optimiser that depends on its seed and on the order of the results."""
    optimizer = optimizer or RegularizedEvolution(SPACE, seed=seed, population=6, sample=3)
    return Study(SPACE, FunctionEvaluator(objective), optimizer, seed=seed, **settings)


def history(trials: Sequence[Trial]) -> list[tuple[Any, ...]]:
    """What must not depend on when the search was interrupted."""
    return [(t.number, t.ask, t.design.row, t.design.origin, t.seed, t.value) for t in trials]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2) as two:
        yield two


def sleepy(seconds: float) -> Callable[[Architecture], float]:
    def objective(architecture: Architecture) -> float:
        time.sleep(seconds)
        return error(architecture)

    return objective


# The driver ------------------------------------------------------------------------------------

# One process imports everything; each driver is a child of it, so that twenty start in no time.
DRIVERS = """
import os, sys, time
sys.path.insert(0, {folder!r})
from test_faults import sleepy, study

def drive():
    search = study(sleepy(0.02), seed=5, storage=sys.argv[1])
    print("ready", flush=True)
    search.run(trials=60, callback=lambda trial: print(trial.number, flush=True))
    print("done", flush=True)

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        drive()
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("over", flush=True)
"""


def test_twenty_kills_of_the_driver_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    path, script = tmp_path / "study.sqlite", tmp_path / "script.py"
    script.write_text(DRIVERS.format(folder=str(Path(__file__).parent)))
    rng = random.Random(0)
    printed: list[str] = []
    kills = 0
    with subprocess.Popen(
        [sys.executable, str(script), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        while "done" not in printed:
            nursery.stdin.write("next\n")
            lines = iter(nursery.stdout.readline, "over\n")
            first = {next(lines), next(lines)}
            pid = int((first - {"ready\n"}).pop())
            if kills < 20:
                time.sleep(rng.uniform(0.0, 0.08))
                os.kill(pid, signal.SIGKILL)
                kills += 1
            printed += [line.strip() for line in lines]
        nursery.stdin.close()
    printed.remove("done")
    assert kills == 20

    resumed = study(storage=path, seed=5)
    assert history(resumed.trials) == history(study(seed=5).run(trials=60).trials)
    resumed.close()
    # Each trial was reported at most once: the one stored just before a kill may not have been.
    assert len(printed) == len(set(printed))
    assert len(printed) >= 60 - kills


# Workers ---------------------------------------------------------------------------------------


def test_killed_workers_cost_attempts_but_no_trials(
    processes: ProcessExecutor, tmp_path: Path
) -> None:
    path = tmp_path / "study.sqlite"
    rng = random.Random(0)
    killed: set[int] = set()

    def kill(trial: Trial) -> None:
        if trial.number in (4, 9, 14):
            time.sleep(0.02)
            pid = rng.choice(processes.pids)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    search = study(sleepy(0.05), storage=path, executor=processes, workers=2, retries=5)
    result = search.run(trials=20, callback=kill)
    search.close()
    assert len(killed) == 3
    assert sorted(trial.number for trial in result.trials) == list(range(20))
    assert result.failed == 0
    assert 1 <= sum(trial.attempts - 1 for trial in result.trials) <= 3
    resumed = study(sleepy(0.05), storage=path)
    assert [t.attempts for t in resumed.trials] == [t.attempts for t in result.trials]
    resumed.close()


def test_an_evaluation_that_always_kills_its_worker_is_a_failed_trial(
    processes: ProcessExecutor,
) -> None:
    def objective(architecture: Architecture) -> float:
        if len(architecture.edges) % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    result = study(objective, executor=processes, workers=2, retries=1).run(trials=6)
    assert len(result.trials) == 6
    for trial in result.trials:
        fatal = len(trial.design.architecture.edges) % 2 == 1
        assert trial.state == ("failed" if fatal else "completed")
        assert trial.attempts == (2 if fatal else 1)
        assert fatal == ("WorkerDiedError" in (trial.error or ""))
    assert 0 < result.failed < 6


def test_an_evaluation_that_hangs_is_a_failed_trial_and_the_others_go_on() -> None:
    def objective(architecture: Architecture) -> float:
        while len(architecture.edges) == 2:
            pass
        return float(len(architecture.edges))

    result = study(objective, timeout=0.6).run(trials=15)
    hung = [trial for trial in result.trials if trial.error]
    assert hung
    for trial in hung:
        assert len(trial.design.architecture.edges) == 2
        assert trial.error == "TimeoutError: there was no result within 0.6 s"
        assert trial.started is not None
        assert trial.finished is not None
        assert trial.finished - trial.started >= 0.6
    assert len(result.trials) == 15


def test_an_evaluation_that_runs_out_of_memory_is_a_failed_trial() -> None:
    def objective(architecture: Architecture) -> float:
        if len(architecture.edges) % 2:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
            try:
                return float(np.ones(2**28).sum())
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        return 1.0

    with ProcessExecutor(1) as one:
        result = study(objective, executor=one).run(trials=8)
    assert 0 < result.failed < 8
    for trial in result.trials:
        assert (trial.state == "failed") == (len(trial.design.architecture.edges) % 2 == 1)
        assert trial.error is None or "MemoryError" in trial.error
        assert trial.attempts == 1


# Asynchrony ------------------------------------------------------------------------------------


def test_no_worker_waits_for_the_slowest() -> None:
    """One evaluation takes as long as all of the others together."""
    release = threading.Event()

    def objective(architecture: Architecture) -> float:
        if threading.current_thread() is slow.get("thread"):
            release.wait(20)
        return error(architecture)

    slow: dict[str, Any] = {}

    def first(architecture: Architecture) -> float:
        slow.setdefault("thread", threading.current_thread())
        return objective(architecture)

    def callback(trial: Trial) -> None:
        if len(search.trials) == 19:
            release.set()

    with ThreadPoolExecutor(4) as executor:
        search = study(first, executor=executor, workers=4)
        result = search.run(trials=20, callback=callback)
    assert result.trials[-1].number < 4
    assert [trial.number for trial in result.trials] != sorted(t.number for t in result.trials)


class Recording(RegularizedEvolution):
    """Notes what was pending at each ask, and whether anything came in between."""

    name = "recording"

    def __init__(self, seed: int = 0, seconds: float = 0.0) -> None:
        super().__init__(SPACE, seed=seed, population=6, sample=3)
        self.seconds = seconds
        self.pending_at: list[int] = []
        self.disturbed = False

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        before = len(self.told)
        self.pending_at.append(len(self.pending))
        time.sleep(self.seconds)
        chosen = super()._propose(n, rng)
        self.disturbed |= len(self.told) != before
        return chosen


def test_the_optimiser_knows_what_is_pending_and_is_told_nothing_while_it_thinks() -> None:
    optimizer = Recording(seconds=0.02)
    with ThreadPoolExecutor(3) as executor:
        search = study(sleepy(0.01), optimizer=optimizer, executor=executor, workers=3)
        result = search.run(trials=30)
    assert len(result.trials) == 30
    assert max(optimizer.pending_at) == 2
    assert not optimizer.disturbed
    assert [t.number for t in optimizer.told] == [t.number for t in result.trials]
    assert optimizer.pending == []


def test_designs_proposed_ahead_keep_workers_busy_while_the_optimiser_thinks() -> None:
    def took(ahead: int) -> float:
        optimizer = Recording(seconds=0.03)
        with ThreadPoolExecutor(1) as executor:
            search = study(sleepy(0.03), optimizer=optimizer, executor=executor, ahead=ahead)
            start = time.monotonic()
            assert len(search.run(trials=12).trials) == 12
        assert max(optimizer.pending_at) == ahead
        return time.monotonic() - start

    assert took(ahead=1) < 0.8 * took(ahead=0)


def test_designs_that_a_worker_waits_for_are_not_kept_back_for_those_ahead() -> None:
    asked = []

    class Counting(Recording):
        def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
            asked.append(n)
            return super()._propose(n, rng)

    optimizer = Counting(seconds=0.05)
    with ThreadPoolExecutor(2) as executor:
        search = study(sleepy(0.005), optimizer=optimizer, executor=executor, workers=2, ahead=6)
        assert len(search.run(trials=30).trials) == 30
    assert asked[0] == 2 + 6
    assert max(asked[1:]) <= 2


@pytest.mark.parametrize(("trials", "times"), [(2, 0), (6, 1)])
def test_the_optimiser_is_warmed_up_beside_the_first_evaluations_if_it_is_asked_again(
    trials: int, times: int
) -> None:
    calls = []

    class Slow(RandomSearch):
        def warm_up(self) -> None:
            calls.append(len(self.pending))

    with ThreadPoolExecutor(2) as executor:
        study(sleepy(0.01), optimizer=Slow(SPACE), executor=executor, workers=2).run(trials=trials)
    assert calls == [2] * times


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_study_with_workers_is_resumed_from_any_moment(ahead: int, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    stops = 0
    while True:

        def stop(trial: Trial, calls: Iterator[int] = iter(range(4))) -> None:  # noqa: B008
            if next(calls) == 3:
                raise KeyboardInterrupt

        with ThreadPoolExecutor(3) as executor:
            search = study(sleepy(0.002), storage=path, executor=executor, workers=3, ahead=ahead)
            try:
                search.run(trials=20, callback=stop)
                break
            except KeyboardInterrupt:
                stops += 1
            finally:
                search.close()
    assert stops >= 2
    assert sorted(trial.number for trial in search.trials) == list(range(20))
    assert len({trial.design for trial in search.trials}) == 20


def test_batches_go_to_workers_and_a_space_that_ends_ends_the_run() -> None:
    sizes: list[int] = []

    def objective(architecture: Architecture) -> float:
        sizes.append(len(architecture))
        return error(architecture)

    with ThreadPoolExecutor(2) as executor:
        search = study(objective, executor=executor, workers=2, batch=5)
        result = search.run(trials=100_000)
    assert result.exhausted
    assert len(result.trials) == len(SPACE.enumerate())
    asks: dict[int, int] = {}
    for trial in result.trials:
        asks[trial.ask] = asks.get(trial.ask, 0) + 1
    assert max(asks.values()) == 10


# The disk and the clock ------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for less than a hundred pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_the_search_and_loses_nothing(small_disk: Path, workers: int) -> None:
    path, ballast = small_disk / "study.sqlite", small_disk / "ballast"
    evaluated: list[Architecture] = []

    def objective(architecture: Architecture) -> float:
        evaluated.append(architecture)
        return error(architecture)

    def callback(trial: Trial) -> None:
        if len(search.trials) >= 7 and not ballast.exists():
            fill(ballast)

    with ThreadPoolExecutor(workers) as executor:
        settings: dict[str, Any] = {"executor": executor} if workers > 1 else {}
        search = study(objective, seed=3, storage=path, workers=workers, **settings)
        with pytest.raises(
            InputError, match=r"cannot be written \(.*full\); what it holds is safe"
        ):
            search.run(trials=40, callback=callback)
    assert 7 <= len(search.trials) < 40

    # Another one finds what was stored, and this one still has the rest.
    other = study(objective, seed=3, storage=path)
    assert 7 <= len(other.trials) <= len(search.trials)
    other.close()
    ballast.unlink()
    search.executor, search.workers = None, 1
    result = search.run(trials=40)
    assert len(result.trials) == 40
    assert len(evaluated) == len(set(evaluated)) or workers > 1
    if workers == 1:
        assert history(result.trials) == history(study(seed=3).run(trials=40).trials)
    search.close()
    again = study(objective, seed=3, storage=path)
    assert history(again.trials) == history(result.trials)
    again.close()


def test_a_clock_that_is_set_back_makes_no_negative_durations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = iter(range(10_000, 0, -1))
    monkeypatch.setattr(time, "time", lambda: 3600.0 * next(hours))

    def fails(architecture: Architecture) -> float:
        raise ValueError("no")

    result = study(fails).run(trials=5)
    spending = Spending()
    for trial in result.trials:
        assert trial.started is not None
        assert trial.finished is not None
        assert 0 <= trial.finished - trial.started < 10
        spending.add(trial)
    assert 0 <= spending.seconds < 10
