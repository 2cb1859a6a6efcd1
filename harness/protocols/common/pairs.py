"""What is observed of a pair of copies, whatever experiment made them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from harness.jobs.job import Job
from harness.jobs.stage_row import Table
from harness.observation import NoValue, Observation, Quantity
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.base import Measured
from harness.protocols.common.recipe import Recipe, SgdNoise
from harness.schema.load import Problem

GUESSED = 1.0
"""An accuracy (%) that a network with up to 100 classes reaches by guessing."""

PAIR_QUANTITIES: Mapping[str, Quantity] = {
    "instability": Quantity(
        "points",
        ("split", "batch_norm"),
        "highest error on the line between two copies minus the mean of their own errors (LMC section 2). The copies "
        "themselves are on the line, so it is at least half of what their errors differ by, and the maximum over many "
        "places is biased up: by 0.15 to 0.45 points where the line is flat, with 397 test images",
        least=0.0,
    ),
    "share_of_guessing": Quantity(
        "",
        ("split", "batch_norm"),
        "instability over the most that guessing makes of it, the error of guessing less the mean of the copies' own "
        "errors (LMC appendix D); guessing is wrong in (C - 1)/C of the examples, C classes",
        least=0.0,
    ),
    "error_on_line": Quantity("%", ("split", "batch_norm", "alpha"), "error on the line between two copies"),
    "l2_distance": Quantity("", (), "L2 distance between the weights of two copies", least=0.0),
    "cosine_distance": Quantity(
        "", (), "cosine distance between the weights of two copies", least=0.0, most=2.0, computed_from=1.0
    ),
    "disagreements": Quantity("examples", ("split",), "examples that two copies classify differently"),
    "loss_distance": Quantity("", ("split",), "L2 distance between two copies' losses of all examples", least=0.0),
}


def noise_problems(recipe: Recipe, noise: SgdNoise) -> Iterable[Problem]:
    """Copies that nothing tells apart, but for rounding: by orders of all examples, by augmentation where none is."""
    training, count = recipe.training, recipe.data.n_train
    augmented = bool(training.data.augment.flip or training.data.augment.crop_padding)
    if noise == "augmentation" and not augmented:
        yield Problem(
            ("settings", "sgd_noise"),
            "found 'augmentation', but no image is augmented (training.data.augment), so that all copies would be "
            "equal: choose order, or augment images",
        )
    elif training.batch == count and (noise == "order" or not augmented):
        reason = "each augmented as in the other copies" if augmented else "which are not augmented"
        yield Problem(
            ("training", "batch"),
            f"found {count}, all examples of {recipe.data.name}, {reason}: then copies have no orders that tell them "
            "apart: choose a smaller batch",
        )


def copies(
    recipe: Recipe,
    subnetwork: Subnetwork,
    fork: int,
    stop: int,
    *,
    seed: int,
    orders: int,
    noise: SgdNoise,
    optimiser_state: str,
    schedule_start: int = 0,
) -> list[Job]:
    """A network trained on from step k, copy by copy, each with SGD noise of its own (LMC algorithm 1).

    Stopped elsewhere, they are the same trainings: what a copy is on its way is a snapshot of it.

    Args:
        recipe: that trains them.
        subnetwork: the state at k; its mask, where it is pruned.
        fork: k.
        stop: the step at which they are wanted.
        seed: of the initialisation.
        orders: how many.
        noise: what each has of its own.
        optimiser_state: ``carried`` or ``reset``.
        schedule_start: the step that counts as the schedule's first.
    """
    noises = [recipe.copy_noise(seed, copy, noise) for copy in range(orders)]
    return [
        recipe.train(
            subnetwork.state,
            fork,
            stop,
            order=order,
            augmentation=augmentation,
            mask=subnetwork.mask,
            schedule_start=schedule_start,
            optimiser_state=optimiser_state,
        )
        for order, augmentation in noises
    ]


def on_line(measured: Measured) -> Iterable[Observation]:
    """The error along the line between two copies, and its rise, of a table of ``line``.

    Where statistics are recomputed on the line, its ends are still the copies with their own statistics, as the source
    subtracts the copies' errors (LMC algorithm 1): what recomputing alone changes counts as a rise.
    """
    lines = lines_of(measured.table)
    guessing = 100 - 100 / measured.setting.recipe_of(measured.measurement.at).classes
    for (mode, split), points in lines.items():
        own = own_errors(measured, lines, split)
        between = [error for _, error in points[1:-1]]
        if len(own) == 2:
            mean = sum(own) / 2
            rise = max(*own, *between) - mean
            yield measured.seen("instability", rise, split=split, batch_norm=mode)
            share: float | NoValue = NoValue(f"the copies' own error, {mean:.4g} %, is that of guessing")
            if mean < guessing:
                share = rise / (guessing - mean)
            yield measured.seen("share_of_guessing", share, split=split, batch_norm=mode)
        for alpha, error in points:
            yield measured.seen("error_on_line", error, split=split, batch_norm=mode, alpha=f"{alpha:.4f}")


Lines = Mapping[tuple[str, str], Sequence[tuple[float, float]]]
"""Mode of batch normalisation and split -> places on a line and the errors there, in order."""


def lines_of(table: Table) -> Lines:
    """The lines of a table of ``line``."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for mode, alpha, split, error in zip(
        table["batch_norm"], table["alpha"], table["split"], table["error"], strict=True
    ):
        lines.setdefault((mode, split), []).append((alpha, error))
    return {place: sorted(points) for place, points in lines.items()}


