r"""Small networks on one thread: the compiled loops against PyTorch's operations.

How to run::

    python benchmarks/kernels.py                                    # the toy ResNet at R = 1, 7, 14, 28
    python benchmarks/kernels.py --case toy-vgg --replicas 14
    python benchmarks/kernels.py --lines                            # evaluation: lines between two copies
    python benchmarks/kernels.py --first-use                        # what compiling costs, and what the cache does

On a machine with AVX-512 these show roughly what one without has (Numba asks the processor itself)::

    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 NUMBA_CPU_NAME=znver3 \
        NUMBA_CPU_FEATURES=+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c,+movbe \
        python benchmarks/kernels.py

What is measured. The recipe is that of ``specs/``, the step is ``harness.engine.step.Step`` with all that it does:
batch, augmentation, forward, backward, update. Both sides start from the same weights; before anything is timed, the
first gradients must be those of float64. They take turns (A B A B ...) after a warm-up. Shown are medians over the
turns, and of the ratios of turns side by side. Time is the process's own: whatever else the machine does counts only as
far as it takes caches and clock away.

With ``--lines`` the same for what the stages ``line`` and ``evaluate`` do: thirty places on the line between two
networks that trained for a while apart, in both modes of batch normalisation, and the scores of one network. The
errors of both sides must agree, as those of a line's end must agree with its recount. What the recounts take, which
compute by PyTorch's operations on both sides, is shown beside.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import torch
from command import positive, processor, told
from recipes import ROOT, Bench, Case

from harness.engine import device as devices
from harness.engine.feed import FEEDS
from harness.engine.kernels import choice
from harness.engine.networks.initialise import unflatten
from harness.engine.networks.layers import Layers
from harness.engine.step import Step
from harness.errors import RequestError
from harness.jobs.provenance import describe
from harness.measure.evaluate import States, evaluate, recompute_statistics
from harness.measure.line import alphas, scores_on_line
from harness.measure.recount import recount

CPU = torch.device("cpu")
SMALL = {
    "toy": Case("toy ResNet", "resnet20_imp", "toy"),
    "toy-gelu": Case("toy ResNet, GELU", "edge_of_stability", "toy"),
    "toy-vgg": Case("toy VGG", "vgg16_imp", "toy"),
}
SIDES = ("compiled", "PyTorch")


class Side:
    """R replicas, stepped on."""

    def __init__(self, bench: Bench, replicas: int, precision: str, *, compiled: bool) -> None:
        now = bench.start(replicas, 10**6, precision, CPU)
        images, recipe = bench.images(precision, CPU), bench.recipe(precision, slower=10.0)
        self._feed = FEEDS[recipe.sampling](
            now.order_seeds, now.steps, examples=bench.dataset.info.n_train, batch=bench.batch, device=CPU
        )
        layers = choice.layers_for(bench.network, CPU, precision) if compiled else Layers
        if compiled and layers is Layers:
            raise RequestError(f"{bench.case.title} is not compiled here: {choice.told(CPU)}")
        with mock.patch("harness.engine.step.layers_for", return_value=layers):
            self._step = Step(bench.network, recipe, images, self._feed, now, probed=True)
        self._replicas = replicas
        self.states = now.weights, now.buffers

    def gradient(self) -> torch.Tensor:
        """Of the next batch, which it steps on."""
        self._step(self._feed.ready())
        return self._step.gradient.clone()

    def turn(self, steps: int) -> float:
        """Seconds of the process's time a replica-step."""
        before = time.process_time()
        for _ in range(steps):
            self._step(self._feed.ready())
        return (time.process_time() - before) / steps / self._replicas


def check(bench: Bench) -> str:
    """How far the first gradients are from those in float64, as a share of the greatest, in words.

    Raises:
        RequestError: too far. (One number that ReLU lets through on one side only makes some thousandths.)
    """
    exact = Side(bench, 3, "fp64", compiled=False).gradient()
    found = {}
    for way, compiled in zip(SIDES, (True, False), strict=True):
        apart = Side(bench, 3, "fp32", compiled=compiled).gradient().double() - exact
        found[way] = (apart.abs().max() / exact.abs().max()).item()
        if not found[way] < 1e-2:
            raise RequestError(
                f"{bench.case.title}: {way}'s first gradient is {found[way]:.1e} off: nothing is measured"
            )
    return ", ".join(f"{way} {share:.0e}" for way, share in found.items())


def measure(bench: Bench, replicas: int, turns: int, seconds: float) -> None:
    """Prints both sides at one R."""
    sides = [Side(bench, replicas, "fp32", compiled=compiled) for compiled in (True, False)]
    steps = [max(1, round(seconds / max(side.turn(3) * replicas, 1e-6))) for side in sides]
    taken = [[side.turn(count) for side, count in zip(sides, steps, strict=True)] for _ in range(turns)]
    told_of(f"R = {replicas}", taken, " (processor time a replica-step)")


