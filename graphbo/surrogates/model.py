"""What a surrogate's models must be able to do, and what makes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from botorch.models.model import Model
from botorch.posteriors.posterior import Posterior
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.surrogates.prior import RowPredictor


class SurrogateModel(Model):
    """A model of targets to be minimised, as acquisition functions see it.

    It is a BoTorch model with one output. All distributions are normal ones of the latent
    function, without noise, and a function of the data: the same ones to the last bit when asked
    again.

    Attributes:
        train_inputs: The observed rows, `n x d`, alone in a tuple.
        train_targets: The observed targets, `n`.
    """

    train_inputs: tuple[Tensor, ...]
    train_targets: Tensor

    @abstractmethod
    def observe(self, X: Tensor, Y: Tensor, *, together: bool = False) -> None:
        """Condition on other data, `n x d` and `n x 1`, and keep what was fitted.

        ``together`` says that later calls only append to these data; a model may go on from them.
        """

    @abstractmethod
    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the positive variances of points `n x d`, `n` each."""

    @abstractmethod
    def moments_with(
        self, X: Tensor, Z: Tensor, among: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the moments of points, and how they vary with a few others.

        Args:
            X: `n x d`.
            Z: `p x d`.
            among: The positions in X of the points that are meant, if not all are: a model may
                know X as a whole already.

        Returns:
            Means and variances at X (`n` each), means (`p`) and covariance (`p x p`) at Z, and the
            covariance of X with Z (`n x p`).
        """

    @abstractmethod
    def posterior(  # type: ignore[override]
        self, X: Tensor, *args: Any, **kwargs: Any
    ) -> Posterior:
        """Return the joint posterior of `... x q x d` points; see BoTorch's ``Model.posterior``."""


@runtime_checkable
class ModelFactory(Protocol):
    """Makes a model and fits it; it stands wherever a surrogate takes a kernel.

    It must be picklable. What it makes is a function of what it is given, to the last bit, so that
    a search can be resumed.
    """

    def fitted(
        self,
        X: Tensor,
        Y: Tensor,
        train: Sequence[Architecture],
        prior: RowPredictor | None = None,
    ) -> SurrogateModel:
        """Return a fitted model.

        Args:
            X: `n x d` rows, at least one.
            Y: `n x 1` targets, about standardised.
            train: The architectures of the rows.
            prior: Predicts the targets in advance, up to an offset and a factor. It is passed only
                if there is one.
        """
