"""Verdicts while a run goes on: a claim is judged once, as soon as every table that it may rest on is there."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.judging.conditions import conditions
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement
from harness.observation import SINGLE
from harness.pipeline.request import Request
from harness.protocols.common.base import Measurement
from harness.schema.claims import Claim

_EVERY_S = 3.0
"""Between two looks, and before the first: a run of a moment tells its verdicts at its end."""
_PAUSES = 20
"""As many times as a look takes, at least, pass until the next one."""


class EarlyVerdicts:
    """Tells the verdicts of a run that still computes, in the spec's order, each once.

    Claims whose tables were all there before the run are left to its end, as are those that need a broken job.
    """

    def __init__(
        self,
        request: Request,
        outstanding: set[str],
        judge: Callable[[Sequence[Claim]], Sequence[Judgement]],
        tell: Callable[[Judgement], None],
    ) -> None:
        """Finds out what each claim rests on.

        Args:
            request: the spec with its plan.
            outstanding: keys of the jobs without a result; those that get one leave it.
            judge: judges claims by the tables that are there, as at the end of the run.
            tell: is told of each verdict.
        """
        self._outstanding, self._judge, self._tell = outstanding, judge, tell
        self._waits = {
            claim.id: (claim, keys) for claim, keys in tables_of(request) if not keys.isdisjoint(outstanding)
        }
        self._told: dict[str, Judgement] = {}
        self._next = time.monotonic() + _EVERY_S

    def finished(self, jobs: Sequence[Job]) -> None:
        """These jobs have a result."""
        self._outstanding.difference_update(job.key for job in jobs)

    def look(self) -> None:
        """Judges what can be judged, unless the last look was just now or the run is at its end."""
        if time.monotonic() < self._next or not self._outstanding:
            return
        ready = [claim for claim, keys in self._waits.values() if keys.isdisjoint(self._outstanding)]
        started = time.monotonic()
        if ready:
            for claim in ready:
                del self._waits[claim.id]
            try:
                judgements = self._judge(ready)
            except HarnessError:  # it is told at the end of the run, when all is judged
                judgements = []
                self._waits.clear()
            for judgement in judgements:
                self._told[judgement.claim.id] = judgement
                self._tell(judgement)
        now = time.monotonic()
        self._next = now + max(_EVERY_S, _PAUSES * (now - started))

    def hold(self, judgements: Sequence[Judgement]) -> None:
        """Raises InvariantBroken unless the verdicts that were told are those of the end."""
        for judgement in judgements:
            told = self._told.get(judgement.claim.id, judgement)
            if not _alike(told, judgement):
                raise InvariantBroken(
                    f"claim {judgement.claim.id!r} was judged {told.verdict} while the run went on ({told.why}) and is "
                    f"{judgement.verdict} at its end ({judgement.why}): it rests on more than rests_on of its "
                    "experiment tells. Mend that; the results are kept"
                )


def _alike(told: Judgement, last: Judgement) -> bool:
    """Whether two judgements have one verdict and, but for rounding, the same numbers.

    LAPACK's last bits depend on where in memory a matrix lies, so that one table read twice may give two numbers.
    """
    first, second = (_numbers(judgement.estimate) for judgement in (told, last))
    return told.verdict is last.verdict and len(first) == len(second) and all(map(_close, first, second))


def _numbers(estimate: Estimate | None) -> list[float | None]:
    return [] if estimate is None else [estimate.value, estimate.low, estimate.high, estimate.n]


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=SINGLE, abs_tol=SINGLE)


def tables_of(request: Request) -> Iterator[tuple[Claim, set[str]]]:
    """The claims with a check at the request's scale, each with the keys of the jobs on whose tables it may rest."""
    protocol, setting = request.protocol, request.setting
    alike: dict[object, list[Measurement]] = {}
    for measurement in protocol.measurements(setting):
        alike.setdefault((measurement.reads, frozenset(measurement.at.items())), []).append(measurement)
    defaults, axes = protocol.defaults(setting), protocol.axes(setting)
    for claim in request.loaded.spec.claims:
        if request.scale not in claim.checks:
            continue
        check = protocol.resolve(setting, claim.checks[request.scale])
        asked = conditions(claim, check, protocol.quantities[claim.quantity], defaults, axes)
        needed = [
            some
            for some in alike.values()
            if any(protocol.rests_on(setting, claim.quantity, at, some[0]) for at in asked)
        ]
        yield claim, {measurement.job.key for some in needed for measurement in some}
