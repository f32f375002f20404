"""The design space of RegNet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import RegNetSpace, space_from_settings
from graphbo.spaces.regnet import Block, block_widths, blocks_of, chain_of

SMALL = RegNetSpace([3, 4], [8], [0.0, 8.0, 9.0], [1.5, 2.5], [4, 64], [1, 2], stages=[1, 2, 3])
# Numbers, and the widths and depths of the stages, as the authors published them.
PUBLISHED = {
    "200MF": ((13, 24, 36.44, 2.49, 8), [24, 56, 152, 368], [1, 1, 4, 7]),
    "400MF": ((22, 24, 24.48, 2.54, 16), [32, 64, 160, 384], [1, 2, 7, 12]),
    "600MF": ((16, 48, 36.97, 2.24, 24), [48, 96, 240, 528], [1, 3, 5, 7]),
    "800MF": ((16, 56, 35.73, 2.28, 16), [64, 128, 288, 672], [1, 3, 7, 5]),
    "1.6GF": ((18, 80, 34.01, 2.25, 24), [72, 168, 408, 912], [2, 4, 10, 2]),
    "3.2GF": ((25, 88, 26.31, 2.25, 48), [96, 192, 432, 1008], [2, 6, 15, 2]),
    "4.0GF": ((23, 96, 38.65, 2.43, 40), [80, 240, 560, 1360], [2, 5, 14, 2]),
    "6.4GF": ((17, 184, 60.83, 2.07, 56), [168, 392, 784, 1624], [2, 4, 10, 1]),
    "8.0GF": ((23, 80, 49.56, 2.88, 120), [80, 240, 720, 1920], [2, 5, 15, 1]),
    "12GF": ((19, 168, 73.36, 2.37, 112), [224, 448, 896, 2240], [2, 5, 11, 1]),
    "16GF": ((22, 216, 55.59, 2.1, 128), [256, 512, 896, 2048], [2, 6, 13, 1]),
    "32GF": ((23, 320, 69.86, 2.0, 168), [336, 672, 1344, 2520], [2, 7, 13, 1]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_give_the_published_widths_and_depths(name: str) -> None:
    numbers, widths, depths = PUBLISHED[name]
    space = RegNetSpace(*([number] for number in numbers), bottleneck=[1], stages=[4])
    (design,) = space.enumerate()
    stages = space.stages_of(design.architecture)
    assert stages == list(zip(widths, depths, strict=True))
    for block in blocks_of(design.architecture):
        assert block.group == min(numbers[-1], block.width)


def test_a_line_without_slope_is_one_stage_and_a_power_is_one_width_each() -> None:
    assert block_widths(5, 16, 0, 2) == [16] * 5
    # u = 8, 16, 24, ..., 64 lies at s = 0, 1, 1.58, 2, 2.32, 2.58, 2.81 and 3.
    assert block_widths(8, 8, 8, 2) == [8, 16, 32, 32, 32, 64, 64, 64]


@given(
    depth=st.integers(1, 30),
    w_0=st.integers(1, 30),
    w_a=st.floats(0, 100),
    w_m=st.floats(1.1, 4),
)
def test_widths_are_multiples_of_8_near_a_line(
    depth: int, w_0: int, w_a: float, w_m: float
) -> None:
    widths = block_widths(depth, 8 * w_0, w_a, w_m)
    assert widths == sorted(widths)
    assert widths[0] == 8 * w_0
    for j, width in enumerate(widths):
        line = 8 * w_0 + w_a * j
        assert width % 8 == 0
        # Half a step in the logarithm, and then to a multiple of 8.
        assert line / w_m**0.51 - 4 <= width <= line * w_m**0.51 + 4


@given(width=st.integers(1, 500), group=st.integers(1, 64), bottleneck=st.sampled_from([1, 2, 4]))
def test_the_groups_of_a_block_are_whole(width: int, group: int, bottleneck: int) -> None:
    block = Block.compatible(width, group, bottleneck)
    assert block.width % bottleneck == 0
    assert (block.width // bottleneck) % block.group == 0
    assert 1 <= block.group <= group
    assert Block.parse(block.label) == block
    assert Block.compatible(*block) == block


def test_the_first_row_stands_for_a_chain() -> None:
    by_chain: dict[Architecture, list[Any]] = {}
    for row in SMALL._rows():
        if SMALL.is_valid(row):
            by_chain.setdefault(SMALL.decode(row), []).append(row)
    assert SMALL.size == len(by_chain) < sum(map(len, by_chain.values()))
    for chain, same in by_chain.items():
        assert SMALL.encode(chain) == min(same)


def test_operations_are_the_blocks_that_occur() -> None:
    used = {label for design in SMALL.enumerate() for label in design.architecture.nodes[1:-1]}
    assert set(SMALL.operations) == used


def test_numbers_that_make_another_number_of_stages_are_no_row() -> None:
    space = RegNetSpace([4], [8], [0.0, 8.0], [2.0], stages=[3])
    assert not space.is_valid((0, 0, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="do not make 3 stages"):
        space.decode((0, 0, 0, 0, 0, 0))
    rng = np.random.default_rng(0)
    chains = [space.sample(rng).architecture for _ in range(10)]
    assert all(len(space.stages_of(chain)) == 3 for chain in chains)


def test_settings_of_a_file_make_the_space() -> None:
    settings = {"type": "regnet", "depth": [5], "w_a": [8, 9.5], "stages": [2, 3]}
    expected = RegNetSpace([5], w_a=[8, 9.5], stages=[2, 3])
    assert repr(space_from_settings(settings)) == repr(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": []}, "depth must be ascending, and at least one"),
        ({"depth": [5, 4]}, "depth must be ascending"),
        ({"depth": [0]}, "depth must be at least 1"),
        ({"w_0": [12]}, "w_0 must be multiples of 8"),
        ({"w_a": [-1.0]}, "w_a must be at least 0"),
        ({"w_m": [1.0]}, "w_m must be greater than 1"),
        ({"w_m": [float("nan")]}, "w_m must be greater than 1"),
        ({"group_width": [0]}, "group_width must be at least 1"),
        ({"stages": [9]}, "no network of the space regnet has 9 stages"),
        ({"stages": []}, "there must be a number of stages"),
        ({"depth": range(1, 1000)}, "at most 1,000,000 blocks"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RegNetSpace(**arguments)


@pytest.mark.parametrize("label", ["conv3x3-8", "x8", "x08g4", "x8g4b", "x8g0"])
def test_what_is_no_block_is_named(label: str) -> None:
    with pytest.raises(InputError, match="labelled by its width and group width"):
        blocks_of(Architecture([INPUT, label, OUTPUT], [(0, 1), (1, 2)]))


def test_what_is_no_chain_of_the_space_is_refused() -> None:
    with pytest.raises(InputError, match="no chain"):
        blocks_of(Architecture([INPUT, "x8g4", OUTPUT], [(0, 1), (1, 2), (0, 2)]))
    with pytest.raises(ValueError, match="no row of the space regnet gives"):
        SMALL.encode(chain_of([Block(8, 4)]))
