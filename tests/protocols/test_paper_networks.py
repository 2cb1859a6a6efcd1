"""A few steps of every paper-scale network on made-up images of the right shape; no data is needed."""

from pathlib import Path

import pytest
import torch

from harness.datainfo import DatasetInfo
from harness.engine.data import datasets
from harness.engine.data.datasets import Dataset, digest
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.protocols.common import lineage
from harness.protocols.common.setting import TrainingSetting
from harness.stages.base import WEIGHT
from tests.support import SPECS, request

ALL = {path.stem: request(path, "paper").setting for path in SPECS}
SETTINGS = {name: one for name, one in ALL.items() if isinstance(one, TrainingSetting)}
NETWORKS = {
    f"{one.training.network.name}-{one.data.name}-{one.training.schedule.rate}": one for one in SETTINGS.values()
}


def made_up(setting: TrainingSetting, n: int) -> Dataset:
    """Random images and labels with the facts of the setting's dataset."""
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> torch.Tensor:
        return torch.randint(0, 256, (count, *setting.data.shape), dtype=torch.uint8, generator=generator)

    tensors = {"train_x": images(n), "test_x": images(20)}
    tensors["train_y"] = torch.arange(n) % setting.data.classes
    tensors["test_y"] = torch.arange(20) % setting.data.classes
    shape = setting.data.shape
    info = DatasetInfo(setting.data.name, digest(tensors), n, 20, setting.data.classes, shape, False, "made up", None)
    return Dataset(info, **tensors)


@pytest.mark.parametrize("name", NETWORKS)
def test_takes_a_few_steps_on_the_cpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    full = NETWORKS[name]
    data = made_up(full, 32)
    monkeypatch.setattr(datasets, "load", lambda name, root: data)
    training = full.training.model_copy(update={"batch": 16})
    setting = TrainingSetting(full.replicates, full.options, training, data.info)
    start = lineage.initial(setting, 0)
    end = lineage.train(setting, start, 0, 3, order="copy/0/0")
    store = Store(tmp_path)
    run = execute(
        Plan.of([lineage.evaluate(setting, end)]),
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
    table = store.read(lineage.evaluate(setting, end)).table
    assert set(table["split"]) == {"test", "train"}
