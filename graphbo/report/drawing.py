"""Drawings of architectures, from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import MissingExtraError
from graphbo.report.layout import Item, layered_layout
from graphbo.report.rails import is_chain_with_skips, rail_layout
from graphbo.spaces.product import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Light tints of the colours of Okabe and Ito, which colour-blind readers tell apart.
_TINTS = ("#9ecbe8", "#f5c26b", "#8fd6bd", "#e9b3d0", "#f2ea8a", "#eba27a", "#b9c4f0", "#d0d0d0")
GREY, _INK = "#e4e4e4", "#333333"
# Inches, and points for the font.
_FONT, _CHARACTER, _HEIGHT, _STATE, _GAP, _LANE, _MARGIN = 9.5, 0.083, 0.34, 0.2, 0.42, 0.5, 0.12


def draw(
    architecture: Architecture, ax: Axes | None = None, *, operations: Sequence[str] | None = None
) -> Figure:
    """Draw an architecture with its operations as coloured boxes.

    Nodes stand in layers by the longest path from the input. An operation on an edge is a box on
    the edge's line; a node that only sums is a dot. A chain with many skip connections stands in
    one row, and the connections from a node branch off one line beside it.

    Args:
        architecture: What to draw.
        ax: Where to draw; by default a new figure of fitting size. Nothing global of pyplot is
            touched.
        operations: All operations of the space, so that several drawings share their colours, and
            other labels have none; by default those of this architecture. Labels that agree
            behind a slash, as the same operation in parts of a `ProductSpace`, share a colour.

    Returns:
        The figure. ``draw(architecture).savefig("cell.png", dpi=150)`` writes it.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error

    placement = place(architecture)
    if ax is None:
        figure = Figure(figsize=(placement.width, placement.height))
        ax = figure.add_axes((0, 0, 1, 1))
    colors = box_colors(architecture, operations)
    paint(ax, placement, lambda item: colors.get(item.label or "", GREY))
    return ax.get_figure(root=True)  # type: ignore[return-value]


@dataclass(frozen=True)
class Placement:
    """Where the parts of an architecture stand, in inches.

    Attributes:
        items: The items of the layout, the nodes first.
        size: The width and height of each.
        x: The centres.
        y: The centres.
    """

    items: list[Item]
    size: dict[Item, tuple[float, float]]
    x: dict[Item, float]
    y: dict[Item, float]

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The least and the largest x, and the least and the largest y, with a margin."""
        right = max(self.x[item] + self.size[item][0] / 2 for item in self.items)
        low = min(self.y[item] - self.size[item][1] / 2 for item in self.items)
        high = max(self.y[item] + self.size[item][1] / 2 for item in self.items)
        return -_MARGIN, right + _MARGIN, low - _MARGIN, high + _MARGIN

    @property
    def width(self) -> float:
        """The width of the drawing."""
        return self.limits[1] - self.limits[0]

    @property
    def height(self) -> float:
        """The height of the drawing."""
        return self.limits[3] - self.limits[2]


def place(architecture: Architecture) -> Placement:
    """Give the parts of an architecture their places."""
    layout = rail_layout if is_chain_with_skips(architecture) else layered_layout
    items = layout(architecture)
    size = {item: _size(item.label) for item in items}
    return Placement(
        items, size, _columns(items, size), {item: -item.lane * _LANE for item in items}
    )


def paint(ax: Axes, placement: Placement, color: Callable[[Item], str]) -> None:
    """Draw what has been placed, as large as the axes allow.

    Args:
        ax: Where to draw.
        placement: What to draw.
        color: The colour of the box of an item.
    """
    left, right, low, high = placement.limits
    box = ax.get_window_extent()
    dpi = ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    scale = min(box.width / dpi / placement.width, box.height / dpi / placement.height)
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.set_axis_off()
    x, y, size = placement.x, placement.y, placement.size
    for item in placement.items:
        for target in item.targets:
            _draw_line(ax, placement, item, target, scale)
    for item in placement.items:
        if not item.is_bend:
            _draw_box(ax, item, x[item], y[item], size[item], color(item), scale)


def _size(label: str | None) -> tuple[float, float]:
    if label is None:
        return 0.0, 0.0
    if label == "":
        return _STATE, _STATE
    return len(label) * _CHARACTER + 0.2, _HEIGHT


def _columns(items: Sequence[Item], size: dict[Item, tuple[float, float]]) -> dict[Item, float]:
    """Return the centre of each item's layer; a layer is as wide as its widest box."""
    widths = [0.0] * (max(item.layer for item in items) + 1)
    for item in items:
        widths[item.layer] = max(widths[item.layer], size[item][0])
    centers, right = [], 0.0
    for width in widths:
        centers.append(right + width / 2)
        right += width + _GAP
    return {item: centers[item.layer] for item in items}


