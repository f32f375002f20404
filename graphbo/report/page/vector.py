"""Architectures as SVG inside of a page, with texts that are texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphbo.architecture import Architecture
from graphbo.report.drawing import GREY, Placement, box_colors, place, route
from graphbo.report.layout import Item
from graphbo.report.page.escaping import text

_PIXELS = 96.0  # per inch

Part = int | tuple[int, int]
"""A node, or an edge with a label, of an architecture."""


def operations_svg(architecture: Architecture, operations: Sequence[str] | None = None) -> str:
    """Return a drawing with a colour for each operation.

    Args:
        architecture: What to draw.
        operations: All operations of the space; see `graphbo.report.draw`.
    """
    colors = box_colors(architecture, operations)
    return _svg(architecture, lambda part, label: (colors.get(label, GREY), label))


def effects_svg(architecture: Architecture, effects: dict[Part, float]) -> str:
    """Return a drawing coloured by effects: blue where they are negative, red where positive.

    Args:
        architecture: What to draw.
        effects: The effect of each part, as in `Explanation.parts`.
    """
    limit = max(map(abs, effects.values()), default=0.0) or 1.0

    def look(part: Part, label: str) -> tuple[str, str]:
        effect = effects.get(part, 0.0)
        return _diverging(effect / limit), f"{label}: {effect:+.3f}"

    return _svg(architecture, look)


def _svg(architecture: Architecture, look: Callable[[Part, str], tuple[str, str]]) -> str:
    placement = place(architecture)
    left, right, low, high = (limit * _PIXELS for limit in placement.limits)
    names = ", ".join(label for label in architecture.nodes if label)
    parts = [
        f'<svg class="architecture" role="img" aria-label="{text(f"architecture: {names}")}" '
        f'width="{right - left:.0f}" height="{high - low:.0f}" '
        f'viewBox="{left:.1f} {-high:.1f} {right - left:.1f} {high - low:.1f}">'
    ]
    for item in placement.items:
        parts += [_line(placement, item, target) for target in item.targets]
    for i, item in enumerate(placement.items):
        if not item.is_bend:
            parts.append(_box(placement, item, *look(item.edge or i, item.label or "")))
    return "".join([*parts, "</svg>"])


def _line(placement: Placement, source: Item, target: Item) -> str:
    points = [f"{x * _PIXELS:.1f} {-y * _PIXELS:.1f}" for x, y in route(placement, source, target)]
    start, level, *curve = points[:5]
    path = f"M{start}L{level}C{' '.join(curve)}" + "".join(f"L{point}" for point in points[5:])
    line = f'<path class="line" d="{path}"/>'
    if target.is_bend or target.is_label:
        return line
    x, y = (float(number) for number in points[-1].split())
    return f'{line}<path class="head" d="M{x} {y}l-7 -3.5v7z"/>'


def _box(placement: Placement, item: Item, color: str, title: str) -> str:
    x, y = placement.x[item] * _PIXELS, -placement.y[item] * _PIXELS
    width, height = (side * _PIXELS for side in placement.size[item])
    if not item.label:
        return (
            f'<circle class="sum" cx="{x:.1f}" cy="{y:.1f}" r="{width / 2:.1f}"/>'
            f'<path class="line" d="M{x - 4:.1f} {y:.1f}h8M{x:.1f} {y - 4:.1f}v8"/>'
        )
    return (
        f'<g><title>{text(title)}</title><rect class="box" x="{x - width / 2:.1f}" '
        f'y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" rx="7" '
        f'fill="{color}"/><text x="{x:.1f}" y="{y:.1f}">{text(item.label)}</text></g>'
    )


def _diverging(share: float) -> str:
    """Return a colour from blue (-1) over nearly white (0) to red (1), light enough for black."""
    end = (120, 175, 225) if share < 0 else (240, 140, 120)
    weight = min(abs(share), 1.0)
    mixed = (round(245 + (channel - 245) * weight) for channel in end)
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
