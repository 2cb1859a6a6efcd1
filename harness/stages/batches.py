"""The losses of single batches, as curvature is measured of them."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from harness import seeds
from harness.measure.curvature import Objective
from harness.stages.base import Context, Work
from harness.stages.objective import objective_of


def batches_of(item: Work, context: Context) -> tuple[Iterator[Objective], Tensor]:
    """The loss on each of a job's batches, and the weights [P] of its input ``state``.

    Its params: those of ``objective_of``, whose examples and chunks are not looked at; ``batch`` (examples, all
    different, drawn from the whole training split as in training), ``batches`` (how many), ``seed``.
    """
    whole, weights = objective_of(item, context)
    images = context.images(item.params["data"], item.params["precision"])
    labels = images.split["train"][1]

    def drawn() -> Iterator[Objective]:
        for number in range(item.params["batches"]):
            key = torch.tensor([seeds.stream("batch", item.params["seed"], number)], device=labels.device)
            (index,) = seeds.choice(key, len(labels), item.params["batch"])
            yield replace(whole, chunks=[(images.chosen("train", index)[:, 0], labels[index])])

    return drawn(), weights
