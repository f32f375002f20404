"""How to make a study again."""

from __future__ import annotations

import json
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from graphbo.report.recorded import RecordedStudy

_USUAL = ("validation_error", "objective")
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
    objectives, constraints = _goals(study)
    if objectives:
        words += ["--objectives", ",".join(objectives)]
    for constraint in constraints:
        words += ["--constraint", constraint]
    for option, stated in _started_from(study).items():
        words += [f"--{option}", f"FILE of {stated}"]
    return shlex.join(words)


def python_lines(study: RecordedStudy, problem: str | None) -> str:
    """Return the lines of Python that make a study again.

    Args:
        study: The study.
        problem: The problem's name or its TOML file.
    """
    comments = "".join(
        f"# and {option}: FILE of {stated!a}\n" for option, stated in _started_from(study).items()
    )
    seed, trials = study.identity["seed"], max(len(study.trials), 1)
    own = study.identity.get("seed of the optimiser", seed)
    if own != seed:
        comments += f"# the optimiser was made by itself, with the seed {own!a} and the settings\n"
        comments += f"# {study.identity.get('settings', '{}')!a}\n"
    objectives, constraints = _goals(study)
    keywords = {
        "objectives" if problem is None else "objective": objectives,
        "constraints": constraints,
        "fidelity": {} if problem is None else _loaded(study, "fidelity", {}),
    }
    more = "".join(f", {name}={value!a}" for name, value in keywords.items() if value)
    if problem is None:
        return (
            f"import graphbo\n\n{comments}"
            "# objective and space are those of the script that made the study\n"
            "result = graphbo.minimize(\n"
            f"    objective, space, budget={trials}, seed={seed}, "
            f"optimizer={study.optimizer!a}{more}\n"
            ")\n"
        )
    return (
        f"import graphbo\n\n{comments}"
        f"problem = graphbo.get_problem({problem!a})\n"
        f"study = graphbo.Study.of(problem, {study.optimizer!a}, seed={seed}{more})\n"
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


def _goals(study: RecordedStudy) -> tuple[list[str], list[str]]:
    """Return the objectives and constraints of a study; none where a search has them anyway."""
    further = [str(each) for each in _loaded(study, "further objectives", [])]
    constraints = [str(each) for each in _loaded(study, "constraints", [])]
    usual = study.objective in _USUAL and not further
    return ([] if usual else [study.objective, *further]), constraints


def _loaded(study: RecordedStudy, name: str, otherwise: Any) -> Any:
    """Return a part of the identity that is JSON, something else if it is not of the same kind."""
    try:
        found = json.loads(study.identity.get(name, "null"))
    except (ValueError, RecursionError):
        return otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def _started_from(study: RecordedStudy) -> dict[str, str]:
    """Return what the study records of what it was given to start from, by the option for it."""
    prior = _loaded(study, "settings", {}).get("prior")
    trials = isinstance(prior, str) and prior.startswith("trials-")
    given = {
        "warm-start": prior if trials else None,
        "first": study.identity.get("first designs"),
    }
    return {option: str(stated) for option, stated in given.items() if stated is not None}


def _empty(value: str) -> bool:
    try:
        return json.loads(value) in ({}, [], None)
    except ValueError:
        return value in ("", "None")
