"""A few steps of every paper-scale network on made-up images of the right shape; no data is needed."""

from pathlib import Path

import pytest
import torch

from harness.datainfo import nominal
from harness.engine.data import datasets
from harness.engine.state import WEIGHT
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.protocols import protocols
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import Setting, TrainingSetting
from tests.protocols.made_up import made_up
from tests.support import SPECS, loaded


def at_paper_scale(path: Path) -> Setting:
    """The setting alone, without the plan's thousands of jobs."""
    spec = loaded(path)
    scale, options = spec.spec.scales["paper"], spec.settings["paper"]
    return protocols()[spec.spec.protocol].setting(scale, options, scale.replicates, nominal)


SETTINGS = [setting for setting in map(at_paper_scale, SPECS) if isinstance(setting, TrainingSetting)]
NETWORKS = {
    f"{training.network.name}-{training.parameters}-{training.data.name}-{training.schedule.rate}": recipe
    for setting in SETTINGS
    for recipe in setting.recipes.values()
    for training in (recipe.training,)
}


@pytest.mark.parametrize("name", NETWORKS)
def test_takes_a_few_steps_on_the_cpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    data = made_up(NETWORKS[name], 8, 4)
    monkeypatch.setattr(datasets, "load", lambda name, root: data)
    data_of_it = NETWORKS[name].training.data
    whole = data_of_it.model_copy(update={"augment": data_of_it.augment.model_copy(update={"resized_crop": None})})
    training = NETWORKS[name].training.model_copy(update={"batch": 4, "data": whole})
    recipe = Recipe(training, data.info)
    start = recipe.initial(0)
    end = recipe.train(start, 0, 3, order="copy/0/0")
    store = Store(tmp_path)
    run = execute(
        Plan.of([recipe.evaluate(end)]),
        store,
        backend=InProcess(torch.device("cpu")),
        load_dataset=lambda name: datasets.load(name, tmp_path),
    )
    assert run.failed == {}
    before, after = store.read(start).tensors, store.read(end).tensors
    weights = [one for one in before if one.startswith(WEIGHT)]
    assert sum(before[one].numel() for one in weights) == training.parameters
    assert all(not torch.equal(before[one], after[one]) for one in weights if "shift" not in one and "bias" not in one)
    assert all(bool(torch.isfinite(after[one]).all()) for one in weights)
    table = store.read(recipe.evaluate(end)).table
    assert set(table["split"]) == {"test", "train"}
