"""What is observed of a pair of copies, whatever experiment made them."""

from collections.abc import Iterable, Mapping, Sequence

from harness.jobs.store import Table
from harness.observation import NoValue, Observation, Quantity, observed
from harness.protocols.common.base import Measurement
from harness.protocols.common.setting import TrainingSetting
from harness.schema.load import Problem

GUESSED = 1.0
"""An accuracy (%) that a network with up to 100 classes reaches by guessing."""

PAIR_QUANTITIES: Mapping[str, Quantity] = {
    "instability": Quantity(
        "points",
        ("split", "batch_norm"),
        "highest error on the line between two copies minus the mean of their own errors (LMC section 2)",
        least=0.0,  # the ends are on the line
    ),
    "error_on_line": Quantity("%", ("split", "batch_norm", "alpha"), "error on the line between two copies"),
    "l2_distance": Quantity("", (), "L2 distance between the weights of two copies", least=0.0),
    "cosine_distance": Quantity(
        "", (), "cosine distance between the weights of two copies", least=0.0, most=2.0, computed_from=1.0
    ),
    "disagreements": Quantity("examples", ("split",), "examples that two copies classify differently"),
    "loss_distance": Quantity("", ("split",), "L2 distance between two copies' losses of all examples", least=0.0),
}


def order_problems(setting: TrainingSetting) -> Iterable[Problem]:
    """A batch of all examples, under no augmentation: two orders of it are one training but for rounding."""
    training, count = setting.training, setting.data.n_train
    augment = training.data.augment
    if training.batch == count and not (augment.flip or augment.crop_padding):
        yield Problem(
            ("training", "batch"),
            f"found {count}, all examples of {setting.data.name}, which are not augmented: then copies have no orders "
            "that tell them apart: choose a smaller batch",
        )


def observe_pair(one: Measurement, table: Table) -> list[Observation]:
    """The observations of a ``line`` or ``pair`` (comparison) measurement."""
    return _on_line(one, table) if one.kind == "line" else _apart(one, table)


def observe_error(one: Measurement, table: Table, name: str) -> list[Observation]:
    """Error of a single state on both splits; of a state at the end (``error``) also the accuracy."""
    found = []
    for split, error in zip(table["split"], table["error"], strict=True):
        at = {**one.at, "split": split}
        found.append(Observation(name, at, one.initialisation, one.within, error))
        if name == "error":
            found.append(Observation("accuracy", at, one.initialisation, one.within, 100 - error))
    return found


def _on_line(one: Measurement, table: Table) -> list[Observation]:
    found = []
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for mode, alpha, split, error in zip(
        table["batch_norm"], table["alpha"], table["split"], table["error"], strict=True
    ):
        lines.setdefault((mode, split), []).append((alpha, error))
    for (mode, split), points in lines.items():
        at = {**one.at, "split": split, "batch_norm": mode}
        errors = [error for _, error in sorted(points)]
        rise = max(errors) - (errors[0] + errors[-1]) / 2
        found.append(Observation("instability", at, one.initialisation, one.within, rise))
        found += [
            Observation("error_on_line", {**at, "alpha": f"{alpha:.4f}"}, one.initialisation, one.within, error)
            for alpha, error in sorted(points)
        ]
    return found


def _apart(one: Measurement, table: Table) -> list[Observation]:
    cosine: float | NoValue = NoValue("the weights of a copy are all zero: they have no direction")
    if table["cosine"][0] is not None:
        cosine = table["cosine"][0]
    found = [
        Observation("l2_distance", one.at, one.initialisation, one.within, table["l2"][0]),
        observed("cosine_distance", one.at, one.initialisation, one.within, cosine),
    ]
    columns: Sequence[tuple[str, str]] = (("disagreements", "disagreements"), ("loss_distance", "loss_l2"))
    for name, column in columns:
        found += [
            Observation(name, {**one.at, "split": split}, one.initialisation, one.within, value)
            for split, value in zip(table["split"], table[column], strict=True)
        ]
    return found
