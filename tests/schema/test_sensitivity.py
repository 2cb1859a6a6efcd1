"""Open choices of a spec: each is refused at its place, or is a spec that the same models accept."""

from pathlib import Path
from typing import Any

import pytest

from harness.schema import flips
from harness.schema.claims import Check
from harness.schema.model import Scale
from tests.support import SPECS, Place, claim, cli, instability_text, line_of, loaded

BOUND = "{kind: at_most, bound: 5.0}"
ENTRY = {
    "field": "training.schedule.rate",
    "value": "0.01",
    "claims": "[a]",
    "margin": "1.0",
    "why": "The paper names no rate.",
}


def text(**changed: str | None) -> str:
    """A spec with two claims of instability and one of accuracy, and an open choice with fields replaced."""
    claims = claim("a", expect=BOUND), claim("b", at="{fork: 10it}", expect=BOUND), claim("c", "accuracy", expect=BOUND)
    fields = [f"{name}: {value}" for name, value in {**ENTRY, **changed}.items() if value is not None]
    return instability_text(*claims) + "sensitivity:\n  - " + "\n    ".join(fields) + "\n"


@pytest.mark.parametrize(
    ("changed", "part", "words"),
    [
        ({"field": "training.schedule.rates"}, "field: ", ["'rates', no field of training.schedule", "'rate'?"]),
        ({"field": "trainings"}, "field: ", ["'trainings', no field of a scale", "did you mean 'training'?"]),
        ({"field": "training.batch.size"}, "field: ", ["'size', no field of training.batch", "it has none"]),
        ({"field": "settings.forkss", "value": "[0it]"}, "field: ", ["did you mean 'forks'?"]),
        ({"field": "training..rate"}, "field: ", ["names of fields within a scale, with dots"]),
        ({"field": "replicates.first_seed", "value": "7"}, "field: ", ["same initialisations are compared"]),
        ({"field": "replicates", "value": "{}"}, "field: ", ["same initialisations are compared"]),
        ({"value": "0.002"}, "value: ", ["0.002", "scale 'toy' has itself"]),
        ({"value": "2.0e-3"}, "value: ", ["scale 'toy' has itself"]),
        ({"value": "-1.0"}, "value: ", ["-1.0", "training.schedule.rate", "greater than 0"]),
        ({"value": "fast"}, "value: ", ["should be a number"]),
        ({"value": None}, "- field", ["sensitivity[0].value: this field is missing"]),
        ({"field": "settings.forks", "value": "[0ep, 99ep]"}, "value: ", ["with which the spec is refused"]),
        ({"field": "settings.forks", "value": "[0it, 0.5]"}, "value: ", ["scales.toy.settings.forks"]),
        ({"field": "settings.forks", "value": "[10it]"}, "value: ", ["claims.0.checks.toy.at.fork", "10it"]),
        ({"field": "training.optimiser.name", "value": "sgd"}, "value: ", ["training.optimiser", "beta1"]),
        ({"field": "training.schedule.drops", "value": "[50it]"}, "value: ", ["drops.0", "training ends at 40it"]),
        ({"field": "training.network.hidden", "value": "[17]"}, "value: ", ["flipped version is refused", "1,285"]),
        ({"claims": "[d]"}, "claims: [d]", ["claims[0]", "no claim 'd'"]),
        ({"claims": "[]"}, "claims: []", ["at least 1 item"]),
        ({"claims": "[a, a]"}, "claims: [a, a]", ["claims[1]", "entry 1 already"]),
        ({"claims": "[a, c]"}, "claims: [a, c]", ["'c' is about accuracy and 'a' about instability"]),
        ({"margin": "0.0"}, "margin: ", ["greater than 0"]),
        ({"margin": "-1.0"}, "margin: ", ["greater than 0"]),
        ({"margin": ".inf"}, "margin: ", ["finite"]),
        ({"margin": None}, "- field", ["sensitivity[0].margin: this field is missing"]),
        ({"why": "''"}, "why: ", ["at least 1 character"]),
        ({"scales": "[paper]"}, "scales: [paper]", ["scales[0]", "has the scales toy"]),
        ({"reason": "none"}, "reason: ", ["unknown field"]),
    ],
)  # fmt: skip
def test_is_refused_with_its_place(changed: dict[str, str | None], part: str, words: list[str], tmp_path: Path) -> None:
    whole = text(**changed)
    head, entry = whole.split("sensitivity:\n")
    path = Place(tmp_path).write(whole)
    said = cli("validate", path)
    assert said.code == 2
    line = head.count("\n") + 1 + line_of(entry, part)
    assert f"{path}:{line}: sensitivity[0]" in said.err
    for word in words:
        assert word in said.err


