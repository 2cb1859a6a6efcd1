"""Training as public lottery-ticket code does it: one network at a time, in plain PyTorch.

A Dataset that turns each example into a PIL image and sends it through torchvision's transforms, a DataLoader
that shuffles, an ``nn.Module``, an optimiser of ``torch.optim``. ``Resident`` stands in for the first two where the
data lies on the device already. Nothing here comes from the engine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.utils.data
from PIL import Image
from torch import Tensor, nn

from harness.engine.data.vision import torchvision_part

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


class Normalised(nn.Module):
    """A convolution with bias, batch normalisation, activation."""

    def __init__(self, wide: int, width: int, activate: Activation) -> None:
        super().__init__()
        self.activate = activate
        self.convolution = nn.Conv2d(wide, width, 3, 1, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.norm(self.convolution(x)))


class ResNet9(nn.Module):
    """The thin ResNet: four blocks, the last three with pooling, two pairs with a shortcut around."""

    def __init__(self, channels: int, widths: Sequence[int], classes: int, activate: Activation) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = Normalised(channels, first, activate)
        self.conv2 = Normalised(first, second, activate)
        self.res1 = nn.Sequential(Normalised(second, second, activate), Normalised(second, second, activate))
        self.conv3 = Normalised(second, third, activate)
        self.conv4 = Normalised(third, fourth, activate)
        self.res2 = nn.Sequential(Normalised(fourth, fourth, activate), Normalised(fourth, fourth, activate))
        self.output = nn.Linear(fourth, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv2(self.conv1(x)), 2)
        x = x + self.res1(x)
        x = F.max_pool2d(self.conv4(F.max_pool2d(self.conv3(x), 2)), 2)
        x = x + self.res2(x)
        logits: Tensor = self.output(torch.flatten(F.adaptive_max_pool2d(x, 1), 1))
        return logits


class VGG(nn.Module):
    """VGG with batch normalisation; each stage ends in max pooling, one linear layer follows."""

    def __init__(
        self, channels: int, widths: Sequence[int], convolutions: Sequence[int], last_pooling: str, classes: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, count in zip(widths, convolutions, strict=True):
            for _ in range(count):
                layers.append(Normalised(channels, width, F.relu))
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*(layers if last_pooling == "max" else layers[:-1]))
        self.output = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(torch.flatten(F.adaptive_avg_pool2d(self.layers(x), 1), 1))
        return logits


def module(network: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of a spec. Its parameters come in the order in which the engine declares them.

    Raises:
        SystemExit: none is written here for it.
    """
    activate: Activation = getattr(F, network.get("activation", "relu"))
    if network["name"] == "lenet":
        return LeNet(shape[0] * shape[1] * shape[2], network["hidden"], classes)
    if network["name"] == "resnet":
        return ResNet(shape[0], network["widths"], network["blocks"], classes, activate)
    if network["name"] == "resnet9" and network["normalisation"] == "batch":
        return ResNet9(shape[0], network["widths"], classes, activate)
    if network["name"] == "vgg":
        return VGG(shape[0], network["widths"], network["convolutions"], network["last_pooling"], classes)
    raise SystemExit(f"the network {dict(network)} has no plain counterpart: write it in {__name__}.py")


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


class Resident:
    """Examples on the device, looked up, augmented and normalised there, a batch at a time.

    Args:
        x: uint8 [N, C, H, W].
        y: [N].
        data: of a spec.
        device: where.
    """

    def __init__(self, x: Tensor, y: Tensor, data: Mapping[str, Any], device: torch.device) -> None:
        augment, normalise = data["augment"], data["normalise"]
        self._padding, self._flip = augment["crop_padding"], augment["flip"]
        self._size = x.shape[-1]
        self._x, self._y = F.pad(x, [self._padding] * 4).to(device), y.to(device)
        shape = (1, x.shape[1], 1, 1)
        self._mean, self._std = (
            normalise["scale"] * torch.tensor(normalise[name], device=device).reshape(shape) for name in ("mean", "std")
        )

    def epoch(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch in a new order."""
        for index in torch.randperm(len(self._y), device=self._y.device).split(batch):
            yield self.look(index), self._y[index]

    def look(self, index: Tensor) -> Tensor:
        """Examples [B], each with a crop and a flip of its own: [B, C, H, W]."""
        x, device = self._x[index], index.device
        if self._padding:
            place = torch.arange(self._size, device=device)
            top, left = torch.randint(0, 2 * self._padding + 1, (2, len(index), 1), device=device)
            rows, columns = (top + place)[:, None, :, None], (left + place)[:, None, None, :]
            each, channel = (torch.arange(n, device=device) for n in x.shape[:2])
            x = x[each[:, None, None, None], channel[:, None, None], rows, columns]
        if self._flip:
            turned = torch.rand(len(index), 1, 1, 1, device=device) < 0.5
            x = torch.where(turned, x.flip(-1), x)
        normalised: Tensor = (x.float() - self._mean) / self._std
        return normalised


def step(
    network: nn.Module, update: torch.optim.Optimizer, x: Tensor, y: Tensor, clip: Mapping[str, Any] | None = None
) -> Tensor:
    """One step; its loss. ``clip`` is that of a spec's optimiser."""
    update.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    if clip and clip["kind"] == "value":
        nn.utils.clip_grad_value_(network.parameters(), clip["at"])
    elif clip and clip["kind"] == "norm":
        nn.utils.clip_grad_norm_(network.parameters(), clip["at"])
    update.step()
    return loss.detach()
