"""What a pretrained encoder embeds and predicts."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.embeddings import GINEncoder, Predictor, Pretrained
from graphbo.embeddings.testing import example_architectures

EXAMPLES = example_architectures()
TASKS = ("flops", "naswot", "depth")
VOTES = (0.5, -0.5, 0.0)


@pytest.fixture
def pretrained() -> Pretrained:
    """A pretrained encoder that knows the examples."""
    torch.manual_seed(0)
    encoder = GINEncoder(("conv1x1", "conv3x3", "maxpool"), dim=5, hidden=8, layers=1)
    pretrained = Pretrained(encoder, TASKS, VOTES, {"note": "random"}).double().eval()
    pretrained.standardize(encoder.batch(EXAMPLES))
    return pretrained.requires_grad_(False)


def test_embeddings_are_standardised_vectors_of_the_encoder(pretrained: Pretrained) -> None:
    vectors = pretrained.encoder(EXAMPLES)
    expected = (vectors - vectors.mean(0)) / vectors.std(0)
    torch.testing.assert_close(pretrained(EXAMPLES), expected)
    assert pretrained.dim == 5


def test_standardisation_stays_whatever_is_embedded(pretrained: Pretrained) -> None:
    torch.testing.assert_close(pretrained(EXAMPLES[3:5]), pretrained(EXAMPLES)[3:5])


def test_columns_without_variation_are_zero() -> None:
    encoder = GINEncoder(("conv1x1", "conv3x3", "maxpool"), dim=3)
    with torch.no_grad():
        encoder.readout.weight[1] = 0
    pretrained = Pretrained(encoder).eval()
    pretrained.standardize(encoder.batch(EXAMPLES))
    embeddings = pretrained(EXAMPLES)
    torch.testing.assert_close(embeddings[:, 1], torch.zeros(len(EXAMPLES)))
    torch.testing.assert_close(embeddings.std(0)[[0, 2]], torch.ones(2))


def test_each_task_is_predicted_by_the_head(pretrained: Pretrained) -> None:
    scores = pretrained.head(pretrained.encoder(EXAMPLES))
    for i, task in enumerate(TASKS):
        torch.testing.assert_close(pretrained.predict(EXAMPLES, task), scores[:, i])


def test_omens_are_the_standardised_vote(pretrained: Pretrained) -> None:
    vote = pretrained.predict(EXAMPLES, "flops") - pretrained.predict(EXAMPLES, "naswot")
    omens = pretrained.omens(EXAMPLES)
    torch.testing.assert_close(omens, (vote - vote.mean()) / vote.std())
    torch.testing.assert_close(pretrained.omens(EXAMPLES[2:3]), omens[2:3])


def test_a_task_that_is_no_omen_has_no_say(pretrained: Pretrained) -> None:
    before = pretrained.omens(EXAMPLES)
    *_, last = pretrained.head.children()
    assert isinstance(last, nn.Linear)
    last.weight[TASKS.index("depth")] += 1
    assert torch.equal(pretrained.omens(EXAMPLES), before)


def test_many_architectures_are_embedded_in_parts(pretrained: Pretrained) -> None:
    many = EXAMPLES * 150
    assert len(many) > 2000
    for function in (pretrained, pretrained.omens, Predictor(pretrained)):
        few = function(EXAMPLES)
        torch.testing.assert_close(function(many), few.repeat(150, *[1] * (few.ndim - 1)))


def test_a_batch_serves_as_its_architectures(pretrained: Pretrained) -> None:
    batch = pretrained.encoder.batch(EXAMPLES)
    assert torch.equal(pretrained(batch), pretrained(EXAMPLES))
    assert torch.equal(pretrained.omens(batch), pretrained.omens(EXAMPLES))
    assert torch.equal(pretrained.predict(batch, "depth"), pretrained.predict(EXAMPLES, "depth"))


def test_no_architectures_have_no_embeddings(pretrained: Pretrained) -> None:
    assert pretrained([]).shape == (0, 5)
    assert pretrained.omens([]).shape == (0,)
    assert pretrained.predict([], "flops").shape == (0,)


def test_the_state_holds_the_standardisation(pretrained: Pretrained) -> None:
    encoder = GINEncoder(**pretrained.encoder.settings)  # type: ignore[arg-type]
    again = Pretrained(encoder, TASKS, VOTES).double().eval()
    again.load_state_dict(pretrained.state_dict())
    assert torch.equal(again(EXAMPLES), pretrained(EXAMPLES))
    assert torch.equal(again.omens(EXAMPLES), pretrained.omens(EXAMPLES))


def test_single_precision_agrees(pretrained: Pretrained) -> None:
    single = copy.deepcopy(pretrained).float()
    assert single(EXAMPLES).dtype == torch.float32
    torch.testing.assert_close(single(EXAMPLES).double(), pretrained(EXAMPLES), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        single.omens(EXAMPLES).double(), pretrained.omens(EXAMPLES), atol=1e-3, rtol=0
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_and_cpu_agree(pretrained: Pretrained) -> None:
    on_gpu = copy.deepcopy(pretrained).cuda()
    on_gpu.standardize(on_gpu.encoder.batch(EXAMPLES))
    for name in ("forward", "omens"):
        values = getattr(on_gpu, name)(EXAMPLES)
        assert values.is_cuda
        torch.testing.assert_close(values.cpu(), getattr(pretrained, name)(EXAMPLES))


# Prior means ------------------------------------------------------------------------------------


def test_a_predictor_gives_the_omens_and_survives_pickling(pretrained: Pretrained) -> None:
    predictor = Predictor(pretrained)
    for each in (predictor, pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor)):
        assert torch.equal(each(EXAMPLES), pretrained.omens(EXAMPLES))


def test_nothing_is_random_in_evaluation_mode(pretrained: Pretrained) -> None:
    assert torch.equal(pretrained.omens(EXAMPLES), pretrained.omens(EXAMPLES))
    assert not torch.equal(pretrained.train().omens(EXAMPLES), pretrained.omens(EXAMPLES))


# Mistakes ---------------------------------------------------------------------------------------


def test_an_unknown_task_is_refused(pretrained: Pretrained) -> None:
    message = r"not pretrained to predict 'latency', but \['flops', 'naswot', 'depth'\]"
    with pytest.raises(ValueError, match=message):
        pretrained.predict(EXAMPLES, "latency")


@pytest.mark.parametrize(("tasks", "votes"), [((), ()), (("depth",), (0.0,)), (("depth",), ())])
def test_without_omens_there_is_no_prior_mean(
    tasks: tuple[str, ...], votes: tuple[float, ...]
) -> None:
    pretrained = Pretrained(GINEncoder(["conv1x1"]), tasks, votes)
    for function in (Predictor, lambda p: p.omens([])):
        with pytest.raises(ValueError, match="without a task that tells good architectures from"):
            function(pretrained)


def test_votes_must_be_as_many_as_tasks() -> None:
    with pytest.raises(ValueError, match="each of the 2 tasks needs one vote; got 1"):
        Pretrained(GINEncoder(["conv1x1"]), ("flops", "depth"), (1.0,))


def test_unknown_labels_are_refused(pretrained: Pretrained) -> None:
    dense = Architecture(["input", "dense", "output"], [(0, 1), (1, 2)])
    for function in (pretrained, pretrained.omens, Predictor(pretrained)):
        with pytest.raises(ValueError, match="'dense' is not among the operations"):
            function([dense])
