"""Malformed specs, stores and archives, by the thousand: whatever is not an answer in words is a finding.

    python benchmarks/fuzz.py --processes 2
    python benchmarks/fuzz.py --specs 1 --stores 0 --archives 0 --seed 1205      # one case again

- A spec is mutated, read and planned; nothing is trained. It is refused at its place, or means what it says.
- A small store is damaged, checked, and ``harness verify`` runs on it. It gives the numbers that it gave, or an error
  that names the artifact; a share of the cases goes on until what the errors say has healed the store.
- An archive or a folder of images is mutated and imported into an empty folder of data. It is refused and nothing is
  left, or it is data that are told to be no original; and nothing is written elsewhere, or unpickled.

Findings are a traceback, more than two seconds of computing (a plan has three milliseconds a job beside), a result
that is silently wrong, and an error that does not name what is wrong. The mutations are those of ``tests/fuzz``, of
which the suite tries a few. A case is a function of its seed and of this revision. Each runs in a process that is
killed where it gives no answer, and may take 16 GiB.

The exit code is 1 where anything is found.
"""

import argparse
import contextlib
import multiprocessing
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fuzz.archive_trial import archive_outcome  # noqa: E402
from tests.fuzz.spec_trial import spec_outcome, warm  # noqa: E402
from tests.fuzz.store_trial import Sound, store_outcome  # noqa: E402
from tests.fuzz.trial import HANGS_S, KINDS, Outcome  # noqa: E402

Case = Callable[[int], Outcome]
_NO_ANSWER_S = 20 * HANGS_S
"""Of waiting for a process that breaks no case off by itself."""
_MEMORY = 16 << 30
_WARM_SEED = -1
_WORDS = 1500
"""Letters of a finding that are printed."""


def cases(kind: str, folder: Path) -> Case:
    """What tries the case of a seed."""
    sound = Sound(folder)
    tries: dict[str, Callable[[random.Random, Path], Outcome]] = {
        "specs": spec_outcome,
        "stores": lambda draw, where: store_outcome(draw, where, sound),
        "archives": archive_outcome,
    }

    def tried(seed: int) -> Outcome:
        with tempfile.TemporaryDirectory(dir=folder) as where:
            return tries[kind](random.Random(seed), Path(where))

    return tried


def serve(kind: str, folder: Path, pipe: Connection) -> None:
    """Answers seeds with outcomes, in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    case = cases(kind, folder)
    if kind == "specs":
        warm()
    case(_WARM_SEED)  # what is imported and filled at the first one is no time of a case
    while True:
        pipe.send(case(pipe.recv()))


class Worker:
    """A process that tries cases, replaced where it gives no answer."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder = kind, folder
        self._process: multiprocessing.process.BaseProcess | None = None

    def outcome(self, seed: int) -> Outcome:
        """The outcome of a case."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send(seed)
            if self._pipe.poll(_NO_ANSWER_S):
                answer = self._pipe.recv()
                assert isinstance(answer, Outcome)
                return answer
            words = f"no answer after {_NO_ANSWER_S:g} s"
        except (EOFError, OSError):
            words = "the process died"
        self.stop()
        return Outcome("slow" if "answer" in words else "traceback", words)

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        self._process = context.Process(target=serve, args=(self._kind, folder, other), daemon=True)
        self._process.start()
        other.close()


@contextlib.contextmanager
def workers(kind: str, folder: Path, processes: int) -> Iterator[Callable[[range], Iterator[Outcome]]]:
    """Tries cases in so many processes; gives their outcomes in the order of their seeds."""
    mine = threading.local()
    started: list[Worker] = []

    def one(seed: int) -> Outcome:
        if not hasattr(mine, "worker"):
            mine.worker = Worker(kind, folder)
            started.append(mine.worker)
        outcome: Outcome = mine.worker.outcome(seed)
        return outcome

    with ThreadPoolExecutor(processes) as pool:
        yield lambda seeds: pool.map(one, seeds)
    for worker in started:
        worker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", type=int, default=10_000, help="how many")
    parser.add_argument("--stores", type=int, default=1_000, help="how many")
    parser.add_argument("--archives", type=int, default=1_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first case of each kind")
    parser.add_argument("--processes", type=int, default=1, help="at a time")
    options = parser.parse_args()
    print(f"{'':9}" + "".join(f"{name:>10}" for name in ("cases", *KINDS, "longest", "minutes")), flush=True)
    found = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        for kind in ("archives", "specs", "stores"):
            seeds = range(options.seed, options.seed + getattr(options, kind))
            if not seeds:
                continue
            counts: Counter[str] = Counter()
            longest, began = 0.0, time.monotonic()
            with workers(kind, Path(name), options.processes) as tried:
                for seed, outcome in zip(seeds, tried(seeds), strict=True):
                    counts[outcome.kind] += 1
                    longest = max(longest, outcome.seconds)
                    if outcome.found:
                        found += 1
                        print(f"  {kind}, seed {seed}: {outcome.kind}: {outcome.words[:_WORDS]}", flush=True)
            row = "".join(f"{counts[one]:>10}" for one in KINDS)
            minutes = (time.monotonic() - began) / 60
            print(f"{kind:9}{len(seeds):>10}{row}{longest:>8.1f} s{minutes:>10.1f}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
