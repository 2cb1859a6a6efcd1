"""The jobs around a drop of the learning rate."""

from harness.jobs.job import Job
from harness.protocols.common import curvature
from harness.protocols.common.phases import Phase, drops
from harness.protocols.common.recipe import Recipe
from harness.protocols.loss_cliffs.options import CliffSetting, offsets
from harness.schema.training import Schedule

SUBSPACES = ("top", "random")


def loss(setting: CliffSetting, state: Job) -> Job:
    """The loss over all examples at a state."""
    options = setting.options
    return curvature.loss(setting.recipe, state, options.objective.model_copy(update={"examples": None}))


def hessian(setting: CliffSetting, state: Job) -> Job:
    """The exact Hessian at a state."""
    options = setting.options
    return curvature.hessian(setting.recipe, state, options.objective)


def displacement(setting: CliffSetting, seed: int, drop: int) -> Job:
    """The way over a cliff in the eigenvectors of the Hessian just before it."""
    options = setting.options
    before = setting.recipe.trunk(seed, drop)
    after = setting.recipe.trunk(seed, drop + setting.iterations(options.width))
    params = {name: setting.recipe.measuring[name] for name in ("network", "classes", "data")}
    return Job("displacement", params, {"before": before, "after": after, "hessian": hessian(setting, before)})


def plane(setting: CliffSetting, seed: int, drop: int) -> Job:
    """The loss in the plane of the checkpoints before a cliff (their mean), the last of them and the one after it."""
    options = setting.options
    earlier = [offset for offset in offsets(setting) if offset < 0]
    inputs = {f"earlier{number}": setting.recipe.trunk(seed, drop + offset) for number, offset in enumerate(earlier)}
    inputs["state"] = setting.recipe.trunk(seed, drop)
    inputs["after"] = setting.recipe.trunk(seed, drop + setting.iterations(options.width))
    params = {
        **curvature.objective_params(setting.recipe, options.objective),
        "points": options.plane.points,
        "margin": options.plane.margin,
    }
    return Job("plane", params, inputs)


def descent(setting: CliffSetting, seed: int, drop: int, subspace: str) -> Job:
    """The state just before a drop after descent in the ``top`` or a ``random`` subspace."""
    options = setting.options
    state = setting.recipe.trunk(seed, drop)
    params = {
        **curvature.objective_params(setting.recipe, options.objective),
        "subspace": subspace,
        "dimensions": options.gating.dimensions,
        "seed": seed,
        "steps": options.gating.steps,
        "rate": options.gating.rate,
    }
    return Job("descend", params, {"state": state, "hessian": hessian(setting, state)})


def gated_from(setting: CliffSetting, seed: int) -> Job:
    """The exact Hessian just before the first of the chosen drops, where descent in a subspace begins."""
    return hessian(setting, setting.recipe.trunk(seed, drops(setting.recipe)[setting.options.cliffs[0]]))


def gated(setting: CliffSetting, seed: int, subspace: str) -> Job:
    """The exact Hessian after that descent."""
    return hessian(setting, descent(setting, seed, drops(setting.recipe)[setting.options.cliffs[0]], subspace))


def twin(setting: CliffSetting, seed: int, before: Phase, arm: str, age: int) -> Job:
    """Training on from the end of a phase at its rate, but with a larger ``batch`` or a lower ``rate``."""
    options = setting.options
    training, factor = setting.recipe.training, options.twins.factor
    rate = before.rate / factor if arm == "rate" else before.rate
    changed = {
        "schedule": Schedule(rate=rate),
        "batch": training.batch * factor if arm == "batch" else training.batch,
    }
    recipe = Recipe(training.model_copy(update=changed), setting.recipe.data)
    trunk = setting.recipe.trunk(seed, before.stop)
    return recipe.train(trunk, before.stop, before.stop + age, order=f"twin/{seed}")
