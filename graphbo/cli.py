"""The command line: ``graphbo search``, ``compare``, ``advise``, ``pretrain``, ``table``, ..."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbo.cli_advise import advise
from graphbo.cli_export import app as export_app
from graphbo.cli_pretrain import StoppedError, pretrain
from graphbo.cli_study import report, status
from graphbo.cli_table import app as table_app
from graphbo.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from graphbo.problems.base import Problem
    from graphbo.study import Result

# What is heavy is imported inside the commands, so that --help is instant.

app = typer.Typer(
    name="graphbo",
    help="Bayesian optimisation over neural architectures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(table_app)
app.add_typer(export_app)
app.command()(advise)
app.command()(pretrain)
app.command()(status)
app.command()(report)
_INTERRUPTED = 130

Data = Annotated[
    Path | None,
    typer.Option(help="Folder or file of the benchmark tables; by default that in GRAPHBO_DATA."),
]
Seconds = Annotated[float | None, typer.Option(help="Budget in seconds of (simulated) training.")]
Epochs = Annotated[float | None, typer.Option(help="Budget in epochs of training.")]
Objectives = Annotated[
    str | None,
    typer.Option(
        help="What to minimise instead of what the problem is for: names of what it reports, "
        "commas between; several are for graph-ehvi, nsga2, parego and random."
    ),
]
Bounds = Annotated[
    list[str] | None,
    typer.Option(
        help="What must hold, such as 'parameters<=1e6', instead of what the problem says; may be "
        "given repeatedly."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(help="Folder for the results, which resumes what is there; by default in runs/."),
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what the user can mend is one line and exit code 2.

    Args:
        arguments: Instead of those of the process.
    """
    try:
        app(args=None if arguments is None else list(arguments))
    except (InputError, MissingExtraError) as error:
        print(f"graphbo: {error}", file=sys.stderr)
        sys.exit(2)
    except StoppedError as stop:
        print(f"graphbo: stopped; {stop}", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer turns Ctrl-C into this exit code.
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:
            raise
        print("graphbo: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def _version(value: bool) -> None:
    if value:
        from graphbo import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def search(
    problem: Annotated[str, typer.Argument(help="A problem; see: graphbo list.")],
    optimizer: Annotated[
        str,
        typer.Option(
            help="See: graphbo list; with settings: NAME:setting=value,other=value; auto: the one "
            "that graphbo advise names."
        ),
    ] = "graph-bo",
    trials: Annotated[
        int | None, typer.Option(help="Budget in trials; by default that of the problem.")
    ] = None,
    budget_seconds: Seconds = None,
    budget_epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same search.")] = 0,
    batch: Annotated[
        int, typer.Option(help="Architectures proposed at a time; they are trained together.")
    ] = 1,
    workers: Annotated[
        int, typer.Option(help="Evaluations, each of a batch, at once; none waits for another.")
    ] = 1,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where they run: processes (one to a GPU), threads, ray, ray:auto, "
            "ray://HOST:10001, dask:tcp://HOST:8786; by default as suits the problem."
        ),
    ] = None,
    ahead: Annotated[
        int, typer.Option(help="Architectures proposed before a worker is free for them.")
    ] = 0,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which an evaluation has failed.")
    ] = None,
    retries: Annotated[
        int, typer.Option(help="How often an evaluation starts again whose worker died.")
    ] = 1,
    objectives: Objectives = None,
    constraint: Bounds = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            help="A study of the same space, or the folder of its search: start from what its "
            "trials say."
        ),
    ] = None,
    first: Annotated[
        Path | None,
        typer.Option(help="A JSON file with a list of architectures to evaluate before others."),
    ] = None,
    checkpoints: Annotated[
        bool, typer.Option(help="Keep the states of trainings, to go on from after a stop.")
    ] = True,
    data: Data = None,
    output: Output = None,
) -> None:
    """Search for a good architecture or a Pareto front, and print and draw what is found.

    The same command goes on with a search that was stopped.
    """
    from graphbo.budget import Budget
    from graphbo.goals import Goals
    from graphbo.optimizers.registry import AUTO, file_name
    from graphbo.problems.registry import get_problem
    from graphbo.report.progress import search_progress
    from graphbo.spaces.written import read_entries
    from graphbo.study import Study
    from graphbo.transfer import prior_of_study

    task = get_problem(problem, data)
    given = [name.strip() for name in objectives.split(",")] if objectives else ()
    goals = Goals.of(given or task.goals.objectives, constraint or task.goals.constraints)
    if trials is None and budget_seconds is None and budget_epochs is None:
        trials = task.trials
    budget = Budget(trials, budget_seconds, budget_epochs)
    pursued = "" if goals == task.goals else f"-{file_name(f'for:{goals}')}"
    started = "".join(
        f"-{file_name(f'{how}:{path}')}"
        for how, path in (("from", warm_start), ("first", first))
        if path is not None
    )
    name = f"{task.name}{pursued}-{file_name(optimizer)}{started}-{seed}"
    output = output or Path("runs", name)
    if checkpoints and task.evaluator.checkpoints is None:
        task.evaluator.checkpoints = (output / "checkpoints").absolute()
    storage = output / "study.sqlite"
    study = Study.of(
        task,
        optimizer,
        objective=goals.objectives,
        constraints=goals.constraints,
        seed=seed,
        batch=batch,
        workers=workers,
        executor=executor,
        ahead=ahead,
        timeout=timeout,
        retries=retries,
        storage=storage,
        budget=budget,
        first=() if first is None else read_entries(first),
        prior=None if warm_start is None else prior_of_study(warm_start, task.space),
    )
    if goals.objectives[0] != task.objective:
        task = replace(task, objective=goals.objectives[0], optimum=None)
    if optimizer == AUTO:
        print(f"{AUTO} is {study.optimizer.name}; graphbo advise says why")
    try:
        with search_progress(study, trials) as callback:
            result = study.run(trials, budget_seconds, budget_epochs, callback)
    except KeyboardInterrupt:
        _write_pictures(task, study.result, output)
        raise
    finally:
        study.close()
    _print_result(task, result)
    _write_pictures(task, result, output)
    print(f"\nWritten to {output}")


