"""A recipe is a value: another one, on other data with other classes, stands beside a setting's own."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.datainfo import DatasetInfo
from harness.errors import DataMissing
from harness.jobs.job import Job, ancestry
from harness.jobs.plan import Plan
from harness.pipeline.request import Request, require_data
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.regress.smoke_run import LENGTH, shrunk
from harness.schema.model import Replicates
from harness.schema.training import Training
from harness.steps import Duration
from tests.stages.bench import Bench, setting
from tests.support import instability_text, request

HERE = setting()
OURS = HERE.recipe
RANDOM_LABELS = Recipe(
    OURS.training.model_copy(update={"data": OURS.training.data.model_copy(update={"label_noise": 1.0})}), OURS.data
)
OTHER = Recipe(
    OURS.training.model_copy(update={"length": Duration(2, "ep"), "batch": 10, "precision": "tf32"}),
    DatasetInfo("mnist", "0" * 64, 101, 20, 7, (1, 6, 6), True, "elsewhere", None),
)


def _jobs(recipe: Recipe) -> list[Job]:
    """One of every kind that a recipe makes."""
    start, trunk = recipe.initial(0), recipe.trunk(0, 4)
    a, b = (recipe.train(trunk, 4, 8, order=recipe.copy_order(0, order)) for order in range(2))
    mask = recipe.prune(a, None, output_layer=True, fraction=0.2)
    fresh = [recipe.fresh_draw(0, 4, trained=trained) for trained in (False, True)]
    measured = [recipe.evaluate(a), recipe.line(a, b, LineOptions(alphas=3), mask), recipe.compare(a, b)]
    return [start, trunk, a, b, mask, *fresh, *measured, recipe.distance(a, b, mask)]


def test_a_recipe_of_random_labels_has_jobs_of_its_own_data() -> None:
    """From the same first weights; all that sees a label differs."""
    ours, other = _jobs(OURS), _jobs(RANDOM_LABELS)
    assert (ours[0], ours[5]) == (other[0], other[5])
    same = {job.stage for job, its in zip(ours, other, strict=True) if job.key == its.key}
    assert same == {"init"}
    for job in ancestry(other).values():
        assert job.params.get("data", {"label_noise": 1.0})["label_noise"] == 1.0


def test_both_can_be_trained_beside_each_other() -> None:
    bench = Bench()
    first, ends = bench[OURS.initial(0)], [bench[recipe.trunk(0, 4)] for recipe in (OURS, RANDOM_LABELS)]
    names = [name for name in first.tensors if name in ends[0].tensors and "shift" not in name]
    assert any(bool((ends[0].tensors[name] != ends[1].tensors[name]).any()) for name in names)


def test_classes_data_and_times_are_the_recipes() -> None:
    for job in ancestry(_jobs(OTHER)).values():
        assert job.params.get("classes", 7) == 7
        assert job.params.get("data", {"digest": "0" * 64})["digest"] == "0" * 64
        assert job.params.get("steps_per_epoch", 11) == 11
    assert (OTHER.per_epoch, OTHER.length, OTHER.iterations(Duration(3, "ep"))) == (11, 22, 33)
    assert (HERE.length, HERE.iterations(Duration(3, "ep"))) == (14, 15)


def test_a_mask_of_one_recipe_may_be_trained_by_another() -> None:
    """What pretraining does: a state made on other labels, trained on by the setting's own recipe."""
    state = RANDOM_LABELS.trunk(0, 4)
    job = OURS.train(state, 4, 8, order=OURS.copy_order(0, 0), optimiser_state="reset")
    noise = [one.params["data"]["label_noise"] for one in ancestry([job]).values() if one.stage == "train"]
    assert noise == [1.0, 0.0]
    assert Bench()[job].tensors


def test_a_setting_tells_of_all_its_recipes() -> None:
    both = replace(HERE, options=OURS.training.schedule, others={"pretraining": OTHER})
    assert both.recipes == {"training": OURS, "pretraining": OTHER}
    assert [data.name for data in both.datasets] == ["digits", "mnist"]
    assert list(both.description) == ["training", "pretraining", "settings", "replicates"]
    assert both.description["pretraining"]["batch"] == 10
    assert both.facts["dataset digest"] == OURS.data.digest
    assert both.facts["pretraining: dataset digest"] == OTHER.data.digest
    assert both.departures == [
        f"dataset digits, digest {OURS.data.digest[:12]}: not verified to be the original",
        "number format fp64 in place of fp32",
        "number format tf32 in place of fp32",
    ]
    assert len(replace(both, others={"pretraining": RANDOM_LABELS}).datasets) == 1


def test_each_recipe_is_made_short_by_its_own_length() -> None:
    long = Recipe(OTHER.training.model_copy(update={"length": Duration(80, "ep")}), OTHER.data)
    asked: TrainingSetting = TrainingSetting(Replicates(initialisations=3), LineOptions(), OURS, {"pretraining": long})
    small = shrunk(asked)
    assert (small.recipe.length, small.others["pretraining"].length) == (14, LENGTH)


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    path = tmp_path / "tiny.yaml"
    path.write_text(instability_text())
    return request(path)


def test_every_datasets_absence_is_told(asked: Request) -> None:
    require_data(asked)
    assert isinstance(asked.setting, TrainingSetting)
    absent = Recipe(OTHER.training, replace(OTHER.data, digest=""))
    both = replace(asked, setting=replace(asked.setting, others={"pretraining": absent}))
    with pytest.raises(DataMissing, match="needs the dataset 'mnist', which is not here"):
        require_data(both)


def test_a_recipe_is_not_changed_by_what_it_makes() -> None:
    before = Training.model_validate_json(OURS.training.model_dump_json())
    Plan.of(_jobs(OURS))
    assert Recipe(before, OURS.data) == OURS
