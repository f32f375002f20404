"""A prior from the study of another problem on the same space."""

from __future__ import annotations

from pathlib import Path

from graphbo.errors import InputError
from graphbo.report.recorded import read_study, study_file
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.description import fingerprint
from graphbo.surrogates.beliefs import FromTrials


def prior_of_study(path: str | Path, space: SearchSpace) -> FromTrials:
    """Return what the trials of a stored study say of the architectures of its space.

    The file is data, also one of somebody else: it is only read, it may be in use by a search, and
    nothing that it names is opened or run. A study that is started from it records what the trials
    were, and goes on only with the same ones.

    Args:
        path: A study file, or the folder of a search.
        space: The space of the search to come.

    Raises:
        InputError: If there is no study, it is damaged or of another space, the space has
            hyperparameters, or fewer than five trials completed.

    Example:
        >>> prior = graphbo.prior_of_study("runs/cifar10/study.sqlite", problem.space)
        >>> graphbo.Study.of(problem, "graph-bo", prior=prior).run(trials=50)
    """
    study = read_study(study_file(Path(path)))
    found, wanted = study.identity.get("space"), fingerprint(space)
    if found != wanted:
        raise InputError(
            f"{study.name} is a study of the space {found}, not of the space {wanted} that is "
            "searched; a prior must be of the same space"
        )
    try:
        return FromTrials(space, study.trials)
    except InputError as error:
        raise InputError(f"{study.name} cannot start a search: {error}") from error
