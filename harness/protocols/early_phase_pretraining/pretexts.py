"""The tasks of pretraining, a table; a new one is a line of it, and its name in ``PretextName``."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from harness.schema.task import Task

PretextName = Literal["random_labels", "rotation", "blur", "rotation_blur", "supervised", "frozen"]
"""Names in specs."""

SUPERVISED: PretextName = "supervised"
"""The true labels: what half way is measured by."""


@dataclass(frozen=True)
class Pretext:
    """A task that a network is pretrained on.

    Attributes:
        words: in legends.
        labels: of the task.
        blurred: whether images are.
        frozen: whether the rate is 0: running statistics move and the step advances, weights stay.
    """

    words: str
    labels: Literal["true", "random", "rotation"]
    blurred: bool = False
    frozen: bool = False

    def task(self, blur: Literal[2, 4, 8], seed: int) -> Task:
        """The task, with a factor where it blurs, and a seed where it draws labels."""
        return Task(
            labels=self.labels, blur=blur if self.blurred else 1, seed=seed if self.labels != "true" else Task().seed
        )


PRETEXTS: Mapping[PretextName, Pretext] = MappingProxyType(
    {
        "random_labels": Pretext("random labels", "random"),
        "rotation": Pretext("rotation", "rotation"),
        "blur": Pretext("blurred images", "true", blurred=True),
        "rotation_blur": Pretext("rotation, blurred", "rotation", blurred=True),
        SUPERVISED: Pretext("supervised", "true"),
        "frozen": Pretext("weights frozen (rate 0)", "true", frozen=True),
    }
)
"""Name in specs -> pretext, in the order of legends; the last is a control."""

REFERENCES: Mapping[str, str] = MappingProxyType(
    {"full": "full network", "rewound_k": "rewound to k", "rewound_0": "rewound to 0"}
)
"""What pretraining stands beside -> its words."""
