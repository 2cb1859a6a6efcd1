"""What instability throughout training leaves to choose."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.pruning import Iterative, OneShot, sparsest_mask
from harness.protocols.common.recipe import LineOptions, SgdNoise
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Many, Model, Positive, Time


class ThroughoutOptions(Model):
    """What instability throughout training leaves to choose.

    Attributes:
        forks: every k: steps at which the copies part.
        every: how far apart the times are at which the copies are interpolated, from the first of training on [paper:
            an epoch, LMC appendix D]; the end of training is always one. Before k, and at it, copies are one network.
        pruning: of IMP's subnetwork, whose copies are interpolated beside those of the full network; its last level is
            the one. Left out: the full network alone.
        prune_output_layer: whether the last layer is pruned; the printed levels say yes for ResNet-20, no for VGG-16
            [arith].
        optimiser_at_fork: whether the copies, and the trainings that are pruned, carry on the optimiser's state or
            start with a fresh one [code, conflict].
        sgd_noise: what copies have each of its own: data order, augmentation of images, or both, as where one seed
            drives both [open]; the rest they share.
        stable_below: percentage points of instability below which a network is stable [paper: 2 %]: ``stable_share`` is
            judged by it.
        line: how the line is evaluated.
    """

    forks: Many[Time] = Field(min_length=1)
    every: Time
    pruning: Iterative | OneShot | None = Field(None, discriminator="style")
    prune_output_layer: bool = True
    optimiser_at_fork: Literal["carried", "reset"] = "carried"
    sgd_noise: SgdNoise = "both"
    stable_below: Positive = 2.0
    line: LineOptions = LineOptions()


ThroughoutSetting = TrainingSetting[ThroughoutOptions]


def forks(setting: ThroughoutSetting) -> list[int]:
    """The steps at which copies part."""
    return [setting.iterations(fork) for fork in setting.options.forks]


def times(setting: ThroughoutSetting) -> list[int]:
    """The times at which copies are interpolated, once they parted; the end is the last."""
    every = setting.iterations(setting.options.every)
    return [*range(every, setting.length, every), setting.length]


def arms(setting: ThroughoutSetting) -> Sequence[str]:
    """The full network, and IMP's subnetwork where there is one."""
    return ("full",) if setting.options.pruning is None else ("full", "imp")


def subnetworks(setting: ThroughoutSetting, seed: int, fork: int) -> Mapping[str, Subnetwork]:
    """Arm -> what is copied at step k; IMP's is what ``imp`` makes of it, in jobs that it shares."""
    recipe, options = setting.recipe, setting.options
    trunk = recipe.trunk(seed, fork)
    found = {"full": Subnetwork(trunk, None)}
    if options.pruning is not None:
        mask = sparsest_mask(
            recipe,
            seed,
            fork,
            options.pruning,
            output_layer=options.prune_output_layer,
            optimiser_state=options.optimiser_at_fork,
        )
        found["imp"] = Subnetwork(trunk, mask)
    return found
