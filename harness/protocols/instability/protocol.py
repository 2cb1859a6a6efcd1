"""Instability analysis (LMC section 2, algorithm 1): copies trained apart from step k, and the line between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from harness.figure import Figure, Reference
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity, observed, ratio
from harness.protocols.common import lineage, series
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.pairs import GUESSED, PAIR_QUANTITIES, observe_error, observe_pair, order_problems
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.training import TrainingProtocol
from harness.schema.base import Many, Model, Positive, Time
from harness.schema.load import Problem


class InstabilityOptions(Model):
    """What instability analysis leaves to choose.

    Attributes:
        forks: every k: steps at which the copies part.
        further: how long the copies train: ``remaining`` T - k iterations [paper], or ``full`` T iterations with
            the schedule started again (LMC Fig. 4).
        optimiser_at_fork: whether the copies carry on the optimiser's state or start with a fresh one [code, conflict].
        stable_below: percentage points of instability below which a network is stable [paper: 2 %].
        line: how the line is evaluated.
    """

    forks: Many[Time] = Field(min_length=1)
    further: Literal["remaining", "full"] = "remaining"
    optimiser_at_fork: Literal["carried", "reset"] = "carried"
    stable_below: Positive = 2.0
    line: lineage.LineOptions = lineage.LineOptions()


class Instability(TrainingProtocol):
    """Instability, and other distances between copies, against the fork step k."""

    name = "instability"
    settings = InstabilityOptions
    judged_only = frozenset({"stable_below"})
    compares_copies = True
    time_axes = frozenset({"fork"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **{name: quantity.along("fork") for name, quantity in PAIR_QUANTITIES.items()},
        "error": Quantity("%", ("fork", "split"), "error at the end of training"),
        "accuracy": Quantity("%", ("fork", "split"), "accuracy at the end of training", seldom_below=GUESSED),
        "error_at_fork": Quantity("%", ("fork", "split"), "error of the trunk at step k (LMC Fig. 10)"),
        "travel_before": Quantity("", ("fork",), "L2 distance of weights from initialisation to step k", least=0.0),
        "travel_after": Quantity("", ("fork",), "L2 distance of weights from step k to the end", least=0.0),
        "relative_distance": Quantity(
            "",
            ("fork",),
            "L2 distance between copies over the way that the copies from 0 travel in all (LMC appendix C)",
            least=0.0,
        ),
    }

    def measurements(self, setting: TrainingSetting) -> Iterable[Measurement]:
        """Lines and comparisons of all pairs; errors of all copies and of the trunk; distances travelled."""
        options: InstabilityOptions = setting.options
        for seed in setting.replicates.seeds:
            start = lineage.initial(setting, seed)
            for fork in map(setting.iterations, options.forks):
                at = {"fork": fork}
                trunk = lineage.trunk(setting, seed, fork)
                copies = [self._copy(setting, seed, trunk, fork, order) for order in range(setting.replicates.orders)]
                yield Measurement("trunk", lineage.evaluate(setting, trunk), at, seed)
                yield Measurement("before", lineage.distance(start, trunk), at, seed)
                for order, copy in enumerate(copies):
                    yield Measurement("end", lineage.evaluate(setting, copy), at, seed, order)
                    yield Measurement("after", lineage.distance(trunk, copy), at, seed, order)
                    if fork == 0:
                        yield Measurement("whole", lineage.distance(start, copy), at, seed, order)
                for number, (a, b) in enumerate(setting.replicates.pairs):
                    pair = copies[a], copies[b]
                    yield Measurement("line", lineage.line(setting, *pair, options.line), at, seed, number)
                    yield Measurement("pair", lineage.compare(setting, *pair), at, seed, number)

    def _copy(self, setting: TrainingSetting, seed: int, trunk: Job, fork: int, order: int) -> Job:
        options: InstabilityOptions = setting.options
        full = options.further == "full"
        return lineage.train(
            setting,
            trunk,
            fork,
            fork + setting.length if full else setting.length,
            order=lineage.copy_order(seed, order),
            schedule_start=fork if full else 0,
            optimiser_state=options.optimiser_at_fork,
        )

    def observe(self, setting: TrainingSetting, read: Read) -> Sequence[Observation]:
        """Everything the tables hold; the relative distance from two of them."""
        found: list[Observation] = []
        whole: dict[int, list[float]] = {}
        apart: list[Measurement] = []
        for one in self.measurements(setting):
            table = read(one.job)
            if table is None:
                continue
            if one.kind in ("line", "pair"):
                found += observe_pair(one, table)
                apart += [one] if one.kind == "pair" else []
            elif one.kind in ("end", "trunk"):
                found += observe_error(one, table, "error" if one.kind == "end" else "error_at_fork")
            elif one.kind == "whole":
                whole.setdefault(one.initialisation, []).append(table["l2"][0])
            else:
                found.append(Observation(f"travel_{one.kind}", one.at, one.initialisation, one.within, table["l2"][0]))
        for one in apart:
            table, ways = read(one.job), whole.get(one.initialisation)
            if table is not None and ways:
                way = sum(ways) / len(ways)
                relative = ratio(table["l2"][0], way, error=0.0, of="the length of the way from the first weights")
                found.append(observed("relative_distance", one.at, one.initialisation, one.within, relative))
        return found

    def axes(self, setting: TrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """Forks, splits and modes of batch normalisation."""
        options: InstabilityOptions = setting.options
        return {
            "fork": [setting.iterations(fork) for fork in options.forks],
            "split": ("test", "train"),
            "batch_norm": lineage.batch_norm_modes(setting, options.line),
        }

    def defaults(self, setting: TrainingSetting) -> Mapping[str, Condition]:
        """Test set, and the first mode of batch normalisation."""
        return {"split": "test", "batch_norm": lineage.batch_norm_modes(setting, setting.options.line)[0]}

    def unmeasured(self, setting: TrainingSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """The relative distance needs the copies from 0."""
        if quantity == "relative_distance" and 0 not in map(setting.iterations, setting.options.forks):
            return "the whole way is that of the copies from 0: add 0it to settings.forks"
        return None

    def check_setting(self, setting: TrainingSetting) -> Iterable[Problem]:
        """Forks lie in training, in order."""
        yield from super().check_setting(setting)
        yield from time_problems(setting, "forks", setting.options.forks)
        yield from order_problems(setting)

    def figures(
        self, setting: TrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Instability against k; the error along the line at the first and last k; distances; differences."""
        options: InstabilityOptions = setting.options
        stable = Reference(f"stable below {options.stable_below:g}", options.stable_below, "y", "threshold")
        modes = lineage.batch_norm_modes(setting, options.line)
        lines = [
            series.along(
                observations,
                "instability",
                "fork",
                {"split": split, "batch_norm": mode},
                label=f"{split}, {mode} statistics" if len(modes) > 1 else split,
                role=split,
                dashed=mode != modes[0],
            )
            for mode in modes
            for split in ("test", "train")
        ]
        figures = [
            Figure(
                "instability",
                "Instability against the fork step",
                "Highest error on the line between two copies minus the mean of their own, against the step k at "
                "which they parted (LMC Fig. 3).",
                "k (iterations)",
                "instability (points)",
                lines,
                (stable, *series.paper_marks(claims, "instability", "fork", {"split": "test"})),
                "symlog",
            )
        ]
        figures.append(series.line_figure(observations, "fork", self.axes(setting)["fork"], modes[0]))
        figures.append(
            Figure(
                "distances",
                "Distances in weights",
                "How far the network travels before and after step k, and how far apart its copies end (LMC Fig. 11).",
                "k (iterations)",
                "L2 distance",
                [
                    series.along(observations, "travel_before", "fork", {}, label="initialisation to k", role="before"),
                    series.along(observations, "travel_after", "fork", {}, label="k to the end", role="after"),
                    series.along(observations, "l2_distance", "fork", {}, label="copy to copy", role="pair"),
                ],
                (),
                "symlog",
            )
        )
        figures.append(
            Figure(
                "differences",
                "Examples classified differently",
                "How many examples two copies classify differently (LMC Fig. 28 and 29).",
                "k (iterations)",
                "examples",
                [
                    series.along(observations, "disagreements", "fork", {"split": split}, label=split, role=split)
                    for split in ("test", "train")
                ],
                (),
                "symlog",
            )
        )
        return figures


PROTOCOL = Instability()
