"""What follows from several accuracies: losses against the full network, gains over rewinding, and half of these."""

from collections.abc import Iterator, Mapping, Sequence

from harness.observation import Condition, Observation
from harness.protocols.early_phase_pretraining.pretexts import SUPERVISED

Arm = tuple[Condition, Condition, Condition]
"""Name, dense or sparse, length."""

AXES = ("arm", "pretrained", "length")
"""Of an arm, in its order."""


def compared_with(supervised: int | None) -> Mapping[str, Sequence[Arm]]:
    """Quantity -> references whose mean it is from.

    Args:
        supervised: the length of the supervised pretraining that half way is measured by; None where there is none.
    """
    rewound_0 = ("rewound_0", "dense", 0)
    half_way = {} if supervised is None else {"beyond_half_way": [rewound_0, (SUPERVISED, "dense", supervised)]}
    return {"accuracy_drop": [("full", "dense", 0)], "gain": [rewound_0], **half_way}


def comparisons(observations: Sequence[Observation], supervised: int | None) -> Iterator[Observation]:
    """Of each arm with the references of the same initialisation and split, but of no reference with itself."""
    for (seed, split), accuracies in _accuracies(observations).items():
        for quantity, references in compared_with(supervised).items():
            if not accuracies.keys() >= set(references):
                continue
            due = sum(accuracies[reference] for reference in references) / len(references)
            for arm, accuracy in accuracies.items():
                if arm not in references:
                    value = due - accuracy if quantity == "accuracy_drop" else accuracy - due
                    yield Observation(quantity, {**dict(zip(AXES, arm, strict=True)), "split": split}, seed, 0, value)


def _accuracies(observations: Sequence[Observation]) -> Mapping[tuple[int, Condition], Mapping[Arm, float]]:
    """Initialisation and split -> arm -> accuracy."""
    found: dict[tuple[int, Condition], dict[Arm, float]] = {}
    for one in observations:
        if one.quantity == "accuracy":
            arm = one.at["arm"], one.at["pretrained"], one.at["length"]
            found.setdefault((one.initialisation, one.at["split"]), {})[arm] = one.value
    return found
