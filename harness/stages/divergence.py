"""Why a training diverged: a cause is named, and its remedy advised, only where it was looked for and found.

What can be seen after the fact: the state that the training started from, the images, the weights and running
statistics at its stop, and at which step the loss stopped being finite. The rate is to blame where all else is ruled
out: the loss at the start is of a usual size, and so are the images.
"""

import torch
import torch.nn.functional as F

from harness.digits import plain
from harness.engine.device import number_format
from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.errors import TrainingDiverged
from harness.stages.base import Work
from harness.stages.recorded import Snapshot

_EXAMPLES = 1000
"""Images that are looked at side by side."""

_USUAL = 1000.0
"""Nats; a network that guesses has log(classes), and no initialisation of a sound recipe a hundred times as much."""


def told(network: Network, item: Work, images: Images, end: Snapshot) -> TrainingDiverged | None:
    """The error of a training that diverged, with its cause and what to do about it; None where it did not.

    Args:
        network: what was trained.
        item: the job with its inputs.
        images: on what.
        end: the replica at its stop.
    """
    step = end.diverged_at
    if step is None:
        return None
    place = f"step {step} of {item.params['stop']}"
    return TrainingDiverged(
        _of_start(item)
        or _of_images(item, images, place)
        or _of_statistics(item, end, place)
        or _of_first_loss(network, item, images, step, place)
        or _of_rate(item, step, place)
    )


def _of_start(item: Work) -> str:
    state = item.state()
    for kind, tensors in (("weight", state.weights), ("running statistic", state.buffers)):
        for name, value in tensors.items():
            if not bool(value.isfinite().all()):
                return (
                    f"the {kind} {name} is not finite before the first step, {item.params['start']}: what is wrong is "
                    f"in the state that this starts from, {item.job.inputs['state']!r}"
                )
    return ""


def _of_images(item: Work, images: Images, place: str) -> str:
    if _greatest(images) < float("inf"):
        return ""
    kind = item.params["data"]["normalise"]["kind"]
    return (
        f"the loss was not finite at {place}: images of the training set have numbers that are not finite in "
        f"{item.params['precision']} once they are normalised: correct training.data.normalise, here {kind}"
    )


def _of_statistics(item: Work, end: Snapshot, place: str) -> str:
    """Training normalises by the batch, so running statistics harm nothing before an evaluation reads them."""
    broken = [name for name, value in end.buffers.items() if not bool(value.isfinite().all())]
    if not broken or not bool(end.weights.isfinite().all()):
        return ""
    return (
        f"the running statistic {broken[0]} of batch normalisation was not finite at {place}, though every weight and "
        f"the loss were: the layer's inputs have a variance beyond {item.params['precision']}, or none, as that of a "
        "single value; normalise the images to smaller numbers (training.data.normalise), or take larger batches"
    )


def _of_first_loss(network: Network, item: Work, images: Images, step: int, place: str) -> str:
    """What was wrong before any step moved a weight: a loss that overflows, or one that is hardly a start's."""
    precision = item.params["precision"]
    sizes = f"images have numbers up to {_greatest(images):.3g}, weights up to {_largest(item):.3g}"
    exact = _loss(network, item, images)
    seen, remedy = (
        f"{plain(exact, 3)} on the first images",
        "correct training.data.normalise or training.initialisation",
    )
    if step == item.params["start"]:
        text = f"the loss was not finite at {place}, the first of this training, before a step moved any weight: "
        if exact < float("inf") and precision != "fp64":
            return (
                f"{text}it is {seen} in fp64, which {precision} does not reach ({sizes}): smaller numbers "
                "(training.data.normalise, training.initialisation), or training.precision fp64, do"
            )
        return f"{text}it is {seen} in fp64 ({sizes}): {remedy}"
    if exact <= _USUAL:
        return ""
    return f"the loss was not finite at {place}: before the first step it is already {seen} ({sizes}): {remedy}"


def _of_rate(item: Work, step: int, place: str) -> str:
    """What is left: the loss was finite when it began, and then steps moved the weights until it overflowed."""
    params = item.params
    start, rate, precision = params["start"], params["schedule"]["rate"], params["precision"]
    coarse = (
        "" if precision in ("fp32", "fp64") else f" ({precision} has the range of fp32 but is coarser: try fp32 too)"
    )
    return (
        f"the loss was not finite at {place}: it was from {start} on, as the images are, so steps carried the weights "
        f"too far: lower training.schedule.rate, here {rate:g}{coarse}"
    )


def _greatest(images: Images) -> float:
    """The greatest magnitude of a number in the training images as they are normalised; infinite where one is none."""
    count, greatest = len(images.split["train"][1]), 0.0
    for start in range(0, count, _EXAMPLES):
        x, _ = images.plain("train", start, min(start + _EXAMPLES, count))
        if not bool(x.isfinite().all()):
            return float("inf")
        greatest = max(greatest, float(x.abs().max()))
    return greatest


def _largest(item: Work) -> float:
    return max(float(value.abs().max()) for value in item.state().weights.values())


@torch.no_grad()
def _loss(network: Network, item: Work, images: Images) -> float:
    """The loss of the start on the first images, as many as a batch, in double precision."""
    x, labels = images.plain("train", 0, item.params["batch"])
    state = item.state()
    weights, buffers = (
        {name: value[None].to(x.device, torch.float64) for name, value in tensors.items()}
        for tensors in (item.mask().applied(state.weights), state.buffers)
    )
    with number_format("fp64", x.device):
        (logits,) = network.logits(weights, buffers, x.double(), batch_norm="batch")
    return float(F.cross_entropy(logits, labels))
