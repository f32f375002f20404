"""Bayesian optimisation from a checkpoint: what it takes, what it records, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.comparison import compare
from graphbo.embeddings import (
    Better,
    GINEncoder,
    Pretrained,
    Settings,
    Task,
    fingerprint,
    load,
    pretrain,
    save,
)
from graphbo.errors import InputError
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.optimizers import EmbeddingBO
from graphbo.problems.base import Problem
from graphbo.spaces import CellSpace, PoolSpace, SearchSpace
from graphbo.spaces.description import described
from graphbo.study import Study
from graphbo.surrogates import Belief, name_of

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="small")
Checkpoints = Callable[[SearchSpace], Path]


def error(architecture: Architecture) -> float:
    return 20.0 - sum(1 + (label == "conv") for *_, label in architecture.edges)


PROBLEM = Problem("toy", SPACE, FunctionEvaluator(error), objective="objective")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that was pretrained on a hint: the number of edges."""
    cells = [design.architecture for design in SPACE.enumerate()]
    edges = Task("edges", np.array([float(len(cell.edges)) for cell in cells]), Better.HIGH)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = GINEncoder(SPACE.operations, dim=4, hidden=16, layers=1)
    made = pretrain(encoder, cells, [edges], Settings(objectives=("supervised",), epochs=20))
    path = tmp_path_factory.mktemp("trained") / "small.pt"
    save(made, path, {"space": described(SPACE)})
    return path


def test_what_the_encoder_expects_comes_first(trained: Path) -> None:
    optimizer = EmbeddingBO(SPACE, checkpoint=trained)
    (first,) = optimizer.ask()
    assert first.origin == "prior"
    assert isinstance(optimizer.pretrained, Pretrained)
    cells = [design.architecture for design in SPACE.enumerate()]
    with torch.no_grad():
        expected = cells[int(optimizer.pretrained.double().omens(cells).argmin())]
    assert first.architecture == expected


def test_a_hint_makes_the_search_shorter(trained: Path) -> None:
    """The best of 261 cells has all six edges, which the encoder has learned to like."""
    study = Study.of(PROBLEM, EmbeddingBO(SPACE, checkpoint=trained))
    assert study.run(trials=8).value == error(study.result.architecture) == 8.0


@pytest.mark.parametrize(
    ("surrogate", "models"),
    [
        ("kernels", 5),
        ("embedding", 1),
        ("deep-kernel", 1),
        ("linear", 1),
        ("ensemble", 1),
        ("paths", 1),
    ],
)
def test_surrogates_by_name(surrogate: str, models: int, trained: Path) -> None:
    optimizer = EmbeddingBO(SPACE, checkpoint=trained, surrogate=surrogate)
    study = Study.of(PROBLEM, optimizer)
    study.run(trials=3)
    assert len(optimizer.surrogate.models) == models
    names = " ".join(name_of(model) for model in optimizer.surrogate.models)
    assert ("EnsembleModel" in names) == (surrogate in ("ensemble", "paths"))
    assert np.isfinite(optimizer.surrogate.prior_scores(SPACE.enumerate())).all()


def test_without_the_prior_random_designs_come_first(trained: Path) -> None:
    optimizer = EmbeddingBO(SPACE, checkpoint=trained, surrogate="embedding", prior=False)
    assert [design.origin for design in optimizer.ask(5)] == ["initial"] * 5
    with pytest.raises(ValueError, match="has no prior"):
        optimizer.surrogate.prior_scores(SPACE.enumerate())


def test_paths_alone_need_no_checkpoint() -> None:
    optimizer = EmbeddingBO(SPACE, surrogate="paths", prior=False)
    assert optimizer.pretrained is None
    assert optimizer.settings["checkpoint"] is None


def test_the_settings_name_the_content_of_the_checkpoint(trained: Path, tmp_path: Path) -> None:
    optimizer = EmbeddingBO(SPACE, checkpoint=trained)
    assert optimizer.settings == {
        "initial": 1,
        "acquisition": "logei",
        "surrogate": "kernels",
        "prior": True,
        "checkpoint": fingerprint(load(trained)),
    }
    assert json.loads(json.dumps(optimizer.settings)) == optimizer.settings
    copied = tmp_path / "elsewhere.pt"
    copied.write_bytes(trained.read_bytes())
    assert EmbeddingBO(SPACE, checkpoint=str(copied)).settings == optimizer.settings


def test_a_prior_of_the_users_own_takes_the_place_of_the_encoders(trained: Path) -> None:
    belief = Belief(SPACE, lambda cell: -len(cell.edges), "edges")
    optimizer = EmbeddingBO(SPACE, checkpoint=trained, surrogate="embedding", prior=belief)
    assert optimizer.settings["prior"] == "edges"
    (first,) = optimizer.ask()
    most = max(len(design.architecture.edges) for design in SPACE.enumerate())
    assert (first.origin, len(first.architecture.edges)) == ("prior", most)


