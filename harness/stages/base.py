"""What a stage is given, and what it says of its work."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from harness.datainfo import nominal
from harness.engine.data.dataset import Dataset, Pixels, Split
from harness.engine.data.labels import with_noise
from harness.engine.data.tasks import OWN, posed
from harness.engine.device import dtype_of, one_thread
from harness.engine.feed import Images
from harness.engine.graphs import branches_at_once
from harness.engine.networks.build import Network, build
from harness.engine.state import Mask, State
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job, canonical
from harness.jobs.store import Artifact
from harness.measure.evaluate import States
from harness.stages.task_invariants import require_task

_SOON_COMPUTED = 1_000_000_000
"""Multiply-adds of an example that a CPU's thread makes in a tenth of a second or less; VGG-16 has a third."""
TABLE_BYTES = 12_000
"""A record and a table, as seen."""
_COMPARED = 10_000
"""Images that are compared at a time."""


@dataclass(frozen=True)
class Work:
    """A job with the artifacts of its inputs."""

    job: Job
    inputs: Mapping[str, Artifact]

    @property
    def params(self) -> Mapping[str, Any]:
        """The job's parameters."""
        return self.job.params

    def state(self, role: str = "state") -> State:
        """The state that an input gives."""
        return State.of(self.inputs[role].tensors)

    def mask(self) -> Mask:
        """The mask that the job's subnetwork has; one that keeps everything where there is none."""
        return Mask.of(self.inputs["mask"].tensors) if "mask" in self.inputs else Mask()


class Checkpoint(Protocol):
    """Where a long piece of work keeps what it has, to go on after a kill.

    Attributes:
        elapsed_before: seconds that went into what was loaded.
    """

    elapsed_before: float

    def due(self) -> bool:
        """Whether it is time to save."""

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """Adds tensors that will not change to all that is saved from now on; each has a name of its own."""

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Replaces what was saved before, but for what is kept."""

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """What was saved last, with all that was kept by then; or None."""


class Context:
    """What stages may use of the machine: a device, datasets, a checkpoint, and a way to tell progress.

    Attributes:
        device: where to compute.
        advance: is told units of work as they are done.
        checkpoint: of the piece of work at hand.
    """

    def __init__(
        self,
        device: torch.device,
        load_dataset: Callable[[str], Dataset],
        advance: Callable[[int], None],
        checkpoint: Checkpoint,
    ) -> None:
        self.device = device
        self.advance = advance
        self.checkpoint = checkpoint
        self._load_dataset = load_dataset
        self._images: dict[str, Images] = {}

    def images(self, data: Mapping[str, Any], precision: str) -> Images:
        """The dataset of a job's ``data`` parameters on the device.

        Raises:
            HarnessError: absent, or with another digest than the job's.
            InvariantBroken: what stages would see is not what the digest is of, or not what its task says.
        """
        name = canonical([dict(data), precision])
        if name not in self._images:
            dataset = self._load_dataset(data["name"])
            if dataset.info.digest != data["digest"]:
                raise HarnessError(
                    f"dataset {data['name']} has digest {dataset.info.digest[:12]}, the job was planned for "
                    f"{data['digest'][:12]}: it changed since; run the command again"
                )
            dataset = with_noise(dataset, data["label_noise"], data["noise_seed"])
            shown = posed(dataset, data.get("task", OWN))
            images = Images(shown, data, device=self.device, dtype=dtype_of(precision))
            _require_same(images, shown)
            require_task(images, dataset, data)
            self._images = {name: images}
        return self._images[name]

    def network(self, params: Mapping[str, Any], images: Images) -> Network:
        """The network of a job's ``network`` parameters, for these images."""
        shape = images.split["train"][0].shape[1:]
        return build(params["network"], shape, params["classes"])


@dataclass(frozen=True)
class Effort:
    """About what a job takes.

    Attributes:
        operations: of floating-point numbers, a multiply-add counting as two.
        disk_bytes: size of its artifact.
        memory_bytes: of the device, for each replica, without the dataset; 0 where that is little.
        passing_bytes: beside it, for each replica while it is computed.
        slowness: how many times as long one of them takes as one of a training step (``engine.pace``).
        launches: of kernels; replicas that are computed together share them.
        unfused: whether a group's replicas are computed each by itself, on a GPU a few at a time, else all together.
        gpu_slots: replicas that a GPU computes at least, however few are wanted.
    """

    operations: float = 0.0
    disk_bytes: int = TABLE_BYTES
    memory_bytes: float = 0.0
    passing_bytes: float = 0.0
    slowness: float = 1.0
    launches: float = 0.0
    unfused: bool = False
    gpu_slots: int = 1

    def memory(self, replicas: int, device: str) -> float:
        """Bytes that a group of so many takes of a device, ``cpu`` or ``cuda``, without the dataset."""
        if device == "cuda":
            replicas = max(replicas, self.gpu_slots)
        computed = min(replicas, branches_at_once(device)) if self.unfused else replicas
        return replicas * self.memory_bytes + computed * self.passing_bytes


