"""Trainings per hour: the harness, which trains many replicas at once, against plain PyTorch loops.

How to run, on a machine with nothing else to do (a second busy program makes multi-threaded torch wait for its
own threads, up to 50 times slower, and not evenly)::

    python benchmarks/throughput.py                                  # all networks, on the GPU where there is one
    python benchmarks/throughput.py --only toy --only lenet --replicas 16 64
    python benchmarks/throughput.py --only resnet20 --precision fp32 bf16 --replicas 1 --device cpu
    python benchmarks/throughput.py --quick --only lenet             # does it run? its numbers mean nothing

What is measured. The recipes are those of ``specs/``, the data MNIST and CIFAR-10 where they were imported, else random
images of the same shape, which the table says. The harness is ``harness.engine.train.train``, as the ``train`` stage
calls it: order, augmentation and normalisation, forward, backward, update, on CUDA as graphs. Against it stand
(``idiomatic.py``, ``sides.py``):

- the idiomatic loop: Dataset of PIL images, torchvision's transforms, DataLoader with 0, 4 and 8 workers (of few cores
  fewer; the fastest counts), ``nn.Module``, ``torch.optim``;
- the best of 1, 4, 8 of these loops at once, each a process of its own (with workers only if there are cores for them);
- an eager loop of the same ``nn.Module`` with the data on the device, augmented there.

They compute in fp32; on CUDA with the switches of a plain user: convolutions in TF32, kernels chosen by timing, none
deterministic, which the harness does not allow itself. Their schedule is left out, and batches that are drawn
independently are shuffled epochs there, both in their favour; evaluation is on no side.

All sides take turns (A B C A B C ...) after a warm-up. Shown are medians over the turns, and of the ratios of turns
side by side. A training of R at once takes an R-th of their time; a small network has 64 slots on a GPU always. Peak
memory is explained in ``sides.py``. On one H200 the share of the floor is told, the longer of the times that arithmetic
and memory take at best (``recipes.py``).

Before anything is timed, all sides start from the same weights, get the same batches in float64, and must agree, and
the losses of every number format must be those of float64 (``agreement.py``).

Before the times of a network it is told by what the harness trains it in each format, by compiled loops or by PyTorch's
operations (``engine/kernels/choice.py``), and at the beginning what these use of the processor. Compiled loops are for
small networks on one thread of the CPU: ``--only toy --threads 1``.

What was measured is in ``docs/speed.md``. The plain loops do not use channels last, which the harness does; a user
of them could. Each is a process of its own, which the harness's settings of memory do not reach.
"""

import argparse
import math
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from agreement import check
from command import positive, processor, told
from recipes import CASES, FLOORS, GOALS, H200, ROOT, TWO_CORES, Bench, Case
from sides import Crew, Fused, Turn, held_and_free

from harness.engine import device as devices
from harness.engine.graphs import WARM_UP
from harness.engine.kernels import choice
from harness.engine.networks.layers import Layers
from harness.jobs.provenance import describe
from harness.schema.training import Training

OFFERED = tuple(get_args(Training.model_fields["precision"].annotation))
BASELINES = ("idiomatic", "concurrent", "resident")
ROOM = 0.8
"""Share of the free memory that a greater R may be expected to take."""

Side = Fused | Crew


@dataclass(frozen=True)
class Row:
    """The harness at one R and in one format.

    Attributes:
        case: key of ``CASES``.
        side: what was measured.
        seconds: of a training, by the median turn.
        peak_bytes: of the hungriest turn.
        step: seconds of a step, by the median turn.
        ratios: baseline -> how many times as many trainings per hour, turn by turn.
    """

    case: str
    side: Fused
    seconds: float
    peak_bytes: float
    step: float
    ratios: Mapping[str, Sequence[float]]


def loops_of(name: str, asked: argparse.Namespace, device: torch.device, stack: ExitStack) -> list[Crew]:
    """The plain loops, alone and several at once."""
    kinds: list[tuple[int, int | None]] = [(1, workers) for workers in (*asked.workers, None)]
    for count in asked.processes:
        for workers in asked.workers:
            if count > 1 and (not workers or count * workers <= (os.cpu_count() or 1)):
                kinds.append((count, workers))
    return [stack.enter_context(closing(Crew(name, asked.data, *kind, device))) for kind in kinds]


