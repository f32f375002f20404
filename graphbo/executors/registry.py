"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from graphbo.errors import InputError, MissingExtraError, nearest_names
from graphbo.executors.processes import ProcessExecutor
from graphbo.executors.ray import RayExecutor

EXECUTORS = {
    "processes": "processes on this machine, pinned one to a GPU",
    "threads": "threads of this process, for look-ups and what waits for others",
    "ray": "a Ray cluster: ray for one that is started here or RAY_ADDRESS, ray:auto, "
    "ray://HOST:10001",
    "dask": "a Dask cluster: dask:tcp://HOST:8786",
}

_PATIENCE = 10.0  # seconds until a scheduler has answered


def make_executor(name: str, workers: int = 1) -> Executor:
    """Return the executor with a name.

    Args:
        name: One of `EXECUTORS`; that of a cluster with its address.
        workers: How many evaluations run at once; clusters have workers of their own.

    Raises:
        InputError: If there is no such executor, or no cluster at the address.
        MissingExtraError: If it needs a package that is not installed.
    """
    if workers < 1:
        raise InputError(f"the number of workers must be at least 1; got {workers}")
    kind, _, address = name.partition(":")
    if kind == "ray":
        return RayExecutor(name if address.startswith("//") else address or None)
    if kind == "dask" and address:
        return _DaskExecutor(address)
    if name == "processes":
        return ProcessExecutor(workers)
    if name == "threads":
        return ThreadPoolExecutor(workers)
    if kind == "dask":
        raise InputError("dask needs the address of its scheduler, such as dask:tcp://HOST:8786")
    every = "the executors are processes, threads, ray[:ADDRESS], dask:ADDRESS"
    raise InputError(
        f"there is no executor {name!r}; {nearest_names(name, list(EXECUTORS), every)}"
    )


class _DaskExecutor(Executor):
    """Dask's own executor, with the connection that it uses."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise MissingExtraError("distributed", "dask") from error
        try:
            self._client = Client(address, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            raise InputError(f"there is no Dask scheduler at {address}: {error}") from error
        self._executor = self._client.get_executor()

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Future[Any]:
        future: Future[Any] = self._executor.submit(function, *arguments, **keywords)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait)
        self._client.close()
