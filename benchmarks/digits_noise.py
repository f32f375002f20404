"""How well the digits problem tells cells apart, and how long a training takes.

Trains random cells with several seeds each and prints the quantiles of their mean validation
errors, the standard deviation between the cells of the better half (without the part that is
noise) beside that between the seeds of one cell, and the processor seconds of a training.

    python benchmarks/digits_noise.py --cells 40 --seeds 2
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from graphbo.problems import training_problem
from graphbo.trial import Job


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=40, help="at least 4")
    parser.add_argument("--seeds", type=int, default=2, help="at least 2")
    arguments = parser.parse_args()
    problem = training_problem("digits")
    rng = np.random.default_rng(0)
    errors = np.zeros((arguments.cells, arguments.seeds))
    seconds = np.zeros_like(errors)
    for i in range(arguments.cells):
        design = problem.space.sample(rng)
        for seed in range(arguments.seeds):
            start = time.process_time()
            result = problem.evaluator.evaluate_one(Job(design, problem.fidelity, seed))
            seconds[i, seed] = time.process_time() - start
            errors[i, seed] = result.objectives[problem.objective]

    better = errors[np.argsort(errors.mean(1))[: arguments.cells // 2]]
    noise = better.var(1, ddof=1).mean()
    signal = max(better.mean(1).var(ddof=1) - noise / arguments.seeds, 0.0)
    quantiles = np.quantile(errors.mean(1), [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    print("validation error in percent, at 0, 10, 25, 50, 75, 90 and 100 % of the cells:")
    print("  " + "  ".join(f"{value:.1f}" for value in quantiles))
    print(f"better half, standard deviation between cells: {np.sqrt(signal):.2f}")
    print(f"better half, standard deviation between seeds: {np.sqrt(noise):.2f}")
    print(f"cells with an error above 80 %: {(errors.mean(1) > 80).mean():.1%}")
    print(f"seconds of a training, mean and largest: {seconds.mean():.2f}, {seconds.max():.2f}")


if __name__ == "__main__":
    main()
