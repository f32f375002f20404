"""Checkpoints of pretrained encoders: the same again, never code, and clear refusals."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.embeddings import (
    ENCODERS,
    Pretrained,
    card_text,
    fingerprint,
    load,
    make_encoder,
    save,
    shipped,
    versions,
)

OPERATIONS = ["a", "b"]
GRAPHS = [
    Architecture(["input", *labels, "output"], [(i, i + 1) for i in range(len(labels) + 1)])
    for labels in (["a"], ["b"], ["a", "b"], ["b", "a"])
]
CARD: dict[str, Any] = {
    "space": {"name": "chains", "digest": "0123"},
    "architectures": 1234,
    "settings": {"objectives": ["supervised"], "learning_rate": 0.002},
    "tasks": {
        "naswot": {"known": 200, "better": "high", "held_out_tau": 0.5},
        "odd": {"known": 3, "better": "neither", "held_out_tau": None},
    },
    "epochs": 7,
    "held_out_losses": {"supervised": 0.25},
    "data": {
        "tables": [
            {
                "problem": "nasbench201-cifar10",
                "objective": "validation_error",
                "fidelity": {"epochs": 12},
                "labels": 200,
                "seed": 3,
            }
        ],
        "proxies": {"names": ["naswot"], "images": "digits"},
        "chosen": "all of the space",
    },
    "command": "graphbo pretrain chains --seed 3",
}


def pretrained(name: str = "gin", seed: int = 0, **settings: Any) -> Pretrained:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = {"dim": 4, "hidden": 8, "layers": 1}
        encoder = make_encoder(name, OPERATIONS, **sizes | settings)
        made = Pretrained(encoder, ["naswot", "odd"], [-1.0, 0.0], CARD).eval()
    made.standardize(encoder.batch(GRAPHS))
    return made


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_loaded_computes_the_same(name: str, tmp_path: Path) -> None:
    one = pretrained(name)
    save(one, tmp_path / "new" / "one.pt")
    again = load(tmp_path / "new" / "one.pt", OPERATIONS)
    assert not again.training
    assert (again.tasks, again.votes) == (one.tasks, one.votes)
    with torch.no_grad():
        assert torch.equal(again(GRAPHS), one(GRAPHS))
        assert torch.equal(again.omens(GRAPHS), one.omens(GRAPHS))
        assert torch.equal(again.predict(GRAPHS, "odd"), one.predict(GRAPHS, "odd"))
    assert fingerprint(again) == fingerprint(one)


def test_the_card_travels_with_it_and_states_versions(tmp_path: Path) -> None:
    one = pretrained()
    save(one, tmp_path / "one.pt", {"licence": "MIT"})
    assert one.card == CARD
    card = load(tmp_path / "one.pt").card
    assert card == {**CARD, "licence": "MIT", "versions": versions()}
    assert list(card["versions"]) == ["graphbo", "torch", "torch-geometric"]
    # Those of its making, not of its last copy.
    one.card = {**card, "versions": {"graphbo": "0.0.1"}}
    save(one, tmp_path / "one.pt")
    assert load(tmp_path / "one.pt").card["versions"] == {"graphbo": "0.0.1"}


def test_equal_content_gives_equal_bytes_whatever_the_file_is_called(tmp_path: Path) -> None:
    for name in ("one.pt", "other.pt"):
        save(pretrained(), tmp_path / name)
    save(load(tmp_path / "one.pt"), tmp_path / "third.pt")
    content = (tmp_path / "one.pt").read_bytes()
    assert (tmp_path / "other.pt").read_bytes() == content
    assert (tmp_path / "third.pt").read_bytes() == content
    assert str(tmp_path).encode() not in content
    save(pretrained(seed=1), tmp_path / "other.pt")
    assert (tmp_path / "other.pt").read_bytes() != content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.pt", "other.pt", "third.pt"]


def test_the_fingerprint_tells_what_is_computed_and_not_how_it_is_called() -> None:
    one = pretrained()
    assert len(fingerprint(one)) == 16
    renamed = copy.deepcopy(one)
    renamed.card = {}
    assert fingerprint(renamed) == fingerprint(one)
    voted = copy.deepcopy(one)
    voted.votes = (-0.5, 0.5)
    moved = copy.deepcopy(one)
    moved.center += 1e-3
    others = [pretrained(seed=1), pretrained(hidden=9), voted, moved]
    assert len({fingerprint(each) for each in [one, *others]}) == 5


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    state = torch.get_rng_state()
    load(tmp_path / "one.pt")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_failed_write_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(pretrained(), tmp_path / "one.pt")
    before = (tmp_path / "one.pt").read_bytes()

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ValueError, match="cannot be written: disk full"):
        save(pretrained(seed=1), tmp_path / "one.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["one.pt"]
    assert (tmp_path / "one.pt").read_bytes() == before


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_card_has_json_values(value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the card must consist of JSON values"):
        save(pretrained(), tmp_path / "one.pt", {"odd": value})


# Refusals ----------------------------------------------------------------------------------------


class Code:
    """Says so if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("unpickled"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"graphbo_checkpoint": 1, "json": "{}", "state": Code()}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="damaged, or no checkpoint"):
        load(tmp_path / "bad.pt")
    assert not (tmp_path / "unpickled").exists()
    pickle.loads(pickle.dumps(Code()))  # the test would notice
    assert (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", pickle.dumps({"graphbo_checkpoint": 1})])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.pt is damaged, or no checkpoint|odd\.pt is damag"):
        load(tmp_path / "odd.pt")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no checkpoint .*none\.pt"):
        load(tmp_path / "none.pt")
    torch.save({"weights": torch.ones(2)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="no checkpoint of a pretrained encoder"):
        load(tmp_path / "weights.pt")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    content = (tmp_path / "one.pt").read_bytes()
    (tmp_path / "one.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        load(tmp_path / "one.pt")


def changed(path: Path, **changes: Any) -> None:
    content = torch.load(path, weights_only=True)
    torch.save({**content, **changes}, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"json": "{"},
        {"json": json.dumps({"encoder": {"name": "lstm", "operations": ["a"]}})},
        {"state": {}},
        {"state": 3},
    ],
)
def test_parts_that_do_not_fit_are_damage(changes: dict[str, Any], tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    changed(tmp_path / "one.pt", **changes)
    with pytest.raises(ValueError, match=r"the checkpoint .*one\.pt is damaged"):
        load(tmp_path / "one.pt")


@pytest.mark.parametrize("setting", ["dim", "hidden", "layers", "operations"])
def test_settings_that_would_fill_the_memory_are_refused_before_anything_is_made(
    setting: str, tmp_path: Path
) -> None:
    save(pretrained(), tmp_path / "one.pt")
    plan = json.loads(torch.load(tmp_path / "one.pt", weights_only=True)["json"])
    plan["encoder"][setting] = list(map(str, range(9))) if setting == "operations" else 10**9
    changed(tmp_path / "one.pt", json=json.dumps(plan))
    with pytest.raises(ValueError, match=r"the checkpoint .*one\.pt is damaged"):
        load(tmp_path / "one.pt")


def test_weights_that_are_larger_than_what_is_stored_of_them_are_refused(tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    content = torch.load(tmp_path / "one.pt", weights_only=True)
    plan = json.loads(content["json"])
    plan["encoder"]["dim"] = 10**9
    state = content["state"]
    for name in ("center", "scale"):
        state[name] = torch.zeros(1).expand(10**9)
    changed(tmp_path / "one.pt", json=json.dumps(plan), state=state)
    with pytest.raises(ValueError, match=r"the checkpoint .*one\.pt is damaged"):
        load(tmp_path / "one.pt")


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    changed(tmp_path / "one.pt", graphbo_checkpoint=2, json="{}")
    with pytest.raises(ValueError, match="written by a newer version: upgrade graphbo"):
        load(tmp_path / "one.pt")


def test_operations_of_another_space_are_named(tmp_path: Path) -> None:
    save(pretrained(), tmp_path / "one.pt")
    with pytest.raises(ValueError, match=r"on the operations \['a', 'b'\]; .* has \['c', 'a'\]"):
        load(tmp_path / "one.pt", ["c", "a"])
    load(tmp_path / "one.pt", ["b"])  # a part of the space


# The card ----------------------------------------------------------------------------------------


def test_the_card_is_readable() -> None:
    one = pretrained()
    one.card = {**CARD, "versions": versions()}
    text = card_text(one)
    assert text.startswith("# Pretrained encoder of chains\n")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["Encoder", "Data", "Objective", "Metrics", "Versions", "Command"]
    for line in (
        f"- fingerprint: {fingerprint(one)}",
        "- distinct architectures: 1,234, all of the space",
        "- table nasbench201-cifar10 at epochs 12: 200 labels of validation error, seed 3",
        "- proxies: names naswot; images digits",
        "- objectives: supervised",
        "- loss of supervised on architectures held out: 0.2500",
        "| naswot | 200 | high | 0.500 |",
        "| odd | 3 | neither | - |",
        f"- torch: {torch.__version__}",
        "    graphbo pretrain chains --seed 3",
    ):
        assert line in text.splitlines()


def test_a_card_without_entries_is_short() -> None:
    one = pretrained()
    one.card = {}
    headings = [line for line in card_text(one).splitlines() if line.startswith("#")]
    assert headings == ["# Pretrained encoder of architectures", "## Encoder"]


# What comes with the package ---------------------------------------------------------------------


def test_shipped_checkpoints_are_found_by_the_name_of_their_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphbo.embeddings.checkpoint._DATA", tmp_path)
    assert shipped("chains") is None
    save(pretrained(), tmp_path / "chains.pt")
    assert shipped("chains") == tmp_path / "chains.pt"
    assert shipped("../chains") is None
    shutil.rmtree(tmp_path)
    assert shipped("chains") is None


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101"])
def test_shipped_checkpoints_are_whole_and_small(name: str) -> None:
    path = shipped(name)
    if path is None:
        pytest.skip(f"no checkpoint of {name} has been made")
    made = load(path)
    assert made.card["space"]["name"] == name
    assert made.card["command"].startswith(f"graphbo pretrain {name} ")
    assert any(made.votes)
    assert path.stat().st_size < 600_000
