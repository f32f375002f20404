"""The command line for advice: ``graphbo advise``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphbo.advice import Advice

_SHOWN = 8


def advise(
    problem: Annotated[str, typer.Argument(help="A problem, see: graphbo list; a TOML file, too.")],
    trials: Annotated[
        int | None, typer.Option(help="Budget in trials; by default that of the problem.")
    ] = None,
    budget_seconds: Annotated[
        float | None, typer.Option(help="Budget in seconds of (simulated) training.")
    ] = None,
    budget_epochs: Annotated[
        float | None, typer.Option(help="Budget in epochs of training.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", "--batch", help="Designs evaluated at a time.")
    ] = 1,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the tables; by default that in GRAPHBO_DATA."),
    ] = None,
) -> None:
    """Say which optimiser to take for a search, and from which measurements that follows."""
    from graphbo.functional import advise as run

    advice = run(problem, trials, budget_epochs, budget_seconds, workers, data=data)
    options = {
        "--optimizer": advice.optimizer,
        "--trials": trials,
        "--budget-seconds": budget_seconds,
        "--budget-epochs": budget_epochs,
        "--batch": workers if workers > 1 else None,
        "--data": data,
    }
    words = ["graphbo", "search", problem]
    for name, value in options.items():
        whole = isinstance(value, float) and value.is_integer()
        words += [] if value is None else [name, f"{value:.0f}" if whole else f"{value}"]
    _print(advice, shlex.join(words))


def _print(advice: Advice, command: str) -> None:
    from graphbo.report.progress import print_table

    name, colon, settings = advice.optimizer.partition(":")
    print(f"{name}, for {advice.problem}: {advice.task}")
    print(f"settings: {settings if colon else 'its defaults'}")
    for note in advice.notes:
        print(f"note: {note}")
    print(f"\n  {command}\n")
    scores = [(advice.optimizer, advice.score)]
    scores += [(each.optimizer, each.score) for each in advice.runners_up]
    print_table(
        "Comparisons that each should win against the others",
        ["", "won"],
        [[each, f"{score:.0%}"] for each, score in scores[:_SHOWN]],
    )
    shown, rest = advice.evidence[:_SHOWN], advice.evidence[_SHOWN:]
    print_table(
        f"Measurements of {advice.optimizer}, the most alike first",
        [
            "",
            "budget",
            "at a\ntime",
            "weight",
            "mean\nrank",
            "mean\nregret",
            "best other",
            "its\nregret",
            "seeds",
        ],
        [
            [
                each.problem,
                each.task.spends,
                str(each.task.workers),
                f"{each.weight:.2f}",
                f"{each.mean_rank:.1f} of {each.compared}",
                f"{each.mean_regret:.3g}",
                each.best_other,
                f"{each.best_other_regret:.3g}",
                str(each.seeds),
            ]
            for each in shown
        ],
    )
    if rest:
        print(f"{len(rest)} more, of weight {sum(each.weight for each in rest):.2f} together\n")
    if advice.left_out:
        print("Left out:")
    for line in advice.reasons():
        print(f"  {line}")
