"""Curvature of a small network on one thread: compiled loops against PyTorch's operations.

How to run::

    python benchmarks/second_order.py                # about a minute
    python benchmarks/second_order.py --turns 1 --examples 40

Limited to AVX2: with the environment that ``kernels.py`` tells.

What is measured. The network and the loss are those of the toy scale of ``specs/hessian_spectrum.yaml`` at initial
weights: 1,382 parameters, 700 of the digits, fp32, batch normalisation by the batch. Both sides call what stages call:

- the exact Hessian, by ``rows``: of each layer some rows, which all cost the same, scaled up;
- a product with one direction, as Lanczos asks for them, by ``products``;
- a gradient of the whole loss, by ``gradient``;
- the losses of a batch of 128 examples at 16 points, by ``losses``.

Before, both must agree with float64. They take turns (A B A B ...) after a warm-up; shown are medians over the turns of
the process's own time, and of the ratios of turns side by side.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest import mock

import torch
from command import positive, told
from curvature import CPU, Bench
from torch import Tensor

from harness.engine import device as devices
from harness.engine.kernels import choice
from harness.errors import RequestError
from harness.jobs.provenance import describe
from harness.measure.curvature import gradient, products, rows
from harness.measure.landscape import losses

SIDES = ("compiled", "PyTorch")
ROWS, POINTS, BATCH = 16, 16, 128


class Side:
    """The same work by one kind of operations."""

    def __init__(self, bench: Bench, *, compiled: bool) -> None:
        self._bench, self._objective, self._compiled = bench, bench.objective("batch"), compiled
        self._layers = [(tail.start, tail.stop) for tail in self._objective.tails(bench.weights, bench.x[:2])]
        drawn = torch.randn(POINTS, bench.network.size, generator=torch.Generator().manual_seed(0))
        self._directions = drawn.to(bench.x.dtype)
        with self._chosen():
            found = self._objective.compiled(bench.weights)
        if compiled and found is None:
            raise RequestError(f"the network is not compiled here: {choice.told(CPU)}")

    def hessian(self) -> float:
        """Seconds of all rows, from some of each layer."""
        total = 0.0
        for start, stop in self._layers:
            few = min(ROWS, stop - start)
            taken = self._seconds(lambda: rows(self._objective, self._bench.weights, start, start + few))  # noqa: B023
            total += taken * (stop - start) / few
        return total

    def product(self) -> float:
        """Seconds of a product with one direction."""
        return self._seconds(self.product_found)

    def product_found(self) -> Tensor:
        """The product."""
        with self._chosen():
            return products(self._objective, self._bench.weights, self._directions[:1])

    def gradient(self) -> float:
        """Seconds of a gradient."""
        return self._seconds(lambda: gradient(self._objective, self._bench.weights))

    def losses(self) -> float:
        """Seconds of the losses at some points."""
        bench = self._bench
        points = bench.weights + 0.01 * self._directions
        x, labels, held = bench.x[:BATCH], bench.labels[:BATCH], self._objective.buffers
        return self._seconds(lambda: losses(bench.network, points, held, x, labels, batch_norm="batch"))

    def _chosen(self) -> AbstractContextManager[object]:
        return mock.patch.object(choice, "installed", return_value=self._compiled)

    def _seconds(self, work: Callable[[], object]) -> float:
        with self._chosen():
            before = time.process_time()
            work()
            return time.process_time() - before


WORK: dict[str, Callable[[Side], float]] = {
    "exact Hessian": Side.hessian,
    "product with one direction": Side.product,
    "gradient": Side.gradient,
    f"losses at {POINTS} points": Side.losses,
}


def check(examples: int) -> str:
    """How far products are from those in float64, as a share of the greatest number, in words.

    Raises:
        RequestError: too far.
    """
    exact = Side(Bench(examples, "fp64"), compiled=False).product_found()
    found = {}
    for way, compiled in zip(SIDES, (True, False), strict=True):
        product = Side(Bench(examples, "fp32"), compiled=compiled).product_found().double()
        found[way] = float((product - exact).abs().max() / exact.abs().max())
        if not found[way] < 1e-3:
            raise RequestError(f"{way}'s product is {found[way]:.1e} off: nothing is measured")
    return ", ".join(f"{way} {share:.0e}" for way, share in found.items())


def main() -> None:
    """Checks, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=positive, default=3, help="of each side (3)")
    parser.add_argument("--examples", type=positive, default=700, help="of the loss (700)")
    asked = parser.parse_args()
    devices.prepare(CPU, 1)
    facts = describe("cpu", 1, "")
    print(
        f"{facts['date']}, Python {platform.python_version()}, torch {torch.__version__}, {facts['hardware']}; "
        f"one thread; PyTorch uses {torch.backends.cpu.get_cpu_capability()}; "
        f"load before the start {os.getloadavg()[0]:.1f}"
    )
    print(f"products are off by: {check(asked.examples)}", flush=True)
    bench = Bench(asked.examples, "fp32")
    sides = [Side(bench, compiled=compiled) for compiled in (True, False)]
    for words, work in WORK.items():
        if words != "exact Hessian":
            for side in sides:
                work(side)
        taken = [[work(side) for side in sides] for _ in range(asked.turns)]
        medians = [statistics.median(of_way) for of_way in zip(*taken, strict=True)]
        each = ", ".join(f"{way} {1e3 * middle:.1f} ms" for way, middle in zip(SIDES, medians, strict=True))
        ratios = sorted(slow / fast for fast, slow in taken)
        middle = statistics.median(ratios)
        print(f"{words}: {each}; {middle:.1f} ({ratios[0]:.1f}-{ratios[-1]:.1f}) times as fast", flush=True)


if __name__ == "__main__":
    with told():
        main()
