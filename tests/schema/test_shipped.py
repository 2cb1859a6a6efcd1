"""The specs in ``specs/`` against LMC's Tables 1 and 2, and against the networks they name."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.engine.networks.build import build
from harness.engine.prune import kept_after
from harness.pipeline.forecast import Machine, forecast
from harness.protocols import protocols
from harness.protocols.common.pruning import Iterative
from harness.protocols.imp.protocol import ImpOptions
from harness.schema.claims import AtLeast, AtMost, Equals, FirstWithin, LastWithin
from tests.support import ROOT, SPECS, loaded, shipped


@dataclass(frozen=True)
class Row:
    """A row of LMC Tables 1 and 2: training, the sparse level, accuracies in % rewound to 0."""

    length: str
    batch: int
    optimiser: str
    rate: float
    drops: tuple[str, ...]
    warmup: str
    density: float
    accuracy: float
    imp: float
    random_prune: float
    random_reinit: float
    drop: float
    matching: bool


DROPS = ("32000it", "48000it")
# "Linear Mode Connectivity and the Lottery Ticket Hypothesis", Table 1 (columns up to the pruning level) and Table 2.
LENET = Row("24000it", 60, "adam", 1.2e-3, (), "0it", 3.5, 98.3, 98.2, 96.7, 97.5, 0.1, True)
RESNET = Row("63000it", 128, "sgd", 0.1, DROPS, "0it", 16.8, 91.7, 88.5, 88.6, 88.8, 3.2, False)
LOW = Row("63000it", 128, "sgd", 0.01, DROPS, "0it", 8.6, 88.8, 89.0, 85.7, 84.7, -0.2, True)
WARMUP = Row("63000it", 128, "sgd", 0.03, DROPS, "30000it", 8.6, 89.7, 89.6, 85.7, 85.6, 0.1, True)
ROWS = {
    "lenet_stability": LENET,
    "lenet_imp": LENET,
    "resnet20_stability": RESNET,
    "resnet20_imp": RESNET,
    "resnet20_low_imp": LOW,
    "resnet20_warmup_imp": WARMUP,
}
LMC = [path for path in SPECS if path.stem in ROWS]
IMP = [path for path in LMC if path.stem.endswith("_imp")]
TRAINING = [path for path in SPECS if protocols()[loaded(path).spec.protocol].trains]


def named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SPECS, ids=named)
def test_a_claim_is_about_one_estimand_and_toys_can_decide_their_medians(path: Path) -> None:
    spec = loaded(path).spec
    for claim in spec.claims:
        estimands = {getattr(check.expect, "estimand", None) for check in claim.checks.values()}
        assert len(estimands - {None}) <= 1, claim.id
        if "median" in estimands and "toy" in claim.checks:
            assert spec.scales["toy"].replicates.initialisations >= 5, claim.id
        if (
            claim.checks.get("paper")
            and isinstance(claim.checks["paper"].expect, Equals)
            and claim.quantity == "accuracy"
        ):
            assert estimands == {"mean"}, "tables give means"


def test_there_are_specs_for_every_row() -> None:
    assert {path.stem for path in LMC} == ROWS.keys()
    assert (ROOT / "specs").is_dir()


@pytest.mark.parametrize("scale", ["toy", "paper"])
@pytest.mark.parametrize("path", SPECS, ids=named)
def test_loads_plans_and_forecasts_without_data(path: Path, scale: str) -> None:
    asked = shipped(path, scale)
    assert len(asked.plan.jobs) > 10
    cost = forecast(asked.plan, lambda job: False, Machine(threads=2))
    assert (cost.iterations > 0) == asked.protocol.trains
    assert cost.seconds > 0
    assert cost.disk_bytes > 0


@pytest.mark.parametrize("scale", ["toy", "paper"])
@pytest.mark.parametrize("path", TRAINING, ids=named)
def test_parameters_are_those_of_the_network(path: Path, scale: str) -> None:
    for recipe in shipped(path, scale).setting.recipes.values():
        network = build(recipe.training.network.model_dump(mode="json"), recipe.shape, recipe.data.classes)
        assert network.size == recipe.training.parameters


@pytest.mark.parametrize("path", LMC, ids=named)
def test_the_paper_scale_is_the_papers(path: Path) -> None:
    row, setting = ROWS[path.stem], shipped(path, "paper").setting
    training = setting.recipe.training
    assert str(training.length) == row.length
    assert training.batch == row.batch
    assert training.optimiser.name == row.optimiser
    assert training.schedule.rate == row.rate
    assert tuple(map(str, training.schedule.drops)) == row.drops
    assert str(training.schedule.warmup) == row.warmup
    assert training.schedule.factor == 0.1
    assert getattr(training.optimiser, "momentum", 0.9) == 0.9
    assert training.parameters == (266_610 if row is LENET else 272_474)
    assert training.data.name == ("mnist" if row is LENET else "cifar10")
    assert (setting.replicates.initialisations, len(setting.replicates.pairs)) == (3, 3)
    assert setting.options.line.alphas == 30
    assert setting.options.stable_below == 2.0


# Table 1, column Pruning Level.
DENSITIES = {path.stem: ROWS[path.stem].density for path in IMP} | {
    "vgg16_imp": 1.5,
    "vgg16_low_imp": 5.5,
    "vgg16_warmup_imp": 1.5,
}


ONE_SHOT = ("resnet50_imp", "inception_v3_imp")
"""Specs of networks that are pruned once, to a density that the spec has itself."""


@pytest.mark.parametrize(
    "path", [path for path in SPECS if path.stem.endswith("_imp") and path.stem not in ONE_SHOT], ids=named
)
def test_the_sparse_level_leaves_the_papers_density(path: Path) -> None:
    asked = shipped(path, "paper")
    options: ImpOptions = asked.setting.options
    assert isinstance(options.pruning, Iterative)
    assert options.pruning.fraction == 0.2
    (claim,) = (claim for claim in asked.loaded.spec.claims if claim.id == "imp_accuracy")
    level = claim.checks["paper"].at["level"]
    assert isinstance(level, int)
    recipe = asked.setting.recipe
    network = build(recipe.training.network.model_dump(mode="json"), recipe.data.shape, recipe.data.classes)
    weights = {
        whole: sum(math.prod(network.parameters[name].shape) for name in network.prunable(output_layer=whole))
        for whole in (True, False)
    }
    pruned = weights[options.prune_output_layer]
    left = kept_after(pruned, 0.2, level) + weights[True] - pruned
    assert round(100 * left / weights[True], 1) == DENSITIES[path.stem]
    assert level in options.compared_levels
    assert level < options.levels, "an extreme level at the end of the search would be a bound only"


@pytest.mark.parametrize("path", [path for path in SPECS if path.stem.endswith("_imp")], ids=named)
def test_matching_has_one_rule_with_a_declared_margin(path: Path) -> None:
    asked = shipped(path)
    margins = {"toy": 0.5, "paper": 0.2}
    for scale, margin in margins.items():
        assert shipped(path, scale).setting.options.matching_within == margin
    assert any("margin of matching" in departure for departure in asked.loaded.spec.scales["toy"].departures)
    about = [claim for claim in asked.loaded.spec.claims if "matching" in claim.id or claim.id == "extreme_level"]
    assert about
    for claim in about:
        assert claim.quantity in ("drop_beyond_sd", "best_drop_beyond_sd"), claim.id
        for scale, check in claim.checks.items():
            expect = check.expect
            assert isinstance(expect, AtMost | AtLeast | FirstWithin | LastWithin)
            held = expect.bound if isinstance(expect, AtMost | AtLeast) else expect.threshold
            by_the_deviation_alone = isinstance(expect, LastWithin)  # as appendix B finds the extreme level
            assert held == (0.0 if by_the_deviation_alone else margins[scale]), claim.id


@dataclass(frozen=True)
class ImageNetRow:
    """A row of Tables 1 and 2 that is of ImageNet, and what sections 3 and 4.3 say of its network, in epochs."""

    length: str
    rate: float
    drops: tuple[str, ...]
    warmup: str
    end: float | None
    parameters: int
    accuracy: float
    imp: float
    random_prune: float
    random_reinit: float
    stable: int
    imp_stable: int


IMAGENET = {
    "resnet50": ImageNetRow(
        "90ep", 0.4, ("30ep", "60ep", "80ep"), "5ep", None, 25_557_032, 76.1, 73.7, 73.1, 73.4, 18, 5
    ),
    "inception_v3": ImageNetRow("171ep", 0.03, (), "0it", 0.005, 27_161_264, 78.1, 75.7, 75.2, 75.5, 28, 6),
}


@pytest.mark.parametrize("kind", ["stability", "imp"])
@pytest.mark.parametrize("name", IMAGENET)
def test_the_paper_scales_of_imagenet_are_the_papers(name: str, kind: str) -> None:
    row = IMAGENET[name]
    (path,) = (path for path in SPECS if path.stem == f"{name}_{kind}")
    asked = shipped(path, "paper")
    setting, training = asked.setting, asked.setting.recipe.training
    schedule = training.schedule
    assert (str(training.length), training.batch, training.data.name) == (row.length, 1024, "imagenet")
    assert (schedule.rate, tuple(map(str, schedule.drops)), schedule.end) == (row.rate, row.drops, row.end)
    assert (str(schedule.warmup), schedule.factor, training.optimiser.momentum) == (row.warmup, 0.1, 0.9)
    assert (training.parameters, setting.recipe.per_epoch) == (row.parameters, 1252)
    assert (setting.replicates.initialisations, len(setting.replicates.pairs)) == (3, 3)
    assert (setting.options.line.alphas, setting.options.stable_below) == (30, 2.0)
    claims = {claim.id: claim for claim in asked.loaded.spec.claims}
    assert claims["stability_iteration"].paper_value == 1252 * (row.stable if kind == "stability" else row.imp_stable)
    if kind == "stability":
        assert claims["accuracy"].paper_value == row.accuracy
        return
    assert setting.options.pruning.amount == {"density": 0.3}
    table = {
        "full_accuracy": row.accuracy,
        "imp_accuracy": row.imp,
        "random_prune_accuracy": row.random_prune,
        "random_reinit_accuracy": row.random_reinit,
        "imp_drop": round(row.accuracy - row.imp, 1),
    }
    assert {claim: claims[claim].paper_value for claim in table} == table


@pytest.mark.parametrize("path", LMC, ids=named)
def test_claims_cite_the_table(path: Path) -> None:
    row, spec = ROWS[path.stem], loaded(path).spec
    table = {
        "accuracy": row.accuracy,
        "full_accuracy": row.accuracy,
        "imp_accuracy": row.imp,
        "random_prune_accuracy": row.random_prune,
        "random_reinit_accuracy": row.random_reinit,
        "imp_drop": row.drop,
    }
    cited = {claim.id: claim for claim in spec.claims if claim.id in table}
    assert cited.keys() >= ({"accuracy"} if path not in IMP else table.keys() - {"accuracy"})
    for name, claim in cited.items():
        assert claim.paper_value == table[name], name
        assert isinstance(claim.checks["paper"].expect, Equals)
    assert row.drop == pytest.approx(row.accuracy - row.imp), "the table agrees with itself"


@pytest.mark.parametrize("path", IMP, ids=named)
def test_matching_is_claimed_where_the_table_says_so(path: Path) -> None:
    row, spec = ROWS[path.stem], loaded(path).spec
    found = [
        claim for claim in spec.claims if claim.id in ("imp_matching", "imp_at_0_matching", "imp_at_0_not_matching")
    ]
    (claim,) = found
    assert claim.quantity == "drop_beyond_sd"
    assert isinstance(claim.checks["paper"].expect, AtMost if row.matching else AtLeast)
    for arm in ("random_prune", "random_reinit"):
        (other,) = (one for one in spec.claims if one.id == f"{arm}_not_matching")
        assert other.checks["paper"].at["arm"] == arm
        assert isinstance(other.checks["paper"].expect, AtLeast)


@pytest.mark.parametrize("path", SPECS, ids=named)
def test_what_is_expected_agrees_with_the_papers_number(path: Path) -> None:
    asked = shipped(path, "paper")
    for claim in asked.loaded.spec.claims:
        value = claim.paper_value
        if value is None or "paper" not in claim.checks:
            continue
        expect = asked.protocol.resolve(asked.setting, claim.checks["paper"]).expect
        if isinstance(expect, Equals):
            assert expect.value == value, claim.id
        elif isinstance(expect, AtMost):
            assert value <= expect.bound, claim.id
        elif isinstance(expect, AtLeast):
            assert value >= expect.bound, claim.id
        elif isinstance(expect, FirstWithin | LastWithin):
            assert isinstance(expect.earliest, int)
            assert isinstance(expect.latest, int)
            assert expect.earliest <= value <= expect.latest, claim.id


CIUCA = {
    "edge_of_stability",
    "eigenvector_drift",
    "hessian_spectrum",
    "loss_cliffs",
    "quadratic_approximation",
}
"""Specs of networks whose paper scales are not the slides' setting."""
REMEMBERED = {
    f"early_{name}" for name in ("networks", "noise", "permutations", "pretraining", "rewinding", "signs", "telemetry")
}
"""Specs of a source whose text is not at hand."""
SELDOM = {"resnet20_throughout", "vgg16_throughout"}
"""Specs that look at fewer epochs than the source, for what each look costs."""


