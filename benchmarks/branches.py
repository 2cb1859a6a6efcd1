"""Replicas of one step together, convolutions grouped, against each by itself: ``networks.APART_FROM`` rests on it.

    python benchmarks/branches.py                    # every network of throughput.py, R = 4
    python benchmarks/branches.py --device cuda      # there, by itself means parallel branches of one graph

Turns alternate; the time is of one replica's step. Slots that a GPU fills up to 64 are left out here.
"""

import argparse
import math
import statistics
from pathlib import Path
from unittest import mock

from command import positive, told
from recipes import CASES, ROOT, Bench
from sides import Fused

from harness.engine import device as devices
from harness.engine import train
from harness.engine.networks import build as networks

WAYS = {"together": math.inf, "apart": 0}
"""How -> multiply-adds of an example from which each replica is by itself."""


def measure(bench: Bench, side: Fused, turns: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of a replica's step, turn by turn."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    steps = 1
    for turn in range(turns + 1):
        for way, bound in WAYS.items():
            with mock.patch.object(networks, "APART_FROM", bound), mock.patch.object(train, "MAX_FUSED", 1):
                took = side.turn(steps).seconds
            if turn:
                taken[way].append(took)
        if not turn:  # the first tells how many steps fill a turn
            steps = max(1, math.ceil(seconds / (took * side.replicas)))
    return taken


def main() -> None:
    """Measures and shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--replicas", type=int, nargs="+", default=[4])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long a turn lasts")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    asked = parser.parse_args()
    device = devices.choose(asked.device)
    devices.prepare(device, asked.threads)
    for name in asked.only:
        bench = Bench(CASES[name], asked.data)
        rule = "apart" if bench.network.unfused else "together"
        print(f"{CASES[name].title}: {bench.network.multiplications / 1e6:.3g} M multiply-adds, by the rule {rule}")
        for precision in asked.precision:
            for replicas in asked.replicas:
                taken = measure(bench, Fused(bench, replicas, precision, device), asked.turns, asked.seconds)
                ratios = [slow / fast for slow, fast in zip(taken["together"], taken["apart"], strict=True)]
                each = ", ".join(f"{way} {1e3 * statistics.median(found):.3g} ms" for way, found in taken.items())
                print(
                    f"  R = {replicas}, {precision}: {each}; apart is {statistics.median(ratios):.2f} "
                    f"({min(ratios):.2f}-{max(ratios):.2f}) times as fast",
                    flush=True,
                )


if __name__ == "__main__":
    with told():
        main()
