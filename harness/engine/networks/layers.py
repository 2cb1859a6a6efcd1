"""The layers that networks are made of, each applied to R replicas at once.

A network is one function over ``Layers``. Run over a ``Tracer`` it declares its parameters; run over ``Layers``
it computes. Images are [B, R*C, H, W], replicas folded into the channels, so that a convolution of several
replicas is one grouped convolution and batch normalisation keeps each replica's statistics apart. Vectors are
[R, B, features].
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds

Kind = Literal["conv", "linear", "bias", "bn_scale", "bn_shift", "ln_scale", "ln_shift"]
BatchNormMode = Literal["train", "batch", "eval", "recompute"]

BN_MOMENTUM = 0.1
"""Share of the new batch in the running statistics: PyTorch's default, which the papers' code leaves as it is."""

NORM_EPSILON = 1e-5
"""Added to variances: PyTorch's default of both normalisations."""


Window = tuple[int, int]
"""Pixels (height, width)."""


def _of_all_bits(share: float) -> int:
    """The number below which a share of all int64 numbers lie."""
    return round((share - 0.5) * 2.0**64)


@dataclass(frozen=True)
class Parameter:
    """A trainable tensor of one replica.

    Attributes:
        shape: without the replica axis. Linear weights are [in, out], convolutions [out, in, height, width].
        kind: what it is; decides its initialisation, whether it may be pruned, whether weight decay may skip it.
        fan_in: inputs of one unit.
        fan_out: outputs that one input reaches.
        output_layer: whether it belongs to the last layer.
    """

    shape: tuple[int, ...]
    kind: Kind
    fan_in: int = 0
    fan_out: int = 0
    output_layer: bool = False

    @property
    def is_weight(self) -> bool:
        """Whether it is a convolution's or a linear layer's weight, which alone can be pruned."""
        return self.kind in ("conv", "linear")


