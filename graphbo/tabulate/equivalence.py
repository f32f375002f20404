"""Which cells are the same network, so that one training serves them all."""

from __future__ import annotations

from collections.abc import Iterable

from graphbo.architecture import INPUT, OUTPUT, Architecture


def contracted(cell: Architecture, skip: str = "skip_connect") -> Architecture:
    """Return a cell's network without the skips that only copy.

    A node that nothing reaches but one skip is its source, and one that nothing reads but one skip
    is part of the sum that the skip leads to. Cells with equal results compute the same function of
    the same weights, though their graphs differ. Of the 8,765 cells of NAS-Bench-201 that remain
    distinct after pruning, 5,425 do. (Its authors count 6,466, by a string form that neither merges
    sums nor tells a shared convolution from separate ones: Dong and Yang, ICLR 2020.)

    Args:
        cell: A cell with operations on its edges.
        skip: The label of the identity.

    Returns:
        The network with operations on its nodes; nodes without label are sums.
    """
    cell = cell.pruned()
    arriving: dict[int, list[tuple[int, str]]] = {v: [] for v in range(len(cell))}
    for u, v, label in cell.edges:
        arriving[v].append((u, label))
    while (copy := _copy(arriving, cell, skip)) is not None:
        u, v = copy
        if len(arriving[v]) == 1 and v != cell.output:
            merged, gone = u, v  # v is nothing but u
        else:
            merged, gone = v, u  # nothing but v reads u
            arriving[v].remove((u, skip))
            arriving[v] += arriving[u]
        del arriving[gone]
        for terms in arriving.values():
            terms[:] = [(merged if w == gone else w, label) for w, label in terms]
    kept = sorted(arriving)
    number = {v: i for i, v in enumerate(kept)}
    ends = {cell.input: INPUT, cell.output: OUTPUT}
    nodes, edges = [ends.get(v, "") for v in kept], []
    for v in kept:
        for u, label in arriving[v]:
            edges += [(number[u], len(nodes)), (len(nodes), number[v])]
            nodes.append(label)
    return Architecture(nodes, edges)


def _copy(
    arriving: dict[int, list[tuple[int, str]]], cell: Architecture, skip: str
) -> tuple[int, int] | None:
    """Return the ends of a skip whose two nodes can be one, if there is such a skip."""
    readers: dict[int, int] = {}
    for terms in arriving.values():
        for u, _ in terms:
            readers[u] = readers.get(u, 0) + 1
    for v, terms in arriving.items():
        for u, label in terms:
            only_term = len(terms) == 1 and v != cell.output
            only_reader = readers[u] == 1 and u != cell.input
            if label == skip and (only_term or only_reader):
                return u, v
    return None


def networks(cells: Iterable[Architecture]) -> dict[Architecture, list[int]]:
    """Group the numbers of cells by the network that they are, in the order of the cells."""
    groups: dict[Architecture, list[int]] = {}
    for i, cell in enumerate(cells):
        groups.setdefault(contracted(cell), []).append(i)
    return groups
