"""What follows from several accuracies: losses against the full network, gains over rewinding, and half of these."""

from collections.abc import Iterator, Mapping, Sequence

from harness.observation import Condition, Observation

Arm = tuple[Condition, Condition, Condition]
"""Name, dense or sparse, length."""

COMPARED_WITH: Mapping[str, Sequence[str]] = {
    "accuracy_drop": ("full",),
    "gain": ("rewound_0",),
    "beyond_half_way": ("rewound_0", "rewound_k"),
}
"""Quantity -> references whose mean it is from."""


def comparisons(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Of each arm with the references of the same initialisation and split, but of no reference with itself."""
    for (seed, split), arms in _accuracies(observations).items():
        by_name = {name: accuracy for (name, _, _), accuracy in arms.items()}
        for quantity, references in COMPARED_WITH.items():
            if not by_name.keys() >= set(references):
                continue
            due = sum(by_name[reference] for reference in references) / len(references)
            for (name, under, length), accuracy in arms.items():
                if name not in references:
                    at = {"arm": name, "pretrained": under, "length": length, "split": split}
                    value = due - accuracy if quantity == "accuracy_drop" else accuracy - due
                    yield Observation(quantity, at, seed, 0, value)


def _accuracies(observations: Sequence[Observation]) -> Mapping[tuple[int, Condition], Mapping[Arm, float]]:
    """Initialisation and split -> arm -> accuracy."""
    found: dict[tuple[int, Condition], dict[Arm, float]] = {}
    for one in observations:
        if one.quantity == "accuracy":
            at = one.at
            arm = at["arm"], at["pretrained"], at["length"]
            found.setdefault((one.initialisation, at["split"]), {})[arm] = one.value
    return found
