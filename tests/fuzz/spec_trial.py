"""A spoiled spec is refused at its place, or means what it says: ``harness validate`` and ``plan`` alone."""

import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import InvariantBroken, RequestError
from harness.pipeline.request import Request, check, prepare
from harness.protocols import protocols
from harness.schema.document import read
from harness.schema.load import Loaded, load
from harness.schema.model import Spec
from harness.steps import Duration
from tests.fuzz.spec_mutations import mutated
from tests.fuzz.trial import SLOW_S, Outcome, Unclear, Wrong, tried
from tests.support import SPECS, cli

_A_JOB_S = 0.003
"""Of computing, beyond the limit of a case, for a job of a plan: the shipped ones have up to some thousands."""
_LARGEST = 3.4e38
"""Of float32, in which trainings compute."""
_SMALLEST = 1.2e-38


def spec_outcome(draw: random.Random, folder: Path) -> Outcome:
    """Spoils a spec, loads and plans it.

    Args:
        draw: decides everything.
        folder: exists; the spec is written there.
    """
    name, content = mutated(draw)
    path = folder / name
    path.write_bytes(content)
    lines = (
        content.count(b"\n") + content.count(b"\r") + 1 + 3 * content.count(b"\xe2\x80") + content.count(b"\xc2\x85")
    )
    chosen = draw.random()
    planned: list[Request] = []

    def place(words: str) -> None:
        _require_place(words, path, lines)

    loaded = tried(lambda: _loaded(path), place)
    if loaded.kind != "accepted":
        return loaded
    prepared = tried(lambda: _prepared(path, chosen, planned), place, slow_s=math.inf)
    if prepared.kind != "accepted":
        return prepared
    (request,) = planned
    said = tried(lambda: _planned(path, request.scale), slow_s=SLOW_S + _A_JOB_S * len(request.plan.jobs))
    return replace(said, seconds=loaded.seconds + said.seconds)


def warm() -> None:
    """Loads and checks what is shipped: what is imported at the first spec is no time of a case."""
    for path in SPECS:
        loaded = load(path, protocols())
        for name in loaded.spec.scales:
            check(loaded, name, path.parent / "data")


def _loaded(path: Path) -> str:
    """What ``harness validate`` does."""
    loaded = load(path, protocols())
    for name in loaded.spec.scales:
        check(loaded, name, path.parent / "data")
    return "valid"


def _prepared(path: Path, chosen: float, planned: list[Request]) -> str:
    loaded = load(path, protocols())
    _require_meaning(path, loaded)
    scales = sorted(loaded.spec.scales)
    try:
        planned.append(prepare(loaded, scales[int(chosen * len(scales))], path.parent / "data"))
    except InvariantBroken as error:
        raise RequestError(str(error)) from error
    _require_numbers(planned[0])
    return "prepared"


def _planned(path: Path, scale: str) -> str:
    where = ("--store", path.parent / "store", "--data", path.parent / "data")
    said = cli("plan", path, "--scale", scale, *where, "--device", "cpu", "--json")
    if said.code:
        raise Wrong(f"prepared, but `harness plan` gives {said.code}: {said.err[-2000:]}")
    _require_forecast(said.json)
    return "planned"


def _require_place(words: str, path: Path, lines: int) -> None:
    """Every problem names the file, and a line that it has or the scale's field."""
    for line in words.splitlines():
        if not line.startswith(f"{path}:"):
            raise Unclear(f"the file is not named: {line[:500]}")
        found = re.match(r":(\d+)", line.removeprefix(str(path)))
        if found and not 1 <= int(found[1]) <= lines:
            raise Unclear(f"the file has {lines} lines: {line[:500]}")


def _require_meaning(path: Path, loaded: Loaded) -> None:
    """Raises Wrong unless the models hold what the file says, and say it again when they are written."""
    given = read(path).value
    held = loaded.spec.model_dump(exclude_unset=True)
    for name, settings in loaded.settings.items():
        if "settings" in held["scales"][name]:
            held["scales"][name]["settings"] = settings.model_dump(exclude_unset=True)
    difference = next(_differences(given, held, ""), None)
    if difference:
        raise Wrong(f"the file and what is held of it differ: {difference}")
    again = json.loads(loaded.spec.model_dump_json())
    if Spec.model_validate(again) != loaded.spec:
        raise Wrong("written and read again, it is another spec")
    family = protocols()[loaded.spec.protocol]
    for name, settings in loaded.settings.items():
        if family.settings.model_validate(json.loads(settings.model_dump_json())) != settings:
            raise Wrong(f"scales.{name}.settings: written and read again, they are others")


def _differences(given: Any, held: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(held, dict):
        for name in {*given, *held}:
            if name not in held or name not in given:
                yield f"{place}.{name} is in one of them"
            else:
                yield from _differences(given[name], held[name], f"{place}.{name}")
    elif isinstance(given, list) and isinstance(held, list | tuple):
        if len(given) != len(held):
            yield f"{place} has {len(given)} and {len(held)} entries"
        for number, (one, other) in enumerate(zip(given, held, strict=False)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif isinstance(held, Duration):
        if Duration.parse(given) != held:
            yield f"{place}: {given!r}, {held}"
    elif isinstance(given, int) and isinstance(held, float):
        if float(given) != held:
            yield f"{place}: {given!r}, {held!r}"
    elif given != held or isinstance(given, bool) != isinstance(held, bool):
        yield f"{place}: {given!r}, {held!r}"


def _require_numbers(request: Request) -> None:
    """Raises Wrong where a job would compute with a number that float32 cannot hold, where it ought to."""
    for job in request.plan.jobs.values():
        for place, value in _numbers(job.params, job.stage):
            size = abs(value)
            if not math.isfinite(value) or size > _LARGEST or 0 < size < _SMALLEST:
                raise Wrong(f"{place} = {value!r} is no number of float32")


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield place, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in entries:
        yield from _numbers(inside, f"{place}.{key}")


def _require_forecast(rows: Any) -> None:
    for row in rows if isinstance(rows, list) else [rows]:
        for place, value in _numbers(row, "plan"):
            if not math.isfinite(value) or value < 0:
                raise Wrong(f"the forecast has {place} = {value}")
