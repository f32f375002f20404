"""How fast the kernels are beside GraKeL, and how much memory they take.

Speed: the gram matrix of random labelled DAGs of 7 nodes with 5 operations, from `Architecture`
objects that nothing has been computed from yet. `WLKernel` and `WLOptimalAssignmentKernel` (depth
2, diagonal scaled to one) stand beside GraKeL's ``WeisfeilerLehman`` and
``WeisfeilerLehmanOptimalAssignment`` (two iterations, normalised), and every other kernel beside
`WLKernel`. All take turns on one thread, in one process and without gradients. Each repeat draws
other graphs and makes a new decoder, store and kernel; the best of the repeats counts. GraKeL's
input (adjacency matrices as lists of lists, with a dictionary of labels) is prepared outside of
the timing. Its kernels take edges as they are given, and ours tell both directions apart.

Memory: the peak of a new process that draws graphs, computes one gram matrix and does nothing else.

    pip install -e '.[benchmarks]'
    python benchmarks/kernel_speed.py --output benchmarks/results/0.1.0/kernel_speed.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel
from threadpoolctl import threadpool_limits

from graphbo import __version__, kernels
from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import MissingExtraError
from graphbo.kernels import ListDecoder

OPERATIONS = ("conv1x1", "conv3x3", "maxpool", "avgpool", "skip")
NODES, DENSITY, DEPTH, WARM_UP = 7, 0.4, 2, 5

KERNELS: dict[str, Callable[[ListDecoder], Kernel]] = {
    "WLKernel": lambda decoder: kernels.WLKernel(decoder, depth=DEPTH),
    "WLOptimalAssignmentKernel": lambda decoder: kernels.WLOptimalAssignmentKernel(
        decoder, depth=DEPTH
    ),
    "WLRBFKernel": lambda decoder: kernels.WLRBFKernel(decoder, depth=DEPTH),
    "SpectrumKernel": kernels.SpectrumKernel,
    "SubsequenceKernel": kernels.SubsequenceKernel,
    "ShortestPathKernel": kernels.ShortestPathKernel,
    "RandomWalkKernel": kernels.RandomWalkKernel,
    "GraphletKernel": kernels.GraphletKernel,
}
"""Add a kernel here, and it is measured."""

RIVALS = {
    "WLKernel": "WeisfeilerLehman",
    "WLOptimalAssignmentKernel": "WeisfeilerLehmanOptimalAssignment",
}
"""GraKeL's name for the same kernel."""

_ASSIGNMENT = "WLOptimalAssignmentKernel"


def main() -> None:
    """Measure, print Markdown tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=_numbers, default=[100, 300, 1000, 3000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--largest-assignment",
        type=int,
        default=1000,
        help="the largest size at which GraKeL's optimal assignment is measured",
    )
    parser.add_argument("--without-grakel", action="store_true", help="measure ours only")
    parser.add_argument("--memory-graphs", type=int, default=10_000, help="0 leaves memory out")
    parser.add_argument("--memory-kernels", type=_names, default=["WLKernel", "WLRBFKernel"])
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.memory_kernels if name not in KERNELS]
    if unknown:
        parser.error(f"there is no kernel {unknown[0]!r}; choose from {', '.join(KERNELS)}")
    if min([*arguments.sizes, arguments.repeats]) < 1:
        parser.error("the sizes and the repeats must be at least 1")
    if not arguments.without_grakel and find_spec("grakel") is None:
        parser.error(f"{MissingExtraError('grakel', 'benchmarks')}; or give --without-grakel")
    # Memory first: a new process inherits the peak of the one that starts it.
    names = arguments.memory_kernels if arguments.memory_graphs else []
    result = {
        "version": __version__,
        "sizes": arguments.sizes,
        "repeats": arguments.repeats,
        "memory_graphs": arguments.memory_graphs,
        "memory": {name: peak_memory(name, arguments.memory_graphs) for name in names},
        "seconds": measure_speed(
            arguments.sizes,
            arguments.repeats,
            arguments.largest_assignment,
            not arguments.without_grakel,
        ),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(tables(result))


def random_architecture(rng: np.random.Generator) -> Architecture:
    """Draw a DAG in which every node lies on a path from the input to the output."""
    labels = [INPUT, *rng.choice(OPERATIONS, NODES - 2), OUTPUT]
    edges = {(u, v) for v in range(NODES) for u in range(v) if rng.random() < DENSITY}
    for v in set(range(1, NODES)) - {v for _, v in edges}:
        edges.add((int(rng.integers(v)), v))
    for u in set(range(NODES - 1)) - {u for u, _ in edges}:
        edges.add((u, int(rng.integers(u + 1, NODES))))
    return Architecture(labels, sorted(edges))


def random_architectures(n: int, seed: Sequence[int]) -> list[Architecture]:
    """Draw some DAGs, which need not be distinct."""
    rng = np.random.default_rng(seed)
    return [random_architecture(rng) for _ in range(n)]


# Speed ------------------------------------------------------------------------------------------


def measure_speed(
    sizes: Sequence[int], repeats: int, largest_assignment: int, grakel: bool
) -> dict[str, dict[str, float]]:
    """Return the seconds that each kernel takes at each size, GraKeL's under ``GraKeL`` and name.

    Args:
        sizes: The numbers of graphs.
        repeats: How often to measure; the best counts.
        largest_assignment: The largest size for GraKeL's optimal assignment.
        grakel: Whether to measure GraKeL at all.
    """
    torch.set_num_threads(1)
    result: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):
        _best(WARM_UP, 1, grakel, grakel)
        for size in sizes:
            for name, best in _best(size, repeats, grakel, size <= largest_assignment).items():
                result.setdefault(name, {})[str(size)] = best
    return result


def _best(size: int, repeats: int, grakel: bool, assignment: bool) -> dict[str, float]:
    """Return the least seconds of each kernel at one size."""
    found: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for name in KERNELS:
            # Another list for each kernel, since architectures remember what they computed.
            graphs = random_architectures(size, [size, repeat])
            found.setdefault(name, []).append(_seconds(gram, name, graphs))
        for name, rival in RIVALS.items() if grakel else ():
            if name == _ASSIGNMENT and not assignment:
                continue
            given = grakel_input(random_architectures(size, [size, repeat]))
            fit_transform = grakel_kernel(name).fit_transform
            found.setdefault(f"GraKeL {rival}", []).append(_seconds(fit_transform, given))
    return {name: min(times) for name, times in found.items()}


@torch.no_grad()
def gram(name: str, graphs: Sequence[Architecture]) -> torch.Tensor:
    """Return a kernel's covariance of graphs, with nothing computed before."""
    decoder = ListDecoder(graphs)
    covariance: torch.Tensor = KERNELS[name](decoder)(decoder.rows).to_dense()
    return covariance


