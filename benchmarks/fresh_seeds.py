"""Are verdicts wrong as rarely as promised? Many sets of fresh seeds of a spec, each judged by itself.

    python benchmarks/fresh_seeds.py specs/noisy_quadratic.yaml --store /tmp/fresh      # 20 sets; see docs/verdicts.md

The initialisations of all sets are trained together in one run, from a first seed that no other run used. Then each set
is judged as a run of its own would be, and all of them as one large run, whose verdicts are taken for the truth. A
verdict is wrong where it is the opposite of that; where all together leave a claim open, nothing tells.
"""

import argparse
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from command import positive, told

from harness.digits import plain
from harness.execution.run import Run
from harness.jobs.store import Store
from harness.judging.multiplicity import wrong_at_most
from harness.judging.verdict import Judgement
from harness.pipeline.request import prepare
from harness.pipeline.verify import judged
from harness.protocols import protocols
from harness.schema.load import Loaded, load

ROOT = Path(__file__).resolve().parent.parent
FIRST_SEED = 20_000
"""Of the sets; the guard's have seeds from 1000 on, specs from 0."""

_SCALE = "toy"


@dataclass(frozen=True)
class Claimed:
    """What came of one claim.

    Attributes:
        truth: as all initialisations together are judged.
        sets: as each set is judged.
    """

    truth: Judgement
    sets: Sequence[Judgement]

    @property
    def wrong(self) -> int:
        """Decided verdicts of sets that are the opposite of the truth, where that is decided."""
        return sum(
            self.truth.decided and one.decided and one.verdict.good != self.truth.verdict.good for one in self.sets
        )

    @property
    def unfounded(self) -> int:
        """Decided verdicts of sets where all initialisations together leave the claim open."""
        return sum(one.decided and not self.truth.decided for one in self.sets)

    @property
    def promised(self) -> float | None:
        """That a claim in order is so again, by the sets in which it is in order, on average; None where none tells."""
        promises = [one.in_order_again for one in self.sets if one.as_expected and one.in_order_again is not None]
        return math.fsum(promises) / len(promises) if promises else None


def train(spec: Path, sets: int, size: int, first_seed: int, store: Path, options: Sequence[str]) -> None:
    """Runs what is missing of all sets together.

    Raises:
        SystemExit: the run broke; its errors were shown.
    """
    seeds = ["--first-seed", str(first_seed), "--replicates", str(sets * size)]
    with tempfile.TemporaryDirectory() as reports:
        place = ["--store", str(store), "--report", reports, *options]
        command = [sys.executable, "-m", "harness", "verify", str(spec), *seeds, *place, "--exit-zero"]
        code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        raise SystemExit(code)


def judge(loaded: Loaded, sets: int, size: int, first_seed: int, store: Store, data: Path) -> list[Claimed]:
    """Judges the sets, and all of them together, by the results in a store; claims without a check are left out."""

    def run(first: int, initialisations: int) -> list[Judgement]:
        request = prepare(loaded, _SCALE, data, initialisations=initialisations, first_seed=first)
        return judged(request, store, Run())[0]

    each = [run(first_seed + number * size, size) for number in range(sets)]
    claims = zip(run(first_seed, sets * size), *each, strict=True)
    return [Claimed(truth, judgements) for truth, *judgements in claims if truth.check is not None]


def table(claims: Sequence[Claimed]) -> str:
    """Markdown: a row a claim."""
    head = "| claim | all together | sets: it stands | falls | open | wrong | in order | promised |"
    return "\n".join([head, "|---" * 8 + "|", *map(_row, claims)])


def _row(claim: Claimed) -> str:
    stands = sum(one.verdict.good for one in claim.sets)
    falls = sum(one.decided for one in claim.sets) - stands
    undecided = len(claim.sets) - stands - falls
    in_order = sum(one.as_expected for one in claim.sets)
    promised = "–" if claim.promised is None else _share(claim.promised)
    wrong = str(claim.wrong) if claim.truth.decided else "–"
    cells = [f"`{claim.truth.claim.id}`", _words(claim.truth), stands, falls, undecided, wrong, in_order, promised]
    return f"| {' | '.join(map(str, cells))} |"


