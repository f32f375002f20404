"""What a study says, made harmless wherever a page shows it.

Names of problems, labels, operations, errors and hyperparameters are whatever somebody wrote.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from typing import Any

from graphbo.report.status import printable

_LONGEST = 80


def text(value: object) -> str:
    """Return a value as the text of an element or of an attribute in quotes."""
    return html.escape(printable(str(value), "\n\t"))


def label(value: object) -> str:
    """Return a value as a text of plotly, which has tags, entities and templates of its own."""
    line = " ".join(str(value).split())
    short = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    # It knows few entities: none of quotes, which mean nothing to it.
    return html.escape(printable(short), quote=False).replace("%", "&#37;").replace("$", "&#36;")


def script_json(value: Any) -> str:
    """Return a value as JSON that stands inside of a ``<script>``.

    Neither ``</script>`` nor ``<!--`` can occur in it. Numbers that JSON does not have are null.
    """
    content = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        content = content.replace(letter, f"\\u{ord(letter):04x}")
    return content


def script_hash(content: str) -> str:
    """Return what a Content-Security-Policy calls an inline script."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
