"""``line``: error and loss on the straight line between two trained copies."""

from collections.abc import Sequence

import torch

from harness.datainfo import nominal
from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job, at_fork
from harness.jobs.store import Artifact
from harness.measure.evaluate import States, recompute_statistics
from harness.measure.line import alphas, scores_on_line
from harness.measure.recount import recount
from harness.stages.base import (
    Context,
    Effort,
    Stage,
    Work,
    examples_of_both_splits,
    forward_pass,
    states_of,
)
from harness.stages.evaluate import SPLITS

_ROUNDING_POINTS = 0.3
"""Points of error that rounding may move where different numbers of states are evaluated side by side."""


class Line(Stage):
    """Interpolation of weights (LMC algorithm 1, step 5).

    Params: ``network``, ``classes``, ``data``, ``precision``, ``alphas``, ``ends``, ``batch_norm`` (list of modes),
    ``batch`` (examples of a batch when statistics are recomputed), ``same`` (whether both copies are one job, which
    they may only be where they never trained apart). Inputs: ``a`` and ``b``; ``mask`` where pruned.
    """

    def cost(self, job: Job) -> int:
        """About as long as a good many steps of training."""
        return 5 * int(job.params["alphas"]) * len(job.params["batch_norm"])

    def effort(self, job: Job) -> Effort:
        """An evaluation at every place, at the ends two, by mode; the training set again for recomputed statistics."""
        params = job.params
        evaluations = len(params["batch_norm"]) * examples_of_both_splits(params)
        again = nominal(params["data"]["name"]).n_train if "recomputed" in params["batch_norm"] else 0
        return Effort((params["alphas"] + 2) * (evaluations + again) * forward_pass(params), slowness=1.2)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The line's points: columns ``batch_norm``, ``alpha``, ``split``, ``error`` (percent), ``loss`` (nats)."""
        (item,) = work
        params, precision = item.params, item.params["precision"]
        images = context.images(params["data"], precision)
        network = context.network(params, images)
        a, b = (states_of(item.state(role), context, precision) for role in ("a", "b"))
        _check_copies(item, a, b)
        rows = [
            (mode, *row)
            for mode in params["batch_norm"]
            for row in scores_on_line(
                network,
                a,
                b,
                images,
                places=alphas(params["alphas"], params["ends"]),
                splits=SPLITS,
                batch_norm=mode,
                batch=params["batch"],
                precision=precision,
            )
        ]
        if item.job.inputs["a"] == item.job.inputs["b"]:
            _check_flat(item, rows)
        for alpha, end in ((0.0, a), (1.0, b)):
            _check_end(item, alpha, end, rows, network, images)
        columns = ("batch_norm", "alpha", "split", "error", "loss")
        return [
            Artifact(table={name: list(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)})
        ]


_Row = tuple[str, float, str, float, float]


def _check_end(item: Work, alpha: float, end: States, rows: Sequence[_Row], network: Network, images: Images) -> None:
    """The errors at an end are those of its copy, counted image by image in each mode, by PyTorch's operations."""
    params, precision = item.params, item.params["precision"]
    for mode in params["batch_norm"]:
        state = end
        if mode == "recomputed":
            state = recompute_statistics(
                network, end, images, batch=params["batch"], precision=precision, layers=Layers
            )
        for split in SPLITS:
            count = recount(network, state, images, split, precision=precision)
            errors = [error for *place, error, _ in rows if place == [mode, alpha, split]]
            if not (errors and all(map(count.agrees, errors))):
                raise InvariantBroken(
                    f"{item.job!r}: at alpha = {alpha:g} ({mode}) the line has the {split} error "
                    f"{', '.join(f'{error:.6g} %' for error in errors) or 'nowhere'}, but counted image by image "
                    f"{count.wrong} of {count.examples} are wrong: the line does not end in its end"
                )


def _check_flat(item: Work, rows: Sequence[_Row]) -> None:
    """Between a state and itself nothing may change: k = T has instability 0."""
    errors: dict[tuple[str, str], set[float]] = {}
    for mode, _, split, error, _ in rows:
        errors.setdefault((mode, split), set()).add(error)
    for place, values in errors.items():
        if max(values) - min(values) > _ROUNDING_POINTS:
            raise InvariantBroken(
                f"{item.job!r}: the error changes between a state and itself, {place}: {sorted(values)}"
            )


def _check_copies(item: Work, a: States, b: States) -> None:
    """Copies that were to train apart must differ, and both must hold the mask."""
    first, second = item.job.inputs["a"], item.job.inputs["b"]
    if first == second and not at_fork(first):
        raise InvariantBroken(f"{item.job!r}: the two copies are one job, {first!r}, though it trained since the fork")
    equal = all(torch.equal(value, b.parameters[name]) for name, value in a.parameters.items())
    if equal != (first == second) or equal != item.params["same"]:
        what = (
            "are the same bit by bit: do they share their data order?" if equal else "differ, but never trained apart"
        )
        raise InvariantBroken(f"{item.job!r}: the two copies {what}")
    for name, kept in item.mask().kept.items():
        for copy in (a, b):
            leaked = int((copy.parameters[name][0].cpu()[~kept.bool()] != 0).sum())
            if leaked:
                raise InvariantBroken(f"{item.job!r}: the mask leaks: {leaked} pruned weights of {name} are not zero")


STAGE = Line()
