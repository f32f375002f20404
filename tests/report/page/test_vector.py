from __future__ import annotations

from xml.etree import ElementTree

from graphbo import Architecture
from graphbo.report.page.vector import effects_svg, operations_svg

CELL = Architecture(
    ["input", "", "output"], [(0, 1, "conv<b>&"), (0, 2, "skip"), (1, 2, "conv<b>&")]
)
NAMED = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> dict[str, str]:
    """Return the colours of the boxes by their text, from a drawing that is sound XML."""
    groups = ElementTree.fromstring(svg).iter("g")
    return {str(g.findtext("text")): str(g.find("rect").get("fill")) for g in groups}  # type: ignore[union-attr]


def test_every_operation_is_a_box_with_its_name() -> None:
    svg = operations_svg(CELL)
    assert set(boxes(svg)) == {"input", "output", "conv<b>&", "skip"}
    assert svg.count("<circle") == 1, "the node that sums"
    assert "architecture: input, output" in svg


def test_drawings_of_a_space_share_their_colours() -> None:
    alone = Architecture(["input", "output"], [(0, 1, "skip")])
    operations = ["conv<b>&", "skip"]
    assert boxes(operations_svg(alone, operations))["skip"] == boxes(operations_svg(CELL))["skip"]


def test_effects_colour_what_lowers_blue_and_what_raises_red() -> None:
    chain = Architecture(["input", "a", "b", "output"], [(0, 1), (1, 2), (2, 3)])
    colors = boxes(effects_svg(chain, {0: 0.0, 1: -0.5, 2: 0.25, 3: 0.0}))
    red, blue = (
        (int(colors[name][1:3], 16) for name in "ab"),
        (int(colors[name][5:], 16) for name in "ab"),
    )
    (a_red, b_red), (a_blue, b_blue) = red, blue
    assert a_blue > a_red
    assert b_red > b_blue
    assert colors["input"] == colors["output"]
    assert "a: -0.500" in effects_svg(chain, {1: -0.5})


def test_the_empty_architecture_is_drawn() -> None:
    assert set(boxes(operations_svg(Architecture(["input", "output"], [])))) == {"input", "output"}
    assert effects_svg(Architecture(["input", "output"], []), {})
