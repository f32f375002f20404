"""Clusters under the same seam: Ray, and Dask as it comes."""

from __future__ import annotations

import hashlib
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators import FunctionEvaluator
from graphbo.executors import RayExecutor, make_executor
from graphbo.spaces import CellSpace
from graphbo.study import Study

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")


@pytest.fixture(scope="module")
def ray() -> Iterator[RayExecutor]:
    pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with RayExecutor(num_cpus=2, include_dashboard=False) as executor:
            yield executor


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def run(executor: Any, objective: Any, **settings: Any) -> list[Any]:
    study = Study(
        SPACE,
        FunctionEvaluator(objective),
        "regularized-evolution",
        executor=executor,
        workers=2,
        **settings,
    )
    return list(study.run(trials=8).trials)


def pid(architecture: Architecture) -> float:
    return float(os.getpid())


def dies_at_first(folder: Path) -> Any:
    def objective(architecture: Architecture) -> float:
        name = folder / hashlib.md5(architecture.to_string().encode()).hexdigest()
        if len(architecture.edges) % 2 and not name.exists():
            name.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(len(architecture.edges))

    return objective


@pytest.mark.filterwarnings("ignore")
def test_ray_evaluates_in_its_own_workers_and_survives_their_death(
    ray: RayExecutor, tmp_path: Path
) -> None:
    trials = run(ray, pid)
    assert len(trials) == 8
    assert all(trial.value not in (None, os.getpid()) for trial in trials)
    trials = run(ray, dies_at_first(tmp_path))
    assert {trial.attempts for trial in trials} == {1, 2}
    assert [trial.state for trial in trials] == ["completed"] * 8


@pytest.mark.filterwarnings("ignore")
def test_dask_evaluates_in_its_own_workers_and_survives_their_death(
    dask: Any, tmp_path: Path
) -> None:
    trials = run(dask.get_executor(), pid)
    assert len(trials) == 8
    pids = {trial.value for trial in trials}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    trials = run(dask.get_executor(), dies_at_first(tmp_path))
    assert [trial.state for trial in trials] == ["completed"] * 8
    assert {trial.attempts for trial in trials} == {1}  # Dask has retries of its own


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_is_found_by_its_address(dask: Any) -> None:
    with make_executor(f"dask:{dask.scheduler.address}", 2) as executor:
        assert executor.submit(abs, -1).result(timeout=30) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphbo.executors.registry._PATIENCE", 0.3)
    with pytest.raises(InputError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9: "):
        make_executor("dask:tcp://127.0.0.1:9")


def test_executors_have_names() -> None:
    for name in ("processes", "threads"):
        with make_executor(name, 2) as executor:
            assert executor.submit(abs, -1).result(timeout=30) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("process", "there is no executor 'process'; the nearest names are processes"),
        ("cloud", r"the executors are processes, threads, ray\[:ADDRESS\], dask:ADDRESS"),
        ("dask", "dask needs the address of its scheduler, such as dask:tcp"),
    ],
)
def test_an_unknown_executor_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_executor(name)


def test_a_number_of_workers_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1; got 0"):
        make_executor("threads", 0)
