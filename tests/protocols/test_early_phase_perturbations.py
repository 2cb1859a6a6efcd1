"""Perturbed states of the early phase: what is compared with what, and what shares its work with IMP's experiment."""

import math
import re
from pathlib import Path
from typing import get_args

import pytest

from harness.errors import RequestError
from harness.observation import Observation
from harness.pipeline.request import Request
from harness.protocols.early_phase_perturbations import derived
from harness.protocols.early_phase_perturbations.jobs import Origin
from harness.protocols.early_phase_perturbations.options import PerturbationOptions
from harness.protocols.early_phase_perturbations.perturbations import IDENTITY, PERTURBATIONS, PerturbationName
from harness.stages.perturb import KINDS
from tests.support import ROOT, request

NAMES = ("early_signs", "early_permutations", "early_noise")


def asked(name: str = "early_noise", scale: str = "toy") -> Request:
    (path,) = (ROOT / "specs").rglob(f"{name}.yaml")
    return request(path, scale)


def seen(quantity: str, name: str, value: float, n: str = "0", seed: int = 0) -> Observation:
    at = {"perturbation": name, "n": n, "rewind": 44} | ({"split": "test"} if quantity == "accuracy" else {})
    return Observation(quantity, at, seed, 0, value)


ACCURACIES = [
    seen("accuracy", "full", 98.0),
    seen("accuracy", "control", 97.0),
    seen("accuracy", "rewound", 95.0),
    seen("accuracy", "s0mk", 94.0),
    seen("accuracy", "noise", 96.0, n="1"),
    seen("accuracy", "noise", 92.0, n="2"),
    seen("accuracy", "control", 50.0, seed=1),
]
DISTANCES = [
    seen("moved_distance", IDENTITY, 0.0),
    seen("moved_distance", "s0mk", 6.0),
    seen("moved_distance", "noise", 4.0, n="1"),
    seen("moved_distance", "noise", 8.0, n="2"),
]


def test_drops_are_against_the_full_and_the_unperturbed_network_of_the_same_initialisation() -> None:
    values = {(one.quantity, one.at["perturbation"], one.at["n"]): one.value for one in derived.drops(ACCURACIES)}
    assert values == {
        ("accuracy_drop", "control", "0"): 1.0,
        ("accuracy_drop", "rewound", "0"): 3.0,
        ("accuracy_drop", "s0mk", "0"): 4.0,
        ("accuracy_drop", "noise", "1"): 2.0,
        ("accuracy_drop", "noise", "2"): 6.0,
        ("excess_drop", "rewound", "0"): 2.0,
        ("excess_drop", "s0mk", "0"): 3.0,
        ("excess_drop", "noise", "1"): 1.0,
        ("excess_drop", "noise", "2"): 5.0,
    }


def _moved(*arms: tuple[str, float, float]) -> list[Observation]:
    """Of each name its accuracy and the distance that it moves."""
    return [
        seen(quantity, name, value)
        for name, accuracy, distance in arms
        for quantity, value in (("accuracy", accuracy), ("moved_distance", distance))
    ]


LOST = _moved(("s0m0", 92.0, 8.0), ("permute_layer", 90.0, 9.0))
"""With ``s0mk`` 94, 92, 90 at 6, 8, 9."""


def test_the_correlation_is_over_what_was_perturbed() -> None:
    """Neither the control, nor what moves nothing, nor noise takes part."""
    kept = _moved(("skm0", 96.0, 4.0), ("skmf", 95.0, 5.0), ("draw_layer_signs", 94.5, 5.5))
    against = [seen("accuracy", "noise", 50.0, n="0.5"), seen("moved_distance", "noise", 0.1, n="0.5")]
    every = ACCURACIES + DISTANCES + LOST + kept + against
    found = {one.initialisation: one for one in derived.rank_correlations(every)}
    assert found[0].value == -1.0
    assert math.isnan(found[1].value)


