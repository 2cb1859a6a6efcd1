"""What every experiment gets: tables read by their measurements' functions, then what is derived from several."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.observation import NoValue, Observation, Quantity
from harness.pipeline.gaps import gaps
from harness.protocols.common.base import Experiment, Measured, Measurement, Read, unread
from harness.protocols.common.setting import Setting
from harness.schema.base import Model
from harness.schema.model import Replicates


class Options(Model):
    """Of the experiment below.

    Attributes:
        factor: by which values are multiplied.
    """

    factor: float = 2.0


OURS = Setting(Replicates(initialisations=2, first_seed=0), Options())


def _raw(seed: int) -> Job:
    return Job("loss", {"seed": seed})


def _times(measured: Measured[Setting[Options]]) -> Iterable[Observation]:
    yield measured.seen("product", measured.setting.options.factor * measured.table["value"][0], side="a")


def _with_input(measured: Measured[Setting[Options]]) -> Iterable[Observation]:
    of_input = measured.of_input("raw")
    yield measured.seen("beside", NoValue("no input is there") if of_input is None else of_input["value"][0])


class Ours(Experiment[Setting[Options]]):
    """Three measurements a seed: one read by itself, one beside its input, one for what is derived only."""

    name = "ours"
    settings = Options
    quantities: ClassVar[Mapping[str, Quantity]] = {
        name: Quantity("", (), name) for name in ("product", "beside", "sum")
    }

    def measurements(self, setting: Setting[Options]) -> Iterable[Measurement]:
        for seed in setting.replicates.seeds:
            yield Measurement(_times, _raw(seed), {"k": 1}, seed, 3)
            yield Measurement(_with_input, Job("compare", {}, {"raw": _raw(seed)}), {"k": 1}, seed)
            yield Measurement(unread, Job("distance", {"seed": seed}), {"k": 1}, seed)

    def derived(
        self, setting: Setting[Options], observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        for observation in observations:
            other = read(Job("distance", {"seed": observation.initialisation}))
            if observation.quantity == "product" and other is not None:
                yield Observation("sum", {}, observation.initialisation, 0, observation.value + other["value"][0])


@dataclass
class Tables:
    """Stage and seed -> value."""

    values: Mapping[tuple[str, int], float]

    def __call__(self, job: Job) -> Table | None:
        seed = (job.inputs.get("raw") or job).params["seed"]
        value = self.values.get((job.stage, seed))
        return None if value is None else {"value": [value]}


ALL = {
    (stage, seed): 10.0 * seed + number
    for seed in (0, 1)
    for number, stage in enumerate(("loss", "compare", "distance"))
}


def _short(found: Iterable[Observation]) -> list[tuple[str, int, float]]:
    return [(one.quantity, one.initialisation, one.value) for one in found]


def test_each_table_is_read_by_its_measurements_function_and_the_rest_derived_from_them() -> None:
    found = Ours().observe(OURS, Tables(ALL))
    assert _short(found) == [
        ("product", 0, 0.0),
        ("beside", 0, 0.0),
        ("product", 1, 20.0),
        ("beside", 1, 10.0),
        ("sum", 0, 2.0),
        ("sum", 1, 32.0),
    ]
    assert (found[0].at, found[0].repeat) == ({"k": 1, "side": "a"}, 3)


def test_a_table_that_is_not_there_is_not_read() -> None:
    without = {place: value for place, value in ALL.items() if place != ("loss", 0)}
    found = Ours().observe(OURS, Tables(without))
    assert [one[:2] for one in _short(found)] == [("beside", 0), ("product", 1), ("beside", 1), ("sum", 1)]
    assert found[0].why == "no input is there"


def test_a_table_for_derivations_alone_is_missed_by_what_is_derived() -> None:
    """The table of another initialisation that the same function reads shows what is lost."""
    without = {place: value for place, value in ALL.items() if place != ("distance", 0)}
    lost = gaps(Ours(), OURS, Tables(without), lambda job: f"{job.stage} broke")
    assert [(one.quantity, one.initialisation, one.why) for one in lost] == [("sum", 0, "distance broke")]
