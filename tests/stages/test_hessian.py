"""The stage of the exact Hessian: it goes on where it was killed, and refuses a matrix that is none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.protocols.common import curvature, lineage
from harness.stages import hessian as stage
from tests.engine.oracles import TINY_LENET
from tests.stages.bench import Bench, same, setting

SIZE = 317


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """Always due; the process ends right after some save."""

    elapsed_before = 0.0

    def __init__(self, saves: int) -> None:
        self.left = saves
        self.kept: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None = None

    def due(self) -> bool:
        return True

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        raise AssertionError("nothing of it is finished before all is")

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        self.kept = {name: value.clone() for name, value in tensors.items()}, dict(notes)
        self.left -= 1
        if self.left == 0:
            raise Killed

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        return self.kept


def hessian() -> Job:
    plain = {"flip": False, "crop_padding": 0}
    options = curvature.ObjectiveOptions(precision="fp64")
    here = replace(setting(TINY_LENET, augment=plain), options=options)
    return curvature.hessian(here, lineage.trunk(here, 0, 8), options)


@pytest.mark.parametrize("saves", [1, 3])
def test_a_killed_hessian_goes_on_after_its_last_saved_rows(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, job, dying = Bench(), hessian(), Dying(saves)
    expected = whole[job]
    bench = Bench(made={key: value for key, value in whole.made.items() if key != job.key}, checkpoint=dying)
    with pytest.raises(Killed):
        bench[job]
    assert dying.kept is not None
    assert dying.kept[0]["rows"].shape == (64 * saves, SIZE)
    asked: list[int] = []
    real = stage.rows
    monkeypatch.setattr(stage, "rows", lambda o, w, start, stop: (asked.append(start), real(o, w, start, stop))[1])
    assert same(bench[job], expected)
    assert bench[job].table == expected.table
    assert asked[0] == 64 * saves
    assert bench.advanced - 5 * 64 * saves == 5 * SIZE, "what was done is told again, as done"


def test_a_matrix_that_is_not_symmetric_is_no_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stage.rows

    def wrong(objective: Any, weights: Tensor, start: int, stop: int) -> Tensor:
        found = real(objective, weights, start, stop)
        return found + 1e-6 * found.abs().max() * torch.arange(found.shape[1], dtype=found.dtype)

    monkeypatch.setattr(stage, "rows", wrong)
    with pytest.raises(InvariantBroken, match=r"mirrored entries of the Hessian differ by .* more than the 1e-09"):
        Bench()[hessian()]
