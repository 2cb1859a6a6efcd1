"""What an experiment is, and the resolved setting it works on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from typing_extensions import TypeVar

from harness.datainfo import DatasetInfo, nominal
from harness.errors import RequestError
from harness.figure import Figure
from harness.jobs.job import Job
from harness.jobs.stage_row import Table
from harness.judging.conditions import conditions
from harness.judging.plausible import doubts, impossible
from harness.observation import Condition, NoValue, Observation, Quantity, checked, observed
from harness.protocols.common.setting import Setting, recipe_problems
from harness.schema.base import Model
from harness.schema.claims import Check, Claim, FirstWithin, LastWithin, LessThan
from harness.schema.load import Problem
from harness.schema.model import PAPER_SCALE, Replicates, Scale, Spec

Read = Callable[[Job], Table | None]
"""The table of a job, or None where the job failed."""


Claims = Sequence[tuple[Claim, Check]]
"""Claims with their checks at a scale, times in iterations."""

S = TypeVar("S", bound=Setting, default=Any)
"""A kind of resolved setting."""


@dataclass(frozen=True)
class Measurement:
    """A job whose table holds observations, with the conditions that hold for all of it.

    Attributes:
        reads: says what the table tells; measurements that are read by one function are of a kind.
        job: the job.
        at: axis -> condition.
        initialisation: seed.
        repeat: replicate inside the initialisation.
    """

    reads: "Callable[[Measured], Iterable[Observation]]"
    job: Job
    at: Mapping[str, Condition]
    initialisation: int
    repeat: int = 0

    def agrees(self, at: Mapping[str, Condition]) -> bool:
        """Whether it can observe something under these conditions: it has none of them otherwise."""
        return all(at.get(axis, condition) == condition for axis, condition in self.at.items())


@dataclass(frozen=True)
class Measured(Generic[S]):
    """A measurement with its table: what a function that reads tables is given.

    Attributes:
        setting: of the experiment.
        measurement: of the job whose table this is.
        table: of that job.
        read: the tables of other jobs, such as its inputs.
    """

    setting: S
    measurement: Measurement
    table: Table
    read: Read

    def of_input(self, role: str) -> Table | None:
        """The table of one of the job's inputs; None where that failed."""
        return self.read(self.measurement.job.inputs[role])

    def seen(self, quantity: str, value: float | NoValue, **at: Condition) -> Observation:
        """An observation under the measurement's conditions and further ones."""
        measurement = self.measurement
        return observed(quantity, {**measurement.at, **at}, measurement.initialisation, measurement.repeat, value)


def unread(measured: Measured) -> Iterable[Observation]:
    """Nothing: the table is of use together with others only (see ``Experiment.derived``)."""
    return ()


