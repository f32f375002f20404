from __future__ import annotations

import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.kernels.naming import Feature
from graphbo.report import draw_effects
from graphbo.spaces import NASBench201Space
from graphbo.surrogates import Explanation, FeatureEffect, GraphSurrogate, explain

BRANCHES = Architecture(
    ["input", "conv3x3", "conv1x1", "maxpool", "output"], [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]
)


def effect(name: str, value: float, others: int = 0) -> FeatureEffect:
    features = tuple(Feature("depth_1", i, name) for i in range(others + 1))
    return FeatureEffect(features, 1, value, 0.0, 0.125)


LONG = "conv3x3(" + "in: conv1x1, " * 20 + ")"
EXPLANATION = Explanation(
    BRANCHES,
    7.25,
    "percent",
    (effect("conv3x3", -1.5), effect(LONG, -0.25), effect("maxpool", 0.5, 3), effect("x", 0.1)),
    {0: 0.0, 1: -1.5, 2: 0.0, 3: 0.75, 4: 0.0},
)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def fills(figure: Figure) -> dict[str, tuple[float, float, float]]:
    drawing = figure.axes[0]
    boxes = [p for p in drawing.patches if isinstance(p, FancyBboxPatch)]
    labels = [text.get_text() for text in drawing.texts if text.get_text() != "+"]
    return {label: to_rgb(b.get_facecolor()) for label, b in zip(labels, boxes, strict=True)}


def test_what_lowers_is_blue_and_what_raises_is_red() -> None:
    colors = fills(draw_effects(EXPLANATION))
    red, _, blue = colors["conv3x3"]
    assert blue > red
    red, _, blue = colors["maxpool"]
    assert red > blue
    assert max(colors["conv1x1"]) - min(colors["conv1x1"]) < 0.02


def test_half_the_effect_is_paler() -> None:
    colors = fills(draw_effects(EXPLANATION))
    assert sum(colors["maxpool"]) > sum(colors["conv3x3"])
    shared = fills(draw_effects(EXPLANATION, limit=30.0))
    assert min(sum(color) for color in shared.values()) > sum(colors["maxpool"])


def test_the_surest_features_are_listed_with_their_uncertainty() -> None:
    found = texts(draw_effects(EXPLANATION, top=3))
    assert found[0].startswith("predicted +7.25")
    assert found[1:4] == ["−1.50", "± 0.12", "conv3x3"]
    assert found[6].endswith("...")
    assert found[7:] == ["+0.50", "± 0.12", "maxpool (and 3 alike)"]


def test_the_colour_bar_says_what_is_better_and_in_what_unit() -> None:
    label = draw_effects(EXPLANATION).axes[1].get_xlabel()
    assert "in percent" in label
    assert "below zero: better" in label


def test_nothing_overlaps_or_leaves_the_figure() -> None:
    figure = draw_effects(EXPLANATION)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    boxes += [ax.get_tightbbox(renderer) for ax in figure.axes]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_operations_on_edges_are_coloured() -> None:
    space, rng = NASBench201Space(), np.random.default_rng(1)
    designs = [space.sample(rng) for _ in range(20)]
    surrogate = GraphSurrogate(space).fit(
        designs, [len(d.architecture.to_string()) for d in designs]
    )
    convolution = next(
        d for d in designs if any(w == "nor_conv_3x3" for *_, w in d.architecture.pruned().edges)
    )
    explanation = explain(surrogate, convolution)
    colors = fills(draw_effects(explanation))
    labels = {label for *_, label in explanation.architecture.edges}
    assert set(colors) == {"input", "output", *labels}
    assert colors["nor_conv_3x3"] != colors["output"]


def test_an_empty_network_without_features_can_be_drawn() -> None:
    nothing = Explanation(Architecture(["input", "output"], []), 0.0, "", (), {0: 0.0, 1: 0.0})
    assert texts(draw_effects(nothing))[0].startswith("predicted")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[plot\]"):
        draw_effects(EXPLANATION)


@pytest.mark.parametrize(("top", "limit"), [(-1, None), (6, 0.0), (6, -1.0), (6, float("nan"))])
def test_settings_that_make_no_sense(top: int, limit: float | None) -> None:
    with pytest.raises(ValueError, match="must be"):
        draw_effects(EXPLANATION, top=top, limit=limit)
