"""The command line for other programs' formats: ``graphbo export ...``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphbo.errors import InputError

if TYPE_CHECKING:
    from graphbo.spaces.base import SearchSpace
    from graphbo.trial import Trial

app = typer.Typer(
    name="export",
    help="Studies for other programs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Studies for other programs."""


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
    from graphbo.problems.registry import get_problem
    from graphbo.report.deepcave import write_deepcave
    from graphbo.storage import Storage
    from graphbo.trial import Trial

    spaces: dict[str, SearchSpace] = {}
    for path in _studies(study):
        storage = Storage(path)
        try:
            identity, log = storage.identity(), storage.log() if storage.identity() else []
        finally:
            storage.close()
        searched = problem or identity.get("problem", "None")
        if searched == "None":
            raise InputError(
                f"{path} does not say which problem it is of; name it with --problem, or write it "
                "from Python with graphbo.report.write_deepcave"
            )
        if searched not in spaces:
            spaces[searched] = get_problem(searched, data).space
        trials = [entry for entry in log if isinstance(entry, Trial)]
        _check(path, searched, spaces[searched], trials)
        seed = int(identity["seed"])
        name = f"{identity['optimizer']}-{seed}" if path.name == "study.sqlite" else path.stem
        folder = write_deepcave(
            trials,
            spaces[searched],
            # DeepCAVE cuts names at their last dot.
            output / name.replace(".", "_"),
            objective=identity["objective"],
            seed=seed,
        )
        print(f"Written {folder}")
    print(f"\nShow them in DeepCAVE: choose the folder {output}, and runs in it")


def _studies(path: Path) -> list[Path]:
    """Return the study files that a path stands for."""
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.sqlite")) or sorted(path.glob("runs/*.sqlite"))
    if not found:
        raise InputError(
            f"{path} is no study; give a file such as study.sqlite, or the folder of a search or "
            "of a comparison"
        )
    return found


def _check(path: Path, problem: str, space: SearchSpace, trials: list[Trial]) -> None:
    """Refuse a space that the trials are not of."""
    for trial in trials:
        try:
            same = space.decode(trial.design.row) == trial.design.architecture
        except ValueError:
            same = False
        if not same:
            raise InputError(f"{path} is not a study of {problem}, whose space is another one")
