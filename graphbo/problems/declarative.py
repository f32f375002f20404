"""A problem from a declarative TOML file."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from graphbo.errors import InputError, MissingExtraError, nearest_names
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.goals import Constraint
from graphbo.npz import NpzFile
from graphbo.problems.base import Problem
from graphbo.problems.curves import CurveTable, is_curve_table
from graphbo.problems.frame import problem_from_frame
from graphbo.problems.train_section import problem_from_section
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.declarative import check_keys, space_from_settings
from graphbo.spaces.joint import HyperparameterSpace, JointSpace
from graphbo.spaces.nasbench201 import NASBench201Space

_KEYS = (
    *("name", "description", "trials", "objectives", "constraints"),
    *("space", "hyperparameters", "evaluate", "train", "deployment"),
)
_TABLE_KEYS = ("table", "architecture", "objective", "test", "cost")
_TAKES = {"architectures": "architecture", "hyperparameters": "hyperparameters", "both": "both"}
"""What a function takes, by what a space decides."""
_FUNCTION_KEYS = ("function", "objective")
_DEPLOYMENT_KEYS = ("bits", "device", "threads", "repeats")


def load_problem_file(path: str | Path, data: str | Path | None = None) -> Problem:
    """Load a problem from a TOML file.

    With a function to be minimised::

        trials = 50                       # optional, as are name and description
        objectives = ["error", "size"]    # optional, as are constraints
        constraints = ["latency_ms<=5"]

        [space]                           # optional with a table
        type = "cell"                     # or "chain", "darts", "nasbench101", ...
        nodes = 4
        operations = ["conv3x3", "skip"]
        on = "edges"

        [evaluate]
        function = "train:evaluate"       # evaluate(architecture) -> number, to be minimised

    or, with a table in place of a function::

        [evaluate]
        table = "results.csv"             # beside this file; or .npz, or .parquet
        architecture = "architecture"     # the columns
        objective = "error"
        test = "test_error"               # optional
        cost = "seconds"                  # optional

    or, with networks trained for real on images::

        [train]
        dataset = "shapes"                # see get_dataset; an .npz file lies beside this file
        options = { train = 2000 }        # optional, the arguments of the dataset
        channels = 8                      # optional, the arguments of the space's network
        epochs = 10                       # optional, the attributes of Recipe
        learning_rate = 0.1

        [hyperparameters]                 # optional, see hyperparameters_from_settings
        learning_rate = { low = 1e-3, high = 1.0, log = true }
        channels = { low = 4, high = 16 }

        [deployment]                      # optional, the attributes of Deployment
        bits = 8

    which takes the space of NAS-Bench-201 if there is no other. The network around a cell is
    `NASBench201Network` where operations sit on edges, `NASBench101Network` where they sit on
    nodes; a chain is a `ChainNetwork`, hierarchical cells make a `HierarchicalNetwork`, cells of
    DARTS a `DARTSNetwork`, layers of ENAS an `ENASMacroNetwork`, random graphs a
    `RandomlyWiredNetwork`, chains of RegNet a `RegNetNetwork`.

    In ``[train]``, hyperparameters are attributes of `Recipe` and arguments of the space's network,
    as `TrainingEvaluator` has it. A function takes them as its second argument, a mapping from
    names to values; without a section ``[space]``, as its only one.

    A table of learning curves (`CurveTable`) has no columns, names its space itself, and is given
    by ``table`` alone.

    A function is the user's own code and is run: its module is imported when the problem is
    loaded, from the folder of the file or from wherever Python finds it. The keys of ``[space]``
    are the arguments of the class (`CellSpace`, `ChainSpace`, ...). What the columns hold is said
    in `problem_from_frame`.

    ``objectives`` and ``constraints`` are what a search is for if nothing else is said: names and
    bounds of what an evaluation reports. A function then returns its numbers by name.

    Args:
        path: The file.
        data: The folder of the images for training; by default the one in ``GRAPHBO_DATA``.

    Raises:
        InputError: If something in the file cannot be used; the message names file and key.
        MissingExtraError: If a parquet file is given and pyarrow is not installed, or a dataset
            needs a package that is not.
    """
    path = Path(path)
    settings = _read(path)
    check_keys(settings, _KEYS, str(path))
    objectives = tuple(_texts(settings, "objectives", path))
    constraints = _constraints(settings, path)
    problem = replace(
        _problem(settings, objectives, path, data), objectives=objectives, constraints=constraints
    )
    _check_goals(problem, path)
    return problem


def _problem(
    settings: Mapping[str, Any],
    objectives: Sequence[str],
    path: Path,
    data: str | Path | None,
) -> Problem:
    """Return the problem of a file but for its goals, of which a function's results are named."""
    name = _text(settings, "name", str(path), default=path.stem)
    description = _text(settings, "description", str(path), default=f"the problem of {path.name}")
    trials = settings.get("trials", 100)
    if type(trials) is not int or trials < 1:
        raise InputError(f"{path}: trials must be a whole number of at least 1; got {trials!r}")
    space = None
    if "space" in settings:
        space_settings = _section(settings, "space", path)
        space = space_from_settings(space_settings, where=f"{path}, [space]")
    if "hyperparameters" in settings:
        space = _with_hyperparameters(space, settings, path, name)
    deployment = _deployment(settings, path)
    if "train" in settings:
        if "evaluate" in settings:
            raise InputError(f"{path}: give either a section [evaluate] or a section [train]")
        return problem_from_section(
            _section(settings, "train", path),
            space,
            where=f"{path}, [train]",
            folder=path.parent,
            data=data,
            deployment=deployment,
            name=name,
            description=description,
            trials=trials,
        )
    evaluate = _section(settings, "evaluate", path)
    where = f"{path}, [evaluate]"
    if ("table" in evaluate) == ("function" in evaluate):
        raise InputError(f"{where}: give either a table or a function")
    if "table" in evaluate:
        if "hyperparameters" in settings:
            raise InputError(
                f"{path}: the section [hyperparameters] is for training and functions; a table of "
                "learning curves names its own"
            )
        check_keys(evaluate, _TABLE_KEYS, where)
        return _table_problem(evaluate, where, path, space, name, description, trials)
    check_keys(evaluate, _FUNCTION_KEYS, where)
    if space is None:
        raise InputError(
            f"{path}: a function needs a section [space] or [hyperparameters] to be searched"
        )
    objective = _text(evaluate, "objective", where, default=(*objectives, "objective")[0])
    if objectives and objective != objectives[0]:
        raise InputError(
            f"{where}: objective is {objective!r}, but the first of objectives is "
            f"{objectives[0]!r}; leave it out"
        )
    function = UserFunction(str(path.parent.resolve()), _text(evaluate, "function", where))
    try:
        function.load()
    except InputError as error:
        raise InputError(f"{where}: function: {error}") from error
    evaluator = FunctionEvaluator(function, objectives or objective, _TAKES[space.kind])
    return Problem(name, space, evaluator, description, objective=objective, trials=trials)


