"""How a network is trained. Every choice that the sources leave open is a field; its default's origin is noted.

Origins: [paper] stated there; [code] the closest public code; [arith] follows by arithmetic; [lore] remembered, in no
text we hold.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.schema.base import Count, Decay, Fraction, Many, Model, NonNegative, Number, Positive, Seed, Time, Width
from harness.schema.task import Task
from harness.steps import Duration

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
"""Number formats."""

_T = TypeVar("_T")


def _is_none(value: object) -> bool:
    """Whether a field is left out where the recipe is written: one that came later, so that older texts stay equal."""
    return value is None


Stages = Annotated[Many[_T], Field(min_length=1, max_length=16)]
"""A list with an item for each stage; as every stage halves the images, more than these have nothing left to halve."""
Blocks = Annotated[int, Field(ge=1, le=300)]
"""Of a stage; the deepest ResNet of its inventors, of 1202 layers, has 200."""


class LeNet(Model):
    """Fully connected layers with ReLU, LeNet-300-100 with the default widths [paper: LMC Table 1]."""

    batch_norm: ClassVar[bool] = False
    name: Literal["lenet"]
    hidden: Annotated[Many[Width], Field(max_length=100)] = (300, 100)


class ResNet(Model):
    """CIFAR ResNet of any depth and width; depth is 2 * stages * blocks + 2, ResNet-20 with ReLU by default.

    ResNet-56 has 9 blocks; the ResNet-18 that is usual for CIFAR has the widths 64, 128, 256, 512 and 2 blocks [lore].
    """

    batch_norm: ClassVar[bool] = True
    name: Literal["resnet"]
    widths: Stages[Width] = (16, 32, 64)
    blocks: Blocks = 3
    activation: Literal["relu", "gelu"] = "relu"


class ResNet9(Model):
    """Thin ResNet9, 26,490 parameters on CIFAR-10 with these widths [code].

    That convolutions have biases follows from the count [arith]; where it pools and adds is the usual ResNet9 [lore].

    Attributes:
        widths: of the four stages.
        activation: GELU, exact [code].
        normalisation: ``batch`` [code] or ``layer`` [paper, conflict]. The source does not say over what a layer is
            normalised: here over all of an example (C, H, W), a scale and a shift for each channel.
    """

    name: Literal["resnet9"]
    widths: Annotated[Many[Width], Field(min_length=4, max_length=4)] = (4, 8, 16, 32)
    activation: Literal["gelu", "relu"] = "gelu"
    normalisation: Literal["batch", "layer"] = "batch"

    @property
    def batch_norm(self) -> bool:
        """Whether it has running statistics."""
        return self.normalisation == "batch"


class VGG(Model):
    """VGG with batch normalisation and one linear layer, VGG-16 with these stages: 14.7M parameters on CIFAR-10.

    VGG-13 has two convolutions in each of the five stages.

    That convolutions have biases, and that one linear layer follows them, is as the closest public code has it [code].

    Attributes:
        widths: channels of each stage, which ends in a 2x2 max pooling.
        convolutions: of each stage.
        last_pooling: after the last stage: ``max`` as after the others [lore: the usual VGG-16 has five], or ``mean``
            over all that is left [code, conflict: four and a mean].
    """

    batch_norm: ClassVar[bool] = True
    name: Literal["vgg"]
    widths: Stages[Width] = (64, 128, 256, 512, 512)
    convolutions: Stages[Blocks] = (2, 2, 3, 3, 3)
    last_pooling: Literal["max", "mean"] = "max"

    @model_validator(mode="after")
    def _one_count_a_stage(self) -> Self:
        _require_one_count_a_stage(self.widths, self.convolutions, "convolutions")
        return self


class WideResNet(Model):
    """Wide ResNet with batch normalisation and ReLU, WRN-16-8 by default: 10,961,370 parameters on CIFAR-10.

    Attributes:
        stem: channels of the first convolution, 16 whatever the width [lore: its inventors' table 1].
        widths: of the three stages, eight times 16, 32 and 64 [lore].
        blocks: of a stage; depth is 6 * blocks + 4 [lore].
        activated: normalisation and ReLU ``before`` each convolution, as the network's inventors have it [lore], or
            ``after``, as an ordinary CIFAR ResNet that is widened; the source does not say which it has [open].
    """

    batch_norm: ClassVar[bool] = True
    name: Literal["wide_resnet"]
    stem: Width = 16
    widths: Stages[Width] = (128, 256, 512)
    blocks: Blocks = 2
    activated: Literal["before", "after"] = "before"


class BottleneckResNet(Model):
    """ResNet of bottleneck blocks for photographs, as torchvision has it; ResNet-50 by default.

    It has 25,557,032 parameters for 1000 classes [arith], the paper's 25.5M.

    Attributes:
        widths: within the blocks of each stage, which give four times as many channels.
        blocks: of each stage.
        stem: ``large``, a 7x7 convolution and a maximum that quarter the image [lore], or ``small``, a 3x3 convolution.
    """

    batch_norm: ClassVar[bool] = True
    name: Literal["resnet_bottleneck"]
    widths: Stages[Width] = (64, 128, 256, 512)
    blocks: Stages[Blocks] = (3, 4, 6, 3)
    stem: Literal["large", "small"] = "large"

    @model_validator(mode="after")
    def _one_count_a_stage(self) -> Self:
        _require_one_count_a_stage(self.widths, self.blocks, "blocks")
        return self


class InceptionV3(Model):
    """Inception-v3, as torchvision has it: 27,161,264 parameters for 1000 classes [arith], the paper's 27.1M.

    Attributes:
        blocks: how many there are of the kinds A, C and E, between which blocks of the kinds B and D halve the image.
        divisor: all numbers of channels are divided by it, and rounded up.
        stem: ``large``, which makes 35 pixels of 299 [lore], or ``small``, a 3x3 convolution; the auxiliary head then
            does without its pooling, too.
        dropout: share of the last features that is dropped in training [lore: torchvision's .5; the network's inventors
            kept .8, conflict].
        auxiliary: weight of the auxiliary head's loss [lore: .4 in torchvision's tutorial, as in the inventors' code];
            0: there is no such head. It is trained and pruned like the rest, and no evaluation uses it [open].
    """

    batch_norm: ClassVar[bool] = True
    name: Literal["inception_v3"]
    blocks: Annotated[Many[Annotated[int, Field(ge=1, le=20)]], Field(min_length=3, max_length=3)] = (3, 4, 2)
    divisor: Annotated[int, Field(ge=1, le=1000)] = 1
    stem: Literal["large", "small"] = "large"
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.5
    auxiliary: NonNegative = 0.4


def _require_one_count_a_stage(widths: Sequence[int], counts: Sequence[int], of: str) -> None:
    if len(widths) != len(counts):
        raise ValueError(f"widths are of {len(widths)} stages, {of} of {len(counts)}: give one for each")


Network = Annotated[
    BottleneckResNet | InceptionV3 | LeNet | ResNet | ResNet9 | VGG | WideResNet, Field(discriminator="name")
]


class Initialisation(Model):
    """The draw of the first weights.

    Attributes:
        weights: Kaiming normal [code]; Glorot normal in another public LeNet [code, conflict]. Biases start at 0.
        batch_norm_scale: uniform on (0, 1), the default of the PyTorch of the papers' day [code], or one.
    """

    weights: Literal["kaiming_normal", "glorot_normal"] = "kaiming_normal"
    batch_norm_scale: Literal["uniform", "one"] = "uniform"


class MeanStd(Model):
    """(pixel / scale - mean) / std, for each channel."""

    kind: Literal["mean_std"]
    mean: Many[Number]
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


class ResizedCrop(Model):
    """A rectangle of the photograph, drawn anew at each look, made a square (Szegedy et al. 2015, section 6).

    Attributes:
        least_area: the share of the photograph that it covers is uniform from here to 1 [lore: torchvision's default].
        aspect: width over height is log-uniform from the inverse of this to this [lore: torchvision's default].
    """

    least_area: Fraction = 0.08
    aspect: Annotated[Number, Field(ge=1, le=100)] = 4 / 3


class Augmentation(Model):
    """Random changes of training images.

    Attributes:
        flip: a horizontal one, in half of all looks.
        crop_padding: a crop out of the image padded by so many pixels of black.
        resized_crop: a crop of any size out of a photograph, where ``Data.frame`` says to what size; None: the whole
            photograph as it is tested.
    """

    flip: bool = False
    crop_padding: Annotated[int, Field(ge=0, le=10_000)] = 0
    resized_crop: ResizedCrop | None = Field(None, exclude_if=_is_none)


class Frame(Model):
    """How photographs of many sizes become squares of one.

    Attributes:
        size: side of the squares, in pixels: 224 for ResNet-50, 299 for Inception-v3 [lore: as torchvision has them].
        resize: where none is drawn, the photograph is made so small that its shorter side has so many pixels, then its
            centre is cut out: 256 and 342 [lore: as torchvision has them].
    """

    size: Annotated[int, Field(ge=1, le=10_000)] = 224
    resize: Annotated[int, Field(ge=1, le=10_000)] = 256

    @model_validator(mode="after")
    def _centre_within(self) -> Self:
        if self.resize < self.size:
            raise ValueError(
                f"resize is {self.resize}, but the centre that is cut out is {self.size} wide: resize to more"
            )
        return self


class Data(Model):
    """The dataset and how its images look to the network.

    Attributes:
        label_noise: share of the training labels that are drawn anew, uniformly over all classes, the right one among
            them [open]; whatever is measured on the training set is measured with these labels.
        noise_seed: of that draw, which is one for all replicates [open].
        task: the dataset's own, or a pretext.
        frame: of a dataset whose images have many sizes, and of no other.
    """

    name: Literal["digits", "mnist", "cifar10", "imagenet"]
    normalise: Annotated[MeanStd | UnitNorm | PixelScale, Field(discriminator="kind")]
    augment: Augmentation = Augmentation()
    label_noise: Annotated[Number, Field(ge=0, le=1)] = 0.0
    noise_seed: Seed = 0
    task: Task = Task()
    frame: Frame | None = Field(None, exclude_if=_is_none)

    @model_validator(mode="after")
    def _noise_of_labels_that_are_there(self) -> Self:
        if self.label_noise and self.task.labels != "true":
            raise ValueError(f"label_noise is of true labels, and task.labels is {self.task.labels}: leave one out")
        return self


class NoClipping(Model):
    """The gradient as it is."""

    kind: Literal["none"]


class ClipValue(Model):
    """Each number of the gradient cut off at ``-at`` and ``at``, as ``torch.nn.utils.clip_grad_value_``."""

    kind: Literal["value"]
    at: Positive


class ClipNorm(Model):
    """The gradient scaled down to the Euclidean norm ``at`` where it is longer, as ``clip_grad_norm_``."""

    kind: Literal["norm"]
    at: Positive


Clipping = Annotated[NoClipping | ClipValue | ClipNorm, Field(discriminator="kind")]
"""Before weight decay is added, as where PyTorch's functions are called between ``backward`` and ``step`` [code]."""


class Sgd(Model):
    """Heavy-ball SGD, not Nesterov [code].

    Attributes:
        weight_decay: added to the gradient; 1e-4 in the closest public code, 2e-4 in a sibling [code, conflict].
        decay_reach: every parameter [code], or convolutions' and linear layers' weights only.
        clip: by value at .1 in an earlier version of the third source's code; its slides say "clipped" [conflict].
    """

    name: Literal["sgd"]
    momentum: Decay = 0.9
    weight_decay: NonNegative = 1e-4
    decay_reach: Literal["all", "weights"] = "all"
    clip: Clipping = NoClipping(kind="none")


class Adam(Model):
    """Adam with the usual constants; the papers name the rate only [paper: LMC Table 1]."""

    name: Literal["adam"]
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_reach: Literal["all", "weights"] = "all"
    clip: Clipping = NoClipping(kind="none")


class Schedule(Model):
    """The learning rate: constant, dropped at given times or falling linearly, warmed up linearly from 0.

    Attributes:
        rate: the peak.
        drops: from each of these times on, the rate is multiplied by ``factor`` [code: from the iteration itself].
        factor: .1 is the papers' "10x drop".
        warmup: the rate is multiplied by iteration / warmup until then; the first step has rate 0 [code].
        end: the rate falls linearly from ``rate`` at iteration 0 to this at the end of training, T, and stays there
            [paper: Inception-v3's "linear decay to 0.005"]; that it falls step by step, and from the first on, is open
            [open]. None: it does not fall.
    """

    rate: Positive
    drops: Many[Time] = ()
    factor: Fraction = 0.1
    warmup: Time = Duration(0, "it")
    end: Positive | None = Field(None, exclude_if=_is_none, examples=[0.001])

    @model_validator(mode="after")
    def _one_way_down(self) -> Self:
        if self.end is not None and self.drops:
            raise ValueError(f"the rate falls linearly to {self.end:g} and drops too: leave out end or drops")
        if self.end is not None and self.end > self.rate:
            raise ValueError(f"end is {self.end:g}, above the peak, {self.rate:g}: choose less")
        return self


class Training(Model):
    """A whole recipe.

    Attributes:
        parameters: trainable numbers; checked on every run.
        length: T, the length of a full training.
        batch: examples of a step; the last batch of an epoch may be short [code].
        sampling: ``epochs`` go through all examples, in a new order each [code]; ``independent`` draws every batch
            anew out of all examples, each at most once in a batch [code: drawn independently; whether one can come
            twice is open]. A duration in epochs counts the batches that all examples fill in either.
        microbatch: examples that go through the network at a time, whose gradients are averaged over the batch: batch
            normalisation has the statistics of so many, and moves its running ones at each. None: the whole batch. That
            of several devices is open in the source [open]; one device's share of 1024 over 32, 32 examples, is usual.
        precision: number format: fp32, tf32 (of matrix products and convolutions, on CUDA), bf16 (autocast) or fp64.
    """

    network: Network
    parameters: Annotated[int, Field(ge=1, le=10**15)]
    initialisation: Initialisation = Initialisation()
    data: Data
    length: Time
    batch: Count
    sampling: Literal["epochs", "independent"] = "epochs"
    optimiser: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Schedule
    precision: Precision = "fp32"
    microbatch: Count | None = Field(None, exclude_if=_is_none)

    @property
    def at_a_time(self) -> int:
        """Examples that go through the network at a time."""
        return self.batch if self.microbatch is None else self.microbatch

    @field_validator("microbatch")
    @classmethod
    def _microbatch_within(cls, microbatch: int | None, info: ValidationInfo) -> int | None:
        batch = info.data.get("batch")
        if microbatch is not None and batch is not None and microbatch > batch:
            raise ValueError(f"microbatch is {microbatch}, more than the batch, {batch}: choose less")
        return microbatch

    @model_validator(mode="after")
    def _widths_of_normalisation(self) -> Self:
        normalise = self.data.normalise
        if isinstance(normalise, MeanStd) and len(normalise.mean) != len(normalise.std):
            raise ValueError("data.normalise: mean and std need the same number of channels")
        return self
