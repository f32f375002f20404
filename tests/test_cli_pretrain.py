"""``graphbo pretrain``, and searches from what it writes."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import graphbo.cli_pretrain
import graphbo.pretraining
from graphbo.cli import main
from graphbo.embeddings import Settings, card_text, load
from graphbo.spaces import CellSpace

TOML = """
name = "toy"
trials = 3
[space]
type = "cell"
nodes = 4
operations = ["skip_connect", "nor_conv_1x1"]
on = "edges"
name = "small"
[evaluate]
table = "results.csv"
"""
SPACE = CellSpace(4, ["skip_connect", "nor_conv_1x1"], on="edges", name="small")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A problem with a table of every cell; the working folder is an empty one."""
    cells = [design.architecture for design in SPACE.enumerate()]
    rng = np.random.default_rng(0)
    lines = [f"{cell.to_string()!r},{20 - len(cell.edges) + rng.normal():.3f}" for cell in cells]
    lines = [line.replace('"', '""').replace("'", '"') for line in lines]
    (tmp_path / "results.csv").write_text("\n".join(["architecture,error", *lines]))
    (tmp_path / "toy.toml").write_text(TOML)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return str(tmp_path / "toy.toml")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.slow
def test_it_writes_a_checkpoint_and_its_card_that_a_search_takes(
    toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    assert (
        run(
            *("pretrain", toy, "--table", toy, "--labels", 40, "--proxies", "parameters, naswot"),
            *("--proxied", 20, "--epochs", 2, "--seed", 3, "--output", "made/small"),
        )
        == 0
    )
    shown = capsys.readouterr()
    made = load(Path("made/small.pt"), SPACE.operations)
    assert Path("made/small.md").read_text() == card_text(made)
    assert "20/20" in shown.err
    assert "2/2" in shown.err
    for part in ("toy", "parameters", "naswot", "supervised", "Written made/small.pt"):
        assert part in shown.out
    assert made.tasks == ("toy", "parameters", "naswot")
    assert made.card["data"]["tables"][0]["labels"] == 40
    assert made.card["settings"]["seed"] == 3
    assert made.card["command"] == (
        "graphbo pretrain toy.toml --table toy.toml --labels 40 --proxies parameters,naswot "
        "--proxied 20 --encoder gin --objectives supervised,reconstruction --epochs 2 --seed 3"
    )
    # It is pretrained on the very labels of toy, and on fewer trials of another problem.
    optimizer = "embedding-bo:surrogate=embedding,checkpoint=made/small.pt"
    assert run("search", toy, "--optimizer", optimizer) == 2
    assert "pretrained on 40 labels of toy itself" in capsys.readouterr().err
    other = Path(toy).with_name("other.toml")
    other.write_text(TOML.replace('"toy"', '"other"'))
    assert run("search", other, "--optimizer", optimizer) == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("other-embedding-bo-surrogate=embedding-checkpoint=")
    assert (folder / "study.sqlite").exists()


def test_without_proxies_and_tables_it_learns_the_graphs_alone(
    toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    objectives = "masked,contrastive"
    options = ["--no-proxies", "--objectives", objectives, "--epochs", 1, "--encoder", "gcn"]
    assert run("pretrain", toy, *options, "--architectures", 50) == 0
    made = load(Path("small.pt"))
    assert made.tasks == ()
    assert made.card["architectures"] == 50
    assert made.card["command"] == (
        "graphbo pretrain toy.toml --no-proxies --encoder gcn --objectives masked,contrastive "
        "--architectures 50 --epochs 1 --seed 0"
    )
    printed = capsys.readouterr()
    assert "proxies" not in printed.err
    assert printed.out.strip().endswith(",prior=false"), "it has nothing to expect"


def test_the_defaults_are_those_of_the_library() -> None:
    """They are written twice, so that the help needs no torch."""
    command = inspect.signature(graphbo.cli_pretrain.pretrain).parameters
    library = inspect.signature(graphbo.pretraining.pretrain_on).parameters
    for name in ("proxied", "architectures", "encoder"):
        assert command[name].default == library[name].default
    assert tuple(command["proxies"].default.split(",")) == library["proxies"].default
    settings = Settings()
    assert tuple(command["objectives"].default.split(",")) == settings.objectives
    assert command["seed"].default == settings.seed


def test_the_same_command_writes_the_same_file(toy: str) -> None:
    content = []
    for name in ("a.pt", "b.pt"):
        options = ["--no-proxies", "--table", toy, "--epochs", 1, "--output", name]
        assert run("pretrain", toy, *options) == 0
        content.append(Path(name).read_bytes())
    assert content[0] == content[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "lstm"], "there is no encoder 'lstm'"),
        (["--objectives", "guessing"], "the objectives are one or more of"),
        (["--epochs", "0"], "epochs must be at least 1; got 0"),
        (["--proxies", "size"], "there is no proxy 'size'"),
        (["--architectures", "0"], "at least 1 architecture"),
        (["--table", "nasbench201-cifra10@12"], "nasbench201"),
        (["--table", "toy@many"], "PROBLEM@EPOCHS or PROBLEM@EPOCHS:COLUMN; got 'toy@many'"),
        (["--table", "nothing.toml@12:size"], "nothing.toml cannot be read"),
        (["--table", "@12"], "got '@12'"),
        (["--device", "abacus"], "abacus"),
        (["--output", "/proc/none/small.pt"], "the folder of /proc/none/small.pt cannot be made"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    toy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)
    if "--proxies" not in arguments:
        arguments = [*arguments, "--no-proxies"]
    assert run("pretrain", toy, *arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("graphbo:")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(Path().glob("*.pt"))


def test_the_space_may_be_any_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pretrain", "nasbench202") == 2
    assert "there is no problem 'nasbench202'" in capsys.readouterr().err


def test_a_space_with_hyperparameters_has_no_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pretrain", "cells-digits-table") == 2
    assert "cells-digits-table has hyperparameters beside them" in capsys.readouterr().err


def test_an_interrupted_pretraining_is_one_line_and_leaves_no_file(
    toy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(graphbo.pretraining, "pretrain_on", interrupt)
    assert run("pretrain", toy) == 130
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "graphbo: stopped; nothing was written"
    assert not list(Path().iterdir())


def test_the_checkpoint_is_needed_to_search(
    toy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("graphbo.embeddings.checkpoint._DATA", tmp_path / "none")
    assert run("search", toy, "--optimizer", "embedding-bo") == 2
    assert "make one with 'graphbo pretrain" in capsys.readouterr().err