def _texts(settings: Mapping[str, Any], key: str, path: Path) -> list[str]:
    """Return a list of texts of a file, empty if it is not there."""
    entries = settings.get(key, [])
    if not isinstance(entries, list) or (key in settings and not entries):
        raise InputError(f"{path}: {key} must be a list of strings; got {entries!r}")
    for entry in entries:
        if not isinstance(entry, str) or not entry or entries.count(entry) > 1:
            raise InputError(f"{path}: {key} must be different strings; got {entry!r} in {entries}")
    return entries


def _deployment(settings: Mapping[str, Any], path: Path) -> Any:
    """Return the `Deployment` of a file, None if it states none."""
    if "deployment" not in settings:
        return None
    from graphbo.networks.deployment import Deployment

    where = f"{path}, [deployment]"
    if "train" not in settings:
        raise InputError(f"{where}: it is for networks that are trained, with a section [train]")
    section = _section(settings, "deployment", path)
    check_keys(section, _DEPLOYMENT_KEYS, where)
    try:
        return Deployment(**section)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _constraints(settings: Mapping[str, Any], path: Path) -> tuple[Constraint, ...]:
    entries = _texts(settings, "constraints", path)
    try:
        return tuple(map(Constraint.parse, entries))
    except InputError as error:
        raise InputError(f"{path}: constraints: {error}") from error


def _check_goals(problem: Problem, path: Path) -> None:
    """Refuse goals that the evaluator is known not to report."""
    if problem.evaluator.facts is None:
        return
    reported = problem.evaluator.reported
    bounds = {str(bound): bound.name for bound in problem.constraints}
    goals = [("objectives", name, name) for name in problem.objectives]
    for key, entry, name in [*goals, *(("constraints", *bound) for bound in bounds.items())]:
        if name not in reported:
            every = f"it reports {', '.join(reported)}"
            raise InputError(
                f"{path}: {key}: {entry!r} names what the evaluator does not report; "
                f"{nearest_names(name, reported, every)}"
            )


