"""From decisions to a ``ConfigSpace.ConfigurationSpace``."""

from __future__ import annotations

from collections.abc import Sequence

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    InCondition,
    OrdinalHyperparameter,
)

from graphbo.spaces.base import Decision


def build(name: str, decisions: Sequence[Decision]) -> ConfigurationSpace:
    """Return the configuration space with one hyperparameter for each decision.

    Args:
        name: The name of the space.
        decisions: The decisions, parents first.
    """
    space = ConfigurationSpace(name=name)
    for decision in decisions:
        space.add(
            OrdinalHyperparameter(decision.name, list(decision.choices))
            if decision.ordered
            else CategoricalHyperparameter(decision.name, list(decision.choices))
        )
    for decision in decisions:
        conditions = [
            InCondition(space[decision.name], space[parent], list(values))
            for parent, values in decision.conditions.items()
        ]
        if conditions:
            space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
    return space
