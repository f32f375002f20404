"""What kills cost a study, what a trial costs beside its evaluation, and how workers scale.

Drivers are killed (SIGKILL) at random moments while they search a table, the workers of each
executor likewise; then the overhead of a trial whose evaluation takes no time; then searches whose
evaluations sleep, with 1, 2, 4 and 8 workers: the efficiency is the time that they sleep, divided
by the workers' time.

    OMP_NUM_THREADS=1 python benchmarks/faults.py
    python benchmarks/faults.py --parts kills,overhead

The optimiser shares the cores with the workers: on few of them one thread serves it best.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphbo import __version__
from graphbo.architecture import Architecture
from graphbo.evaluators import FunctionEvaluator
from graphbo.executors import ProcessExecutor, RayExecutor
from graphbo.problems.registry import get_problem
from graphbo.spaces import NASBench201Space
from graphbo.study import Study
from graphbo.trial import Evaluation, Job, Trial

OUTPUT = Path(__file__).parent / "results" / __version__ / "faults.json"
PARTS = ("kills", "workers", "overhead", "throughput")
EXECUTORS = ("processes", "ray", "dask")


def main(arguments: list[str] | None = None) -> None:
    """Cause the faults, print the figures and store them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--kills", type=int, default=20, help="of drivers, and of workers each")
    parser.add_argument("--trials", type=int, default=200, help="of each search with sleep")
    parser.add_argument("--seconds", type=float, default=1.0, help="of sleep")
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--executors", default=",".join(EXECUTORS))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.drive:
        drive(options.drive)
        return
    executors = options.executors.split(",")
    result = json.loads(options.output.read_text()) if options.output.exists() else {}
    result["command"] = "OMP_NUM_THREADS=1 python benchmarks/faults.py"
    for part in options.parts.split(","):
        if part == "kills":
            result[part] = kill_drivers(options.kills)
        elif part == "workers":
            killed = {name: kill_workers(name, options.kills) for name in executors}
            result[part] = result.get(part, {}) | killed
        elif part == "overhead":
            measured = {name: overhead(name) for name in ("none", "threads", *executors)}
            result[part] = result.get(part, {}) | measured
        else:
            for name in executors:
                for workers in map(int, options.workers.split(",")):
                    for times in (0, 1, 2) if name == "processes" else (2,):
                        ahead = times * workers
                        row = throughput(name, workers, ahead, options.trials, options.seconds)
                        result[part] = _with_row(result.get(part, []), row)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def _with_row(rows: list[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows with a new one, in place of what was measured under the same conditions."""

    def key(row: dict[str, Any]) -> tuple[int, int, int]:
        return EXECUTORS.index(row["executor"]), row["workers"], row["ahead"]

    return sorted([*(row for row in rows if key(row) != key(new)), new], key=key)


# Killed drivers --------------------------------------------------------------------------------

_TRIALS = 60


def _study(path: Path | None) -> Study:
    problem = get_problem("digits-table")
    return Study.of(problem, "graph-bo", seed=0, storage=path)


def drive(path: Path) -> None:
    """Go on with the study, and note each evaluation and each stored trial."""
    study = _study(path)
    evaluate = study.evaluator.evaluate_one

    def noted(job: Job) -> Evaluation:
        print("evaluated", job.seed, flush=True)
        time.sleep(0.05)
        return evaluate(job)

    study.evaluator.evaluate_one = noted  # type: ignore[method-assign]
    print("ready", flush=True)
    study.run(trials=_TRIALS, callback=lambda trial: print("stored", trial.seed, flush=True))
    study.close()


def kill_drivers(kills: int) -> dict[str, Any]:
    """Kill the driver of one study so often, and compare with the study that nobody disturbed."""
    rng = random.Random(0)
    killed, lines = 0, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.sqlite")
        command = [sys.executable, __file__, "--drive", str(path)]
        while True:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
                assert driver.stdout is not None
                assert driver.stdout.readline() == "ready\n"
                if killed < kills:
                    time.sleep(rng.uniform(0.0, 0.5))
                    driver.kill()
                lines += driver.stdout.read().split("\n")
            if driver.returncode == 0:
                break
            killed += 1
        found = _history(path)
    expected = _study(None).run(trials=_TRIALS).trials
    evaluated = Counter(line for line in lines if line.startswith("evaluated"))
    stored = {line.removeprefix("stored ") for line in lines if line.startswith("stored")}
    order = [line.split() for line in lines if line]
    done: set[str] = set()
    repeated = 0
    for what, seed in order:
        repeated += what == "evaluated" and seed in done
        done |= {seed} if what == "stored" else set()
    return {
        "kills": killed,
        "trials": len(found),
        "lost": _TRIALS - len(found),
        "repeated": repeated,
        "evaluations_cut_short": sum(evaluated.values()) - len(evaluated),
        "stored_unannounced": len(found) - len(stored),
        "history_unchanged": found == [(t.number, list(t.design.row), t.value) for t in expected],
    }


def _history(path: Path) -> list[tuple[int, list[int], float]]:
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT number, design, value FROM trials ORDER BY event")
        return [(number, json.loads(design), value) for number, design, value in rows]


# Executors -------------------------------------------------------------------------------------


@contextmanager
def started(name: str, workers: int) -> Iterator[Executor | None]:
    """Give an executor whose workers are ready."""
    if name == "none":
        yield None
    elif name == "threads":
        with ThreadPoolExecutor(workers) as threads:
            yield threads
    elif name == "processes":
        with ProcessExecutor(workers) as processes:
            yield _warm(processes, workers)
    elif name == "ray":
        with RayExecutor(num_cpus=workers, include_dashboard=False) as ray:
            yield _warm(ray, workers)
    else:
        from distributed import Client
        from distributed.deploy.subprocess import SubprocessCluster

        # The scheduler is a process of its own, as on a cluster.
        cluster = SubprocessCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            yield _warm(client.get_executor(), workers)


def _warm(executor: Executor, workers: int) -> Executor:
    for _ in range(2):
        for future in [executor.submit(_import) for _ in range(workers)]:
            future.result()
    return executor


def _import() -> None:
    import graphbo.executors.shipping
    import graphbo.spaces  # noqa: F401 (workers take seconds to import them)

    time.sleep(0.5)


class Sleeping(FunctionEvaluator):
    """Sleeps, and returns a number that tells its process, too."""

    def __init__(self, seconds: float) -> None:
        super().__init__(_edges)
        self.seconds = seconds

    def evaluate_one(self, job: Job) -> Evaluation:
        """Sleep."""
        time.sleep(self.seconds)
        evaluation = super().evaluate_one(job)
        return Evaluation(evaluation.objectives, self.seconds, facts={"pid": float(os.getpid())})


def _edges(architecture: Architecture) -> float:
    weight = {"nor_conv_3x3": 5.0, "nor_conv_1x1": 3.0, "skip_connect": 2.0, "avg_pool_3x3": 1.0}
    return -sum(weight.get(label, 0.0) / (1 + source) for source, _, label in architecture.edges)


def kill_workers(name: str, kills: int) -> dict[str, Any]:
    """Kill workers of a running study at random moments."""
    rng = random.Random(0)
    pids: set[int] = set()
    killed: list[int] = []
    over = threading.Event()

    def murderer() -> None:
        while len(killed) < kills and not over.wait(rng.uniform(0.2, 0.8)):
            alive = [pid for pid in pids - set(killed) if Path(f"/proc/{pid}").exists()]
            if alive:
                killed.append(rng.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

    def callback(trial: Trial) -> None:
        if trial.evaluation is not None:
            pids.add(int(trial.evaluation.facts["pid"]))

    with started(name, 4) as executor:
        study = Study(
            NASBench201Space(),
            Sleeping(0.2),
            "regularized-evolution",
            executor=executor,
            workers=4,
            retries=10,
        )
        thread = threading.Thread(target=murderer)
        thread.start()
        trials = 0
        while len(killed) < kills:
            trials += 40
            study.run(trials=trials, callback=callback)
        over.set()
        thread.join()
    result = study.result
    numbers = [trial.number for trial in result.trials]
    return {
        "kills": len(killed),
        "trials": trials,
        "lost": trials - len(set(numbers)),
        "repeated": len(numbers) - len(set(numbers)),
        "failed": result.failed,
        "further_attempts": sum(trial.attempts - 1 for trial in result.trials),
    }


# Overhead and throughput -----------------------------------------------------------------------


def overhead(name: str, trials: int = 300) -> float:
    """Return the milliseconds that a trial takes beside its evaluation, stored on disk."""
    with started(name, 1) as executor, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.sqlite")
        study = Study(NASBench201Space(), Sleeping(0), "random", executor=executor, storage=path)
        study.run(trials=20)
        before = study.result.optimizer_seconds
        start = time.perf_counter()
        study.run(trials=20 + trials)
        seconds = time.perf_counter() - start - (study.result.optimizer_seconds - before)
        study.close()
    return 1000 * seconds / trials


def throughput(name: str, workers: int, ahead: int, trials: int, seconds: float) -> dict[str, Any]:
    """Search with graph BO, and tell how much of their time the workers were at it."""
    with started(name, workers) as executor:
        study = Study(
            NASBench201Space(),
            Sleeping(seconds),
            "graph-bo",
            executor=executor,
            workers=workers,
            ahead=ahead,
        )
        start = time.perf_counter()
        result = study.run(trials=trials)
        wall = time.perf_counter() - start
    durations = [(t.finished or 0) - (t.started or 0) for t in result.trials]
    row = {
        "executor": name,
        "workers": workers,
        "ahead": ahead,
        "trials": trials,
        "seconds": wall,
        "efficiency": trials * seconds / (workers * wall),
        "optimizer_seconds": result.optimizer_seconds,
        "median_seconds_of_a_trial": statistics.median(durations),
    }
    print(json.dumps(row), flush=True)
    return row


def table(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [f"`{result['command']}`", ""]
    lines += ["| killed | kills | trials | lost | repeated |", "| --- | --: | --: | --: | --: |"]
    if "kills" in result:
        row = result["kills"]
        lines.append(
            f"| driver | {row['kills']} | {row['trials']} | {row['lost']} | {row['repeated']} |"
        )
    for name, row in result.get("workers", {}).items():
        lines.append(
            f"| workers of {name} | {row['kills']} | {row['trials']} | {row['lost']} "
            f"| {row['repeated']} |"
        )
    if "kills" in result:
        same = "is" if result["kills"]["history_unchanged"] else "is not"
        lines += ["", f"What the killed drivers left {same} the history of a driver left alone."]
    if "overhead" in result:
        lines += ["", "| evaluated in | overhead of a trial |", "| --- | --: |"]
        names = {"none": "the driver itself"}
        for name, value in result["overhead"].items():
            lines.append(f"| {names.get(name, name)} | {value:.1f} ms |")
    rows = result.get("throughput", [])
    if rows:
        workers = sorted({row["workers"] for row in rows})
        heads = [f"{count} worker{'s' * (count > 1)}" for count in workers]
        lines += ["", f"| executor | proposed ahead | {' | '.join(heads)} |"]
        lines.append(f"| --- | --- |{' --: |' * len(workers)}")
        for name in dict.fromkeys(row["executor"] for row in rows):
            for times, what in enumerate(("nothing", "as many as workers", "twice as many")):
                found = {
                    row["workers"]: row["efficiency"]
                    for row in rows
                    if row["executor"] == name and row["ahead"] == times * row["workers"]
                }
                if found:
                    cells = (f"{found[count]:.1%}" if count in found else "-" for count in workers)
                    lines.append(f"| {name} | {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
