"""Evaluation on a Ray cluster; needs the extra ``ray``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from graphbo.errors import InputError, MissingExtraError
from graphbo.executors.shipping import Shipped


class RayExecutor(Executor):
    """Calls on a Ray cluster, each with a share of its resources.

    A worker that dies fails the call that it was at; Ray starts another. ``cancel()`` of a running
    future ends its worker. An evaluator is put into Ray's object store, once.

    Args:
        address: The cluster: ``"auto"`` for the one that runs on this machine, ``"ray://host:10001"``
            for one elsewhere; by default that in ``RAY_ADDRESS``, or else one that is started here.
            It is not looked at if Ray has been initialised.
        cpus: CPUs of each call.
        gpus: GPUs of each call; 0.25 lets four share one.
        resources: Further resources of each call, by name.
        **settings: Further arguments of ``ray.init``.

    Raises:
        InputError: If there is no cluster at the address.
        MissingExtraError: If Ray is not installed.

    Example:
        >>> with RayExecutor(gpus=0.5) as executor:
        ...     Study.of(problem, executor=executor, workers=8).run(trials=100)
    """

    ships_once = True

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        resources: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray = ray
        self._started = not ray.is_initialized()
        if self._started:
            try:
                ray.init(
                    address=address, **{"log_to_driver": False, "logging_level": "error"} | settings
                )
            except (ConnectionError, ValueError) as error:
                raise InputError(f"there is no Ray cluster at {address!r}: {error}") from error
        # Retries are counted and bounded by the study.
        options = {"num_cpus": cpus, "num_gpus": gpus, "resources": resources, "max_retries": 0}
        self._call = ray.remote(_call).options(**options)
        self._stored: dict[str, Any] = {}
        self._closed = False

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Future[Any]:
        """Start a call as soon as the cluster has room for it.

        Raises:
            InputError: If an evaluator cannot be pickled.
            RuntimeError: After `shutdown`.
        """
        if self._closed:
            raise RuntimeError("this executor was shut down")
        sent = [self._put(each) if isinstance(each, Shipped) else each for each in arguments]
        reference = self._call.remote(function, *sent, **keywords)
        future = _RayFuture(self._ray, reference)
        future.set_running_or_notify_cancel()
        reference.future().add_done_callback(future.take)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; a cluster that this executor has started is shut down."""
        if not self._closed:
            self._closed = True
            self._stored.clear()
            if self._started:
                self._ray.shutdown()

    def _put(self, shipped: Shipped) -> Any:
        if shipped.key not in self._stored:
            self._stored[shipped.key] = self._ray.put(shipped)
        return self._stored[shipped.key]


class _RayFuture(Future[Any]):
    """A future whose call can be ended while it runs."""

    def __init__(self, ray: Any, reference: Any) -> None:
        super().__init__()
        self._ray, self._reference = ray, reference

    def take(self, source: Future[Any]) -> None:
        """Take over the outcome of Ray's own future."""
        error = source.exception()
        if error is None:
            self.set_result(source.result())
        else:
            self.set_exception(error)

    def cancel(self) -> bool:
        """End the call; it then fails."""
        if self.done():
            return False
        self._ray.cancel(self._reference, force=True)
        return True


def _call(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    return function(*arguments, **keywords)
