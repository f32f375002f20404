from __future__ import annotations

import pytest

from graphbo.errors import InputError
from graphbo.training.stopping import Patience


@pytest.mark.parametrize(
    ("curve", "stops"),
    [
        ([], False),
        ([30.0, 30.0], False),
        ([30.0, 30.0, 30.0], True),
        ([30.0, 40.0, 29.0], False),
        ([30.0, 20.0, 25.0, 20.0], True),
        ([30.0, 20.0, 25.0, 19.0], False),
    ],
)
def test_patience_waits_for_a_lower_error(curve: list[float], stops: bool) -> None:
    assert Patience(2)(curve) is stops


def test_delta_is_what_an_improvement_must_exceed() -> None:
    assert Patience(1, delta=1.0)([30.0, 29.0])
    assert not Patience(1, delta=1.0)([30.0, 28.9])


@pytest.mark.parametrize(("epochs", "delta"), [(0, 0.0), (1, -1.0)])
def test_patience_out_of_range_is_refused(epochs: int, delta: float) -> None:
    with pytest.raises(InputError, match="at least 1 epoch and a delta of at least 0"):
        Patience(epochs, delta)
