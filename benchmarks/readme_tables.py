"""Store the summaries of comparisons, and write their tables into the README.

    python benchmarks/readme_tables.py runs/cifar10 runs/cifar100 runs/nasbench101

Copies each folder's ``summary.json`` to ``benchmarks/results/VERSION/PROBLEM.json``, and replaces
what stands between the marks in the README (``comparison``), in docs/comparison.md (``conditions``,
``darts``, ``advice``), in docs/kernels.md (``regression``, ``ablation``, ``speed``, ``motif``), in
docs/training.md (``throughput``, ``batch``, ``estimators``), in docs/optimizers.md (``exercise``,
``large-cost``, ``large-gain``), in docs/studies.md (``faults``), in docs/objectives.md (``fronts``)
and in docs/embeddings.md (``embedding-regression``, ``embedding-search``, ``pool``, ``objectives``)
by tables of the results stored there.
``--pool FOLDER`` stores the one comparison among those.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import ablation
import ask_cost
import batch_cost
import conditions
import darts
import embedding_regression
import embedding_search
import estimators
import exercise
import faults
import kernel_regression
import kernel_speed
import large_study
import multi_objective
import objectives_ablation
import planted_motif
import throughput
import transfer

from graphbo import __version__

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / __version__


def main() -> None:
    """Copy the summaries and rewrite the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="outputs of graphbo compare")
    parser.add_argument("--pool", type=Path, help="one on nasbench101, with embedding-bo")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if arguments.pool:
        summary = json.loads((arguments.pool / "summary.json").read_text())
        # Not at the top level, where the README looks for comparisons.
        text = json.dumps({"summary": summary}, indent=2) + "\n"
        (RESULTS / "embedding-pool.json").write_text(text)
    for folder in arguments.folders:
        text = (folder / "summary.json").read_text()
        (RESULTS / f"{json.loads(text)['problem']}.json").write_text(text)
    stored = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    summaries = [summary for summary in stored if "paired" in summary]
    benchmarks = [s for s in summaries if s["problem"].startswith("nasbench")]
    fill(ROOT / "README.md", "comparison", [table(summary) for summary in benchmarks])
    guide = ROOT / "docs" / "kernels.md"
    regressions = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("regression-*"))]
    # Kendall's tau comes first; Spearman's rho is in the stored results.
    kendall = [kernel_regression.table(result).split("\n\n")[0] for result in regressions]
    fill(guide, "regression", kendall)
    for mark, writers in (
        ("ablation", {"ablation": ablation.table}),
        ("motif", {"planted_motif": planted_motif.table}),
        ("speed", {"kernel_speed": kernel_speed.tables, "ask_cost": ask_cost.table}),
    ):
        found = {name: RESULTS / f"{name}.json" for name in writers}
        texts = [
            writers[name](json.loads(path.read_text()))
            for name, path in found.items()
            if path.exists()
        ]
        fill(guide, mark, texts)
    for page, mark, name, write in (
        ("comparison", "conditions", "conditions*", conditions.table),
        ("comparison", "advice", "conditions*", conditions.advice_table),
        ("training", "throughput", "throughput*", throughput.table),
        ("training", "batch", "batch-*", batch_cost.table),
        ("training", "estimators", "estimators*", estimators.table),
        ("optimizers", "exercise", "exercise*", exercise.table),
        ("optimizers", "large-cost", "large_study", large_study.cost_table),
        ("optimizers", "large-gain", "large_study_quality", large_study.quality_table),
        ("comparison", "darts", "darts*", darts.table),
        ("studies", "faults", "faults*", faults.table),
        ("objectives", "fronts", "multi_objective", _fronts),
        ("warm_starts", "transfer", "transfer*", transfer.table),
        (
            "embeddings",
            "embedding-regression",
            "embedding-regression-*",
            embedding_regression.table,
        ),
        ("embeddings", "embedding-search", "embedding-search-*", embedding_search.table),
        ("embeddings", "pool", "embedding-pool*", lambda result: table(result["summary"])),
        ("embeddings", "objectives", "objectives-*", objectives_ablation.table),
    ):
        paths = sorted(RESULTS.glob(f"{name}.json"))
        tables = [write(json.loads(path.read_text())) for path in paths]
        fill(ROOT / "docs" / f"{page}.md", mark, tables)


def _fronts(result: dict[str, Any]) -> str:
    return multi_objective.table(result["comparisons"])


def fill(path: Path, mark: str, tables: list[str]) -> None:
    """Replace what stands between two marks of a file, unless there is nothing to put there."""
    if not tables:
        return
    text = re.sub(
        rf"(<!-- {mark}:begin -->\n).*?(<!-- {mark}:end -->)",
        lambda match: "{}{}\n{}".format(match[1], "\n\n".join(tables), match[2]),
        path.read_text(),
        flags=re.DOTALL,
    )
    path.write_text(text)


def table(summary: dict[str, Any]) -> str:
    """Return the Markdown table of a summary, and the paired intervals below it."""
    entries = summary["optimizers"]
    points = list(next(iter(entries.values()))["mean_regret"])
    known = any(entry["found_share"] is not None for entry in entries.values())
    head = [f"`{summary['problem']}`", *(f"regret at {point}" for point in points)]
    found = ["optimum found", "after, mean (median, last)", "best 0.1 % after, mean", "test regret"]
    head += found if known else []
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, entry in entries.items():
        row = [name, *(f"{entry['mean_regret'][point]:.2f}" for point in points)]
        if known:
            mean, median, last = (
                entry[f"evaluations_to_optimum_{k}"] for k in ("mean", "median", "max")
            )
            row += [
                f"{entry['found_share']:.0%}",
                f"{mean:.1f} ({median:.0f}, {last:.0f})",
                f"{entry['evaluations_to_top_permille_mean']:.1f}",
                "-" if entry["test_regret_mean"] is None else f"{entry['test_regret_mean']:.2f}",
            ]
        rows.append(row)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    first = next(iter(entries))
    others = [
        [f"{first} minus", *(f"at {point}" for point in points)],
        ["---", *["---:"] * len(points)],
    ]
    for pair, differences in summary["paired"].items():
        cells = [
            f"{d['mean']:+.2f} [{d['low']:+.2f}, {d['high']:+.2f}]"
            for d in (differences[point] for point in points)
        ]
        others.append([pair.removeprefix(f"{first} - "), *cells])
    lines += ["", f"{summary['seeds']} seeds; paired differences of regret, 95 % intervals:", ""]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in others)])


if __name__ == "__main__":
    main()
