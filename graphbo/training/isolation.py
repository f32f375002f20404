"""Training without a trace in torch's global state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from graphbo.threads import limited_threads

# torch's random state, threads and cuDNN settings are global: they serve one training at a time.
_GLOBAL_STATE = threading.RLock()


@contextmanager
def isolated(seed: int, device: torch.device, threads: int | None = None) -> Iterator[None]:
    """Seed torch's global generators and make it deterministic; restore all of it at the end.

    Threads of one process that enter wait for each other.

    Args:
        seed: The seed.
        device: The device whose generator is seeded besides that of the CPU.
        threads: CPU threads of torch inside; by default as many as before.
    """
    on_cuda = device.type == "cuda"
    with _GLOBAL_STATE, torch.random.fork_rng([device] if on_cuda else []), _cudnn():
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        with limited_threads(threads or None):
            yield


@contextmanager
def _cudnn() -> Iterator[None]:
    """Let cuDNN choose its algorithms by nothing but the problem, and among deterministic ones."""
    settings = torch.backends.cudnn
    before = settings.deterministic, settings.benchmark
    settings.deterministic, settings.benchmark = True, False
    try:
        yield
    finally:
        settings.deterministic, settings.benchmark = before