@pytest.mark.parametrize("path", SPECS, ids=named)
def test_departures_are_declared(path: Path) -> None:
    scales = loaded(path).spec.scales
    assert scales["toy"].departures
    declared = " ".join(scales["paper"].departures)
    assert all(word in declared for word in ("BatchNorm", "5,000", "normalised")) == (path.stem in CIUCA)
    assert ("from memory" in declared) == (path.stem in REMEMBERED)
    assert ("every fourth epoch" in declared) == (path.stem in SELDOM)
    assert bool(declared) == (path.stem in CIUCA | REMEMBERED | SELDOM), "what departs is never REPRODUCED"


@pytest.mark.parametrize("path", [path for path in SPECS if path.stem in CIUCA], ids=named)
def test_the_slides_layer_norm_is_the_papers_scale_but_for_the_normalisation(path: Path) -> None:
    spec = loaded(path).spec
    code, slide = spec.scales["paper"], spec.scales["layer_norm"]
    assert code.training is not None
    assert slide.training is not None
    network, initialisation = slide.training.network, slide.training.initialisation
    assert (network.model_dump()["normalisation"], network.batch_norm) == ("layer", False)
    same = {"network": code.training.network, "initialisation": code.training.initialisation}
    assert slide.training.model_copy(update=same) == code.training
    assert initialisation.weights == code.training.initialisation.weights
    declared = " ".join(slide.departures)
    assert all(word in declared for word in ("what a layer is normalised", "images are normalised"))
    assert "BatchNorm" not in declared
    for claim in spec.claims:
        assert ("paper" in claim.checks) == ("layer_norm" in claim.checks), claim.id
        if "paper" in claim.checks:
            assert claim.checks["paper"] == claim.checks["layer_norm"], claim.id
