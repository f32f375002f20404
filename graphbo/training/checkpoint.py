"""States of trainings on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from graphbo.errors import InputError
from graphbo.training.trainer import State

FORMAT = 1

Identity = Mapping[str, Any]
"""What a training is the same by, however long it runs: names to JSON values."""


def checkpoint_path(folder: str | Path, identity: Identity) -> Path:
    """Return where the state of a training belongs: one file for each identity."""
    text = json.dumps(identity, sort_keys=True)
    return Path(folder) / f"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}.pt"


def save_checkpoint(path: str | Path, identity: Identity, state: State) -> None:
    """Write a state in place of the one before, such that a stop at any time leaves one of them.

    Raises:
        InputError: If it cannot be written.
    """
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    content = {"format": FORMAT, "identity": json.dumps(identity, sort_keys=True), "state": state}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.save(content, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # torch raises the second on a full disk
        raise InputError(f"the checkpoint {path} cannot be written: {error}") from error


def load_checkpoint(path: str | Path, identity: Identity) -> State:
    """Read the state of a training.

    Only tensors, numbers, texts, lists and dicts are read: a file from elsewhere runs no code.

    Raises:
        InputError: If there is no such file, it is damaged, or it is of another training.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no checkpoint {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, text, state = content["format"], content["identity"], content["state"]
        found = json.loads(text)
    except Exception as error:  # torch states no common class of what a bad file raises
        raise InputError(f"{path} is damaged, or no checkpoint of graphbo") from error
    if version != FORMAT:
        raise InputError(
            f"{path} is a checkpoint of format {version}; this version reads format {FORMAT}"
        )
    wanted = json.loads(json.dumps(identity))
    differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if differing:
        raise InputError(
            f"the checkpoint {path} is of another training; what differs is: {', '.join(differing)}"
        )
    checked: State = state
    return checked
