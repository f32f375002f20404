"""Advice on which optimiser to take, derived from comparisons that were measured."""

from graphbo.advice.evaluation import Evaluation, Fixed, leave_one_problem_out
from graphbo.advice.features import SCALES, SpaceFeatures, Task, similarity
from graphbo.advice.measurements import SHIPPED, Measurement, read_measurements, to_text
from graphbo.advice.report import Advice, Candidate, Evidence
from graphbo.advice.scores import advise_from

__all__ = [
    "SCALES",
    "SHIPPED",
    "Advice",
    "Candidate",
    "Evaluation",
    "Evidence",
    "Fixed",
    "Measurement",
    "SpaceFeatures",
    "Task",
    "advise_from",
    "leave_one_problem_out",
    "read_measurements",
    "similarity",
    "to_text",
]
