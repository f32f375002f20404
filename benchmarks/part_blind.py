"""Whether a kernel that does not know the parts of an architecture helps those that do.

A design is two cells of NAS-Bench-201, and its value the sum of their errors on small images, as
``digits-table`` has them. In the second target the operations of the second cell are exchanged in
a circle before it is looked up, so that the cells do not agree in what an operation does.

Usage: python benchmarks/part_blind.py --observations 40 --seeds 10
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
from scipy.stats import kendalltau

from graphbo import Architecture, NASBench201Space, ProductSpace, get_problem
from graphbo.spaces import Design
from graphbo.surrogates import GraphSurrogate
from graphbo.surrogates.defaults import part_blind, path_profile, spectrum, weisfeiler_lehman
from graphbo.trial import Job

TESTED = 200


def main() -> None:
    """Print the rank correlations on new designs without and with the kernel."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--observations", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    cells = NASBench201Space()
    space = ProductSpace({"normal": cells, "reduce": cells})
    problem = get_problem("digits-table")
    error = {
        design.architecture: problem.evaluator.evaluate_one(Job(design)).objectives[
            problem.objective
        ]
        for design in cells.enumerate()
    }
    circle = dict(zip(cells.operations, (*cells.operations[1:], cells.operations[0]), strict=True))
    for name, exchanged in (("agree", {}), ("disagree", circle)):
        found = np.array(
            [
                correlations(space, error, exchanged, arguments.observations, seed)
                for seed in range(arguments.seeds)
            ]
        )
        difference = found[:, 1] - found[:, 0]
        deviation = difference.std(ddof=1) / np.sqrt(len(difference))
        print(
            f"cells that {name}: Kendall's tau {found[:, 0].mean():.3f} without, "
            f"{found[:, 1].mean():.3f} with it, {difference.mean():+.3f} ± {deviation:.3f}"
        )


def correlations(
    space: ProductSpace,
    error: Mapping[Architecture, float],
    exchanged: Mapping[str, str],
    observations: int,
    seed: int,
) -> tuple[float, float]:
    """Return Kendall's tau on new designs without and with the kernel.

    Args:
        space: The pairs of cells.
        error: That of each cell.
        exchanged: Which operation stands for another in the second cell.
        observations: How many designs the surrogates have seen.
        seed: It decides which.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[Design, float] = {}
    while len(drawn) < observations + TESTED:
        design = space.sample(rng)
        first, second = space.split(design.architecture).values()
        edges = [(u, v, exchanged.get(label, label)) for u, v, label in second.edges]
        drawn[design] = error[first] + error[Architecture(second.nodes, edges)]
    designs, values = list(drawn), list(drawn.values())
    known = [
        weisfeiler_lehman(space),
        spectrum(space),
        path_profile(space),
        path_profile(space, positions=True),
    ]
    taus = []
    for kernels in (known, [*known, part_blind(space)]):
        surrogate = GraphSurrogate(space, kernels=kernels)
        surrogate.fit(designs[:observations], values[:observations])
        means, _ = surrogate.predict(designs[observations:])
        taus.append(float(kendalltau(means, values[observations:]).statistic))
    return taus[0], taus[1]


if __name__ == "__main__":
    main()
