"""Effects of features, against posteriors at architectures that differ by one occurrence."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from gpytorch.kernels import (
    AdditiveKernel,
    Kernel,
    MaternKernel,
    ProductKernel,
    RBFKernel,
    ScaleKernel,
)
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import (
    EditDistanceKernel,
    Feature,
    FeatureMap,
    FeatureStore,
    GraphletMap,
    JointKernel,
    LinearFeatureKernel,
    ListDecoder,
    OneHotKernel,
    PathKernel,
    PathMap,
    RandomWalkMap,
    RBFFeatureKernel,
    ShortestPathMap,
    SpectrumMap,
    SubsequenceKernel,
    SubsequenceMap,
    SubsequenceRBFKernel,
    WeisfeilerLehmanMap,
    WLKernel,
    WLOptimalAssignmentKernel,
    WLRBFKernel,
)
from graphbo.spaces import NASBench201Space
from graphbo.surrogates import GraphGP, GraphSurrogate, explain, feature_effects
from graphbo.surrogates.defaults import spectrum, weisfeiler_lehman


def chain(*operations: str) -> Architecture:
    n = len(operations) + 1
    return Architecture(["input", *operations, "output"], [(i, i + 1) for i in range(n)])


def fork(*operations: str) -> Architecture:
    inner = range(1, len(operations) + 1)
    edges = [edge for i in inner for edge in ((0, i), (i, len(operations) + 1))]
    return Architecture(["input", *operations, "output"], edges)


CHAINS = [
    chain("a"),
    chain("a", "a"),
    chain("a", "b"),
    chain("b", "b"),
    chain("a", "a", "b"),
    chain("c"),
    chain("a", "b", "c"),
]
TARGETS = torch.tensor([[3.0], [4.5], [2.0], [-1.0], [3.2], [0.5], [1.7]]).double()
# Each differs from the next by one operation.
MORE, LESS, OPERATION = chain("a", "a", "b", "b"), chain("a", "a", "b"), "b"


def column(x: Tensor) -> Tensor:
    """Rows with a second, continuous column."""
    return torch.cat([x, torch.linspace(0, 1, len(x)).double().unsqueeze(-1)], dim=1)


KERNELS: dict[str, Callable[[ListDecoder], Kernel]] = {
    "linear": lambda d: WLKernel(d, 0, normalize=False),
    "cosine": lambda d: WLKernel(d, 0),
    "optimal assignment": lambda d: WLOptimalAssignmentKernel(d, 0),
    "squared exponential": lambda d: WLRBFKernel(d, 0),
    "scaled sum": lambda d: ScaleKernel(WLKernel(d, 0) + WLRBFKernel(d, 0)),
    "scaled product": lambda d: WLRBFKernel(d, 0) * ScaleKernel(WLOptimalAssignmentKernel(d, 0)),
    "with a column": lambda d: ProductKernel(
        WLRBFKernel(d, 0, active_dims=[0]), MaternKernel(active_dims=[1])
    ),
    "scaled, with a column": lambda d: ProductKernel(
        ScaleKernel(WLRBFKernel(d, 0, active_dims=[0])), ScaleKernel(RBFKernel(active_dims=[1]))
    ),
    "around another": lambda d: SubsequenceRBFKernel(d, 1),
    "beside positions": lambda d: ProductKernel(
        WLRBFKernel(d, 0, active_dims=[0]), OneHotKernel([2], active_dims=[1])
    ),
}


def gp(kernel: Kernel, x: Tensor, y: Tensor = TARGETS) -> SingleTaskGP:
    model = SingleTaskGP(x, y, covar_module=kernel)
    model.likelihood.noise = 0.05
    return model.eval()


@pytest.mark.parametrize("name", KERNELS)
def test_an_effect_is_the_difference_that_one_occurrence_makes(name: str) -> None:
    decoder = ListDecoder(CHAINS)
    kernel = KERNELS[name](decoder)
    wide = "column" in name or "positions" in name
    train = column(decoder.rows) if wide else decoder.rows
    model = gp(kernel, train)
    pair = decoder.add([MORE, LESS])
    if wide:
        pair = torch.cat([pair, torch.ones(2, 1).double()], dim=1)
    (effect,) = [e for e in feature_effects(model, pair[:1]) if e.name == OPERATION]
    with torch.no_grad():
        posterior: Any = model.posterior(pair)
        expected = (posterior.mean[0] - posterior.mean[1]).item()
        variance = (posterior.covariance_matrix * torch.tensor([[1, -1], [-1, 1]])).sum().item()
    assert effect.effect == pytest.approx(expected, abs=1e-6)
    assert effect.uncertainty == pytest.approx(variance**0.5, rel=1e-4)
    assert (effect.occurrences, effect.deviation) == (1, 0)


COLUMNS: dict[str, Callable[[ListDecoder], Kernel]] = {
    "inner kernel": lambda d: SubsequenceRBFKernel(d, 1, active_dims=[1]),
    "scaled": lambda d: ScaleKernel(ScaleKernel(WLRBFKernel(d, 0, active_dims=[1]))),
    "scaled inner kernel": lambda d: ScaleKernel(SubsequenceRBFKernel(d, 1, active_dims=[1])),
    "sum": lambda d: _Selecting(WLKernel(d, 0) + WLRBFKernel(d, 0), [1]),
    "twice": lambda d: _Selecting(
        WLRBFKernel(d, 0, active_dims=[1]) * RBFKernel(active_dims=[0]), [0, 1]
    ),
    "twice in other order": lambda d: _Selecting(WLRBFKernel(d, 0, active_dims=[0]), [1, 0]),
}


class _Selecting(AdditiveKernel):
    """A sum whose terms see some columns."""

    def __init__(self, kernel: Kernel, columns: list[int]) -> None:
        super().__init__(kernel)
        self.active_dims = torch.tensor(columns)


@pytest.mark.parametrize("name", COLUMNS)
def test_kernels_in_kernels_see_the_columns_that_are_selected_for_them(name: str) -> None:
    decoder = ListDecoder(CHAINS)
    x = column(decoder.rows).flip(-1)
    model = gp(COLUMNS[name](decoder), x)
    pair = torch.cat([torch.ones(2, 1).double(), decoder.add([MORE, LESS])], dim=1)
    (effect,) = [e for e in feature_effects(model, pair[:1]) if e.name == OPERATION]
    mean = model.posterior(pair).mean
    assert effect.effect == pytest.approx((mean[0] - mean[1]).item(), abs=1e-6)


def test_the_effect_of_a_path_is_the_difference_that_it_makes() -> None:
    trained = [fork("a"), fork("a", "b"), fork("b"), fork("a", "a"), fork("b", "c"), fork("c", "a")]
    for make in (
        lambda d: PathKernel(d, ["/a", "/b"]),  # c counts with the others
        lambda d: LinearFeatureKernel(FeatureStore(d, PathMap(), unary=True)),
        lambda d: JointKernel([OneHotKernel([1]), PathKernel(d, ["/a", "/b"])]),
    ):
        decoder = ListDecoder(trained)
        model = gp(make(decoder), decoder.rows, TARGETS[:6])
        at, without_c, without_a = decoder.add(
            [fork("a", "b", "c"), fork("a", "b"), fork("b", "c")]
        )
        effects = {e.name: e.effect for e in feature_effects(model, at.unsqueeze(0))}
        mean = model.posterior(torch.stack([at, without_c, without_a])).mean.squeeze(-1)
        assert effects["input > c > output"] == pytest.approx((mean[0] - mean[1]).item(), abs=1e-6)
        assert effects["input > a > output"] == pytest.approx((mean[0] - mean[2]).item(), abs=1e-6)


def test_under_a_linear_kernel_effects_are_the_derivative() -> None:
    """As Ru et al. define it, the same at every architecture."""
    decoder = ListDecoder(CHAINS)
    model = GraphGP(decoder.rows, TARGETS, WLKernel(decoder, 2, normalize=False)).eval()
    store = model.covar_module.base_kernel.store
    gram = model.covar_module(decoder.rows).to_dense().detach()
    noise = model.likelihood.noise.item() * torch.eye(len(CHAINS)).double()
    weights = torch.linalg.solve(gram + noise, TARGETS)
    scale = model.covar_module.outputscale.item() * model.covar_module.base_kernel.weights
    effects = feature_effects(model)
    assert {e.block for e in effects} >= {"depth_0", "depth_1"}
    for effect in effects:
        expected = 0.0
        for feature in effect.features:
            block = store.feature_map.blocks.index(feature.block)
            counts = store.dense(decoder.rows, np.array([feature.key], np.uint64), block)
            expected += (scale[block] * counts.T @ weights).item()
        assert effect.effect == pytest.approx(expected, abs=1e-8)
        assert effect.deviation == pytest.approx(0, abs=1e-8)


def test_one_occurrence_of_a_subsequence_counts_by_its_gap() -> None:
    """Its effect is taken away at every decay from which the kernel interpolates."""
    decoder = ListDecoder(CHAINS)
    kernel = SubsequenceKernel(decoder, 2, max_gap=2, normalize=False).double()
    kernel.gap_decay, kernel.weights = 0.6, torch.tensor([0.5, 2.0])
    model = GraphGP(decoder.rows, TARGETS, kernel).eval()
    gram = model.covar_module(decoder.rows).to_dense().detach()
    noise = model.likelihood.noise.item() * torch.eye(len(CHAINS)).double()
    weights = torch.linalg.solve(gram + noise, TARGETS).flatten()
    effects = {f: e.effect for e in feature_effects(model) for f in e.features}
    skipping = [f for f in effects if f.block == "length_2_gap_1" and f.name.startswith("a -> out")]
    assert [f.name for f in skipping] == ["a -> output (1 skipped)"]
    # How the kernel sees "a", perhaps something, "output" in each chain: by distance from the end.
    phi = torch.zeros(len(CHAINS)).double()
    for i, graph in enumerate(CHAINS):
        for place, label in enumerate(reversed(graph.nodes[1:-1])):
            phi[i] += 0.6**place if label == "a" and place <= 2 else 0.0
    assert effects[skipping[0]] == pytest.approx(2.0 * 0.6 * (phi @ weights).item(), abs=1e-6)


def test_effects_average_over_the_architectures_with_the_feature() -> None:
    decoder = ListDecoder(CHAINS)
    model = gp(WLRBFKernel(decoder, 1), decoder.rows)
    each = [feature_effects(model, row.unsqueeze(0)) for row in decoder.rows]
    for effect in feature_effects(model):
        local = [e.effect for found in each for e in found if e.features == effect.features]
        assert effect.occurrences == len(local)
        assert effect.effect == pytest.approx(np.mean(local), abs=1e-8)
        assert effect.deviation == pytest.approx(np.std(local), abs=1e-8)


def test_many_architectures_are_treated_some_at_a_time() -> None:
    rng = np.random.default_rng(0)
    graphs = [chain(*rng.choice(list("abc"), rng.integers(1, 6))) for _ in range(900)]
    decoder = ListDecoder(graphs)
    x, y = decoder.rows, torch.tensor(rng.normal(size=(40, 1)))
    model = gp(WLRBFKernel(decoder, 0), x[:40], y)
    together = {e.name: e for e in feature_effects(model, x)}
    assert together["a"].occurrences > 500
    local = [e.effect for row in x[:60] for e in feature_effects(model, row[None]) if e.name == "a"]
    assert np.mean(local) == pytest.approx(
        {e.name: e for e in feature_effects(model, x[:60])}["a"].effect
    )
    assert together["a"].effect == pytest.approx(np.mean(local), abs=together["a"].deviation)
    assert 0 < together["a"].uncertainty < 1


def test_effects_have_the_units_and_the_sign_of_the_targets() -> None:
    decoder = ListDecoder(CHAINS)
    counts = torch.tensor([[graph.nodes.count("a")] for graph in CHAINS]).double()
    model = gp(WLRBFKernel(decoder, 0), decoder.rows, 50 + 20 * counts)
    (raises,) = [e for e in feature_effects(model) if e.name == "a"]
    assert 10 < raises.effect < 30
    assert raises.score == raises.effect / raises.uncertainty > 0
    lowered = gp(WLRBFKernel(decoder, 0), decoder.rows, 50 - 20 * counts)
    (lowers,) = [e for e in feature_effects(lowered) if e.name == "a"]
    assert lowers.effect == pytest.approx(-raises.effect)
    assert feature_effects(model)[0].name == "a"
    prediction = model.posterior(decoder.rows[1:2]).mean.item()
    assert explain(model, decoder.rows[1]).prediction == pytest.approx(prediction)


def test_features_that_always_come_together_are_one_and_constant_ones_none() -> None:
    decoder = ListDecoder(CHAINS)
    effects = feature_effects(gp(WLRBFKernel(decoder, 1), decoder.rows))
    names = [[feature.name for feature in effect.features] for effect in effects]
    assert not any("input" in group or "output" in group for group in names)
    # c stands alone in one chain and behind b in another.
    assert ["c", "output(in: c)"] in names
    assert ["input(out: c)", "c(in: input; out: output)"] in names


def test_a_surrogate_averages_over_its_models() -> None:
    space, rng = NASBench201Space(), np.random.default_rng(0)
    designs = [space.sample(rng) for _ in range(25)]
    errors = [len(d.architecture) + rng.normal() for d in designs]
    kernels = [weisfeiler_lehman(space), spectrum(space)]
    surrogate = GraphSurrogate(space, kernels).fit(designs, errors)
    both = {e.features: e for e in feature_effects(surrogate, designs[:4])}
    rows = surrogate.rows(designs[:4])
    means: dict[object, float] = {}
    for model in surrogate.models:
        for effect in feature_effects(model, rows):
            for feature in effect.features:
                means[feature] = means.get(feature, 0.0) + effect.effect / 2
    assert {effect.block for effect in both.values()} >= {"depth_0", "2-grams"}
    for features, effect in both.items():
        if len(features) == 1:
            assert effect.effect == pytest.approx(means[features[0]], abs=1e-7)
    explanation = explain(surrogate, designs[0])
    assert explanation.unit == "normal scores"
    assert explanation.prediction == pytest.approx(surrogate.predict(designs[:1])[0][0])


def test_the_parts_of_an_architecture_share_its_effects() -> None:
    space, rng = NASBench201Space(), np.random.default_rng(1)
    designs = [space.sample(rng) for _ in range(25)]
    count = [d.architecture.pruned() for d in designs]
    errors = [-sum(w == "nor_conv_3x3" for *_, w in a.edges) + 0.1 * rng.normal() for a in count]
    surrogate = GraphSurrogate(space, [weisfeiler_lehman(space, depth=0)]).fit(designs, errors)
    best = designs[int(np.argmin(errors))]
    explanation = explain(surrogate, best)
    assert explanation.architecture == best.architecture.pruned()
    effects = {effect.name: effect.effect for effect in explanation.features}
    edges = {(u, v): label for u, v, label in explanation.architecture.edges}
    last = len(explanation.architecture) - 1
    labels: dict[object, str] = {0: "input", last: "output"}
    labels |= edges  # type: ignore[arg-type]
    assert set(explanation.parts) == set(labels)
    for part, value in explanation.parts.items():
        assert value == pytest.approx(effects.get(labels[part], 0.0))
    surest = explanation.features[0]
    assert (surest.name, surest.effect < 0) == ("nor_conv_3x3", True)


def test_a_path_shares_its_effect_among_its_operations() -> None:
    decoder = ListDecoder([fork("a"), chain("a", "b"), fork("a", "b"), chain("b", "a"), fork("c")])
    kernel = LinearFeatureKernel(FeatureStore(decoder, PathMap()), normalize=False)
    model = gp(kernel, decoder.rows, TARGETS[:5])
    explanation = explain(model, decoder.rows[1])
    (effect,) = explanation.features
    assert explanation.parts == pytest.approx(
        {0: 0, 1: effect.effect / 2, 2: effect.effect / 2, 3: 0}
    )


@pytest.mark.parametrize(
    "feature_map",
    [
        SpectrumMap(3),
        SpectrumMap(3, "tokens"),
        SubsequenceMap(2, 2),
        RandomWalkMap(2),
        ShortestPathMap(),
        GraphletMap(3),
    ],
    ids=lambda feature_map: type(feature_map).__name__,
)
def test_all_effects_are_shared_out_to_nodes_and_operations_on_edges(
    feature_map: FeatureMap,
) -> None:
    rng, space = np.random.default_rng(0), NASBench201Space()
    decoder = ListDecoder(space.sample(rng).architecture for _ in range(12))
    kernel = RBFFeatureKernel(FeatureStore(decoder, feature_map, unary=True))
    model = gp(kernel, decoder.rows, torch.tensor(rng.normal(size=(12, 1))))
    explanation = explain(model, decoder.rows[0])
    times: Counter[Feature] = Counter()
    for occurrence in feature_map.occurrences(explanation.architecture):
        times[occurrence.feature] += occurrence.times  # type: ignore[assignment]
    shares = [
        effect.effect * sum(times[feature] for feature in effect.features) / len(effect.features)
        for effect in explanation.features
    ]
    assert len(shares) > 5
    assert sum(explanation.parts.values()) == pytest.approx(sum(shares))
    assert sum(value != 0 for value in explanation.parts.values()) > 3


def test_a_model_is_not_changed() -> None:
    decoder = ListDecoder(CHAINS)
    kernel = ScaleKernel(WLRBFKernel(decoder, 1, active_dims=[0])) + ScaleKernel(
        RBFKernel(active_dims=[1])
    )
    x = column(decoder.rows)
    model = gp(kernel, x)
    before, state = kernel(x).to_dense(), copy.deepcopy(model.state_dict())
    feature_effects(model)
    torch.testing.assert_close(kernel(x).to_dense(), before)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_mistakes_are_named() -> None:
    space, decoder = NASBench201Space(), ListDecoder(CHAINS)
    with pytest.raises(ValueError, match="not been fitted"):
        feature_effects(GraphSurrogate(space))
    with pytest.raises(ValueError, match="no feature map"):
        feature_effects(gp(RBFKernel(), decoder.rows))
    with pytest.raises(ValueError, match="no feature map"):
        feature_effects(gp(EditDistanceKernel(decoder, CHAINS), decoder.rows))
    two_outcomes = SingleTaskGP(decoder.rows, TARGETS.repeat(1, 2), covar_module=RBFKernel())
    with pytest.raises(ValueError, match="batch"):
        feature_effects(two_outcomes)
    model = gp(WLKernel(decoder), decoder.rows)
    with pytest.raises(ValueError, match="rows"):
        feature_effects(model, [space.sample(np.random.default_rng(0))])


def test_maps_without_names_of_their_own_are_explained_too() -> None:
    class Anonymous(WeisfeilerLehmanMap):
        occurrences = WeisfeilerLehmanMap.__mro__[1].occurrences  # type: ignore[attr-defined]

    decoder = ListDecoder(CHAINS)
    stores = [FeatureStore(decoder, m(0)) for m in (Anonymous, WeisfeilerLehmanMap)]
    anonymous, named = (
        feature_effects(gp(LinearFeatureKernel(store), decoder.rows)) for store in stores
    )
    assert [e.effect for e in anonymous] == pytest.approx([e.effect for e in named])
    assert all(e.name.startswith("depth_0 ") for e in anonymous)
