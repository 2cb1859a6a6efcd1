"""Skips what needs a GPU where there is none; a core for each process."""

import os

import pytest
import torch

from harness.cli import place
from harness.pipeline import calibration

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes share the cores
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _no_measured_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forecasts are the same on every machine, and nobody's cache is touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "caches"))
    monkeypatch.setattr(calibration, "here", lambda compiling, folder=None: calibration.UNMEASURED)
    monkeypatch.setattr(calibration, "keep", lambda known, folder=None: None)
    monkeypatch.setattr(place, "share_of_cores", lambda count: 1.0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
