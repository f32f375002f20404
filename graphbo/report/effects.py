"""Drawings of what the parts of an architecture do to its prediction."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from graphbo.errors import MissingExtraError
from graphbo.report.drawing import paint, place
from graphbo.report.layout import Item

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphbo.surrogates.explanation import Explanation, FeatureEffect

# Inches, and points for the font.
_WIDTH, _BAR, _LINE, _PAD, _FONT, _CHARACTER = 6.4, 0.85, 0.24, 0.16, 9.0, 0.068


def draw_effects(explanation: Explanation, *, top: int = 6, limit: float | None = None) -> Figure:
    """Draw an architecture with each operation coloured by what it adds to the prediction.

    Blue lowers the predicted objective, red raises it. Below stand the features with the surest
    effects at this architecture, each with its posterior standard deviation.

    Args:
        explanation: What `graphbo.surrogates.explain` returns.
        top: How many features are listed.
        limit: The effect at the ends of the colours, so that several drawings share their colours;
            by default the largest in this one.

    Returns:
        The figure. ``draw_effects(explain(gp, row)).savefig("effects.png", dpi=150)`` writes it.

    Raises:
        ValueError: If ``top`` is negative or ``limit`` not positive.
        MissingExtraError: If matplotlib is not installed.
    """
    if top < 0:
        raise ValueError(f"the number of features that are listed must be at least 0; got {top}")
    if limit is not None and not 0 < limit < math.inf:
        raise ValueError(f"the effect at the ends of the colours must be positive; got {limit}")
    try:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize, to_hex
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error

    placement = place(explanation.architecture)
    if limit is None:
        limit = max((abs(effect) for effect in explanation.parts.values()), default=0.0) or 1.0
    colors = colormaps["RdBu_r"]
    nodes = {item: i for i, item in enumerate(placement.items[: len(explanation.architecture)])}

    def color(item: Item) -> str:
        part = item.edge or nodes[item]
        return to_hex(colors(0.5 + explanation.parts.get(part, 0.0) / (2 * limit)))

    features = explanation.features[:top]
    width = max(placement.width, _WIDTH)
    below = _BAR + _LINE * (len(features) + 1) + _PAD
    height = placement.height + below
    figure = Figure(figsize=(width, height))
    left = (width - placement.width) / 2
    ax = figure.add_axes(
        (left / width, below / height, placement.width / width, placement.height / height)
    )
    paint(ax, placement, color)

    bar = figure.add_axes(
        (_PAD / width, (below - 0.3) / height, 1 - 2 * _PAD / width, 0.13 / height)
    )
    shades = ScalarMappable(Normalize(-limit, limit), colors)
    figure.colorbar(shades, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=_FONT - 1)
    unit = f", in {explanation.unit}" if explanation.unit else ""
    bar.set_xlabel(f"added to the prediction{unit} (below zero: better)", fontsize=_FONT)

    def write(row: int, x: float, text: str, ha: str = "left") -> None:
        y = (below - _BAR - _LINE * (row + 0.5)) / height
        figure.text(x / width, y, text, fontsize=_FONT, va="center", ha=ha)

    write(0, _PAD, f"predicted {_signed(explanation.prediction, 2)}; the surest effects here:")
    largest = max((abs(feature.effect) for feature in features), default=1.0) or 1.0
    decimals = max(math.ceil(1.5 - math.log10(largest)), 0)
    for row, feature in enumerate(features, start=1):
        write(row, 0.75, _signed(feature.effect, decimals), "right")
        write(row, 1.45, f"± {feature.uncertainty:.{decimals}f}", "right")
        write(row, 1.65, _called(feature, int((width - 1.65 - _PAD) / _CHARACTER)))
    return figure


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def _called(effect: FeatureEffect, room: int) -> str:
    """Return the name of a feature, cut to a number of characters."""
    others = len(effect.features) - 1
    suffix = f" (and {others} alike)" if others else ""
    room -= len(suffix)
    name = effect.name if len(effect.name) <= room else effect.name[: room - 3] + "..."
    return name + suffix
