"""Inception-v3 as torchvision has it, by its layers and their names; smaller ones of the same blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from harness.engine.networks.layers import Layers, Window

EPSILON = 1e-3
"""Added to variances by batch normalisation [torchvision]."""


def inception_v3(
    layers: Layers,
    x: Tensor,
    *,
    classes: int,
    blocks: Sequence[int],
    divisor: int,
    stem: str,
    dropout: float,
    auxiliary: float,
) -> Tensor:
    """Inception-v3 of Szegedy et al. (2016), table 1, with torchvision's layers: 27,161,264 trainable numbers.

    So many are they for 1000 classes, with the auxiliary head, which counts in training only.

    Args:
        layers: what computes.
        x: images [B, R, C, H, W].
        classes: outputs.
        blocks: how many there are of the kinds A, C and E: 3, 4 and 2 in Inception-v3.
        divisor: all numbers of channels are divided by it.
        stem: ``large`` is Inception-v3's, which makes 35 pixels of 299; ``small`` a 3x3 convolution.
        dropout: share of the last features that is dropped in training.
        auxiliary: weight of the auxiliary head's loss; 0: there is no such head.
    """
    of, (first, second, third) = _Blocks(layers, divisor, stem), blocks
    x = of.stem(layers.images(x))
    for number in range(first):
        x = of.a(x, f"Mixed_5{_letter(number)}", 32 if number == 0 else 64)
    x = of.b(x, "Mixed_6a")
    for number in range(second):
        x = of.c(x, f"Mixed_6{_letter(number)}", _WITHIN[min(number, 3)])
    if auxiliary and layers.trains:
        layers.auxiliary(of.head(x, classes), auxiliary)
    x = of.d(x, "Mixed_7a")
    for number in range(third):
        x = of.e(x, f"Mixed_7{_letter(number)}")
    return layers.linear(layers.dropout(layers.pool_all(x), dropout), "fc", classes, output_layer=True)


_WITHIN = (128, 160, 160, 192)
"""Channels within the blocks of kind C, one after the other."""


def _letter(number: int) -> str:
    """b, c, d, ...: the letter a is that of the blocks before."""
    return chr(ord("b") + number)


@dataclass(frozen=True)
class _Blocks:
    """The blocks, over some layers."""

    layers: Layers
    divisor: int
    kind_of_stem: str

    def conv(
        self, x: Tensor, name: str, channels: int, window: Window, *, stride: int = 1, padding: Window = (0, 0)
    ) -> Tensor:
        """Convolution, batch normalisation, ReLU."""
        layers, width = self.layers, -(-channels // self.divisor)
        x = layers.convolve_window(x, f"{name}.conv", width, window, stride=stride, padding=padding)
        return layers.relu(layers.batch_norm(x, f"{name}.bn", epsilon=EPSILON))

    def stem(self, x: Tensor) -> Tensor:
        if self.kind_of_stem == "small":
            return self.conv(x, "Conv2d_1a_3x3", 192, (3, 3), padding=(1, 1))
        x = self.conv(x, "Conv2d_1a_3x3", 32, (3, 3), stride=2)
        x = self.conv(x, "Conv2d_2a_3x3", 32, (3, 3))
        x = self.conv(x, "Conv2d_2b_3x3", 64, (3, 3), padding=(1, 1))
        x = self.layers.pool_max_window(x, 3, stride=2)
        x = self.conv(x, "Conv2d_3b_1x1", 80, (1, 1))
        x = self.conv(x, "Conv2d_4a_3x3", 192, (3, 3))
        return self.layers.pool_max_window(x, 3, stride=2)

    def pooled(self, x: Tensor, name: str, channels: int) -> Tensor:
        x = self.layers.pool_mean_window(x, 3, stride=1, padding=1)
        return self.conv(x, f"{name}.branch_pool", channels, (1, 1))

    def a(self, x: Tensor, name: str, pooled: int) -> Tensor:
        one = self.conv(x, f"{name}.branch1x1", 64, (1, 1))
        five = self.conv(x, f"{name}.branch5x5_1", 48, (1, 1))
        five = self.conv(five, f"{name}.branch5x5_2", 64, (5, 5), padding=(2, 2))
        twice = self.conv(x, f"{name}.branch3x3dbl_1", 64, (1, 1))
        twice = self.conv(twice, f"{name}.branch3x3dbl_2", 96, (3, 3), padding=(1, 1))
        twice = self.conv(twice, f"{name}.branch3x3dbl_3", 96, (3, 3), padding=(1, 1))
        return self.layers.concatenate([one, five, twice, self.pooled(x, name, pooled)])

    def b(self, x: Tensor, name: str) -> Tensor:
        once = self.conv(x, f"{name}.branch3x3", 384, (3, 3), stride=2)
        twice = self.conv(x, f"{name}.branch3x3dbl_1", 64, (1, 1))
        twice = self.conv(twice, f"{name}.branch3x3dbl_2", 96, (3, 3), padding=(1, 1))
        twice = self.conv(twice, f"{name}.branch3x3dbl_3", 96, (3, 3), stride=2)
        return self.layers.concatenate([once, twice, self.layers.pool_max_window(x, 3, stride=2)])

    def c(self, x: Tensor, name: str, within: int) -> Tensor:
        one = self.conv(x, f"{name}.branch1x1", 192, (1, 1))
        once = self.conv(x, f"{name}.branch7x7_1", within, (1, 1))
        once = self.conv(once, f"{name}.branch7x7_2", within, (1, 7), padding=(0, 3))
        once = self.conv(once, f"{name}.branch7x7_3", 192, (7, 1), padding=(3, 0))
        twice = self.conv(x, f"{name}.branch7x7dbl_1", within, (1, 1))
        twice = self.conv(twice, f"{name}.branch7x7dbl_2", within, (7, 1), padding=(3, 0))
        twice = self.conv(twice, f"{name}.branch7x7dbl_3", within, (1, 7), padding=(0, 3))
        twice = self.conv(twice, f"{name}.branch7x7dbl_4", within, (7, 1), padding=(3, 0))
        twice = self.conv(twice, f"{name}.branch7x7dbl_5", 192, (1, 7), padding=(0, 3))
        return self.layers.concatenate([one, once, twice, self.pooled(x, name, 192)])

    def d(self, x: Tensor, name: str) -> Tensor:
        once = self.conv(x, f"{name}.branch3x3_1", 192, (1, 1))
        once = self.conv(once, f"{name}.branch3x3_2", 320, (3, 3), stride=2)
        other = self.conv(x, f"{name}.branch7x7x3_1", 192, (1, 1))
        other = self.conv(other, f"{name}.branch7x7x3_2", 192, (1, 7), padding=(0, 3))
        other = self.conv(other, f"{name}.branch7x7x3_3", 192, (7, 1), padding=(3, 0))
        other = self.conv(other, f"{name}.branch7x7x3_4", 192, (3, 3), stride=2)
        return self.layers.concatenate([once, other, self.layers.pool_max_window(x, 3, stride=2)])

    def e(self, x: Tensor, name: str) -> Tensor:
        one = self.conv(x, f"{name}.branch1x1", 320, (1, 1))
        once = self.conv(x, f"{name}.branch3x3_1", 384, (1, 1))
        twice = self.conv(x, f"{name}.branch3x3dbl_1", 448, (1, 1))
        twice = self.conv(twice, f"{name}.branch3x3dbl_2", 384, (3, 3), padding=(1, 1))
        parted = [
            self.conv(part, f"{name}.{branch}", 384, window, padding=padding)
            for part, branches in ((once, ("branch3x3_2a", "branch3x3_2b")), (twice, _PARTED))
            for branch, window, padding in zip(branches, ((1, 3), (3, 1)), ((0, 1), (1, 0)), strict=True)
        ]
        return self.layers.concatenate([one, *parted, self.pooled(x, name, 192)])

    def head(self, x: Tensor, classes: int) -> Tensor:
        """The auxiliary head's class scores; of images of less than 17 pixels without its pooling and 5x5 window."""
        large = self.kind_of_stem == "large"
        x = self.layers.pool_mean_window(x, 5, stride=3) if large else x
        x = self.conv(x, "AuxLogits.conv0", 128, (1, 1))
        x = self.conv(x, "AuxLogits.conv1", 768, (5, 5) if large else (1, 1))
        return self.layers.linear(self.layers.pool_all(x), "AuxLogits.fc", classes, output_layer=True)


_PARTED = ("branch3x3dbl_3a", "branch3x3dbl_3b")
