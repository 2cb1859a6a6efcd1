"""The jobs that experiments share: fresh networks, the trunk, trained copies, what is measured of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.jobs.job import Job
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Many, Model


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


def _network(setting: TrainingSetting) -> dict[str, Any]:
    return {"network": setting.training.network.model_dump(mode="json"), "classes": setting.data.classes}


def _data(setting: TrainingSetting) -> dict[str, Any]:
    """What evaluation sees: the images without augmentation, the labels with their noise."""
    data = setting.training.data
    return {
        "name": data.name,
        "digest": setting.data.digest,
        "normalise": data.normalise.model_dump(mode="json"),
        "label_noise": data.label_noise,
        "noise_seed": data.noise_seed,
    }


def initial(setting: TrainingSetting, seed: int) -> Job:
    """A fresh network."""
    return Job(
        "init",
        {
            **_network(setting),
            "shape": list(setting.data.shape),
            "parameters": setting.training.parameters,
            "initialisation": setting.training.initialisation.model_dump(mode="json"),
            "seed": seed,
            "step": 0,
        },
    )


def train(
    setting: TrainingSetting,
    state: Job,
    start: int,
    stop: int,
    *,
    order: str,
    mask: Job | None = None,
    schedule_start: int = 0,
    optimiser_state: str = "carried",
    keep_optimiser: bool = False,
) -> Job:
    """A state trained from ``start`` to ``stop``; the state itself where these are equal and nothing is pruned."""
    if start == stop and mask is None:
        return state
    training = setting.training
    schedule = training.schedule
    return Job(
        "train",
        {
            **_network(setting),
            "data": _data(setting),
            "augment": training.data.augment.model_dump(mode="json"),
            "batch": training.batch,
            "sampling": training.sampling,
            "steps_per_epoch": setting.per_epoch,
            "ragged": training.sampling == "epochs" and setting.data.n_train % training.batch != 0,
            "optimiser": training.optimiser.model_dump(mode="json"),
            "schedule": {
                "rate": schedule.rate,
                "drops": [setting.iterations(drop) for drop in schedule.drops],
                "factor": schedule.factor,
                "warmup": setting.iterations(schedule.warmup),
            },
            "precision": training.precision,
            "start": start,
            "stop": stop,
            "order": order if start < stop else "",
            "schedule_start": schedule_start,
            "optimiser_state": optimiser_state if start > 0 else "carried",
            "keep_optimiser": keep_optimiser,
        },
        {"state": state} | ({"mask": mask} if mask is not None else {}),
    )


def trunk(setting: TrainingSetting, seed: int, k: int) -> Job:
    """The network trained once to step k, with its optimiser's state; forks start from here."""
    return train(setting, initial(setting, seed), 0, k, order=f"trunk/{seed}", keep_optimiser=True)


def copy_order(seed: int, order: int) -> str:
    """The data order of a copy: its own for every initialisation."""
    return f"copy/{seed}/{order}"


def evaluate(setting: TrainingSetting, state: Job) -> Job:
    """Error and loss of a state on both splits."""
    return Job("evaluate", measuring(setting), {"state": state})


def line(setting: TrainingSetting, a: Job, b: Job, options: LineOptions, mask: Job | None = None) -> Job:
    """Error along the line between two copies. Only networks with batch normalisation tell its modes apart."""
    modes = list(options.batch_norm) if has_batch_norm(setting) else ["interpolated"]
    params = {
        **measuring(setting),
        "alphas": options.alphas,
        "ends": options.ends,
        "batch_norm": modes,
        "batch": setting.training.batch,
        "same": a == b,
    }
    if "recomputed" in modes:
        params["statistics"] = "permuted"  # the order of examples when statistics are recomputed
    return Job("line", params, {"a": a, "b": b} | ({"mask": mask} if mask is not None else {}))


def compare(setting: TrainingSetting, a: Job, b: Job) -> Job:
    """How two copies differ."""
    return Job("compare", measuring(setting), {"a": a, "b": b})


def distance(a: Job, b: Job, mask: Job | None = None) -> Job:
    """How far apart two states are in weights."""
    return Job("distance", {}, {"a": a, "b": b} | ({"mask": mask} if mask is not None else {}))


def has_batch_norm(setting: TrainingSetting) -> bool:
    """Whether the network has running statistics."""
    return setting.training.network.batch_norm


def batch_norm_modes(setting: TrainingSetting, options: LineOptions) -> Sequence[str]:
    """The modes that the line is evaluated in."""
    return options.batch_norm if has_batch_norm(setting) else ("interpolated",)


def measuring(setting: TrainingSetting) -> Mapping[str, Any]:
    """What every measurement of a state must know: network, data without augmentation, number format."""
    return {
        **_network(setting),
        "data": {**_data(setting), "augment": {"flip": False, "crop_padding": 0}},
        "precision": setting.training.precision,
    }


def prune(setting: TrainingSetting, end: Job, mask: Job | None, *, output_layer: bool, **amount: float) -> Job:
    """The mask after pruning a trained state by ``fraction`` of what remains, or to ``density``."""
    params = {**_network(setting), "shape": list(setting.data.shape), "output_layer": output_layer, **amount}
    return Job("prune", params, {"state": end} | ({"mask": mask} if mask is not None else {}))


def fresh_draw(setting: TrainingSetting, seed: int, k: int, *, trained: bool) -> Job:
    """Another draw of the weights for random reinitialisation, standing at step k.

    Args:
        setting: of the experiment.
        seed: of the initialisation that it replaces.
        k: the step at which it takes that one's place.
        trained: whether it is trained to k first, or put there as it is.
    """
    job = initial(setting, seed)
    fresh = Job("init", {**job.params, "seed": f"reinit/{seed}", "step": 0 if trained else k})
    return train(setting, fresh, 0, k, order=f"reinit/{seed}", keep_optimiser=True) if trained else fresh