def _print_result(problem: Problem, result: Result) -> None:
    from graphbo.report.progress import describe, quantity
    from graphbo.spaces import HyperparameterSpace

    count = len(result.trials)
    if result.exhausted:
        print(f"The space is exhausted after {count} trials.")
    if result.failed:
        last = next(trial.error for trial in reversed(result.trials) if trial.error)
        print(f"{result.failed} of {count} trials failed, the last one with:")
        print(f"  {last.strip().splitlines()[-1]}")
    if result.failed == count:
        print("No architecture was evaluated successfully.")
        return
    if result.goals is not None and not result.front:
        print(f"None of {count} trials keeps {result.goals.bounds}.")
        return
    if result.goals is not None and len(result.goals.objectives) > 1:
        _print_front(problem, result)
        return
    best = result.best
    alone = isinstance(problem.space, HyperparameterSpace)
    kind = "configurations" if alone else "architectures"
    print(f"Best of {count} {kind} (trial {best.number + 1}):\n")
    lines = [] if alone else describe(result.architecture).splitlines()
    lines += [f"{name}: {value}" for name, value in result.hyperparameters.items()]
    print("\n".join("  " + line for line in lines), end="\n\n")
    objectives = {} if best.evaluation is None else best.evaluation.objectives
    pursued = (problem.objective,) if result.goals is None else result.goals.names
    reported = {**objectives, **{name: best.outcomes[name] for name in pursued}}
    for name, value in reported.items():
        print(f"  {quantity(name, value)}")
    full = problem.fidelity.get("epochs", best.epochs)
    if best.epochs < full:
        print(f"  after {best.epochs:g} of {full:g} epochs: nothing was trained fully")
    elif problem.optimum is not None and result.goals is None:
        print(f"  {result.value - problem.optimum:.3g} above the optimum of the problem")


