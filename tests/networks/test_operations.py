from __future__ import annotations

import pytest
import torch

from graphbo.networks.operations import OPERATIONS, operation


@pytest.mark.parametrize("label", [name for name in OPERATIONS if not name.endswith("pool2")])
def test_operations_keep_the_image_size(label: str) -> None:
    assert operation(label, 6, 6)(torch.randn(2, 6, 5, 7)).shape == (2, 6, 5, 7)


@pytest.mark.parametrize("label", ["maxpool2", "avgpool2"])
@pytest.mark.parametrize(("size", "halved"), [(8, 4), (5, 3), (1, 1)])
def test_halving_rounds_up_and_stops_at_one_pixel(label: str, size: int, halved: int) -> None:
    assert operation(label, 3, 3)(torch.randn(2, 3, size, size)).shape == (2, 3, halved, halved)


@pytest.mark.parametrize(
    ("label", "count"),
    [
        ("nor_conv_1x1", 4 * 6 + 2 * 6),
        ("nor_conv_3x3", 9 * 4 * 6 + 2 * 6),
        ("conv1x1", 4 * 6 + 2 * 6),
        ("conv3x3", 9 * 4 * 6 + 2 * 6),
        ("conv5x5", 25 * 4 * 6 + 2 * 6),
        ("sepconv3x3", 9 * 4 + 4 * 6 + 2 * 6),
        ("sepconv5x5", 25 * 4 + 4 * 6 + 2 * 6),
    ],
)
def test_convolutions_have_weights_and_a_scale_and_shift_per_channel(
    label: str, count: int
) -> None:
    assert sum(p.numel() for p in operation(label, 4, 6).parameters()) == count


@pytest.mark.parametrize("label", ["avg_pool_3x3", "avgpool3x3"])
def test_average_pooling_of_a_constant_image_leaves_it_as_it_is(label: str) -> None:
    image = torch.full((1, 2, 4, 4), 3.0)
    torch.testing.assert_close(operation(label, 2, 2)(image), image)


def test_nas_bench_201_convolutions_end_with_batch_norm_the_others_with_relu() -> None:
    x = torch.randn(4, 3, 6, 6)
    assert operation("nor_conv_3x3", 3, 3)(x).min() < 0
    assert operation("conv3x3", 3, 3)(x).min() == 0


def test_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="no module for the operation 'conv9x9'"):
        operation("conv9x9", 3, 3)


def test_pooling_cannot_change_the_channels() -> None:
    with pytest.raises(ValueError, match="cannot turn 3 into 4"):
        operation("maxpool3x3", 3, 4)
