"""Networks, each one function over ``Layers``; their parameters are declared by running the function once.

To add a network: write the function, name it in ``NETWORKS``, and give its settings in ``schema/training.py``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from harness.engine.networks.bottleneck import resnet_bottleneck
from harness.engine.networks.inception import inception_v3
from harness.engine.networks.layers import BatchNormMode, Layers, Parameter, Tracer
from harness.jobs.job import canonical

Forward = Callable[..., Tensor]


def lenet(layers: Layers, x: Tensor, *, classes: int, hidden: Sequence[int]) -> Tensor:
    """LeNet: fully connected layers with ReLU (LeNet-300-100 of LeCun et al. 1998; LMC Table 1)."""
    x = layers.vectors(x)
    for number, width in enumerate(hidden, start=1):
        x = layers.relu(layers.linear(x, f"hidden{number}", width))
    return layers.linear(x, "output", classes, output_layer=True)


def vgg(
    layers: Layers,
    x: Tensor,
    *,
    classes: int,
    widths: Sequence[int],
    convolutions: Sequence[int],
    last_pooling: str,
) -> Tensor:
    """VGG for small images (Simonyan & Zisserman 2015, with batch normalisation and one linear layer; LMC Table 1).

    A stage is some 3x3 convolutions with bias, batch normalisation and ReLU, then 2x2 max pooling, the last only where
    ``last_pooling`` is ``max``; the mean over what is left follows. VGG-16 has 2, 2, 3, 3, 3 of 64, 128, 256, 512, 512
    channels: 14,728,266 trainable numbers on CIFAR-10.
    """
    x = layers.images(x)
    for stage, (width, count) in enumerate(zip(widths, convolutions, strict=True), start=1):
        for number in range(1, count + 1):
            name = f"stage{stage}.conv{number}"
            x = layers.block(x, name, width, 3, norm=f"{name}.bn", activation="relu", biased=True)
        if stage < len(widths) or last_pooling == "max":
            x = layers.pool_max(x)
    return layers.linear(layers.pool_all(x), "output", classes, output_layer=True)


def resnet(
    layers: Layers,
    x: Tensor,
    *,
    classes: int,
    widths: Sequence[int],
    blocks: int,
    activation: str = "relu",
    stem: int | None = None,
) -> Tensor:
    """CIFAR ResNet of He et al. (2016), section 4.2: depth 6n+2 for three stages of n blocks.

    Stages after the first halve the image. Where the shape changes, the shortcut is a 1x1 convolution with
    batch normalisation (option B). ResNet-20 has 272,474 trainable numbers, with its 1,568 running statistics the
    paper's 274K. Four stages of two blocks with 64 to 512 channels are the ResNet-18 that is usual for CIFAR. The
    first convolution has ``stem`` channels, by default those of the first stage.
    """
    x = layers.block(layers.images(x), "stem", stem or widths[0], 3, norm="stem.bn", activation=activation)
    for name, width, stride in _blocks(widths, blocks):
        shortcut = x
        if stride != 1 or layers.channels(x) != width:
            name_of_it = f"{name}.shortcut"
            shortcut = layers.block(x, name_of_it, width, 1, norm=f"{name_of_it}.bn", stride=stride)
        y = layers.block(x, f"{name}.a", width, 3, norm=f"{name}.a.bn", activation=activation, stride=stride)
        x = layers.block(y, f"{name}.b", width, 3, norm=f"{name}.b.bn", activation=activation, added=shortcut)
    return layers.linear(layers.pool_all(x), "output", classes, output_layer=True)


def wide_resnet(
    layers: Layers, x: Tensor, *, classes: int, stem: int, widths: Sequence[int], blocks: int, activated: str
) -> Tensor:
    """Wide ResNet of Zagoruyko & Komodakis (2016), section 2: depth 6n+4 for three stages of n blocks.

    ``activated`` ``before`` each convolution, as theirs is (He et al. 2016b): normalisation and ReLU stand before it, a
    shortcut adds what came in, or where the shape changes a 1x1 convolution of it, normalised and activated, and the
    last sum is normalised and activated once more. WRN-16-8 has 10,961,370 trainable numbers on CIFAR-10. ``after``: an
    ordinary ``resnet`` of these widths, behind a first convolution of ``stem`` channels.
    """
    if activated == "after":
        return resnet(layers, x, classes=classes, widths=widths, blocks=blocks, stem=stem)
    x = layers.convolve(layers.images(x), "stem", stem, 3)
    for name, width, stride in _blocks(widths, blocks):
        ready = layers.relu(layers.batch_norm(x, f"{name}.bn"))
        if stride != 1 or layers.channels(x) != width:
            x = layers.convolve(ready, f"{name}.shortcut", width, 1, stride=stride)
        y = layers.block(ready, f"{name}.a", width, 3, norm=f"{name}.a.bn", activation="relu", stride=stride)
        x = x + layers.convolve(y, f"{name}.b", width, 3)
    x = layers.relu(layers.batch_norm(x, "last.bn"))
    return layers.linear(layers.pool_all(x), "output", classes, output_layer=True)


def _blocks(widths: Sequence[int], blocks: int) -> Iterator[tuple[str, int, int]]:
    """Name, channels and stride of each residual block: the first of every stage but the first halves the image."""
    for stage, width in enumerate(widths, start=1):
        for block in range(1, blocks + 1):
            yield f"stage{stage}.block{block}", width, 2 if stage > 1 and block == 1 else 1


def resnet9(
    layers: Layers, x: Tensor, *, classes: int, widths: Sequence[int], activation: str, normalisation: str
) -> Tensor:
    """ResNet9: four blocks, the last three followed by 2x2 max pooling, and two pairs of blocks with a shortcut around.

    A block is a 3x3 convolution with bias, normalisation and activation; nothing follows where a shortcut is added.
    With widths 4, 8, 16, 32 on CIFAR-10 it has the third source's 26,490 parameters.
    """

    def block(x: Tensor, name: str, width: int) -> Tensor:
        norm = f"{name}.norm"
        return layers.block(
            x, name, width, 3, norm=norm, normalisation=normalisation, activation=activation, biased=True
        )

    first, second, third, fourth = widths
    x = block(layers.images(x), "conv1", first)
    x = layers.pool_max(block(x, "conv2", second))
    x = x + block(block(x, "res1.a", second), "res1.b", second)
    x = layers.pool_max(block(x, "conv3", third))
    x = layers.pool_max(block(x, "conv4", fourth))
    x = x + block(block(x, "res2.a", fourth), "res2.b", fourth)
    return layers.linear(layers.pool_max_all(x), "output", classes, output_layer=True)


APART_FROM = 1_000_000
"""Multiply-adds of an example from which each replica is computed by itself: measured, see docs/fused-replicas.md."""

NETWORKS: Mapping[str, Forward] = {
    "inception_v3": inception_v3,
    "lenet": lenet,
    "resnet": resnet,
    "resnet9": resnet9,
    "resnet_bottleneck": resnet_bottleneck,
    "vgg": vgg,
    "wide_resnet": wide_resnet,
}


@dataclass(frozen=True)
class Network:
    """A network function with its settings and the shape of its input.

    Attributes:
        name: key of ``NETWORKS``.
        settings: keyword arguments of the function, without ``classes``.
        shape: (C, H, W) of one image.
        classes: number of outputs.
    """

    name: str
    settings: Mapping[str, Any]
    shape: tuple[int, int, int]
    classes: int

    def run(self, layers: Layers, x: Tensor) -> Tensor:
        """Class scores [R, B, K] of images [B, R, C, H, W], by any kind of layers."""
        return NETWORKS[self.name](layers, x, classes=self.classes, **self.settings)

    @cached_property
    def _traced(self) -> Tracer:
        return Tracer().trace(self.run, self.shape)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Name -> declaration, in the order of the forward pass."""
        return self._traced.declared

    @property
    def buffers(self) -> Mapping[str, tuple[int, float]]:
        """Name -> (size, initial value) of batch normalisation's running statistics."""
        return self._traced.declared_buffers

    @cached_property
    def size(self) -> int:
        """P: trainable numbers of one replica."""
        return sum(_numel(parameter.shape) for parameter in self.parameters.values())

    @property
    def multiplications(self) -> int:
        """Multiply-adds of a forward pass of one example."""
        return self._traced.multiplications

    @property
    def drops_out(self) -> bool:
        """Whether it has dropout, whose draws a training step gives."""
        return self._traced.drops_out

    @property
    def has_auxiliaries(self) -> bool:
        """Whether it has heads that count in training only."""
        return bool(self._traced.auxiliaries)

    @property
    def compilable(self) -> bool:
        """Whether compiled loops have all its layers."""
        return not self._traced.of_windows

    @property
    def unfused(self) -> bool:
        """Whether replicas are computed each by itself; those of a small network cost more launches than work.

        A choice by the network alone: where each is by itself, its numbers do not depend on how many run beside it.
        """
        return self.multiplications >= APART_FROM

    def branches(self, replicas: int) -> list[slice]:
        """Which replicas are computed together."""
        if not self.unfused:
            return [slice(0, replicas)]
        return [slice(replica, replica + 1) for replica in range(replicas)]

    def prunable(self, *, output_layer: bool) -> list[str]:
        """Names of the weights that pruning may touch: never biases or batch normalisation."""
        return [
            name
            for name, parameter in self.parameters.items()
            if parameter.is_weight and (output_layer or not parameter.output_layer)
        ]

    def logits(
        self,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Tensor,
        *,
        batch_norm: BatchNormMode = "eval",
        batches_seen: int = 0,
        layers: type[Layers] = Layers,
    ) -> Tensor:
        """Class scores of R replicas.

        Args:
            parameters: name -> [R, *shape].
            buffers: name -> [R, C].
            x: images [B, R, C, H, W].
            batch_norm: see ``Layers``.
            batches_seen: see ``Layers``.
            layers: what computes.

        Returns:
            [R, B, K], in single precision at least.
        """

        def together(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor) -> Tensor:
            scores = self.run(layers(parameters, buffers, batch_norm=batch_norm, batches_seen=batches_seen), x)
            return _single(scores)

        branches = self.branches(len(next(iter(parameters.values()))))
        if len(branches) == 1:
            return together(parameters, buffers, x)
        return torch.cat([together(rows_of(parameters, rows), rows_of(buffers, rows), x[:, rows]) for rows in branches])

    def heads(
        self,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Tensor,
        *,
        draws: Tensor | None,
        layers: type[Layers] = Layers,
    ) -> list[tuple[float, Tensor]]:
        """Weight and class scores of each head of replicas that are computed together, in training: the loss is theirs.

        Args:
            parameters: name -> [R, *shape].
            buffers: name -> [R, C].
            x: images [B, R, C, H, W].
            draws: see ``Layers``.
            layers: what computes.

        Returns:
            The network's own scores [R, B, K], of weight 1, then those of auxiliary heads.
        """
        made = layers(parameters, buffers, batch_norm="train", draws=draws)
        scores = self.run(made, x)
        return [(1.0, _single(scores)), *((weight, _single(own)) for weight, own in made.auxiliaries)]


def _single(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype == torch.bfloat16 else scores


def rows_of(tensors: Mapping[str, Tensor], rows: slice | int) -> dict[str, Tensor]:
    """Some replicas of name -> [R, ...], or one without R, as views."""
    return {name: value[rows] for name, value in tensors.items()}


def _numel(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def build(description: Mapping[str, Any], shape: Sequence[int], classes: int) -> Network:
    """The network that a spec describes: ``{"name": "resnet", "widths": [16, 32, 64], "blocks": 3}``."""
    return _build(canonical(dict(description)), tuple(shape), classes)


@lru_cache(maxsize=16)
def _build(description: str, shape: tuple[int, int, int], classes: int) -> Network:
    settings = json.loads(description)
    return Network(settings.pop("name"), settings, shape, classes)