class Lines:
    """Two networks of one case that trained for a while, each by itself, and what is measured of them."""

    def __init__(self, bench: Bench) -> None:
        trained = Side(bench, 2, "fp32", compiled=True)
        trained.turn(_STEPS_BEFORE_LINES)
        weights, buffers = trained.states
        parameters = unflatten(bench.network, weights)
        self._network, self._images = bench.network, bench.images("fp32", CPU)
        self._batch = bench.batch
        self._ends = [
            States(
                {name: value[[which]] for name, value in parameters.items()},
                {name: value[[which]] for name, value in buffers.items()},
            )
            for which in range(2)
        ]

    def line(self, mode: str) -> list[float]:
        """The errors on the line."""
        rows = scores_on_line(
            self._network, *self._ends, self._images, places=alphas(30, "included"), splits=("test", "train"),
            batch_norm=mode, batch=self._batch, precision="fp32",
        )  # fmt: skip
        return [error for _, _, error, _ in rows]

    def scores(self) -> list[float]:
        """The errors of one network."""
        return [
            evaluate(self._network, self._ends[0], self._images, split, precision="fp32").errors[0]
            for split in ("test", "train")
        ]

    def recounts(self) -> None:
        """What a line's ends and modes are held against: by PyTorch's operations."""
        for end in self._ends:
            fresh = recompute_statistics(
                self._network, end, self._images, batch=self._batch, precision="fp32", layers=Layers
            )
            for state in (end, fresh):
                for split in ("test", "train"):
                    recount(self._network, state, self._images, split, precision="fp32")


_STEPS_BEFORE_LINES = 100
_POINTS = 0.3
"""Of error, by which places where two classes are as likely as each other may differ."""


def measure_lines(bench: Bench, turns: int) -> None:
    """Prints both sides of evaluation.

    Raises:
        RequestError: their errors differ.
    """
    lines = Lines(bench)
    tasks: dict[str, Callable[[], list[float]]] = {
        "line, interpolated": lambda: lines.line("interpolated"),
        "line, recomputed": lambda: lines.line("recomputed"),
        "evaluate": lines.scores,
    }
    before = time.process_time()
    lines.recounts()
    print(f"  recounts of a line's ends, by PyTorch on both sides: {1e3 * (time.process_time() - before):.0f} ms")
    for title, task in tasks.items():
        found, taken = [], []
        for _ in range(turns + 1):  # the first warms up
            here = []
            for compiled in (True, False):
                layers = choice.layers_for(bench.network, CPU, "fp32") if compiled else Layers
                with mock.patch("harness.measure.evaluate.layers_for", return_value=layers):
                    before = time.process_time()
                    found.append(task())
                    here.append(time.process_time() - before)
            taken.append(here)
        apart = max(abs(a - b) for a, b in zip(*found[:2], strict=True))
        if apart > _POINTS:
            raise RequestError(f"{bench.case.title}: {title}: errors differ by {apart:.2f} points: nothing is measured")
        told_of(title, taken[1:], f"; errors differ by {apart:.2f} points at most")


def told_of(title: str, taken: Sequence[Sequence[float]], more: str) -> None:
    """Prints a measurement: seconds of both sides, turn by turn."""
    medians = [statistics.median(of_way) for of_way in zip(*taken, strict=True)]
    each = ", ".join(f"{way} {1e3 * middle:.3f} ms" for way, middle in zip(SIDES, medians, strict=True))
    ratios = sorted(slow / fast for fast, slow in taken)
    middle = statistics.median(ratios)
    print(f"  {title}: {each}; {middle:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}) times as fast{more}", flush=True)


_FIRST_USE = """
import time
import torch
torch.set_num_threads(1)
start = time.process_time()
from harness.engine.kernels.autograd import Block, apply, lanes_of
x = torch.zeros(1, 1, 1, 1, 1, 16, requires_grad=True)
apply(x, torch.zeros(1, 1, 1, 1, 1), Block(2, normalises=False))[0].sum().backward()
print(f"{time.process_time() - start:.2f}")
"""


def first_use() -> None:
    """Prints what the first block of a process costs, with nothing kept and with all of it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        found = [
            subprocess.run(
                [sys.executable, "-c", _FIRST_USE],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
            ).stdout.strip()
            for _ in range(2)
        ]
    print(f"The first block of a process: {found[0]} s of processor time, {found[1]} s where Numba kept it")


def _asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", choices=SMALL, action="append", help="this network only; may be repeated (toy)")
    parser.add_argument("--replicas", type=positive, nargs="+", default=[1, 7, 14, 28], help="R (1 7 14 28)")
    parser.add_argument("--turns", type=positive, default=9, help="of each side (9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a turn lasts (1)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="where datasets were imported")
    parser.add_argument("--lines", action="store_true", help="evaluation in place of training")
    parser.add_argument("--first-use", action="store_true", help="only what compiling costs")
    return parser.parse_args(arguments)


def main() -> None:
    """Checks, measures, prints."""
    asked = _asked()
    devices.prepare(CPU, 1)
    facts = describe("cpu", 1, "")
    versions = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "numba", "llvmlite"))
    print(
        f"{facts['date']}, Python {platform.python_version()}, {versions}; {facts['hardware']}; one thread; "
        f"{processor()}; load before the start {os.getloadavg()[0]:.1f}"
    )
    if asked.first_use:
        first_use()
        return
    for name in asked.case or ["toy"]:
        bench = Bench(SMALL[name], asked.data)
        if asked.lines:
            print(f"{bench.case.title} on {bench.origin}, processor time")
            measure_lines(bench, asked.turns)
            continue
        print(f"{bench.case.title} on {bench.origin}, batch {bench.batch}; first gradient off by: {check(bench)}")
        for replicas in asked.replicas:
            measure(bench, replicas, asked.turns, asked.seconds)


if __name__ == "__main__":
    with told():
        main()
