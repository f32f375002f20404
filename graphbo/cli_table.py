"""The command line for benchmark tables: ``graphbo table ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="table",
    help="Benchmark tables.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Benchmark tables."""


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="The folder NATS-tss-...-simple or file *.pickle.pbz2 of NATS-Bench (topology), "
            "the file *.pth of NAS-Bench-201, or *.tfrecord of NAS-Bench-101."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="The folder to write the tables to.")],
) -> None:
    """Turn a benchmark on disk into tables of this package, one file for each problem."""
    from graphbo.importers import import_tables
    from graphbo.report.progress import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, note=source.name)
        files = import_tables(
            source, output, lambda done, total: bar.update(task, completed=done, total=total)
        )
    for file in files:
        print(f"Written {file}")
    print(f"\nSearch one with: graphbo search {files[0].stem} --data {output}")


@app.command("build")
def build_(
    name: Annotated[str, typer.Argument(help="The protocol of a table.")] = "digits-table",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the chunks and the table; by default runs/NAME."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes, each with one thread of the CPU.")] = 1,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda; by default the GPU if there is one.")
    ] = None,
    size: Annotated[int, typer.Option(help="Networks trained as one program.")] = 32,
    only: Annotated[
        int | None, typer.Option(help="Networks to stop after, rounded up to chunks.")
    ] = None,
) -> None:
    """Train every cell of a space by a protocol, and write the table.

    The same command goes on with a build that was stopped.
    """
    from graphbo.report.progress import progress_bar
    from graphbo.tabulate.build import build
    from graphbo.tabulate.protocols import get_protocol

    protocol = get_protocol(name)
    output = output or Path("runs", name)
    # Of the last ten minutes, because chunks end at the same time.
    with progress_bar(period=600) as bar:
        task = bar.add_task("networks", total=None, note="")
        table = build(
            protocol,
            output,
            jobs=jobs,
            device=device,
            size=size,
            only=only,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if table is None:
        print(f"Trained as many networks as asked for; without --only, {name} is completed.")
        return
    file = output / f"{name}.npz"
    table.write(file)
    print(f"Written {file} ({file.stat().st_size:,} bytes)")
    print(f"\nCheck it with:  graphbo table check {file}")
    print(f"Search it with: graphbo search {name} --data {output}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A table that graphbo table build made.")],
    retrain: Annotated[int, typer.Option(help="Random cells to train again, each alone.")] = 5,
    seed: Annotated[int, typer.Option(help="Picks these cells.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to train them.")] = None,
    other: Annotated[
        Path | None,
        typer.Option("--with", help="A file nasbench201*.npz to correlate the accuracies with."),
    ] = None,
) -> None:
    """Check that a table is whole, and print how useful a benchmark it is.

    Only a table that is whole and has several seeds is described and retrained. The exit code is 1
    if a check fails.
    """
    from graphbo.report.progress import print_table, progress_bar
    from graphbo.tabulate import check as checks
    from graphbo.tabulate import statistics as numbers

    table, finding = checks.read(file)
    findings = [finding]
    if table is not None:
        findings += checks.check(table)
    whole = all(finding.passed for finding in findings)
    if table is not None and table.seeds > 1 and whole:
        found = numbers.statistics(table)
        for label, text in numbers.figures(found):
            print(f"{label}: {text}")
        for label, (rho, half) in numbers.agreement(table, other).items() if other else ():
            print(f"Spearman with {label}: {rho:.3f}, {half:.3f} in the better half")
        print()
        print_table(f"{table.name}: validation accuracy in percent", *numbers.by_epoch(found))
        with progress_bar() as bar:
            task = bar.add_task("retraining", total=retrain, note="", visible=retrain > 0)
            findings += checks.retrain(
                table,
                retrain,
                seed=seed,
                device=device,
                on_progress=lambda done: bar.update(task, completed=done),
            )
    for finding in findings:
        print(f"{'passed' if finding.passed else 'FAILED'}  {finding.name}: {finding.detail}")
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)
