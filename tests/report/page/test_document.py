"""What is on the page of a study, whatever kind of study it is, and what the page may do."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace

import graphbo
from graphbo import CellSpace, FunctionEvaluator, HyperparameterSpace, JointSpace, Study
from graphbo.errors import InputError, MissingExtraError
from graphbo.evaluators.base import Evaluator
from graphbo.report import write_report
from graphbo.report.page.analysis import MOST_FITTED, analyse
from graphbo.trial import Evaluation, Job, Trial

pytest.importorskip("plotly")

HOSTILE = "</script><script>document.title='broken'</script><!--<img src=x onerror=y()>%{x}<b>"
SPACE = CellSpace(3, ["conv", "skip"], on="edges")
SCRIPTS = 3  # the content, plotly, and the page's own


class Page(HTMLParser):
    """A page as a parser sees it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self._open = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.scripts[0]))

    @property
    def headings(self) -> list[str]:
        return re.findall(r"<h2>(.*?)</h2>", self.source)

    @property
    def policy(self) -> str:
        return next(
            a["content"] or "" for tag, a in self.tags if tag == "meta" and "http-equiv" in a
        )


def cost(architecture: graphbo.Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    if labels.count("skip") == 2:
        raise RuntimeError("out of memory")
    return 10.0 - len(labels)


def page_of(tmp_path: Path, objective: Any = cost, trials: int = 12, given: Any = None) -> Page:
    path = tmp_path / "study.sqlite"
    graphbo.minimize(objective, SPACE, trials, 0, "random", storage=path)
    return Page(write_report(path, tmp_path / "deep" / "report.html", given))


# Contents --------------------------------------------------------------------------------------


def test_a_study_with_its_space_has_every_section(tmp_path: Path) -> None:
    page = page_of(tmp_path, given=SPACE)
    assert page.headings == [
        "Progress",
        "Incumbent",
        "Surrogate",
        "Importance of substructures",
        "Trials",
        "Failures",
        "How to reproduce this",
    ]
    assert [row["number"] for row in page.content["trials"]] == list(range(1, 13))
    assert "RuntimeError: out of memory" in page.text
    assert (
        "graphbo.minimize( objective, space, budget=12, seed=0, optimizer='random' )" in page.text
    )
    assert set(page.content["plots"]) == {"anytime", "calibration"}
    assert str(tmp_path) not in page.text.replace(__file__, ""), "a page says no folder"


def test_a_study_without_a_known_space_says_what_is_left_out(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "Importance of substructures" not in page.headings
    assert "they need the search space: study.sqlite does not say which problem" in page.text
    assert "Incumbent" in page.headings


def test_a_study_of_a_built_in_problem_knows_its_optimum_and_its_command(tmp_path: Path) -> None:
    problem = graphbo.get_problem("branin")
    study = Study.of(problem, "random", storage=tmp_path / "s.sqlite", seed=3)
    study.run(trials=5)
    study.close()
    page = Page(write_report(tmp_path / "s.sqlite", tmp_path / "r.html"))
    assert "graphbo search branin --optimizer random --seed 3 --trials 5" in page.text
    names = [trace["name"] for trace in page.content["plots"]["anytime"]["data"]]
    assert names == ["trial", "best so far", "optimum"]
    assert "<svg" not in page.source.partition("<script")[0], "there is no architecture"
    assert page.content["trials"][0]["hyperparameters"].startswith("x")


def test_a_study_says_how_it_is_made_again_with_all_that_it_is_for(tmp_path: Path) -> None:
    problem = graphbo.get_problem("digits-table")
    study = Study.of(
        problem,
        "random",
        objective=["validation_error", "flops"],
        constraints=["parameters<=50000"],
        fidelity={"epochs": 3},
        storage=tmp_path / "s.sqlite",
    )
    study.run(trials=3)
    study.close()
    text = Page(write_report(tmp_path / "s.sqlite", tmp_path / "r.html")).text
    assert "--objectives validation_error,flops --constraint 'parameters<=50000.0'" in text
    assert "objective=['validation_error', 'flops'], constraints=['parameters<=50000.0']" in text
    assert "fidelity={'epochs': 3}" in text


@pytest.mark.parametrize(
    ("trials", "objective", "sentence"),
    [
        (1, lambda _: 2.0, "The only trial, with seed 0, has objective 2 (trial 1)."),
        (1, lambda _: 1 / 0, "The only trial failed."),
        (3, lambda _: 1 / 0, "All of the 3 trials failed."),
    ],
)
def test_studies_with_little_in_them_have_a_page(
    trials: int, objective: Any, sentence: str, tmp_path: Path
) -> None:
    page = page_of(tmp_path, objective, trials, SPACE)
    assert sentence in page.text
    assert "it needs eight trials that completed" in page.text
    assert ("Progress" in page.headings) == ("failed" not in sentence)


def test_a_study_with_no_trial_and_one_that_runs_have_a_page(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    study = Study(SPACE, FunctionEvaluator(lambda _: 1.0), "random", storage=path, batch=2)
    assert (
        "No trial has finished yet; 0 have begun." in Page(write_report(study, tmp_path / "r")).text
    )
    pages: list[Page] = []
    study.run(3, callback=lambda _: pages.append(Page(write_report(path, tmp_path / "r"))))
    assert [row["state"] for row in pages[0].content["trials"]] == ["completed", "not finished"]
    if Path("/proc/locks").exists():
        assert "was running when this page was written" in pages[0].text
    study.close()


def test_learning_curves_and_epochs_are_shown(tmp_path: Path) -> None:
    class Curves(Evaluator):
        epochs = (1, 3, 9)

        def evaluate_one(self, job: Job) -> Evaluation:
            n = int(job.fidelity["epochs"])
            curve = tuple(50.0 / (i + 1) for i in range(n))
            return Evaluation({"validation_error": curve[-1]}, 1.0, curve, {"epochs": n})

    study = Study(SPACE, Curves(), "hyperband", fidelity={"epochs": 9})
    study.run(trials=16)
    page = Page(write_report(study, tmp_path / "r.html"))
    names = [trace["name"] for trace in page.content["plots"]["anytime"]["data"]]
    assert names == ["1 epoch", "3 epochs", "9 epochs", "best so far"]
    assert "curves" in page.content["plots"]
    assert any(
        row.get("curve") == [[1, 2, 3], [50.0, 25.0, 16.6667]] for row in page.content["trials"]
    )
    views = page.content["plots"]["anytime"]["views"][0]
    assert [v["label"] for v in views] == [
        "evaluations",
        "seconds of evaluation",
        "epochs of training",
    ]


def test_the_surrogate_of_a_long_study_is_bounded_and_the_page_says_so() -> None:
    space = HyperparameterSpace(ConfigurationSpace({"x": (0.0, 1.0)}))
    trials = [
        Trial(space.from_configuration({"x": i / 400}), value=abs(i / 400 - 0.25), number=i)
        for i in range(400)
    ]
    analysis = analyse(trials, space)
    assert analysis is not None
    numbers = {trial.number for trial in analysis.trials}
    assert (len(numbers), analysis.candidates) == (MOST_FITTED, 400)
    assert set(range(30, 171)) <= numbers, "the best"
    assert set(range(300, 400)) <= numbers, "the last"
    assert analysis.effects is None


# What cannot be written ------------------------------------------------------------------------


def test_the_study_itself_is_not_overwritten(tmp_path: Path) -> None:
    page_of(tmp_path)
    path = tmp_path / "study.sqlite"
    with pytest.raises(InputError, match="is the study itself; choose another file"):
        write_report(path, path)
    with pytest.raises(InputError, match="cannot be written to"):
        write_report(path, tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep", "study.sqlite"]


def test_a_space_of_other_architectures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whose space is another one"):
        page_of(tmp_path, given=CellSpace(4, ["conv", "skip"], on="edges"))


def test_plotly_is_asked_for_by_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[report\]"):
        page_of(tmp_path)


# What a page may do ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study in which every name is an attack."""
    cells = CellSpace(3, [HOSTILE, "skip"], on="edges")
    values = ConfigurationSpace({f"rate {HOSTILE}": (0.0, 1.0), "kind": [HOSTILE, "b"]})

    def evaluate(cell: graphbo.Architecture, chosen: Any) -> float:
        if chosen["kind"] == "b" and len(cell.edges) < 2:
            raise RuntimeError(HOSTILE)
        return float(len(cell.edges)) + float(chosen[f"rate {HOSTILE}"])

    evaluator = FunctionEvaluator(evaluate, HOSTILE, takes="both")
    study = Study(JointSpace(cells, values, HOSTILE), evaluator, "random", problem=HOSTILE)
    study.run(trials=12)
    assert 0 < study.result.failed < 5
    return write_report(study, tmp_path_factory.mktemp("hostile") / "report.html")


def test_names_are_texts_wherever_they_are_shown(hostile: Path) -> None:
    page = Page(hostile)
    assert len(page.scripts) == SCRIPTS
    assert {"img", "b", "i", "iframe", "object", "link"}.isdisjoint(tag for tag, _ in page.tags)
    assert "<!--" not in page.source.partition("<script>")[0]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(HOSTILE) > 8, "they are shown all the same"
    figure = page.content["plots"]["anytime"]
    assert "<" not in json.dumps([figure["layout"], figure["views"]])


def test_the_page_loads_nothing_and_runs_its_own_scripts_only(hostile: Path) -> None:
    page = Page(hostile)
    assert "default-src 'none'" in page.policy
    assert "base-uri 'none'; form-action 'none'" in page.policy
    assert not re.search(r"https?:|\*|unsafe-eval|script-src[^;]*unsafe", page.policy)
    digests = (hashlib.sha256(script.encode()).digest() for script in page.scripts[1:])
    allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert f"script-src {' '.join(allowed)};" in page.policy
    assert not [a for _, a in page.tags if {"src", "srcset", "data", "action"} & a.keys()]
    assert all((a.get("href") or "#").startswith("#") for _, a in page.tags)
    assert "cloud" not in page.scripts[2], "plotly's own buttons send figures away"


# Goals -----------------------------------------------------------------------------------------

SQUARE = CellSpace(4, ["conv", "skip"], on="edges")


def goals_of(architecture: graphbo.Architecture) -> dict[str, float]:
    labels = [label for *_, label in architecture.edges]
    return {
        "error": 20.0 - 2 * labels.count("conv"),
        HOSTILE: float(len(labels) + labels.count("conv")),
        "heat": float(labels.count("skip")),
    }


def test_a_page_of_two_objectives_has_the_front_and_nothing_hostile(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    graphbo.minimize(
        *(goals_of, SQUARE, 16, 0, "random"),
        storage=path,
        objectives=["error", HOSTILE],
        constraints=["heat<=1"],
    )
    page = Page(write_report(path, tmp_path / "report.html", SQUARE))
    assert page.headings[:2] == ["Pareto front", "Progress"]
    assert {"front-0-1", "hypervolume", "anytime"} <= set(page.content["plots"])
    assert page.content["front"] is True
    assert page.content["goals"] == [HOSTILE, "heat"]
    assert len(page.scripts) == 3
    assert not [tag for tag, _ in page.tags if tag in ("img", "b")]
    front = sum(row["best"] for row in page.content["trials"])
    assert f"{front} are on the Pareto front" in page.text
    assert "heat<=1.0" in page.text
    assert any(row["state"] == "infeasible" for row in page.content["trials"])


def test_a_page_under_constraints_shows_the_best_that_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    result = graphbo.minimize(
        *(goals_of, SQUARE, 16, 0, "random"),
        storage=path,
        objectives="error",
        constraints=["heat<=1"],
    )
    page = Page(write_report(path, tmp_path / "report.html"))
    assert "Pareto front" not in page.headings
    assert page.content["front"] is False
    traces = {trace["name"]: trace for trace in page.content["plots"]["anytime"]["data"]}
    assert traces["best so far"]["y"][-1] == result.value
    assert "The best keep heat<=1.0; open circles do not." in page.text


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
def test_a_browser_draws_the_page_without_an_error(hostile: Path, tmp_path: Path) -> None:
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *options, hostile.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    drawn = done.stdout
    assert "<title>broken" not in drawn
    assert not re.search(r"<img[^>]*src=\"?x", drawn)
    assert drawn.count('class="main-svg"') >= 2
    assert drawn.count('class="trial') == 12
    assert "12 of 12 trials" in drawn
    assert "Send" not in re.findall(r'data-title="([^"]*)"', drawn)
