"""How often the effects of features find a motif that was planted.

Each draw takes random labelled DAGs of 7 nodes (before pruning) with 3 operations, distinct up to
isomorphism, and a motif at random: a Weisfeiler-Lehman subtree of depth 1, or an input-output path
of two operations, that at least 2 % of such DAGs have. The DAGs are drawn so that the motif occurs
in 20 to 80 % of them. The target is +1, or in other draws -1, where the motif occurs, plus an
effect of standard deviation 0.1 for each occurrence of each operation, plus noise of standard
deviation ``--noise`` (0.3). A Gaussian process is fitted, and the draw is a success if the motif
comes first in `feature_effects`, which sorts by the size of an effect over its uncertainty.

Features that occur equally often in every DAG of a draw are one there, since the targets are the
same whichever of them was planted: the motif is found if it is the first of `feature_effects` or
occurs just as often. Subtrees that contain the motif, or are contained in it, are misses. "By
effect alone" is the share of draws in which the motif is first by the size of the effect.

    python benchmarks/planted_motif.py --output benchmarks/results/0.1.0/planted_motif.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    FeatureMap,
    FeatureStore,
    LinearFeatureKernel,
    ListDecoder,
    PathMap,
    RBFFeatureKernel,
    WeisfeilerLehmanMap,
    WLKernel,
    WLRBFKernel,
)
from graphbo.kernels.naming import Feature
from graphbo.surrogates import GraphGP, feature_effects, fit

OPERATIONS = ("conv1x1", "conv3x3", "maxpool")
INNER, DENSITY, SMALL, RARE = 5, 0.4, 0.1, 0.02


def path_kernel(decoder: ListDecoder) -> Kernel:
    """Return the cosine of path counts."""
    return LinearFeatureKernel(FeatureStore(decoder, PathMap()))


def path_rbf_kernel(decoder: ListDecoder) -> Kernel:
    """Return a squared exponential of the differences between path counts."""
    return RBFFeatureKernel(FeatureStore(decoder, PathMap(), unary=True))


CASES: dict[str, tuple[FeatureMap, str, Callable[[ListDecoder], Kernel]]] = {
    "subtrees, WLKernel": (WeisfeilerLehmanMap(1), "depth_1", WLKernel),
    "subtrees, WLRBFKernel": (WeisfeilerLehmanMap(1), "depth_1", WLRBFKernel),
    "paths, linear": (PathMap(), "paths", path_kernel),
    "paths, squared exponential": (PathMap(), "paths", path_rbf_kernel),
}


def random_architectures(n: int, rng: np.random.Generator) -> list[Architecture]:
    """Draw distinct pruned DAGs that connect input and output through an operation."""
    found: dict[Architecture, None] = {}
    pairs = [(u, v) for v in range(INNER + 2) for u in range(v)]
    while len(found) < n:
        nodes = [INPUT, *rng.choice(OPERATIONS, INNER), OUTPUT]
        kept = rng.random(len(pairs)) < DENSITY
        edges = [pair for pair, there in zip(pairs, kept, strict=True) if there]
        architecture = Architecture(nodes, edges).pruned()
        if len(architecture) > 2 and not architecture.is_empty:
            found[architecture] = None
    return list(found)


def motifs(
    pool: Sequence[Architecture], feature_map: FeatureMap, block: str
) -> dict[Feature, list[int]]:
    """Return the candidates and where in the pool they occur."""
    where: dict[Feature, list[int]] = {}
    for i, architecture in enumerate(pool):
        occurrences = feature_map.occurrences(architecture)
        for feature in {o.feature for o in occurrences if o.feature.block == block}:
            where.setdefault(feature, []).append(i)
    rows = range(int(RARE * len(pool)), int((1 - RARE) * len(pool)))
    return {
        feature: found
        for feature, found in where.items()
        if len(found) in rows and (block != "paths" or feature.name.count(" > ") == 3)
    }


def ranks(
    pool: Sequence[Architecture],
    where: dict[Feature, list[int]],
    kernel: Callable[[ListDecoder], Kernel],
    graphs: int,
    noise: float,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Plant a motif and return its rank by score and by effect, from 1."""
    motif = sorted(where, key=lambda feature: feature.name)[rng.integers(len(where))]
    there = np.isin(np.arange(len(pool)), where[motif])
    share = round(rng.uniform(0.2, 0.8) * graphs)
    sample = [
        *rng.choice(np.flatnonzero(there), share, replace=False),
        *rng.choice(np.flatnonzero(~there), graphs - share, replace=False),
    ]
    counts = np.array([[pool[i].nodes.count(label) for label in OPERATIONS] for i in sample])
    targets = rng.choice([-1.0, 1.0]) * there[sample] + counts @ rng.normal(0, SMALL, 3)
    targets += rng.normal(0, noise, graphs)
    scores = torch.tensor((targets - targets.mean()) / targets.std()).unsqueeze(-1)
    decoder = ListDecoder([pool[i] for i in sample])
    effects = feature_effects(fit(GraphGP(decoder.rows, scores, kernel(decoder))))
    by_effect = sorted(effects, key=lambda effect: -abs(effect.effect))
    orders = [[motif in effect.features for effect in order] for order in (effects, by_effect)]
    return orders[0].index(True) + 1, orders[1].index(True) + 1


def measure(
    draws: int, graphs: int = 80, noise: float = 0.3, seed: int = 0, pool_size: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return the share of draws in which the motif is first, for each case."""
    # The rarest motif must be there in 80 % of the DAGs of a draw.
    pool = random_architectures(
        pool_size or max(5000, int(graphs / RARE)), np.random.default_rng(seed)
    )
    results = {}
    for name, (feature_map, block, kernel) in CASES.items():
        where = motifs(pool, feature_map, block)
        found = [
            ranks(pool, where, kernel, graphs, noise, np.random.default_rng([seed, draw]))
            for draw in range(draws)
        ]
        first = np.mean(np.array(found) == 1, axis=0)
        results[name] = {
            "first": float(first[0]),
            "first by effect": float(first[1]),
            "candidates": len(where),
            "ranks of misses": sorted(rank for rank, _ in found if rank > 1),
        }
    return results


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--graphs", type=int, default=80)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {name: getattr(arguments, name) for name in ("draws", "graphs", "noise", "seed")}
    result = {**settings, "cases": measure(**settings)}
    if arguments.output:
        text = json.dumps(result, indent=2)
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    head = f"Motif first, of {result['draws']} draws of {result['graphs']} graphs"
    lines = [f"| {head} | by score | by effect alone | motifs |", "| --- | ---: | ---: | ---: |"]
    for name, case in result["cases"].items():
        shares = f"{case['first']:.1%} | {case['first by effect']:.1%}"
        lines.append(f"| {name} | {shares} | {case['candidates']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