def box_colors(architecture: Architecture, operations: Sequence[str] | None) -> dict[str, str]:
    """Return the colours of the boxes by label.

    Args:
        architecture: What is drawn.
        operations: As in `draw`.
    """
    if operations is None:
        used = {*architecture.nodes, *(label for _, _, label in architecture.edges)}
        operations = sorted(used - {INPUT, OUTPUT, ""})
    bare = {label: label.rpartition(SEPARATOR)[2] for label in operations}
    kinds = dict.fromkeys(name for name in bare.values() if name not in (INPUT, OUTPUT))
    tints = dict(zip(kinds, cycle(_TINTS), strict=False))
    return {label: tints[name] for label, name in bare.items() if name in tints}


def route(placement: Placement, source: Item, target: Item) -> list[tuple[float, float]]:
    """Return the points of a line from one item to another, at least five.

    It is straight to the second point; from there the third and the fourth control a cubic curve to
    the fifth; it is straight to what follows.
    """
    x, y, size = placement.x, placement.y, placement.size
    start, end = x[source] + size[source][0] / 2, x[target] - size[target][0] / 2
    # The line turns in the gap between the layers, and is level beside wider boxes of its own.
    widths = {item.layer: 0.0 for item in (source, target)}
    for item, (width, _) in size.items():
        if item.layer in widths:
            widths[item.layer] = max(widths[item.layer], width)
    left = x[source] + widths[source.layer] / 2
    right = x[target] - widths[target.layer] / 2
    middle = (left + right) / 2
    points = [(start, y[source]), (left, y[source])]
    points += [(middle, y[source]), (middle, y[target]), (right, y[target]), (end, y[target])]
    if target.is_bend or end - right < 1e-9:
        points = points[:-1]
    if target.is_bend:
        points.append((x[target], y[target]))
    return points


def _draw_line(ax: Axes, placement: Placement, source: Item, target: Item, scale: float) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points = route(placement, source, target)
    codes = [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    codes += [Path.LINETO] * (len(points) - len(codes))
    arrow = "-" if target.is_bend or target.is_label else "-|>"
    ax.add_patch(
        FancyArrowPatch(
            path=Path(points, codes),
            arrowstyle=arrow,
            mutation_scale=11 * scale,
            color=_INK,
            linewidth=1.1 * scale,
            shrinkA=0,
            shrinkB=0,
            joinstyle="round",
            capstyle="round",
            zorder=1,
        )
    )


def _draw_box(
    ax: Axes,
    item: Item,
    x: float,
    y: float,
    size: tuple[float, float],
    color: str,
    scale: float,
) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Circle, FancyBboxPatch

    label = item.label or ""
    if not label:
        ax.add_patch(
            Circle((x, y), size[0] / 2, facecolor="white", edgecolor=_INK, linewidth=1.1 * scale)
        )
        ax.text(
            x, y - 0.01, "+", ha="center", va="center", fontsize=_FONT * scale, color=_INK, zorder=3
        )
        return
    width, height = size
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=color,
            edgecolor=_INK,
            linewidth=(0.6 if item.is_label else 1.1) * scale,
            zorder=2,
        )
    )
    red, green, blue = to_rgb(color)
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.45 else "white"
    ax.text(x, y, label, ha="center", va="center", fontsize=_FONT * scale, color=ink, zorder=3)
