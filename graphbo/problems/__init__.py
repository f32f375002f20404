"""Named problems: a space with an evaluator and, if known, its optimum."""
