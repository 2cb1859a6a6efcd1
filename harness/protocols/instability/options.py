"""What instability analysis leaves to choose."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.protocols.common.recipe import LineOptions, SgdNoise
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Many, Model, Positive, Time

Further = Literal["remaining", "full"]
"""How long copies train."""


class InstabilityOptions(Model):
    """What instability analysis leaves to choose.

    Attributes:
        forks: every k: steps at which the copies part.
        further: how long the copies train: the ``remaining`` T - k iterations [paper], or ``full`` T iterations with
            the schedule started again (LMC Fig. 4). Both are two arms of one run, the first of which claims mean unless
            they name one; copies from 0 are the same in both.
        optimiser_at_fork: whether the copies carry on the optimiser's state or start with a fresh one [code, conflict].
        sgd_noise: what copies have each of its own: data order, augmentation of images, or both, as where one seed
            drives both [open]; the rest they share.
        stable_below: percentage points of instability below which a network is stable [paper: 2 %]: ``stable_from`` is
            judged by it.
        line: how the line is evaluated.
    """

    forks: Many[Time] = Field(min_length=1)
    further: Many[Further] = Field(("remaining",), min_length=1)
    optimiser_at_fork: Literal["carried", "reset"] = "carried"
    sgd_noise: SgdNoise = "both"
    stable_below: Positive = 2.0
    line: LineOptions = LineOptions()

    @model_validator(mode="after")
    def _further_once(self) -> Self:
        if len(set(self.further)) < len(self.further):
            raise ValueError("further names a way to train twice: list each once")
        return self

    def trained(self, fork: int) -> Sequence[Further]:
        """In which ways the copies of a fork are trained: from 0 both are one."""
        return self.further[:1] if fork == 0 else self.further


InstabilitySetting = TrainingSetting[InstabilityOptions]
