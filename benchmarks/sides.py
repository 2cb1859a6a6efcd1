"""What ``throughput.py`` sets side by side; each side takes turns of some steps and says what they took.

A turn starts with an epoch. What its first step costs more (the new order, the start of the workers) is shared over a
whole epoch's steps, or, where a turn is longer than an epoch, whole epochs are timed. CUDA works on after a call
returns, so every time is taken after ``synchronize``, at a few places of a turn only.
"""

import gc
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import idiomatic
import torch
import torch.utils.data
from recipes import CASES, Bench
from torch import Tensor

from harness.engine.device import free_bytes, give_back_freed_memory
from harness.engine.graphs import WARM_UP
from harness.engine.replicas import Replicas
from harness.engine.train import train

WAIT_S = 600
"""For the slowest of several processes."""


@dataclass(frozen=True)
class Turn:
    """What a turn took.

    Attributes:
        seconds: of a step of one training; where several run at once, of each one's share.
        peak_bytes: the most memory that was held: on CUDA by torch in this process, else by this process in all.
    """

    seconds: float
    peak_bytes: float


class Clock:
    """Takes the time at the begin, after the first step, after the warm-up and at the end.

    Args:
        device: which is waited for.
        steps: of the turn, as asked for; ``steps`` has them as they shall be made.
        per_epoch: steps of an epoch.
        at_warm: called once the turn is warm.
    """

    def __init__(
        self, device: torch.device, steps: int, per_epoch: int, at_warm: Callable[[], object] = lambda: None
    ) -> None:
        # A graph of each size of batch is recorded after some calls; the last batch of an epoch may be short.
        calls = WARM_UP + 1 if device.type == "cuda" else 0
        epochs = calls if steps >= 2 * calls * per_epoch else 0
        self._warm = 1 + max(calls, epochs * per_epoch)
        timed = max(2, steps - self._warm)
        self._whole = timed >= per_epoch
        self.steps = self._warm + (timed // per_epoch * per_epoch if self._whole else timed)
        self._device, self._per_epoch, self._at_warm = device, per_epoch, at_warm
        self._made = -1
        self._stamps: list[float] = []

    def tick(self) -> None:
        """Call before the first step and after every one."""
        self._made += 1
        if self._made in (0, 1, self._warm, self.steps):
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self._stamps.append(time.perf_counter())
            if self._made == self._warm:
                self._at_warm()
                self._stamps.append(time.perf_counter())

    def seconds(self) -> float:
        """Of a step, with an epoch's first step in its true share."""
        begin, first, warm, end = self._stamps[0], self._stamps[1], self._stamps[-2], self._stamps[-1]
        usual = (end - warm) / (self.steps - self._warm)
        if self._whole:
            return usual
        return (first - begin) / self._per_epoch + usual * (self._per_epoch - 1) / self._per_epoch


class Fused:
    """The harness: R replicas together, as the ``train`` stage trains them."""

    def __init__(self, bench: Bench, replicas: int, precision: str, device: torch.device) -> None:
        self.words = f"harness, R = {replicas}, {precision}"
        self.replicas, self.precision = replicas, precision
        self._bench, self._device = bench, device

    def turn(self, steps: int) -> Turn:
        """Some steps."""
        bench, device = self._bench, self._device
        clock = Clock(device, steps, bench.per_epoch)

        def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
            clock.tick()

        with peak_memory(device) as peak:
            images, recipe = bench.images(self.precision, device), bench.recipe(self.precision)
            start = bench.start(self.replicas, clock.steps, self.precision, device)
            clock.tick()
            train(bench.network, recipe, images, start, on_step=on_step, on_snapshot=lambda place, now: None)
        return Turn(clock.seconds() / self.replicas, peak())


class Plain:
    """One network in a plain loop, in fp32: idiomatic, or with data on the device already (``workers`` is None)."""

    def __init__(self, bench: Bench, workers: int | None, device: torch.device) -> None:
        self._bench, self._workers, self._device = bench, workers, device

    def turn(self, steps: int, at_warm: Callable[[], object] = lambda: None) -> Turn:
        """Some steps."""
        bench, device, info = self._bench, self._device, self._bench.dataset.info
        clock = Clock(device, steps, bench.per_epoch, at_warm)
        with peak_memory(device) as peak:
            module = idiomatic.module(bench.description, info.shape, info.classes).to(device)
            update = idiomatic.optimiser(bench.optimiser, bench.training.schedule.rate, module.parameters())
            batches = self._batches()
            clock.tick()
            for _ in range(clock.steps):
                x, y = next(batches)
                idiomatic.step(module, update, x, y, bench.optimiser["clip"])
                clock.tick()
            del batches
        return Turn(clock.seconds(), peak())

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Epoch after epoch."""
        bench, device = self._bench, self._device
        images, labels = bench.dataset.train.images(slice(None)), bench.dataset.train.labels
        if self._workers is None:
            resident = idiomatic.Resident(images, labels, bench.data, device)
            while True:
                yield from resident.epoch(bench.batch)
        look = idiomatic.transform(bench.data, bench.dataset.info.shape[-1])
        loader = torch.utils.data.DataLoader(
            idiomatic.Pictures(images, labels, look),
            bench.batch,
            shuffle=True,
            num_workers=self._workers,
            pin_memory=device.type == "cuda",
        )
        while True:
            for x, y in loader:
                yield x.to(device, non_blocking=True), y.to(device, non_blocking=True)


class Crew:
    """Plain loops at once, one or more, each in a process of its own, which sleeps between turns.

    None of the harness's settings of a process reaches them.
    """

    def __init__(self, case: str, data_root: Path, count: int, workers: int | None, device: torch.device) -> None:
        loops = "idiomatic loop" if count == 1 else f"{count} idiomatic loops at once"
        self.words = "eager loop, data on the device" if workers is None else f"{loops}, {workers} workers each"
        self.count, self.workers = count, workers
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(count)  # kept: a process that starts late still has to find it
        threads = max(1, torch.get_num_threads() // count)
        self._pipes: list[Connection] = []
        self._members: list[Any] = []
        for _ in range(count):
            here, there = context.Pipe()
            asked = (case, data_root, workers, threads, str(device), there, self._barrier)
            member = context.Process(target=_member, args=asked)
            member.start()
            there.close()
            self._pipes.append(here)
            self._members.append(member)

    def turn(self, steps: int) -> Turn:
        """Some steps of each, timed while all are at it."""
        for pipe in self._pipes:
            pipe.send(steps)
        try:
            turns: list[Turn] = [pipe.recv() for pipe in self._pipes]
        except (EOFError, ConnectionError):
            raise SystemExit(f"{self.words}: one of them broke, as told above") from None
        return Turn(1 / sum(1 / turn.seconds for turn in turns), sum(turn.peak_bytes for turn in turns))

    def close(self) -> None:
        """Ends the processes."""
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.send(None)
            pipe.close()
        for member in self._members:
            member.join(10)
            if member.is_alive():
                member.terminate()


def _member(
    case: str, data_root: Path, workers: int | None, threads: int, device: str, pipe: Connection, barrier: Barrier
) -> None:
    """One of the loops of a ``Crew``."""
    torch.set_num_threads(threads)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)  # which the harness set in the process that started this one
    if device.startswith("cuda"):
        torch.cuda.init()
        # the switches of a plain user; nothing is deterministic in a fresh process
        torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.benchmark = "tf32", True
    plain = Plain(Bench(CASES[case], data_root), workers, torch.device(device))
    with suppress(EOFError):
        while (steps := pipe.recv()) is not None:
            pipe.send(plain.turn(steps, lambda: barrier.wait(WAIT_S)))
            if device.startswith("cuda"):
                torch.cuda.empty_cache()


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], float]]:
    """What the work within holds at most, told after it.

    On the CPU that is the process with all that was there before; where the system does not let the mark be set
    back, it is the most since the process began.
    """
    _give_back()
    found = 0.0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    yield lambda: found
    if device.type == "cuda":
        found = float(torch.cuda.max_memory_allocated(device))
    else:
        found = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held_and_free(device: torch.device) -> tuple[float, float]:
    """Bytes that are held now as ``peak_memory`` counts them, and bytes that are left."""
    _give_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return float(torch.cuda.memory_allocated(device)), free_bytes(device)
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return float(pages * resource.getpagesize()), free_bytes(device)
    return 0.0, free_bytes(device)


def _give_back() -> None:
    """What C's allocator, glibc's at least, keeps of freed memory would hide what the next side takes."""
    gc.collect()
    give_back_freed_memory()
