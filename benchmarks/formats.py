"""Whether a faster number format gives what fp32 gives: the test that a new default has to pass.

    python benchmarks/formats.py specs/lenet_stability.yaml --format bf16 --margin relative_distance=0.02
    python benchmarks/formats.py specs/resnet20_stability.yaml --format bf16 --scale paper --device cuda

A spec is run twice by ``harness verify``, in fp32 and in the other format, with the same fresh initialisations and data
orders. Each number that its claims rest on, and the accuracy at the end, is compared pair by pair
(``harness.judging.statistics.equivalence``: two one-sided tests at 5 %):

- equivalent: the 90 % interval of the mean difference lies inside the margin;
- different: its 95 % interval lies wholly outside;
- not shown: neither, or no margin is stated for the quantity.

The format is equivalent for a spec when all its numbers are, which needs no correction for their count; it is different
when one of them is. Nothing here changes a default, and what is shown for one spec holds for no other.

Margins, first that applies: ``--margin QUANTITY=VALUE``; for the accuracy and for claims without a margin of their own,
if the quantity is in % or points, .2 at the paper's scale, which is how far runs differ anyhow, and .5 elsewhere, which
is two of the 397 test images of the digits; the spec's own margin, of an ``equals``.

Written are ``<spec>.<scale>.<format>.md`` and ``.json``; dots, as ``harness index`` takes ``*-*.json`` for a report.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from command import positive, told

from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.provenance import describe, today
from harness.jobs.store import Store, Table
from harness.judging.conditions import at_words, conditions, select, values
from harness.judging.statistics import Equivalence, Sample, differences, equivalence
from harness.observation import Condition, Observation
from harness.pipeline.request import Request, prepare
from harness.protocols import protocols
from harness.report.json import plain_value
from harness.schema.claims import Equals, FirstWithin, LastWithin, LessThan
from harness.schema.document import read
from harness.schema.load import load
from harness.schema.model import PAPER_SCALE
from harness.schema.training import Training

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "fp32"
FORMATS = [name for name in get_args(Training.model_fields["precision"].annotation) if name != REFERENCE]
FIRST_SEED = 2000
"""Fresh: the specs begin at 0, the guard's sets at 1000."""
FEW_PAIRS = 10
RATES = ("%", "points")
MARGIN = {PAPER_SCALE: 0.2}
TOY_MARGIN = 0.5
ACCURACY = "accuracy"

At = Mapping[str, Condition]


@dataclass
class Number:
    """A number that is compared: of a quantity under conditions, or its difference to other conditions.

    Attributes:
        quantity: its name.
        unit: of the quantity.
        at: the conditions.
        than: those subtracted, of a ``less_than``.
        claims: ids of those that rest on it.
        own_margin: the least of their own.
    """

    quantity: str
    unit: str
    at: At
    than: At | None
    claims: list[str] = field(default_factory=list)
    own_margin: float | None = None

    @property
    def words(self) -> str:
        """With its conditions."""
        other = f" less that{at_words(self.than)}" if self.than is not None else ""
        return f"{self.quantity}{at_words(self.at)}{other}"


@dataclass(frozen=True)
class Row:
    """A number and what became of it; ``found`` is None where it could not be compared, and ``why`` says why."""

    number: Number
    margin: float | None
    origin: str
    sides: tuple[Sample, Sample]
    found: Equivalence | None
    why: str

    @property
    def verdict(self) -> str:
        """In the words of ``harness.judging.statistics``."""
        return self.found.verdict if self.found else "not shown"


