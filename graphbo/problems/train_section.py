"""The section ``[train]`` of a problem file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graphbo.datasets import get_dataset
from graphbo.errors import InputError
from graphbo.problems.base import Problem
from graphbo.problems.training import network_settings, problem_from_images
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.declarative import check_keys
from graphbo.spaces.nasbench201 import NASBench201Space


def problem_from_section(
    section: Mapping[str, Any],
    space: SearchSpace | None,
    *,
    where: str,
    folder: Path,
    data: str | Path | None = None,
    **about: Any,
) -> Problem:
    """Make the problem of training on a dataset from the settings of a file.

    Args:
        section: ``dataset`` as in `get_dataset`, ``options`` for its arguments, and any attribute
            of `Recipe` or argument of the space's network.
        space: The space; None for that of NAS-Bench-201.
        where: How error messages call the section.
        folder: Where a dataset that is a file is looked for.
        data: The folder of the images; by default the one that ``GRAPHBO_DATA`` names.
        **about: Name, description, trials and deployment of the problem.

    Raises:
        InputError: If a setting is missing, unknown, or has a value that cannot be used.
        MissingExtraError: If the dataset needs a package that is not installed.
    """
    from graphbo.training.recipe import Recipe

    space = NASBench201Space() if space is None else space
    recipe_names = [entry.name for entry in fields(Recipe)]
    try:
        check_keys(section, ["dataset", "options", *network_settings(space), *recipe_names], where)
        dataset, options = section.get("dataset"), section.get("options", {})
        if not isinstance(dataset, str) or not dataset:
            raise InputError(f"dataset must be the name of a dataset; got {dataset!r}")
        if not isinstance(options, dict):
            raise InputError(f"options must be a table of arguments; got {options!r}")
        recipe = Recipe(**{key: section[key] for key in recipe_names if key in section})
        network = {key: section[key] for key in network_settings(space) if key in section}
        if dataset.endswith(".npz"):
            dataset = str(folder / dataset)
        images = get_dataset(dataset, data, **options)
        return problem_from_images(images, space, recipe=recipe, **about, **network)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(where) else f"{where}: {text}") from error
