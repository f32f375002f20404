from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.problems.digits import digits, displaced_digits
from graphbo.spaces import NASBench201Space
from graphbo.trial import Job


def test_data_have_the_stated_shapes_and_are_the_same_every_time() -> None:
    parts, again = displaced_digits(), displaced_digits()
    assert [len(x) for x, _ in parts] == [4 * 900, 4 * 447, 4 * 450]
    for (x, y), (x_again, y_again) in zip(parts, again, strict=True):
        assert torch.equal(x, x_again)
        assert torch.equal(y, y_again)
        assert x.shape[1:] == (1, 12, 12)
        assert set(y.tolist()) == set(range(10))


def test_no_digit_is_in_two_parts_and_images_keep_their_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Digits that can be told apart afterwards: each its own class, the odd ones white.
    classes = np.arange(1797)
    images = np.ones((1797, 8, 8)) * 16 * (classes % 2)[:, None, None]
    bunch = SimpleNamespace(images=images, target=classes)
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: bunch)
    parts = displaced_digits()
    everything = torch.cat([y for _, y in parts])
    assert torch.equal(everything.bincount(), torch.full((1797,), 4))
    assert sum(len(y.unique()) for _, y in parts) == 1797
    for x, y in parts:
        white = x.mean((1, 2, 3)) * 12 * 12 / 64
        torch.testing.assert_close(white, (y % 2).float(), atol=0.15, rtol=0)


def test_digits_are_displaced() -> None:
    (x, _), _, _ = displaced_digits()
    blank = (x[:, 0].amax(2) < 0.5).float()  # rows without a stroke
    assert len({tuple(row) for row in blank[:200].tolist()}) > 4


@pytest.mark.slow
def test_problem_trains_cells_and_a_convolution_beats_the_empty_cell() -> None:
    problem = pickle.loads(pickle.dumps(digits()))
    assert problem.name == "digits"
    assert isinstance(problem.space, NASBench201Space)
    assert problem.objective in problem.evaluator.objectives
    convolution = Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")])
    empty = Architecture(["input", "output"], [])
    errors = [
        problem.evaluator.evaluate_one(
            Job(problem.space.design_of(architecture), {"epochs": 1})
        ).objectives
        for architecture in (convolution, empty)
    ]
    assert set(errors[0]) == {"validation_error", "test_error"}
    assert errors[0]["validation_error"] < 60
    assert errors[1]["validation_error"] > 80


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphbo\[digits\]'"):
        digits()
