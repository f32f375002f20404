"""From a space to a checkpoint, without a look at the target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.datasets import ImageData
from graphbo.embeddings import Pretrained, Settings, card_text, save, versions
from graphbo.errors import InputError
from graphbo.pretraining import Column, pretrain_on
from graphbo.problems import get_problem
from graphbo.spaces import CellSpace, ChainSpace, NASBench201Space, PoolSpace
from graphbo.spaces.description import described

SMALL: dict[str, Any] = {
    "encoder_settings": {"dim": 4, "hidden": 8, "layers": 1},
    "settings": Settings(epochs=2, batch_size=16),
}
SPACE = CellSpace(4, ["skip_connect", "nor_conv_1x1"], on="edges", name="small")
Write = Callable[..., bytes]


@pytest.fixture
def write(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Write:
    """Writes a table with some arrays replaced, pretrains on it, and returns the checkpoint."""

    def pretrained(**replaced: np.ndarray) -> bytes:
        np.savez(tmp_path / "nasbench201.npz", **{**arrays, **replaced})
        made = pretrain_on(
            get_problem("nasbench201-source", tmp_path).space,
            tables=[Column("nasbench201-source", {"epochs": 12})],
            labels=30,
            proxies=(),
            data=tmp_path,
            **SMALL,
        )
        save(made, tmp_path / "made.pt")
        return (tmp_path / "made.pt").read_bytes()

    return pretrained


def test_the_labels_of_the_target_are_never_read(
    write: Write, arrays: dict[str, np.ndarray]
) -> None:
    before = write()
    noise = np.random.default_rng(7)

    def noisy(name: str) -> np.ndarray:
        return noise.uniform(0, 100, arrays[name].shape)

    # Another dataset, at any fidelity; and the same after full training.
    targets = ["target_valid_acc_12", "target_valid_acc_200"]
    targets += ["source_valid_acc_200", "source_test_acc_200"]
    for name in targets:
        assert write(**{name: noisy(name)}) == before, name
    assert write(**{name: noisy(name) for name in targets}) == before
    # The test would notice: what it is pretrained on makes a difference.
    assert write(source_valid_acc_12=noisy("source_valid_acc_12")) != before


def test_only_the_labels_that_were_drawn_are_read(
    write: Write, arrays: dict[str, np.ndarray]
) -> None:
    before = write()
    values = arrays["source_valid_acc_12"]
    same = [write(source_valid_acc_12=_with(values, i)) == before for i in range(5)]
    assert any(same)
    assert not all(same)


def _with(values: np.ndarray, i: int) -> np.ndarray:
    changed = values.copy()
    changed[i] = 99.0
    return changed


def test_the_card_says_what_it_was_made_of(table: Path, images: ImageData) -> None:
    made = pretrain_on(
        NASBench201Space(),
        tables=[Column("nasbench201-source", {"epochs": 12}), Column("nasbench201-target")],
        labels=30,
        proxies=["parameters", "flops"],
        proxied=8,
        architectures=200,
        settings=Settings(epochs=1, seed=5),
        encoder="gcn",
        encoder_settings=SMALL["encoder_settings"],
        images=images,
        data=table,
        command="graphbo pretrain nasbench201",
    )
    card = made.card
    assert json.loads(json.dumps(card)) == card
    assert card["space"] == described(NASBench201Space())
    tables = card["data"]["tables"]
    assert tables[0] == {
        "problem": "nasbench201-source",
        "objective": "validation_error",
        "fidelity": {"epochs": 12},
        "labels": 30,
        "seed": 5,
    }
    assert tables[1]["fidelity"] == {"epochs": 200}
    assert card["data"]["proxies"] == {
        "names": ["parameters", "flops"],
        "images": "shapes",
        "batch_size": 64,
        "network": "NASBench201Network(channels=8, cells=1, classes=10, in_channels=1)",
        "networks_at_most": 8,
        "seed": 5,
    }
    assert card["data"]["chosen"] == "those with labels and others at random, seed 5"
    assert card["tasks"]["nasbench201-source@12"]["known"] == 30
    assert card["architectures"] == 200
    assert list(card["tasks"]) == list(made.tasks)
    assert card["encoder"]["name"] == "gcn"
    assert card["settings"]["seed"] == 5
    assert card["versions"] == versions()
    assert card["command"] == "graphbo pretrain nasbench201"
    assert str(table) not in json.dumps(card)


def test_labels_are_those_of_the_table_and_of_the_space(table: Path) -> None:
    problem = get_problem("nasbench201-source", table)
    inside = [design.architecture for design in problem.space.enumerate()][:25]
    made = pretrain_on(
        PoolSpace(inside, parent=NASBench201Space()),
        tables=[Column(problem, {"epochs": 12})],
        proxies=(),
        **SMALL,
    )
    assert made.card["architectures"] == 25
    assert made.card["data"]["tables"][0]["labels"] == 25
    # However few architectures are asked for, those with labels are among them.
    made = pretrain_on(
        problem.space,
        tables=[Column(problem, {"epochs": 12})],
        labels=20,
        proxies=(),
        architectures=5,
        **SMALL,
    )
    assert made.card["architectures"] == 20


def test_facts_of_a_table_are_no_labels(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    parameters = np.random.default_rng(0).uniform(size=60)
    np.savez(tmp_path / "nasbench201.npz", **arrays, target_params_M=parameters)
    made = pretrain_on(
        get_problem("nasbench201-target", tmp_path).space,
        tables=[Column("nasbench201-target", name="parameters")],
        proxies=(),
        architectures=20,
        data=tmp_path,
        **SMALL,
    )
    (task,) = made.card["tasks"].values()
    assert (task["known"], task["better"]) == (20, "high")
    fact = {"problem": "nasbench201-target", "fact": "parameters", "labels": 20, "seed": 0}
    assert made.card["data"]["tables"] == [fact]
    assert "- table nasbench201-target: 20 labels of parameters, seed 0" in card_text(made)


def without_data(**settings: Any) -> Pretrained:
    return pretrain_on(**{"space": SPACE, "proxies": (), **SMALL, **settings})


def test_a_space_alone_will_do() -> None:
    made = without_data()
    assert made.tasks == ()
    assert made.card["data"] == {"chosen": "all of the space"}
    assert made.card["architectures"] == SPACE.size
    vectors = made([design.architecture for design in SPACE.enumerate()])
    assert torch.allclose(vectors.mean(0), torch.zeros(4), atol=1e-4)


def test_a_large_space_is_sampled() -> None:
    assert without_data(architectures=30).card["architectures"] == 30
    made = without_data(space=ChainSpace(12), architectures=25)
    assert made.card["architectures"] == 25
    assert made.card["data"]["chosen"] == "those with labels and others at random, seed 0"


def test_the_seed_is_that_of_everything_and_the_global_state_of_nothing() -> None:
    def weights(seed: int) -> list[float]:
        settings = Settings(epochs=1, seed=seed)
        made = without_data(settings=settings, architectures=20)
        return torch.cat([p.detach().flatten() for p in made.encoder.parameters()]).tolist()

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert weights(0) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert weights(1) != first


def test_progress_is_told(images: ImageData) -> None:
    networks: list[int] = []
    epochs: list[int] = []
    without_data(
        proxies=["parameters"],
        proxied=40,
        images=images,
        on_proxies=lambda done, total: networks.append(done),
        on_epoch=lambda done, loss: epochs.append(done),
    )
    assert networks == [32, 40]
    assert epochs == [1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "lstm"}, "there is no encoder 'lstm'"),
        ({"encoder_settings": {"width": 3}}, "has no setting 'width'"),
        ({"architectures": 0}, "at least 1 architecture is needed; got 0"),
        ({"architectures": 9}, "ten distinct architectures or more; got 9"),
        ({"settings": Settings(objectives=("supervised",))}, "needs at least one task"),
        ({"tables": [Column("nasbench301")]}, "no problem 'nasbench301'"),
    ],
)
def test_mistakes_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        without_data(**settings)
