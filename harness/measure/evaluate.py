"""Error and loss of R replicas on a split."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds
from harness.engine.device import number_format
from harness.engine.feed import Images
from harness.engine.kernels.choice import layers_for
from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers

_ELEMENTS_OF_A_BATCH = 1 << 22
"""Input numbers of one evaluation batch, of all replicas that are computed together: bounds memory, not results."""
_ELEMENTS_OF_A_COMPILED_BATCH, _MOST_COMPILED = 1 << 18, 256
"""Input numbers of one replica's batch by compiled loops, and examples of it: measured, see docs/speed.md."""


@dataclass(frozen=True)
class States:
    """R states of one network: parameters name -> [R, *shape], buffers name -> [R, C]."""

    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]

    def __len__(self) -> int:
        """R."""
        return len(next(iter(self.parameters.values())))


@dataclass(frozen=True)
class Scores:
    """What R replicas make of the N examples of a split.

    Attributes:
        predictions: [R, N] classes.
        losses: [R, N] cross-entropies, in nats.
        labels: [N].
    """

    predictions: Tensor
    losses: Tensor
    labels: Tensor

    @property
    def wrong(self) -> Tensor:
        """[R, N]: which examples are classified wrongly."""
        return self.predictions != self.labels

    @property
    def errors(self) -> list[float]:
        """Classification error of each replica, in percent."""
        return (100 * self.wrong.sum(1).double() / len(self.labels)).tolist()

    @property
    def mean_losses(self) -> list[float]:
        """Mean cross-entropy of each replica, in nats."""
        return self.losses.double().mean(1).tolist()


def batches(images: Images, split: str, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The split's examples in order, without augmentation: images [B, 1, C, H, W] and labels [B].

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.measure.evaluate import batches
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> [(tuple(x.shape), len(labels)) for x, labels in batches(images, "test", 200)]
        [((200, 1, 1, 8, 8), 200), ((197, 1, 1, 8, 8), 197)]
    """
    count = len(images.split[split][1])
    for start in range(0, count, size):
        yield images.plain(split, start, min(start + size, count))


@torch.no_grad()
def evaluate(network: Network, states: States, images: Images, split: str, *, precision: str) -> Scores:
    """Scores of all replicas on a split, batch normalisation by the running statistics.

    Examples:
        Two linear models of ten classes. The first knows nothing: its loss is log 10. The second is sure of class 3.

        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.evaluate import States, evaluate
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> linear = build({"name": "lenet", "hidden": []}, (1, 8, 8), 10)
        >>> bias = torch.zeros(2, 10).double()
        >>> bias[1, 3] = 50
        >>> states = States({"output.weight": torch.zeros(2, 64, 10).double(), "output.bias": bias}, {})
        >>> scores = evaluate(linear, states, images, "test", precision="fp64")
        >>> round(scores.mean_losses[0], 6)
        2.302585
        >>> scores.predictions[1].unique().tolist(), round(scores.losses[1].max().item(), 6)
        ([3], 50.0)
    """
    replicas = len(states)
    layers = layers_for(network, images.split[split][1].device, precision)
    predictions, losses = [], []
    for x, labels in batches(images, split, _batch(network, replicas, layers)):
        x = x.expand(-1, replicas, -1, -1, -1)
        with number_format(precision, x.device):
            logits = network.logits(states.parameters, states.buffers, x, layers=layers)
        predictions.append(logits.argmax(-1))
        repeated = labels.expand(replicas, -1)
        losses.append(
            F.cross_entropy(logits.flatten(0, 1), repeated.flatten(), reduction="none").unflatten(0, (replicas, -1))
        )
    return Scores(torch.cat(predictions, 1), torch.cat(losses, 1), images.split[split][1])


def _batch(network: Network, replicas: int, layers: type[Layers]) -> int:
    """Examples of an evaluation batch. By compiled loops it is the same for every R, and fills vectors."""
    inputs: int = math.prod(network.shape)
    if layers is Layers:
        inputs *= network.branches(replicas)[0].stop
        return max(16, min(1000, _ELEMENTS_OF_A_BATCH // inputs))
    return max(1, min(_MOST_COMPILED, _ELEMENTS_OF_A_COMPILED_BATCH // inputs) // 16) * 16


@torch.no_grad()
def recompute_statistics(
    network: Network,
    states: States,
    images: Images,
    *,
    batch: int,
    precision: str,
    layers: type[Layers] | None = None,
) -> States:
    """The states with running statistics measured afresh: the mean over all training batches of each batch's own.

    As ``torch.optim.swa_utils.update_bn`` (Izmailov et al. 2018), without augmentation, in one fixed random order: in
    the stored order, batches of a dataset sorted by class would hold one class each.

    Args:
        network: of the states.
        states: whose weights.
        images: the data.
        batch: examples of a batch.
        precision: number format.
        layers: what computes; as evaluations do where it is not given.

    Examples:
        Where all weights are 0, no channel varies, whatever the running statistics said.

        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.evaluate import States, recompute_statistics
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> resnet = build({"name": "resnet", "widths": [1], "blocks": 1}, (1, 8, 8), 10)
        >>> weights = {name: torch.zeros(1, *parameter.shape).double() for name, parameter in resnet.parameters.items()}
        >>> stale = {name: torch.full((1, size), 7.0).double() for name, (size, _) in resnet.buffers.items()}
        >>> fresh = recompute_statistics(resnet, States(weights, stale), images, batch=700, precision="fp64")
        >>> {float(value) for value in fresh.buffers.values()}
        {0.0}
    """
    fresh = {name: torch.full_like(states.buffers[name], value) for name, (_, value) in network.buffers.items()}
    replicas = len(states)
    labels = images.split["train"][1]
    layers = layers or layers_for(network, labels.device, precision)
    order = seeds.permutation(seeds.stream("statistics"), len(labels), device=labels.device)
    for seen, index in enumerate(order.split(batch)):
        x = images.chosen("train", index)
        with number_format(precision, x.device):
            network.logits(
                states.parameters,
                fresh,
                x.expand(-1, replicas, -1, -1, -1),
                batch_norm="recompute",
                batches_seen=seen,
                layers=layers,
            )
    return States(states.parameters, fresh)
