"""Problems that train networks for real."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbo.datasets import ImageData, get_dataset, list_datasets
from graphbo.errors import InputError
from graphbo.problems.base import Problem
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.darts import DARTSSpace
from graphbo.spaces.enas import ENASMacroSpace
from graphbo.spaces.hierarchical import HierarchicalSpace
from graphbo.spaces.joint import JointSpace
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.spaces.product import SEPARATOR
from graphbo.spaces.randomly_wired import RandomlyWiredSpace
from graphbo.spaces.regnet import RegNetSpace

if TYPE_CHECKING:
    from torch import nn

    from graphbo.networks.deployment import Deployment
    from graphbo.training.recipe import Recipe

_TRIALS = 30


@dataclass(frozen=True)
class _Setting:
    """How one of the named problems is trained.

    Attributes:
        recipe: Arguments of `Recipe`.
        network: Arguments of the space's network.
        options: Arguments of the dataset.
        space: Makes the space.
        architectures: What its architectures are called.
        dataset: The name of the dataset; by default that of the problem.
    """

    recipe: Mapping[str, Any]
    network: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    space: Callable[[], SearchSpace] = NASBench201Space
    architectures: str = "cells of NAS-Bench-201"
    dataset: str | None = None


# Small enough that 30 trainings take minutes on a CPU.
_PHOTOGRAPHS = {"channels": 16, "stem_stride": 2}
TRAINING_PROBLEMS: Mapping[str, _Setting] = {
    "digits": _Setting({"epochs": 3}),
    "shapes": _Setting({"epochs": 6}, options={"train": 2000, "validation": 2000, "test": 2000}),
    "cifar10": _Setting({"epochs": 12, "flip": True, "crop": 4}, _PHOTOGRAPHS),
    "mnist": _Setting({"epochs": 2, "crop": 2}, {"stem_stride": 2}),
    "flowers17": _Setting({"epochs": 20, "flip": True, "crop": 2}, {"channels": 16}),
    "darts-shapes": _Setting(
        {"epochs": 4},
        {"channels": 4, "cells": 3, "stem_stride": 2},
        {"train": 1000, "validation": 1000, "test": 1000},
        DARTSSpace,
        "pairs of cells of DARTS",
        "shapes",
    ),
    "enas-shapes": _Setting(
        {"epochs": 6},
        {"channels": 8, "stem_stride": 2},
        {"train": 1000, "validation": 1000, "test": 1000},
        partial(ENASMacroSpace, 6),
        "networks of six layers of ENAS",
        "shapes",
    ),
    "hierarchical-shapes": _Setting(
        {"epochs": 4},
        {"channels": 8, "cells": 1, "stem_stride": 2},
        {"train": 1000, "validation": 1000, "test": 1000},
        partial(HierarchicalSpace, motifs=3, motif_nodes=3, nodes=4),
        "hierarchical cells of three motifs",
        "shapes",
    ),
    "wired-shapes": _Setting(
        {"epochs": 4, "batch_size": 32},
        {"channels": 16, "stages": 2, "stem_stride": 2},
        {"train": 2000, "validation": 1000, "test": 1000},
        RandomlyWiredSpace,
        "randomly wired networks",
        "shapes",
    ),
    "regnet-shapes": _Setting(
        {"epochs": 4, "batch_size": 32},
        {"channels": 16, "stem_stride": 1},
        {"train": 2000, "validation": 1000, "test": 1000},
        RegNetSpace,
        "chains of RegNet",
        "shapes",
    ),
}
"""The problems by their names."""


def list_training_problems(data: str | Path | None = None) -> list[tuple[str, str]]:
    """Return the name and description of each problem whose images are here.

    Args:
        data: The folder of the images; by default the one that ``GRAPHBO_DATA`` names.
    """
    images = dict(list_datasets(data))
    return [
        (name, f"{setting.architectures} trained for real on {images[dataset]}")
        for name, setting in TRAINING_PROBLEMS.items()
        if (dataset := setting.dataset or name) in images
    ]


def training_problem(name: str, data: str | Path | None = None) -> Problem:
    """Return the problem of training cells or whole networks on a dataset.

    The networks are small: one cell in each of three stages, whose first has 8 or 16 channels; of
    DARTS one normal and two reduction cells, the first with 4 channels at a node; of ENAS six
    layers, the first two with 8 channels; two stages of a random graph with 16 and 32 channels.
    They train for seconds, half a minute on CIFAR-10, on one CPU core. The images are described
    where they are made: `graphbo.datasets.digits`, `graphbo.datasets.shapes` and
    `graphbo.datasets.folder_images`.

    Args:
        name: One of `TRAINING_PROBLEMS`.
        data: The folder of the images; by default the one that ``GRAPHBO_DATA`` names.

    Raises:
        InputError: If there is no such problem, or the file of its images is missing or damaged.
        MissingExtraError: If scikit-learn is not installed, for ``"digits"``.
    """
    from graphbo.training.recipe import Recipe

    if name not in TRAINING_PROBLEMS:
        raise InputError(
            f"there is no training problem {name!r}; it is one of {', '.join(TRAINING_PROBLEMS)}"
        )
    setting = TRAINING_PROBLEMS[name]
    images = get_dataset(setting.dataset or name, data, **setting.options)
    return problem_from_images(
        images,
        setting.space(),
        recipe=Recipe(**setting.recipe),
        name=name,
        description=f"{setting.architectures} trained for real on {images.description}",
        **setting.network,
    )


def problem_from_images(
    images: ImageData,
    space: SearchSpace | None = None,
    *,
    recipe: Recipe | None = None,
    name: str | None = None,
    description: str | None = None,
    trials: int = _TRIALS,
    deployment: Deployment | None = None,
    **network: Any,
) -> Problem:
    """Make the problem of training the architectures of a space on images.

    Args:
        images: A dataset.
        space: A space of cells or chains whose operations `graphbo.networks.OPERATIONS` knows, or
            one of hierarchical cells, DARTS, ENAS, random graphs or RegNet, or a `JointSpace` of
            one with settings of the recipe and arguments of the skeleton; by default that of
            NAS-Bench-201.
        recipe: How to train; by default `Recipe` with its default values.
        name: The problem's name; by default that of the images.
        description: One line.
        trials: The budget that the command line takes if none is given.
        deployment: How the networks are to run, for what they cost there.
        **network: Arguments of the space's skeleton: `NASBench201Network` where operations sit on
            edges, `NASBench101Network` where they sit on nodes, `ChainNetwork` for chains,
            `HierarchicalNetwork` for a `HierarchicalSpace`, `DARTSNetwork` for a `DARTSSpace`,
            `ENASMacroNetwork` for an `ENASMacroSpace`, `RandomlyWiredNetwork` for a
            `RandomlyWiredSpace`, `RegNetNetwork` for a `RegNetSpace`. By default the cells'
            skeletons have one cell in each stage and 8 or 32 channels, that of DARTS has 3 cells
            and 4 channels, that of ENAS 8 channels, that of random graphs 2 stages and 16 channels,
            and that of RegNet 16 channels at first.

    Raises:
        InputError: If an operation, an argument or a hyperparameter is unknown, or out of range.

    Example:
        >>> space = CellSpace(3, ["nor_conv_3x3", "skip_connect"], on="edges")
        >>> problem = problem_from_images(shapes(), space, recipe=Recipe(epochs=5), channels=8)
    """
    from graphbo.evaluators.training import TrainingEvaluator
    from graphbo.training.recipe import Recipe

    space = NASBench201Space() if space is None else space
    recipe = Recipe() if recipe is None else recipe
    name = images.name if name is None else name
    if description is None:
        description = f"architectures of the space {space.name} trained for real on {images.name}"
    # Small networks are fastest with one thread; so are several trainings side by side.
    evaluator = TrainingEvaluator(
        skeleton(space, images, **network),
        images.train,
        images.validation,
        images.test,
        recipe=recipe,
        threads=1,
        deployment=deployment,
    )
    evaluator.check_space(space)
    fidelity = {"epochs": recipe.epochs}
    return Problem(name, space, evaluator, description, fidelity=fidelity, trials=trials)


def skeleton(space: SearchSpace, images: ImageData, **network: Any) -> Callable[..., nn.Module]:
    """Return what builds the network of each of a space's architectures for some images.

    Args:
        space: A space of cells, hierarchical ones too, or chains, or one of DARTS, ENAS, random
            graphs or RegNet.
        images: They give the number of classes and of input channels.
        **network: As in `problem_from_images`.

    Raises:
        InputError: If the space has no skeleton, or an operation or argument is unknown or out of
            range.
    """
    from graphbo.networks import OPERATIONS

    make, defaults, known = _network(space)
    names = network_settings(space)
    for key, value in network.items():
        if key not in names:
            has = f"its settings are {', '.join(names)}" if names else "it has no settings"
            raise InputError(f"a network of the space {space.name} has no setting {key!r}; {has}")
        if key == "drop_path":
            if type(value) not in (int, float) or not 0 <= value < 1:
                raise InputError(f"{key} must be a number from 0 to below 1; got {value!r}")
        elif type(value) is not int or value < 1:
            raise InputError(f"{key} must be a whole number of at least 1; got {value!r}")
    for label in space.operations:
        # Before the operation may stand the part, and behind it, in a chain, the width.
        operation = label.rpartition(SEPARATOR)[2]
        if operation not in known and operation.rpartition("-")[0] not in known:
            raise InputError(
                f"the operation {operation!r} cannot be trained; there are {', '.join(known)}"
            )
        if known is OPERATIONS:
            _check_place(operation, space)
    given = {"classes": images.classes, "in_channels": images.in_channels}
    return partial(make, **{**defaults, **network, **given})


def _check_place(label: str, space: SearchSpace) -> None:
    """Refuse an operation that the networks of a space have no place for.

    Cells add up what their nodes give, which must be of one size; where a chain names a width, its
    layer takes whatever number of channels the one before it gives.
    """
    import torch

    from graphbo.networks.operations import OPERATIONS
    from graphbo.training.isolation import isolated

    with isolated(0, torch.device("cpu")), torch.no_grad():
        if space.chain:
            name = label.rpartition("-")[0]
            if name not in OPERATIONS:  # a pool has no width
                return
            try:
                OPERATIONS[name](8, 16)
            except ValueError as error:
                raise InputError(
                    f"the operation {name!r} cannot be a layer of a chain, which has a width of "
                    f"its own: {error}"
                ) from error
            return
        image = torch.zeros(1, 8, 8, 8)
        if OPERATIONS[label](8, 8).eval()(image).shape != image.shape:
            raise InputError(
                f"the operation {label!r} changes the size of the image, which only the pools of a "
                f"chain may do; take another one in the space {space.name}"
            )


def network_settings(space: SearchSpace) -> list[str]:
    """Return the arguments of a space's network that neither data nor fidelity give.

    Raises:
        InputError: If the space has no skeleton.
    """
    make, *_ = _network(space)
    given = ("architecture", "classes", "in_channels", "width")
    return [name for name in inspect.signature(make).parameters if name not in given]


def _network(
    space: SearchSpace,
) -> tuple[Callable[..., nn.Module], dict[str, int], Collection[str]]:
    """Return the class of a space's networks, settings that make them small, and operations."""
    from graphbo.networks import (
        DARTS_OPERATIONS,
        OPERATIONS,
        ChainNetwork,
        DARTSNetwork,
        ENASMacroNetwork,
        HierarchicalNetwork,
        NASBench101Network,
        NASBench201Network,
        RandomlyWiredNetwork,
        RegNetNetwork,
    )

    if isinstance(space, JointSpace):
        space = space.architectures
    if isinstance(space, RegNetSpace):
        return RegNetNetwork, {"channels": 16, "stem_stride": 1}, space.operations
    if space.chain:
        return ChainNetwork, {}, OPERATIONS
    if isinstance(space, DARTSSpace):
        return DARTSNetwork, {"channels": 4, "cells": 3}, DARTS_OPERATIONS
    if isinstance(space, ENASMacroSpace):
        return ENASMacroNetwork, {"channels": 8}, OPERATIONS
    if isinstance(space, HierarchicalSpace):
        return HierarchicalNetwork, {"channels": 8, "cells": 1}, OPERATIONS
    if isinstance(space, RandomlyWiredSpace):
        return RandomlyWiredNetwork, {"channels": 16, "stages": 2}, space.operations
    if isinstance(space, CellSpace):
        if space.on == "edges":
            return NASBench201Network, {"channels": 8, "cells": 1}, OPERATIONS
        return NASBench101Network, {"channels": 32, "cells": 1}, OPERATIONS
    raise InputError(
        f"there is no network for the architectures of the space {space.name}; "
        "it must be one of cells, hierarchical ones too, or chains, or of DARTS, ENAS, random "
        "graphs or RegNet"
    )
