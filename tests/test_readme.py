"""What README and docs show works as they show it."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import graphbo
from graphbo.cli import app
from graphbo.problems import load_problem_file

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# What a reader waits for and a test need not: the same code on less.
SMALLER = {
    "optimizers": [
        ('"graph-mf").run(epochs=30)', '"graph-mf").run(epochs=12)'),
        ("budget=12, seed=0", "budget=7, seed=0"),
        ('budget=12, optimizer="auto"', 'budget=7, optimizer="auto"'),
    ],
}


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: Path) -> list[list[str]]:
    """Return the lines of the shell blocks, without their comments."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run_blocks(page, tmp_path, monkeypatch)
    if page.stem == "README":
        error, space, result = shown.first
        best = min(error(design.architecture) for design in space.enumerate())
        assert result.value == best, "it promises the best cell"
        assert (tmp_path / "best.png").stat().st_size > 0


def run_blocks(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that the Python blocks of a page make."""
    if page.stem == "integrations":
        pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"shown_in_{page.stem}"  # a module, because what is pickled must be importable
    code = blocks(page, "python")
    for shown, smaller in SMALLER.get(page.stem, []):
        assert sum(shown in block for block in code) == 1
        code = [block.replace(shown, smaller) for block in code]
    if page.stem == "README":
        code.insert(1, "first = error, space, result\n")
    (tmp_path / f"{name}.py").write_text("\n".join(code), encoding="utf-8")
    return importlib.import_module(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_declarative_files_load(page: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def evaluate(architecture):\n    return 1.0\n")
    cells = [d.architecture for d in graphbo.CellSpace(3, ["a"], on="edges").enumerate()]
    rows = [f'"{cell.to_string()}"'.replace('"', '""')[1:-1] + ",1,2,3" for cell in cells]
    table = "\n".join(["architecture,error,test_error,seconds", *rows])
    (tmp_path / "results.csv").write_text(table)
    for block in blocks(page, "toml"):
        path = tmp_path / "problem.toml"
        path.write_text(block)
        assert load_problem_file(path).name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    group: Any = get_command(app)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for words in commands(page):
        if words[0] == "graphbo":
            command = group.commands[words[1]]
            command.make_context(words[1], words[2:])
        elif words[0] == "make":
            assert set(words[1:]) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), f"{page.name} links to {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{page.name} links to {target}"


def test_the_glance_names_every_optimiser_and_exported_space() -> None:
    from graphbo.optimizers import OPTIMIZERS

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    spaces = [name for name in graphbo.__all__ if name.endswith("Space")]
    for name in (*OPTIMIZERS, *spaces):
        assert f"`{name}`" in text
