"""Loss cliffs, with planted tables; the twins' recipes; what is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RequestError
from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.measure.plane import grid
from harness.observation import Observation
from harness.pipeline.request import Request
from harness.protocols.common.base import Measurement, unread
from harness.protocols.common.phases import phases
from harness.protocols.loss_cliffs import jobs as cliff_jobs
from harness.protocols.loss_cliffs import observations
from harness.protocols.loss_cliffs.protocol import PROTOCOL
from tests.support import cliffs_text, edited, request


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    return _asked(tmp_path, cliffs_text())


def _asked(folder: Path, text: str) -> Request:
    path = folder / "tiny_cliffs.yaml"
    path.write_text(text)
    return request(path)


LOSSES = {10: 1.0, 15: 0.9, 20: 0.8, 25: 0.3, 30: 0.4, 35: 0.4, 40: 0.4}
EIGENVALUES = [100.0, 50.0, 0.9, 0.1, -0.5, -2.0]
SHARES = [10.0, 5.0, 50.0, 10.0, 20.0, 5.0]


def _valley() -> Table:
    """3 x² / 2 along, 8 y² / 2 across; the axes' units are 2 and 4 long, so curvatures are 3/4 and 1/2."""
    x, y = grid(3, 0.5).t()
    losses = 1.5 * x**2 + 4 * y**2
    path = [(0.2, -1.0), (-0.2, 1.0), (0.3, 1.0), (1.0, 0.0)]
    return {
        "kind": ["grid"] * 9 + ["earlier0", "earlier1", "state", "after"],
        "x": [*x.tolist(), *(one[0] for one in path)],
        "y": [*y.tolist(), *(one[1] for one in path)],
        "loss": [*losses.tolist(), 0.0, 0.0, 0.0, 0.0],
        "length_along": [2.0] * 13,
        "length_across": [4.0] * 13,
    }


def _table(one: Measurement) -> Table:
    spectra = {"before": [4.0, -1.0, -3.0], "top": [2.0, -1.0, -1.0], "random": [4.0, -3.0, -2.0]}
    tables: Mapping[Any, Callable[[], Table]] = {
        observations.loss: lambda: {"loss": [LOSSES[int(one.at["iteration"])]], "gradient": [1.0]},
        observations.twin_loss: lambda: {"loss": [0.6 if one.at["arm"] == "batch" else 0.5], "gradient": [1.0]},
        observations.displaced: lambda: {
            "eigenvalue": EIGENVALUES,
            "share": SHARES,
            "transverse": SHARES[::-1],
            "along_weights": [30.0] * 6,
        },
        observations.in_plane: _valley,
        unread: lambda: {"eigenvalue": spectra[str(one.at.get("subspace", "before"))]},
        observations.descended: lambda: {"before": [0.8], "after": [0.6]},
    }
    return tables[one.reads]()


def _observed(asked: Request, without: Callable[[Measurement], bool] = lambda one: False) -> list[Observation]:
    tables = {one.job.key: _table(one) for one in PROTOCOL.measurements(asked.setting) if not without(one)}
    return list(PROTOCOL.observe(asked.setting, lambda job: tables.get(job.key)))


def _values(found: list[Observation], quantity: str) -> dict[tuple[Any, ...], float]:
    axes = PROTOCOL.quantities[quantity].axes
    return {
        tuple(one.at[axis] for axis in axes): one.value
        for one in found
        if one.quantity == quantity and one.initialisation == 0
    }


def test_a_cliff_is_the_fall_after_the_drop_beyond_the_one_before(asked: Request) -> None:
    found = _observed(asked)
    assert _values(found, "fall_before") == {(1,): pytest.approx(20), (2,): pytest.approx(50)}
    assert _values(found, "fall_after") == {(1,): pytest.approx(50), (2,): pytest.approx(0)}
    assert _values(found, "cliff") == {(1,): pytest.approx(30), (2,): pytest.approx(-50)}


def test_a_lost_loss_takes_only_its_own_cliff(asked: Request) -> None:
    found = _observed(asked, lambda one: one.reads is observations.loss and one.at["iteration"] == 10)
    assert _values(found, "cliff").keys() == {(2,)}
    assert _values(found, "fall_after").keys() == {(1,), (2,)}


def test_displacement_against_its_null(asked: Request) -> None:
    """Low are 0.9, 0.1 and -0.5 of 100: 80 % of the displacement in 50 % of the directions."""
    found = _observed(asked)
    assert _values(found, "low_share") == {(1,): 80.0}
    assert _values(found, "low_share_over_null") == {(1,): 1.6}
    assert _values(found, "transverse_low_share") == {(1,): 65.0}
    assert _values(found, "along_weights") == {(1,): 30.0}
    assert _values(found, "top_share") == {(1,): 100.0}  # of the ten highest of six
    assert _values(found, "top_share_over_null") == {(1,): 1.0}
    assert sum(_values(found, "binned_share").values()) == pytest.approx(100)
    assert sum(_values(found, "binned_null").values()) == pytest.approx(100)