def test_that_signs_are_kept_makes_no_correlation() -> None:
    """All that keep signs move less and lose less, with an order of their own that is the other one: -1 and 1."""
    kept = _moved(("skm0", 94.5, 4.0), ("skmf", 95.0, 5.0), ("draw_layer_signs", 96.0, 5.5))
    (found, _) = derived.rank_correlations(ACCURACIES + DISTANCES + LOST + kept)
    assert found.value == 0.0


def test_there_is_no_correlation_where_a_group_has_no_order() -> None:
    (found, _) = derived.rank_correlations(ACCURACIES + DISTANCES + LOST + _moved(("skm0", 96.0, 4.0)))
    assert found.why == "there are 1 perturbations, of which no order is to be told"


def test_what_keeps_signs_says_so_to_the_stage() -> None:
    """As the parameters of the stage have it."""
    kept, lost = derived.GROUPS
    assert kept | lost == PERTURBATIONS.keys()
    assert kept == {
        name
        for name, one in PERTURBATIONS.items()
        if one.how["kind"] == "scale" or one.how.get("signs") == "state" or one.how.get("keep_signs")
    }


def test_ranks_are_those_of_scipy() -> None:
    from scipy.stats import spearmanr

    pairs = [(1.0, 5.0), (2.0, 5.0), (2.0, 7.0), (4.0, 1.0), (3.0, 5.0)]
    assert derived.rank_correlation(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)


def test_all_arms_have_one_mask_one_order_and_no_velocity_of_other_weights() -> None:
    setting = asked("early_signs").setting
    origin = Origin.of(setting, 3, 44)
    ends = dict(origin.controls()) | {name: origin.trained(state) for name, _, state in origin.perturbations()}
    full = ends.pop("full")
    assert {end.inputs["mask"] for end in ends.values()} == {origin.mask}
    assert {end.params["order"] for end in (full, *ends.values())} == {"copy/3/0"}
    assert {name for name, end in ends.items() if end.params["optimiser_state"] != "reset"} == {"rewound"}
    assert ends["rewound"].params["start"] == 0
    for name in ends.keys() - {"rewound", "reinit"}:
        state = ends[name].inputs["state"]
        assert (state.stage, state.inputs["state"], state.inputs["mask"]) == ("perturb", origin.trunk, origin.mask)
    assert len({end.key for end in ends.values()}) == len(ends)


def test_draws_belong_to_the_name_of_a_perturbation() -> None:
    """Not to its kind; only a permutation or draw with and without signs, and noise of several sizes, share theirs."""
    origin = Origin.of(asked().setting, 3, 44)
    by_seed: dict[str, set[tuple[str, str]]] = {}
    for name, n, state in origin.perturbations():
        if "seed" in state.params:
            by_seed.setdefault(state.params["seed"], set()).add((name, n))
    assert by_seed.pop("perturb/3/noise") == {("noise", n) for n in ("0.5", "1", "2", "3", "6")}
    assert by_seed == {
        f"perturb/3/{name}": {(name, "0"), (f"{name}_signs", "0")}
        for name in ("permute_network", "permute_layer", "permute_filter", "draw_layer")
    }


def test_what_is_random_has_a_name_for_its_draws() -> None:
    assert {name for name, one in PERTURBATIONS.items() if one.draws} == {
        name for name, one in PERTURBATIONS.items() if one.how["kind"] in ("permute", "draw")
    }


@pytest.mark.parametrize(("name", "like"), [("scaled", "skm0"), ("scaled_fresh", "skmf")])
def test_a_control_of_norms_has_those_of_the_magnitudes_that_it_is_compared_with(name: str, like: str) -> None:
    origin = Origin.of(asked("early_signs").setting, 0, 44)
    states = {arm: state for arm, _, state in origin.perturbations()}
    scaled, swapped = states[name], states[like]
    assert scaled.inputs[scaled.params["like"]] == swapped.inputs[swapped.params["magnitudes"]]


