"""The card of a pretrained encoder as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphbo.embeddings.checkpoint import fingerprint
from graphbo.embeddings.pretrained import Pretrained


def card_text(pretrained: Pretrained) -> str:
    """Return the card of a pretrained encoder in Markdown.

    Its sections: the encoder, the data, the objective, the metrics on architectures held out, the
    versions of the packages and the command that reproduces it. What the card does not hold is
    left out.

    Args:
        pretrained: The encoder.
    """
    card = pretrained.card
    space = card.get("space", {})
    title = f"Pretrained encoder of {space.get('name', 'architectures')}"
    sections = {
        "Encoder": _encoder(pretrained),
        "Data": _data(card),
        "Objective": _entries(card.get("settings", {})),
        "Metrics": _metrics(card),
        "Versions": _entries(card.get("versions", {})),
        "Command": [f"    {card['command']}"] if "command" in card else [],
    }
    lines = [f"# {title}"]
    for heading, content in sections.items():
        body = list(content)
        if body:
            lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _encoder(pretrained: Pretrained) -> Iterator[str]:
    encoder = pretrained.encoder
    number = sum(parameter.numel() for parameter in pretrained.parameters())
    yield from _entries({"name": encoder.name, **encoder.settings})
    yield f"- parameters: {number:,}"
    yield f"- fingerprint: {fingerprint(pretrained)}"


def _data(card: Mapping[str, Any]) -> Iterator[str]:
    space, data = card.get("space", {}), card.get("data", {})
    if space:
        yield f"- space: {space.get('made', space.get('name'))} (digest {space.get('digest')})"
    if "architectures" in card:
        how = f", {data['chosen']}" if "chosen" in data else ""
        yield f"- distinct architectures: {card['architectures']:,}{how}"
    for table in data.get("tables", []):
        at = f" at {_text(table['fidelity'])}" if table.get("fidelity") else ""
        yield (
            f"- table {table['problem']}{at}: {table['labels']:,} labels of "
            f"{_words(table.get('objective') or table['fact'])}, seed {table['seed']}"
        )
    if "proxies" in data:
        yield from _entries({"proxies": data["proxies"]})


def _metrics(card: Mapping[str, Any]) -> Iterator[str]:
    if "epochs" in card:
        yield f"- epochs trained: {card['epochs']}"
    for name, loss in card.get("held_out_losses", {}).items():
        yield f"- loss of {name} on architectures held out: {loss:.4f}"
    tasks = card.get("tasks", {})
    if tasks:
        yield ""
        yield "| Task | known of | good if | Kendall's tau held out |"
        yield "|---|---:|---|---:|"
    for name, task in tasks.items():
        tau = "-" if task["held_out_tau"] is None else f"{task['held_out_tau']:.3f}"
        yield f"| {name} | {task['known']:,} | {task['better']} | {tau} |"


def _entries(content: Mapping[str, Any]) -> list[str]:
    return [f"- {_words(name)}: {_text(value)}" for name, value in content.items()]


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{_words(name)} {_text(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return "all" if value is None else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
