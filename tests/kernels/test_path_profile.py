"""What the paths of an architecture are like, in numbers."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    FeatureStore,
    JointKernel,
    ListDecoder,
    OneHotKernel,
    PathMap,
    PathProfileKernel,
    PathProfileMap,
    operation_paths,
    operations_of,
)
from graphbo.spaces import NASBench201Space
from graphbo.testing import architectures


def profile(architecture: Architecture, operations: list[str]) -> dict[str, float]:
    found = PathProfileMap(operations).occurrences(architecture)
    return {occurrence.feature.name: occurrence.times for occurrence in found}


def by_enumeration(architecture: Architecture, operations: list[str]) -> dict[str, float]:
    graph = architecture.operations_on_nodes()
    paths = [path.split("/")[1:] for path in operation_paths(graph)]
    longest = max(map(len, paths), default=0)
    expected = {"longest path": longest, "log(1 + paths)": log(1 + len(paths))}
    for operation in operations:
        counts = [Counter(path)[operation] for path in paths] or [0]
        expected[f"number of {operation}"] = Counter(graph.nodes)[operation]
        expected[f"most {operation} on a path"] = max(counts)
        expected[f"fewest {operation} on a path"] = min(counts)
    for size in range(1, len(operations) + 1):
        for chosen in combinations(operations, size):
            lengths = [len(path) for path in paths if set(path) <= set(chosen)]
            expected[f"shortest path of {', '.join(chosen)}"] = min(lengths, default=longest + 1)
    return {name: value for name, value in expected.items() if value}


def test_a_diamond_by_hand() -> None:
    edges = [(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)]
    diamond = Architecture([INPUT, "a", "b", "b", OUTPUT], edges)
    assert profile(diamond, ["a", "b"]) == pytest.approx(
        {
            "longest path": 2,
            "log(1 + paths)": log(3),
            "number of a": 1,
            "number of b": 2,
            "most a on a path": 1,
            "most b on a path": 2,
            # One path has no a, the other no b.
            "shortest path of a": 1,
            "shortest path of b": 2,
            "shortest path of a, b": 1,
        }
    )


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_the_numbers_are_those_of_all_paths(architecture: Architecture) -> None:
    operations = sorted({*operations_of([architecture]), "another"})[:4]
    assert profile(architecture, operations) == pytest.approx(
        by_enumeration(architecture, operations)
    )


def test_with_many_operations_only_small_and_large_sets_are_followed() -> None:
    operations = ["a", "b", "c", "d", "e", "f"]
    assert len(PathProfileMap(operations[:5]).sets) == 31
    assert sorted(map(len, PathProfileMap(operations).sets)) == [1] * 6 + [5] * 6 + [6]


def test_an_operation_that_is_not_told_apart_still_makes_paths_longer() -> None:
    chain = Architecture([INPUT, "a", "x", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    assert profile(chain, ["a"]) == pytest.approx(
        {
            "longest path": 2,
            "log(1 + paths)": log(2),
            "number of a": 1,
            "most a on a path": 1,
            "fewest a on a path": 1,
            "shortest path of a": 3,
        }
    )


def test_operations_on_nodes_and_on_edges_are_found() -> None:
    on_edge = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "b")])
    on_node = Architecture([INPUT, "c", OUTPUT], [(0, 1), (1, 2)])
    assert operations_of([on_edge, on_node]) == ["a", "b", "c"]


def test_the_joint_kernel_is_the_product_of_its_parts_with_the_same_length_scales() -> None:
    space = NASBench201Space()
    cardinalities = [len(decision.choices) for decision in space.decisions]
    store = FeatureStore(space.decode, PathProfileMap(space.operations))
    parts = [OneHotKernel(cardinalities), PathProfileKernel(store)]
    joint = JointKernel(parts)
    for kernel in (joint, *parts):
        kernel.initialize(lengthscale=3.0)
    x = ListDecoder([]).rows.new_tensor([design.row for design in space.enumerate()[:900:60]])
    product = (parts[0] * parts[1])(x).to_dense()
    assert joint(x).to_dense().sub(product).abs().max() < 1e-12
    assert [name for name, _ in joint.named_parameters()] == ["raw_lengthscale"]


def test_a_profile_needs_operations() -> None:
    with pytest.raises(ValueError, match="at least one operation"):
        PathProfileMap([INPUT, OUTPUT])
    decoder = ListDecoder([])
    with pytest.raises(ValueError, match="a store of a PathProfileMap; got one of a PathMap"):
        PathProfileKernel(FeatureStore(decoder, PathMap()))


@given(st.sets(st.sampled_from("abcdefg"), min_size=1))
def test_every_number_has_its_own_name(operations: set[str]) -> None:
    names = PathProfileMap(operations).names
    assert len(set(names)) == len(names)


def test_ports_do_not_make_a_path_longer() -> None:
    plain = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    with_port = Architecture([INPUT, "port", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    (ported,) = PathProfileMap(["a"], ["port"])([with_port])
    (counts,) = PathProfileMap(["a"])([plain])
    assert dict(zip(ported.columns, ported.values, strict=True)) == dict(
        zip(counts.columns, counts.values, strict=True)
    )