def _words(truth: Judgement) -> str:
    """The verdict over all initialisations, what is known of it, and the estimate."""
    assert truth.check is not None, "only claims with a check are judged"
    known = f" (known: {truth.check.known.verdict})" if truth.check.known else ""
    value = None if truth.estimate is None else truth.estimate.value
    number = "" if value is None else f", {plain(value, 3)} {truth.unit}".rstrip()
    return f"{truth.verdict}{known}{number}"


def _share(probability: float) -> str:
    return f"{probability:.2f}".removeprefix("0") if probability < 0.995 else "1"


def summary(claims: Sequence[Claimed]) -> str:
    """Markdown: over all claims, how many verdicts are wrong, and how often all in order are so again."""
    sets = range(len(claims[0].sets))
    known = [claim for claim in claims if claim.truth.decided]
    crossings = [claim for claim in known if wrong_at_most(claim.truth) is None]
    tested = [claim for claim in known if wrong_at_most(claim.truth) is not None]
    rates = [wrong_at_most(one) or 0.0 for claim in tested for one in claim.sets if one.decided]
    wrong = sum(claim.wrong for claim in tested)
    lines = [
        f"- {len(rates)} verdicts by tests are decided where all initialisations decide too: {wrong} are wrong, and by "
        f"chance up to {plain(math.fsum(rates), 3)} may be.",
        f"- {sum(claim.unfounded for claim in claims)} are decided where all initialisations leave the claim open.",
    ]
    if crossings:
        decided = sum(one.decided for claim in crossings for one in claim.sets)
        lines.append(f"- Of crossings {decided} are decided, {sum(claim.wrong for claim in crossings)} wrong.")
    whole = sum(all(claim.sets[number].as_expected for claim in claims) for number in sets)
    lines.append(f"- All {len(claims)} claims are in order in {whole} of {len(sets)} sets.")
    lines.append(f"- {_again(claims)}")
    return "\n".join(lines)


def _again(claims: Sequence[Claimed]) -> str:
    """How often what is in order in one set, but for crossings, is so in another, and what the sets promise of it."""
    sets = range(len(claims[0].sets))
    in_order = [
        {at for at, one in enumerate(claims) if one.sets[number].as_expected and one.sets[number].fresh}
        for number in sets
    ]
    promised = [math.prod(claims[at].sets[number].in_order_again or 0.0 for at in in_order[number]) for number in sets]
    pairs = list(permutations(sets, 2))
    again = sum(in_order[one] <= in_order[other] for one, other in pairs) / len(pairs)
    return (
        f"The claims that are in order in one set all are so in another with frequency {_share(again)}; the sets "
        f"promise {_share(math.fsum(promised) / len(promised))} on average, {_share(min(promised))} to "
        f"{_share(max(promised))}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", type=Path, nargs="+", help="spec files")
    parser.add_argument("--sets", type=positive, default=20, help="of fresh seeds, two or more")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the first set")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "harness-fresh")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where imported datasets lie")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", default=None)
    asked = parser.parse_args()
    if asked.sets < 2:
        parser.error(f"--sets: found {asked.sets}, allowed are 2 and more, as sets are held against each other")
    store, data = asked.store.resolve(), asked.data.resolve()
    threads = ["--threads", asked.threads] if asked.threads else []
    options = ["--device", asked.device, "--data", str(data), *threads]
    for path in asked.specs:
        spec = path.resolve()
        loaded = load(spec, protocols())
        size = loaded.spec.scales[_SCALE].replicates.initialisations
        train(spec, asked.sets, size, asked.first_seed, store, options)
        claims = judge(loaded, asked.sets, size, asked.first_seed, Store(store, make=False), data)
        last = asked.first_seed + asked.sets * size - 1
        print(f"`{loaded.spec.id}`, {asked.sets} sets of {size}, seeds {asked.first_seed} to {last}:\n")
        print(f"{table(claims)}\n\n{summary(claims)}\n", flush=True)


if __name__ == "__main__":
    with told():
        main()
