"""The experiments that are tested, each by its tiny spec."""

from pathlib import Path

import pytest
import torch

from harness.conformance.tiny import tiny
from harness.engine.data.datasets import load
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.store import Store
from harness.observation import Observation
from harness.pipeline.request import Request
from harness.protocols import protocols


@pytest.fixture(scope="module", params=sorted(protocols()))
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """A tiny request of each experiment."""
    return tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def observed(asked: Request, tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    """What it observes when it is really run."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("store"))
    run = execute(
        asked.plan,
        store,
        backend=InProcess(torch.device("cpu")),
        load_dataset=lambda name: load(name, Path("data")),
    )
    assert run.failed == {}
    return asked.protocol.observations(asked.setting, lambda job: store.read(job).table)
