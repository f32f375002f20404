from __future__ import annotations

import pickle
import sys

import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.errors import MissingExtraError
from graphbo.problems.digits import digits, displaced_digits
from graphbo.spaces import NASBench201Space
from graphbo.trial import Job


def test_parts_are_disjoint_and_the_same_every_time() -> None:
    parts, again = displaced_digits(), displaced_digits()
    assert [len(x) for x, _ in parts] == [4 * 900, 4 * 447, 4 * 450]
    for (x, y), (x_again, y_again) in zip(parts, again, strict=True):
        assert torch.equal(x, x_again)
        assert torch.equal(y, y_again)
        assert x.shape[1:] == (1, 12, 12)
        assert (x.min(), x.max()) == (0, 1)
        assert set(y.tolist()) == set(range(10))

    def originals(x: torch.Tensor) -> set[bytes]:
        """The digits without the empty rows and columns around them."""
        found = set()
        for image in x[:, 0]:
            rows, columns = image.any(1).nonzero(), image.any(0).nonzero()
            digit = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            found.add(digit.contiguous().numpy().tobytes())
        return found

    train, validation, test = (originals(x) for x, _ in parts)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(train | validation | test) == 1797


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