def grakel_input(graphs: Sequence[Architecture]) -> list[list[Any]]:
    """Return graphs in the form that GraKeL reads fastest."""
    result = []
    for graph in graphs:
        adjacency = np.zeros((len(graph), len(graph)), int)
        for u, v, _ in graph.edges:
            adjacency[u, v] = 1
        result.append([adjacency.tolist(), dict(enumerate(graph.nodes))])
    return result


def grakel_kernel(name: str) -> Any:
    """Return GraKeL's counterpart of a kernel, unfitted."""
    from grakel import kernels as rivals

    if name == _ASSIGNMENT:
        return rivals.WeisfeilerLehmanOptimalAssignment(n_iter=DEPTH, normalize=True)
    return rivals.WeisfeilerLehman(
        n_iter=DEPTH, base_graph_kernel=rivals.VertexHistogram, normalize=True
    )


def _seconds(compute: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    compute(*arguments)
    return time.perf_counter() - start


# Memory -----------------------------------------------------------------------------------------


def peak_memory(name: str, n: int) -> dict[str, float]:
    """Return the peak memory of a gram matrix, in a process of its own.

    Returns:
        Gigabytes: ``process``, the peak of the whole process; ``imports``, what of it was there
        before the graphs; ``gram``, the result itself.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        return executor.submit(_peak, name, n).result()


def _peak(name: str, n: int) -> dict[str, float]:
    torch.set_num_threads(1)
    imports = _resident()
    covariance = gram(name, random_architectures(n, [n]))
    size = covariance.numel() * covariance.element_size() / 1e9
    return {"process": _resident(), "imports": imports, "gram": size}


def _resident() -> float:
    """Return the largest resident memory that this process has had, in gigabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


# Output -----------------------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> str:
    """Return Markdown tables of a result: ratios of seconds, and gigabytes."""
    sizes, seconds = [str(size) for size in result["sizes"]], result["seconds"]
    heads = [f"{size} graphs" for size in sizes]
    lines: list[str] = []
    pairs = {ours: f"GraKeL {rival}" for ours, rival in RIVALS.items()}
    if any(rival in seconds for rival in pairs.values()):
        lines += _head(["Times as fast as GraKeL 0.1.11", *heads])
        for ours, rival in pairs.items():
            times = seconds.get(rival, {})
            cells = [f"{times[s] / seconds[ours][s]:.1f}" if s in times else "" for s in sizes]
            lines.append(_row([ours, *cells]))
        lines.append("")
    lines += _head(["Time over that of WLKernel", *heads])
    for name in KERNELS:
        cells = [f"{seconds[name][size] / seconds['WLKernel'][size]:.2f}" for size in sizes]
        lines.append(_row([name, *cells]))
    if result["memory"]:
        title = f"Peak memory in GB, {result['memory_graphs']} graphs"
        lines += ["", *_head([title, "whole process", "without imports", "the matrix itself"])]
        for name, peak in result["memory"].items():
            found = (peak["process"], peak["process"] - peak["imports"], peak["gram"])
            lines.append(_row([name, *(f"{value:.2f}" for value in found)]))
    return "\n".join(lines)


def _head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), "| --- |" + " ---: |" * (len(cells) - 1)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
