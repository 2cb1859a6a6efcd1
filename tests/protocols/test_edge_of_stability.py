"""The edge of stability, with planted eigenvalues; phases of a schedule; what is refused."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.observation import NoValue
from harness.pipeline.request import Request
from harness.protocols.common import curvature
from harness.protocols.common.heavy_ball import largest_stable
from harness.protocols.common.phases import Phase, drops, phases
from harness.protocols.edge_of_stability.protocol import PROTOCOL, without_decay
from tests.support import claim, edge_text, edited, request


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    return _asked(tmp_path, edge_text())


def _asked(folder: Path, text: str) -> Request:
    path = folder / "tiny_edge.yaml"
    path.write_text(text)
    return request(path)


def _planted(
    asked: Request, sharpness: Callable[[str, int], float], *, converged: bool = True
) -> Callable[[Job], Table | None]:
    """Tables that say what ``sharpness`` says of an arm at an iteration, in every initialisation."""
    tables: dict[str, Table] = {}
    for one in PROTOCOL.measurements(asked.setting):
        undropped = "drop" in one.at
        decay = "undropped" if undropped else str(one.at["decay"])
        iteration = int(one.job.inputs["state"].params.get("stop", 0))
        tables[one.job.key] = (
            {"loss": [0.5], "gradient": [1.0]}
            if one.job.stage == "loss"
            else {"split": ["test", "train"], "error": [20.0 + (decay == "without"), 5.0]}
            if one.job.stage == "evaluate"
            else {
                "end": ["top", "bottom"],
                "eigenvalue": [sharpness(decay, iteration), -1.0],
                "residual": [0.0, 0.0],
                "converged": [converged, True],
            }
        )
    return lambda job: tables[job.key]


def with_settings(text: str, lines: str) -> str:
    """A spec with further lines of settings."""
    return edited(text, "      checkpoints: [0it, 10it]\n", f"      checkpoints: [0it, 10it]\n{lines}")


def _values(asked: Request, read: Callable[[Job], Table | None], quantity: str) -> dict[tuple[object, ...], float]:
    axes = PROTOCOL.quantities[quantity].axes
    return {
        tuple(one.at[axis] for axis in axes): one.value
        for one in PROTOCOL.observe(asked.setting, read)
        if one.quantity == quantity and one.initialisation == 0
    }


def test_phases_are_between_the_drops(asked: Request) -> None:
    assert phases(asked.setting.recipe) == [
        Phase(0, 0, 20, 0.1),
        Phase(1, 20, 30, pytest.approx(0.01)),
        Phase(2, 30, 40, pytest.approx(0.001)),
    ]
    assert drops(asked.setting.recipe) == {1: 20, 2: 30}


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.97])
def test_descent_diverges_just_beyond_the_edge_and_not_below(momentum: float) -> None:
    rate = 0.1
    for share, diverges in ((0.99, False), (1.01, True)):
        curved = share * largest_stable(rate, momentum)
        x, velocity = 1.0, 0.0
        for _ in range(5000):
            velocity = momentum * velocity + curved * x
            x -= rate * velocity
            if abs(x) > 1e6:
                break
        assert (abs(x) > 1e6) == diverges


def test_the_papers_edges() -> None:
    assert largest_stable(0.1, 0.0) == pytest.approx(20)
    assert largest_stable(0.1, 0.97) == pytest.approx(39.4)


def test_rise_edge_and_decay_are_ratios_of_the_planted_eigenvalues(asked: Request) -> None:
    planted = {0: 1.0, 10: 2.0, 20: 4.0, 30: 12.0, 40: 6.0}
    read = _planted(asked, lambda decay, iteration: planted[iteration] / (4 if decay == "without" else 1))
    assert _values(asked, read, "sharpness_rise") == {
        (decay, drop): rise for decay in ("with", "without") for drop, rise in ((1, 3.0), (2, 0.5))
    }
    assert _values(asked, read, "decay_orders") == {(): pytest.approx(math.log10(4.0))}
    assert _values(asked, read, "final_sharpness") == {("with",): 6.0, ("without",): 1.5}
    ratios = _values(asked, read, "edge_ratio")
    assert ratios["with", 0, "heavy_ball"] == pytest.approx(4.0 * 0.1 / (2 * 1.9))
    assert ratios["with", 0, "plain"] == pytest.approx(4.0 * 0.1 / 2)
    assert ratios["without", 1, "plain"] == pytest.approx(3.0 * 0.01 / 2)
    assert ratios["with", 2, "heavy_ball"] == pytest.approx(6.0 * 0.001 / (2 * 1.9))


WHOLE = "      undropped: [1, 2]\n      accuracy: true\n"


def test_a_drop_is_held_against_the_same_training_without_it(tmp_path: Path) -> None:
    asked = _asked(tmp_path, with_settings(edge_text(), WHOLE))
    arms = {"with": {0: 1.0, 10: 2.0, 20: 4.0, 30: 12.0, 40: 6.0}, "undropped": {30: 8.0, 40: 24.0}}
    read = _planted(asked, lambda decay, iteration: arms.get(decay, arms["with"])[iteration])
    assert _values(asked, read, "rise_by_drop") == {(1,): 1.5, (2,): 0.25}
    assert _values(asked, read, "undropped_sharpness") == {(1,): 8.0, (2,): 24.0}
    assert _values(asked, read, "sharpness_rise")["with", 1] == 3.0


def test_a_training_without_a_drop_is_the_same_up_to_the_drop_and_has_its_batches(tmp_path: Path) -> None:
    asked = _asked(tmp_path, with_settings(edge_text(), WHOLE))
    going_on = [one for one in PROTOCOL.measurements(asked.setting) if "drop" in one.at]
    assert {one.at["drop"] for one in going_on} == {1, 2}
    for one in going_on:
        start, stop, rate = {1: (20, 30, 0.1), 2: (30, 40, 0.01)}[int(one.at["drop"])]
        mine = one.job.inputs["state"]
        trunk = asked.setting.recipe.trunk(one.initialisation, stop)
        assert mine.inputs["state"] == asked.setting.recipe.trunk(one.initialisation, start)
        assert (mine.params["start"], mine.params["stop"], mine.params["schedule_start"]) == (start, stop, 0)
        assert mine.params["schedule"] == {"rate": pytest.approx(rate), "drops": [], "factor": 0.1, "warmup": 0}
        assert mine.params["order"] == trunk.params["order"]
        assert mine.params["optimiser_state"] == "carried"
        same = ("optimiser", "batch", "sampling", "data", "network", "precision")
        assert all(mine.params[name] == trunk.params[name] for name in same)


def test_the_end_is_evaluated_with_and_without_decay(tmp_path: Path) -> None:
    asked = _asked(tmp_path, with_settings(edge_text(), WHOLE))
    read = _planted(asked, lambda decay, iteration: 1.0)
    assert _values(asked, read, "accuracy") == {
        ("with", "test"): 80.0,
        ("with", "train"): 95.0,
        ("without", "test"): 79.0,
        ("without", "train"): 95.0,
    }
    evaluated = [one.job for one in PROTOCOL.measurements(asked.setting) if one.job.stage == "evaluate"]
    assert {job.inputs["state"].params["stop"] for job in evaluated} == {40}


def test_what_no_option_asks_for_is_not_planned(tmp_path: Path, asked: Request) -> None:
    """So that the keys of settings that do not ask stay."""
    more = _asked(tmp_path, with_settings(edge_text(), WHOLE))
    assert set(asked.plan.jobs) < set(more.plan.jobs)
    added = [more.plan.jobs[key] for key in set(more.plan.jobs) - set(asked.plan.jobs)]
    assert {job.stage for job in added} == {"evaluate", "train", "extremes"}


@pytest.mark.parametrize(
    ("quantity", "at", "settings", "words"),
    [
        ("accuracy", "{}", "      undropped: [1]\n", r"accuracy is not measured with settings\.accuracy off"),
        ("rise_by_drop", "{drop: 2}", "      undropped: [1]\n", r"nothing goes on without the drop 2: add it to set"),
        (
            "sharpness_rise",
            "{drop: 1}",
            "      undropped: [3]\n",
            r"undropped\[0\]: found 3, but the schedule",
        ),
        ("sharpness_rise", "{drop: 1}", "      undropped: [1, 1]\n", r"undropped\[1\]: found 1 twice"),
    ],
)
def test_what_is_not_asked_for_cannot_be_claimed(
    tmp_path: Path, quantity: str, at: str, settings: str, words: str
) -> None:
    about = claim("about", quantity, at, "{kind: at_least, bound: 1.0}")
    with pytest.raises(RequestError, match=words):
        _asked(tmp_path, with_settings(edge_text(about), settings))


def test_each_quantity_rests_on_its_own_tables(tmp_path: Path) -> None:
    asked = _asked(tmp_path, with_settings(edge_text(), WHOLE))

    def kinds(quantity: str, **at: int | str) -> set[tuple[str, bool]]:
        return {
            (one.job.stage, "drop" in one.at)
            for one in PROTOCOL.measurements(asked.setting)
            if PROTOCOL.rests_on(asked.setting, quantity, at, one)
        }

    assert kinds("accuracy", decay="with", split="test") == {("evaluate", False)}
    assert kinds("rise_by_drop", drop=1) >= {("extremes", False), ("extremes", True)}
    assert kinds("final_sharpness", decay="with") == {("extremes", False), ("loss", False)}
    (arm,) = {
        one.at["drop"]
        for one in PROTOCOL.measurements(asked.setting)
        if "drop" in one.at and PROTOCOL.rests_on(asked.setting, "rise_by_drop", {"drop": 2}, one)
    }
    assert arm == 2


def test_what_did_not_converge_has_no_value_and_says_so(asked: Request) -> None:
    found = PROTOCOL.observe(asked.setting, _planted(asked, lambda decay, iteration: 3.0, converged=False))
    without = {one.quantity for one in found if one.why and "did not converge on the largest" in one.why}
    assert without == {"sharpness", "final_sharpness", "sharpness_rise", "edge_ratio", "decay_orders"}
    assert {one.quantity for one in found if one.why is None} == {"loss", "smallest_eigenvalue"}
    none = curvature.extreme_of({"end": [], "eigenvalue": [], "residual": [], "converged": []}, "bottom")
    assert none == NoValue("the search for the smallest eigenvalue found none")


def test_the_smallest_eigenvalue_is_the_least_of_the_bottom_ones() -> None:
    table = {
        "end": ["top", "bottom", "bottom"],
        "eigenvalue": [2.0, -0.5, -1.5],
        "residual": [0.0, 1e-4, 1e-3],
        "converged": [False, True, True],
    }
    assert curvature.extreme_of(table, "bottom") == curvature.Eigenvalue(-1.5, 1e-3)
    table["converged"] = [True, False, False]
    found = curvature.extreme_of(table, "bottom")
    assert isinstance(found, NoValue)
    assert "Lanczos did not converge on the smallest eigenvalue (residual 0.001)" in found.why
    assert curvature.extreme_of(table, "top") == curvature.Eigenvalue(2.0, 0.0)


def test_the_bottom_pairs_are_a_quantity_and_keep_the_keys(tmp_path: Path, asked: Request) -> None:
    smallest = claim("least", "smallest_eigenvalue", "{iteration: 10it}", "{kind: at_most, bound: 0.0}")
    claimed = _asked(tmp_path, edge_text(smallest))
    read = _planted(claimed, lambda decay, iteration: 3.0)
    assert set(_values(claimed, read, "smallest_eigenvalue").values()) == {-1.0}
    assert set(claimed.plan.jobs) == set(asked.plan.jobs)
    with pytest.raises(RequestError, match=r"not looked for with settings\.extremes\.bottom at 0: give 1 or more"):
        _asked(tmp_path, edited(edge_text(smallest), "bottom: 1", "bottom: 0"))


@pytest.mark.parametrize(
    ("sharp", "words"),
    [
        (0.0, "just before the drop is 0"),
        (5e-4, "is 0.0005, no more than its error of 0.001"),
        (-0.25, "just before the drop is negative, −0.25"),
    ],
)
def test_a_rise_from_nothing_is_none(asked: Request, sharp: float, words: str) -> None:
    planted = _planted(asked, lambda decay, iteration: sharp if iteration == 20 else 3.0)

    def read(job: Job) -> Table | None:
        table = planted(job)
        return {**table, "residual": [1e-3, 0.0]} if table is not None and "residual" in table else table

    rises = [one for one in PROTOCOL.observe(asked.setting, read) if one.quantity == "sharpness_rise"]
    assert {one.at["drop"]: bool(one.why and words in one.why) for one in rises} == {1: True, 2: False}


def test_the_logarithm_of_no_sharpness_is_none(asked: Request) -> None:
    read = _planted(asked, lambda decay, iteration: 0.0 if decay == "without" else 3.0)
    (said,) = {one.why for one in PROTOCOL.observe(asked.setting, read) if one.quantity == "decay_orders"}
    assert said == "the sharpness without weight decay is 0 (known to 0): it has no logarithm"


def test_the_arms_differ_in_the_decay_alone(asked: Request) -> None:
    ours, other = asked.setting.recipe.training, without_decay(asked.setting.recipe).training
    assert other.optimiser.weight_decay == 0.0 < ours.optimiser.weight_decay
    decay = {"weight_decay": ours.optimiser.weight_decay}
    assert other.model_copy(update={"optimiser": other.optimiser.model_copy(update=decay)}) == ours


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("drops: [20it, 30it]", "drops: []", r"schedule\.drops: found none"),
        ("drops: [20it, 30it]", "drops: [30it, 20it]", r"schedule\.drops\[1\]: found 20it: list each drop once"),
        ("drops: [20it, 30it]", "drops: [20it, 50it]", r"found 50it, but training ends at 40it"),
        ("warmup: 5it", "warmup: 25it", r"schedule\.warmup: found 25it: it must end before the first drop"),
        ("weight_decay: 1e-3", "weight_decay: 0", r"weight_decay: found 0, but it is compared with training without"),
        ("{name: sgd, momentum: 0.9, weight_decay: 1e-3}", "{name: adam, weight_decay: 1e-3}", r"found 'adam', but"),
        ("checkpoints: [0it, 10it]", "checkpoints: [0it, 41it]", r"checkpoints\[1\]: found 41it, but training ends"),
        ("{drop: 1}", "{drop: 3}", r"drop: found 3, but this scale has drop = 1, 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        _asked(tmp_path, edited(edge_text(), old, new))
