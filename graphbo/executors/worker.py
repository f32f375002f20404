"""The main loop of a worker process of `ProcessExecutor`."""

from __future__ import annotations

import os
import pickle
import queue
import threading
import traceback
from typing import IO, Any

import cloudpickle

from graphbo.executors.frames import receive, send


def main() -> None:
    """Take calls from standard input and answer on what was standard output."""
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an evaluator prints must not get between the answers
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A child of an evaluator that outlives this process must not hide its end.
    os.register_at_fork(after_in_child=calls.close)
    os.register_at_fork(after_in_child=answers.close)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls, waiting), daemon=True).start()
    while True:
        send(answers, _answer(waiting.get()))


def _listen(calls: IO[bytes], waiting: queue.SimpleQueue[bytes]) -> None:
    """Queue calls, and end this process as soon as its driver is gone, whatever it is at."""
    try:
        while True:
            waiting.put(receive(calls))
    except EOFError:
        os._exit(1)


def _answer(call: bytes) -> bytes:
    try:
        function, arguments, keywords = cloudpickle.loads(call)
        return pickle.dumps((function(*arguments, **keywords), None))
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> bytes:
    text = traceback.format_exc()
    error.add_note(f"in a worker process:\n{text}")
    try:
        message = pickle.dumps((None, error))
        pickle.loads(message)  # some exceptions can be sent, but not received
    except Exception:
        return pickle.dumps((None, RuntimeError(text)))
    return message


def call(function: Any, *arguments: Any, **keywords: Any) -> bytes:
    """Return the message that makes a worker call a function."""
    message: bytes = cloudpickle.dumps((function, arguments, keywords))
    return message