def test_two_entries_flip_a_claim_once(tmp_path: Path) -> None:
    whole = text()
    again = whole + whole.split("sensitivity:\n")[1].replace("margin: 1.0", "margin: 50.0")
    said = cli("validate", Place(tmp_path).write(again))
    assert said.code == 2
    assert "sensitivity[1].claims[0]" in said.err
    assert "flipped so by entry 1 already" in said.err
    two = whole + whole.split("sensitivity:\n")[1].replace("claims: [a]", "claims: [c]")
    assert cli("validate", Place(tmp_path).write(two)).code == 0


def test_other_problems_are_told_without_those_of_the_choices(tmp_path: Path) -> None:
    said = cli("validate", Place(tmp_path).write(text(value="-1.0").replace("batch: 50", "batch: 0")))
    assert said.code == 2
    assert "training.batch" in said.err
    assert "sensitivity" not in said.err


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("training.initialisation.batch_norm_scale", "one"),  # left out of the file
        ("training.optimiser.beta1", "0.8"),
        ("training.optimiser", "{name: sgd, momentum: 0.0}"),
        ("training.data.normalise", "{kind: scale, scale: 16}"),
        ("training.schedule.warmup", "10it"),
        ("training.schedule.drops", "[]"),
        ("training.length", "41it"),
        ("settings.line.alphas", "5"),
        ("settings.line.batch_norm", "[recomputed]"),
        ("settings.further", "[full]"),
        ("replicates.orders", "3"),
        ("training.precision", "fp64"),
    ],
)
def test_every_field_can_be_flipped(field: str, value: str, tmp_path: Path) -> None:
    one = loaded(Place(tmp_path).write(text(field=field, value=value)))
    (choice,) = one.spec.sensitivity
    assert flips.scales_of(choice, one.spec) == ("toy",)
    own = flips.plain(one.spec.scales["toy"], one.settings["toy"])
    changed = flips.flipped(own, choice)
    assert flips.value_at(own, choice) != flips.value_at(changed, choice) == choice.value
    assert flips.flipped(changed, choice.model_copy(update={"value": flips.value_at(own, choice)})) == own


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_scale_written_out_is_the_scale(path: Path) -> None:
    one = loaded(path)
    for name, scale in one.spec.scales.items():
        values = flips.plain(scale, one.settings[name])
        assert type(one.settings[name]).model_validate(values["settings"]) == one.settings[name]
        again = Scale.model_validate(values)
        assert again.model_copy(update={"settings": {}}) == scale.model_copy(update={"settings": {}})


def test_shipped_choices_are_of_claims_and_have_margins_by_the_rule() -> None:
    """Half of what lies between a claim's bound and a network that is stable, or guesses; half of a margin."""
    halves = 0
    for path in SPECS:
        spec = loaded(path).spec
        claims = {one.id: one for one in spec.claims}
        for choice in spec.sensitivity:
            for name in choice.claims:
                for scale in flips.scales_of(choice, spec):
                    if scale in claims[name].checks:
                        assert choice.margin == pytest.approx(_half(claims[name].checks[scale])), (path.stem, name)
                        halves += 1
    assert halves > 20


def _half(check: Check) -> float:
    expect: Any = check.expect
    if hasattr(expect, "margin"):
        return float(expect.margin) / 2
    bound = float(getattr(expect, "bound", None) or expect.threshold)
    guessing = 90.0 if check.at.get("split") == "train" else 81.7
    return (bound if bound < 50 else guessing - bound) / 2
