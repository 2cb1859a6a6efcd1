"""The experiments that are tested, each by its tiny spec."""

from functools import cache
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
from harness.protocols.common.base import Read


@pytest.fixture(scope="module", params=sorted(protocols()))
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """A tiny request of each experiment."""
    return tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def tables(asked: Request, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The tables of its jobs when they are really run."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("store"))
    run = execute(
        asked.plan,
        store,
        backend=InProcess(torch.device("cpu")),
        load_dataset=lambda name: load(name, Path("data")),
    )
    assert run.failed == {}
    return cache(lambda job: store.read(job).table)


@pytest.fixture(scope="module")
def observed(asked: Request, tables: Read) -> list[Observation]:
    """What it observes of them."""
    return asked.protocol.observations(asked.setting, tables)
