"""What ``throughput.py`` measures: the networks, how much faster is wanted, and how fast a card can be at best."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.datainfo import nominal
from harness.engine import device as devices
from harness.engine import optimise
from harness.engine.data.dataset import Dataset, in_memory
from harness.engine.data.datasets import load
from harness.engine.feed import Images
from harness.engine.networks.build import build
from harness.engine.networks.initialise import flatten, initial_buffers, initial_parameters
from harness.engine.replicas import FINITE, Replicas
from harness.engine.step import Hyperparameters
from harness.errors import DataMissing
from harness.schema.document import read
from harness.schema.model import Spec

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Case:
    """A network to measure.

    Attributes:
        title: for people.
        spec: files of ``specs/``, as a pattern; the first has the recipe.
        scale: of that spec.
    """

    title: str
    spec: str
    scale: str

    @property
    def path(self) -> Path | None:
        """The spec; None where there is none of this network yet."""
        return next(iter(sorted((ROOT / "specs").glob(f"{self.spec}.yaml"))), None)


CASES = {
    "lenet": Case("LeNet", "lenet_stability", "paper"),
    "resnet20": Case("ResNet-20", "resnet20_imp", "paper"),
    "vgg16": Case("VGG-16", "vgg16_imp", "paper"),
    "thin": Case("thin ResNet", "hessian_spectrum", "paper"),
    "toy": Case("toy ResNet", "resnet20_imp", "toy"),
}

H200, TWO_CORES = "one H200", "two CPU cores"


@dataclass(frozen=True)
class Goal:
    """What is wanted of the harness.

    Attributes:
        machine: where.
        case: of which network.
        measure: ``idiomatic``, ``concurrent``: at least so many times as many trainings per hour as the idiomatic
            loop, or as several of them at once; ``seconds``: at most so long a training, many of them at once.
        limit: the number.
        precision: in this number format; None in any.
    """

    machine: str
    case: str
    measure: str
    limit: float
    precision: str | None = None


GOALS = (
    Goal(H200, "lenet", "idiomatic", 500),
    Goal(H200, "lenet", "concurrent", 50),
    Goal(H200, "resnet20", "idiomatic", 30),
    Goal(H200, "resnet20", "concurrent", 3),
    Goal(H200, "resnet20", "seconds", 35),
    Goal(TWO_CORES, "lenet", "idiomatic", 12, "fp32"),
    Goal(TWO_CORES, "toy", "idiomatic", 4, "fp32"),
    Goal(TWO_CORES, "resnet20", "idiomatic", 1.4, "fp32"),
    Goal(TWO_CORES, "resnet20", "idiomatic", 2.5, "bf16"),
)

FLOORS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "lenet": {"bf16": (0.0, 0.042), "tf32": (0.0, 0.042), "fp32": (0.0, 0.042)},
    "resnet20": {"bf16": (2.5, 5.8), "tf32": (4.9, 11.5), "fp32": (33.0, 11.5)},
    "vgg16": {"bf16": (19.0, 13.5), "tf32": (38.0, 20.0), "fp32": (250.0, 20.0)},
    "thin": {"bf16": (0.3, 1.9), "tf32": (0.6, 3.9), "fp32": (3.9, 3.9)},
}
"""Seconds of a training on one H200 that arithmetic takes, and memory with ideal fusion (4.3 TB/s, 790 TFLOP/s bf16).

Reckoned, not measured. Memory in tf32 is that of fp32.
"""


_RANDOM_TEST = 500
"""Test images of a dataset that is made up."""


class Bench:
    """One network, its recipe and its data."""

    def __init__(self, case: Case, data_root: Path) -> None:
        if case.path is None:
            raise SystemExit(f"{case.title}: no specs/{case.spec}.yaml")
        spec = Spec.model_validate(read(case.path).value)
        training = spec.scales[case.scale].training
        if training is None:
            raise SystemExit(f"{case.title}: {case.path.name} trains nothing at {case.scale} scale")
        self.case, self.training = case, training
        self.data = training.data.model_dump(mode="json")
        self.description = training.network.model_dump(mode="json")
        self.optimiser = training.optimiser.model_dump(mode="json")
        self.dataset, self.origin = _dataset(training.data.name, data_root)
        info = self.dataset.info
        self.network = build(self.description, info.shape, info.classes)
        if self.network.size != training.parameters:
            raise SystemExit(f"{case.title} has {self.network.size} parameters, not {training.parameters}")
        self.batch = training.batch
        self.per_epoch = -(-info.n_train // training.batch)
        self.length = training.length.iterations(self.per_epoch)

    def images(self, precision: str, device: torch.device) -> Images:
        """The data as the engine wants it."""
        return Images(self.dataset, self.data, device=device, dtype=devices.dtype_of(precision))

    def recipe(self, precision: str, slower: float = 1.0) -> Hyperparameters:
        """The spec's, without warm-up, so that the first steps move; its rate divided by ``slower``."""
        schedule = self.training.schedule
        drops = [drop.iterations(self.per_epoch) for drop in schedule.drops]
        return Hyperparameters(
            batch=self.batch,
            sampling=self.training.sampling,
            optimiser=self.optimiser,
            schedule={"rate": schedule.rate / slower, "drops": drops, "factor": schedule.factor, "warmup": 0},
            decay_reach=self.training.optimiser.decay_reach,
            precision=precision,
        )

    def start(self, replicas: int, steps: int, precision: str, device: torch.device) -> Replicas:
        """Fresh replicas that train for so many steps."""
        fresh = self.training.initialisation
        drawn = [
            initial_parameters(self.network, scheme=fresh.weights, batch_norm_scale=fresh.batch_norm_scale, seed=seed)
            for seed in range(replicas)
        ]
        stacked = {name: torch.stack([one[name] for one in drawn]) for name in self.network.parameters}
        dtype = devices.dtype_of(precision)
        weights = flatten(self.network, stacked).to(device, dtype)
        buffers = initial_buffers(self.network)
        return Replicas(
            weights=weights,
            buffers={name: value.to(device, dtype).repeat(replicas, 1) for name, value in buffers.items()},
            optimiser=optimise.fresh_state(self.optimiser, weights),
            mask=None,
            steps=[0] * replicas,
            snapshot_steps=[[steps]] * replicas,
            order_seeds=range(replicas),
            augmentation_seeds=[None] * replicas,
            schedule_starts=[0] * replicas,
            diverged_at=torch.full((replicas,), FINITE, device=device),
        )


def _dataset(name: str, root: Path) -> tuple[Dataset, str]:
    """The dataset where it was imported, else random images of its shape; and what to call it."""
    try:
        return load(name, root), name
    except DataMissing:
        info = nominal(name)
        generator = torch.Generator().manual_seed(0)
        parts = {
            f"{part}_{kind}": torch.randint(0, high, size, generator=generator, dtype=dtype)
            for part, count in (("train", info.n_train), ("test", _RANDOM_TEST))
            for kind, high, size, dtype in (
                ("x", 256, (count, *info.shape), torch.uint8),
                ("y", info.classes, (count,), torch.int64),
            )
        }
        return in_memory(info, parts), f"random {name}"
