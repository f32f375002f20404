"""Every model on embeddings keeps the promises of ask and tell, in the loop of graph kernels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.embeddings import GINEncoder
from graphbo.optimizers import GraphBO
from graphbo.spaces import CellSpace, SearchSpace
from graphbo.surrogates import (
    BayesianLinear,
    DeepEnsemble,
    DeepKernel,
    PathEncoding,
    embedding,
    product_of,
    weisfeiler_lehman,
)
from graphbo.testing import check_optimizer
from graphbo.trial import Trial

SPACE = CellSpace(3, ["a", "b", "c"], on="edges")


def counts(architectures: Sequence[Architecture]) -> Tensor:
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor([[x.count(o) for o in "abc"] for x in labels], dtype=torch.float64)


def prior(architectures: Sequence[Architecture]) -> Tensor:
    return 1.0 - counts(architectures)[:, 0]


def planted(architecture: Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    return 10 - 2.0 * labels.count("a") + labels.count("b") - 0.1 * len(architecture)


def deep_kernel() -> DeepKernel:
    torch.manual_seed(0)
    encoder = GINEncoder(SPACE.operations, dim=4, hidden=8, layers=1)
    return DeepKernel(SPACE, encoder, steps=3)


MODELS = {
    "embedding": lambda: embedding(SPACE, counts),
    "product": lambda: product_of(weisfeiler_lehman(SPACE), embedding(SPACE, counts)),
    "deep kernel": deep_kernel,
    "bayesian linear": lambda: BayesianLinear(SPACE, counts, width=8, steps=20),
    "deep ensemble": lambda: DeepEnsemble(SPACE, PathEncoding(SPACE.operations), steps=20),
}


def make(name: str, with_prior: bool, space: SearchSpace, *, seed: int) -> GraphBO:
    given = {"prior": prior} if with_prior else {"initial": 2}
    return GraphBO(space, seed=seed, kernels=[MODELS[name]()], **given)


@pytest.mark.parametrize("with_prior", [False, True], ids=["plain", "prior"])
@pytest.mark.parametrize("name", MODELS)
def test_a_search_is_a_function_of_its_history(name: str, with_prior: bool) -> None:
    """Pending designs count, and a replayed log leads to the same proposals."""
    optimizer = make(name, with_prior, SPACE, seed=3)
    log: list[Sequence | Trial] = []
    for n in (1, 2, 1, 3, 1):
        log.append(optimizer.ask(n))
        done = optimizer.pending[0] if n > 2 else log[-1][-1]  # some come late
        log.append(Trial(done, value=planted(done.architecture)))
        optimizer.tell(log[-1])
    assert optimizer.pending
    again = make(name, with_prior, SPACE, seed=3)
    again.replay(log)
    asked = optimizer.ask(3)
    assert again.ask(3) == asked
    assert len({design.architecture for design in asked}) == 3
    assert not {design.architecture for design in asked} & {
        design.architecture for entry in log if not isinstance(entry, Trial) for design in entry
    }
    json.dumps(optimizer.settings)


@pytest.mark.parametrize("name", MODELS)
def test_a_search_finds_what_is_good(name: str) -> None:
    optimizer = make(name, False, SPACE, seed=0)
    everything = sorted(planted(design.architecture) for design in SPACE.enumerate())
    found = []
    for _ in range(14):
        (design,) = optimizer.ask()
        found.append(planted(design.architecture))
        optimizer.tell(Trial(design, value=found[-1]))
    assert min(found) == everything[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_searches_conform(name: str) -> None:
    check_optimizer(partial(make, name, False), [SPACE], rounds=4)
