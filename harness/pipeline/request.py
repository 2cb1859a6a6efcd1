"""What a user asks for: a spec at a scale, with its setting, its experiment and the jobs of its plan; nothing runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from harness import datainfo
from harness.datainfo import DatasetInfo
from harness.engine.networks.build import build
from harness.errors import DataMissing, RequestError
from harness.execution.backends.base import Slot
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.judging.sequential import Look
from harness.pipeline.plan_invariants import check_plan
from harness.protocols import protocols
from harness.protocols.common.base import Experiment
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import Setting
from harness.schema.load import Loaded
from harness.schema.model import Replicates, place_of_recipe
from harness.schema.training import Training

MOST_JOBS = 100_000
"""Of a plan, which is made, and kept in memory, as a whole."""


@dataclass(frozen=True)
class Request:
    """A spec at a scale, ready to run.

    Attributes:
        loaded: the spec.
        scale: which setting.
        setting: resolved, with the replicates that were asked for.
        protocol: its experiment.
        plan: every job it needs.
        look: of a group-sequential plan, at whose levels claims are judged; None of a fixed number of initialisations.
        one_by_one: key of a job of the plan -> the one that tells which test examples it counts, where test sets are
            resampled (``harness.pipeline.resampling``); else empty.
    """

    loaded: Loaded
    scale: str
    setting: Setting
    protocol: Experiment[Any]
    plan: Plan
    look: Look | None = None
    one_by_one: Mapping[str, Job] = field(default_factory=dict)

    @property
    def planned(self) -> Replicates:
        """The replicates that the spec itself plans."""
        return self.loaded.spec.scales[self.scale].replicates


def prepare(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> Request:
    """Resolves a spec at a scale and names its jobs; runs nothing and needs no data.

    Args:
        loaded: the spec.
        scale: one of its scales.
        data_root: where imported datasets lie.
        initialisations: in place of the spec's.
        first_seed: in place of the spec's.

    Raises:
        RequestError: no such scale, a network of another size than the spec says, or too many jobs.
        InvariantBroken: replicates of the plan are none, or what it compares is one thing.
    """
    protocol, setting = _resolved(loaded, scale, data_root, initialisations=initialisations, first_seed=first_seed)
    measurements = list(protocol.measurements(setting))
    plan = Plan.of(measurement.job for measurement in measurements)
    check_plan(measurements, plan)
    return Request(loaded, scale, setting, protocol, plan)


def check(loaded: Loaded, scale: str, data_root: Path) -> None:
    """Raises RequestError where ``prepare`` would, without naming the jobs of every replicate."""
    _resolved(loaded, scale, data_root)


def _resolved(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> tuple[Experiment[Any], Setting]:
    """The setting of a scale, with all that can be wrong with it checked."""
    spec = loaded.spec
    if scale not in spec.scales:
        raise RequestError(f"{loaded.path}: there is no scale {scale!r}; it has {', '.join(spec.scales)}")
    chosen = spec.scales[scale]
    protocol = protocols()[loaded.spec.protocol]
    wanted = {"initialisations": initialisations, "first_seed": first_seed}
    replicates = chosen.replicates.model_copy(update={k: v for k, v in wanted.items() if v is not None})
    setting = protocol.setting(chosen, loaded.settings[scale], replicates, lambda name: data_of(name, data_root))
    _check_parameters(loaded, scale, data_root)
    _check_jobs(loaded, scale, protocol, setting)
    return protocol, setting


def _check_jobs(loaded: Loaded, scale: str, protocol: Experiment[Any], setting: Setting) -> None:
    """Raises RequestError where there are too many jobs; those of one initialisation are counted."""
    count = setting.replicates.initialisations
    single = replace(setting, replicates=setting.replicates.model_copy(update={"initialisations": 1}))
    most = MOST_JOBS // count
    wanted = [measurement.job for measurement in islice(protocol.measurements(single), most + 1)]
    jobs = len(Plan.of(wanted).jobs) if len(wanted) <= most else len(wanted)
    if jobs > most:
        raise RequestError(
            f"{loaded.place('scales', scale, 'replicates')}: {count:,} initialisations of {jobs:,} jobs or more each "
            f"are {count * jobs:,}, and a plan has {MOST_JOBS:,} at most: ask for fewer replicates (initialisations, "
            "or orders, whose pairs grow as their square), or for fewer times, levels or arms in the settings"
        )


def data_of(name: str, data_root: Path) -> DatasetInfo:
    """The facts of a dataset, with an empty digest where it is not here."""
    return datainfo.describe(name, data_root) or datainfo.nominal(name)


def trainable(training: Training, data_root: Path) -> int:
    """How many trainable parameters the network of a recipe really has."""
    data = data_of(training.data.name, data_root)
    classes = training.data.task.classes(data.classes)
    return build(training.network.model_dump(mode="json"), Recipe(training, data).shape, classes).size


def _check_parameters(loaded: Loaded, scale: str, data_root: Path) -> None:
    for name, training in loaded.spec.scales[scale].trainings.items():
        where = ("scales", scale, *place_of_recipe(name))
        try:
            size = trainable(training, data_root)
        except RuntimeError as error:  # of a layer
            raise RequestError(
                f"{loaded.place(*where, 'network')}: this network cannot take the dataset's images: one "
                f"of its layers would get less than it needs ({error}). Fewer stages halve images less often"
            ) from error
        if size != training.parameters:
            raise RequestError(
                f"{loaded.place(*where, 'parameters')}: found {training.parameters:,}, but this network has "
                f"{size:,} trainable parameters: correct the network or the number"
            )


def missing_data(request: Request) -> list[DatasetInfo]:
    """The datasets that the request needs and that are not here."""
    return [data for data in request.setting.datasets if not data.digest]


def require_data(request: Request) -> None:
    """Raises DataMissing unless the request's datasets are here."""
    missing = missing_data(request)
    if missing:
        name = missing[0].name
        raise DataMissing(
            f"{request.loaded.path}: the scale {request.scale!r} needs the dataset {name!r}, which is not here: "
            f"{datainfo.how_to_get(datainfo.find(name))}"
        )


def require_format(request: Request, slots: Sequence[Slot]) -> None:
    """Raises RequestError unless all slots can compute in the number formats of the request's recipes."""
    for name, training in request.loaded.spec.scales[request.scale].trainings.items():
        lacking = next((slot for slot in slots if training.precision not in slot.formats), None)
        if lacking is not None:
            place = ".".join(("scales", request.scale, *place_of_recipe(name)))
            raise RequestError(
                f"{request.loaded.path}: {place}.precision: found {training.precision}, a "
                f"format of CUDA's tensor cores, and {lacking.name} has none: use fp32, or a GPU that has them "
                "(--device cuda)"
            )


def require_results(request: Request, store: Store) -> None:
    """Raises RequestError unless every result that the report needs is in the store."""
    missing = request.plan.missing(store.has)
    if missing:
        raise RequestError(
            f"{request.loaded.path}: {len(missing)} of {len(request.plan.jobs)} jobs of the scale {request.scale!r} "
            f"are not in the store {store.root}: "
            f"run `harness verify {request.loaded.path} --scale {request.scale}"
            f"{' --resample' * bool(request.one_by_one)}` first"
        )
