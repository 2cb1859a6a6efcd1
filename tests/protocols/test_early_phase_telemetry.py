"""Telemetry of the early phase: planted courses and their phases, one run with IMP's training, what is refused."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RequestError
from harness.figure import Span
from harness.jobs.job import Job
from harness.jobs.stage_row import Table
from harness.observation import NoValue
from harness.pipeline.request import Request
from harness.protocols import folder_of
from harness.protocols.common.heavy_ball import built_up
from harness.protocols.early_phase_telemetry import figures
from harness.protocols.early_phase_telemetry.options import iterations, spread
from harness.protocols.early_phase_telemetry.protocol import PROTOCOL
from harness.schema.training import Schedule
from tests.support import SPECS, edited, request

PHASES = ((0, 4.0), (5, 2.0), (14, 0.5))
"""Planted: first iteration, travel of an iteration."""


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    return _asked(tmp_path, _text())


def _text() -> str:
    return (folder_of(PROTOCOL.name) / "tiny.yaml").read_text()


def _asked(folder: Path, text: str) -> Request:
    path = folder / "tiny_telemetry.yaml"
    path.write_text(text)
    return request(path)


def _travel(step: int) -> float:
    return [length for start, length in PHASES if start <= step][-1]


def _planted(travel: Callable[[int], float], gradient: Callable[[int], float]) -> Callable[[Job], Table | None]:
    def read(job: Job) -> Table | None:
        probes = job.params["probes"]
        steps = probes["steps"]
        table: dict[str, list[Any]] = {"step": steps} | {name: [0.5] * len(steps) for name in probes["measures"]}
        table |= {f"weight_{number}": [0.1 * number] * len(steps) for number in range(2)}
        if "step_length" in table:
            table |= {"step_length": list(map(travel, steps)), "gradient_norm": list(map(gradient, steps))}
        return table

    return read


def _values(
    asked: Request, read: Callable[[Job], Table | None], quantity: str, recipe: str = "own", travel: str = "made"
) -> list[float]:
    return [
        seen.value
        for seen in PROTOCOL.observations(asked.setting, read)
        if seen.quantity == quantity
        and seen.initialisation == 0
        and seen.at["recipe"] == recipe
        and seen.at.get("travel", travel) == travel
    ]


def test_what_remains_is_a_share_of_the_first_distance(asked: Request) -> None:
    def read(job: Job) -> Table | None:
        table = _planted(_travel, _travel)(job)
        if table is not None and "distance_to_end" in table:
            table["distance_to_end"] = [8.0, 6.0, 4.0, 2.0]
        return table

    assert _values(asked, read, "remaining_distance") == [1.0, 0.75, 0.5, 0.25]
    standing = _planted(_travel, _travel)
    ended = [0.0] * 4
    none = [
        seen
        for seen in PROTOCOL.observations(asked.setting, lambda job: (standing(job) or {}) | {"distance_to_end": ended})
        if seen.quantity == "remaining_distance"
    ]
    assert {seen.why for seen in none} == {"the training ends where it began"}


def test_planted_phases_are_observed(asked: Request) -> None:
    read = _planted(_travel, lambda step: 10 * _travel(step))
    assert _values(asked, read, "phase_start") == [0, 5, 14]
    assert _values(asked, read, "travel_rate") == pytest.approx([4.0, 2.0, 0.5])
    assert _values(asked, read, "phase_gradient") == pytest.approx([40.0, 20.0, 5.0])
    assert _values(asked, read, "phases_over_smooth")[0] < 1e-9


def test_phases_are_in_no_order_of_their_own(asked: Request) -> None:
    """Travel that rises is found to rise: the claim that it falls can fail."""
    rates = _values(asked, _planted(lambda step: 8 - _travel(step), lambda step: 1.0), "travel_rate")
    assert rates == sorted(rates)


def test_what_momentum_builds_up_of_a_gradient_that_stays_is_taken_out(asked: Request) -> None:
    """Travel that rises as the velocity does is level over momentum; without momentum it is told as it is."""
    read = _planted(lambda step: 0.5 * built_up(0.9, step + 1), lambda step: 1.0)
    assert _values(asked, read, "step_length")[0] == pytest.approx(0.5)
    assert _values(asked, read, "step_length")[-1] == pytest.approx(4.8, abs=0.1)
    assert _values(asked, read, "momentum_free_travel") == pytest.approx(
        [0.5] * len(iterations(asked.setting)["probes"])
    )
    assert _values(asked, read, "travel_rate", travel="momentum_free") == pytest.approx([0.5] * 3)
    made = _values(asked, read, "travel_rate")
    assert made == sorted(made)
    assert made[2] > 5 * made[0]
    for travel in ("made", "momentum_free"):
        assert _values(asked, read, "travel_rate", "no_momentum", travel) == made


def test_phases_over_momentum_are_cut_by_themselves(asked: Request) -> None:
    read = _planted(lambda step: _travel(step) * built_up(0.9, step + 1), lambda step: 1.0)
    assert _values(asked, read, "phase_start", travel="momentum_free") == [0, 5, 14]
    assert _values(asked, read, "travel_rate", travel="momentum_free") == pytest.approx([4.0, 2.0, 0.5])
    assert _values(asked, read, "phase_start") != [0, 5, 14]


def test_the_control_without_momentum_ends_with_the_window(asked: Request) -> None:
    controls = [one.job for one in PROTOCOL.measurements(asked.setting) if one.at["recipe"] == "no_momentum"]
    assert len(controls) == 4, "of two initialisations what steps show, and what the test set says"
    for job in controls:
        assert (job.params["stop"], job.params["probes"]["steps"][-1]) == (31, 30)
        assert (job.params["optimiser"]["momentum"], job.params["schedule"]["rate"]) == (0.0, 0.1)


def test_a_smooth_course_is_no_phases(asked: Request) -> None:
    read = _planted(lambda step: 1 / (1 + step), lambda step: 1.0)
    assert _values(asked, read, "phases_over_smooth")[0] > 1e6


def test_a_step_at_rate_0_is_in_no_phase(asked: Request) -> None:
    read = _planted(lambda step: 0.0 if step == 0 else _travel(step), lambda step: 1.0)
    assert _values(asked, read, "phase_start") == [1, 5, 14]
    assert _values(asked, read, "step_length")[0] == 0


def test_a_network_that_stands_still_has_no_phases(asked: Request) -> None:
    read = _planted(lambda step: 0.0 if step > 3 else 1.0, lambda step: 1.0)
    seen = [each for each in PROTOCOL.observations(asked.setting, read) if each.quantity == "travel_rate"]
    assert {each.why for each in seen} == {"only 4 of the measured iterations make a step"}


def test_a_gradient_of_0_has_no_geometric_mean(asked: Request) -> None:
    read = _planted(_travel, lambda step: float(step != 8))
    seen = [each for each in PROTOCOL.observations(asked.setting, read) if each.quantity == "phase_gradient"]
    assert [each.why for each in seen[:3]] == [None, NoValue("a gradient of the phase is 0").why, None]


@pytest.mark.parametrize(("window", "count"), [(2, 2), (30, 15), (220, 100), (4000, 150), (4000, 12)])
def test_iterations_are_even_in_the_logarithm(window: int, count: int) -> None:
    steps = spread(window, count)
    assert (steps[0], steps[-1]) == (0, window)
    assert steps == sorted(set(steps))
    assert len(steps) <= count
    ratio = (1 + window) ** (1 / (count - 1))
    for before, after in pairwise(steps):
        assert after - before == 1 or math.log((1 + after) / (1 + before)) == pytest.approx(math.log(ratio), abs=0.5)


def test_the_catalogue_shares_its_training_with_imp() -> None:
    """Planned together, the full network that IMP trains from 0 and its telemetry are one run."""
    paths = {path.stem: path for path in SPECS}
    asked, imp = (request(paths[name]) for name in ("early_telemetry", "resnet20_imp"))
    mine = {one.job.trajectory for one in PROTOCOL.measurements(asked.setting) if one.at["recipe"] == "own"}
    assert len(mine) == 8
    assert mine <= {job.trajectory for job in imp.plan.jobs.values() if job.stage == "train"}


def test_the_control_is_the_same_training_up_to_the_first_drop() -> None:
    """At both scales no drop lies within the window, as the spec says."""
    (path,) = (path for path in SPECS if path.stem == "early_telemetry")
    for scale, rate in (("toy", 1.0), ("paper", 0.1)):
        setting = request(path, scale).setting
        own, control = setting.recipe, setting.others["constant"]
        plain = own.training.model_copy(update={"schedule": Schedule(rate=own.training.schedule.rate)})
        assert control.training == plain
        assert setting.others["no_momentum"].training.schedule.rate == rate
        window = max(max(steps) for steps in iterations(setting).values())
        assert all(own.iterations(drop) > window for drop in own.training.schedule.drops)
        assert own.training.schedule.warmup.count == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("window: 30it", "window: 40it", "settings.window: found 40it, iteration 40 of 40"),
        ("window: 30it", "window: 1it", "settings.window: found 1it, iteration 1 of 40"),
        ("probes: 15", "probes: 5", "settings.probes: found 5, 5 iterations, of which 3 phases cannot be made"),
        ("weights: 2", "weights: 399", "settings.weights: found 399, more than the network's 398 parameters"),
        ("from: 10it", "from: 31it", "settings.rewinding_works_from: found 31it, after the window, which ends at 30it"),
        ("      rewinding_found_by: nobody.\n", "", "go together: give both, or neither"),
        (
            "schedule: {rate: 0.1}",
            "schedule: {rate: 0.1, drops: [9it]}",
            "recipes.constant.schedule: found rate=0.1 drops",
        ),
        ("schedule: {rate: 0.1}", "schedule: {rate: 0.2}", "recipes.constant.schedule: found rate=0.2"),
        (
            "batch: 50\n        optimiser: {name: sgd, momentum: 0.9, weight_decay: 1e-3}\n        schedule: {",
            "batch: 49\n        optimiser: {name: sgd, momentum: 0.9, weight_decay: 1e-3}\n        schedule: {",
            "recipes.constant.batch: found 49, but the control 'constant' has 50",
        ),
        ("momentum: 0.0", "momentum: 0.1", "recipes.no_momentum.optimiser: found name='sgd' momentum=0.1"),
        ("rate: 0.1\n          drops", "rate: 1.0\n          drops", "recipes.no_momentum.schedule: found rate=1.0"),
        (
            "      optimiser: {name: sgd, momentum: 0.9, weight_decay: 1e-3}\n      schedule:\n",
            "      optimiser: {name: adam}\n      schedule:\n",
            "training.optimiser.name: found 'adam', but travel is told with and without the momentum of sgd",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        _asked(tmp_path, edited(_text(), old, new))
    assert words in str(caught.value)


def _claimed(quantity: str, at: str) -> str:
    before, after = _text().split("    quantity: travel_rate\n")
    _, scales = after.split("scales:\n")
    check = f"{{at: {at}, expect: {{kind: at_most, estimand: mean, bound: 1.0}}}}"
    return f"{before}    quantity: {quantity}\n    checks:\n      toy: {check}\nscales:\n{scales}"


@pytest.mark.parametrize(
    ("quantity", "iteration", "words"),
    [
        ("distance_to_end", 5, "is measured at the iterations 0, 2, 9, 30; settings.kept says how many"),
        ("loss", 9, "is measured at the iterations 0, 5, 30; settings.evaluations says how many"),
        ("signs_changed", 9, "settings.probes says how many"),
    ],
)
def test_a_claim_at_another_iteration_is_refused(tmp_path: Path, quantity: str, iteration: int, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        _asked(tmp_path, _claimed(quantity, f"{{iteration: {iteration}it}}"))
    assert words in str(caught.value)


def test_a_claim_of_what_the_control_without_momentum_does_not_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        _asked(tmp_path, _claimed("distance_to_end", "{recipe: no_momentum, iteration: 9it}"))
    assert "the control 'no_momentum' ends with the window" in str(caught.value)


def _strips(asked: Request, travel: Callable[[int], float]) -> Sequence[Span]:
    seen = PROTOCOL.observations(asked.setting, _planted(travel, lambda step: 1.0))
    return figures.figures(asked.setting, seen)[1].spans


def test_the_timeline_has_a_strip_for_each_course(asked: Request) -> None:
    spans = _strips(asked, _travel)
    rows = list(dict.fromkeys(span.row for span in spans))
    assert rows == ["the recipe", "over momentum", "at a constant rate", "without momentum"]
    for row in ("the recipe", "at a constant rate", "without momentum"):
        assert [round(span.start, 6) for span in spans if span.row == row] == [0, 5, 14]
    assert spans[0].label == "4\n1"
    assert _strips(asked, lambda step: 0.0) == []


def test_the_mark_of_the_timeline_can_be_left_out(asked: Request) -> None:
    marked = figures.figures(asked.setting, [])[1]
    assert [(mark.label, mark.value) for mark in marked.references] == [("rewinding works from", 10.0)]
    assert "nobody" in marked.caption
    options = asked.setting.options.model_copy(update={"rewinding_works_from": None, "rewinding_found_by": None})
    assert figures.figures(replace(asked.setting, options=options), [])[1].references == ()


def test_there_are_ten_panels_as_the_source_has_them(asked: Request) -> None:
    telemetry = figures.figures(asked.setting, PROTOCOL.observations(asked.setting, _planted(_travel, _travel)))[0]
    assert telemetry.columns == 5
    assert {series.panel for series in telemetry.series if series.y} == set(range(10))