def numbers(request: Request) -> list[Number]:
    """Every number that the claims at this scale rest on, each once, and the accuracy at the end."""
    protocol, setting = request.protocol, request.setting
    axes, defaults = protocol.axes(setting), protocol.defaults(setting)
    found: dict[str, Number] = {}

    def add(quantity: str, at: At, than: At | None = None) -> Number:
        number = Number(quantity, protocol.quantities[quantity].unit, dict(at), than)
        return found.setdefault(number.words, number)

    for claim in request.loaded.spec.claims:
        if request.scale not in claim.checks:
            continue
        check = protocol.resolve(setting, claim.checks[request.scale])
        expect, quantity = check.expect, protocol.quantities[claim.quantity]
        asked = conditions(claim, check, quantity, defaults, axes)
        if isinstance(expect, FirstWithin | LastWithin):
            asked = [at for at in asked if protocol.unmeasured(setting, claim.quantity, at) is None]
        pairs = [(asked[0], asked[1])] if isinstance(expect, LessThan) else [(at, None) for at in asked]
        for at, than in pairs:
            number = add(claim.quantity, at, than)
            number.claims.append(claim.id)
            if isinstance(expect, Equals):
                number.own_margin = min(expect.margin, number.own_margin or expect.margin)
    if ACCURACY in protocol.quantities:
        at = {axis: defaults.get(axis, axes[axis][0]) for axis in protocol.quantities[ACCURACY].axes}
        add(ACCURACY, at)
    return list(found.values())


def margin_of(number: Number, scale: str, stated: Mapping[str, float]) -> tuple[float | None, str]:
    """What counts as the same, and where that comes from."""
    if number.quantity in stated:
        return stated[number.quantity], "stated"
    if number.unit in RATES and (number.own_margin is None or number.quantity == ACCURACY):
        return MARGIN.get(scale, TOY_MARGIN), "for rates"
    return number.own_margin, "of the spec" if number.own_margin is not None else "none"


def compared(number: Number, margin: float | None, origin: str, sides: tuple[Sample, Sample]) -> Row:
    """A number of both formats, the other one's less the reference's."""
    if not sides[0].keys() & sides[1].keys():
        return Row(number, margin, origin, sides, None, "not observed in both formats")
    try:
        found = equivalence(sides[1], sides[0], margin or 1.0)
    except InvariantBroken as error:
        return Row(number, margin, origin, sides, None, str(error))
    if margin is None:
        return Row(number, None, origin, sides, None, f"no margin; {_difference(found)}")
    return Row(number, margin, origin, sides, found, "")


def verdict_of(rows: Sequence[Row]) -> str:
    """Of the format: different if one number is, equivalent if all are."""
    each = {row.verdict for row in rows}
    return "different" if "different" in each else "equivalent" if each == {"equivalent"} else "not shown"


@dataclass(frozen=True)
class Side:
    """The spec in one format: the request, what ``harness verify`` reported, and all observations."""

    request: Request
    report: dict[str, Any]
    observations: Sequence[Observation]

    def sample(self, number: Number) -> Sample:
        """Initialisation -> values."""
        quantity = self.request.protocol.quantities[number.quantity]
        at, *than = (
            values(select(self.observations, number.quantity, quantity, one))
            for one in (number.at, number.than)
            if one is not None
        )
        return differences(at, than[0]) if than and at and than[0] else at


def run(asked: argparse.Namespace, precision: str, folder: Path) -> Side:
    """Runs the spec in a format by the harness's own command, and reads what it kept."""
    document = dict(read(asked.spec).value)
    try:
        document["scales"][asked.scale]["training"]["precision"] = precision
    except KeyError as error:
        raise SystemExit(f"{asked.spec}: scales.{asked.scale}.training: there is no {error}, so no format") from None
    path = folder / precision / asked.spec.name
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    seeds = ["--replicates", str(asked.initialisations), "--first-seed", str(asked.first_seed)]
    place = ["--store", str(asked.store), "--data", str(asked.data), "--report", str(path.parent / "report")]
    machine = ["--device", asked.device, *(["--threads", str(asked.threads)] if asked.threads else [])]
    command = [
        "verify",
        str(path),
        "--scale",
        asked.scale,
        *seeds,
        *place,
        *machine,
        "--quiet",
        "--exit-zero",
        "--json",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"{asked.spec} in {precision}: harness verify ended with {ran.returncode}")
    printed = json.loads(ran.stdout)
    seeds_of = {"initialisations": asked.initialisations, "first_seed": asked.first_seed}
    request = prepare(load(path, protocols()), asked.scale, asked.data, **seeds_of)
    store = Store(asked.store)

    def table(job: Job) -> Table:
        return store.read(job).table

    observations = request.protocol.observations(request.setting, table)
    return Side(request, printed[0] if isinstance(printed, list) else printed, observations)


