"""Costs of networks that an evaluator reports when it is asked for them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from graphbo.architecture import Architecture
from graphbo.datasets import get_dataset
from graphbo.errors import InputError
from graphbo.evaluators import FunctionEvaluator, NetworkCosts, TableEvaluator
from graphbo.functional import minimize
from graphbo.networks import NASBench201Network, activation_memory, flash_size
from graphbo.networks.deployment import Deployment
from graphbo.networks.energy import RaplCounter
from graphbo.networks.flops import flops, parameters
from graphbo.problems.curves import CurveTable
from graphbo.problems.recorded_costs import recorded_costs
from graphbo.problems.registry import get_problem
from graphbo.spaces import NASBench201Space
from graphbo.study import Study
from graphbo.trial import COMPUTED, MEASURED, Job

SPACE = NASBench201Space()
SHAPE = (1, 6, 6)
BUILD = partial(NASBench201Network, channels=4, cells=1, in_channels=1)
DESIGNS = [SPACE.sample(np.random.default_rng(seed)) for seed in range(4)]


def edges(architecture: Architecture) -> float:
    return float(len(architecture.edges))


def costs(**deployment: Any) -> NetworkCosts:
    return NetworkCosts(BUILD, SHAPE, Deployment(**deployment))


def test_the_costs_are_those_of_the_network() -> None:
    design, network = DESIGNS[0], BUILD(DESIGNS[0].architecture)
    found = costs(bits=8).costs(COMPUTED, design)
    assert found == {
        "parameters": parameters(network),
        "flops": flops(network, SHAPE),
        "activation_memory": activation_memory(network, SHAPE, bits=8),
        "flash": flash_size(network, SHAPE, bits=8),
    }
    assert Deployment(bits=8).computed(network, SHAPE) == found
    assert pickle.loads(pickle.dumps(costs(bits=8))).costs(COMPUTED, design) == found


def test_equal_architectures_cost_the_same_however_they_are_drawn() -> None:
    problem = get_problem("darts-shapes")
    for seed in range(6):
        design = problem.space.sample(np.random.default_rng(seed))
        drawn = problem.space.design_of(design.architecture)
        found = {
            get_problem("darts-shapes").evaluator.compute("activation_memory", each)
            for each in (design, drawn, replace(design, architecture=drawn.architecture))
        }
        assert len(found) == 1


def test_one_pass_gives_memory_and_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(architecture: Architecture) -> nn.Module:
        built.append(architecture)
        return BUILD(architecture)

    found = NetworkCosts(build, SHAPE)
    for _ in range(2):
        assert found.cost("flash", DESIGNS[0]) > 0
        assert found.cost("activation_memory", DESIGNS[0]) > 0
    assert len(built) == 1


def test_a_function_with_networks_reports_what_is_requested() -> None:
    evaluator = FunctionEvaluator(edges, costs=costs())
    job = Job(DESIGNS[0])
    assert evaluator.evaluate_one(job).facts == {}
    evaluator.request(["objective", "flash"])
    evaluator.request(["flash", "flops"])
    assert evaluator.requested == ("flash", "flops")
    assert set(evaluator.evaluate_one(job).facts) == {"flash", "flops"}
    assert evaluator.compute("flash", DESIGNS[0]) == evaluator.evaluate_one(job).facts["flash"]
    with pytest.raises(InputError, match="not 'objective'"):
        evaluator.compute("objective", DESIGNS[0])
    with pytest.raises(InputError, match="not 'flash'"):
        FunctionEvaluator(edges).compute("flash", DESIGNS[0])


def test_a_search_keeps_a_bound_on_the_flash() -> None:
    sizes = sorted(costs().cost("flash", design) for design in DESIGNS)
    bound = sizes[1]
    result = minimize(
        FunctionEvaluator(edges, costs=costs()),
        SPACE,
        budget=8,
        optimizer="random",
        objectives=["objective", "activation_memory"],
        constraints=[f"flash<={bound}"],
    )
    assert all(trial.outcomes["flash"] <= bound for trial in result.front)
    assert {"flash", "activation_memory"} <= set(result.trials[0].outcomes)


def test_a_table_with_networks_computes_what_it_does_not_record() -> None:
    cells = [design.architecture for design in DESIGNS]
    table = TableEvaluator(
        cells, {"error": np.arange(4.0)}, facts={"parameters": [7.0] * 4}, costs=costs()
    )
    assert table.on_request == ("flops", "activation_memory", "flash", *MEASURED)
    assert set(table.known) == set(COMPUTED)
    table.request(COMPUTED)
    facts = table.evaluate_one(Job(DESIGNS[0])).facts
    assert facts["parameters"] == 7, "what is recorded counts"
    assert facts["flash"] == table.compute("flash", DESIGNS[0]) == costs().cost("flash", DESIGNS[0])


def test_a_table_of_curves_knows_its_networks_from_its_protocol() -> None:
    data: dict[str, Any] = {"name": "shapes", "train": 20, "validation": 10, "test": 10}
    skeleton: dict[str, Any] = {"channels": 4, "cells": 1, "stages": 1}
    table = CurveTable(
        "cells",
        {"type": "nasbench201"},
        rows=[design.row for design in DESIGNS],
        epochs=[1],
        valid=[[[i]] for i in range(4)],
        images={"valid": 50},
        about={"protocol": json.dumps({"dataset": data, "skeleton": skeleton})},
    )
    problem = table.problem()
    study = Study.of(problem, "random", constraints=["activation_memory<=1e6", "flash<=1e5"])
    (trial,) = study.run(trials=1).trials
    network = NASBench201Network(trial.design.architecture, in_channels=1, **skeleton)
    shape = get_dataset(**data).shape
    assert trial.outcomes["flash"] == flash_size(network, shape)
    assert trial.outcomes["activation_memory"] == activation_memory(network, shape)


def make() -> FunctionEvaluator:
    return FunctionEvaluator(edges, costs=costs())


def test_what_is_requested_is_requested_of_an_equal_evaluator_elsewhere() -> None:
    evaluator = make()
    evaluator.factory = make
    evaluator.request(["flash"])
    evaluator.request(["flops"])
    assert evaluator.factory is not None
    again = pickle.loads(pickle.dumps(evaluator.factory))()
    assert again.requested == evaluator.requested == ("flash", "flops")


@pytest.mark.parametrize(
    "protocol",
    [
        None,
        "",
        "{}",
        "no JSON",
        "[1]",
        '{"dataset": {"name": "torchvision:MNIST"}, "skeleton": {}}',
    ],
)
def test_a_table_that_does_not_say_how_its_networks_are_built_has_no_costs(
    protocol: str | None,
) -> None:
    assert recorded_costs(protocol) is None


def test_names_that_nothing_reports_are_refused_with_all_that_there_are() -> None:
    table = TableEvaluator([DESIGNS[0].architecture], {"error": [1.0]}, costs=costs())
    with pytest.raises(InputError, match=r"no objective or fact 'flush', only .*'flash'"):
        Study(SPACE, table, "random", constraints=["flush<=1"])


def test_a_latency_is_measured_only_when_it_is_named() -> None:
    evaluator = FunctionEvaluator(edges, costs=costs(repeats=3))
    study = Study(
        SPACE, evaluator, "random", objective=["objective", "latency_ms"], constraints=["flops>=1"]
    )
    (trial,) = study.run(trials=1).trials
    assert 0 < trial.outcomes["latency_ms"] < 10_000
    assert "latency_ms" not in evaluator.known, "it is noisy, and learnt"
    assert set(trial.outcomes) == {"objective", "latency_ms", "flops"}


def test_an_energy_that_cannot_be_measured_is_refused_before_anything_runs(tmp_path: Path) -> None:
    unreadable = costs(counter=RaplCounter(tmp_path))
    for evaluator in (
        FunctionEvaluator(edges, costs=unreadable),
        TableEvaluator([DESIGNS[0].architecture], {"objective": [1.0]}, costs=unreadable),
    ):
        with pytest.raises(InputError, match="there is no counter"):
            Study(SPACE, evaluator, "random", constraints=["energy_mj<=1"])


def test_unknown_costs_and_bits_are_refused() -> None:
    with pytest.raises(InputError, match=r"costs of a network are parameters, .*; not 'depth'"):
        costs().cost("depth", DESIGNS[0])
    with pytest.raises(InputError, match="bits must be one of"):
        Deployment(bits=12)
    with pytest.raises(InputError, match="threads must be a whole number of at least 1; got 0"):
        Deployment(threads=0)
    with pytest.raises(InputError, match="device must be such as 'cpu'"):
        Deployment(device="abacus")
    for device in ("meta", "vulkan"):
        with pytest.raises(InputError, match=f"the device '{device}'"):
            Deployment(device=device)
