from __future__ import annotations

import threading

import torch

from graphbo.training.isolation import isolated

CPU = torch.device("cpu")


def test_everything_is_restored_however_it_ends() -> None:
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic
    state = torch.get_rng_state()
    try:
        with isolated(3, CPU, threads=before[0] + 1):
            assert torch.get_num_threads() == before[0] + 1
            assert torch.initial_seed() == 3
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert (torch.get_num_threads(), torch.backends.cudnn.deterministic) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_a_thread_that_waited_does_not_take_over_the_threads_of_the_one_before() -> None:
    before = torch.get_num_threads()
    started, seen = threading.Event(), []

    def wait() -> None:
        started.set()
        with isolated(0, CPU):
            seen.append(torch.get_num_threads())

    with isolated(0, CPU, threads=before + 1):
        waiting = threading.Thread(target=wait)
        waiting.start()
        started.wait()
        waiting.join(0.2)  # it is at the door by now
    waiting.join()
    assert seen == [before]
    assert torch.get_num_threads() == before
