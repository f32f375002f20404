"""The command line for studies: ``graphbo status`` and ``graphbo report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Study = Annotated[Path, typer.Argument(help="A study file, or the folder of a search.")]


def status(
    study: Study,
    json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Say where a search stands, while it runs or after; nothing of it is touched."""
    from json import dumps

    from graphbo.report.status import study_status

    found = study_status(study)
    print(dumps(found.to_json(), indent=2) if json else found)


def report(
    study: Study,
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    problem: Annotated[
        str | None,
        typer.Option(
            help="The problem, such as a TOML file, whose code is run; by default the name in the "
            "study, if that is one of: graphbo list."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the tables; by default that in GRAPHBO_DATA."),
    ] = None,
) -> None:
    """Write one HTML page on a search that needs no server and no network.

    A search that is still running can be reported again later.
    """
    from graphbo.report import write_report

    print(f"Written {write_report(study, output, problem, data=data)}")
