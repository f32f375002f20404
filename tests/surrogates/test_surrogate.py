"""The surrogate of a space: designs in, predictions out."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from gpytorch.kernels import Kernel

from graphbo.architecture import Architecture
from graphbo.kernels import WLKernel
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    DARTSSpace,
    Design,
    NASBench101Space,
    PoolSpace,
    ProductSpace,
    RandomlyWiredSpace,
    RegNetSpace,
    SearchSpace,
)
from graphbo.surrogates import GraphGP, GraphSurrogate, default_kernels
from graphbo.surrogates.defaults import KernelFactory, part_blind, weisfeiler_lehman

CELLS = CellSpace(4, ["a", "b"], on="edges")


def planted(design: Design) -> float:
    """An error that a few operations and the depth explain."""
    labels = [label for *_, label in design.architecture.edges]
    labels += [label for label in design.architecture.nodes if label not in ("input", "output")]
    return 10 + sum({"a": -1.5, "b": 0.7}.get(label, len(label) * 0.3) for label in labels)


def sample(space: SearchSpace, n: int, seed: int = 0) -> list[Design]:
    rng = np.random.default_rng(seed)
    found: dict[Architecture, Design] = {}
    while len(found) < n:
        design = space.sample(rng)
        found.setdefault(design.architecture, design)
    return list(found.values())


@pytest.mark.parametrize(
    "space",
    [
        CELLS,
        CellSpace(5, ["a", "b"], on="nodes"),
        ChainSpace(4),
        PoolSpace([design.architecture for design in NASBench101Space(4).enumerate()]),
    ],
    ids=["edges", "nodes", "chain", "pool"],
)
def test_predictions_are_better_than_the_mean(space: SearchSpace) -> None:
    designs = sample(space, 80)
    train, test = designs[:40], designs[40:]
    surrogate = GraphSurrogate(space).fit(train, [planted(design) for design in train])
    mean, deviation = surrogate.predict(test)
    predicted = surrogate.transform.inverse(mean)
    truth = np.array([planted(design) for design in test])
    baseline = np.mean([planted(design) for design in train])
    assert np.mean((predicted - truth) ** 2) < 0.4 * np.mean((baseline - truth) ** 2)
    assert (deviation > 0).all()


def test_predictions_are_a_function_of_the_architecture() -> None:
    designs = sample(CELLS, 30)
    surrogate = GraphSurrogate(CELLS).fit(designs, [planted(design) for design in designs])
    for design in designs[:10]:
        turned = Architecture(
            design.architecture.nodes[::-1],
            [
                (len(design.architecture) - 1 - u, len(design.architecture) - 1 - v, label)
                for u, v, label in design.architecture.edges
            ],
        )
        others = [row for row in CELLS._rows() if CELLS.decode(row) == design.architecture]
        twins = [CELLS.design_of(turned), *(CELLS.design(row) for row in others)]
        means, deviations = surrogate.predict([design, *twins, design])
        np.testing.assert_allclose(means, means[0], rtol=1e-9)
        np.testing.assert_allclose(deviations, deviations[0], rtol=1e-6)


def test_rows_are_canonical_whatever_container_they_come_in() -> None:
    surrogate = GraphSurrogate(CELLS)
    everything = CELLS.enumerate()
    rows = surrogate.rows(everything)
    assert rows.shape == (len(everything), 6)
    assert rows.tolist() == [list(design.row) for design in everything]
    assert surrogate.rows(list(everything)).equal(rows)
    assert surrogate.rows(everything).equal(rows)
    assert surrogate.rows(everything[3:5]).equal(rows[3:5])


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["different", "equal", "two values", "outlier"])
def test_a_few_points_of_any_values_are_enough(n: int, kind: str) -> None:
    designs = sample(CELLS, n)
    values = {
        "different": [planted(design) + 0.01 * i for i, design in enumerate(designs)],
        "equal": [7.0] * n,
        "two values": [float(i % 2) for i in range(n)],
        "outlier": [1e30, *[1.0] * (n - 1)],
    }[kind]
    mean, deviation = GraphSurrogate(CELLS).fit(designs, values).predict(CELLS.enumerate())
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert (deviation > 0).all()


def test_equal_values_predict_themselves() -> None:
    designs = sample(CELLS, 12)
    surrogate = GraphSurrogate(CELLS).fit(designs, [3.0] * 12)
    mean, _ = surrogate.predict(CELLS.enumerate())
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(surrogate.transform.inverse(mean), 3.0)


def test_conditioning_is_fitting_without_new_hyperparameters() -> None:
    designs = sample(CELLS, 25)
    values = [planted(design) for design in designs]
    early = GraphSurrogate(CELLS).fit(designs[:20], values[:20]).condition(designs, values)
    at_once = GraphSurrogate(CELLS).fit(designs, values, fit_on=20)
    for a, b in zip(early.predict(designs), at_once.predict(designs), strict=True):
        np.testing.assert_array_equal(a, b)
    late = GraphSurrogate(CELLS).fit(designs, values)
    assert not np.array_equal(late.predict(designs)[0], at_once.predict(designs)[0])


def test_the_mean_is_the_average_over_the_models_and_the_spread_that_of_the_mixture() -> None:
    designs = sample(CELLS, 20)
    surrogate = GraphSurrogate(CELLS).fit(designs, [planted(design) for design in designs])
    assert len(surrogate.models) == len(default_kernels(CELLS))
    pool = CELLS.enumerate()[:30]
    moments = [model.moments(surrogate.rows(pool)) for model in surrogate.models]
    means = np.stack([mean.numpy() for mean, _ in moments])
    variances = np.stack([variance.numpy() for _, variance in moments])
    mean, deviation = surrogate.predict(pool)
    np.testing.assert_allclose(mean, means.mean(0))
    np.testing.assert_allclose(deviation**2, variances.mean(0) + means.var(0), rtol=1e-6)


def test_a_kernel_of_the_users_own_takes_one_argument() -> None:
    designs = sample(CELLS, 20)
    values = [planted(design) for design in designs]
    kernel = WLKernel(CELLS.decode, depth=1)
    before = {name: value.clone() for name, value in kernel.state_dict().items()}
    surrogate = GraphSurrogate(CELLS, [kernel]).fit(designs, values)
    (model,) = surrogate.models
    assert isinstance(model, GraphGP)
    assert isinstance(model.covar_module.base_kernel, WLKernel)
    assert model.covar_module.base_kernel.weights.shape == (2,)
    for name, value in kernel.state_dict().items():
        assert value.equal(before[name]), "the kernel that was given stays as it is"


def test_a_factory_sees_the_architectures_that_it_is_fitted_on() -> None:
    seen: list[int] = []

    def factory(train: list[Architecture]) -> Kernel:
        seen.append(len(train))
        return WLKernel(CELLS.decode)

    designs = sample(CELLS, 15)
    values = [planted(design) for design in designs]
    surrogate = GraphSurrogate(CELLS, [factory, weisfeiler_lehman(CELLS)])
    surrogate.fit(designs, values, fit_on=12)
    assert seen == [12]
    assert len(surrogate.models) == 2


def test_the_default_kernels_follow_the_properties_of_the_space() -> None:
    assert len(default_kernels(CELLS)) == 4
    assert len(default_kernels(CellSpace(4, ["a"], on="nodes"))) == 3
    assert len(default_kernels(DARTSSpace())) == 4
    assert len(default_kernels(ProductSpace({"one": CELLS, "other": CELLS}))) == 5
    assert len(default_kernels(ProductSpace({"one": CELLS, "other": ChainSpace(2)}))) == 3
    assert len(default_kernels(RegNetSpace())) == 4
    assert len(default_kernels(RandomlyWiredSpace())) == 3
    assert len(default_kernels(PoolSpace([Architecture(["input", "output"], [(0, 1)])]))) == 2


def test_surrogates_survive_pickling() -> None:
    designs = sample(CELLS, 15)
    surrogate = GraphSurrogate(CELLS).fit(designs, [planted(design) for design in designs])
    copied = pickle.loads(pickle.dumps(surrogate))
    for a, b in zip(copied.predict(designs), surrogate.predict(designs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_designs_and_values_go_together() -> None:
    with pytest.raises(ValueError, match="3 designs but 2 values"):
        GraphSurrogate(CELLS).fit(sample(CELLS, 3), [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one"):
        GraphSurrogate(CELLS).fit([], [])


def test_what_is_learnt_of_an_operation_in_one_part_serves_the_others() -> None:
    cells = CellSpace(3, ["a", "b"], on="edges")
    space = ProductSpace({"first": cells, "second": cells})
    empty, good, bad = (
        Architecture(["input", "output"], [(0, 1, label)] if label else [])
        for label in ("", "a", "b")
    )
    seen = [space.design_of(space.join({"first": x, "second": empty})) for x in (good, bad)]
    unseen = [space.design_of(space.join({"first": empty, "second": x})) for x in (good, bad)]

    def predicted(*kernels: KernelFactory) -> float:
        surrogate = GraphSurrogate(space, kernels=list(kernels)).fit(seen, [0.0, 1.0])
        means, _ = surrogate.predict(unseen)
        return float(means[1] - means[0])

    assert predicted(part_blind(space)) > 0.1
    assert predicted(weisfeiler_lehman(space)) == pytest.approx(0, abs=1e-6)
