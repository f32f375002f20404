"""The optimisers by name."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import SearchSpace

OPTIMIZERS = {
    "graph-bo": "Gaussian processes with graph kernels, and expected improvement",
    "graph-ehvi": "the same for several objectives, and expected hypervolume improvement",
    "embedding-bo": "the same as graph-bo on the embedding of a pretrained encoder",
    "one-hot-gp": "the same on the one-hot code of configurations, without graphs",
    "parego": "one-hot-gp on random weightings of several objectives",
    "bananas": "mutations ranked by an ensemble of networks on paths",
    "pnas": "from the simplest architectures to larger ones, ranked by networks",
    "reinforce": "a recurrent controller trained by policy gradients",
    "q-learning": "which layer should follow which, for chains of layers",
    "darts": "the strongest cells of a network that mixes all operations, trained by gradients",
    "random": "random search",
    "regularized-evolution": "aging evolution by mutation",
    "nsga2": "generations sorted by domination and crowding, for several objectives",
    "genetic-cnn": "generations of configurations, by crossover and mutation",
    "local-search": "hill climbing with restarts",
    "random-ranking": "the candidates of graph-bo, ranked at random",
    "smac": "the random forests of SMAC3, on configurations",
    "tpe": "the tree-structured Parzen estimator of Optuna, on configurations",
    "graph-mf": "graph kernels over architectures and epochs, and a choice of both",
    "successive-halving": "random designs, of which the best train longer",
    "hyperband": "successive halving at every trade-off between many designs and long trainings",
    "asha": "asynchronous successive halving",
    "bohb": "hyperband that starts from a density of good configurations",
    "dehb": "differential evolution on the rungs of hyperband",
}
"""What each optimiser is, by the name that the command line calls it."""
AUTO = "auto"
"""The name that stands for the one that measurements advise; see `graphbo.advise`."""
AUTO_DESCRIPTION = "the one of these that did best in searches like yours; see: graphbo advise"

_CLASSES = {
    "graph-bo": "graph_bo:GraphBO",
    "graph-ehvi": "graph_ehvi:GraphEHVI",
    "embedding-bo": "embedding_bo:EmbeddingBO",
    "one-hot-gp": "one_hot_gp:OneHotGP",
    "parego": "parego:ParEGO",
    "bananas": "bananas:Bananas",
    "pnas": "pnas:PNAS",
    "reinforce": "reinforce:Reinforce",
    "q-learning": "q_learning:QLearning",
    "darts": "darts:DARTS",
    "random": "random_search:RandomSearch",
    "regularized-evolution": "evolution:RegularizedEvolution",
    "nsga2": "nsga2:NSGA2",
    "genetic-cnn": "genetic_cnn:GeneticCNN",
    "local-search": "local_search:LocalSearch",
    "random-ranking": "graph_bo:RandomRanking",
    "smac": "smac:SMAC",
    "tpe": "tpe:TPE",
    "graph-mf": "graph_mf:GraphMF",
    "successive-halving": "hyperband:SuccessiveHalving",
    "hyperband": "hyperband:Hyperband",
    "asha": "asha:ASHA",
    "bohb": "bohb:BOHB",
    "dehb": "dehb:DEHB",
}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_TRUTH = {"true": True, "false": False}
_LONGEST = 60


def make_optimizer(
    name: str, space: SearchSpace, *, seed: int = 0, epochs: Sequence[int] = (), **settings: Any
) -> Optimizer:
    """Return a new optimiser.

    Args:
        name: One of `OPTIMIZERS`, or one with settings, such as
            ``"regularized-evolution:population=50,sample=5"``. Numbers and ``true`` or ``false``
            are read as what the setting takes, ``none`` as None where it may be that. ``"auto"`` is
            the one that `graphbo.advise` names for the space and a budget of 100 trials.
        space: The search space.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that designs can be trained for, ascending; only optimisers
            with several fidelities look at it.
        settings: Further arguments of the optimiser.

    Raises:
        InputError: If there is no such optimiser, it has no such setting, or a value is not of the
            right kind.
    """
    if name.partition(":")[0] == AUTO:
        if name != AUTO or settings:
            raise InputError(f"{AUTO} has no settings; give them to the optimiser that it names")
        from graphbo.optimizers.auto import recommend

        name = recommend(space, epochs=epochs).optimizer
    name, colon, text = name.partition(":")
    if name not in _CLASSES:
        near = difflib.get_close_matches(name.lower(), [*OPTIMIZERS, AUTO], n=2)
        which = f"did you mean {' or '.join(near)}?" if near else "graphbo list names them all"
        raise InputError(f"there is no optimiser {name!r}; {which}")
    module, _, attribute = _CLASSES[name].partition(":")
    kind: type[Optimizer] = getattr(
        importlib.import_module(f"graphbo.optimizers.{module}"), attribute
    )
    parameters = {
        parameter.name: parameter
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
        and parameter.name not in ("space", "seed", "epochs")
    }
    written = _pairs(name, text) if colon else {}
    for setting in (*written, *settings):
        if setting == "prior" and setting not in parameters:
            raise InputError(f"{name} takes no prior; graph-bo and embedding-bo take one")
        if setting not in parameters:
            raise InputError(f"{name} has no setting {setting!r}; it has {[*parameters] or 'none'}")
        if setting in written and setting in settings:
            raise InputError(f"{name} is given the setting {setting!r} twice")
    for setting, value in written.items():
        settings[setting] = _value(f"{setting} of {name}", value, parameters[setting].annotation)
    if kind.multi_fidelity:
        settings["epochs"] = epochs
    return kind(space, seed=seed, **settings)


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas between, which may have settings with commas, too.

    Example:
        >>> split_names("regularized-evolution:population=50,sample=5,random")
        ['regularized-evolution:population=50,sample=5', 'random']
    """
    names: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        setting, equals, _ = part.partition("=")
        if equals and ":" not in setting and names and ":" in names[-1]:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def file_name(name: str) -> str:
    """Return what files of an optimiser are called: its name, made safe if it has settings."""
    if re.fullmatch(r"[\w-]+", name):
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    # What comes last tells more of a long path than what comes first.
    kind, _, settings = name.partition(":")
    short = re.sub(r"[^\w.=-]+", "-", settings)[-_LONGEST:].strip("-.")
    return f"{re.sub(r'[^0-9A-Za-z-]+', '-', kind)}-{short}-{digest}"


def _pairs(name: str, text: str) -> dict[str, str]:
    """Return the settings in ``"a=1,b=2"``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        setting, equals, value = (each.strip() for each in part.partition("="))
        if not (setting and equals and value):
            raise InputError(
                f"the settings of {name} are written like {name}:setting=value,other=value; "
                f"got {part.strip()!r}"
            )
        if setting in found:
            raise InputError(f"{name} is given the setting {setting!r} twice")
        found[setting] = value
    return found


def _value(what: str, text: str, annotation: object) -> Any:
    """Return a text as a value of what a parameter is annotated with."""
    kinds = [each.strip() for each in str(annotation).split("|")]
    if "None" in kinds and text.lower() == "none":
        return None
    readers: Mapping[str, Any] = {"int": int, "float": float, "bool": _truth}
    wanted = [kind for kind in kinds if kind in readers]
    for kind in wanted:
        try:
            return readers[kind](text)
        except ValueError:
            continue
    if "str" in kinds:
        return text
    if wanted:
        kinds = [_KINDS[kind] for kind in wanted]
        raise InputError(f"{what} must be {' or '.join(kinds)}; got {text!r}")
    raise InputError(f"{what} can be given in Python only")


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text.lower()]