def fused_of(bench: Bench, asked: argparse.Namespace, device: torch.device) -> Iterator[Fused]:
    """The harness at every R that fits into memory, as far as the R before lets expect."""
    for precision in asked.precision:
        for before, replicas in zip((None, *asked.replicas), asked.replicas, strict=False):
            if before is not None:
                held, free = held_and_free(device)
                needed = (Fused(bench, before, precision, device).turn(1).peak_bytes - held) * replicas / before
                if needed > ROOM * free:
                    print(
                        f"{bench.case.title}: R = {replicas} in {precision} left out, it would take about "
                        f"{needed / 1e9:.1f} GB of {free / 1e9:.1f} GB",
                        flush=True,
                    )
                    break
            yield Fused(bench, replicas, precision, device)


def measure(name: str, bench: Bench, asked: argparse.Namespace, device: torch.device) -> list[Row]:
    """Times every side in turn, and prints those that are not the harness."""
    with ExitStack() as stack:
        loops = loops_of(name, asked, device, stack)
        steps: dict[Side, int] = {loop: _steps(loop, asked.seconds) for loop in loops}  # they take their memory first
        fused = list(fused_of(bench, asked, device))
        steps |= {side: _steps(side, asked.seconds) for side in fused}
        sides = list(steps)
        taken: dict[Side, list[Turn]] = {side: [] for side in sides}
        for _ in range(asked.repeats):
            for side in sides:
                taken[side].append(side.turn(steps[side]))
    best = _baselines(taken)
    for side, turns in taken.items():
        if not isinstance(side, Fused):
            marks = "".join(f"  <- {words}" for words, chosen in best.items() if chosen is side)
            print(f"  {side.words:<45} {_costs(bench, turns)}{marks}", flush=True)
    return [_row(name, bench, side, taken, best) for side in fused]


def _baselines(taken: Mapping[Side, Sequence[Turn]]) -> dict[str, Side]:
    """The fastest of each kind."""
    loops = [side for side in taken if isinstance(side, Crew)]
    kinds = {
        "idiomatic": [side for side in loops if side.count == 1 and side.workers is not None],
        "concurrent": [side for side in loops if side.workers is not None],
        "resident": [side for side in loops if side.workers is None],
    }
    return {kind: min(sides, key=lambda side: _middle(taken[side])) for kind, sides in kinds.items()}


def _row(name: str, bench: Bench, side: Fused, taken: Mapping[Side, Sequence[Turn]], best: Mapping[str, Side]) -> Row:
    ratios = {
        kind: [slow.seconds / fast.seconds for slow, fast in zip(taken[other], taken[side], strict=True)]
        for kind, other in best.items()
    }
    step = _middle(taken[side])
    return Row(name, side, step * bench.length, max(turn.peak_bytes for turn in taken[side]), step, ratios)


def show(rows: Sequence[Row], origins: Mapping[str, str], machine: str | None) -> None:
    """Prints the table of the harness."""
    columns = [
        ("network", 11), ("data", 14), ("R", 3), ("format", 6), ("ms/step", 8), ("s/training", 10), ("trainings/h", 11),
        ("peak MB", 8), *((f"x {kind}", 21) for kind in BASELINES), *([("of floor", 8)] if machine == H200 else []),
    ]  # fmt: skip
    print("\nThe harness; ms/step is of one replica.\n" + "  ".join(f"{title:>{width}}" for title, width in columns))
    for row in rows:
        cells: list[Any] = [
            CASES[row.case].title, origins[row.case], row.side.replicas, row.side.precision, f"{1e3 * row.step:.3f}",
            f"{row.seconds:.4g}", f"{3600 / row.seconds:.4g}", f"{row.peak_bytes / 1e6:.0f}",
            *(_ratio(row.ratios[kind]) for kind in BASELINES),
        ]  # fmt: skip
        if machine == H200:
            floor = FLOORS.get(row.case, {}).get(row.side.precision)
            cells.append(f"{100 * max(floor) / row.seconds:.0f} %" if floor else "")
        print("  ".join(f"{cell!s:>{width}}" for cell, (_, width) in zip(cells, columns, strict=True)))


def show_goals(rows: Sequence[Row], machine: str | None) -> None:
    """Prints what was wanted on this machine, and whether it was met."""
    goals = [goal for goal in GOALS if goal.machine == machine]
    print(
        f"\nGoals for {machine}:" if goals else f"\nThe goals are for {H200} and for {TWO_CORES}: none is judged here."
    )
    for goal in goals:
        upper = goal.measure == "seconds"
        wanted = (
            f"{'at most' if upper else 'at least'} {goal.limit:g} {'s a training' if upper else f'x {goal.measure}'}"
        )
        wanted = f"{CASES[goal.case].title} {wanted}{f' in {goal.precision}' if goal.precision else ''}"
        found = [
            (row.seconds if upper else statistics.median(row.ratios[goal.measure]), row)
            for row in rows
            if row.case == goal.case and goal.precision in (None, row.side.precision)
        ]
        if not found:
            print(f"  {wanted}: not measured")
            continue
        value, row = (min if upper else max)(found, key=lambda one: one[0])
        met = value <= goal.limit if upper else value >= goal.limit
        print(f"  {wanted}: {'met' if met else 'missed'}, {value:.3g} (R = {row.side.replicas}, {row.side.precision})")