class Layers:
    """Layers over the parameters and buffers of R replicas.

    Args:
        parameters: name -> [R, *shape].
        buffers: name -> [R, C], batch normalisation's running statistics, updated in place in training.
        batch_norm: ``train`` normalises by the batch and moves the running statistics by a tenth; ``batch``
            normalises by the batch and leaves them alone, as ``torch.func`` transforms need it; ``eval`` uses the
            running statistics; ``recompute`` normalises by the batch and averages the statistics of all batches.
        batches_seen: batches already averaged, for ``recompute``.
        draws: [R, B] random bits of each example, int64, by which dropout chooses; None: nothing is dropped.

    Attributes:
        trains: whether a forward pass is one of training, so that a network has its auxiliary heads.
        auxiliaries: weight and class scores [R, B, K] of each auxiliary head, in training.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        *,
        batch_norm: BatchNormMode = "eval",
        batches_seen: int = 0,
        draws: Tensor | None = None,
    ) -> None:
        self.trains = batch_norm != "eval"
        self.auxiliaries: list[tuple[float, Tensor]] = []
        self._draws = draws
        self.replicas = next(iter(parameters.values())).shape[0] if parameters else 1
        self._parameters = parameters
        self._buffers = buffers
        self._normalises_by_batch = batch_norm != "eval"
        self._keeps_statistics = batch_norm != "batch"
        self._momentum = 1.0 / (batches_seen + 1) if batch_norm == "recompute" else BN_MOMENTUM

    def parameter(self, name: str, declared: Parameter) -> Tensor:
        """The parameter of that name, [R, *shape]."""
        return self._parameters[name]

    def buffer(self, name: str, size: int, value: float) -> Tensor:
        """The buffer of that name, [R, size]."""
        return self._buffers[name]

    def images(self, x: Tensor) -> Tensor:
        """The input [B, R, C, H, W] as images [B, R*C, H, W].

        Channels last in memory, which all that follows keeps: measured 1.3 times as fast on the CPU as channels first.
        """
        return x.flatten(1, 2).contiguous(memory_format=torch.channels_last)

    def vectors(self, x: Tensor) -> Tensor:
        """The input [B, R, C, H, W] as vectors [R, B, C*H*W]; of one replica without the gaps of its neighbours."""
        vectors = x.flatten(2).transpose(0, 1)
        return vectors.contiguous() if self.replicas == 1 else vectors

    def channels(self, x: Tensor) -> int:
        """C of images."""
        return x.shape[1] // self.replicas

    def convolve(
        self, x: Tensor, name: str, channels: int, size: int, *, stride: int = 1, biased: bool = False
    ) -> Tensor:
        """A ``size`` x ``size`` convolution with padding ``size // 2``: [B, R*C, H, W] to [B, R*channels, ...]."""
        shape = (channels, x.shape[1] // self.replicas, size, size)
        fans = shape[1] * size**2, channels * size**2
        weight = self.parameter(f"{name}.weight", Parameter(shape, "conv", *fans)).reshape(-1, *shape[1:])
        bias = self.parameter(f"{name}.bias", Parameter((channels,), "bias", *fans)).reshape(-1) if biased else None
        return self._convolution(x, weight, bias, stride, (size // 2, size // 2))

    def convolve_window(
        self, x: Tensor, name: str, channels: int, window: Window, *, stride: int = 1, padding: Window = (0, 0)
    ) -> Tensor:
        """A convolution by a rectangle (height, width), without bias, with as much padding as is said."""
        shape = (channels, x.shape[1] // self.replicas, *window)
        area = window[0] * window[1]
        declared = Parameter(shape, "conv", shape[1] * area, channels * area)
        weight = self.parameter(f"{name}.weight", declared).reshape(-1, *shape[1:])
        return self._convolution(x, weight, None, stride, padding)

    def _convolution(self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: Window) -> Tensor:
        return F.conv2d(x, weight, bias, stride, padding, groups=self.replicas)

    def batch_norm(self, x: Tensor, name: str, *, epsilon: float = NORM_EPSILON) -> Tensor:
        """Batch normalisation of [B, R*C, H, W], each replica by its own statistics."""
        channels = x.shape[1] // self.replicas
        scale = self.parameter(f"{name}.scale", Parameter((channels,), "bn_scale"))
        shift = self.parameter(f"{name}.shift", Parameter((channels,), "bn_shift"))
        mean = self.buffer(f"{name}.mean", channels, 0.0)
        variance = self.buffer(f"{name}.variance", channels, 1.0)
        return torch.batch_norm(
            x,
            scale.reshape(-1),
            shift.reshape(-1),
            mean.view(-1) if self._keeps_statistics else None,
            variance.view(-1) if self._keeps_statistics else None,
            self._normalises_by_batch,
            self._momentum,
            epsilon,
            False,  # not by cuDNN: its kernel for channels-last images waits for all its blocks, beside other branches
        )

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        """Layer normalisation of [B, R*C, H, W]: each replica's example over all its C, H and W (Ba et al. 2016).

        A scale and a shift for each channel, as in group normalisation with one group (Wu & He 2018, section 3).
        Written out, because forward-mode derivatives of ``F.group_norm`` under ``vmap`` fail on channels-last images;
        measured about as fast.
        """
        channels = x.shape[1] // self.replicas
        scale = self.parameter(f"{name}.scale", Parameter((channels,), "ln_scale"))
        shift = self.parameter(f"{name}.shift", Parameter((channels,), "ln_shift"))
        return self._layer_normalised(x, scale, shift)

    def _layer_normalised(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        x = x.to(scale)  # moments and the like in single precision where convolutions are in half
        variance, mean = torch.var_mean(x.unflatten(1, (self.replicas, -1)), (2, 3, 4), correction=0)
        factor = torch.rsqrt(variance + NORM_EPSILON).unsqueeze(2) * scale
        offset = shift - mean.unsqueeze(2) * factor
        return torch.addcmul(offset.flatten(1)[..., None, None], x, factor.flatten(1)[..., None, None])

    def linear(self, x: Tensor, name: str, features: int, *, output_layer: bool = False) -> Tensor:
        """An affine map of [R, B, in] to [R, B, features]."""
        wide = x.shape[-1]
        weight = self.parameter(f"{name}.weight", Parameter((wide, features), "linear", wide, features, output_layer))
        bias = self.parameter(f"{name}.bias", Parameter((features,), "bias", wide, features, output_layer))
        return torch.baddbmm(bias.unsqueeze(1), x, weight)

    def relu(self, x: Tensor) -> Tensor:
        """The positive part."""
        return F.relu(x)

    def gelu(self, x: Tensor) -> Tensor:
        """Each number times the normal distribution function of it (Hendrycks & Gimpel 2016), exact."""
        return F.gelu(x)

    def block(
        self,
        x: Tensor,
        name: str,
        channels: int,
        size: int,
        *,
        norm: str,
        normalisation: str = "batch",
        activation: str = "none",
        stride: int = 1,
        biased: bool = False,
        added: Tensor | None = None,
    ) -> Tensor:
        """A convolution, its normalisation, what is added to it, and the activation of all, one after the other.

        Args:
            x: images.
            name: of the convolution.
            channels: see ``convolve``.
            size: see ``convolve``.
            norm: name of the normalisation.
            normalisation: ``batch`` or ``layer``.
            activation: ``relu``, ``gelu`` or ``none``.
            stride: see ``convolve``.
            biased: whether the convolution has a bias.
            added: images like those that come out.
        """
        x = self.convolve(x, name, channels, size, stride=stride, biased=biased)
        x = self.batch_norm(x, norm) if normalisation == "batch" else self.layer_norm(x, norm)
        return self.activate(x if added is None else x + added, activation)

    def activate(self, x: Tensor, activation: str) -> Tensor:
        """``relu``, ``gelu`` or ``none`` of the numbers."""
        if activation == "none":
            return x
        return self.relu(x) if activation == "relu" else self.gelu(x)

    def pool_max(self, x: Tensor) -> Tensor:
        """The greatest of every 2 x 2 pixels: [B, R*C, H, W] to [B, R*C, H // 2, W // 2]."""
        return F.max_pool2d(x, 2)

    def pool_max_window(self, x: Tensor, size: int, *, stride: int, padding: int = 0) -> Tensor:
        """The greatest of every ``size`` x ``size`` pixels, so many pixels on; beyond the border there are none."""
        return F.max_pool2d(x, size, stride, padding)

    def pool_mean_window(self, x: Tensor, size: int, *, stride: int, padding: int = 0) -> Tensor:
        """The mean of every ``size`` x ``size`` pixels, so many pixels on; zeros beyond the border count."""
        return F.avg_pool2d(x, size, stride, padding)

    def concatenate(self, x: Sequence[Tensor]) -> Tensor:
        """Several images, all [B, R*C, H, W] with C of their own, as one with all their channels."""
        apart = [images.unflatten(1, (self.replicas, -1)) for images in x]
        return torch.cat(apart, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)

    def dropout(self, x: Tensor, share: float) -> Tensor:
        """Numbers of [R, B, F] set to 0 by chance, the others grown to keep the mean (Srivastava et al. 2014).

        In training only, where there are draws: which numbers, is a function of the example's bits and their place.
        """
        if self._draws is None or not share:
            return x
        places = torch.arange(x.shape[2], device=x.device)
        kept = seeds.bits(self._draws[..., None], places) >= _of_all_bits(share)
        return x * kept.to(x) / (1 - share)

    def auxiliary(self, scores: Tensor, weight: float) -> None:
        """Class scores [R, B, K] whose cross-entropy is part of the training loss, by a weight."""
        self.auxiliaries.append((weight, scores))

    def pool_max_all(self, x: Tensor) -> Tensor:
        """The greatest of each channel: [B, R*C, H, W] to vectors [R, B, C]."""
        greatest: Tensor = F.max_pool2d(x, x.shape[2:]).flatten(1).unflatten(1, (self.replicas, -1))
        return greatest.transpose(0, 1)

    def pool_all(self, x: Tensor) -> Tensor:
        """The mean over each channel: [B, R*C, H, W] to vectors [R, B, C]."""
        means: Tensor = x.mean((2, 3)).unflatten(1, (self.replicas, -1))
        return means.transpose(0, 1)


class Tracer(Layers):
    """Records what a network declares, over a batch of no examples: its shapes are known, and nothing is computed.

    Attributes:
        declared: name -> parameter, in the order of the forward pass.
        declared_buffers: name -> size and initial value.
        multiplications: of an example.
        drops_out: whether the network has dropout.
        of_windows: whether it has convolutions by windows, which compiled loops have not.

    Not on PyTorch's device ``meta``, which is for shapes: its kernels are in Python, and load the compiler of PyTorch
    and SymPy, in 2 s.
    """

    def __init__(self) -> None:
        super().__init__({}, {})
        self.trains = True
        self.drops_out = False
        self.of_windows = False
        self.declared: dict[str, Parameter] = {}
        self.declared_buffers: dict[str, tuple[int, float]] = {}
        self.multiplications = 0

    def parameter(self, name: str, declared: Parameter) -> Tensor:
        """Records the parameter; a stand-in of its shape without memory, R = 1."""
        if name in self.declared:
            raise ValueError(f"the network declares {name} twice")
        self.declared[name] = declared
        return torch.zeros(()).expand(1, *declared.shape)

    def buffer(self, name: str, size: int, value: float) -> Tensor:
        """Records the buffer; a stand-in of its shape without memory, R = 1."""
        self.declared_buffers[name] = (size, value)
        return torch.zeros(()).expand(1, size)

    def trace(self, run: Callable[[Layers, Tensor], Tensor], shape: Sequence[int]) -> Self:
        """Itself, once it has recorded what a network declares.

        Args:
            run: the network, of layers and images [B, R, C, H, W].
            shape: (C, H, W) of an image.

        Raises:
            RuntimeError: images of this shape are too small for one of the layers.
        """
        run(self, torch.empty(0, 1, *shape))
        return self

    def convolve_window(
        self, x: Tensor, name: str, channels: int, window: Window, *, stride: int = 1, padding: Window = (0, 0)
    ) -> Tensor:
        """Notes that there is one."""
        self.of_windows = True
        return super().convolve_window(x, name, channels, window, stride=stride, padding=padding)

    def dropout(self, x: Tensor, share: float) -> Tensor:
        """Notes that there is one."""
        self.drops_out = self.drops_out or share > 0
        return x

    def _convolution(self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: Window) -> Tensor:
        """Counts the multiplications of one example. F.conv2d would make room for the weight."""
        size = (weight.shape[-2], weight.shape[-1])
        y = F.max_pool2d(x[:, :1], size, stride, padding).expand(-1, len(weight), -1, -1)
        self.multiplications += math.prod(y.shape[1:]) * math.prod(weight.shape[1:])
        return y

    def _layer_normalised(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """PyTorch warns of a variance of nothing."""
        return x

    def linear(self, x: Tensor, name: str, features: int, *, output_layer: bool = False) -> Tensor:
        """Counts the multiplications of one example."""
        self.multiplications += x.shape[-1] * features
        return super().linear(x, name, features, output_layer=output_layer)
