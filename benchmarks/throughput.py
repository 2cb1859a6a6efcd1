"""Trainings per hour: replicas fused by the engine against a plain PyTorch loop that trains one at a time.

How to run, on a machine with nothing else to do (a second busy program makes multi-threaded torch wait for its
own threads, up to 50 times slower, and not evenly)::

    python benchmarks/throughput.py                        # about 6 minutes on two cores
    python benchmarks/throughput.py --only toy --repeats 9
    python benchmarks/throughput.py --threads 1 --seconds 1 --repeats 1   # a quick look

What is measured. The recipes are those of ``specs/``. Fused is ``harness.engine.train.train``, as the ``train``
stage calls it: order, augmentation and normalisation, forward, backward, update. Against it stands
``idiomatic.py``: Dataset of PIL images, torchvision's transforms, DataLoader with 0 and with 2 workers (the
faster one counts), ``nn.Module``, ``torch.optim``, always in fp32. Both sides take turns (A B A B ...) after a
warm-up. A turn starts with an epoch; what its first step costs more (the new order, the start of the workers) is
shared over a whole epoch's steps. Shown are medians over the turns, and of the ratios of turns side by side.
The schedule of the plain loop is left out, which is in its favour; evaluation is on neither side.

Before that, both sides start from the same weights, get the same batches in float64, and must agree.

Last measured, 2026-11-20, AMD EPYC (2 virtual cores), torch 2.13.0+cpu, 3 turns of 3 s (--seconds 3 --repeats 3)::

       network          dataset    R  fused in   ms fused   ms plain  ratio (range)     goal
         LeNet            mnist   18      fp32      0.731      3.283  4.49 (4.17-4.93)   10  missed
    toy ResNet           digits   18      fp32      0.682      6.125  8.91 (8.44-8.99)    3  met
     ResNet-20          cifar10    1      fp32    121.289    178.305  1.50 (1.46-1.54)  1.3  met
     ResNet-20          cifar10    1      bf16     78.536    178.305  2.27 (2.22-2.42)  2.3  missed

The plain loop does not use channels last, which the fused side does; a user of it could.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import idiomatic
import torch
import torch.nn.functional as F
import torch.utils.data
from torch import Tensor

from harness.datainfo import nominal
from harness.engine import device as devices
from harness.engine import optimise
from harness.engine.datasets import Dataset, load
from harness.engine.feed import FEEDS, Images
from harness.engine.initialise import flatten, initial_buffers, initial_parameters, unflatten
from harness.engine.networks import Network, build
from harness.engine.replicas import FINITE, Replicas
from harness.engine.step import Recipe
from harness.engine.train import train
from harness.errors import DataMissing
from harness.provenance import describe
from harness.spec.document import read
from harness.spec.model import Spec

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
WORKERS = (0, 2)


@dataclass(frozen=True)
class Case:
    """A network to measure.

    Attributes:
        title: for people.
        spec: the spec whose recipe it is.
        scale: of that spec.
        replicas: R.
        goals: number format of the fused side -> how many times more trainings per hour are wanted.
    """

    title: str
    spec: str
    scale: str
    replicas: int
    goals: dict[str, float]


CASES = {
    "lenet": Case("LeNet", "lenet_stability", "paper", 18, {"fp32": 10.0}),
    "toy": Case("toy ResNet", "resnet20_imp", "toy", 18, {"fp32": 3.0}),
    "resnet20": Case("ResNet-20", "resnet20_imp", "paper", 1, {"fp32": 1.3, "bf16": 2.3}),
}


class Bench:
    """One network on its data, trained either way."""

    def __init__(self, case: Case) -> None:
        spec = Spec.model_validate(read(ROOT / "specs" / f"{case.spec}.yaml").value)
        self.case, self._training = case, spec.scales[case.scale].training
        self._data = self._training.data.model_dump(mode="json")
        self._network = self._training.network.model_dump(mode="json")
        self._dataset, self.origin = _dataset(self._training.data.name)
        info = self._dataset.info
        self.network = build(self._network, info.shape, info.classes)
        if self.network.size != self._training.parameters:
            raise SystemExit(f"{case.title} has {self.network.size} parameters, not {self._training.parameters}")
        self.per_epoch = -(-info.n_train // self._training.batch)
        self.length = self._training.length.iterations(self.per_epoch)

    def fused(self, steps: int, *, precision: str, replicas: int) -> list[float]:
        """Seconds of each of the first steps of all replicas together; each counts for ``replicas`` steps."""
        stamps = []

        def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
            stamps.append(time.perf_counter())

        images, recipe = self._images(precision), self._recipe(precision)
        start = self._start(replicas, steps, precision)
        began = time.perf_counter()
        train(self.network, recipe, images, start, on_step=on_step, on_mark=lambda place, now: None)
        return _differences([began, *stamps])

    def plain(self, steps: int, *, workers: int) -> list[float]:
        """Seconds of each of the first steps of one network."""
        info, batch = self._dataset.info, self._training.batch
        transform = idiomatic.transform(self._data, info.shape[-1])
        pictures = idiomatic.Pictures(self._dataset.train_x, self._dataset.train_y, transform)
        loader = torch.utils.data.DataLoader(pictures, batch, shuffle=True, num_workers=workers)
        module = idiomatic.module(self._network, info.shape, info.classes)
        update = self._optimiser(module)
        stamps = [time.perf_counter()]
        while True:
            for x, y in loader:
                idiomatic.step(module, update, x, y)
                stamps.append(time.perf_counter())
                if len(stamps) > steps:
                    return _differences(stamps)

    def check(self, steps: int = 3, replicas: int = 2) -> str:
        """Trains both ways in float64, from the same weights and with the same batches, and compares.

        Raises:
            SystemExit: they differ.
        """
        images, info = self._images("fp64"), self._dataset.info
        states: dict[tuple[int, int], Tensor] = {}

        def on_mark(place: int, now: Replicas) -> None:
            states[place, now.steps[place]] = now.weights[place].clone()

        start = replace(self._start(replicas, steps, "fp64"), marks=[range(steps + 1)] * replicas)
        train(
            self.network,
            self._recipe("fp64"),
            images,
            start,
            on_step=lambda moved, now: None,
            on_mark=on_mark,
        )
        batches = FEEDS[self._training.sampling](
            range(replicas), [0] * replicas, examples=info.n_train, batch=self._training.batch, device=CPU
        )
        modules = [self._module(states[place, 0]) for place in range(replicas)]
        updates = [self._optimiser(module) for module in modules]
        losses, apart = 0.0, 0.0
        for step in range(steps):
            index, keys = batches.next()
            x, y = images.augmented(index, keys)
            self._check_pictures(x, index)
            for place, (module, update) in enumerate(zip(modules, updates, strict=True)):
                loss = idiomatic.step(module, update, x[:, place], y[place])
                losses = max(losses, float((loss - self._loss(states[place, step], x[:, place], y[place])).abs()))
                reached = _flat(self.network, module)
                apart = max(apart, float((reached - states[place, step + 1]).abs().max()))
        if not (losses < 1e-9 and apart < 1e-6):
            raise SystemExit(f"{self.case.title}: the two sides differ: losses by {losses:.1e}, weights by {apart:.1e}")
        return (
            f"{steps} steps of {replicas} replicas in float64: losses agree to {losses:.0e}, weights to {apart:.0e}; "
            "images as torchvision makes them"
        )

    def _images(self, precision: str) -> Images:
        return Images(self._dataset, self._data, device=CPU, dtype=devices.dtype_of(precision))

    def _recipe(self, precision: str) -> Recipe:
        schedule = self._training.schedule
        drops = [drop.iterations(self.per_epoch) for drop in schedule.drops]
        return Recipe(
            batch=self._training.batch,
            sampling=self._training.sampling,
            optimiser=self._training.optimiser.model_dump(mode="json"),
            schedule={"rate": schedule.rate, "drops": drops, "factor": schedule.factor, "warmup": 0},
            decay_reach=self._training.optimiser.decay_reach,
            precision=precision,
        )

    def _start(self, replicas: int, steps: int, precision: str) -> Replicas:
        fresh = self._training.initialisation
        drawn = [
            initial_parameters(self.network, scheme=fresh.weights, batch_norm_scale=fresh.batch_norm_scale, seed=seed)
            for seed in range(replicas)
        ]
        stacked = {name: torch.stack([one[name] for one in drawn]) for name in self.network.parameters}
        dtype = devices.dtype_of(precision)
        weights = flatten(self.network, stacked).to(dtype)
        buffers = initial_buffers(self.network)
        return Replicas(
            weights=weights,
            buffers={name: value.to(dtype).repeat(replicas, 1) for name, value in buffers.items()},
            optimiser=optimise.fresh_state(self._training.optimiser.model_dump(mode="json"), weights),
            mask=None,
            steps=[0] * replicas,
            marks=[[steps]] * replicas,
            order_seeds=range(replicas),
            schedule_starts=[0] * replicas,
            diverged_at=torch.full((replicas,), FINITE),
        )

    def _optimiser(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        settings = self._training.optimiser.model_dump(mode="json")
        return idiomatic.optimiser(settings, self._training.schedule.rate, module.parameters())

    def _module(self, weights: Tensor) -> torch.nn.Module:
        """The plain network with one replica's weights [P], in float64."""
        info = self._dataset.info
        module = idiomatic.module(self._network, info.shape, info.classes).double()
        values = unflatten(self.network, weights[None])
        with torch.no_grad():
            for parameter, (name, declared) in zip(module.parameters(), self.network.parameters.items(), strict=True):
                value = values[name][0]
                parameter.copy_(value.t() if declared.kind == "linear" else value)
        return module

    def _loss(self, weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The engine's loss at one replica's weights [P]."""
        buffers = {name: value.double()[None] for name, value in initial_buffers(self.network).items()}
        views = unflatten(self.network, weights[None])
        return F.cross_entropy(self.network.logits(views, buffers, x[:, None], batch_norm="train")[0], y)

    def _check_pictures(self, x: Tensor, index: Tensor, count: int = 4) -> None:
        """Each image is what RandomCrop, RandomHorizontalFlip, ToTensor and Normalize may make of its example."""
        size, padding = self._dataset.info.shape[-1], self._data["augment"]["crop_padding"]
        tensor = idiomatic.transform(self._data, size, augment=False)
        functional = idiomatic.transforms.functional
        offsets = range(2 * padding + 1)
        for place, example in enumerate(index[0, :count].tolist()):
            picture = idiomatic.picture(self._dataset.train_x[example])
            padded = functional.pad(picture, padding) if padding else picture
            crops = [functional.crop(padded, top, left, size, size) for top in offsets for left in offsets]
            mirrored = [functional.hflip(crop) for crop in crops] if self._data["augment"]["flip"] else []
            apart = min(float((tensor(crop) - x[place, 0]).abs().max()) for crop in crops + mirrored)
            if apart > 1e-5:
                raise SystemExit(f"{self.case.title}: example {example} looks different on the two sides")


@dataclass(frozen=True)
class Row:
    """A line of the table; times are of one replica's step, in milliseconds."""

    bench: Bench
    replicas: int
    precision: str
    fused: float
    plain: float
    workers: int
    ratios: Sequence[float]


def measure(bench: Bench, *, replicas: int, repeats: int, seconds: float) -> list[Row]:
    """Times every variant in turn; a row for each number format of the fused side."""
    turns: dict[tuple[str, str | int], Callable[[int], list[float]]] = {}
    for precision in bench.case.goals:
        turns["fused", precision] = partial(bench.fused, precision=precision, replicas=replicas)
    for workers in WORKERS:
        turns["plain", workers] = partial(bench.plain, workers=workers)
    steps = {name: _steps(turn, seconds) for name, turn in turns.items()}
    taken: dict[tuple[str, str | int], list[float]] = {name: [] for name in turns}
    for _ in range(repeats):
        for name, turn in turns.items():
            taken[name].append(1e3 * _typical(turn(steps[name]), bench.per_epoch))
    fastest = min(WORKERS, key=lambda workers: statistics.median(taken["plain", workers]))
    plain = taken["plain", fastest]
    rows = []
    for precision in bench.case.goals:
        fused = [time / replicas for time in taken["fused", precision]]
        ratios = [slow / fast for slow, fast in zip(plain, fused, strict=True)]
        middle = statistics.median(fused), statistics.median(plain)
        rows.append(Row(bench, replicas, precision, *middle, fastest, ratios))
    return rows


def show(rows: Sequence[Row]) -> None:
    """Prints the table."""
    columns = (
        ("network", 10), ("dataset", 15), ("R", 3), ("fused in", 8), ("ms fused", 9), ("ms plain", 9),
        ("workers", 7), ("trainings/h fused", 17), ("plain", 7), ("ratio (range)", 20), ("goal", 5), ("", 6),
    )  # fmt: skip
    print("\n" + "  ".join(f"{title:>{width}}" for title, width in columns))
    for row in rows:
        case, goal = row.bench.case, row.bench.case.goals[row.precision]
        ratio = statistics.median(row.ratios)
        per_hour = [3.6e6 / (time * row.bench.length) for time in (row.fused, row.plain)]
        cells = (
            case.title, row.bench.origin, row.replicas, row.precision, f"{row.fused:.3f}", f"{row.plain:.3f}",
            row.workers, f"{per_hour[0]:.4g}", f"{per_hour[1]:.4g}",
            f"{ratio:.2f} ({min(row.ratios):.2f}-{max(row.ratios):.2f})", f"{goal:g}",
            "met" if ratio >= goal else "missed",
        )  # fmt: skip
        print("  ".join(f"{cell!s:>{width}}" for cell, (_, width) in zip(cells, columns, strict=True)))
    print("\nms fused: of one replica's step; ms plain: of a step of the plain loop (fp32) with these workers.")


def _dataset(name: str) -> tuple[Dataset, str]:
    """The dataset where it was imported, else random images of its shape; and what to call it."""
    try:
        return load(name, ROOT / "data"), name
    except DataMissing:
        info = nominal(name)
        generator = torch.Generator().manual_seed(0)
        parts = {
            f"{part}_{kind}": torch.randint(0, high, size, generator=generator, dtype=dtype)
            for part, count in (("train", info.n_train), ("test", 1))
            for kind, high, size, dtype in (
                ("x", 256, (count, *info.shape), torch.uint8),
                ("y", info.classes, (count,), torch.int64),
            )
        }
        return Dataset(info, **parts), f"random {name}"


def _differences(stamps: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(stamps)]


def _typical(times: Sequence[float], per_epoch: int) -> float:
    """Seconds of a step, with an epoch's first step in its true share."""
    first, others = times[::per_epoch], [time for place, time in enumerate(times) if place % per_epoch]
    return statistics.fmean(first) / per_epoch + statistics.fmean(others) * (per_epoch - 1) / per_epoch


def _steps(turn: Callable[[int], list[float]], seconds: float) -> int:
    """How many steps fill a turn; also the warm-up."""
    turn(3)
    return max(4, math.ceil(seconds / statistics.median(turn(6)[1:])))


def _flat(network: Network, module: torch.nn.Module) -> Tensor:
    """The plain network's parameters as the engine lays them out, [P]."""
    parts = zip(module.parameters(), network.parameters.values(), strict=True)
    values = [value.detach().t() if declared.kind == "linear" else value.detach() for value, declared in parts]
    return torch.cat([value.flatten() for value in values])


def _machine(threads: int) -> str:
    facts: dict[str, Any] = describe("cpu", threads, "")
    versions = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "torchvision", "numpy"))
    code = facts["code"]["revision"][:12] + (" (modified)" if facts["code"]["modified"] else "")
    return (
        f"{facts['date']}, code {code}, Python {platform.python_version()}, {versions}\n"
        f"{facts['hardware']}; {threads} threads; load before the start {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch, on both sides (all cores)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long a turn lasts (5)")
    parser.add_argument("--only", choices=CASES, action="append", help="this network only; may be repeated")
    parser.add_argument("--replicas", type=int, help="R of the fused side, in place of each network's own")
    arguments = parser.parse_args()
    devices.prepare(CPU, arguments.threads)
    print(_machine(torch.get_num_threads()))
    rows: list[Row] = []
    for name in arguments.only or CASES:
        bench = Bench(CASES[name])
        print(f"{bench.case.title} on {bench.origin}: {bench.check()}", flush=True)
        replicas = arguments.replicas or bench.case.replicas
        rows += measure(bench, replicas=replicas, repeats=arguments.repeats, seconds=arguments.seconds)
    show(rows)


if __name__ == "__main__":
    main()