def _print_front(problem: Problem, result: Result) -> None:
    from graphbo.report.page.trials import hyperparameters_of, operations_of
    from graphbo.report.progress import print_table
    from graphbo.spaces import HyperparameterSpace

    assert result.goals is not None
    names, front = result.goals.objectives, result.front
    columns: dict[str, list[str]] = {"trial": [str(trial.number + 1) for trial in front]}
    for i, name in enumerate(names):
        values = (result.goals.values(trial)[i] for trial in front)
        columns[name.replace("_", " ")] = [f"{value:.6g}" for value in values]
    if not isinstance(problem.space, HyperparameterSpace):
        columns["operations"] = [operations_of(trial.design.architecture) for trial in front]
    if problem.space.hyperparameters is not None:
        columns["hyperparameters"] = [hyperparameters_of(trial.design) for trial in front]
    title = f"The front has {len(front)} of {len(result.trials)} trials"
    print_table(title, list(columns), list(zip(*columns.values(), strict=True)))


def _write_pictures(problem: Problem, result: Result, folder: Path) -> None:
    from graphbo.report import draw, search_figure
    from graphbo.spaces import HyperparameterSpace

    optimum = problem.optimum if result.goals is None else None
    objective = problem.objective if result.goals is None else result.goals.objectives[0]
    if not result.front:
        return
    try:
        if result.goals is not None and len(result.goals.objectives) > 1:
            from graphbo.report.fronts import front_figure

            completed = [trial for trial in result.trials if trial.value is not None]
            figure = front_figure({"front": result.front}, result.goals, trials=completed)
            figure.savefig(folder / "front.png", dpi=150)
            return
        figure = search_figure(
            result.trials, objective=objective, optimum=optimum, goals=result.goals
        )
        figure.savefig(folder / "regret.png", dpi=150)
        if not isinstance(problem.space, HyperparameterSpace):
            drawing = draw(result.architecture, operations=problem.space.operations)
            drawing.savefig(folder / "architecture.png", dpi=150)
    except MissingExtraError as error:
        print(f"graphbo: no pictures: {error}", file=sys.stderr)


