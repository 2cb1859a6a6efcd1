"""A scale may have further recipes, by name, where its experiment uses them; each is checked as the first is."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.datainfo import nominal
from harness.errors import RequestError
from harness.pipeline.request import check
from harness.protocols import protocols
from harness.protocols.instability.protocol import Instability
from harness.schema.load import Loaded, load
from tests.support import Place, cli, instability_text


class Pretrained(Instability):
    """An experiment that trains by another recipe first."""

    further_recipes = frozenset({"pretraining"})


def loaded(place: Path, experiment: Instability, recipes: Mapping[str, Any]) -> Loaded:
    spec = yaml.safe_load(instability_text())
    training = spec["scales"]["toy"]["training"]
    spec["scales"]["toy"]["recipes"] = {
        name: copy.deepcopy({**training, **changed}) for name, changed in recipes.items()
    }
    return load(Place(place).write(yaml.safe_dump(spec, sort_keys=False)), {"instability": experiment})


def test_it_is_a_recipe_of_the_setting(tmp_path: Path) -> None:
    found = loaded(tmp_path, Pretrained(), {"pretraining": {"length": "50it", "precision": "tf32"}})
    scale = found.spec.scales["toy"]
    setting = Pretrained().setting(scale, found.settings["toy"], scale.replicates, nominal)
    assert {name: recipe.length for name, recipe in setting.recipes.items()} == {"training": 40, "pretraining": 50}
    assert "number format tf32 in place of fp32" in setting.departures


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"batch": 1401}, "scales.toy.recipes.pretraining.batch: found 1401, but digits has 1400 examples"),
        ({"length": "20it"}, "scales.toy.recipes.pretraining.schedule.drops[0]: found 30it, but training ends at 20it"),
        ({"batch": 0}, "scales.toy.recipes.pretraining.batch: found 0"),
    ],
)
def test_its_problems_are_told_at_its_place(changed: Mapping[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        loaded(tmp_path, Pretrained(), {"pretraining": changed})
    assert words in str(caught.value)


def test_its_parameters_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(tmp_path, Pretrained(), {"pretraining": {"parameters": 1209, "schedule": {"rate": 0.1}}})
    monkeypatch.setattr("harness.pipeline.request.protocols", lambda: {**protocols(), "instability": Pretrained()})
    with pytest.raises(RequestError, match=r"toy\.recipes\.pretraining\.parameters: found 1,209, .* has 1,210"):
        check(found, "toy", tmp_path)


def test_a_recipe_that_the_experiment_does_not_use_is_refused(tmp_path: Path) -> None:
    words = r"recipes\.other: instability uses no recipe of this name: remove it"
    with pytest.raises(RequestError, match=words):
        loaded(tmp_path, Instability(), {"other": {}})


def test_a_recipe_that_the_experiment_uses_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"scales\.toy\.recipes\.pretraining: this field is missing"):
        loaded(tmp_path, Pretrained(), {})


def test_editors_know_of_further_recipes() -> None:
    assert '"recipes"' in cli("schema").out
