"""The tasks of pretraining, a table; a new one is a line of it, and its name in ``PretextName``."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from harness.schema.task import Task

PretextName = Literal["random_labels", "rotation", "blur", "rotation_blur", "supervised"]
"""Names in specs."""

FROZEN = "frozen"
"""The control that is pretrained on the true labels at rate 0: running statistics move, weights do not."""


@dataclass(frozen=True)
class Pretext:
    """A task that a network is pretrained on.

    Attributes:
        words: in legends.
        labels: of the task.
        blurred: whether images are.
    """

    words: str
    labels: Literal["true", "random", "rotation"]
    blurred: bool = False

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
        "supervised": Pretext("supervised", "true"),
    }
)
"""Name in specs -> pretext, in the order of legends."""

REFERENCES: Mapping[str, str] = MappingProxyType(
    {"full": "full network", "rewound_k": "rewound to k", "rewound_0": "rewound to 0"}
)
"""What pretraining stands beside -> its words."""
