"""Hyperparameters of a small network, trained for real within a fraction of a second."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphbo.datasets.base import PARTS
from graphbo.evaluators.base import Evaluator
from graphbo.problems.base import Problem
from graphbo.spaces.joint import HyperparameterSpace
from graphbo.trial import Evaluation, Job

if TYPE_CHECKING:
    import torch
    from ConfigSpace import ConfigurationSpace

    from graphbo.datasets.base import ImageData, Pair

NAME = "mlp-digits"
DESCRIPTION = "hyperparameters of a multilayer perceptron on noisy digits, trained for real"
EPOCHS = (1, 3, 9)


def tuning_problem() -> Problem:
    """Return the problem ``mlp-digits``.

    Ten hyperparameters, real, whole, and categorical, one of them conditional, of a multilayer
    perceptron on scikit-learn's digits of 8x8 pixels under noise (900 images to train on). There
    are three numbers of epochs, of which the shorter are the beginning of the longer.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    return Problem(
        NAME,
        HyperparameterSpace(mlp_hyperparameters(), NAME),
        MLPEvaluator(),
        description=DESCRIPTION,
        fidelity={"epochs": EPOCHS[-1]},
        trials=50,
    )


def mlp_hyperparameters() -> ConfigurationSpace:
    """Return what can be chosen."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer

    space = ConfigurationSpace(NAME)
    space.add(
        Categorical("activation", ["relu", "tanh", "gelu"]),
        Categorical("optimizer", ["sgd", "adam"]),
        Integer("layers", (1, 3)),
        Integer("units", (8, 128), log=True),
        Float("dropout", (0.0, 0.8)),
        Float("learning_rate", (1e-4, 1.0), log=True),
        Float("weight_decay", (1e-6, 1e-1), log=True),
        Float("label_smoothing", (0.0, 0.3)),
        Integer("batch_size", (32, 256), log=True),
        Float("momentum", (0.0, 0.99)),
    )
    space.add(EqualsCondition(space["momentum"], space["optimizer"], "sgd"))
    return space


class MLPEvaluator(Evaluator):
    """Trains a multilayer perceptron with the hyperparameters of a design.

    A result follows from the design, the epochs and the seed of the job. Errors are in percent.
    """

    objectives = ("validation_error", "test_error")
    epochs = EPOCHS

    def evaluate_one(self, job: Job) -> Evaluation:
        """Train and test one network."""
        import torch

        start = time.perf_counter()
        chosen: dict[str, Any] = dict(job.design.hyperparameters)
        epochs = int(job.fidelity.get("epochs", EPOCHS[-1]))
        images, labels = self._parts["train"]
        with torch.random.fork_rng(devices=[]):  # weights, dropout and the order of the images
            torch.manual_seed(job.seed)
            network = _network(images.shape[1], self._data.classes, chosen)
            optimizer = _optimizer(network, chosen)
            loss = torch.nn.CrossEntropyLoss(label_smoothing=chosen["label_smoothing"])
            curve = []
            for _ in range(epochs):
                network.train()
                order = torch.randperm(len(images))
                for batch in torch.split(order, chosen["batch_size"]):  # type: ignore[no-untyped-call]
                    optimizer.zero_grad()
                    loss(network(images[batch]), labels[batch]).backward()
                    optimizer.step()
                curve.append(self._error(network, "validation"))
        return Evaluation(
            {"validation_error": curve[-1], "test_error": self._error(network, "test")},
            cost=time.perf_counter() - start,
            curve=tuple(curve),
            facts={
                "epochs": float(epochs),
                "parameters": float(sum(each.numel() for each in network.parameters())),
            },
        )

    def _error(self, network: torch.nn.Module, part: str) -> float:
        import torch

        images, labels = self._parts[part]
        network.eval()
        with torch.no_grad():
            return 100 * float((network(images).argmax(-1) != labels).double().mean())

    @cached_property
    def _data(self) -> ImageData:
        from graphbo.datasets.digits import digits

        return digits(canvas=8, copies=1, noise=0.2)

    @cached_property
    def _parts(self) -> dict[str, Pair]:
        pairs = {part: getattr(self._data, part) for part in PARTS}
        return {part: (images.flatten(1), labels) for part, (images, labels) in pairs.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the images are made anew


def _network(inputs: int, classes: int, chosen: dict[str, Any]) -> torch.nn.Sequential:
    from torch import nn

    activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
    units, modules = inputs, []
    for _ in range(chosen["layers"]):
        modules += [
            nn.Linear(units, chosen["units"]),
            activations[chosen["activation"]](),
            nn.Dropout(chosen["dropout"]),
        ]
        units = chosen["units"]
    return nn.Sequential(*modules, nn.Linear(units, classes))


def _optimizer(network: torch.nn.Module, chosen: dict[str, Any]) -> torch.optim.Optimizer:
    from torch.optim import SGD, AdamW

    rates = {"lr": chosen["learning_rate"], "weight_decay": chosen["weight_decay"]}
    if chosen["optimizer"] == "adam":
        return AdamW(network.parameters(), **rates)
    return SGD(network.parameters(), momentum=chosen["momentum"], **rates)
