"""A few steps of every paper-scale network on made-up images of the right shape; no data is needed."""

from pathlib import Path

import pytest
import torch

from harness.datainfo import DatasetInfo
from harness.engine.data import datasets
from harness.engine.data.dataset import Dataset, digest, in_memory
from harness.engine.state import WEIGHT
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from tests.support import SPECS, request

ALL = {path.stem: request(path, "paper").setting for path in SPECS}
SETTINGS = {name: one for name, one in ALL.items() if isinstance(one, TrainingSetting)}
NETWORKS = {
    f"{one.recipe.training.network.name}-{one.recipe.data.name}-{one.recipe.training.schedule.rate}": one
    for one in SETTINGS.values()
}


def made_up(setting: TrainingSetting, n: int) -> Dataset:
    """Random images and labels with the facts of the setting's dataset."""
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> torch.Tensor:
        return torch.randint(0, 256, (count, *setting.recipe.data.shape), dtype=torch.uint8, generator=generator)

    tensors = {"train_x": images(n), "test_x": images(20)}
    tensors["train_y"] = torch.arange(n) % setting.recipe.data.classes
    tensors["test_y"] = torch.arange(20) % setting.recipe.data.classes
    shape = setting.recipe.data.shape
    info = DatasetInfo(
        setting.recipe.data.name, digest(tensors), n, 20, setting.recipe.data.classes, shape, False, "made up", None
    )
    return in_memory(info, tensors)


@pytest.mark.parametrize("name", NETWORKS)
def test_takes_a_few_steps_on_the_cpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    full = NETWORKS[name]
    data = made_up(full, 32)
    monkeypatch.setattr(datasets, "load", lambda name, root: data)
    training = full.recipe.training.model_copy(update={"batch": 16})
    setting = TrainingSetting(full.replicates, full.options, Recipe(training, data.info))
    start = setting.recipe.initial(0)
    end = setting.recipe.train(start, 0, 3, order="copy/0/0")
    store = Store(tmp_path)
    run = execute(
        Plan.of([setting.recipe.evaluate(end)]),
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
    table = store.read(setting.recipe.evaluate(end)).table
    assert set(table["split"]) == {"test", "train"}