class Experiment(Generic[S]):
    """An experiment over one kind of resolved setting: which jobs, which observations, which figures.

    Subclasses set ``name``, ``settings`` and ``quantities`` and give ``setting``, ``measurements``, ``figures``,
    ``axes`` and ``defaults``, and ``derived`` where a quantity follows from several tables; the conditions on
    ``time_axes`` are times, the settings ``judged_only`` are thresholds of figures and of judgements and decide no
    job, and a scale's ``recipes`` have the names ``further_recipes``; None: those that the spec chooses. Instances hold
    no state.
    """

    name: ClassVar[str]
    settings: type[Model]
    quantities: ClassVar[Mapping[str, Quantity]]
    trains: ClassVar[bool] = False
    further_recipes: ClassVar[frozenset[str] | None] = frozenset()
    time_axes: ClassVar[frozenset[str]] = frozenset()
    judged_only: ClassVar[frozenset[str]] = frozenset()

    def setting(self, scale: Scale, options: Any, replicates: Replicates, dataset: Callable[[str], DatasetInfo]) -> S:
        """A scale with everything resolved; ``dataset`` tells the facts of a dataset by its name."""
        raise NotImplementedError

    def measurements(self, setting: S) -> Iterable[Measurement]:
        """The jobs whose tables are read, each with its conditions."""
        raise NotImplementedError

    def derived(self, setting: S, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
        """What follows from several tables.

        Args:
            setting: of the experiment.
            observations: what single tables say.
            read: the tables.
        """
        return ()

    def observe(self, setting: S, read: Read) -> Sequence[Observation]:
        """What the tables say, each read by its measurement's function, and what is derived from several."""
        observations: list[Observation] = []
        for measurement in self.measurements(setting):
            table = read(measurement.job)
            if table is not None:
                observations += measurement.reads(Measured(setting, measurement, table, read))
        return [*observations, *self.derived(setting, observations, read)]

    def observations(self, setting: S, read: Read) -> list[Observation]:
        """What the tables say, as far as it is possible.

        Raises:
            InvariantBroken: a value lies outside its quantity's range (see ``harness.observation.checked``).
        """
        return checked(self.observe(setting, read), self.quantities)

    def figures(self, setting: S, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """What is drawn, with the paper's values of the claims marked."""
        raise NotImplementedError

    def axes(self, setting: S) -> Mapping[str, Sequence[Condition]]:
        """Axis -> its values in this setting, in order. Times are in iterations."""
        raise NotImplementedError

    def defaults(self, setting: S) -> Mapping[str, Condition]:
        """Axis -> the value that a claim means when it names none."""
        raise NotImplementedError

    def check_setting(self, setting: S) -> Iterable[Problem]:
        """What no single field of a setting shows; locations start at the scale."""
        return ()

    def problems(self, spec: Spec, scale: str, settings: Any) -> list[Problem]:
        """Everything wrong with a scale and with the claims' checks at it, beyond single fields."""
        chosen = spec.scales[scale]
        wrong = recipe_problems(chosen, self.name, trains=self.trains, further=self.further_recipes)
        if wrong:
            return [Problem(("scales", scale, *problem.location), problem.message) for problem in wrong]
        setting = self.setting(chosen, settings, chosen.replicates, nominal)
        problems = [
            Problem(("scales", scale, *problem.location), problem.message) for problem in self.check_setting(setting)
        ]
        sound = not problems
        for number, claim in enumerate(spec.claims):
            place = ("claims", number)
            if claim.quantity not in self.quantities:
                known = ", ".join(sorted(self.quantities))
                problems.append(
                    Problem((*place, "quantity"), f"found {claim.quantity!r}; {self.name} measures {known}")
                )
            elif sound and scale in claim.checks:
                problems += self._claim_problems(setting, claim, scale, (*place, "checks", scale))
                remarks = impossible(claim, scale, self.quantities[claim.quantity])
                problems += [Problem((*place, *where), message) for where, message in remarks]
        return problems

    def doubts(self, spec: Spec, settings: Mapping[str, Any]) -> list[Problem]:
        """What of the claims' numbers is probably mistyped, in a spec without problems."""
        resolved = {
            name: self.setting(scale, settings[name], scale.replicates, nominal) for name, scale in spec.scales.items()
        }
        problems = []
        for number, claim in enumerate(spec.claims):
            checks = {scale: self.resolve(resolved[scale], check) for scale, check in claim.checks.items()}
            for place, message in doubts(claim, checks, PAPER_SCALE, self.quantities[claim.quantity]):
                problems.append(Problem(("claims", number, *place), message))
        return problems

    def resolve(self, setting: S, check: Check) -> Check:
        """The check with every time condition in iterations."""
        expect = check.expect
        if isinstance(expect, LessThan):
            expect = expect.model_copy(update={"than": self._resolved(setting, expect.than)})
        if isinstance(expect, FirstWithin | LastWithin):
            window = self._resolved_window(setting, expect)
            expect = expect.model_copy(update={"earliest": window[0], "latest": window[1]})
        return check.model_copy(update={"at": self._resolved(setting, check.at), "expect": expect})

    def _resolved(self, setting: S, at: Mapping[str, Condition]) -> dict[str, Condition]:
        return {axis: self._condition(setting, axis, value) for axis, value in at.items()}

    def _resolved_window(self, setting: S, expect: FirstWithin | LastWithin) -> list[Condition]:
        return [self._condition(setting, expect.axis, value) for value in (expect.earliest, expect.latest)]

    def _condition(self, setting: S, axis: str, value: Condition) -> Condition:
        """A condition of a spec in the form that observations have; ValueError where it has none."""
        return value

    def rests_on(self, setting: S, quantity: str, at: Mapping[str, Condition], measurement: Measurement) -> bool:
        """Whether observations of a quantity under some conditions may rest on a measurement.

        A claim is judged, while a run goes on, once no such measurement is outstanding. What is ``derived`` may rest on
        all of them, unless the experiment tells here what it rests on.
        """
        return type(self).derived is not Experiment.derived or measurement.agrees(at)

    def shown(self, axis: str, value: Condition) -> str:
        """A condition as a spec writes it."""
        return str(value)

    def _claim_problems(self, setting: S, claim: Claim, scale: str, place: tuple[str | int, ...]) -> list[Problem]:
        check, quantity = claim.checks[scale], self.quantities[claim.quantity]
        if not set(quantity.axes) <= set(self.axes(setting)):
            unknown = ", ".join(axis for axis in quantity.axes if axis not in self.axes(setting))
            message = f"{claim.quantity} has the axis {unknown}, which is drawn but cannot be claimed; choose another"
            return [Problem((*place, "at"), message)]
        problems = list(self._check_problems(setting, quantity.axes, check, place))
        if not problems:
            resolved = self.resolve(setting, check)
            try:
                asked = conditions(claim, resolved, quantity, self.defaults(setting), self.axes(setting))
            except RequestError as error:
                return [Problem(place, str(error))]
            reasons = [self.unmeasured(setting, claim.quantity, at) for at in asked]
            searches = isinstance(resolved.expect, FirstWithin | LastWithin)
            if not (searches and None in reasons):  # a search may leave out points, but not all
                problems += [Problem((*place, "at"), reason) for reason in reasons if reason][:1]
        return problems

    def unmeasured(self, setting: S, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Why this setting does not measure a quantity under these conditions, with the remedy; None where it does."""
        return None

    def examples(self, setting: S, at: Mapping[str, Condition]) -> int | None:
        """Over how many examples a rate is taken under these conditions; None where they name no split of a dataset."""
        if not setting.datasets or at.get("split") not in ("train", "test"):
            return None
        return min(data.n_train if at["split"] == "train" else data.n_test for data in setting.datasets)

    def censored(self, setting: S, quantity: str, at: Mapping[str, Condition]) -> float | None:
        """The value with which a quantity says "beyond all that was searched"; None where it never does."""
        return None

    def _check_problems(
        self, setting: S, allowed: Sequence[str], check: Check, place: tuple[str | int, ...]
    ) -> Iterable[Problem]:
        axes, expect = self.axes(setting), check.expect
        named: list[tuple[tuple[str | int, ...], str, Condition]] = [
            ((*place, "at", axis), axis, value) for axis, value in check.at.items()
        ]
        if isinstance(expect, LessThan):
            named += [((*place, "expect", "than", axis), axis, value) for axis, value in expect.than.items()]
        if isinstance(expect, FirstWithin | LastWithin):
            if expect.axis not in allowed:
                known = ", ".join(allowed)
                yield Problem((*place, "expect", "axis"), f"found {expect.axis!r}; this quantity has {known}")
                return
            named += [((*place, "expect", end), expect.axis, getattr(expect, end)) for end in ("earliest", "latest")]
        for location, axis, value in named:
            yield from self._condition_problems(setting, location, axis, value, allowed, axes)

    def _condition_problems(
        self,
        setting: S,
        location: tuple[str | int, ...],
        axis: str,
        value: Condition,
        allowed: Sequence[str],
        axes: Mapping[str, Sequence[Condition]],
    ) -> Iterable[Problem]:
        if axis not in allowed:
            yield Problem(location, f"found the axis {axis!r}; this quantity has {', '.join(allowed)}")
            return
        try:
            condition = self._condition(setting, axis, value)
        except ValueError as error:
            yield Problem(location, str(error))
            return
        window = location[-1] in ("earliest", "latest")
        if condition not in axes[axis] and not window:
            known = ", ".join(self.shown(axis, possible) for possible in axes[axis])
            yield Problem(location, f"found {value!r}, but this scale has {axis} = {known}")
