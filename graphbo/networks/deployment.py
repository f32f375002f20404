"""What networks cost where they are to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from graphbo.errors import InputError
from graphbo.networks.flops import flops, parameters
from graphbo.networks.memory import BITS, activation_memory, flash_size, footprint
from graphbo.trial import COMPUTED


@dataclass(frozen=True)
class Deployment:
    """How networks are to run once they are trained.

    Attributes:
        bits: Of weights and activations, for ``activation_memory`` and ``flash``: 8 after
            quantisation to integers. Trained and measured they are at the precision of torch.

    Raises:
        InputError: If the bits are not 4, 8, 16 or 32.

    Example:
        >>> Deployment(bits=8).cost("flash", network, (3, 32, 32))
        98304.0
    """

    bits: int = 32

    def __post_init__(self) -> None:
        if type(self.bits) is not int or self.bits not in BITS:
            raise InputError(f"bits must be one of {', '.join(map(str, BITS))}; got {self.bits!r}")

    def computed(self, network: nn.Module, shape: Sequence[int]) -> dict[str, float]:
        """Return all of `COMPUTED` by name.

        Args:
            network: Any module that takes one batch of images; it is left as it was.
            shape: Channels, height and width of an image.
        """
        needed = footprint(network, shape, self.bits)
        return {
            "parameters": parameters(network),
            "flops": flops(network, shape),
            "activation_memory": needed.activation_memory,
            "flash": needed.flash,
        }

    def cost(self, name: str, network: nn.Module, shape: Sequence[int]) -> float:
        """Return one cost of a network.

        Args:
            name: One of `COMPUTED`.
            network: Any module that takes one batch of images; it is left as it was.
            shape: Channels, height and width of an image.

        Raises:
            InputError: If the cost is unknown.
        """
        if name not in COMPUTED:
            raise InputError(f"the costs of a network are {', '.join(COMPUTED)}; not {name!r}")
        if name == "parameters":
            return float(parameters(network))
        if name == "flops":
            return float(flops(network, shape))
        count = activation_memory if name == "activation_memory" else flash_size
        return float(count(network, shape, self.bits))

    def describe(self) -> Mapping[str, Any]:
        """Return what computed costs depend on, as JSON values; nothing if it is the usual."""
        return {} if self.bits == 32 else {"bits": self.bits}
