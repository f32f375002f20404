"""Where evaluations run: executors of threads, of processes, and of clusters."""

from graphbo.executors.dispatcher import Dispatcher, Finished
from graphbo.executors.processes import ProcessExecutor, WorkerDiedError
from graphbo.executors.ray import RayExecutor
from graphbo.executors.registry import EXECUTORS, make_executor
from graphbo.executors.shipping import Shipped, carry_out

__all__ = [
    "EXECUTORS",
    "Dispatcher",
    "Finished",
    "ProcessExecutor",
    "RayExecutor",
    "Shipped",
    "WorkerDiedError",
    "carry_out",
    "make_executor",
]
