"""What is kept of compiled loops, and for how long."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from harness.engine.kernels import lanes

_USE = """
import torch
torch.set_num_threads(1)
from harness.engine.kernels.pooling import _forward, pool_max
print(pool_max(torch.arange(64.0).reshape(1, 1, 2, 2, 1, 16)).sum().item(), sum(_forward.stats.cache_hits.values()))
"""


def use(environment: dict[str, str]) -> list[str]:
    path = os.pathsep.join([str(Path.cwd()), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _USE],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    assert use({"NUMBA_CACHE_DIR": str(tmp_path)}) == ["888.0", "0"]
    assert any(tmp_path.rglob("*.nbc"))
    assert use({"NUMBA_CACHE_DIR": str(tmp_path)}) == ["888.0", "1"]


def test_without_a_folder_for_it_every_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []

    def njit(*, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")
        compiled.append(cache)
        return lambda function: function

    monkeypatch.setattr(lanes, "njit", njit)
    assert lanes.kept(len) is len
    assert compiled == [False]


def test_what_is_kept_is_known_by_all_sources() -> None:
    """Numba looks at the file of a function only, not at those of the functions that it calls."""
    from harness.engine.kernels import block, pooling

    for kept in (block.forward, block.backward, pooling._forward, pooling._backward):
        assert kept.py_func.__defaults__ == (lanes.SOURCES,)
