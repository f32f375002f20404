"""A finite pool of architectures with hyperparameters: only its members are proposed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from graphbo.advice.features import SpaceFeatures
from graphbo.errors import InputError
from graphbo.optimizers import make_optimizer
from graphbo.optimizers.configured import Configurations
from graphbo.spaces import CellSpace, Design, JointPoolSpace, JointSpace
from graphbo.spaces.description import described
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.testing.spaces import check_space
from graphbo.trial import Trial

CELLS = CellSpace(3, ["a", "b"], on="edges")
WHOLE = JointSpace(
    CELLS,
    hyperparameters_from_settings(
        {
            "rate": {"low": 0.0, "high": 1.0},
            "kind": ["x", "y", "z"],
            "strength": {"low": 0.0, "high": 1.0, "when": {"kind": "y"}},
        }
    ),
)


def sample(n: int, seed: int = 0) -> list[Design]:
    rng = np.random.default_rng(seed)
    return [WHOLE.sample(rng) for _ in range(n)]


def member(row: tuple[int, int, int], rate: float, kind: str = "x", **more: float) -> Design:
    values = {"rate": rate, "kind": kind, **more}
    return Design(CELLS.design(row).architecture, row, hyperparameters=values)


@pytest.fixture(scope="module")
def pool() -> JointPoolSpace:
    return JointPoolSpace(sample(60), WHOLE, "part")


def test_it_conforms(pool: JointPoolSpace) -> None:
    check_space(pool, samples=10)
    check_space(JointPoolSpace(sample(1), WHOLE), samples=2)


def test_it_holds_its_members_once_each(pool: JointPoolSpace) -> None:
    designs = sample(60)
    assert pool.size == len(set(designs)) == 60
    assert pool.enumerate() == tuple(designs)
    assert JointPoolSpace([*designs, *designs[:5]], WHOLE).size == 60
    assert pool.kind == "both"
    assert pickle.loads(pickle.dumps(pool)).enumerate() == pool.enumerate()


def test_near_means_few_edits_and_like_hyperparameters() -> None:
    centre = member((1, 1, 1), 0.5)
    ranked = [
        member((1, 1, 1), 0.6),
        member((1, 1, 1), 0.1),
        member((1, 1, 1), 0.5, "z"),
        member((1, 1, 1), 0.5, "y", strength=0.5),  # another choice, and what depends on it
        member((1, 1, 1), 1.0, "y", strength=0.5),
    ]
    pool = JointPoolSpace([*reversed(ranked), centre], WHOLE)
    assert pool.neighbors(centre) == ranked
    assert pool.neighbors(centre, exclude=ranked[:2]) == ranked[2:]
    assert pool.mutate(centre, np.random.default_rng(0), exclude=ranked[1:]) == ranked[0]


def test_no_optimizer_leaves_the_pool(pool: JointPoolSpace) -> None:
    members = set(pool.enumerate())
    for name in ("graph-bo", "local-search", "regularized-evolution", "random", "random-ranking"):
        optimizer = make_optimizer(name, pool, seed=1)
        for k in range(7):
            (design,) = optimizer.ask()
            assert design in members, name
            rate = design.hyperparameters["rate"]
            assert isinstance(rate, float)
            optimizer.tell(Trial(design, value=(rate - 0.3) ** 2, number=k))


def test_what_configspace_proposes_stands_for_the_nearest_member(pool: JointPoolSpace) -> None:
    configurations = Configurations(pool, "test")
    rng = np.random.default_rng(5)
    for _ in range(10):
        drawn = WHOLE.sample(rng)
        found = configurations.from_configuration(WHOLE.to_configuration(drawn), "test")
        assert found == pool.nearest(drawn) == pool.neighbors(drawn)[0]
        vector = (*drawn.row, *WHOLE.hyperparameters.vector(drawn.hyperparameters))
        assert configurations.from_vector(vector, "test") == found
    for design in pool.enumerate()[:5]:
        assert configurations.from_vector(configurations.vector(design), "test") == design
        assert configurations.from_configuration(configurations.to_configuration(design), "") == (
            design
        )


def test_there_is_no_configspace_of_the_pool_alone(pool: JointPoolSpace) -> None:
    message = "finite pool of 60 designs, which no ConfigSpace describes"
    with pytest.raises(InputError, match=message):
        _ = pool.configuration_space
    with pytest.raises(InputError, match=message):
        pool.from_configuration({})


def test_what_is_no_member_is_refused(pool: JointPoolSpace) -> None:
    with pytest.raises(InputError, match="has no designs"):
        JointPoolSpace([], WHOLE)
    with pytest.raises(InputError, match="rate must be a value of"):
        JointPoolSpace([member((1, 1, 1), 2.0)], WHOLE)
    few = JointPoolSpace([member((1, 1, 1), 0.5)], WHOLE)
    with pytest.raises(ValueError, match="is not in the pool"):
        few.encode(CELLS.design((0, 0, 1)).architecture)


def test_it_is_described_as_a_part_of_its_space(pool: JointPoolSpace) -> None:
    assert described(pool) == described(WHOLE)
    features = SpaceFeatures.of(pool, encoder=False)
    assert (features.size, features.enumerable, features.conditional) == (60, True, True)
