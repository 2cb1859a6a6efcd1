"""What pretraining in place of rewinding leaves to choose."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.protocols.common.pruning import Iterative, OneShot
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.early_phase_pretraining.pretexts import PretextName
from harness.schema.base import Many, Model, Seed, Time


class PretrainingOptions(Model):
    """What pretraining in place of rewinding leaves to choose.

    The source's text is not at hand. [code] is the public framework of its authors, which pretrains so, but neither
    turns images by quarters nor blurs them, by faults of its own.

    Attributes:
        pruning: of the mask: iterative or one-shot; its last level is trained.
        prune_output_layer: whether the last layer is pruned, as for ResNet-20 in LMC [arith].
        optimiser_at_rewind: whether the trainings that make the mask, and the full network's, go on with the velocity
            of k or a fresh one, as in the experiment ``imp`` [code, conflict]. No arm has one.
        rewind: the iteration k whose mask is trained, and to which the reference is rewound [open: 500 and 2000 are in
            the paper's captions].
        pretexts: tasks of pretraining, names of ``pretexts.py`` [lore; of the abstract: that labels are not needed].
        lengths: of pretraining, at the rates with which training begins [open].
        pretrained: the network pretrained whole (``dense``), or with the mask present from the start (``sparse``)
            [lore: both].
        blur: how many times smaller images are made, and larger again [lore: 4, of CIFAR-10].
        task_seed: of random labels and of turns, one for all replicates [open].
        schedule: of the learning rate, and of training's end: ``continued`` from the length of pretraining [code], so
            that training ends at T, or ``restarted``, so that T iterations follow; of what is rewound to k, too.
        head: the last layer, ``kept`` where the classes are as many [code], or ``fresh`` in all arms. After rotations,
            which are four, it is always the one of the initialisation.
        statistics: running statistics of batch normalisation, ``kept`` from pretraining [code] or the ``initial`` ones;
            likewise for what is rewound to k. Training does not use them, and replaces them within some tens of steps.
    """

    pruning: Iterative | OneShot = Field(discriminator="style")
    prune_output_layer: bool = True
    optimiser_at_rewind: Literal["carried", "reset"] = "carried"
    rewind: Time
    pretexts: Many[PretextName] = Field(min_length=1)
    lengths: Many[Time] = Field(min_length=1)
    pretrained: Many[Literal["dense", "sparse"]] = Field(("dense", "sparse"), min_length=1)
    blur: Literal[2, 4, 8] = 4
    task_seed: Seed = 0
    schedule: Literal["continued", "restarted"] = "continued"
    head: Literal["kept", "fresh"] = "kept"
    statistics: Literal["kept", "initial"] = "kept"

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named: dict[str, Sequence[str]] = {"pretexts": self.pretexts, "pretrained": self.pretrained}
        for name, values in named.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice: list each once")
        return self


PretrainingSetting = TrainingSetting[PretrainingOptions]


def lengths(setting: PretrainingSetting) -> list[int]:
    """The lengths of pretraining, in iterations."""
    return [setting.iterations(length) for length in setting.options.lengths]
