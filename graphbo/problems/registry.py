"""Problems by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphbo.errors import InputError, nearest_names
from graphbo.evaluators.base import Evaluator
from graphbo.problems import joint, tuning
from graphbo.problems.base import Problem
from graphbo.problems.declarative import load_problem_file
from graphbo.problems.functions import FUNCTIONS, function_problem, list_functions
from graphbo.problems.tables import missing_table, shipped_problems, table_problems
from graphbo.problems.training import TRAINING_PROBLEMS, list_training_problems, training_problem

_PUBLISHED = ("nasbench201-cifar10", "nasbench201-cifar100", "nasbench101")


def list_problems(data: str | Path | None = None) -> list[tuple[str, str]]:
    """Return the name and description of each problem that can be searched.

    The tables that come with the package are the first.

    Args:
        data: The folder of tables and images, or one table; by default the folder in
            ``GRAPHBO_DATA``.

    Raises:
        InputError: If the folder does not exist or a table in it cannot be read.
    """
    given = table_problems(data)
    shipped = {name: given.get(name, problem) for name, problem in shipped_problems().items()}
    others = {name: problem for name, problem in given.items() if name not in shipped}
    return [
        *((name, description) for name, (description, _) in shipped.items()),
        *list_training_problems(data),
        *((name, description) for name, (description, _) in others.items()),
        (joint.NAME, joint.DESCRIPTION),
        (tuning.NAME, tuning.DESCRIPTION),
        *list_functions(),
    ]


def get_problem(name: str, data: str | Path | None = None) -> Problem:
    """Return the problem with a name, or that of a TOML file.

    Args:
        name: A name that `list_problems` gives, or the path of a TOML file (`load_problem_file`).
        data: The folder of tables and images, or one table; by default the folder in
            ``GRAPHBO_DATA``.

    Raises:
        InputError: If there is no such problem or file, or its table or images are missing or
            damaged.
    """
    problem = _load(name, data)
    problem.evaluator.factory = ProblemEvaluator(
        str(Path(name).resolve()) if name.endswith(".toml") else name,
        None if data is None else str(Path(data).resolve()),
    )
    return problem


@dataclass(frozen=True)
class ProblemEvaluator:
    """Makes the evaluator of a problem in another process, so that no data travel there.

    Attributes:
        name: That of the problem, or the absolute path of its TOML file.
        data: The absolute path of the tables and images; None for ``GRAPHBO_DATA`` there.
    """

    name: str
    data: str | None = None

    def __call__(self) -> Evaluator:
        """Return the evaluator."""
        return get_problem(self.name, self.data).evaluator


def _load(name: str, data: str | Path | None) -> Problem:
    if name.endswith(".toml"):
        return load_problem_file(name, data)
    return get_named_problem(name, data)


def get_named_problem(name: str, data: str | Path | None = None) -> Problem:
    """Return the problem with a name that `list_problems` gives, and never that of a file.

    For names that are not the user's own, such as those in study files: a problem file names code
    that is run.

    Args:
        name: A name that `list_problems` gives.
        data: As in `get_problem`.

    Raises:
        InputError: As in `get_problem`.
    """
    if name in TRAINING_PROBLEMS:
        return training_problem(name, data)
    if name == joint.NAME:
        return joint.joint_problem()
    if name == tuning.NAME:
        return tuning.tuning_problem()
    if name in FUNCTIONS:
        return function_problem(name)
    tables = shipped_problems() | table_problems(data)
    if name in tables:
        return tables[name][1]()
    missing = missing_table(name, data)
    if missing is not None:
        raise missing
    known = [
        *TRAINING_PROBLEMS,
        *tables,
        *(name for name in _PUBLISHED if missing_table(name, data)),
        joint.NAME,
        tuning.NAME,
        *FUNCTIONS,
    ]
    every = f"the problems are {', '.join(known)}"
    raise InputError(f"there is no problem {name!r}; {nearest_names(name, known, every)}")
