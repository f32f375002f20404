"""The energy of a forward pass, from the counters that machines have."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from graphbo.errors import InputError
from graphbo.networks.flops import evaluating, wait, zeros
from graphbo.threads import limited_threads

RAPL = Path("/sys/class/powercap/intel-rapl:0")
"""Where Linux counts the energy of the first processor package."""
_WARM_UP = 3


class EnergyCounter(Protocol):
    """Counts energy from some moment on."""

    def read(self) -> int:
        """Return what it shows.

        Raises:
            InputError: If it cannot be read.
        """

    def millijoules(self, before: int, after: int) -> float:
        """Return the energy between two readings, in millijoules."""


@dataclass(frozen=True)
class RaplCounter:
    """The counter of a processor package, or a part of one, under Linux; in microjoules.

    It begins again at zero beyond its range, in half an hour or more.

    Attributes:
        folder: That of the counter, with the files ``energy_uj`` and ``max_energy_range_uj``.
    """

    folder: Path = RAPL

    def read(self) -> int:
        """Return the microjoules that it shows."""
        return self._number("energy_uj")

    def millijoules(self, before: int, after: int) -> float:
        """Return the energy between two readings less than one round apart."""
        if after < before:
            after += self._number("max_energy_range_uj") + 1
        return (after - before) / 1000

    def _number(self, name: str) -> int:
        path = Path(self.folder) / name
        try:
            return int(path.read_text())
        except FileNotFoundError:
            raise InputError(
                f"energy_mj cannot be measured on this CPU: there is no counter {path}, which "
                "Linux has on Intel's and AMD's processors outside virtual machines"
            ) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it holds no number"
            raise InputError(
                f"energy_mj cannot be measured on this CPU: the counter {path} cannot be read "
                f"({reason}); an administrator can allow it: chmod a+r {path}"
            ) from None


@dataclass(frozen=True)
class NvmlCounter:
    """The counter of an NVIDIA GPU since its driver was loaded, in millijoules.

    Attributes:
        device: A device of CUDA, as torch numbers them.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cuda"))

    def read(self) -> int:
        """Return the millijoules that it shows."""
        try:
            nvml: Any = importlib.import_module("pynvml")
        except ImportError:
            raise InputError(
                "energy_mj cannot be measured on this GPU: reading its counter needs pynvml; "
                "pip install nvidia-ml-py"
            ) from None
        try:
            nvml.nvmlInit()
            # By its name, since CUDA may number the devices in another way.
            name = f"GPU-{torch.cuda.get_device_properties(self.device).uuid}"
            return int(
                nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByUUID(name))
            )
        except nvml.NVMLError as error:
            raise InputError(
                f"energy_mj cannot be measured on this GPU, which needs one of the Volta "
                f"generation or later: {error}"
            ) from None

    def millijoules(self, before: int, after: int) -> float:
        """Return the energy between two readings."""
        return float(after - before)


def energy_counter(device: str | torch.device) -> EnergyCounter:
    """Return the counter that a device has: NVML's on CUDA, RAPL's on the CPU.

    Raises:
        InputError: If the device is another one.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return NvmlCounter(device)
    if device.type == "cpu":
        return RaplCounter()
    raise InputError(f"energy_mj is measured on 'cpu' and 'cuda'; not on {str(device)!r}")


def energy(
    network: nn.Module,
    shape: Sequence[int],
    device: str | torch.device | None = None,
    *,
    counter: EnergyCounter | None = None,
    threads: int | None = None,
    seconds: float = 1.0,
    repeats: int = 30,
) -> float:
    """Measure how much energy a forward pass of one image takes.

    All that the device takes meanwhile counts, also what it would take idle, and on a CPU whatever
    else runs.

    Args:
        network: Any module that takes one batch of images; it is moved to the device.
        shape: Channels, height and width of an image.
        device: Where to measure; by default where the network is.
        counter: What counts; by default `energy_counter`.
        threads: CPU threads; by default as many as torch is set to use.
        seconds: How long to repeat the pass, as counters move every so many milliseconds.
        repeats: Passes at least.

    Returns:
        The mean in millijoules, in evaluation mode.

    Raises:
        InputError: If the counter cannot be read or does not move, or repeats is less than 1.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1; got {repeats}")
    if device is not None:
        network.to(device)
    images = zeros(network, (1, *shape))
    counter = energy_counter(images.device) if counter is None else counter
    with evaluating(network), limited_threads(threads):
        for _ in range(_WARM_UP):
            network(images)
        wait(images.device)
        passes, start, before = 0, time.perf_counter(), counter.read()
        while passes < repeats or time.perf_counter() - start < seconds:
            network(images)
            passes += 1
            if passes % repeats == 0:
                wait(images.device)  # else a GPU is given work for long after the seconds
        wait(images.device)
        spent = counter.millijoules(before, counter.read())
    if spent <= 0:
        raise InputError(f"the energy counter of {images.device} has not moved in {passes} passes")
    return spent / passes
