"""What pruning experiments leave to choose."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.protocols.common.arms import ArmOptions
from harness.protocols.common.pruning import Iterative, OneShot
from harness.protocols.common.recipe import LineOptions, SgdNoise
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Many, NonNegative, Positive, Time


class ImpOptions(ArmOptions):
    """What pruning experiments leave to choose, beside their arms.

    Attributes:
        rewinds: every rewinding iteration k.
        pruning: iterative or one-shot.
        prune_output_layer: whether the last layer is pruned; the printed levels say yes for LeNet and ResNet-20,
            no for VGG-16 [arith].
        compared_levels: levels at which copies are compared and the baselines are trained. Level 0 is the full
            network; accuracy of ``imp`` is known at every level.
        optimiser_at_rewind: whether training goes on with the optimiser's state of step k or a fresh one [code,
            conflict].
        sgd_noise: what the copies that are compared have each of its own: data order, augmentation of images, or both,
            as where one seed drives both [open]; the rest they share.
        chain_order: whose data order trains the networks that IMP prunes: ``own``, so that no copy shares the noise
            that made its mask; or that of ``copy`` 0, as public code with one order a replicate has it [code], which
            saves a training a compared level.
        matching_within: the margin, in points of accuracy, that is declared beside one standard deviation of the full
            network (LMC Fig. 7, appendix B) for a subnetwork to be matching; Fig. 8 allows "a small margin for noise",
            0.2 points [lore]. A line in figures; claims carry it themselves.
        stable_below: percentage points of instability below which a network is stable [paper: 2 %]: ``stable_from`` is
            judged by it.
        line: how the line between copies is evaluated.
    """

    rewinds: Many[Time] = Field(min_length=1)
    pruning: Iterative | OneShot = Field(discriminator="style")
    prune_output_layer: bool = True
    compared_levels: Many[Annotated[int, Field(le=60)]] = Field(min_length=1)
    optimiser_at_rewind: Literal["carried", "reset"] = "carried"
    sgd_noise: SgdNoise = "both"
    chain_order: Literal["own", "copy"] = "own"
    matching_within: NonNegative
    stable_below: Positive = 2.0
    line: LineOptions = LineOptions()

    @property
    def levels(self) -> int:
        """The sparsest level."""
        return self.pruning.levels

    @model_validator(mode="after")
    def _imp_is_an_arm(self) -> Self:
        if "imp" not in self.arms:
            raise ValueError("arms must contain imp: the baselines are made from its masks")
        if len(set(self.arms)) < len(self.arms):
            raise ValueError("arms names an arm twice: list each once")
        return self


ImpSetting = TrainingSetting[ImpOptions]
