"""The stage of extreme eigenvalues: those of the exact Hessian, and what is told of a search that finds none."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.errors import BrokenError
from harness.measure.extreme import MOST_PRODUCTS
from harness.measure.spectrum import Eigenpairs
from harness.protocols.common import curvature
from harness.stages import extremes as stage
from tests.engine.oracles import TINY_LENET
from tests.stages.bench import Bench, setting

OPTIONS = curvature.ObjectiveOptions(precision="fp64")
HERE = replace(setting(TINY_LENET, augment={"flip": False, "crop_padding": 0}), options=OPTIONS)
STATE = HERE.recipe.trunk(0, 8)
JOB = curvature.extremes(HERE.recipe, STATE, OPTIONS, curvature.ExtremesOptions(top=2, bottom=2, tolerance=1e-6))


def test_both_ends_are_those_of_the_exact_hessian() -> None:
    bench = Bench()
    every = bench[curvature.hessian(HERE.recipe, STATE, OPTIONS)].tensors["eigenvalues"].sort(descending=True).values
    table = bench[JOB].table
    assert table is not None
    assert table["end"] == ["top", "top", "bottom", "bottom"]
    assert table["eigenvalue"] == pytest.approx([*every[:2].tolist(), *every[-2:].tolist()], rel=1e-5)
    assert table["converged"] == [True] * 4


def test_a_search_that_finds_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> Eigenpairs:
        return Eigenpairs(torch.empty(0), torch.empty(0, 317), torch.empty(0), False)

    monkeypatch.setattr(stage, "extreme", nothing)
    with pytest.raises(BrokenError, match=f"no eigenvalue at the top was found in {MOST_PRODUCTS:,} products"):
        Bench()[JOB]
