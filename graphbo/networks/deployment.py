"""What networks cost where they are to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from graphbo.errors import InputError
from graphbo.networks.energy import EnergyCounter, energy, energy_counter
from graphbo.networks.flops import flops, latency, parameters
from graphbo.networks.memory import BITS, footprint
from graphbo.trial import COMPUTED, MEASURED


@dataclass(frozen=True)
class Deployment:
    """How networks are to run once they are trained.

    Attributes:
        bits: Of weights and activations, for ``activation_memory`` and ``flash``: 8 after
            quantisation to integers. Trained and measured they are at the precision of torch.
        device: Where ``latency_ms`` and ``energy_mj`` are measured, on one image; by default where
            the network was trained, or is.
        threads: CPU threads of such a measurement.
        repeats: Passes that a latency is the median of.
        counter: What counts the energy; by default that of the device, see
            `graphbo.networks.energy`.

    Raises:
        InputError: If the bits are not 4, 8, 16 or 32, or there are no threads or repeats.

    Example:
        >>> Deployment(bits=8).cost("flash", network, (3, 32, 32))
        98304.0
    """

    bits: int = 32
    device: str | None = None
    threads: int = 1
    repeats: int = 30
    counter: EnergyCounter | None = None

    def __post_init__(self) -> None:
        for name in ("threads", "repeats"):
            number = getattr(self, name)
            if type(number) is not int or number < 1:
                raise InputError(f"{name} must be a whole number of at least 1; got {number!r}")
        if self.device is not None:
            choose_measured(self.device)
        if type(self.bits) is not int or self.bits not in BITS:
            raise InputError(f"bits must be one of {', '.join(map(str, BITS))}; got {self.bits!r}")

    def computed(
        self, network: nn.Module, shape: Sequence[int], names: Iterable[str] = COMPUTED
    ) -> dict[str, float]:
        """Return costs that follow from a network, by name.

        Args:
            network: Any module that takes one batch of images; it is left as it was.
            shape: Channels, height and width of an image.
            names: Some of `COMPUTED`; what is had with them is returned, too.
        """
        wanted, found = set(names), dict[str, float]()
        if "parameters" in wanted:
            found["parameters"] = parameters(network)
        if "flops" in wanted:
            found["flops"] = flops(network, shape)
        if wanted & {"activation_memory", "flash"}:
            needed = footprint(network, shape, self.bits)
            found |= {"activation_memory": needed.activation_memory, "flash": needed.flash}
        return found

    def cost(self, name: str, network: nn.Module, shape: Sequence[int]) -> float:
        """Return one cost of a network.

        Args:
            name: One of `COMPUTED` or `MEASURED`.
            network: Any module that takes one batch of images; it is left as it was, but moved to
                the device where something is measured there.
            shape: Channels, height and width of an image.

        Raises:
            InputError: If the cost is unknown, or cannot be measured here.
        """
        if name in MEASURED:
            return self.measured(name, network, shape)
        if name not in COMPUTED:
            every = ", ".join((*COMPUTED, *MEASURED))
            raise InputError(f"the costs of a network are {every}; not {name!r}")
        return float(self.computed(network, shape, [name])[name])

    def measured(
        self,
        name: str,
        network: nn.Module,
        shape: Sequence[int],
        device: str | torch.device | None = None,
    ) -> float:
        """Measure one of `MEASURED`.

        Args:
            name: Its name.
            network: Any module that takes one batch of images; it is moved to the device.
            shape: Channels, height and width of an image.
            device: Where to measure if the deployment does not say.

        Raises:
            InputError: If it cannot be measured here.
        """
        place = device if self.device is None else self.device
        if name == "latency_ms":
            return latency(network, shape, place, repeats=self.repeats, threads=self.threads)
        return energy(
            network, shape, place, counter=self.counter, threads=self.threads, repeats=self.repeats
        )

    def check(self, names: Iterable[str], device: str | torch.device = "cpu") -> None:
        """Refuse what cannot be measured on this machine.

        Args:
            names: What is to be measured.
            device: Where, if the deployment does not say.

        Raises:
            InputError: If the counter of the energy cannot be read.
        """
        if "energy_mj" in names:
            counter = self.counter or energy_counter(self.device or device)
            counter.read()

    def describe(self) -> Mapping[str, Any]:
        """Return what costs depend on, as JSON values, but for what is as usual."""
        return {
            each.name: value
            for each in fields(self)
            if each.name in ("bits", "device", "threads")
            and (value := getattr(self, each.name)) != each.default
        }


def choose_measured(device: str) -> torch.device:
    """Return the device of a name on which something is measured.

    Raises:
        InputError: If torch has no such device here.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device must be such as 'cpu' or 'cuda:0'; got {device!r}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"the device {device!r} is not here: torch finds no GPU")
    if found.type == "meta":
        raise InputError("nothing runs on the device 'meta', so nothing can be measured there")
    try:
        torch.empty(1, device=found)
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(f"the device {device!r} is not here: torch cannot use it") from error
    return found
