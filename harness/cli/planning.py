"""The course of ``harness plan``: load, plan, forecast, tell."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness.cli import console, show
from harness.cli.options import Options
from harness.cli.place import place_of
from harness.cli.session import requests_of, together
from harness.datainfo import find, how_to_get
from harness.errors import RequestError
from harness.execution.backends.base import Slot
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.judging.estimands import least_initialisations
from harness.pipeline.forecast import forecast
from harness.pipeline.request import Request, missing_data, require_format
from harness.report.text import bytes_text, count, seconds_text

_SHARED = 0.8
"""Share of the cores' time below which a forecast says that it is for a busy machine."""


def plan(specs: Sequence[Path], options: Options, as_json: bool) -> None:
    """Prints the jobs of specs, the cached share and a forecast; of several also together, shared jobs once.

    As JSON the rows are those of the specs, then one of all together whose ``spec`` is null.
    """
    requests = requests_of(specs, options)
    store = Store(options.store, make=False)
    place = place_of(options, together(requests), quiet=as_json)
    slots, machine = place.backend.slots, place.machine()
    plans: list[tuple[str | None, Plan, str]] = [
        (request.loaded.spec.id, request.plan, "; ".join(filter(None, (_missing(request, slots), _undecided(request)))))
        for request in requests
    ]
    if len(requests) > 1:
        alone = sum(len(request.plan.jobs) for request in requests)
        whole = together(requests)
        plans.append((None, whole, f"{alone - len(whole.jobs):,} of {alone:,} jobs are shared between these specs"))
    places = slots[0].name if len(slots) == 1 else f"{len(slots)} x {slots[0].kind}"
    rows = []
    for name, jobs, note in plans:
        cost = forecast(jobs, store.has, machine)
        if cost.memory_bytes > machine.free:
            note = f"More memory than the {bytes_text(int(machine.free))} that are free here. {note}".strip()
        if cost.seconds and machine.share < _SHARED:
            by_itself = seconds_text(cost.seconds * machine.share)
            shared = f"Other programs leave {machine.share:.0%} of the cores' time now; alone about {by_itself}."
            note = f"{note} {shared}".strip()
        told = {key: value for key, value in dataclasses.asdict(cost).items() if key != "expected"}
        rows.append({"spec": name, "scale": options.scale, **told, "share_of_cores": machine.share, "note": note})
        if not as_json:
            show.plan(
                f"{name or 'together'} ({options.scale} scale, on {places}, {place.threads} CPU threads)", cost, note
            )
    if as_json:
        console.machine(rows)


def _undecided(request: Request) -> str:
    """What so few initialisations never decide."""
    n, needed = request.setting.replicates.initialisations, least_initialisations(0.90)
    checks = [check for claim in request.loaded.spec.claims if (check := claim.checks.get(request.scale))]
    medians = sum(getattr(check.expect, "estimand", None) == "median" for check in checks)
    if n >= needed or not medians:
        return ""
    return f"{n} initialisations never decide the {count(medians, 'claim')} about a median: --replicates {needed} can"


def _missing(request: Request, slots: Sequence[Slot]) -> str:
    """What a run would be refused for."""
    try:
        require_format(request, slots)
    except RequestError as error:
        return str(error)
    return "; ".join(
        f"The dataset {data.name} is not here yet: {how_to_get(find(data.name))}" for data in missing_data(request)
    )