def test_a_study_goes_on_with_the_same_checkpoint_only(
    trained: Path, tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    def study(checkpoint: Path) -> Study:
        optimizer = EmbeddingBO(SPACE, checkpoint=checkpoint, surrogate="embedding")
        return Study.of(PROBLEM, optimizer, storage=tmp_path / "study.sqlite")

    first = study(trained)
    first.run(trials=3)
    first.close()
    with pytest.raises(InputError, match="settings"):
        study(tiny_checkpoint(SPACE))
    again = study(trained)
    assert len(again.run(trials=5).trials) == 5
    again.close()


# Checkpoints -------------------------------------------------------------------------------------


def test_the_shipped_checkpoint_is_the_default(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphbo.embeddings.checkpoint._DATA", tmp_path)
    with pytest.raises(InputError, match=r"for the space small comes with .* 'graphbo pretrain"):
        EmbeddingBO(SPACE)
    (tmp_path / "small.pt").write_bytes(trained.read_bytes())
    assert EmbeddingBO(SPACE).settings["checkpoint"] == fingerprint(load(trained))


def test_a_pool_takes_the_checkpoint_of_its_space(trained: Path) -> None:
    cells = [design.architecture for design in SPACE.enumerate()]
    pool = PoolSpace(cells[::3], name="small", parent=SPACE)
    optimizer = EmbeddingBO(pool, checkpoint=trained, surrogate="embedding")
    assert optimizer.ask()[0].architecture in pool


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            CellSpace(3, ["conv", "skip"], on="edges"),
            r"on the space small .* not on the space cell",
        ),
        (CellSpace(4, ["conv", "pool"], on="edges", name="small"), "on the operations"),
        (CellSpace(4, ["conv"], on="edges", name="small"), "not on the space small"),
    ],
)
def test_a_checkpoint_of_another_space_is_refused(
    space: SearchSpace, message: str, trained: Path
) -> None:
    with pytest.raises(InputError, match=message):
        EmbeddingBO(space, checkpoint=trained)


def test_a_checkpoint_that_does_not_say_its_space_is_refused(tmp_path: Path) -> None:
    save(Pretrained(GINEncoder(SPACE.operations, dim=4)), tmp_path / "odd.pt")
    with pytest.raises(
        InputError, match="on a space that it does not name, not on the space small"
    ):
        EmbeddingBO(SPACE, checkpoint=tmp_path / "odd.pt")


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no checkpoint .*none\.pt"):
        EmbeddingBO(SPACE, checkpoint=tmp_path / "none.pt")
    with pytest.raises(InputError, match=r"one of kernels, .*; got 'forest'"):
        EmbeddingBO(SPACE, surrogate="forest")
    made = Pretrained(GINEncoder(SPACE.operations, dim=4), card={"space": described(SPACE)})
    save(made, tmp_path / "silent.pt")
    with pytest.raises(InputError, match="prior=false"):
        EmbeddingBO(SPACE, checkpoint=tmp_path / "silent.pt")
    EmbeddingBO(SPACE, checkpoint=tmp_path / "silent.pt", prior=False)


# Leakage -----------------------------------------------------------------------------------------


def on_table(path: Path, **column: object) -> Path:
    table = {"labels": 200, **column}
    card: dict[str, Any] = {"space": described(SPACE), "data": {"tables": [table]}}
    made = Pretrained(GINEncoder(SPACE.operations, dim=4), ["omen"], [1.0], card)
    save(made.eval(), path)
    return path


def test_an_encoder_that_has_seen_the_very_labels_is_refused(tmp_path: Path) -> None:
    seen = on_table(tmp_path / "seen.pt", problem="toy", objective="error", fidelity={})
    with pytest.raises(InputError, match="pretrained on 200 labels of toy itself"):
        Study.of(PROBLEM, f"embedding-bo:checkpoint={seen}")
    with pytest.raises(InputError, match="pretrained on 200 labels of toy itself"):
        compare(
            PROBLEM,
            ["random", f"embedding-bo:checkpoint={seen}"],
            trials=2,
            seeds=1,
            output=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()
    # Labels of shorter trainings, or of other problems, are fair, and so are facts.
    for column in (
        {"problem": "toy", "objective": "error", "fidelity": {"epochs": 3}},
        {"problem": "other", "objective": "error", "fidelity": {}},
        {"problem": "toy", "fact": "parameters"},
    ):
        fair = on_table(tmp_path / "fair.pt", **column)
        Study.of(PROBLEM, f"embedding-bo:checkpoint={fair}").close()
