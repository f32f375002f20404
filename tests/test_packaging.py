"""What is installed, what importing it costs, and which part may import which."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import graphbo
from graphbo.problems.tables import SHIPPED

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# What each part may import, besides itself and graphbo.errors.
_POINTS = {"graphbo.architecture", "graphbo.spaces", "graphbo.trial"}
_MODELS = {"graphbo.kernels", "graphbo.surrogates"}
_LOOP = {
    *_POINTS,
    "graphbo.evaluators",
    "graphbo.goals",
    "graphbo.optimizers",
    "graphbo.problems",
}
LAYERS: dict[str, set[str]] = {
    "graphbo.canonical": set(),
    "graphbo.errors": set(),
    "graphbo.npz": set(),
    "graphbo.threads": set(),
    "graphbo.architecture": {"graphbo.canonical"},
    "graphbo.edit_distance": {"graphbo.architecture"},
    "graphbo.kernels": {"graphbo.architecture", "graphbo.canonical", "graphbo.edit_distance"},
    "graphbo.embeddings": {"graphbo.architecture"},
    "graphbo.networks": {
        "graphbo.architecture",
        "graphbo.spaces",
        "graphbo.threads",
        "graphbo.trial",
    },
    "graphbo.spaces": {"graphbo.architecture", "graphbo.edit_distance"},
    "graphbo.trial": {"graphbo.spaces"},
    "graphbo.goals": {"graphbo.trial"},
    "graphbo.budget": {"graphbo.spaces", "graphbo.trial"},
    "graphbo.datasets": {"graphbo.npz"},
    "graphbo.training": {
        *_POINTS,
        "graphbo.datasets",
        "graphbo.edit_distance",
        "graphbo.networks",
        "graphbo.threads",
    },
    "graphbo.evaluators": {*_POINTS, "graphbo.networks", "graphbo.training"},
    "graphbo.surrogates": {*_POINTS, "graphbo.embeddings", "graphbo.kernels"},
    "graphbo.acquisition": {*_POINTS, *_MODELS, "graphbo.threads"},
    "graphbo.advice": {"graphbo.spaces"},
    "graphbo.optimizers": {
        *_POINTS,
        *_MODELS,
        "graphbo.acquisition",
        "graphbo.advice",
        "graphbo.budget",
        "graphbo.embeddings",
        "graphbo.evaluators",
        "graphbo.goals",
        "graphbo.training",
    },
    "graphbo.problems": {
        *_POINTS,
        "graphbo.datasets",
        "graphbo.evaluators",
        "graphbo.goals",
        "graphbo.networks",
        "graphbo.npz",
        "graphbo.training",
    },
    "graphbo.importers": {*_POINTS, "graphbo.problems"},
    "graphbo.integrations": {*_POINTS, "graphbo.optimizers"},
    "graphbo.tabulate": {
        *_POINTS,
        "graphbo.datasets",
        "graphbo.evaluators",
        "graphbo.networks",
        "graphbo.npz",
        "graphbo.problems",
        "graphbo.threads",
        "graphbo.training",
    },
    "graphbo.pretraining": {
        *_POINTS,
        "graphbo.datasets",
        "graphbo.embeddings",
        "graphbo.evaluators",
        "graphbo.problems",
        "graphbo.tabulate",
        "graphbo.training",
    },
    "graphbo.records": {"graphbo.trial"},
    "graphbo.snapshot": set(),
    "graphbo.storage": {*_POINTS, "graphbo.snapshot"},
    "graphbo.executors": {"graphbo.evaluators", "graphbo.trial"},
    "graphbo.study": {
        *_LOOP,
        "graphbo.budget",
        "graphbo.executors",
        "graphbo.records",
        "graphbo.storage",
    },
    "graphbo.report": {
        *_LOOP,
        *_MODELS,
        "graphbo.budget",
        "graphbo.records",
        "graphbo.snapshot",
        "graphbo.storage",
        "graphbo.study",
    },
    "graphbo.transfer": {
        "graphbo.report",
        "graphbo.spaces",
        "graphbo.surrogates",
    },
    "graphbo.functional": {
        *_LOOP,
        "graphbo.advice",
        "graphbo.budget",
        "graphbo.study",
        "graphbo.report",
    },
    "graphbo.comparison": {
        *_LOOP,
        "graphbo.budget",
        "graphbo.report",
        "graphbo.storage",
        "graphbo.study",
    },
    "graphbo.testing": {*_LOOP, *_MODELS, "graphbo.acquisition", "graphbo.study"},
}
# The front door re-exports from everywhere; the command line stands outside of all.
_OUTERMOST = {
    "graphbo",
    "graphbo.cli",
    "graphbo.cli_advise",
    "graphbo.cli_export",
    "graphbo.cli_pretrain",
    "graphbo.cli_study",
    "graphbo.cli_table",
    "graphbo.__main__",
}


def sources() -> dict[str, Path]:
    """Return the file of each module, as the distribution maps folders to packages."""
    mapping: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]
    found = {}
    for package, folder in mapping.items():
        # The links graphbo/kernels and graphbo/embeddings are not followed.
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts)).removesuffix(".__init__")
            found[name] = path
    return found


def imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules of graphbo that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "graphbo")


def part(module: str) -> str:
    """Return the part that a module belongs to: ``graphbo.spaces`` for ``graphbo.spaces.cell``."""
    return ".".join(module.split(".")[:2])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the sources, so that nothing is left in the repository."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("graphbo", "kernels", "embeddings"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_the_wheel_holds_each_module_once_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = [name for name in wheel.namelist() if ".dist-info/" not in name]
    expected = [
        f"{name.replace('.', '/')}/__init__.py"
        if path.name == "__init__.py"
        else f"{name.replace('.', '/')}.py"
        for name, path in sources().items()
    ]
    data = [f"graphbo/problems/data/{path.name}" for path in SHIPPED.glob("*.npz")]
    checkpoints = [
        f"graphbo/embeddings/data/{path.name}"
        for kind in ("pt", "md")
        for path in (ROOT / "embeddings" / "data").glob(f"*.{kind}")
    ]
    others = ["graphbo/advice/measurements.json", "graphbo/py.typed", "graphbo/training/native.c"]
    others += [f"graphbo/report/page/page.{kind}" for kind in ("css", "js")]
    assert sorted(files) == sorted([*expected, *data, *checkpoints, *others])


@pytest.mark.slow
def test_the_wheel_has_no_bare_kernels_or_embeddings(wheel: zipfile.ZipFile) -> None:
    """They would overwrite the files of other distributions of these names."""
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert top == {"graphbo", f"graphbo-{graphbo.__version__}.dist-info"}
    assert "graphbo/kernels/__init__.py" in wheel.namelist()
    assert "graphbo/embeddings/__init__.py" in wheel.namelist()


@pytest.mark.slow
def test_the_wheel_states_version_licence_and_command(wheel: zipfile.ZipFile) -> None:
    folder = f"graphbo-{graphbo.__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert metadata["Version"] == graphbo.__version__
    assert metadata["License-Expression"] == "MIT"
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    entry_points = wheel.read(f"{folder}/entry_points.txt").decode()
    assert "graphbo = graphbo.cli:main" in entry_points


def test_the_version_is_stated_once() -> None:
    assert graphbo.__version__ == PROJECT["project"]["version"] == version("graphbo")


def test_every_package_of_the_tree_is_distributed() -> None:
    packages = {name for name, path in sources().items() if path.name == "__init__.py"}
    assert sorted(packages) == PROJECT["tool"]["setuptools"]["packages"]
    modules = {name for name, path in sources().items() if path.name != "__init__.py"}
    assert {name.rpartition(".")[0] for name in modules} <= packages, "an __init__.py is missing"


def test_import_graphbo_is_light() -> None:
    script = (
        "import sys, graphbo\n"
        "graphbo.InputError\n"
        "heavy = {'torch', 'gpytorch', 'botorch', 'torch_geometric', 'ConfigSpace', 'pandas',\n"
        "         'matplotlib', 'sklearn', 'scipy', 'networkx', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("module", ["graphbo.kernels", "graphbo.embeddings"])
def test_kernels_and_embeddings_serve_without_the_rest(module: str) -> None:
    script = (
        f"import sys, {module}\n"
        "print(sorted({'.'.join(m.split('.')[:2]) for m in sys.modules if m[:8] == 'graphbo.'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    allowed = {
        f"graphbo.{name}" for name in ("architecture", "canonical", "edit_distance", "errors")
    }
    assert set(ast.literal_eval(done.stdout)) <= {*allowed, module}


@pytest.mark.parametrize("module", sorted(set(sources()) - _OUTERMOST))
def test_imports_run_downwards(module: str) -> None:
    home = part(module)
    assert home in LAYERS, f"{module} has no place in the layers"
    for name in imports(module, sources()[module]):
        assert part(name) in {home, "graphbo.errors", *LAYERS[home]}, f"{module} imports {name}"


def test_the_layers_have_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(LAYERS):
        ready = {name for name, below in LAYERS.items() if name not in done and below <= done}
        assert ready, f"a cycle among {sorted(set(LAYERS) - done)}"
        done |= ready
