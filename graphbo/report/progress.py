"""Progress bars, and tables and architectures as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graphbo.architecture import Architecture
from graphbo.trial import Trial

if TYPE_CHECKING:
    from rich.progress import Progress

    from graphbo.study import Study


def progress_bar(period: float = 30.0) -> Progress:
    """Return a progress bar on standard error with a field ``note``.

    Args:
        period: The seconds up to now that tell the time left.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        speed_estimate_period=period,
    )


@contextmanager
def search_progress(
    study: Study, trials: int | None, *, shown: bool = True
) -> Iterator[Callable[[Trial], None] | None]:
    """Show the trials and the incumbent of a study.

    Args:
        study: The study; what it has stored counts as done.
        trials: The budget in trials, if there is one.
        shown: Whether to show anything.

    Yields:
        The callback for `Study.run`, or None if nothing is shown.
    """
    if not shown:
        yield None
        return
    with progress_bar() as bar:
        name = study.optimizer.name
        task = bar.add_task(name, total=trials, note="")
        best, failed = float("inf"), 0

        def callback(trial: Trial) -> None:
            nonlocal best, failed
            if trial.value is not None and study.goals.feasible(trial):
                best = min(best, trial.value)
            failed += trial.value is None
            note = f"best {quantity(study.objective, best)}" if best < float("inf") else ""
            note += f", {failed} failed" if failed else ""
            bar.update(task, advance=1, note=note)

        for trial in study.trials:
            callback(trial)

        yield callback


def quantity(name: str, value: float) -> str:
    """Return a named value as text; errors are in percent."""
    unit = " %" if name.endswith("error") else ""
    return f"{name.replace('_', ' ')} {value:.4g}{unit}"


def describe(architecture: Architecture) -> str:
    """Return an architecture as text: a line for each node, with its label and inputs.

    Example:
        >>> print(describe(Architecture(["input", "", "output"], [(0, 1, "skip"), (1, 2, "skip")])))
        0  input
        1  sum     <- skip(0)
        2  output  <- skip(1)
    """
    labels = [label or "sum" for label in architecture.nodes]
    width = max(map(len, labels))
    inputs: list[list[str]] = [[] for _ in labels]
    for u, v, label in architecture.edges:
        inputs[v].append(f"{label}({u})" if label else str(u))
    lines = []
    for node, (label, sources) in enumerate(zip(labels, inputs, strict=True)):
        arrow = f"  <- {', '.join(sources)}" if sources else ""
        lines.append(f"{node:{len(str(len(labels) - 1))}d}  {label:{width}}{arrow}".rstrip())
    return "\n".join(lines)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output, its first column to the left, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=i == 0)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(title, style="bold", highlight=False)
    console.print(table)
