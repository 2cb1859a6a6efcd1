"""A recipe: how a network is trained on a dataset, as a value, and the jobs that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.datainfo import DatasetInfo
from harness.jobs.job import Job
from harness.schema.base import Many, Model
from harness.schema.task import Task
from harness.schema.training import Training
from harness.steps import Duration

SgdNoise = Literal["both", "order", "augmentation"]
"""What copies that train apart have each of its own: the data order, the augmentation of images, or both."""


class LineOptions(Model):
    """How the line between two copies is evaluated.

    Attributes:
        alphas: evenly spaced places [paper: 30, LMC section 2].
        ends: whether the ends 0 and 1 count among them; the paper does not say.
        batch_norm: running statistics on the line: ``interpolated`` like the weights in some codes, ``recomputed``
            on the training set in others [code, conflict]. The first is what claims mean unless they name one.
    """

    alphas: int = Field(default=30, ge=3, le=10_000)
    ends: Literal["included", "added"] = "included"
    batch_norm: Many[Literal["interpolated", "recomputed"]] = Field(("interpolated", "recomputed"), min_length=1)

    @model_validator(mode="after")
    def _modes_once(self) -> Self:
        if len(set(self.batch_norm)) < len(self.batch_norm):
            raise ValueError("batch_norm names a mode twice: list each once")
        return self


@dataclass(frozen=True)
class Recipe:
    """A network, its data and its training; each method that gives a job says what the job makes.

    An experiment that trains in another way beside its own, or first on other data, has another recipe for that.

    Attributes:
        training: as the spec has it.
        data: the dataset's facts.
    """

    training: Training
    data: DatasetInfo

    @property
    def per_epoch(self) -> int:
        """Iterations of an epoch; the last may be short."""
        return -(-self.data.n_train // self.training.batch)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image as the network gets it."""
        frame, (channels, height, width) = self.training.data.frame, self.data.shape
        return (channels, height, width) if frame is None else (channels, frame.size, frame.size)

    @property
    def classes(self) -> int:
        """What the network tells apart: the dataset's classes, or those of its task."""
        return self.training.data.task.classes(self.data.classes)

    def posed(self, task: Task) -> "Recipe":
        """The same on another task; its network has another last layer where that has other classes."""
        from harness.engine.networks.build import build  # brings PyTorch, for which what only lists specs need not wait

        network, classes = self.training.network.model_dump(mode="json"), task.classes(self.data.classes)
        parameters, shown = build(network, self.shape, classes).size, self.showing(task)
        return Recipe(shown.training.model_copy(update={"parameters": parameters}), self.data)

    def showing(self, task: Task) -> "Recipe":
        """The same data on another task; the network's parameters are not counted again."""
        data = self.training.data.model_copy(update={"task": task})
        return Recipe(self.training.model_copy(update={"data": data}), self.data)

    @property
    def length(self) -> int:
        """T, in iterations."""
        return self.iterations(self.training.length)

    def iterations(self, time: Duration) -> int:
        """A duration in iterations."""
        return time.iterations(self.per_epoch)

    @property
    def has_batch_norm(self) -> bool:
        """Whether the network has running statistics."""
        return self.training.network.batch_norm

    def batch_norm_modes(self, options: LineOptions) -> Sequence[str]:
        """The modes that a line is evaluated in."""
        return options.batch_norm if self.has_batch_norm else ("interpolated",)

    @property
    def measuring(self) -> Mapping[str, Any]:
        """What every measurement of a state must know: network, data without augmentation, number format."""
        return {
            **self._network,
            "data": {**self._data, "augment": {"flip": False, "crop_padding": 0}},
            "precision": self.training.precision,
        }

    @property
    def _network(self) -> dict[str, Any]:
        return {"network": self.training.network.model_dump(mode="json"), "classes": self.classes}

    @property
    def _data(self) -> dict[str, Any]:
        """What evaluation sees: images without augmentation, labels with their noise, as the task has them."""
        data = self.training.data
        task = {"task": data.task.model_dump(mode="json")} if data.task != Task() else {}
        frame = {"frame": data.frame.model_dump(mode="json")} if data.frame is not None else {}
        return {
            "name": data.name,
            "digest": self.data.digest,
            "normalise": data.normalise.model_dump(mode="json"),
            "label_noise": data.label_noise,
            "noise_seed": data.noise_seed,
            **task,
            **frame,
        }

    def initial(self, seed: int) -> Job:
        """A fresh network."""
        return Job(
            "init",
            {
                **self._network,
                "shape": list(self.shape),
                "parameters": self.training.parameters,
                "initialisation": self.training.initialisation.model_dump(mode="json"),
                "seed": seed,
                "step": 0,
            },
        )

    def fresh_draw(self, seed: int, k: int, *, trained: bool) -> Job:
        """Another draw of the weights for random reinitialisation, standing at step k.

        Args:
            seed: of the initialisation that it replaces.
            k: the step at which it takes that one's place.
            trained: whether it is trained to k first, or put there as it is.
        """
        job = self.initial(seed)
        fresh = Job("init", {**job.params, "seed": f"reinit/{seed}", "step": 0 if trained else k})
        return self.train(fresh, 0, k, order=f"reinit/{seed}", keep_optimiser=True) if trained else fresh

    def train(
        self,
        state: Job,
        start: int,
        stop: int,
        *,
        order: str,
        augmentation: str | None = None,
        mask: Job | None = None,
        schedule_start: int = 0,
        optimiser_state: str = "carried",
        keep_optimiser: bool = False,
    ) -> Job:
        """A state trained from ``start`` to ``stop``; the state itself where these are equal and nothing is pruned.

        The seed of the augmentation is that of the order, unless another one is given.
        """
        if start == stop and mask is None:
            return state
        training = self.training
        params = {
            **self._network,
            "data": self._data,
            "augment": training.data.augment.model_dump(mode="json"),
            "batch": training.batch,
            "sampling": training.sampling,
            "steps_per_epoch": self.per_epoch,
            "ragged": training.sampling == "epochs" and self.data.n_train % training.batch != 0,
            "optimiser": training.optimiser.model_dump(mode="json"),
            "schedule": self._schedule,
            "precision": training.precision,
            "start": start,
            "stop": stop,
            "order": order if start < stop else "",
            "schedule_start": schedule_start,
            "optimiser_state": optimiser_state if start > 0 else "carried",
            "keep_optimiser": keep_optimiser,
        }
        if training.microbatch is not None:
            params["microbatch"] = training.microbatch
        if augmentation not in (None, order) and start < stop:
            params["augmentation"] = augmentation
        return Job("train", params, {"state": state} | ({"mask": mask} if mask is not None else {}))

    @property
    def _schedule(self) -> dict[str, Any]:
        schedule = self.training.schedule
        return {
            "rate": schedule.rate,
            "drops": [self.iterations(drop) for drop in schedule.drops],
            "factor": schedule.factor,
            "warmup": self.iterations(schedule.warmup),
            **({"end": schedule.end, "length": self.length} if schedule.end is not None else {}),
        }

    def trunk(self, seed: int, k: int, mask: Job | None = None) -> Job:
        """The network, or a subnetwork, trained once to step k, with its optimiser's state; forks start from here."""
        return self.train(self.initial(seed), 0, k, order=f"trunk/{seed}", mask=mask, keep_optimiser=True)

    @staticmethod
    def copy_order(seed: int, order: int) -> str:
        """The data order of a copy: its own for every initialisation."""
        return f"copy/{seed}/{order}"

    @classmethod
    def copy_noise(cls, seed: int, copy: int, noise: SgdNoise) -> tuple[str, str]:
        """The seeds of a copy's order and of its augmentation; what is no noise is that of the first copy."""
        own, first = cls.copy_order(seed, copy), cls.copy_order(seed, 0)
        return first if noise == "augmentation" else own, first if noise == "order" else own

    def prune(self, end: Job, mask: Job | None, *, output_layer: bool, **amount: float) -> Job:
        """The mask after pruning a trained state by ``fraction`` of what remains, or to ``density``."""
        params = {**self._network, "shape": list(self.shape), "output_layer": output_layer, **amount}
        return Job("prune", params, {"state": end} | ({"mask": mask} if mask is not None else {}))

    def perturb(self, how: Mapping[str, Any], inputs: Mapping[str, Job]) -> Job:
        """A state whose weights under a mask are changed; how, of which inputs: see ``harness.stages.perturb``."""
        return Job("perturb", {**self._network, "shape": list(self.shape), **how}, inputs)

    def transfer(self, pretrained: Job, *, fresh: Job, mask: Job | None, head: str, statistics: str) -> Job:
        """What another recipe pretrained, as this one's network, to be trained under a mask.

        Args:
            pretrained: its state.
            fresh: the network of this recipe before any training.
            mask: that comes next, where it is of another state; it is not applied yet. None: it is to be pruned from
                what is handed on.
            head: ``kept``, or that of the fresh network.
            statistics: running ones, ``kept`` or ``initial``.
        """
        params = {
            **self._network,
            "shape": list(self.shape),
            "precision": self.training.precision,
            "head": head,
            "statistics": statistics,
        }
        inputs = {"state": fresh, "pretrained": pretrained} | ({"mask": mask} if mask is not None else {})
        return Job("transfer", params, inputs)

    def mask_body(self, mask: Job) -> Job:
        """A mask of this recipe's network for one that has another last layer, which is left whole."""
        return Job("mask_body", {**self._network, "shape": list(self.shape), "output_layer": False}, {"mask": mask})

    def evaluate(self, state: Job) -> Job:
        """Error and loss of a state on both splits."""
        return Job("evaluate", self.measuring, {"state": state})

    def line(self, a: Job, b: Job, options: LineOptions, mask: Job | None = None) -> Job:
        """Error along the line between two copies. Only networks with batch normalisation tell its modes apart."""
        modes = list(self.batch_norm_modes(options))
        params = {
            **self.measuring,
            "alphas": options.alphas,
            "ends": options.ends,
            "batch_norm": modes,
            "batch": self.training.at_a_time,
            "same": a == b,
        }
        if "recomputed" in modes:
            params["statistics"] = "permuted"  # the order of examples when statistics are recomputed
        return Job("line", params, {"a": a, "b": b} | ({"mask": mask} if mask is not None else {}))

    def compare(self, a: Job, b: Job) -> Job:
        """How two copies differ."""
        return Job("compare", self.measuring, {"a": a, "b": b})

    @staticmethod
    def distance(a: Job, b: Job, mask: Job | None = None) -> Job:
        """How far apart two states are in weights."""
        return Job("distance", {}, {"a": a, "b": b} | ({"mask": mask} if mask is not None else {}))