def _with_hyperparameters(
    space: SearchSpace | None, settings: Mapping[str, Any], path: Path, name: str
) -> SearchSpace:
    """Return a space with the hyperparameters of a file; with a function, they can be all of it."""
    from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings

    where = f"{path}, [hyperparameters]"
    beside = hyperparameters_from_settings(_section(settings, "hyperparameters", path), where=where)
    if space is None and "train" not in settings:
        return HyperparameterSpace(beside, name)
    try:
        return JointSpace(NASBench201Space() if space is None else space, beside)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


@dataclass(frozen=True)
class UserFunction:
    """A function that is named by its module; it pickles, as its module is imported again.

    Attributes:
        folder: Where the module is looked for first.
        target: Such as ``"train:evaluate"``.
    """

    folder: str
    target: str

    @property
    def described(self) -> str:
        """What tells it from the functions of other problems, wherever these are moved together."""
        return f"{self.target} in {Path(self.folder).name}"

    def __call__(self, *arguments: Any) -> float | Mapping[str, float]:
        """Call the function with the architecture, the hyperparameters, or both."""
        found: float | Mapping[str, float] = self.load()(*arguments)
        return found

    def load(self) -> Any:
        """Import the module, which runs its code, and return the function.

        Raises:
            InputError: If there is no such function, or its module cannot be imported.
        """
        return _load_function(self.folder, self.target)


@lru_cache
def _load_function(folder: str, target: str) -> Any:
    module_name, colon, function_name = target.partition(":")
    if not (module_name and colon and function_name):
        raise InputError(f"{target!r} must look like 'module:function'")
    if folder not in sys.path:  # what the module imports may lie beside it, too
        sys.path.insert(0, folder)
    beside = Path(folder, *module_name.split(".")).with_suffix(".py")
    try:
        if beside.is_file():
            module = _module_from(beside, module_name)
        else:
            module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"the module {module_name!r} has no function {function_name!r}")
    return function


def _module_from(file: Path, name: str) -> ModuleType:
    """Import a file, even if another module of that name has been imported from elsewhere."""
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(file):
        return loaded
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _table_problem(
    evaluate: Mapping[str, Any],
    where: str,
    path: Path,
    space: SearchSpace | None,
    name: str,
    description: str,
    trials: int,
) -> Problem:
    file = path.parent / _text(evaluate, "table", where)
    if is_curve_table(file):
        if len(evaluate) > 1 or space is not None:
            raise InputError(
                f"{where}: {file.name} is a table of learning curves, which has no columns and "
                "names its space itself; give 'table' alone and no section [space]"
            )
        curves = CurveTable.read(file).problem()
        return replace(curves, name=name, description=description, trials=trials)
    columns = {
        key: _text(evaluate, key, where, default=default)
        for key, default in (("architecture", "architecture"), ("objective", "error"))
    } | {key: _text(evaluate, key, where) for key in ("test", "cost") if key in evaluate}
    frame = _read_table(file, list(columns.values()), where)
    try:
        return problem_from_frame(
            frame, space=space, name=name, description=description, trials=trials, **columns
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _read_table(path: Path, columns: list[str], where: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{where}: there is no table {path}")
    if path.suffix == ".csv":
        return _read_csv(path, where)
    if path.suffix == ".npz":
        file = NpzFile(path)
        return {name: file.array(name, (None,), "iufU") for name in columns if name in file}
    if path.suffix == ".parquet":
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise MissingExtraError("pyarrow", "tables") from error
        try:
            content: dict[str, Any] = parquet.read_table(path).to_pydict()
        except (ArrowException, OSError) as error:
            raise InputError(f"{where}: {path} cannot be read: {error}") from error
        return content
    raise InputError(f"{where}: a table is a .csv, .npz or .parquet file; got {path.name}")


def _read_csv(path: Path, where: str) -> dict[str, Any]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            lines = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{where}: {path} cannot be read: {error}") from error
    names = list(reader.fieldnames or [])
    # An empty cell is a missing result.
    return {name: [line[name] or "nan" for line in lines] for name in names}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid TOML file: {error}") from error


def _section(settings: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    section = settings.get(key)
    if not isinstance(section, dict):
        raise InputError(f"{path}: the section [{key}] is missing")
    return section


def _text(settings: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = settings.get(key, default)
    if not isinstance(value, str) or not value:
        raise InputError(f"{where}: {key} must be a string; got {value!r}")
    return value