def test_an_arm_is_named_at_its_place() -> None:
    here = asked("early_permutations")
    figure = next(one for one in here.protocol.figures(here.setting, ACCURACIES, []) if one.id == "permutations_44")
    (control,) = (series for series in figure.series if series.role == "imp")
    assert [figure.x_names[round(x)] for x in control.x] == [control.label] == ["sparse network, unperturbed"]
    assert [(one.label, one.value) for one in figure.references] == [("sparse network, unperturbed", 73.5)]


def test_a_restarted_schedule_gives_every_arm_its_whole_length() -> None:
    setting = asked("early_signs").setting
    options = setting.options.model_copy(update={"schedule": "restarted"})
    origin = Origin.of(type(setting)(setting.replicates, options, setting.recipe), 0, 44)
    for name, end in origin.controls():
        start, stop, schedule_start = (end.params[one] for one in ("start", "stop", "schedule_start"))
        assert (stop, schedule_start) == (800, 0) if name in ("full", "rewound") else (stop - start, start) == (800, 44)


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_trunks_masks_and_full_networks_are_those_of_imps_experiment(scale: str) -> None:
    """At the iterations and initialisations that both have, nothing but the arms is trained."""
    theirs = asked("resnet20_imp", scale)
    (k, _) = asked("early_noise", scale).setting.options.rewinds
    for name in NAMES:
        ours = asked(name, scale)
        for seed in theirs.setting.replicates.seeds:
            origin = Origin.of(ours.setting, seed, ours.setting.iterations(k))
            shared = [origin.trunk, origin.mask, dict(origin.controls())["full"]]
            assert {job.key for job in shared} <= theirs.plan.jobs.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_scale_is_the_captions(name: str) -> None:
    ours, theirs = asked(name, "paper").setting, asked("resnet20_imp", "paper").setting
    null = ["1it"] if name == "early_permutations" else []
    assert [str(rewind) for rewind in ours.options.rewinds] == [*null, "500it", "2000it"]
    assert (ours.options.pruning.fraction, ours.options.pruning.levels) == (0.2, 8)
    assert ours.recipe == theirs.recipe


def test_the_table_names_what_the_stage_does() -> None:
    assert PERTURBATIONS.keys() == set(get_args(PerturbationName))
    assert {one.how["kind"] for one in PERTURBATIONS.values()} <= KINDS.keys()
    ways = [dict(one.how) for one in PERTURBATIONS.values()]
    assert all(ways.count(how) == 1 for how in ways)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({"perturbation": "noise"}, r"noise has no n = 0: noise has 0.5, 1, 2, 3, 6, all else 0"),
        ({"perturbation": "s0mk", "n": "2"}, "s0mk has no n = 2"),
        ({"perturbation": IDENTITY}, "skmk is the control, bit by bit: name control"),
        ({"perturbation": "control"}, "control is what others are compared with"),
    ],
)
def test_a_claim_about_what_is_not_measured_is_refused(at: dict[str, str], words: str) -> None:
    here = asked()
    reason = here.protocol.unmeasured(here.setting, "excess_drop", {"n": "0", "rewind": 44, "split": "test", **at})
    assert reason is not None

    assert re.search(words, reason)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "there is nothing to perturb"),
        ({"perturbations": ["s0mk", "s0mk"]}, "names one twice"),
        ({"noises": [2.0, 1.0]}, "from small to large"),
        ({"noises": [1.0, 1.00000001]}, "from small to large"),
        ({"noises": [1.0], "tensors": "all", "batch_norm": "initial"}, "puts back what tensors: all perturbs"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], words: str) -> None:
    needed = {"rewinds": ["44it"], "pruning": {"style": "iterative", "levels": 2}}
    with pytest.raises(ValueError, match=words):
        PerturbationOptions.model_validate({**needed, **settings})


def test_a_perturbation_at_0_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "specs" / "early_signs.yaml").read_text()
    path = tmp_path / "early_signs.yaml"
    path.write_text(text.replace("rewinds: [2ep, 5ep]", "rewinds: [0ep, 2ep, 5ep]"))
    with pytest.raises(RequestError, match=r"rewinds\[0\]: found 0ep: at 0 the states 0 and k are one"):
        request(path)