@app.command()
def compare(
    problem: Annotated[str, typer.Argument(help="A problem; see: graphbo list.")],
    optimizers: Annotated[
        str,
        typer.Option(
            help="Names with commas between, with settings or without; the first is compared with "
            "the others."
        ),
    ] = "graph-bo,random",
    trials: Annotated[
        int | None, typer.Option(help="Budget of each run; by default that of the problem.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each optimiser.")] = 10,
    budget_seconds: Seconds = None,
    budget_epochs: Epochs = None,
    batch: Annotated[int, typer.Option(help="Architectures proposed at a time.")] = 1,
    jobs: Annotated[int, typer.Option(help="Runs at once.")] = 2,
    objectives: Objectives = None,
    constraint: Bounds = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Compare optimisers over several seeds: a table, an anytime plot and a summary."""
    from graphbo.comparison import compare as run
    from graphbo.optimizers.registry import AUTO, split_names
    from graphbo.problems.registry import get_problem

    task = get_problem(problem, data)
    if trials is None and budget_seconds is None and budget_epochs is None:
        trials = task.trials
    output = output or Path("runs", f"compare-{task.name}")
    summary = run(
        problem,
        split_names(optimizers),
        trials=trials,
        seeds=seeds,
        output=output,
        seconds=budget_seconds,
        epochs=budget_epochs,
        batch=batch,
        jobs=jobs,
        data=data,
        progress=True,
        objectives=[name.strip() for name in objectives.split(",")] if objectives else (),
        constraints=constraint or (),
    )
    if "reference" in summary:
        _print_fronts(summary)
    else:
        _print_summary(summary)
    if AUTO in summary:
        print(f"{AUTO} is {summary[AUTO]}; graphbo advise says why")
    print(f"Written to {output}")


def _text(value: float | None, digits: str = ".2f") -> str:
    return "-" if value is None else format(value, digits)


def _print_spending(spending: dict[str, Any]) -> None:
    from graphbo.report.progress import print_table

    entries = spending["optimizers"]
    unit, budget = spending["unit"], spending["budget"]
    shares = list(next(iter(entries.values()))["mean_regret"])
    print_table(
        f"Over the {unit} of training: regret of the full training of what was found",
        ["", *(f"after\n{float(share) * budget:g}" for share in shares), "mean over\nthe budget"],
        [
            [
                name,
                *(_text(entry["mean_regret"][share]) for share in shares),
                _text(entry["area"]),
            ]
            for name, entry in entries.items()
        ],
    )


def _print_fronts(summary: dict[str, Any]) -> None:
    from graphbo.report.progress import print_table

    entries = summary["optimizers"]
    points = list(next(iter(entries.values()))["hypervolume"])
    known = summary["true_front"] is not None
    print_table(
        f"{summary['problem']}: {', '.join(summary['objectives'])}; {summary['trials']} trials, "
        f"{summary['seeds']} seeds; {'share of the true front' if known else 'hypervolume'}",
        ["", *(f"@{point}" for point in points), "front", "s per\ntrial"],
        [
            [
                name,
                *(
                    _text(entry["share"][point], ".1%")
                    if known
                    else _text(entry["hypervolume"][point]["mean"], ".3f")
                    for point in points
                ),
                _text(entry["front_size"], ".1f"),
                _text(entry["optimizer_seconds_per_trial"], ".3f"),
            ]
            for name, entry in entries.items()
        ],
    )
    if summary["paired"]:
        first = next(iter(entries))
        print_table(
            f"Hypervolume of {first} minus that of the others, with 95 % intervals",
            ["", *(name.removeprefix(f"{first} - ") for name in summary["paired"])],
            [
                [f"at {point}"]
                + [
                    f"{_text(d['mean'], '.3f')} [{_text(d['low'], '.3f')}, "
                    f"{_text(d['high'], '.3f')}]"
                    for d in (differences[point] for differences in summary["paired"].values())
                ]
                for point in points
            ],
        )
    if "note" in summary:
        print(f"graphbo: {summary['note']}", file=sys.stderr)


def _print_summary(summary: dict[str, Any]) -> None:
    from graphbo.report.progress import print_table

    entries = summary["optimizers"]
    points = list(next(iter(entries.values()))["mean_regret"])
    print_table(
        f"{summary['problem']}: {summary['trials']} trials, {summary['seeds']} seeds",
        [
            "",
            *(f"regret\n@{point}" for point in points),
            "found",
            "after\n(median)",
            "test\nregret",
            "s per\ntrial",
        ],
        [
            [
                name,
                *(_text(entry["mean_regret"][point]) for point in points),
                _text(entry["found_share"], ".0%"),
                _text(entry["evaluations_to_optimum_median"], ".4g"),
                _text(entry["test_regret_mean"]),
                _text(entry["optimizer_seconds_per_trial"], ".3f"),
            ]
            for name, entry in entries.items()
        ],
    )
    for spending in summary["spending"]:
        _print_spending(spending)
    paired = summary["paired"]
    if paired:
        first = next(iter(entries))
        print_table(
            f"Regret of {first} minus that of the others, with 95 % intervals",
            ["", *(name.removeprefix(f"{first} - ") for name in paired)],
            [
                [f"at {point}"]
                + [
                    f"{_text(d['mean'])} [{_text(d['low'])}, {_text(d['high'])}]"
                    for d in (differences[point] for differences in paired.values())
                ]
                for point in points
            ],
        )
    if "note" in summary:
        print(f"graphbo: {summary['note']}", file=sys.stderr)


@app.command("list")
def list_(data: Data = None) -> None:
    """List the problems and the optimisers."""
    from graphbo.optimizers.registry import AUTO, AUTO_DESCRIPTION, OPTIMIZERS
    from graphbo.problems.registry import list_problems

    for title, entries in (
        ("Problems", list_problems(data)),
        ("Optimisers", [*OPTIMIZERS.items(), (AUTO, AUTO_DESCRIPTION)]),
    ):
        width = max((len(name) for name, _ in entries), default=0)
        print(title)
        for name, description in entries:
            print(f"  {name:{width}}  {description}")
