"""What crosses the wire: an evaluator once for each worker, then jobs and reports."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import cloudpickle

from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report, final_reports
from graphbo.trial import Job

KEPT = 4
"""How many evaluators a worker holds on to."""
_arrived: OrderedDict[str, Evaluator] = OrderedDict()


class Shipped:
    """An evaluator on its way to workers, each of which unpacks it once.

    It travels as its `Evaluator.factory` where it has one, which is a few bytes, else pickled
    whole, by value where it was defined in a script or notebook.

    Args:
        evaluator: The evaluator.

    Raises:
        InputError: On pickling, if it cannot be pickled.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.key = uuid4().hex
        self._payload: bytes | None = None

    @property
    def payload(self) -> bytes:
        """What the evaluator is made of again."""
        if self._payload is None:
            factory = self.evaluator.factory
            what = self.evaluator if factory is None else (factory, self.evaluator.checkpoints)
            try:
                self._payload = cloudpickle.dumps(what)
            except Exception as error:
                raise InputError(
                    f"the evaluator cannot be sent to another process ({error}); evaluate in "
                    "threads, or without what cannot be pickled"
                ) from error
        return self._payload

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self.key, self.payload)

    def light(self) -> _Light:
        """Return what stands for it in a process that has called `store`."""
        return _Light(self.key)


class _Light:
    """Arrives as the `Shipped` that was stored before."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self.key, None)


def store(key: str, payload: bytes) -> None:
    """Unpack an evaluator in this process, for the light ones that follow.

    Args:
        key: That of the `Shipped`.
        payload: Its payload.
    """
    _arrive(key, payload)


def _arrive(key: str, payload: bytes | None) -> Shipped:
    evaluator = _arrived.pop(key, None)
    if evaluator is None:
        if payload is None:
            raise LookupError("the evaluator was not sent before, or others have displaced it")
        what = cloudpickle.loads(payload)
        if isinstance(what, tuple):
            factory, checkpoints = what
            evaluator = factory()
            evaluator.checkpoints = checkpoints
        else:
            evaluator = what
    _arrived[key] = evaluator
    while len(_arrived) > KEPT:
        _arrived.popitem(last=False)
    return Shipped(evaluator)


def carry_out(shipped: Shipped, jobs: Sequence[Job]) -> list[Report]:
    """Carry out jobs together in this process; this is what an executor is given to call.

    Returns:
        A final report for each job, whatever the evaluator does.
    """
    return [each for each in final_reports(shipped.evaluator, jobs) if each.final]
