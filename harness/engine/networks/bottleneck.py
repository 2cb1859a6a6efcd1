"""ResNets of bottleneck blocks for photographs: ResNet-50 as torchvision has it."""

from collections.abc import Sequence

from torch import Tensor

from harness.engine.networks.layers import Layers

EXPANSION = 4
"""Channels that leave a block, over those within it."""


def resnet_bottleneck(
    layers: Layers, x: Tensor, *, classes: int, widths: Sequence[int], blocks: Sequence[int], stem: str
) -> Tensor:
    """ResNet of He et al. (2016), section 4.1, by torchvision's layers and their names; ResNet-50 by default.

    A block is a 1x1, a 3x3 and a 1x1 convolution, the second of which halves the image where a stage does, as
    torchvision has it. ResNet-50 has 25,557,032 trainable numbers for 1000 classes. The stem is a 7x7 convolution that
    halves the image and a 3x3 maximum that does so again (``large``), or a 3x3 convolution (``small``).
    """
    x, first = layers.images(x), widths[0]
    if stem == "large":
        x = layers.convolve_window(x, "conv1", first, (7, 7), stride=2, padding=(3, 3))
        x = layers.relu(layers.batch_norm(x, "bn1"))
        x = layers.pool_max_window(x, 3, stride=2, padding=1)
    else:
        x = layers.block(x, "conv1", first, 3, norm="bn1", activation="relu")
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _bottleneck(layers, x, f"layer{stage}.{block}", width, stride)
    return layers.linear(layers.pool_all(x), "fc", classes, output_layer=True)


def _bottleneck(layers: Layers, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    wide, shortcut = EXPANSION * width, x
    if stride != 1 or layers.channels(x) != wide:
        beside = f"{name}.downsample"
        shortcut = layers.block(x, f"{beside}.0", wide, 1, norm=f"{beside}.1", stride=stride)
    y = layers.block(x, f"{name}.conv1", width, 1, norm=f"{name}.bn1", activation="relu")
    y = layers.block(y, f"{name}.conv2", width, 3, norm=f"{name}.bn2", activation="relu", stride=stride)
    return layers.block(y, f"{name}.conv3", wide, 1, norm=f"{name}.bn3", activation="relu", added=shortcut)
