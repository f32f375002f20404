"""How to make a study again."""

from __future__ import annotations

import json
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version

from graphbo.report.recorded import RecordedStudy

_PACKAGES = ("graphbo", "torch", "gpytorch", "botorch", "numpy", "ConfigSpace")


def command(study: RecordedStudy, problem: str | None) -> str | None:
    """Return the line of a shell that makes a study again; None without a problem's name.

    Args:
        study: The study.
        problem: The problem's name or its TOML file.
    """
    if problem is None:
        return None
    words = ["graphbo", "search", problem, "--optimizer", study.optimizer]
    words += ["--seed", study.identity["seed"], "--trials", str(max(len(study.trials), 1))]
    return shlex.join(words)


def python_lines(study: RecordedStudy, problem: str | None) -> str:
    """Return the lines of Python that make a study again.

    Args:
        study: The study.
        problem: The problem's name or its TOML file.
    """
    seed, trials = study.identity["seed"], max(len(study.trials), 1)
    if problem is None:
        return (
            "import graphbo\n\n"
            "# objective and space are those of the script that made the study\n"
            "result = graphbo.minimize(\n"
            f"    objective, space, budget={trials}, seed={seed}, "
            f"optimizer={study.optimizer!a}\n"
            ")\n"
        )
    return (
        "import graphbo\n\n"
        f"problem = graphbo.get_problem({problem!a})\n"
        f"study = graphbo.Study.of(problem, {study.optimizer!a}, seed={seed})\n"
        f"result = study.run(trials={trials})\n"
    )


def versions() -> dict[str, str]:
    """Return the versions of what makes the page."""
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def properties(study: RecordedStudy) -> dict[str, str]:
    """Return what a study records about itself, without what says nothing."""
    shown = {"optimiser as named": study.optimizer, **study.identity}
    return {name: each for name, each in shown.items() if not _empty(each)}


def _empty(value: str) -> bool:
    try:
        return json.loads(value) in ({}, [], None)
    except ValueError:
        return value in ("", "None")
