"""The command line for other programs' formats: ``graphbo export ...``."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphbo.problems.base import Problem

app = typer.Typer(
    name="export",
    help="Studies for other programs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Studies for other programs."""


_Study = Annotated[
    Path, typer.Argument(help="A study file, or the folder of a search; not of a comparison.")
]


@app.command("csv")
def csv_(
    study: _Study,
    output: Annotated[Path, typer.Argument(help="The .csv file to write.")],
) -> None:
    """Write the finished trials of a study as comma-separated values, a row for each."""
    from graphbo.records import write_csv

    _write_table(study, output, write_csv)


@app.command()
def parquet(
    study: _Study,
    output: Annotated[Path, typer.Argument(help="The .parquet file to write.")],
) -> None:
    """Write the finished trials of a study as a Parquet file, a row for each (extra: tables)."""
    from graphbo.records import write_parquet

    _write_table(study, output, write_parquet)


@app.command()
def deepcave(
    study: Annotated[
        Path,
        typer.Argument(help="A study file, or the folder of a search or of a comparison."),
    ],
    output: Annotated[
        Path, typer.Argument(help="The folder to write to; each study is a folder in it.")
    ],
    problem: Annotated[
        str | None,
        typer.Option(help="The problem, such as a TOML file; by default the name in the study."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the tables; by default that in GRAPHBO_DATA."),
    ] = None,
) -> None:
    """Write studies of any optimiser as runs that DeepCAVE opens.

    A study that is still running can be written again later.
    """
    from graphbo.report.deepcave import write_deepcave
    from graphbo.report.recorded import check_space, problem_of, read_study, study_files

    problems: dict[str, Problem] = {}
    for path in study_files(study):
        recorded = read_study(path)
        searched = problem or recorded.problem
        if searched is None:
            raise InputError(
                f"{path} does not say which problem it is of; name it with --problem, or write it "
                "from Python with graphbo.report.write_deepcave"
            )
        if searched not in problems:
            problems[searched] = problem_of(recorded, problem, data)
        space = problems[searched].space
        check_space(recorded, space, searched)
        seed = int(recorded.identity["seed"])
        alone = path.name == "study.sqlite"
        name = f"{recorded.identity['optimizer']}-{seed}" if alone else path.stem
        # Another problem, or other settings, must not take its place.
        known = json.dumps(recorded.identity, sort_keys=True).encode()
        digest = hashlib.blake2b(known, digest_size=2).hexdigest()
        folder = write_deepcave(
            recorded.trials,
            space,
            # DeepCAVE cuts names at their last dot, and a study file must not name other folders.
            output / re.sub(r"[^\w-]", "_", f"{name}-{digest}"),
            objective=recorded.objective,
            seed=seed,
        )
        print(f"Written {folder}")
    print(f"\nShow them in DeepCAVE: choose the folder {output}, and runs in it")


def _write_table(
    study: Path, output: Path, write: Callable[[list[dict[str, Any]], Path], Path]
) -> None:
    """Write the finished trials of one study; needs no problem."""
    from graphbo.records import trial_records
    from graphbo.report.recorded import read_study, study_file

    found = study_file(study)
    if output.exists() and output.resolve() == found.resolve():
        raise InputError(f"{output} is the study itself; name another file to write")
    trials = read_study(found).trials
    if not trials:
        raise InputError(f"{found} has no finished trial to write")
    print(f"Written {write(trial_records(trials), output)}")