def markdown(asked: argparse.Namespace, sides: Sequence[Side], rows: Sequence[Row]) -> str:
    """The comparison for a reader."""
    spec, scale = sides[0].request.loaded.spec, asked.scale
    seeds = sides[0].request.setting.replicates.seeds
    claims = [[claim["verdict"] for claim in side.report["claims"]] for side in sides]
    changed = [
        f"`{claim.id}`: {before} in {REFERENCE}, {after} in {asked.format}"
        for claim, before, after in zip(spec.claims, *claims, strict=True)
        if before != after
    ]
    lines = [
        f"# {asked.format} in place of {REFERENCE}: {spec.id} at {scale} scale",
        "",
        f"**{verdict_of(rows)}**, with {len(seeds)} initialisations (seeds {seeds[0]} to {seeds[-1]}), the same on "
        f"both sides and compared in pairs; {asked.format} less {REFERENCE}.",
        "",
        f"| Number | {REFERENCE} | {asked.format} | Difference [90 % interval] | Margin | Verdict |",
        "|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
        "equivalent: the 90 % interval lies inside the margin (two one-sided tests at 5 %). different: the 95 % "
        "interval lies wholly outside. not shown: neither. The format is equivalent when every number is. "
        "`benchmarks/formats.py` says where margins come from.",
        "",
        *_cautions(rows, len(seeds), scale),
        "## Verdicts of the claims",
        "",
        *([f"- {one}" for one in changed] or ["The same in both formats."]),
        "",
        "## Where it comes from",
        "",
        *(f"- {name}: {words}" for name, words in _origins(sides)),
        "",
        f"Again: `{_command(asked)}`",
    ]
    return "\n".join(lines) + "\n"


def machine(asked: argparse.Namespace, sides: Sequence[Side], rows: Sequence[Row]) -> dict[str, Any]:
    """The comparison as data, with every value."""
    setting = sides[0].request.setting
    return {
        "spec": sides[0].request.loaded.spec.id,
        "scale": asked.scale,
        "formats": [REFERENCE, asked.format],
        "verdict": verdict_of(rows),
        "seeds": list(setting.replicates.seeds),
        "command": _command(asked),
        "numbers": [
            {
                "quantity": row.number.quantity,
                "unit": row.number.unit,
                "at": row.number.at,
                "than": row.number.than,
                "claims": row.number.claims,
                "margin": row.margin,
                "margin_is": row.origin,
                "verdict": row.verdict,
                "why": row.why,
                "difference": plain_value(row.found.difference) if row.found else None,
                "interval_90": plain_value([row.found.low, row.found.high]) if row.found else None,
                "values": {
                    name: plain_value(side) for name, side in zip((REFERENCE, asked.format), row.sides, strict=True)
                },
            }
            for row in rows
        ],
        "claims": {
            claim.id: [side.report["claims"][place]["verdict"] for side in sides]
            for place, claim in enumerate(sides[0].request.loaded.spec.claims)
        },
        "provenance": {
            name: side.report["provenance"] for name, side in zip((REFERENCE, asked.format), sides, strict=True)
        },
        "compared_by": {name: describe(asked.device, 1, "")[name] for name in ("code", "harness", "lock", "date")},
        "setting": plain_value(setting.description),
    }


