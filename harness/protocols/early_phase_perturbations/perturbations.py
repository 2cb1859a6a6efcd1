"""The perturbations, a table: what each does to the surviving weights.

A new one is a line of it, and its name in ``PerturbationName``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Family = Literal["signs", "permutations", "draws", "noise"]
"""What is done: figures draw the perturbations of one or two together."""

PerturbationName = Literal[
    "s0m0",
    "s0mk",
    "skm0",
    "skmk",
    "skmf",
    "scaled",
    "scaled_fresh",
    "permute_network",
    "permute_layer",
    "permute_filter",
    "permute_network_signs",
    "permute_layer_signs",
    "permute_filter_signs",
    "draw_layer",
    "draw_layer_signs",
]
"""Names in specs: s and m are signs and magnitudes, of the states 0 and k, or f of a fresh draw. ``scaled`` has the
weights of k with each layer's norm of 0, ``scaled_fresh`` with that of a fresh draw under the mask: controls, as
magnitudes of 0, and fresh ones, change the scale of layers too. ``draw_layer`` draws each layer's weights independently
from a normal law of their mean and deviation."""

IDENTITY = "skmk"
"""Signs and magnitudes of k: the control, bit by bit, which the stage requires; it is not trained a second time."""


@dataclass(frozen=True)
class Perturbation:
    """Something done to the surviving weights.

    Attributes:
        words: in legends.
        family: what is done.
        how: parameters of the stage ``perturb``.
        draws: the name of what is random of it, empty where nothing is: those of one name have the same draws.
        keeps_signs: whether each surviving weight has the sign that it has at k.
    """

    words: str
    family: Family
    how: Mapping[str, Any]
    draws: str = ""
    keeps_signs: bool = False


def _swap(words: str, signs: str, magnitudes: str) -> Perturbation:
    return Perturbation(
        words, "signs", {"kind": "swap", "signs": signs, "magnitudes": magnitudes}, keeps_signs=signs == "state"
    )


def _scale(words: str, like: str) -> Perturbation:
    return Perturbation(words, "signs", {"kind": "scale", "like": like}, keeps_signs=True)


def _permute(words: str, within: str, *, keep_signs: bool = False) -> Perturbation:
    """With signs kept it is the same permutation."""
    how = {"kind": "permute", "within": within, "keep_signs": keep_signs}
    return Perturbation(words, "permutations", how, f"permute_{within}", keep_signs)


def _draw(words: str, *, keep_signs: bool = False) -> Perturbation:
    return Perturbation(words, "draws", {"kind": "draw", "keep_signs": keep_signs}, "draw_layer", keep_signs)


PERTURBATIONS: Mapping[PerturbationName, Perturbation] = MappingProxyType(
    {
        "s0m0": _swap("signs and magnitudes of 0", "initial", "initial"),
        "s0mk": _swap("signs of 0, magnitudes of k", "initial", "state"),
        "skm0": _swap("signs of k, magnitudes of 0", "state", "initial"),
        "skmk": _swap("signs and magnitudes of k", "state", "state"),
        "skmf": _swap("signs of k, fresh magnitudes", "state", "fresh"),
        "scaled": _scale("weights of k, norms of 0", "initial"),
        "scaled_fresh": _scale("weights of k, fresh norms", "fresh"),
        "permute_network": _permute("permuted globally", "network"),
        "permute_layer": _permute("permuted in layers", "layer"),
        "permute_filter": _permute("permuted in filters", "filter"),
        "permute_network_signs": _permute("permuted globally, signs kept", "network", keep_signs=True),
        "permute_layer_signs": _permute("permuted in layers, signs kept", "layer", keep_signs=True),
        "permute_filter_signs": _permute("permuted in filters, signs kept", "filter", keep_signs=True),
        "draw_layer": _draw("drawn anew by layer"),
        "draw_layer_signs": _draw("drawn anew by layer, signs kept", keep_signs=True),
    }
)
"""Name in specs -> perturbation, in the order of legends."""

NOISE = "noise"
"""The name of Gaussian noise on the axis of perturbations, and of its draws; how much is another axis."""


CONTROLS: Mapping[str, str] = MappingProxyType(
    {
        "full": "full network",
        "control": "sparse network, unperturbed",
        "rewound": "rewound to 0",
        "reinit": "randomly reinitialised",
    }
)
"""What stands beside the perturbations -> its words."""

WORDS: Mapping[str, str] = MappingProxyType({**CONTROLS, **{name: one.words for name, one in PERTURBATIONS.items()}})
"""Control or perturbation -> its words in figures."""

NOTHING: Mapping[str, Any] = MappingProxyType({"kind": "identity"})
"""What is done to the control."""
