"""Open exported runs with DeepCAVE itself, without its server, and compare what it read.

DeepCAVE needs Python 3.10 or older and is no dependency of this package: run the script in an
environment of its own, where graphbo need not be installed.

    graphbo export deepcave runs/cifar10 runs/deepcave
    python3.10 -m venv cave && cave/bin/pip install deepcave
    cave/bin/python benchmarks/open_in_deepcave.py runs/deepcave
"""

from __future__ import annotations

import argparse
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any


def check(folder: Path) -> dict[str, int]:
    """Open a run and return how many trials it has, by status.

    Raises:
        AssertionError: If DeepCAVE read something else than what is in the files.
    """
    import pandas
    from deepcave.runs.converters.dataframe import DataFrameRun

    written = pandas.read_csv(folder / "trials.csv")
    metrics = [column for column in written.columns if column.startswith("metric:")]
    run: Any = DataFrameRun.from_path(folder)
    objectives = run.get_objectives()
    assert len(objectives) == len(metrics) + 1, "the metrics, and the time that DeepCAVE adds"
    trials = list(run.get_trials())
    assert len(trials) == len(written), f"{len(trials)} of {len(written)} trials"
    statuses: dict[str, int] = {}
    for trial, (_, row) in zip(trials, written.iterrows()):  # noqa: B905 (Python 3.9)
        statuses[trial.status.name] = statuses.get(trial.status.name, 0) + 1
        assert trial.status.name == row["status"]
        assert trial.seed == row["seed"]
        origin = None if pandas.isna(row["origin"]) else row["origin"]
        assert trial.additional["origin"] == origin
        for name in ("start_time", "end_time"):  # DeepCAVE counts from the first start, to 0.01 s
            since = row[name] - written["start_time"][0]
            assert abs(getattr(trial, name) - since) < 0.01, f"{name}: {getattr(trial, name)}"
        if pandas.notna(row["budget"]):
            assert trial.budget == round(row["budget"], 2)
        configuration = run.get_config(trial.config_id)
        for name, value in dict(configuration).items():
            assert str(value) == str(row[name]), f"{name}: {value} is not {row[name]}"
        if trial.status.name == "SUCCESS":
            for cost, metric in zip(trial.costs, metrics):  # noqa: B905 (Python 3.9)
                assert math.isclose(cost, row[metric]), f"{metric}: {cost} is not {row[metric]}"
    values = written[metrics[0]]
    if values.notna().any():
        objective = objectives[0]
        longest = written.get("budget", values * 0).fillna(0.0)
        best = values[longest == longest[values.notna()].max()].min()
        configuration, _ = run.get_incumbent(objective)
        incumbent = run.get_config_id(configuration)
        assert any(
            t.config_id == incumbent and math.isclose(t.costs[0], best)
            for t in trials
            if t.costs[0] is not None
        ), "the incumbent has the best value"
        times, costs, *_ = run.get_trajectory(objective)
        assert math.isclose(costs[-1], best), "the trajectory ends at the best value"
        assert times == sorted(times)
        encoded = run.get_encoded_data(objective)
        assert len(encoded) > 0
    return statuses


def main() -> None:
    """Open each run in a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="what graphbo export deepcave wrote to")
    folders = sorted(path.parent for path in parser.parse_args().folder.glob("*/trials.csv"))
    if not folders:
        parser.error("there is no run in the folder")
    print(f"DeepCAVE {version('deepcave')}")
    for folder in folders:
        print(f"{folder.name}: {check(folder)}")
    print(f"{len(folders)} runs opened")


if __name__ == "__main__":
    main()