def _line(row: Row) -> str:
    unit = f" {row.number.unit}" if row.number.unit else ""
    means = [f"{sum(map(_mean, side.values())) / len(side):.4g}" if side else "–" for side in row.sides]
    margin = f"± {row.margin:g}{unit}, {row.origin}" if row.margin is not None else "none"
    difference = _difference(row.found) if row.found else row.why
    return f"| {row.number.words} | {means[0]} | {means[1]} | {difference} | {margin} | {row.verdict} |"


def _mean(within: Sequence[float]) -> float:
    return sum(within) / len(within)


def _difference(found: Equivalence) -> str:
    mean, low, high = (f"{round(one or 0.0, 12):+.3g}" for one in (found.difference.value, found.low, found.high))
    return f"{mean} [{low}, {high}]"


def _cautions(rows: Sequence[Row], pairs: int, scale: str) -> Iterator[str]:
    """What weakens the comparison."""
    still = [row.number.words for row in rows if row.found and row.found.difference.sd == 0]
    if still:
        yield f"No spread between pairs, which may be the measurement's resolution: {'; '.join(still)}."
        yield ""
    if pairs < FEW_PAIRS:
        yield f"{pairs} pairs are few: an interval from them is wide, and its spread little known."
        yield ""
    if scale != PAPER_SCALE:
        yield "This is no paper's setting: nothing is shown here for the paper's scale."
        yield ""


def _origins(sides: Sequence[Side]) -> Iterator[tuple[str, str]]:
    made = [side.report["provenance"]["results made by"] for side in sides]
    for name in made[0]:
        each = [", ".join(one[name]) for one in made]
        yield name, each[0] if each[0] == each[1] else f"{each[0]} ({REFERENCE}); {each[1]} (the other)"
    data = sides[0].report["provenance"]["dataset"]
    yield "dataset", data if isinstance(data, str) else f"{data['name']}, digest {data['digest'][:12]}"
    costs = [side.report["cost"] for side in sides]
    seconds = " and ".join(f"{one['computed_seconds']:.0f} s" for one in costs)
    yield "computing", f"{costs[0]['trainings']} trainings a format; {seconds} (no measurement of speed)"
    yield "compared on", today()


def _command(asked: argparse.Namespace) -> str:
    margins = "".join(f" --margin {name}={value:g}" for name, value in asked.margin)
    return (
        f"python benchmarks/formats.py specs/{asked.spec.name} --format {asked.format} --scale {asked.scale} "
        f"--initialisations {asked.initialisations} --first-seed {asked.first_seed}{margins}"
    )


def _stated(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = 0.0
    if not margin > 0:
        raise argparse.ArgumentTypeError(f"found {text!r}; write QUANTITY=VALUE with a positive value")
    return name, margin


def main() -> None:
    """Runs both sides, compares, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--format", choices=FORMATS, default="bf16", help="against fp32 (bf16)")
    parser.add_argument("--scale", default="toy")
    parser.add_argument("--initialisations", type=int, default=20, help="fresh ones, the same for both (20)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--margin", type=_stated, action="append", default=[], metavar="QUANTITY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--store", type=Path, default=ROOT / ".harness")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "formats")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            sides = [run(asked, precision, Path(folder)) for precision in (REFERENCE, asked.format)]
    except HarnessError as error:
        raise SystemExit(f"{asked.spec}: {error}") from error
    stated = dict(asked.margin)
    rows = [
        compared(number, *margin_of(number, asked.scale, stated), (sides[0].sample(number), sides[1].sample(number)))
        for number in numbers(sides[0].request)
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    name = f"{asked.spec.stem}.{asked.scale}.{asked.format}"
    text = markdown(asked, sides, rows)
    (asked.out / f"{name}.md").write_text(text)
    content = json.dumps(machine(asked, sides, rows), indent=1, ensure_ascii=False, allow_nan=False)
    (asked.out / f"{name}.json").write_text(f"{content}\n")
    print(text)


if __name__ == "__main__":
    with told():
        main()
