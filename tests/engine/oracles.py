"""Plain torch code that the engine is held against: one replica at a time, written without the engine."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import seeds
from harness.datainfo import DatasetInfo
from harness.engine.data.dataset import Dataset, in_memory
from harness.engine.networks.build import Network

SCALE = {"kind": "scale", "scale": 255.0}
NO_AUGMENTATION = {"flip": False, "crop_padding": 0}
PLAIN = {"normalise": SCALE, "augment": NO_AUGMENTATION}
UNCLIPPED = {"kind": "none"}
SGD = {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "decay_reach": "all", "clip": UNCLIPPED}
ADAM = {
    "name": "adam",
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "weight_decay": 0.0,
    "decay_reach": "all",
    "clip": UNCLIPPED,
}
CONSTANT = {"rate": 0.05, "drops": [], "factor": 0.1, "warmup": 0}
TINY_LENET = {"name": "lenet", "hidden": [7, 5]}
TINY_RESNET = {"name": "resnet", "widths": [3, 4], "blocks": 1}
TINY_RESNET9 = {"name": "resnet9", "widths": [2, 3, 3, 4], "activation": "gelu", "normalisation": "batch"}

TINY_WIDE = {"name": "wide_resnet", "stem": 2, "widths": [3, 4], "blocks": 1, "activated": "before"}
TINY_VGG = {"name": "vgg", "widths": [2, 3], "convolutions": [1, 2], "last_pooling": "max"}


def dataset(n_train: int = 23, n_test: int = 11, shape: tuple[int, int, int] = (1, 6, 6), seed: int = 0) -> Dataset:
    """A made-up dataset of three classes."""
    generator = torch.Generator().manual_seed(seed)
    parts = {
        f"{part}_{kind}": torch.randint(0, high, size, generator=generator, dtype=dtype)
        for part, count in (("train", n_train), ("test", n_test))
        for kind, high, size, dtype in (
            ("x", 256, (count, *shape), torch.uint8),
            ("y", 3, (count,), torch.int64),
        )
    }
    info = DatasetInfo("made-up", "f" * 64, n_train, n_test, 3, shape, False, "made up", None)
    return in_memory(info, parts)


class PlainLeNet(nn.Module):
    """Fully connected layers with ReLU."""

    def __init__(self, inputs: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        for number, (wide, next_wide) in enumerate(pairwise(widths), start=1):
            self.add_module(f"hidden{number}", nn.Linear(wide, next_wide))
        self.output = nn.Linear(widths[-1], classes)
        self.depth = len(hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(x, 1)
        for number in range(1, self.depth + 1):
            x = torch.relu(self.get_submodule(f"hidden{number}")(x))
        out: Tensor = self.output(x)
        return out


class PlainBlock(nn.Module):
    """A residual block of He et al. (2016), with a projection where the shape changes."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(wide_in, wide, 3, stride, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(wide)
        self.b = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.b_bn = nn.BatchNorm2d(wide)
        self.projects = stride != 1 or wide_in != wide
        if self.projects:
            self.shortcut = nn.Conv2d(wide_in, wide, 1, stride, 0, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        short = self.shortcut_bn(self.shortcut(x)) if self.projects else x
        y = self.b_bn(self.b(torch.relu(self.a_bn(self.a(x)))))
        return torch.relu(y + short)


class PlainResNet(nn.Module):
    """The CIFAR ResNet."""

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, classes: int, stem: int = 0) -> None:
        super().__init__()
        wide = stem or widths[0]
        self.stem = nn.Conv2d(channels, wide, 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(wide)
        self.blocks = nn.ModuleDict()
        for stage, width in enumerate(widths, start=1):
            for block in range(1, blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                self.blocks[f"stage{stage}_block{block}"] = PlainBlock(wide, width, stride)
                wide = width
        self.output = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem_bn(self.stem(x)))
        for block in self.blocks.values():
            x = block(x)
        out: Tensor = self.output(x.mean((2, 3)))
        return out


class PlainWideBlock(nn.Module):
    """A residual block of He et al. (2016b): normalisation and ReLU before each convolution."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.own_bn = nn.BatchNorm2d(wide_in)
        self.a = nn.Conv2d(wide_in, wide, 3, stride, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(wide)
        self.b = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.projects = stride != 1 or wide_in != wide
        if self.projects:
            self.shortcut = nn.Conv2d(wide_in, wide, 1, stride, 0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ready = torch.relu(self.own_bn(x))
        short = self.shortcut(ready) if self.projects else x
        out: Tensor = self.b(torch.relu(self.a_bn(self.a(ready)))) + short
        return out


class PlainWideResNet(nn.Module):
    """The wide ResNet, activated before its convolutions."""

    def __init__(self, channels: int, stem: int, widths: Sequence[int], blocks: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, stem, 3, 1, 1, bias=False)
        wide = stem
        self.blocks = nn.ModuleDict()
        for stage, width in enumerate(widths, start=1):
            for block in range(1, blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                self.blocks[f"stage{stage}_block{block}"] = PlainWideBlock(wide, width, stride)
                wide = width
        self.last_bn = nn.BatchNorm2d(wide)
        self.output = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks.values():
            x = block(x)
        out: Tensor = self.output(torch.relu(self.last_bn(x)).mean((2, 3)))
        return out


class PlainLayerNorm(nn.Module):
    """Layer normalisation over C, H and W, scaled and shifted channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:]) * self.weight[:, None, None] + self.bias[:, None, None]


