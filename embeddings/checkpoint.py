"""Pretrained encoders on disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphbo.embeddings.encoders import make_encoder
from graphbo.embeddings.pretrained import Pretrained

FORMAT = 1
_MARKER = "graphbo_checkpoint"
_DATA = Path(__file__).with_name("data")


def save(pretrained: Pretrained, path: str | Path, card: Mapping[str, Any] | None = None) -> None:
    """Write a pretrained encoder; the same one gives the same file with one version of torch.

    The file is replaced whole or not at all.

    Args:
        pretrained: The encoder, on any device.
        path: The file, ``*.pt``.
        card: JSON values to add to its card. The versions of the packages are added, too, unless
            the card has them.

    Raises:
        ValueError: If the card does not consist of JSON values, or the file cannot be written.

    Example:
        >>> save(pretrained, "nasbench201.pt", {"licence": "MIT"})
    """
    path = Path(path)
    content = {**pretrained.card, **(card or {})}
    content.setdefault("versions", versions())
    try:
        text = json.dumps({**_plan(pretrained), "card": content}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card must consist of JSON values: {error}") from error
    buffer = io.BytesIO()  # the name of a file would become part of the content
    torch.save({_MARKER: FORMAT, "json": text, "state": _state(pretrained)}, buffer)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(buffer.getvalue())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"the checkpoint {path} cannot be written: {error}") from error


def load(path: str | Path, operations: Sequence[str] | None = None) -> Pretrained:
    """Read a pretrained encoder, on the CPU and in evaluation mode.

    Only tensors, numbers, texts and dicts are read: a file from elsewhere runs no code.

    Args:
        path: The file.
        operations: The operations of the space that it is to embed, if known.

    Raises:
        ValueError: If there is no such file, it is no checkpoint, damaged, or of a newer version,
            or the encoder does not know one of the operations.

    Example:
        >>> load("nasbench201.pt", space.operations)(architectures).shape
        torch.Size([100, 32])
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content[_MARKER]
    except Exception as error:  # torch states no common class of what a bad file raises
        raise ValueError(f"{path} is damaged, or no checkpoint of a pretrained encoder") from error
    if type(found) is int and found > FORMAT:
        raise ValueError(f"{path} was written by a newer version: upgrade graphbo to read it")
    try:
        plan = json.loads(content["json"])
        known = list(plan["encoder"]["operations"])
        pretrained = _rebuilt(plan, content["state"])
    except Exception as error:
        raise ValueError(f"the checkpoint {path} is damaged") from error
    if operations is not None and not set(operations) <= set(known):
        raise ValueError(
            f"{path} was pretrained on the operations {known}; the space has {list(operations)}"
        )
    return pretrained


def shipped(space_name: str) -> Path | None:
    """Return the checkpoint for a space that comes with the package, if there is one.

    Args:
        space_name: The name of the space, such as ``"nasbench201"``.
    """
    return next((path for path in _DATA.glob("*.pt") if path.stem == space_name), None)


def fingerprint(pretrained: Pretrained) -> str:
    """Return sixteen hexadecimal digits that tell one pretrained encoder from another.

    They depend on what it computes, and not on its card.
    """
    digest = hashlib.blake2b(json.dumps(_plan(pretrained), sort_keys=True).encode(), digest_size=8)
    for name, tensor in _state(pretrained).items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of the packages that a pretraining depends on."""
    return {name: version(name) for name in ("graphbo", "torch", "torch-geometric")}


def _plan(pretrained: Pretrained) -> dict[str, Any]:
    """Return what rebuilds the modules, as JSON values."""
    encoder = pretrained.encoder
    return {
        "encoder": {**encoder.settings, "name": encoder.name},
        "tasks": list(pretrained.tasks),
        "votes": list(pretrained.votes),
    }


def _state(pretrained: Pretrained) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in sorted(pretrained.state_dict().items())
    }


def _rebuilt(plan: Mapping[str, Any], state: Mapping[str, Tensor]) -> Pretrained:
    _check_sizes(plan, state)
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and replaced
        encoder = make_encoder(**plan["encoder"])
        pretrained = Pretrained(encoder, plan["tasks"], plan["votes"], plan["card"])
    pretrained.load_state_dict(dict(state))
    return pretrained.eval()


def _check_sizes(plan: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuse settings that are not those of the weights, before any memory is spent on them.

    Raises:
        ValueError: If the settings would make other weights, or weights claim more than they hold.
    """
    if any(w.untyped_storage().nbytes() < w.nbytes for w in state.values()):
        raise ValueError("there are weights that are larger than what is stored of them")
    if plan["encoder"].get("layers", 0) > len(state):
        raise ValueError("there are fewer weights than layers")
    with torch.device("meta"):
        encoder = make_encoder(**plan["encoder"])
        expected = Pretrained(encoder, plan["tasks"], plan["votes"]).state_dict()
    if {name: w.shape for name, w in expected.items()} != {n: w.shape for n, w in state.items()}:
        raise ValueError("the weights have other shapes than the settings say")
