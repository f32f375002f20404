"""Named problems: a space with an evaluator and, if known, its optimum."""

from graphbo.problems.base import Problem
from graphbo.problems.declarative import load_problem_file
from graphbo.problems.frame import problem_from_frame
from graphbo.problems.registry import get_problem, list_problems
from graphbo.problems.training import problem_from_images, training_problem

__all__ = [
    "Problem",
    "get_problem",
    "list_problems",
    "load_problem_file",
    "problem_from_frame",
    "problem_from_images",
    "training_problem",
]
