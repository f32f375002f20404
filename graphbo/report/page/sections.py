"""The sections of a page, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphbo.report.page.analysis import MOST_FITTED, Analysis
from graphbo.report.page.escaping import text
from graphbo.report.page.reproduction import command, properties, python_lines, versions
from graphbo.report.page.trials import clipped
from graphbo.report.page.vector import effects_svg, operations_svg
from graphbo.report.progress import describe
from graphbo.report.recorded import RecordedStudy
from graphbo.report.status import last_line
from graphbo.spaces.base import SearchSpace
from graphbo.trial import Trial

_EFFECTS = 16
_TRACEBACKS = 50


def section(name: str, title: str, content: str) -> str:
    """Return a section with a heading."""
    return f'<section id="{name}"><h2>{title}</h2>{content}</section>'


def plot(name: str, caption: str) -> str:
    """Return the place of a figure, whose data the page has under its name."""
    return (
        f'<figure><div class="views" data-views="{name}"></div>'
        f'<div class="plot" data-plot="{name}"></div><figcaption>{caption}</figcaption></figure>'
    )


def incumbent(best: Trial, space: SearchSpace | None) -> str:
    """Return the best trial: its drawing, its hyperparameters, what was measured."""
    design = best.design
    parts = []
    if space is None or space.kind != "hyperparameters":
        drawing = operations_svg(design.architecture, None if space is None else space.operations)
        parts.append(f'<div class="scroll drawing">{drawing}</div>')
        parts.append(
            f"<details><summary>As text</summary><pre>{text(describe(design.architecture))}"
            f"\n\n{text(design.architecture.to_string())}</pre></details>"
        )
    if design.hyperparameters:
        parts.append("<h3>Hyperparameters</h3>" + _pairs(design.hyperparameters))
    if best.evaluation is not None:
        measured = {**best.evaluation.objectives, **best.evaluation.facts}
        shown = {name.replace("_", " "): f"{value:.6g}" for name, value in measured.items()}
        parts.append("<h3>Measured</h3>" + _pairs(shown))
    return "".join(parts)


def surrogate(analysis: Analysis) -> str:
    """Return how well the surrogate predicts what it has not seen."""
    check = analysis.check
    n = len(analysis.trials)
    tau = check.kendall_tau
    figures = {
        "Kendall’s τ": "–" if tau != tau else f"{tau:.2f}",
        "in 95 % intervals": f"{check.coverage(0.95):.0%}",
        "mean log density": f"{check.mean_log_density:.2f}",
        "trials": f"{n}",
    }
    scores = type(analysis.surrogate.transform).__name__
    scale = "normal scores of the ranks" if scores == "NormalScores" else "standardised logarithms"
    some = (
        f" Of {analysis.candidates} completed trials it was fitted to {n}: the best "
        f"{MOST_FITTED // 2}, and of the others the last ones."
        if n < analysis.candidates
        else ""
    )
    return (
        _tiles(figures)
        + plot(
            "calibration",
            "Each trial as predicted from all others: in closed form, with the hyperparameters "
            f"fitted to all. Scores are the {scale} of the observed values; bars are 95 % "
            "intervals.",
        )
        + "<p>This is the default surrogate of the space, whichever optimiser made the study."
        + f"{some} A good one has most trials near the line, and 95 % of them within their "
        + "intervals.</p>"
    )


def substructures(analysis: Analysis) -> str:
    """Return which features raise or lower the prediction, and where they are in the incumbent."""
    assert analysis.effects is not None
    assert analysis.explanation is not None
    effects = analysis.effects[:_EFFECTS]
    largest = max((abs(each.effect) + each.uncertainty for each in effects), default=0.0) or 1.0
    rows = []
    for each in effects:
        low, high = each.effect - each.uncertainty, each.effect + each.uncertainty
        side = "lower" if each.effect < 0 else "raise"
        alike = len(each.features) - 1
        others = f" <small>and {alike} alike</small>" if alike else ""
        rows.append(
            f'<tr><td class="name"><code>{text(each.name)}</code>{others}</td>'
            f"<td><small>{text(each.block.replace('_', ' '))}</small></td>"
            f'<td class="bar"><svg viewBox="-100 0 200 14" preserveAspectRatio="none" '
            f'aria-hidden="true"><path class="zero" d="M0 0V14"/><rect class="{side}" '
            f'x="{100 * min(each.effect, 0) / largest:.1f}" y="3" '
            f'width="{100 * abs(each.effect) / largest:.1f}" height="8"/><path class="whisker" '
            f'd="M{100 * low / largest:.1f} 7H{100 * high / largest:.1f}"/></svg></td>'
            f'<td class="number">{each.effect:+.3f} ± {each.uncertainty:.3f}</td>'
            f'<td class="number">{each.occurrences}</td></tr>'
        )
    drawing = effects_svg(analysis.explanation.architecture, dict(analysis.explanation.parts))
    return (
        "<p>What one occurrence adds to the predicted score, on average over the architectures "
        "that have it, with its posterior standard deviation; the surest effects first. Blue "
        "lowers the predicted objective, which is better; red raises it.</p>"
        '<div class="scroll"><table class="effects"><thead><tr><th>substructure</th><th>kind</th>'
        '<th>effect</th><th class="number">score</th><th class="number">in</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<h3>In the best of these trials</h3><div class="scroll drawing">{drawing}</div>'
    )


def failures(trials: Sequence[Trial]) -> str:
    """Return the tracebacks of failed trials, equal ones once."""
    found: dict[str, list[int]] = {}
    for trial in trials:
        if trial.error is not None:
            found.setdefault(clipped(trial.error.strip()), []).append(trial.number + 1)
    failed = sum(map(len, found.values()))
    shown = sorted(found.items(), key=lambda entry: -len(entry[1]))[:_TRACEBACKS]
    rest = len(found) - len(shown)
    parts = [f"<p>{failed} of {len(trials)} trials failed.</p>"]
    for error, numbers in shown:
        which = ", ".join(map(str, numbers[:12])) + (", …" if len(numbers) > 12 else "")
        parts.append(
            f"<details><summary><code>{text(last_line(error)[:300])}</code> "
            f"<small>trial{'s' if len(numbers) > 1 else ''} {which}</small></summary>"
            f"<pre>{text(error)}</pre></details>"
        )
    if rest:
        parts.append(f"<p>{rest} more tracebacks are left out.</p>")
    return "".join(parts)


def reproduction(study: RecordedStudy, problem: str | None) -> str:
    """Return how to make the study again, and what it is."""
    line = command(study, problem)
    shell = "" if line is None else f"<pre>{text(line)}</pre>"
    return (
        f"{shell}<pre>{text(python_lines(study, problem))}</pre>"
        "<p>With one evaluation at a time and a deterministic evaluator this is the same history "
        "to the last design. The number of evaluations at a time is not in a study file.</p>"
        f"<h3>What the study file records</h3>{_pairs(properties(study))}"
        f"<h3>Versions that made this page</h3>{_pairs(versions())}"
    )


def summary(figures: Mapping[str, str]) -> str:
    """Return the figures that come first."""
    return _tiles(figures)


def _tiles(figures: Mapping[str, str]) -> str:
    tiles = (f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in figures.items())
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _pairs(pairs: Mapping[str, object]) -> str:
    rows = (f"<tr><th>{text(k)}</th><td>{text(v)}</td></tr>" for k, v in pairs.items())
    return f'<div class="scroll"><table class="pairs"><tbody>{"".join(rows)}</tbody></table></div>'