def own_errors(measured: Measured, lines: Lines, split: str) -> list[float]:
    """Of both copies, which the line of interpolated statistics ends in; else of their evaluations that are there."""
    if ("interpolated", split) in lines:
        points = lines["interpolated", split]
        return [points[0][1], points[-1][1]]
    inputs, recipe = measured.measurement.job.inputs, measured.setting.recipe_of(measured.measurement.at)
    tables = [measured.read(recipe.evaluate(inputs[role])) for role in ("a", "b")]
    return [
        error
        for table in tables
        if table is not None
        for error, its in zip(table["error"], table["split"], strict=True)
        if its == split
    ]


def compared(measured: Measured) -> Iterable[Observation]:
    """How two copies differ, of a table of ``compare``."""
    table = measured.table
    cosine: float | NoValue = NoValue("the weights of a copy are all zero: they have no direction")
    if table["cosine"][0] is not None:
        cosine = table["cosine"][0]
    yield measured.seen("l2_distance", table["l2"][0])
    yield measured.seen("cosine_distance", cosine)
    for name, column in (("disagreements", "disagreements"), ("loss_distance", "loss_l2")):
        for split, value in zip(table["split"], table[column], strict=True):
            yield measured.seen(name, value, split=split)


def errors(measured: Measured, name: str) -> Iterable[Observation]:
    """The error of a single state on both splits, under a name, of a table of ``evaluate``."""
    for split, error in zip(measured.table["split"], measured.table["error"], strict=True):
        yield measured.seen(name, error, split=split)


def at_end(measured: Measured) -> Iterable[Observation]:
    """Error and accuracy of a trained state on both splits, of a table of ``evaluate``."""
    for error in errors(measured, "error"):
        yield error
        yield replace(error, quantity="accuracy", value=100 - error.value)


def travel_before(measured: Measured) -> Iterable[Observation]:
    """The way from the first weights to step k, of a table of ``distance``."""
    yield measured.seen("travel_before", measured.table["l2"][0])


def travel_after(measured: Measured) -> Iterable[Observation]:
    """The way from step k to the end, of a table of ``distance``."""
    yield measured.seen("travel_after", measured.table["l2"][0])


READ_BY: Mapping[str, tuple[Callable[[Measured], Iterable[Observation]], ...]] = {
    **dict.fromkeys(("instability", "share_of_guessing"), (on_line, at_end)),
    "error_on_line": (on_line,),
    **dict.fromkeys(("l2_distance", "cosine_distance", "disagreements", "loss_distance"), (compared,)),
    **dict.fromkeys(("error", "accuracy"), (at_end,)),
    "travel_before": (travel_before,),
    "travel_after": (travel_after,),
}
"""Quantity -> what reads the tables on which it rests: a rise along a line is from the copies' own errors."""
