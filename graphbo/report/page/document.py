"""The whole page: what is in it, and what it may do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from graphbo.errors import InputError
from graphbo.problems.base import Problem
from graphbo.report.page import sections
from graphbo.report.page.analysis import Analysis, analyse
from graphbo.report.page.escaping import script_hash, script_json, text
from graphbo.report.page.figures import (
    anytime,
    calibration,
    infeasible,
    learning_curves,
    plotly_source,
)
from graphbo.report.page.fronts import front_figures, front_table, hypervolume_figure
from graphbo.report.page.trials import trial_rows
from graphbo.report.progress import quantity
from graphbo.report.recorded import (
    RecordedStudy,
    check_space,
    problem_of,
    read_study,
    recorded,
    study_file,
)
from graphbo.report.status import StudyStatus, duration, study_status
from graphbo.spaces.base import SearchSpace
from graphbo.study import Study

_DRIVEN = "The search was running when this page was written. "


def write_report(
    study: Study | str | Path,
    output: str | Path,
    problem: Problem | SearchSpace | str | None = None,
    *,
    data: str | Path | None = None,
) -> Path:
    """Write a study as one HTML page, which needs no server and no network.

    It shows the anytime curve, the incumbent, how well the default surrogate of the space predicts
    each trial from all others, which substructures matter to it, all trials with their learning
    curves, the failures, and how to make the study again. A study that is still running can be
    reported again later; its file is only read.

    Nothing in a study file is trusted: it names no file that is opened and no code that is run, and
    the page runs no script but its own, and loads nothing.

    Args:
        study: The study, its file, or the folder of a search.
        output: The page to write; what is there is replaced.
        problem: The problem, its name or TOML file, or its space. By default the space of a
            `Study`, and of a file the problem that it names, if `graphbo.list_problems` has it;
            without a space, what needs one is left out.
        data: The folder of tables and images, or one table; see `get_problem`.

    Returns:
        The path of the page.

    Raises:
        InputError: If there is no such study or problem, the trials are not of its space, or the
            page cannot be written.
        MissingExtraError: If plotly is not installed.

    Example:
        >>> write_report("runs/search/study.sqlite", "report.html")
    """
    path = Path(output)
    plotly = plotly_source()  # before all that takes time
    if isinstance(study, Study):
        found, space = recorded(study.storage), study.space
        problem = space if problem is None else problem
    else:
        file = study_file(Path(study))
        if path.exists() and path.samefile(file):
            raise InputError(f"{path} is the study itself; choose another file for the page")
        found = read_study(file)
    found = replace(found, name=Path(found.name).name)  # a page that is passed on says no folder
    page = _Page(found, *_resolved(found, problem, data))
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page.html(plotly), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"the page cannot be written to {path}: {error}") from error
    return path


def _resolved(
    study: RecordedStudy, problem: Problem | SearchSpace | str | None, data: str | Path | None
) -> tuple[SearchSpace | None, float | None, str | None, str, Mapping[str, float]]:
    """Return space, optimum and name of the problem, why they are not known, and a reference."""
    if problem is None:
        try:
            known = problem_of(study, data=data)
            check_space(study, known.space, known.name)
        except InputError as error:
            return None, None, None, str(error), {}
        return known.space, known.optimum, known.name, "", known.reference
    if isinstance(problem, SearchSpace):
        check_space(study, problem, problem.name)
        return problem, None, None, "", {}
    name = problem if isinstance(problem, str) else problem.name
    given = problem_of(study, problem, data) if isinstance(problem, str) else problem
    check_space(study, given.space, name)
    optimum = given.optimum if given.objective == study.objective else None
    return given.space, optimum, name, "", given.reference


class _Page:
    """One page.

    Args:
        study: The study.
        space: Its space, if that is known.
        optimum: The lowest possible value, if that is known.
        problem: What the user calls the problem, if that is known.
        reason: Why the space is not known.
        reference: For the hypervolume, as far as the problem states one.
    """

    def __init__(
        self,
        study: RecordedStudy,
        space: SearchSpace | None,
        optimum: float | None,
        problem: str | None,
        reason: str,
        reference: Mapping[str, float],
    ) -> None:
        self.study, self.space, self.optimum = study, space, optimum
        self.problem, self.reason, self.reference = problem, reason, reference
        self.goals = study.result.goals
        self.several = self.goals is not None and len(self.goals.objectives) > 1
        if self.goals is not None and self.goals.constraints:
            self.optimum = None  # the lowest value of all need not keep the constraints
        self.status: StudyStatus = study_status(study)
        self.plots: dict[str, Any] = {}

    def html(self, plotly: str) -> str:
        """Return the page.

        Args:
            plotly: plotly.js.
        """
        title = f"{self.study.optimizer} on {self.study.problem or 'an unnamed problem'}"
        body = self._body(title)  # fills in the plots
        rows = trial_rows(self.study.trials, self.study.running, self.goals)
        content = {
            "plots": self.plots,
            "trials": rows,
            "objective": self.study.objective,
            "goals": [] if self.goals is None else self.goals.names[1:],
            "front": self.several,
        }
        script = _resource("page.js")
        policy = (
            f"default-src 'none'; script-src {script_hash(plotly)} {script_hash(script)}; "
            "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
        )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{text(title)}</title><style>{_resource('page.css')}</style></head>\n"
            f"<body>{body}\n"
            f'<script type="application/json" id="content">{script_json(content)}</script>\n'
            f"<script>{plotly}</script>\n<script>{script}</script></body></html>\n"
        )

    def _body(self, title: str) -> str:
        study, best = self.study, self.status.incumbent
        analysis = None if self.space is None else analyse(study.trials, self.space)
        parts: list[tuple[str, str, str]] = []
        if best is not None:
            if self.several:
                parts.append(("front", "Pareto front", self._front()))
            parts.append(("progress", "Progress", self._progress()))
            parts.append(("incumbent", "Incumbent", sections.incumbent(best, self.space)))
        parts.append(("surrogate", "Surrogate", self._surrogate(analysis)))
        if analysis is not None and analysis.effects:
            content = sections.substructures(analysis)
            parts.append(("substructures", "Importance of substructures", content))
        if study.trials or study.running:
            parts.append(("trials", "Trials", self._trials()))
        if study.result.failed:
            parts.append(("failures", "Failures", sections.failures(study.trials)))
        content = sections.reproduction(study, self.problem)
        parts.append(("reproduction", "How to reproduce this", content))
        links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, _ in parts)
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime())
        return (
            f'<header><p class="kicker">graphbo study</p><h1>{text(title)}</h1>'
            f"<p>{_DRIVEN if self.study.driven else ''}{self._sentence()}</p>"
            f"{sections.summary(self._figures())}<nav>{links}</nav></header>"
            "<noscript><p>The plots and the table of trials need JavaScript, which uses no network."
            "</p></noscript><main>"
            + "".join(sections.section(*part) for part in parts)
            + f"</main><footer>Written by graphbo on {made}.</footer>"
        )

    def _sentence(self) -> str:
        study, best = self.study, self.status.incumbent
        count = len(study.trials)
        if not study.trials:
            return f"No trial has finished yet; {len(study.running)} have begun."
        if best is None or best.value is None:
            if (goals := study.result.goals) is not None and study.result.failed < count:
                return f"None of the {count} trials keeps {text(goals.bounds)}."
            return "The only trial failed." if count == 1 else f"All of the {count} trials failed."
        if self.several:
            front = len(study.result.front)
            return (
                f"Of {count} trial{'' if count == 1 else 's'} with seed {study.identity['seed']}, "
                f"{front} {'is' if front == 1 else 'are'} on the Pareto front."
            )
        found = f"{text(quantity(study.objective, best.value))} (trial {best.number + 1})"
        if self.optimum is not None:
            above = best.value - self.optimum
            found += f", {above:.3g} above the optimum" if above > 0 else ", the optimum"
        trials = "The only trial" if count == 1 else f"The best of {count} trials"
        return f"{trials}, with seed {study.identity['seed']}, has {found}."

    def _figures(self) -> Mapping[str, str]:
        status, study = self.status, self.study
        best = "–" if status.incumbent is None else f"{status.incumbent.value:.5g}"
        figures = {
            f"best {study.objective.replace('_', ' ')}": best,
            "completed": str(len(study.trials) - study.result.failed),
            "failed": str(study.result.failed),
        }
        if self.goals is not None:
            broken = sum(infeasible(trial, self.goals) for trial in study.trials)
            figures |= {"infeasible": str(broken)} if self.goals.constraints else {}
            figures |= {"on the front": str(len(study.result.front))} if self.several else {}
        if study.running:
            figures["running" if study.driven else "not finished"] = str(len(study.running))
        if status.seconds:
            figures["evaluation"] = duration(status.seconds)
        if status.epochs:
            figures["epochs"] = f"{status.epochs:.6g}"
        figures["optimiser"] = duration(study.result.optimizer_seconds)
        return figures

    def _progress(self) -> str:
        study = self.study
        self.plots["anytime"] = anytime(study.trials, study.objective, self.optimum, self.goals)
        line = " The dashed line is the optimum of the problem." if self.optimum is not None else ""
        epochs = {trial.epochs for trial in study.trials if trial.value is not None}
        several = (
            f" Trials were trained for {len(epochs)} different numbers of epochs; the best so far "
            "is of those trained longest."
            if len(epochs) > 1
            else ""
        )
        if self.goals is not None and self.goals.constraints:
            line += f" The best keep {text(self.goals.bounds)}; open circles do not."
        caption = f"Every trial, and the best value so far.{line}{several}"
        content = sections.plot("anytime", caption)
        curves = learning_curves(study.trials, self.status.incumbent, study.objective)
        if curves is not None:
            self.plots["curves"] = curves
            caption = "Learning curves of the trials, at most the last 300."
            content += "<h3>Learning curves</h3>" + sections.plot("curves", caption)
        return content

    def _front(self) -> str:
        assert self.goals is not None
        goals, trials = self.goals, self.study.trials
        found = front_figures(trials, goals)
        figure, scale = hypervolume_figure(trials, goals, self.reference)
        self.plots |= {**found, "hypervolume": figure}
        names = " and ".join(goals.objectives)
        kept = f" Open circles break {text(goals.bounds)}." if goals.constraints else ""
        caption = (
            "No trial is better in one objective than those on the front without being worse in "
            f"another.{kept}"
        )
        ends = [
            f"{', '.join(f'{value:.5g}' for value in point)}"
            for point in (scale.ideal, scale.reference)
        ]
        return (
            "".join(sections.plot(name, caption) for name in found)
            + front_table(self.study.result.front, goals)
            + "<h3>Hypervolume</h3>"
            + sections.plot(
                "hypervolume",
                f"What the front dominates, as a share of the box from {ends[0]} to {ends[1]} in "
                f"{text(names)}: from the best values of the front to the reference point.",
            )
        )

    def _surrogate(self, analysis: Analysis | None) -> str:
        if self.space is None:
            return (
                "<p>The surrogate and the importance of substructures are left out, because they "
                f"need the search space: {text(self.reason)}.</p>"
            )
        if analysis is None:
            return (
                "<p>The surrogate is left out: it needs eight trials that completed with the most "
                "epochs, and whose values are not all alike.</p>"
            )
        self.plots["calibration"] = calibration(analysis)
        return sections.surrogate(analysis)

    def _trials(self) -> str:
        return (
            '<div id="table-controls"></div><div class="scroll"><table id="trials-table"></table>'
            '</div><div id="table-pages"></div>'
        )


def _resource(name: str) -> str:
    return resources.files("graphbo.report.page").joinpath(name).read_text(encoding="utf-8")
