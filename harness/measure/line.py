"""The straight line between two states, and what lies on it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.errors import InvariantBroken
from harness.measure.evaluate import Scores, States, evaluate, recompute_statistics


def alphas(count: int, ends: str) -> list[float]:
    """Places on the line, in order, the ends 0 and 1 always among them.

    Args:
        count: evenly spaced values (30 in LMC section 2).
        ends: ``included`` counts the ends among them, ``added`` puts them around ``count`` interior values.

    Examples:
        >>> from harness.measure.line import alphas
        >>> alphas(3, "included")
        [0.0, 0.5, 1.0]
        >>> alphas(3, "added")
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if ends == "included":
        return [i / (count - 1) for i in range(count)]
    return [i / (count + 1) for i in range(count + 2)]


def interpolate(a: Tensor, b: Tensor, places: Sequence[float]) -> Tensor:
    """(1 - alpha) a + alpha b for each alpha: [*shape] to [A, *shape]; the ends are a and b bit by bit.

    Examples:
        >>> import torch
        >>> from harness.measure.line import interpolate
        >>> interpolate(torch.tensor([0.0, 4.0]), torch.tensor([8.0, 0.0]), [0.0, 0.25, 1.0]).tolist()
        [[0.0, 4.0], [2.0, 3.0], [8.0, 0.0]]
    """
    alpha = torch.tensor(places, dtype=torch.float64, device=a.device).reshape(-1, *[1] * a.ndim)
    return torch.lerp(a.double()[None], b.double()[None], alpha).to(a.dtype)  # lerp is exact at both ends


def scores_on_line(
    network: Network,
    a: States,
    b: States,
    images: Images,
    *,
    places: Sequence[float],
    splits: Sequence[str],
    batch_norm: str,
    batch: int,
    precision: str,
    chunk: int = 10,
) -> list[tuple[float, str, float, float]]:
    """Errors and losses on the line between two single states (R = 1).

    Args:
        network: of both.
        a: at alpha 0.
        b: at alpha 1.
        images: the data.
        places: the alphas.
        splits: ``train``, ``test``.
        batch_norm: ``interpolated`` mixes the running statistics like the weights, ``recomputed`` measures them
            afresh on the training set at every alpha, the ends included.
        batch: examples of a batch when statistics are recomputed.
        precision: number format.
        chunk: alphas evaluated side by side; bounds memory.

    Returns:
        Rows (alpha, split, error in percent, mean loss in nats).

    Raises:
        InvariantBroken: an end of the line is not the state it should be.

    Examples:
        The cross-entropy of a linear model is convex in its weights: no barrier lies on the line between two of them.

        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.evaluate import States
        >>> from harness.measure.line import scores_on_line
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> linear = build({"name": "lenet", "hidden": []}, (1, 8, 8), 10)
        >>> weight, biases = torch.zeros(1, 64, 10).double(), 4 * torch.eye(10).double()
        >>> a, b = (States({"output.weight": weight, "output.bias": biases[[label]]}, {}) for label in (3, 5))
        >>> how = {"batch_norm": "interpolated", "batch": 100, "precision": "fp64"}
        >>> rows = scores_on_line(linear, a, b, images, places=[0.0, 0.5, 1.0], splits=["test"], **how)
        >>> at_a, between, at_b = (loss for _, _, _, loss in rows)
        >>> between < (at_a + at_b) / 2
        True
    """
    rows = []
    on_line = states_on_line(
        network, a, b, images, places=places, batch_norm=batch_norm, batch=batch, precision=precision, chunk=chunk
    )
    for here, states in on_line:
        for split in splits:
            scores: Scores = evaluate(network, states, images, split, precision=precision)
            rows += [
                (alpha, split, error, loss)
                for alpha, error, loss in zip(here, scores.errors, scores.mean_losses, strict=True)
            ]
    return rows


def states_on_line(
    network: Network,
    a: States,
    b: States,
    images: Images,
    *,
    places: Sequence[float],
    batch_norm: str,
    batch: int,
    precision: str,
    chunk: int = 10,
) -> Iterator[tuple[Sequence[float], States]]:
    """The states at places on the line, some at a time, with these places; arguments as for ``scores_on_line``.

    Raises:
        InvariantBroken: an end of the line is not the state it should be.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from harness.engine.data.datasets import load
        >>> from harness.engine.feed import Images
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.evaluate import States
        >>> from harness.measure.line import states_on_line
        >>> settings = {"normalise": {"kind": "scale", "scale": 16}, "augment": {"flip": False, "crop_padding": 0}}
        >>> images = Images(load("digits", Path()), settings, device=torch.device("cpu"), dtype=torch.float64)
        >>> linear = build({"name": "lenet", "hidden": []}, (1, 8, 8), 10)
        >>> weight, biases = torch.zeros(1, 64, 10).double(), 4 * torch.eye(10).double()
        >>> a, b = (States({"output.weight": weight, "output.bias": biases[[label]]}, {}) for label in (3, 5))
        >>> how = {"batch_norm": "interpolated", "batch": 100, "precision": "fp64", "chunk": 2}
        >>> some = list(states_on_line(linear, a, b, images, places=[0.0, 0.5, 1.0], **how))
        >>> [here for here, _ in some], some[0][1].parameters["output.bias"][1, 3].item()
        ([[0.0, 0.5], [1.0]], 2.0)
    """
    for start in range(0, len(places), chunk):
        here = places[start : start + chunk]
        states = States(
            {name: interpolate(value[0], b.parameters[name][0], here) for name, value in a.parameters.items()},
            {name: interpolate(value[0], b.buffers[name][0], here) for name, value in a.buffers.items()},
        )
        for alpha, end in ((0.0, a), (1.0, b)):
            if alpha in here:
                _check_end(states, here.index(alpha), end, alpha)
        if batch_norm == "recomputed":
            states = recompute_statistics(network, states, images, batch=batch, precision=precision)
        yield here, states


def _check_end(states: States, place: int, end: States, alpha: float) -> None:
    for mine, its in ((states.parameters, end.parameters), (states.buffers, end.buffers)):
        for name, value in its.items():
            if not torch.equal(mine[name][place], value[0]):
                raise InvariantBroken(f"the line does not end in its end: {name} differs at alpha = {alpha:g}")
