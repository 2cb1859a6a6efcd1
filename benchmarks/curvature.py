"""Exact Hessians and Hessian-vector products: the harness against plain PyTorch and curvlinops.

How to run, on a machine with nothing else to do::

    python benchmarks/curvature.py                                        # about 8 minutes on two cores
    python benchmarks/curvature.py --threads 1 --repeats 1 --examples 100   # a quick look

What is measured. The network and the loss are those of the toy scale of ``specs/edge_of_stability.yaml``: 1,382
parameters, 700 of the digits, fp32, at its initial weights.

1. The exact Hessian, batch normalisation by the batch. The harness: ``rows`` and ``symmetric`` of
   ``harness.measure.curvature``, as the ``hessian`` stage calls them. Against it: an ``nn.Module``, its gradient
   with ``create_graph=True`` once, then a backward pass for each column. Of those, which all cost the same, a turn
   times some, evenly spread, and scales up.
2. Hessian-vector products a second, batch normalisation by the running statistics (curvlinops 3.0.1 does not get
   the other right). The harness: ``products``. Against it ``curvlinops.HessianLinearOperator``, given the same
   vectors side by side, and double backward, vector by vector, its graph kept.

The sides take turns (A B A B ...) after a warm-up; shown are medians over the turns, and of the ratios of turns side
by side. Before that, all sides must agree in float64.

Last measured, 2026-11-21, AMD EPYC (2 virtual cores, idle), torch 2.13.0+cpu, two threads, 700 examples, one turn
(--repeats 1 --columns 20), with 16 tangents side by side::

    exact Hessian against columns       6.01  met
    products against curvlinops         1.13
    products against double backward    1.64

Before, with 32 tangents, one thread and the machine busy: 3.93 at 700 examples, 7.02 at 100.

With many examples every operation leaves the caches on both sides; what the harness saves then is the part of the
network before each layer, and the other half of the matrix.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import idiomatic
import torch
import torch.nn.functional as F
from command import positive, told
from torch import Tensor, nn

from harness.engine import device as devices
from harness.engine.data.datasets import load
from harness.engine.feed import Images
from harness.engine.networks.build import build
from harness.engine.networks.initialise import flatten, initial_buffers, initial_parameters, unflatten
from harness.jobs.provenance import describe
from harness.measure.curvature import TANGENTS, Objective, products, rows, symmetric
from harness.schema.document import read
from harness.schema.model import Spec

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.script, which it uses
    import curvlinops

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
GOAL = 5.0
"""Times as fast as one column at a time that the exact Hessian is to be."""


class Bench:
    """The toy network at its initial state, as the harness has it and as plain PyTorch does."""

    def __init__(self, examples: int, precision: str) -> None:
        spec = Spec.model_validate(read(ROOT / "specs" / "edge_of_stability.yaml").value)
        training = spec.scales["toy"].training
        assert training is not None
        dataset = load(training.data.name, ROOT / "data")
        self._description = training.network.model_dump(mode="json")
        self.network = build(self._description, dataset.info.shape, dataset.info.classes)
        dtype = devices.dtype_of(precision)
        images = Images(dataset, training.data.model_dump(mode="json"), device=CPU, dtype=dtype)
        x, self.labels = images.plain("train", 0, examples)
        self.x = x[:, 0].contiguous()
        drawn = initial_parameters(self.network, scheme="kaiming_normal", batch_norm_scale="one", seed=0)
        self.weights = flatten(self.network, {name: value[None].to(dtype) for name, value in drawn.items()})[0]
        self._buffers = {name: value.to(dtype) for name, value in initial_buffers(self.network).items()}

    def objective(self, batch_norm: str) -> Objective:
        """The loss in the harness."""
        return Objective(self.network, self._buffers, [(self.x, self.labels)], batch_norm)

    def module(self, batch_norm: str) -> nn.Module:
        """The same network as an ``nn.Module``."""
        module = idiomatic.module(self._description, self.network.shape, self.network.classes).to(self.x.dtype)
        with torch.no_grad():
            parts = unflatten(self.network, self.weights[None]).values()
            for mine, its in zip(module.parameters(), parts, strict=True):
                mine.copy_(its[0].t() if mine.ndim == 2 else its[0])
        return module.train(batch_norm == "batch")

    @property
    def places(self) -> Tensor:
        """[P] for every number of the module its place in the flat vector: linear weights are turned."""
        numbers = torch.arange(self.network.size)
        parts = unflatten(self.network, numbers[None]).items()
        kinds = {name: declared.kind for name, declared in self.network.parameters.items()}
        return torch.cat([(part[0].t() if kinds[name] == "linear" else part[0]).flatten() for name, part in parts])


class DoubleBackward:
    """Hessian-vector products of a module: its gradient's graph is kept, and gone through once for each vector."""

    def __init__(self, bench: Bench, batch_norm: str) -> None:
        module = bench.module(batch_norm)
        self._parameters = list(module.parameters())
        loss = F.cross_entropy(module(bench.x), bench.labels)
        gradient = torch.autograd.grad(loss, self._parameters, create_graph=True)
        self._gradient = torch.cat([part.flatten() for part in gradient])

    def column(self, place: int) -> Tensor:
        """A column of the Hessian."""
        return self._flat(torch.autograd.grad(self._gradient[place], self._parameters, retain_graph=True))

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector."""
        return self._flat(torch.autograd.grad(self._gradient, self._parameters, vector, retain_graph=True))

    def _flat(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.flatten() for part in parts])


def exact(bench: Bench) -> Tensor:
    """The whole Hessian by the harness."""
    objective = bench.objective("batch")
    return symmetric(rows(objective, bench.weights, 0, bench.network.size), objective.layers)[0]


def theirs(bench: Bench) -> curvlinops.HessianLinearOperator:
    """The Hessian as curvlinops has it."""
    module = bench.module("eval")
    data = [(bench.x, bench.labels)]
    parameters = list(module.parameters())
    return curvlinops.HessianLinearOperator(
        module, nn.CrossEntropyLoss(), parameters, data, check_deterministic=False, num_data=len(bench.x)
    )


def check(bench: Bench) -> str:
    """Compares all sides.

    Raises:
        SystemExit: they differ.
    """
    places, vectors = bench.places, _vectors(bench, 3)
    loop, some = DoubleBackward(bench, "batch"), range(0, bench.network.size, bench.network.size // 7)
    columns = torch.stack([loop.column(place) for place in some])
    whole = exact(bench)[places][:, places]
    apart = [_apart(whole[list(some)], columns)]
    mine = products(bench.objective("eval"), bench.weights, vectors)[:, places]
    turned = vectors[:, places]
    one_by_one = DoubleBackward(bench, "eval")
    apart.append(_apart(mine, torch.stack([one_by_one.product(vector) for vector in turned])))
    apart.append(_apart(mine, (theirs(bench) @ turned.t()).t().detach()))
    if not max(apart) < 1e-10:
        raise SystemExit(f"the sides differ: {apart}")
    return f"all sides agree in float64 to {max(apart):.0e} of the largest entry"


def take_turns(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """What each side returns, turn by turn, after a warm-up."""
    for side in sides.values():
        side()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            taken[name].append(side())
    return taken


def measure_exact(bench: Bench, columns: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of the whole Hessian."""
    loop, size = DoubleBackward(bench, "batch"), bench.network.size
    some = [size * place // columns for place in range(columns)]

    def one_by_one() -> float:
        return _seconds(lambda: [loop.column(place) for place in some]) * size / columns

    sides = {"harness": lambda: _seconds(lambda: exact(bench)), "one column at a time": one_by_one}
    return take_turns(sides, repeats)


def measure_products(bench: Bench, vectors: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of a Hessian-vector product, many being wanted."""
    loop, operator, objective = DoubleBackward(bench, "eval"), theirs(bench), bench.objective("eval")
    many = _vectors(bench, vectors)
    few = many[: max(1, vectors // 4)]
    sides = {
        "harness": lambda: _seconds(lambda: products(objective, bench.weights, many)) / len(many),
        "curvlinops": lambda: _seconds(lambda: operator @ many.t()) / len(many),
        "double backward": lambda: _seconds(lambda: [loop.product(vector) for vector in few]) / len(few),
    }
    return take_turns(sides, repeats)


def show(title: str, taken: Mapping[str, Sequence[float]], goal: float | None, unit: Callable[[float], str]) -> None:
    """Prints what each side took, and how many times as fast the harness is."""
    print(f"\n{title}")
    mine = taken["harness"]
    for name, times in taken.items():
        line = f"  {name:<22}{unit(statistics.median(times)):>18}"
        if name != "harness":
            ratios = [slow / fast for slow, fast in zip(times, mine, strict=True)]
            ratio = statistics.median(ratios)
            line += f"   ratio {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            line += f", goal {goal:g}: {'met' if ratio >= goal else 'missed'}" if goal else ""
        print(line, flush=True)


def _vectors(bench: Bench, count: int) -> Tensor:
    drawn = torch.randn(count, bench.network.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn.to(bench.x.dtype)


def _apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="of torch, on all sides (all cores)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--examples", type=int, default=700, help="of the loss (700)")
    parser.add_argument("--columns", type=int, default=40, help="that a turn of the loop times (40)")
    parser.add_argument("--vectors", type=int, default=TANGENTS, help=f"of a turn of products ({TANGENTS})")
    arguments = parser.parse_args()
    devices.prepare(CPU, arguments.threads)
    facts = describe("cpu", arguments.threads, "")
    print(f"{facts['date']}, Python {platform.python_version()}, torch {torch.__version__}, {facts['hardware']}")
    print(f"{torch.get_num_threads()} threads; load before the start {os.getloadavg()[0]:.1f}")
    print(check(Bench(40, "fp64")), flush=True)
    bench = Bench(arguments.examples, "fp32")
    size, about = bench.network.size, f"{bench.network.size:,} parameters, {arguments.examples} examples, fp32"
    taken = measure_exact(bench, min(arguments.columns, size), arguments.repeats)
    show(f"Exact Hessian, {about}", taken, GOAL, lambda seconds: f"{seconds:.2f} s")
    taken = measure_products(bench, arguments.vectors, arguments.repeats)
    show(f"Hessian-vector products, {about}", taken, None, lambda seconds: f"{1 / seconds:.1f} a second")


if __name__ == "__main__":
    with told():
        main()
