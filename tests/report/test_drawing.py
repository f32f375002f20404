from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.report import draw
from graphbo.spaces import NASBench101Space, NASBench201Space, ProductSpace

FULL_201 = NASBench201Space.parse(
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+"
    "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
CHAIN = Architecture(["input", *["conv"] * 10, "output"], [(i, i + 1) for i in range(11)])
EMPTY = Architecture(["input", "output"], [])
BRANCHES = Architecture(
    ["input", "conv3x3", "conv1x1", "maxpool3x3", "output"],
    [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)],
)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def fill(figure: Figure) -> dict[str, object]:
    boxes = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    labels = [text for text in texts(figure) if text != "+"]
    return {label: box.get_facecolor() for label, box in zip(labels, boxes, strict=True)}


def test_every_operation_and_state_is_drawn() -> None:
    figure = draw(FULL_201)
    labels = [label for *_, label in FULL_201.edges]
    assert sorted(texts(figure)) == sorted([*labels, "input", "output", "+", "+"])
    assert sum(isinstance(patch, Circle) for patch in figure.axes[0].patches) == 2


@pytest.mark.parametrize("architecture", [FULL_201, CHAIN, EMPTY, BRANCHES])
def test_texts_fit_their_boxes_and_boxes_the_figure_without_overlap(
    architecture: Architecture,
) -> None:
    figure = draw(architecture)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    patches = figure.axes[0].patches
    boxes = [p for p in patches if isinstance(p, FancyBboxPatch | Circle)]
    extents = [box.get_window_extent(renderer) for box in boxes]
    for text, extent in zip(figure.axes[0].texts, extents, strict=True):
        inner = text.get_window_extent(renderer)
        assert extent.x0 <= inner.x0, text.get_text()
        assert inner.x1 <= extent.x1, text.get_text()
    for first, second in itertools.combinations(extents, 2):
        assert not first.overlaps(second)
    for extent in extents:
        assert figure.bbox.x0 <= extent.x0
        assert extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0
        assert extent.y1 <= figure.bbox.y1


def test_every_edge_ends_in_one_arrow() -> None:
    arrows = [p for p in draw(BRANCHES).axes[0].patches if isinstance(p, FancyArrowPatch)]
    heads = [a for a in arrows if type(a.get_arrowstyle()).__name__ == "CurveFilledB"]
    assert len(heads) == len(BRANCHES.edges)


def test_drawings_of_one_space_share_their_colours() -> None:
    operations = NASBench101Space().operations
    small = Architecture(["input", "maxpool3x3", "output"], [(0, 1), (1, 2)])
    colors = fill(draw(BRANCHES, operations=operations))
    assert fill(draw(small, operations=operations)) == {
        label: colors[label] for label in ("input", "maxpool3x3", "output")
    }
    assert len({colors[operation] for operation in operations}) == 3


def test_an_operation_has_one_colour_in_all_parts_and_what_is_none_is_grey() -> None:
    cells = NASBench201Space()
    space = ProductSpace({"normal": cells, "reduce": cells})
    parts = {"normal": FULL_201, "reduce": FULL_201}
    colors = fill(draw(space.join(parts), operations=space.operations))
    alone = fill(draw(FULL_201, operations=cells.operations))
    for part in parts:
        assert all(colors[f"{part}/{label}"] == color for label, color in alone.items())


def test_axes_of_the_callers_own_are_used() -> None:
    figure = Figure(figsize=(8, 3))
    left, right = figure.subplots(1, 2)
    assert draw(BRANCHES, left) is figure
    assert len(left.patches) > 0
    assert len(right.patches) == 0
    assert len(figure.axes) == 2


def test_sampled_cells_can_be_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for space in (NASBench101Space(), NASBench201Space()):
        path = tmp_path / f"{space.name}.png"
        draw(space.sample(rng).architecture).savefig(path, dpi=60)
        assert path.stat().st_size > 500


def test_nothing_of_pyplot_is_touched() -> None:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    draw(BRANCHES)
    assert pyplot.get_fignums() == before


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[plot\]"):
        draw(BRANCHES)