def test_the_valley_is_measured_in_weights_not_in_units_of_its_axes(asked: Request) -> None:
    found = _observed(asked)
    assert _values(found, "across_over_along") == {(1,): pytest.approx(0.5 / 0.75)}
    assert _values(found, "valley_contrast") == {(1,): pytest.approx((0.5 - 0.75) / 1.25)}
    assert _values(found, "path_along") == {(1, 10): 0.2, (1, 15): -0.2, (1, 20): 0.3, (1, 30): 1.0}
    assert _values(found, "loss_in_plane")[1, 0, 2] == pytest.approx(1.5 * 1.5**2 + 4 * 1.5**2)


def test_both_axes_of_the_plane_are_held_against_a_random_direction(asked: Request) -> None:
    """The mean eigenvalue is 148.5 / 6."""
    found = _observed(asked)
    assert _values(found, "across_over_random") == {(1,): pytest.approx(0.5 / 24.75)}
    assert _values(found, "along_over_random") == {(1,): pytest.approx(0.75 / 24.75)}
    lost = _observed(asked, lambda one: one.reads is observations.displaced)
    assert not _values(lost, "across_over_random")


def test_gating_compares_negative_masses(asked: Request) -> None:
    found = _observed(asked)
    assert _values(found, "negative_after") == {("top",): 0.5, ("random",): 1.25}
    assert _values(found, "negative_over_positive_after") == {("top",): 1.0, ("random",): 1.25}
    assert _values(found, "descended") == {("top",): pytest.approx(25), ("random",): pytest.approx(25)}
    assert not _values(_observed(asked, lambda one: one.reads is unread and not one.at), "negative_after")


def test_twins_are_compared_at_equal_age(asked: Request) -> None:
    assert _values(_observed(asked), "batch_rate_ratio") == {(1, 5): pytest.approx(1.2), (1, 6): pytest.approx(1.2)}


def test_twins_differ_from_the_trunk_in_batch_or_rate_alone(asked: Request) -> None:
    setting = asked.setting
    before = phases(setting.recipe)[0]
    trunk = setting.recipe.train(setting.recipe.trunk(0, 20), 20, 26, order="twin/0")

    def changed(job: Job) -> dict[str, Any]:
        return {name: value for name, value in job.params.items() if value != trunk.params[name]}

    batch, rate = (cliff_jobs.twin(setting, 0, before, arm, 6) for arm in ("batch", "rate"))
    assert batch.inputs == rate.inputs == trunk.inputs
    assert batch.params["optimiser_state"] == rate.params["optimiser_state"] == "carried"
    constant = {"rate": 0.1, "drops": [], "factor": 0.1, "warmup": 0}
    assert changed(batch) == {"batch": 100, "schedule": constant, "steps_per_epoch": 14}
    assert changed(rate) == {"schedule": {**constant, "rate": 0.05}}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cliffs: [1]", "cliffs: [1, 3]", r"cliffs\[1\]: found 3, but the schedule has the drops 1, 2"),
        ("cliffs: [1]", "cliffs: [1, 1]", r"cliffs\[1\]: found 1 twice"),
        ("width: 10it", "width: 11it", r"width: found 11it, but the rate stays for 10 iterations from 20 on"),
        ("width: 10it", "width: 0it", r"width: found 0it: give one iteration"),
        ("every: 5it", "every: 10it", r"every: found 10it: a checkpoint between 10it and the drop"),
        ("length: 6it", "length: 0it", r"twins\.length: found 0it: give one iteration"),
        ("dimensions: 3", "dimensions: 399", r"dimensions: found 399, more than the network's 398 parameters"),
        ("factor: 2", "factor: 29", r"twins\.factor: found 29: 29 batches of 50 are more than the 1,400 examples"),
        ("drops: [20it, 30it]", "drops: [20it, 50it]", r"found 50it, but training ends at 40it"),
        ("drops: [20it, 30it]", "drops: []", r"schedule\.drops: found none"),
        ("rate: 1.0", "rate: 2.0", r"gating\.rate: .*less than 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        _asked(tmp_path, edited(cliffs_text(), old, new))


def test_a_cliff_that_is_not_looked_at_cannot_be_claimed(tmp_path: Path) -> None:
    text = edited(cliffs_text(), "quantity: cliff\n", "quantity: low_share\n")
    with pytest.raises(RequestError, match=r"low_share is measured at the drops 1: add it to settings\.cliffs"):
        _asked(tmp_path, edited(text, "at: {drop: 1}", "at: {drop: 2}"))


def test_a_network_too_large_for_the_exact_hessian_names_the_alternative(tmp_path: Path) -> None:
    text = edited(cliffs_text(), "widths: [4], blocks: 1", "widths: [16, 32, 64], blocks: 1")
    with pytest.raises(RequestError, match=r"network: an exact Hessian of 77,\d{3} parameters .*Lanczos"):
        _asked(tmp_path, edited(text, "parameters: 398", "parameters: 77754"))
