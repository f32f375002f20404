"""The macro space whose later choices depend on the depth."""

from __future__ import annotations

import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces import INACTIVE, ChainSpace


def chain(*layers: str) -> Architecture:
    nodes = [INPUT, *layers, OUTPUT]
    return Architecture(nodes, [(i, i + 1) for i in range(len(nodes) - 1)])


@pytest.fixture
def space() -> ChainSpace:
    return ChainSpace(3, ["conv1x1", "conv3x3"], ["maxpool2"], [8, 16])


def test_a_row_names_depth_layers_and_widths(space: ChainSpace) -> None:
    names = [decision.name for decision in space.decisions]
    assert names == ["depth", "layer_1", "width_1", "layer_2", "width_2", "layer_3", "width_3"]
    row = (1, 1, 1, 2, INACTIVE, INACTIVE, INACTIVE)
    assert space.decode(row) == chain("conv3x3-16", "maxpool2")
    assert space.encode(chain("conv3x3-16", "maxpool2")) == row
    assert space.chain


def test_the_size_is_a_closed_form(space: ChainSpace) -> None:
    assert space.size == 5 + 5**2 + 5**3 == len(space.enumerate())
    assert ChainSpace(12).size == sum(14**depth for depth in range(1, 13))
    assert space.enumerable
    assert not ChainSpace(12).enumerable


def test_layers_exist_only_if_the_depth_reaches_them(space: ChainSpace) -> None:
    configuration_space = space.configuration_space
    configuration_space.seed(0)
    for configuration in configuration_space.sample_configuration(100):
        depth = int(configuration["depth"])
        for i in (1, 2, 3):
            assert (f"layer_{i}" in configuration) == (i <= depth)
            convolution = str(configuration.get(f"layer_{i}", "")).startswith("conv")
            assert (f"width_{i}" in configuration) == convolution
        assert len(space.from_configuration(configuration).architecture) == depth + 2


def test_inactive_entries_are_marked_whatever_was_given(space: ChainSpace) -> None:
    design = space.design((0, 2, 1, 1, 1, 0, 0))
    assert design.row == (0, 2, *[INACTIVE] * 5)
    assert design.architecture == chain("maxpool2")
    # What becomes active takes its first choice.
    assert space.design((1, 0, 0, *[INACTIVE] * 4)).architecture == chain("conv1x1-8", "conv1x1-8")


def test_neighbors_change_one_layer_width_or_the_depth(space: ChainSpace) -> None:
    centre = space.design_of(chain("conv3x3-8", "maxpool2"))
    assert {neighbor.architecture for neighbor in space.neighbors(centre)} == {
        chain("conv3x3-8"),
        chain("conv3x3-8", "maxpool2", "conv1x1-8"),
        chain("conv1x1-8", "maxpool2"),
        chain("maxpool2", "maxpool2"),
        chain("conv3x3-16", "maxpool2"),
        chain("conv3x3-8", "conv1x1-8"),
        chain("conv3x3-8", "conv3x3-8"),
    }


def test_without_pools_the_width_depends_on_the_depth_alone() -> None:
    space = ChainSpace(2, ["conv"], [], [8, 16])
    assert space.size == 2 + 4
    assert space.decisions[2].conditions == {}


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture([INPUT, OUTPUT], []), "is a chain"),
        (Architecture([INPUT, OUTPUT], [(0, 1)]), "1 to 3 layers; this one has 0"),
        (chain(*["maxpool2"] * 4), "1 to 3 layers; this one has 4"),
        (chain("conv3x3-32"), "unknown layer 'conv3x3-32'"),
        (
            Architecture([INPUT, "maxpool2", OUTPUT], [(0, 1), (1, 2), (0, 2)]),
            "is a chain",
        ),
    ],
)
def test_other_architectures_are_refused(
    space: ChainSpace, architecture: Architecture, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        space.encode(architecture)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_depth": 0}, "max_depth must be at least 1"),
        ({"max_depth": 2, "operations": []}, "at least one a convolution"),
        ({"max_depth": 2, "operations": ["a"], "pools": ["a"]}, "distinct"),
        ({"max_depth": 2, "widths": [16, 8]}, "ascending"),
        ({"max_depth": 2, "widths": []}, "ascending"),
        ({"max_depth": 2, "pools": ["output"]}, "'output' is reserved"),
        ({"max_depth": 2, "operations": ["a"], "pools": ["a-8"]}, "'a-8' is reserved"),
    ],
)
def test_arguments_that_make_no_space_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ChainSpace(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "row",
    [(), (3, *[0] * 6), (0, 0, INACTIVE, *[INACTIVE] * 4), (0, *[0] * 6), (0, 2, 0, *[-1] * 4)],
)
def test_rows_with_misplaced_marks_are_not_valid(space: ChainSpace, row: tuple[int, ...]) -> None:
    assert not space.is_valid(row)
