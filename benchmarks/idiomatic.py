"""Training as public lottery-ticket code does it: one network at a time, in plain PyTorch.

A Dataset that turns each example into a PIL image and sends it through torchvision's transforms, a DataLoader
that shuffles, an ``nn.Module``, an optimiser of ``torch.optim``. Nothing here comes from the engine.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.utils.data
from PIL import Image
from torch import Tensor, nn

from harness.engine.vision import torchvision_part

transforms = torchvision_part("transforms")
Activation = Callable[[Tensor], Tensor]


class LeNet(nn.Module):
    """Fully connected layers with ReLU."""

    def __init__(self, inputs: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(wide, width) for wide, width in pairwise([inputs, *hidden]))
        self.output = nn.Linear(hidden[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(x, 1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        logits: Tensor = self.output(x)
        return logits


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a convolution too where the shape changes."""

    def __init__(self, wide: int, width: int, stride: int, activate: Activation) -> None:
        super().__init__()
        self.activate = activate
        self.shortcut = nn.Sequential()
        if stride != 1 or wide != width:
            self.shortcut = nn.Sequential(nn.Conv2d(wide, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.a = nn.Conv2d(wide, width, 3, stride, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(width)
        self.b = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.b_bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activate(self.a_bn(self.a(x)))
        return self.activate(self.b_bn(self.b(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """The CIFAR ResNet of He et al. (2016), with convolutions as shortcuts."""

    def __init__(
        self, channels: int, widths: Sequence[int], blocks: int, classes: int, activate: Activation = F.relu
    ) -> None:
        super().__init__()
        self.activate = activate
        self.stem = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(widths[0])
        layers = []
        for stage, (wide, width) in enumerate(pairwise([widths[0], *widths])):
            layers.append(Block(wide, width, 2 if stage else 1, activate))
            layers += [Block(width, width, 1, activate) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.activate(self.stem_bn(self.stem(x))))
        logits: Tensor = self.output(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
        return logits


def module(network: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of a spec. Its parameters come in the order in which the engine declares them."""
    if network["name"] == "lenet":
        return LeNet(shape[0] * shape[1] * shape[2], network["hidden"], classes)
    return ResNet(
        shape[0], network["widths"], network["blocks"], classes, getattr(F, network.get("activation", "relu"))
    )


def optimiser(settings: Mapping[str, Any], rate: float, parameters: Any) -> torch.optim.Optimizer:
    """The optimiser of a spec, at a constant rate."""
    if settings["name"] == "sgd":
        return torch.optim.SGD(
            parameters, lr=rate, momentum=settings["momentum"], weight_decay=settings["weight_decay"]
        )
    betas = (settings["beta1"], settings["beta2"])
    decay = settings["weight_decay"]
    return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=settings["epsilon"], weight_decay=decay)


def transform(data: Mapping[str, Any], size: int, *, augment: bool = True) -> Any:
    """Torchvision's transforms for a spec's ``data``; ToTensor divides by 255, whatever the spec's scale."""
    padding, normalise = data["augment"]["crop_padding"], data["normalise"]
    steps: list[Any] = [transforms.RandomCrop(size, padding)] if augment and padding else []
    if augment and data["augment"]["flip"]:
        steps.append(transforms.RandomHorizontalFlip())
    unit = normalise["scale"] / 255
    mean, std = ([unit * value for value in normalise[name]] for name in ("mean", "std"))
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean, std)])


def picture(pixels: Tensor) -> Image.Image:
    """A uint8 image [C, H, W] as PIL holds it."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).squeeze(-1).numpy()))


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Examples as torchvision's MNIST and CIFAR10 give them.

    Args:
        x: uint8 [N, C, H, W].
        y: [N].
        transform: what becomes of each PIL image.
    """

    def __init__(self, x: Tensor, y: Tensor, transform: Any) -> None:
        self._x = np.ascontiguousarray(x.permute(0, 2, 3, 1).squeeze(-1).numpy())
        self._y = y.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._x[index])), self._y[index]


def step(network: nn.Module, update: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """One step; its loss."""
    update.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    update.step()
    return loss.detach()
