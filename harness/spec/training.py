"""How a network is trained. Every choice that the sources leave open is a field; its default's origin is noted.

Origins: [paper] stated there; [code] the closest public code; [arith] follows by arithmetic; [lore] remembered, in no
text we hold.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.spec.base import Count, Fraction, Many, Model, NonNegative, Positive, Time
from harness.steps import Duration


class LeNet(Model):
    """Fully connected layers with ReLU, LeNet-300-100 with the default widths [paper: LMC Table 1]."""

    batch_norm: ClassVar[bool] = False
    name: Literal["lenet"]
    hidden: Many[Count] = (300, 100)


class ResNet(Model):
    """CIFAR ResNet of any depth and width; depth is 2 * stages * blocks + 2, ResNet-20 by default."""

    batch_norm: ClassVar[bool] = True
    name: Literal["resnet"]
    widths: Many[Count] = (16, 32, 64)
    blocks: Count = 3


Network = Annotated[LeNet | ResNet, Field(discriminator="name")]


class Initialisation(Model):
    """The draw of the first weights.

    Attributes:
        weights: Kaiming normal [code]; Glorot normal in another public LeNet [code, conflict].
        batch_norm_scale: uniform on (0, 1), the default of the PyTorch of the papers' day [code], or one.
    """

    weights: Literal["kaiming_normal", "glorot_normal"] = "kaiming_normal"
    batch_norm_scale: Literal["uniform", "one"] = "uniform"


class MeanStd(Model):
    """(pixel / scale - mean) / std, for each channel."""

    kind: Literal["mean_std"]
    mean: Many[float]
    std: Many[Positive]
    scale: Positive = 255.0


class UnitNorm(Model):
    """Each image divided by its Euclidean norm [code, conflict with mean_std for LeNet]."""

    kind: Literal["unit_norm"]
    scale: Positive = 255.0


class PixelScale(Model):
    """pixel / scale."""

    kind: Literal["scale"]
    scale: Positive = 255.0


class Augmentation(Model):
    """Random changes of training images: a horizontal flip; a crop out of the image padded with black."""

    flip: bool = False
    crop_padding: Annotated[int, Field(ge=0)] = 0


class Data(Model):
    """The dataset and how its images look to the network."""

    name: Literal["digits", "mnist", "cifar10"]
    normalise: Annotated[MeanStd | UnitNorm | PixelScale, Field(discriminator="kind")]
    augment: Augmentation = Augmentation()


class Sgd(Model):
    """Heavy-ball SGD, not Nesterov [code].

    Attributes:
        weight_decay: added to the gradient; 1e-4 in the closest public code, 2e-4 in a sibling [code, conflict].
        decay_reach: every parameter [code], or convolutions' and linear layers' weights only.
    """

    name: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 1e-4
    decay_reach: Literal["all", "weights"] = "all"


class Adam(Model):
    """Adam with the usual constants; the papers name the rate only [paper: LMC Table 1]."""

    name: Literal["adam"]
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_reach: Literal["all", "weights"] = "all"


class Schedule(Model):
    """The learning rate: constant, dropped at given times, warmed up linearly from 0.

    Attributes:
        rate: the peak.
        drops: from each of these times on, the rate is multiplied by ``factor`` [code: from the iteration itself].
        factor: .1 is the papers' "10x drop".
        warmup: the rate is multiplied by iteration / warmup until then; the first step has rate 0 [code].
    """

    rate: Positive
    drops: Many[Time] = ()
    factor: Fraction = 0.1
    warmup: Time = Duration(0, "it")


class Training(Model):
    """A whole recipe.

    Attributes:
        parameters: trainable numbers; checked on every run.
        length: T, the length of a full training.
        batch: examples of a step; the last batch of an epoch may be short [code].
        precision: number format: fp32, bf16 (autocast) or fp64.
    """

    network: Network
    parameters: Count
    initialisation: Initialisation = Initialisation()
    data: Data
    length: Time
    batch: Count
    optimiser: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Schedule
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"

    @model_validator(mode="after")
    def _widths_of_normalisation(self) -> Self:
        normalise = self.data.normalise
        if isinstance(normalise, MeanStd) and len(normalise.mean) != len(normalise.std):
            raise ValueError("data.normalise: mean and std need the same number of channels")
        return self
