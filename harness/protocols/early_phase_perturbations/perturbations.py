"""The perturbations, a table: what each does to the surviving weights.

A new one is a line of it, and its name in ``PerturbationName``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Family = Literal["signs", "permutations", "noise"]
"""What figures draw together."""

PerturbationName = Literal[
    "s0m0",
    "s0mk",
    "skm0",
    "skmk",
    "skmf",
    "scaled",
    "permute_network",
    "permute_layer",
    "permute_filter",
    "permute_network_signs",
    "permute_layer_signs",
    "permute_filter_signs",
]
"""Names in specs: s and m are signs and magnitudes, of the states 0 and k, or f of a fresh draw. ``scaled`` has the
weights of k with each layer's norm of 0: a control, as magnitudes of 0 change the scale of layers too."""

IDENTITY = "skmk"
"""Signs and magnitudes of k: the control, bit by bit, which the stage requires; it is not trained a second time."""


@dataclass(frozen=True)
class Perturbation:
    """Something done to the surviving weights.

    Attributes:
        words: in legends.
        family: that it is drawn with.
        how: parameters of the stage ``perturb``.
    """

    words: str
    family: Family
    how: Mapping[str, Any]


def _swap(words: str, signs: str, magnitudes: str) -> Perturbation:
    return Perturbation(words, "signs", {"kind": "swap", "signs": signs, "magnitudes": magnitudes})


def _permute(words: str, within: str, *, keep_signs: bool = False) -> Perturbation:
    return Perturbation(words, "permutations", {"kind": "permute", "within": within, "keep_signs": keep_signs})


PERTURBATIONS: Mapping[PerturbationName, Perturbation] = MappingProxyType(
    {
        "s0m0": _swap("signs and magnitudes of 0", "initial", "initial"),
        "s0mk": _swap("signs of 0, magnitudes of k", "initial", "state"),
        "skm0": _swap("signs of k, magnitudes of 0", "state", "initial"),
        "skmk": _swap("signs and magnitudes of k", "state", "state"),
        "skmf": _swap("signs of k, fresh magnitudes", "state", "fresh"),
        "scaled": Perturbation("weights of k, norms of 0", "signs", {"kind": "scale", "like": "initial"}),
        "permute_network": _permute("permuted globally", "network"),
        "permute_layer": _permute("permuted within layers", "layer"),
        "permute_filter": _permute("permuted within filters", "filter"),
        "permute_network_signs": _permute("permuted globally, signs kept", "network", keep_signs=True),
        "permute_layer_signs": _permute("permuted within layers, signs kept", "layer", keep_signs=True),
        "permute_filter_signs": _permute("permuted within filters, signs kept", "filter", keep_signs=True),
    }
)
"""Name in specs -> perturbation, in the order of legends."""

NOISE = "noise"
"""The name of Gaussian noise on the axis of perturbations; how much is another axis."""

CONTROLS: Mapping[str, str] = MappingProxyType(
    {
        "full": "full network",
        "control": "sparse network, unperturbed",
        "rewound": "rewound to 0",
        "reinit": "randomly reinitialised",
    }
)
"""What stands beside the perturbations -> its words."""

NOTHING: Mapping[str, Any] = MappingProxyType({"kind": "identity"})
"""What is done to the control."""
