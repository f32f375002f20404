"""Write the figures of a table made by `graphbo table build` into its card in the docs.

    python benchmarks/table_card.py graphbo/problems/data/digits-table.npz
    python benchmarks/table_card.py FILE --with FOLDER/nasbench201.npz

Replaces what stands between the marks ``table`` of docs/NAME.md, where NAME is the table's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from readme_tables import ROOT, fill

from graphbo.errors import InputError
from graphbo.problems.curves import CurveTable
from graphbo.tabulate.statistics import agreement, by_epoch, figures, statistics


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite the card.

    Args:
        arguments: Instead of those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the table")
    parser.add_argument("--with", type=Path, dest="other", help="a file nasbench201*.npz")
    parser.add_argument("--card", type=Path, help="by default docs/NAME.md")
    options = parser.parse_args(arguments)
    table = CurveTable.read(options.file)
    card = options.card or ROOT / "docs" / f"{table.name}.md"
    if not card.exists():
        raise InputError(f"there is no card {card}")
    fill(card, "table", tables(table, options.file.stat().st_size, options.other))


def tables(table: CurveTable, size: int, other: Path | None) -> list[str]:
    """Return the tables of a card in Markdown.

    Args:
        table: The table.
        size: The bytes of its file.
        other: A file of NAS-Bench-201 to compare with, if there is one.
    """
    found = statistics(table)
    about = [(key, table.about[key]) for key in ("dataset", "training", "diverged")]
    seconds = 0.0 if table.seconds is None else float(table.seconds[distinct(table)].sum())
    whole = [
        *about,
        *figures(found),
        ("all trainings, one by one on one thread", f"{seconds / 3600:.1f} hours"),
        ("file", f"{size:,} bytes, SHA-256 of the content `{table.checksum}`"),
    ]
    head, rows = by_epoch(found)
    parts = [
        markdown(["", table.name], [[name, text.replace("|", "\\|")] for name, text in whole]),
        markdown([name.replace("\n", " ") for name in head], rows),
    ]
    if other is not None:
        parts.append(
            markdown(
                ["Spearman with NAS-Bench-201", "all networks", "better half"],
                [[k, f"{a:.3f}", f"{b:.3f}"] for k, (a, b) in agreement(table, other).items()],
            )
        )
    return parts


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table whose columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def distinct(table: CurveTable) -> list[int]:
    """Return the rows of the cells that were trained: one of each network."""
    from graphbo.tabulate.equivalence import networks
    from graphbo.tabulate.statistics import cells

    return [group[0] for group in networks(cells(table)).values()]


if __name__ == "__main__":
    main()
