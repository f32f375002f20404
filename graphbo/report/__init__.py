"""Regret curves, drawings of architectures, and reports on studies."""

from graphbo.report.bootstrap import bootstrap_interval
from graphbo.report.deepcave import write_deepcave
from graphbo.report.drawing import draw
from graphbo.report.effects import draw_effects
from graphbo.report.page import write_report
from graphbo.report.progress import describe
from graphbo.report.regret import anytime_figure, incumbent_values, search_figure
from graphbo.report.status import StudyStatus, study_status
from graphbo.report.summary import summarize

__all__ = [
    "StudyStatus",
    "anytime_figure",
    "bootstrap_interval",
    "describe",
    "draw",
    "draw_effects",
    "incumbent_values",
    "search_figure",
    "study_status",
    "summarize",
    "write_deepcave",
    "write_report",
]
