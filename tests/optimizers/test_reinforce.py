"""The controller and its policy gradient, by hand where it can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from graphbo.errors import InputError
from graphbo.optimizers import RandomSearch, Reinforce
from graphbo.optimizers.controller import Controller
from graphbo.optimizers.reinforce import Advantage
from graphbo.spaces import CellSpace, ChainSpace, Design, PoolSpace
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b"], on="edges")
CHAINS = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_probability(optimizer: Reinforce, design: Design) -> float:
    with torch.no_grad():
        return float(optimizer.controller.score(torch.tensor([design.row]))[0])


def test_the_probabilities_of_all_configurations_add_up_to_one() -> None:
    """With conditions, too: what is inactive has no probability of its own."""
    rows = torch.tensor(list(CHAINS._rows()))
    assert len(rows) == 3 + 3**2
    controller = Controller(CHAINS.decisions, generator(), hidden=6)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter *= 20
    log_probabilities, entropy = controller.score(rows)
    assert log_probabilities.exp().sum().item() == pytest.approx(1)
    assert log_probabilities.std() > 0.1
    assert (entropy > 0).all()


def test_rows_are_drawn_with_their_probability() -> None:
    controller = Controller(CHAINS.decisions, generator(1), hidden=6)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter *= 20
    drawn = [tuple(row) for row in controller.sample(6000, generator(2)).tolist()]
    for row in CHAINS._rows():
        probability = controller.score(torch.tensor([row]))[0].exp().item()
        error = 5 * math.sqrt(probability / 6000) + 1e-3
        assert drawn.count(row) / 6000 == pytest.approx(probability, abs=error)


def test_the_weights_are_small_and_those_of_the_seed() -> None:
    one, other = (Controller(SPACE.decisions, generator(seed)) for seed in (0, 1))
    weights = torch.cat([parameter.flatten() for parameter in one.parameters()])
    assert weights.abs().max() <= 0.08
    assert not weights.equal(torch.cat([p.flatten() for p in other.parameters()]))


def test_advantages_by_hand() -> None:
    advantage = Advantage(decay=0.9)
    assert advantage(4.0) == 0, "the first is its own baseline"
    # The baseline is 4; the values 4 and 2 have a standard deviation of 1.
    assert advantage(2.0) == pytest.approx(2.0)
    # The baseline is 0.9 * 4 + 0.1 * 2; of 4, 2 and 6 the deviation is the root of 8 / 3.
    assert advantage(6.0) == pytest.approx((3.8 - 6.0) / math.sqrt(8 / 3))
    assert advantage.baseline == pytest.approx(0.9 * 3.8 + 0.1 * 6.0)


def test_the_gradient_of_one_decision_by_hand() -> None:
    """In the biases of the softmax: what was drawn minus its probability, times the advantage."""
    space = CellSpace(2, ["a", "b"], on="edges")
    optimizer = Reinforce(space, entropy_weight=0.0)
    rows = torch.tensor([[1], [2]])
    with torch.no_grad():
        first = torch.stack([optimizer.controller.score(torch.tensor([[i]]))[0] for i in range(3)])
    probabilities = first.exp().flatten()
    optimizer.loss(rows, torch.tensor([0.5, -2.0]).double()).backward()
    drawn = torch.eye(3).double()[[1, 2]]
    expected = (0.5 * (drawn[0] - probabilities) - 2.0 * (drawn[1] - probabilities)) / 2
    gradient = optimizer.controller.heads[0].bias.grad
    torch.testing.assert_close(gradient, -expected)


def test_entropy_pulls_towards_the_uniform_policy() -> None:
    space = CellSpace(2, ["a", "b"], on="edges")
    optimizer = Reinforce(space, entropy_weight=1.0)
    with torch.no_grad():
        optimizer.controller.heads[0].bias[1] += 2
    optimizer.loss(torch.tensor([[1]]), torch.zeros(1).double()).backward()
    gradient = optimizer.controller.heads[0].bias.grad
    assert gradient[1] > 0 > gradient[0], "descending lowers the likely choice"


def test_better_than_the_baseline_becomes_likelier_and_worse_less_likely() -> None:
    for value, sign in ((1.0, 1), (9.0, -1)):
        optimizer = Reinforce(SPACE)
        first, second = optimizer.ask(2)
        optimizer.tell(Trial(first, value=5.0))
        optimizer.ask()
        before = log_probability(optimizer, second)
        optimizer.tell(Trial(second, value=value))
        optimizer.ask()
        assert sign * (log_probability(optimizer, second) - before) > 0


def test_only_results_of_its_own_designs_move_the_policy() -> None:
    optimizer = Reinforce(SPACE)
    (design,) = optimizer.ask()
    strangers = [d for d in RandomSearch(SPACE).ask(4) if d != design]
    before = log_probability(optimizer, design)
    optimizer.tell([Trial(stranger, value=float(i)) for i, stranger in enumerate(strangers)])
    optimizer.tell(Trial(design, error="failed"))
    optimizer.ask()
    assert log_probability(optimizer, design) == before


def test_an_update_averages_over_a_batch() -> None:
    optimizer = Reinforce(SPACE, batch=3)
    designs = optimizer.ask(3)
    before = log_probability(optimizer, designs[0])
    for i, design in enumerate(designs):
        assert log_probability(optimizer, designs[0]) == before
        optimizer.tell(Trial(design, value=float(i % 2)))
        optimizer.ask()
    assert log_probability(optimizer, designs[0]) != before


def test_when_it_learned_does_not_matter() -> None:
    """Asked after every result or after all: the weights follow from the order of the results."""
    patient, hasty = Reinforce(SPACE, seed=2), Reinforce(SPACE, seed=2)
    designs = hasty.ask(6)
    trials = [Trial(design, value=float(i * 7 % 5)) for i, design in enumerate(designs)]
    for trial in trials:
        hasty.tell(trial)
        hasty.ask()
    patient.replay([designs, *trials])
    patient.ask()
    pairs = zip(patient.controller.parameters(), hasty.controller.parameters(), strict=True)
    assert all(a.equal(b) for a, b in pairs)


def test_it_comes_to_draw_better_designs_than_at_random() -> None:
    space = ChainSpace(6)

    def late(kind: type[Reinforce] | type[RandomSearch], seed: int) -> float:
        """Return the mean over the last 15 of 60 designs."""
        optimizer = kind(space, seed=seed)
        found = []
        for _ in range(60):
            (design,) = optimizer.ask()
            layers = design.architecture.nodes
            found.append(sum(1 - 2 * layer.startswith("conv3x3") for layer in layers))
            optimizer.tell(Trial(design, value=float(found[-1])))
        return float(np.mean(found[45:]))

    ours, theirs = (np.mean([late(k, s) for s in range(2)]) for k in (Reinforce, RandomSearch))
    assert ours < theirs - 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "the learning rate is positive"),
        ({"baseline_decay": 1.0}, "from 0 to below 1; got 1.0"),
        ({"batch": 0}, "at least 1; got 0 and 35"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Reinforce(SPACE, **settings)  # type: ignore[arg-type]


def test_pools_are_searched_as_parts_of_a_space_only() -> None:
    members = [design.architecture for design in SPACE.enumerate()[::3]]
    pool = PoolSpace(members, parent=SPACE)
    optimizer = Reinforce(pool)
    for i in range(4):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value=float(i)))
    assert design.architecture in pool
    with pytest.raises(InputError, match="reinforce reads the configuration"):
        Reinforce(PoolSpace(members))
