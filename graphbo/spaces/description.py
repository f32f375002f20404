"""What tells one search space from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphbo.spaces.base import SearchSpace
from graphbo.spaces.joint_pool import JointPoolSpace
from graphbo.spaces.pool import PoolSpace


def described(space: SearchSpace) -> dict[str, Any]:
    """Return what tells a space from others, as JSON values.

    A pool that is a part of another space counts as that space.

    Args:
        space: The space.

    Returns:
        Its name and operations, how it is made if its type says so, and a ``digest`` of all its
        decisions, or of its members if it is a pool.
    """
    space = whole(space)
    content: Sequence[object] = [
        [decision.name, decision.choices, _sorted(decision.conditions), decision.ordered]
        for decision in space.decisions
    ]
    if isinstance(space, PoolSpace):
        content = sorted(architecture.key for architecture in space.architectures)
    text = json.dumps([space.name, content, sorted(space.operations), *beside(space)])
    made = {"made": repr(space)} if type(space).__repr__ is not object.__repr__ else {}
    return {
        "name": space.name,
        **made,
        "operations": list(space.operations),
        "digest": hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
    }


def fingerprint(space: SearchSpace) -> str:
    """Return the name of a space, and what tells it from another one of that name."""
    decisions = [
        (d.name, d.choices, [(k, list(v)) for k, v in sorted(d.conditions.items())], d.ordered)
        for d in space.decisions
    ]
    text = json.dumps([decisions, list(space.operations), *beside(space)])
    return f"{space.name} ({hashlib.blake2b(text.encode(), digest_size=4).hexdigest()})"


def beside(space: SearchSpace) -> list[dict[str, Any]]:
    """Return what tells the hyperparameters of a space from others; nothing if it has none."""
    if space.hyperparameters is None:
        return []
    known = space.hyperparameters.configuration_space.to_serialized_dict()
    content = {key: value for key, value in known.items() if "version" not in key}
    return [json.loads(json.dumps(content, default=str))]


def whole(space: SearchSpace) -> SearchSpace:
    """Return the space that a pool is a part of, and other spaces as they are."""
    if isinstance(space, PoolSpace | JointPoolSpace) and space.parent is not None:
        return whole(space.parent)
    return space


def _sorted(conditions: Mapping[str, Sequence[str]]) -> Sequence[object]:
    return sorted((parent, list(values)) for parent, values in conditions.items())
