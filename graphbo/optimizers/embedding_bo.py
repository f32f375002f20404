"""Bayesian optimisation on the embedding of a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphbo.errors import InputError
from graphbo.optimizers.graph_bo import GraphBO
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.description import described
from graphbo.trial import Fidelity

if TYPE_CHECKING:
    from graphbo.embeddings import Pretrained
    from graphbo.kernels import Embedding
    from graphbo.surrogates import KernelFactory, ModelFactory

SURROGATES = ("kernels", "embedding", "deep-kernel", "linear", "ensemble", "paths")


class EmbeddingBO(GraphBO):
    """The loop of `GraphBO` on what an encoder learned from cheap data.

    The surrogate is one of

    - ``"kernels"``: the Gaussian processes of `default_kernels`, and one on the embedding;
    - ``"embedding"``: a Gaussian process on the frozen embedding alone;
    - ``"deep-kernel"``: the same with the encoder fine-tuned, a `DeepKernel`;
    - ``"linear"``: `BayesianLinear` regression on a network on the embedding;
    - ``"ensemble"``: a `DeepEnsemble` on the embedding;
    - ``"paths"``: a `DeepEnsemble` on the path encoding, without an embedding.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        checkpoint: The file of the pretrained encoder; by default the one that comes with the
            package for the space. A study records what is in it, not where it is.
        surrogate: One of the above.
        prior: Whether what the encoder expects of architectures is the prior mean, or another
            prediction in its place; see `GraphBO`.
        initial: How many designs come before the surrogate chooses; see `GraphBO`.
        acquisition: One of ``graphbo.acquisition.ACQUISITIONS``.

    Attributes:
        pretrained: The encoder; None if the surrogate is ``"paths"`` and there is no prior.

    Raises:
        InputError: If there is no checkpoint, it cannot be read, it is of another space, or a
            setting cannot be used.
    """

    name = "embedding-bo"
    hyperparameters = False

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        checkpoint: str | Path | None = None,
        surrogate: str = "kernels",
        prior: bool | Embedding = True,
        initial: int | None = None,
        acquisition: str = "logei",
    ) -> None:
        if surrogate not in SURROGATES:
            raise InputError(f"the surrogate is one of {', '.join(SURROGATES)}; got {surrogate!r}")
        from graphbo.embeddings import Predictor, fingerprint
        from graphbo.surrogates import frozen, name_of

        used = prior is True or surrogate != "paths"
        pretrained = _load(space, checkpoint) if used else None
        predictor = None if isinstance(prior, bool) else prior
        if prior is True and pretrained is not None:
            if not any(pretrained.votes):
                raise InputError(
                    "the encoder was pretrained on nothing that tells good architectures from bad "
                    "ones; go without what it expects of them: prior=false"
                )
            predictor = Predictor(pretrained)
        super().__init__(
            space,
            seed=seed,
            initial=initial,
            kernels=_models(space, surrogate, pretrained),
            prior=predictor,
            acquisition=acquisition,
        )
        self.pretrained = pretrained
        self.settings = {
            "initial": self.initial,
            "acquisition": acquisition,
            "surrogate": surrogate,
            "prior": prior if isinstance(prior, bool) else name_of(frozen(prior)),
            "checkpoint": None if pretrained is None else fingerprint(pretrained),
        }

    def check_problem(self, problem: str, fidelity: Fidelity) -> None:
        """Refuse a problem on whose very labels the encoder was pretrained.

        Raises:
            InputError: If its card names the problem at this fidelity.
        """
        data = {} if self.pretrained is None else self.pretrained.card.get("data", {})
        for table in data.get("tables", []):
            if table.get("problem") == problem and table.get("fidelity") == dict(fidelity):
                raise InputError(
                    f"the encoder was pretrained on {table.get('labels')} labels of {problem} "
                    "itself; take a checkpoint that has not seen them"
                )


def _load(space: SearchSpace, checkpoint: str | Path | None) -> Pretrained:
    """Return the encoder for a space."""
    from graphbo.embeddings import load, shipped

    wanted = described(space)
    path = shipped(wanted["name"]) if checkpoint is None else checkpoint
    how = "graphbo pretrain SPACE --output FILE.pt"
    if path is None:
        raise InputError(
            f"no checkpoint for the space {wanted['name']} comes with the package; make one with "
            f"'{how}' and name it as checkpoint=FILE.pt"
        )
    try:
        pretrained = load(path, (*space.operations, *space.ports))
    except ValueError as error:
        raise InputError(str(error)) from error
    found = pretrained.card.get("space", {})
    if found.get("digest") != wanted["digest"]:
        raise InputError(
            f"{path} was pretrained on {_called(found)}, not on {_called(wanted)}; make a "
            f"checkpoint of this one with '{how}'"
        )
    return pretrained


def _called(space: dict[str, object]) -> str:
    if not space:
        return "a space that it does not name"
    return f"the space {space.get('name')} {space.get('made', space.get('operations'))}"


def _models(
    space: SearchSpace, surrogate: str, pretrained: Pretrained | None
) -> Sequence[KernelFactory | ModelFactory]:
    from graphbo.surrogates import (
        BayesianLinear,
        DeepEnsemble,
        DeepKernel,
        PathEncoding,
        default_kernels,
        embedding,
    )

    if surrogate == "paths":
        if not space.operations:
            raise InputError(f"the space {space.name} has no operations, and so no paths of them")
        return [DeepEnsemble(space, PathEncoding(space.operations, ports=space.ports))]
    assert pretrained is not None
    if surrogate == "deep-kernel":
        return [DeepKernel(space, pretrained.encoder)]
    if surrogate == "linear":
        return [BayesianLinear(space, pretrained)]
    if surrogate == "ensemble":
        return [DeepEnsemble(space, pretrained)]
    on_embedding = embedding(space, pretrained)
    return [*default_kernels(space), on_embedding] if surrogate == "kernels" else [on_embedding]
