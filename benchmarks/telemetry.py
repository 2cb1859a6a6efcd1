"""What telemetry of the early phase adds to a training, and to the store: ratios, of a few steps.

    python benchmarks/telemetry.py                       # toy ResNet and ResNet-20
    python benchmarks/telemetry.py --only toy --turns 1

Measured are a plain step, what a step takes more where it is probed (all measures and ten single weights), what it
takes more where its state is kept too, and an evaluation of a test set. What a telemetry of
``specs/early_telemetry.yaml`` adds is reckoned from them, with the iterations that its scale asks for: over the
window alone, and over the whole training.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from command import positive, told
from recipes import CASES, ROOT, Bench

from harness.datainfo import nominal
from harness.engine import device as devices
from harness.engine.feed import Images
from harness.engine.networks.initialise import initial_parameters, kernels
from harness.engine.probes import Moment, Probes
from harness.engine.train import train
from harness.measure.evaluate import States, evaluate
from harness.measure.training import MEASURES
from harness.pipeline.request import prepare
from harness.protocols import protocols
from harness.protocols.early_phase_telemetry.options import iterations, window_of
from harness.schema.load import load

WEIGHTS = 10
AT = {"toy": "toy", "resnet20": "paper"}
"""Case -> scale of the spec."""
BYTES_OF_A_NUMBER = 4
BYTES_OF_TEXT = 20


@dataclass(frozen=True)
class Cost:
    """Seconds of one replica.

    Attributes:
        step: of a plain one.
        probe: more where it is probed.
        keep: more where its state is kept, too.
        look: of an evaluation of the test set.
    """

    step: float
    probe: float
    keep: float
    look: float


def measure(bench: Bench, steps: int, turns: int, device: torch.device) -> Cost:
    """Plain, probed at every step, and with every state kept: turn by turn, so that all meet the same machine."""
    seconds: dict[str, list[float]] = {"plain": [], "probed": [], "kept": [], "look": []}
    images = bench.images("fp32", device)
    look = partial(_look, bench, images, device)
    for turn in range(turns + 1):
        for way in ("plain", "probed", "kept"):
            took = _train(bench, images, way, steps, device) / steps
            seconds[way] += [took] if turn else []
        took, examples = _timed(look, device), len(images.split["test"][1])
        scale = nominal(bench.dataset.info.name).n_test / examples  # random data has fewer test images
        seconds["look"] += [took * scale] if turn else []
    plain, probed, kept, looked = (statistics.median(seconds[way]) for way in seconds)
    return Cost(plain, max(probed - plain, 0.0), max(kept - probed, 0.0), looked)


def _train(bench: Bench, images: Images, way: str, steps: int, device: torch.device) -> float:
    start = bench.start(1, steps, "fp32", device)
    probes = None
    if way != "plain":
        every = [range(steps)]
        measures = {**MEASURES, **{f"weight {place}": partial(_weight, place) for place in range(WEIGHTS)}}
        left = kernels(bench.network).to(device).expand_as(start.weights)
        probes = Probes(every, measures, start.weights.clone(), left, every if way == "kept" else None)

    def run() -> None:
        train(
            bench.network,
            bench.recipe("fp32"),
            images,
            start,
            on_step=lambda moved, everyone: None,
            on_snapshot=lambda place, now: None,
            probes=probes,
        )
        if probes is not None:
            probes.new()

    return _timed(run, device)


def _weight(place: int, moment: Moment) -> torch.Tensor:
    return moment.weights[place]


def _look(bench: Bench, images: Images, device: torch.device) -> None:
    fresh = bench.training.initialisation
    drawn = initial_parameters(bench.network, scheme=fresh.weights, batch_norm_scale=fresh.batch_norm_scale, seed=0)
    buffers = {name: torch.full((1, size), value) for name, (size, value) in bench.network.buffers.items()}
    states = States(
        {name: value[None].to(device) for name, value in drawn.items()},
        {name: value.to(device) for name, value in buffers.items()},
    )
    evaluate(bench.network, states, images, "test", precision="fp32")


def _timed(work: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def show(bench: Bench, cost: Cost, times: Mapping[str, Sequence[int]], window: int) -> None:
    """What the spec's telemetry adds, as ratios, and its bytes."""
    probed = {step for steps in times.values() for step in steps}
    kept = {step for name in ("kept", "evaluations") for step in times[name]}
    added = len(probed) * cost.probe + len(kept) * cost.keep + len(times["evaluations"]) * cost.look
    numbers = len(times["probes"]) * (1 + len(MEASURES) + WEIGHTS) + 3 * (
        len(times["kept"]) + len(times["evaluations"])
    )
    # The three records are artifacts of one state each.
    size = BYTES_OF_TEXT * numbers + 3 * BYTES_OF_A_NUMBER * bench.network.size
    keeping = 1 + (cost.probe + cost.keep) / cost.step
    print(
        f"  a probed step takes {1 + cost.probe / cost.step:.3f} times a plain one, one whose state is kept "
        f"{keeping:.3f}; an evaluation takes as long as {cost.look / cost.step:.1f} steps"
    )
    print(
        f"  {len(probed)} probed steps, {len(kept)} states kept, {len(times['evaluations'])} evaluations add "
        f"{added / (window * cost.step):.1%} to {window:,} iterations, {added / (bench.length * cost.step):.2%} to the "
        f"whole training of {bench.length:,}, and {size / 1e6:.2f} MB to the store",
        flush=True,
    )


def main() -> None:
    """Measures and shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--only", choices=AT, nargs="+", default=list(AT))
    parser.add_argument("--turns", type=positive, default=3)
    parser.add_argument("--steps", type=positive, default=4, help="of a turn")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    asked = parser.parse_args()
    device = devices.choose(asked.device)
    devices.prepare(device, asked.threads)
    spec = load(ROOT / "specs" / "early_telemetry.yaml", protocols())
    for name in asked.only:
        bench = Bench(CASES[name], asked.data)
        print(f"{CASES[name].title} on {bench.origin}")
        setting = prepare(spec, AT[name], asked.data).setting
        cost = measure(bench, asked.steps, asked.turns, device)
        show(bench, cost, iterations(setting), window_of(setting))


if __name__ == "__main__":
    with told():
        main()