class PlainBlock9(nn.Conv2d):
    """Convolution with bias, normalisation, activation."""

    def __init__(self, wide_in: int, wide: int, activation: str, normalisation: str) -> None:
        super().__init__(wide_in, wide, 3, 1, 1)
        self.norm = nn.BatchNorm2d(wide) if normalisation == "batch" else PlainLayerNorm(wide)
        self.activation = nn.GELU() if activation == "gelu" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.norm(super().forward(x)))
        return out


class PlainResNet9(nn.Module):
    """ResNet9 as it is usually written."""

    def __init__(self, shape: Sequence[int], widths: Sequence[int], classes: int, *kind: str) -> None:
        super().__init__()
        wide = [shape[0], *widths]
        self.conv1, self.conv2, self.conv3, self.conv4 = (PlainBlock9(*pair, *kind) for pair in pairwise(wide))
        self.res1 = nn.ModuleDict({name: PlainBlock9(widths[1], widths[1], *kind) for name in "ab"})
        self.res2 = nn.ModuleDict({name: PlainBlock9(widths[3], widths[3], *kind) for name in "ab"})
        self.pool, self.pool_rest = nn.MaxPool2d(2), nn.MaxPool2d((shape[1] // 8, shape[2] // 8))
        self.output = nn.Linear(widths[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.conv2(self.conv1(x)))
        x = self.res1["b"](self.res1["a"](x)) + x
        x = self.pool(self.conv4(self.pool(self.conv3(x))))
        x = self.res2["b"](self.res2["a"](x)) + x
        out: Tensor = self.output(self.pool_rest(x).flatten(1))
        return out


class PlainVGG(nn.Module):
    """VGG as it is usually written."""

    def __init__(
        self, channels: int, widths: Sequence[int], convolutions: Sequence[int], last_pooling: str, classes: int
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleDict()
        for stage, (width, count) in enumerate(zip(widths, convolutions, strict=True), start=1):
            for number in range(1, count + 1):
                self.stages[f"stage{stage}_conv{number}"] = nn.Conv2d(channels, width, 3, 1, 1)
                self.stages[f"stage{stage}_conv{number}_bn"] = nn.BatchNorm2d(width)
                channels = width
            self.stages[f"pool{stage}"] = nn.MaxPool2d(2)
        if last_pooling == "mean":
            del self.stages[f"pool{len(widths)}"]
        self.output = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        for name, part in self.stages.items():
            x = torch.relu(part(x)) if name.endswith("_bn") else part(x)
        out: Tensor = self.output(x.mean((2, 3)))
        return out


def plain(network: Network) -> nn.Module:
    """The plain module of the same shape, float64."""
    channels, height, width = network.shape
    if network.name == "lenet":
        hidden = network.settings["hidden"]
        return PlainLeNet(channels * height * width, hidden, network.classes).double()
    if network.name == "resnet9":
        kind = network.settings["activation"], network.settings["normalisation"]
        return PlainResNet9(network.shape, network.settings["widths"], network.classes, *kind).double()
    if network.name == "vgg":
        return PlainVGG(channels, **network.settings, classes=network.classes).double()
    residual = {name: network.settings[name] for name in ("widths", "blocks", "stem") if name in network.settings}
    if network.settings.get("activated") == "before":
        return PlainWideResNet(channels, **residual, classes=network.classes).double()
    return PlainResNet(channels, **residual, classes=network.classes).double()


def plain_tensor(module: nn.Module, name: str) -> Tensor:
    """The module's tensor that the engine calls ``name``, shared; linear weights are transposed."""
    path, leaf = name.rsplit(".", 1)
    if ".conv" in path:
        path = f"stages.{path.replace('.', '_')}"
    if path.endswith(".bn"):
        own = "own" if path.count(".") == 2 and ".block" in path else ""  # of a block, not of one of its convolutions
        path = f"{path.removesuffix('.bn')}{'.' if own else ''}{own}_bn"
    leaf = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}.get(leaf, leaf)
    if path.startswith("stage") and ".block" in path:
        stage, block, rest = path.split(".", 2)
        path = f"blocks.{stage}_{block}.{rest}"
    owner = module.get_submodule(path)
    tensor: Tensor = getattr(owner, leaf)
    return tensor.t() if isinstance(owner, nn.Linear) and leaf == "weight" else tensor


@torch.no_grad()
def fill(module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], replica: int) -> nn.Module:
    """Copies one replica's numbers into the module."""
    for name, value in (*parameters.items(), *buffers.items()):
        plain_tensor(module, name).copy_(value[replica])
    return module


def random_state(network: Network, replicas: int, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers with nothing special about them, float64."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {
        name: 0.5 * torch.randn(replicas, *declared.shape, generator=generator, dtype=torch.float64)
        for name, declared in network.parameters.items()
    }
    buffers = {
        name: torch.rand(replicas, size, generator=generator, dtype=torch.float64) + 0.5
        for name, (size, _) in network.buffers.items()
    }
    return parameters, buffers


def naive_image(pixels: Tensor, draw: int, *, padding: int, flip: bool) -> Tensor:
    """One uint8 image [C, H, W] padded with black, cropped, then mirrored, with Python loops."""
    channels, height, width = pixels.shape
    unsigned = draw % (1 << 64)
    down = ((unsigned >> 8) & 0xFFFFFF) % (2 * padding + 1)
    right = ((unsigned >> 32) & 0xFFFFFF) % (2 * padding + 1)
    out = torch.zeros_like(pixels)
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                y, x = row + down - padding, column + right - padding
                black = not (0 <= y < height and 0 <= x < width)
                out[channel, row, column] = 0 if black else pixels[channel, y, x]
    return out.flip(-1) if flip and unsigned & 1 else out


def naive_epoch(seed: int | str, epoch: int, examples: int, batch: int) -> list[list[int]]:
    """The batches of an epoch: the indices sorted by their random bits."""
    key = seeds.stream("order", seed, epoch)
    draws = seeds.bits(key, torch.arange(examples)).tolist()
    order = sorted(range(examples), key=lambda index: draws[index])
    return [order[first : first + batch] for first in range(0, examples, batch)]


def naive_choice(
    sampling: str, seed: int | str, step: int, examples: int, batch: int
) -> tuple[list[int], Sequence[int | str]]:
    """The examples of a step, and the labels of its augmentation stream."""
    if sampling == "epochs":
        epoch, place = divmod(step, -(-examples // batch))
        return naive_epoch(seed, epoch, examples, batch)[place], (seed, epoch)
    draws = seeds.bits(seeds.stream("order", seed, "step", step), torch.arange(examples)).tolist()
    return sorted(range(examples), key=lambda index: draws[index])[:batch], (seed, "step", step)


def naive_clip(parameters: Sequence[Tensor], clip: Mapping[str, Any]) -> None:
    """Clips gradients as PyTorch does."""
    if clip["kind"] == "value":
        nn.utils.clip_grad_value_(parameters, clip["at"])
    if clip["kind"] == "norm":
        nn.utils.clip_grad_norm_(parameters, clip["at"])


def naive_training(
    network: Network,
    data: Dataset,
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    replica: int,
    *,
    start: int,
    stop: int,
    order: int | str,
    batch: int,
    optimiser: Mapping[str, Any],
    schedule: Mapping[str, Any],
    mask: Mapping[str, Tensor] | None = None,
    schedule_start: int = 0,
    augment: Mapping[str, Any] = NO_AUGMENTATION,
    sampling: str = "epochs",
    microbatch: int | None = None,
) -> nn.Module:
    """One replica trained with torch's own layers and optimisers, one example at a time into its batch."""
    module = fill(plain(network), parameters, buffers, replica).train()
    masks = {name: value[replica] for name, value in (mask or {}).items()}
    held = {name: plain_tensor(module, name) for name in parameters}
    groups: list[dict[str, Any]] = [{"params": [], "weight_decay": optimiser["weight_decay"]}]
    groups.append({"params": [], "weight_decay": 0.0})
    weights = {name for name, declared in network.parameters.items() if declared.is_weight}
    for name in parameters:
        decays = optimiser["decay_reach"] == "all" or name in weights
        tensor = plain_tensor(module, name)
        groups[0 if decays else 1]["params"].append(tensor._base if tensor._base is not None else tensor)
    groups = [group for group in groups if group["params"]]
    steps: torch.optim.Optimizer
    if optimiser["name"] == "sgd":
        steps = torch.optim.SGD(groups, lr=1.0, momentum=optimiser["momentum"])
    else:
        betas = (optimiser["beta1"], optimiser["beta2"])
        steps = torch.optim.Adam(groups, lr=1.0, betas=betas, eps=optimiser["epsilon"])
    examples = len(data.train.labels)
    with torch.no_grad():
        for name, kept in masks.items():
            held[name].mul_(kept)
    for step in range(start, stop):
        chosen, look = naive_choice(sampling, order, step, examples, batch)
        key = seeds.stream("augment", *look)
        x = torch.stack(
            [
                naive_image(
                    data.train.images(torch.tensor(index)),
                    int(seeds.bits(key, torch.tensor(index))),
                    padding=augment["crop_padding"],
                    flip=augment["flip"],
                )
                for index in chosen
            ]
        )
        steps.zero_grad()
        for part in torch.arange(len(x)).split(microbatch or len(x)):
            scores = module(x[part].double() / 255)
            (F.cross_entropy(scores, data.train.labels[chosen][part], reduction="sum") / len(x)).backward()
        for name, kept in masks.items():  # the gradient that is clipped has no part outside the mask
            whole = held[name] if held[name]._base is None else held[name]._base
            whole.grad.mul_(kept if whole is held[name] else kept.t())
        naive_clip(list(module.parameters()), optimiser["clip"])
        at = step - schedule_start
        rate = schedule["rate"] * schedule["factor"] ** sum(at >= drop for drop in schedule["drops"])
        if "end" in schedule:
            rate += (schedule["end"] - schedule["rate"]) * min(1.0, at / schedule["length"])
        if schedule["warmup"]:
            rate *= min(1.0, at / schedule["warmup"])
        for group in steps.param_groups:
            group["lr"] = rate
        steps.step()
        with torch.no_grad():
            for name, kept in masks.items():
                held[name].mul_(kept)
    return module
