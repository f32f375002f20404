"""The command line for encoders: ``graphbo pretrain``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbo.errors import InputError

if TYPE_CHECKING:
    from graphbo.embeddings import Pretrained
    from graphbo.spaces.base import SearchSpace

_PROXIES = "parameters,flops,synflow,naswot,jacobian_covariance"
_SPACES = ("nasbench201", "nasbench101")


class StoppedError(Exception):
    """The user stopped a command that keeps nothing."""


def pretrain(
    space: Annotated[
        str,
        typer.Argument(help="nasbench201, nasbench101, or a problem (a TOML file, too) for its."),
    ],
    table: Annotated[
        list[str] | None,
        typer.Option(
            help="A problem with a table, after @ the epochs of its labels and after : a column, "
            "such as nasbench201-cifar10@12 or nasbench201-cifar10:parameters; may be repeated."
        ),
    ] = None,
    labels: Annotated[
        int | None, typer.Option(help="Results drawn from each table; by default all.")
    ] = None,
    proxies: Annotated[
        str, typer.Option("--proxies", help="Proxies of untrained networks, commas between.")
    ] = _PROXIES,
    no_proxies: Annotated[bool, typer.Option("--no-proxies", help="Compute none.")] = False,
    proxied: Annotated[
        int, typer.Option(help="Networks that proxies are computed of, at most.")
    ] = 2000,
    encoder: Annotated[str, typer.Option(help="gin, gcn, dvae or transformer.")] = "gin",
    objectives: Annotated[
        str,
        typer.Option(help="Of supervised, reconstruction, masked and contrastive, commas between."),
    ] = "supervised,reconstruction",
    architectures: Annotated[
        int, typer.Option(help="Of a space with more of them, so many are drawn at random.")
    ] = 20_000,
    epochs: Annotated[
        int | None, typer.Option(help="The most passes over the architectures.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same encoder.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the tables; by default that in GRAPHBO_DATA."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute, such as cpu or cuda.")] = "cpu",
    output: Annotated[
        Path | None, typer.Option(help="The checkpoint; by default SPACE.pt in this folder.")
    ] = None,
) -> None:
    """Pretrain an encoder of architectures on what is cheap, for --optimizer embedding-bo.

    Writes the checkpoint, and beside it a card that says what is in it.
    """
    from graphbo.embeddings import Settings, card_text, save
    from graphbo.pretraining import Column, pretrain_on

    tables = [Column.of(text) for text in table or []]
    names = [] if no_proxies else _split(proxies)
    given = {} if epochs is None else {"epochs": epochs}
    try:
        settings = Settings(objectives=_split(objectives), seed=seed, **given)
    except ValueError as error:
        raise InputError(str(error)) from error
    searched = _space(space, data)
    path = _output(output or Path(f"{searched.name}.pt"))
    options = {
        "--table": table or [],
        "--labels": labels,
        "--proxies": None if no_proxies or proxies == _PROXIES else ",".join(names),
        "--no-proxies": no_proxies,
        "--proxied": None if proxied == 2000 else proxied,
        "--encoder": encoder,
        "--objectives": ",".join(settings.objectives),
        "--architectures": None if architectures == 20_000 else architectures,
        "--epochs": epochs,
        "--seed": seed,
    }
    try:
        with _progress(bool(names), settings.epochs) as bars:
            pretrained = pretrain_on(
                searched,
                tables=tables,
                labels=labels,
                proxies=names,
                proxied=proxied,
                architectures=architectures,
                encoder=encoder,
                settings=settings,
                data=data,
                device=device,
                command=_command(space, options),
                **bars,
            )
        try:
            save(pretrained, path)
            path.with_suffix(".md").write_text(card_text(pretrained), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(str(error)) from error
    except KeyboardInterrupt as stop:
        raise StoppedError("nothing was written") from stop
    _print_metrics(pretrained)
    print(f"Written {path} ({path.stat().st_size:,} bytes) and {path.with_suffix('.md').name}")
    # Without a task that tells good from bad, there is nothing to expect of an architecture.
    prior = "" if any(pretrained.votes) else ",prior=false"
    print(
        f"\nSearch with: graphbo search PROBLEM --optimizer embedding-bo:checkpoint={path}{prior}"
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _space(name: str, data: Path | None) -> SearchSpace:
    from graphbo.problems.registry import get_problem
    from graphbo.spaces import space_from_settings

    if name in _SPACES:
        return space_from_settings({"type": name})
    space = get_problem(name, data).space
    if space.hyperparameters is not None:
        raise InputError(
            f"an encoder is of architectures alone, and {name} has hyperparameters beside them; "
            "name a space or problem without"
        )
    return space


def _output(path: Path) -> Path:
    path = path if path.suffix == ".pt" else path.with_name(f"{path.name}.pt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # better now than after the training
        raise InputError(f"the folder of {path} cannot be made: {error}") from error
    return path


def _command(space: str, options: dict[str, Any]) -> str:
    """Return the command line that does the same, without folders of this machine."""
    words = ["graphbo", "pretrain", _bare(space)]
    for option, value in options.items():
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            for each in value if isinstance(value, list) else [value]:
                words += [option, _bare(str(each))]
    return shlex.join(words)


def _bare(text: str) -> str:
    return Path(text).name if ".toml" in text else text


@contextmanager
def _progress(proxied: bool, epochs: int) -> Iterator[dict[str, Any]]:
    from graphbo.report.progress import progress_bar

    with progress_bar() as bar:
        networks = bar.add_task("proxies", total=None, note="", visible=proxied)
        passes = bar.add_task("epochs", total=epochs, note="")

        def on_epoch(done: int, loss: float) -> None:
            bar.update(passes, completed=done, note=f"loss held out {loss:.4f}")

        yield {
            "on_proxies": lambda done, total: bar.update(networks, completed=done, total=total),
            "on_epoch": on_epoch,
        }


def _print_metrics(pretrained: Pretrained) -> None:
    from graphbo.report.progress import print_table

    card = pretrained.card
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in card["held_out_losses"].items())
    print(f"{card['epochs']} epochs; lowest loss on architectures held out: {losses}")
    if card["tasks"]:
        print_table(
            f"{card['architectures']:,} architectures",
            ["task", "known of", "Kendall's tau\nheld out"],
            [
                [
                    name,
                    f"{task['known']:,}",
                    "-" if task["held_out_tau"] is None else f"{task['held_out_tau']:.3f}",
                ]
                for name, task in card["tasks"].items()
            ],
        )