def _costs(bench: Bench, turns: Sequence[Turn]) -> str:
    step, peak = _middle(turns), max(turn.peak_bytes for turn in turns)
    return f"{1e3 * step:9.3f} ms/step {3600 / (step * bench.length):10.4g} trainings/h {peak / 1e6:7.0f} MB"


def _middle(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.seconds for turn in turns)


def _ratio(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g}-{max(ratios):.3g})"


def _steps(side: Side, seconds: float) -> int:
    """How many steps fill a turn; also the warm-up."""
    together = side.replicas if isinstance(side, Fused) else 1
    apart = side.turn(1).seconds * together  # of several processes: their common pace, so a longer turn
    return max(1, math.ceil(seconds / apart))


def _machine(device: torch.device) -> str | None:
    """For which goals this is the machine."""
    if device.type == "cuda":
        return H200 if "H200" in torch.cuda.get_device_name(device) else None
    return TWO_CORES if os.cpu_count() == torch.get_num_threads() == 2 else None


def _words(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    facts: dict[str, Any] = describe(str(device), torch.get_num_threads(), name)
    versions = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "torchvision", "numpy"))
    code = facts["code"]["revision"][:12] + (" (modified)" if facts["code"]["modified"] else "")
    return (
        f"{facts['date']}, code {code}, Python {platform.python_version()}, {versions}\n"
        f"{facts['hardware']} ({device}); {os.cpu_count()} cores, {facts['threads']} threads; "
        f"load before the start {os.getloadavg()[0]:.1f}\n"
        f"{processor()}\n"
        f"Kernels: {choice.told(device)}"
    )


def _kernels(bench: Bench, precisions: Sequence[str], device: torch.device) -> str:
    """What trains a network in each of some number formats."""
    by = {precision: choice.layers_for(bench.network, device, precision) for precision in precisions}
    names = {
        precision: "PyTorch's operations" if kind is Layers else "compiled loops" for precision, kind in by.items()
    }
    if len(set(names.values())) == 1:
        return f"trained by {names[precisions[0]]}"
    return "trained by " + ", ".join(f"{name} in {precision}" for precision, name in names.items())


def _asked() -> argparse.Namespace:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--threads", type=positive, default=cores, help="of torch, on all sides (all cores)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long a turn lasts (5)")
    parser.add_argument("--only", choices=CASES, action="append", help="this network only; may be repeated")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 4, 16, 64], help="R (1 4 16 64)")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], help=f"of {', '.join(OFFERED)} (fp32 bf16)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=sorted({min(n, cores) for n in (0, 4, 8)}), help="(0 4 8, or cores)"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 8], help="idiomatic loops at once (1 4 8)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="where datasets were imported")
    parser.add_argument("--quick", action="store_true", help="to try it: one short turn, R = 1 and 4, ...")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(repeats=1, seconds=0.3, replicas=[1, 4], workers=[0], processes=[1, 2])
    asked = parser.parse_args()
    if unknown := set(asked.precision) - set(OFFERED):
        parser.error(f"--precision {' '.join(sorted(unknown))}: specs offer {', '.join(OFFERED)}")
    asked.replicas = sorted(set(asked.replicas))
    return asked


def _bench(case: Case, data: Path) -> Bench | None:
    if case.path is None:
        print(f"{case.title}: left out, there is no specs/{case.spec}.yaml")
        return None
    return Bench(case, data)


def main() -> None:
    """Checks, measures, shows."""
    asked = _asked()
    device = devices.choose(asked.device)
    devices.prepare(device, asked.threads)
    print(_words(device))
    rows: list[Row] = []
    origins: dict[str, str] = {}
    for name in asked.only or CASES:
        bench = _bench(CASES[name], asked.data)
        if bench is None:
            continue
        origins[name] = bench.origin
        steps = WARM_UP + 2 if device.type == "cuda" else 2 if asked.quick else 3
        print(f"{bench.case.title} on {bench.origin}: {_kernels(bench, asked.precision, device)}")
        print(f"  {check(bench, asked.precision, device, steps)}", flush=True)
        rows += measure(name, bench, asked, device)
    machine = _machine(device)
    show(rows, origins, machine)
    if asked.repeats > 1:
        show_goals(rows, machine)
    else:
        print("\nOf single turns no goal is judged.")


if __name__ == "__main__":
    with told():
        main()
