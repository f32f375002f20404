"""The encoders by name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from graphbo.embeddings.asynchronous import AsynchronousEncoder
from graphbo.embeddings.encoder import Encoder
from graphbo.embeddings.message_passing import GCNEncoder, GINEncoder
from graphbo.embeddings.transformer import TransformerEncoder

ENCODERS: dict[str, type[Encoder]] = {
    encoder.name: encoder
    for encoder in (GINEncoder, GCNEncoder, AsynchronousEncoder, TransformerEncoder)
}
"""The encoders of this package, by the names that checkpoints call them."""


def make_encoder(name: str, operations: Sequence[str], **settings: Any) -> Encoder:
    """Return a new encoder, of random weights.

    Args:
        name: One of `ENCODERS`.
        operations: The operations that architectures may carry.
        settings: Arguments of the encoder; what is not given, it chooses itself.

    Raises:
        ValueError: If the name or a setting is unknown, or a value is not allowed.

    Example:
        >>> encoder = make_encoder("transformer", space.operations, dim=16, heads=2)
        >>> again = make_encoder(encoder.name, **encoder.settings)
    """
    if name not in ENCODERS:
        raise ValueError(f"there is no encoder {name!r}; choose one of {', '.join(ENCODERS)}")
    known = [key for key in inspect.signature(ENCODERS[name]).parameters if key != "operations"]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"the encoder {name!r} has no setting {unknown[0]!r}; it has {', '.join(known)}"
        )
    return ENCODERS[name](operations, **settings)
