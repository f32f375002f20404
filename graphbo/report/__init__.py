"""Regret curves and drawings of architectures."""

from graphbo.report.bootstrap import bootstrap_interval
from graphbo.report.deepcave import write_deepcave
from graphbo.report.drawing import draw
from graphbo.report.effects import draw_effects
from graphbo.report.progress import describe
from graphbo.report.regret import anytime_figure, incumbent_values, search_figure
from graphbo.report.summary import summarize

__all__ = [
    "anytime_figure",
    "bootstrap_interval",
    "describe",
    "draw",
    "draw_effects",
    "incumbent_values",
    "search_figure",
    "summarize",
    "write_deepcave",
]