class Stage:
    """A kind of work. Its source is pinned by a golden test: an edit asks for a new version in its row."""

    def fuse(self, job: Job) -> str | None:
        """Jobs with equal answers may run as one; None, the default, runs alone."""
        return None

    def cost(self, job: Job) -> int:
        """Units of work, in replica-steps of training; by default next to nothing."""
        return 1

    def effort(self, job: Job) -> Effort:
        """A forecast of what a job takes; by default a small table and no time worth mentioning."""
        return Effort()

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The results, in the order of the work; an error takes the place of a result that cannot be."""
        raise NotImplementedError


def network_of(params: Mapping[str, Any]) -> Network:
    """The network of a job's parameters, without its dataset."""
    shape = params["shape"] if "shape" in params else nominal(params["data"]["name"]).shape
    if "frame" in params.get("data", {}):
        side = params["data"]["frame"]["size"]
        shape = (shape[0], side, side)
    return build(params["network"], shape, params["classes"])


def forward_pass(params: Mapping[str, Any]) -> float:
    """Operations of a forward pass of one example."""
    return 2.0 * network_of(params).multiplications


def at_a_time(params: Mapping[str, Any]) -> int:
    """Examples of a training that go through the network at a time."""
    return int(params.get("microbatch", params["batch"]))


def numbers_for_gradient(params: Mapping[str, Any]) -> int:
    """Numbers that a forward pass of one example in training keeps for the gradient, without the parameters."""
    network = network_of(params)
    return _kept_numbers(canonical([params["network"], network.shape, network.classes]))


@lru_cache(maxsize=16)
def _kept_numbers(description: str) -> int:
    network = build(*json.loads(description))
    # The device "meta" computes nothing, but loads the compiler of PyTorch and SymPy, in 2 s.
    device = "cpu" if network.multiplications <= _SOON_COMPUTED else "meta"
    parameters = {
        name: torch.zeros(1, *parameter.shape, device=device, requires_grad=True)
        for name, parameter in network.parameters.items()
    }
    buffers = {name: torch.zeros(1, size, device=device) for name, (size, _) in network.buffers.items()}
    storages = {value.untyped_storage()._cdata for value in parameters.values()}
    kept: dict[int, Tensor] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.untyped_storage()._cdata] = value
        return value

    examples = 2
    x = torch.zeros(examples, 1, *network.shape, device=device)
    with one_thread(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        network.logits(parameters, buffers, x, batch_norm="train")
    whole = sum(value.untyped_storage().nbytes() for place, value in kept.items() if place not in storages)
    return whole // (examples * torch.empty(0).element_size())


def examples_of_both_splits(params: Mapping[str, Any]) -> int:
    """Training and test examples of a job's dataset."""
    data = nominal(params["data"]["name"])
    return data.n_train + data.n_test


def examples_of_test_split(params: Mapping[str, Any]) -> int:
    """Test examples of a job's dataset."""
    return nominal(params["data"]["name"]).n_test


def _require_same(images: Images, dataset: Dataset) -> None:
    """Raises InvariantBroken unless images and labels are, one by one, those whose digest the job names.

    Images are compared where a device holds a copy of them: others are read from the dataset itself.
    """
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        pixels, labels = images.split[name]
        for what, same in (
            ("images", split.gives(pixels) or _same_images(pixels, split)),
            ("labels", torch.equal(labels, split.labels.to(labels.device))),
        ):
            if not same:
                raise InvariantBroken(
                    f"dataset {dataset.info.name}: the {what} of the {name} split are not those with the digest "
                    f"{dataset.info.digest[:12]}: something between loading and training changed them"
                )


def _same_images(pixels: Pixels, split: Split) -> bool:
    """Whether a device sees a split's images; compared in pieces, as they may be more than memory holds."""
    count = len(split.labels)
    pieces = (slice(start, min(start + _COMPARED, count)) for start in range(0, count, _COMPARED))
    return pixels.shape[0] == count and all(
        torch.equal(seen, split.images(piece).to(seen.device)) for piece in pieces for seen in [pixels[piece]]
    )


def states_of(state: State, context: Context, precision: str) -> States:
    """A state as R = 1 replicas on the device."""
    dtype = dtype_of(precision)
    return States(
        {name: value.to(context.device, dtype)[None] for name, value in state.weights.items()},
        {name: value.to(context.device, dtype)[None] for name, value in state.buffers.items()},
    )
