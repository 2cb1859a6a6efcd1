"""Errors of one state counted once more, in the plainest way: what every evaluation is held against."""

from dataclasses import dataclass

import torch

from harness.engine.device import number_format
from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers
from harness.measure.evaluate import States

_BATCH = 250
_OF_FORMAT = {"fp64": 1e-9, "fp32": 1e-4}
"""Relative difference of two logits that another order of summation may turn round."""
_OF_OTHERS = 0.05


@dataclass(frozen=True)
class Recount:
    """How many examples of a split a state gets wrong.

    Attributes:
        examples: of the split.
        wrong: of these.
        undecided: those whose highest two logits differ by no more than rounding, so that ``wrong`` may be off by
            as many where more states are evaluated side by side.
    """

    examples: int
    wrong: int
    undecided: int

    def agrees(self, error: float) -> bool:
        """Whether an error in percent is this count's, up to what is undecided."""
        return abs(error * self.examples / 100 - self.wrong) <= self.undecided + 1e-6


@torch.no_grad()
def recount(network: Network, state: States, images: Images, split: str, *, precision: str) -> Recount:
    """Counts a single state's (R = 1) errors, image by image.

    By PyTorch's operations, whatever evaluates: what compiled loops got wrong would not be seen by themselves.

    Examples:
        A linear model that is sure of class 3 is wrong about all other images.

        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.evaluate import States
        >>> from harness.measure.recount import recount
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> linear = build({"name": "lenet", "hidden": []}, (1, 8, 8), 10)
        >>> weight, bias = torch.zeros(1, 64, 10).double(), torch.eye(10).double()[[3]]
        >>> state = States({"output.weight": weight, "output.bias": bias}, {})
        >>> count = recount(linear, state, images, "test", precision="fp64")
        >>> count.wrong == int((images.split["test"][1] != 3).sum()), count.undecided
        (True, 0)
    """
    labels = images.split[split][1]
    rounding = _OF_FORMAT.get(precision, _OF_OTHERS)
    wrong = undecided = 0
    for index in torch.arange(len(labels), device=labels.device).split(_BATCH):
        x = images.chosen(split, index)
        with number_format(precision, x.device):
            (logits,) = network.logits(state.parameters, state.buffers, x, layers=Layers)
        first, second = logits.topk(2, dim=1).values.unbind(1)
        undecided += int((first - second <= rounding * logits.abs().amax(1)).sum())
        wrong += int((logits.argmax(1) != labels[index]).sum())
    return Recount(len(labels), wrong, undecided)
