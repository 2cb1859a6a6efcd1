"""Probes of ``train`` jobs: the parameter, the table, the same training with and without them, and after a kill."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import stages
from harness.engine.networks.build import build
from harness.engine.networks.initialise import kernels
from harness.engine.state import WEIGHT
from harness.errors import InvariantBroken, TrainingDiverged
from harness.execution import checkpoint as checkpoints
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.measure.hindsight import LOOKS
from harness.measure.training import MEASURES
from harness.protocols.common.setting import TrainingSetting
from harness.stages import probes
from harness.stages.probes import VERSIONS, probed
from harness.stages.products import product_of, read_table
from tests.stages.bench import TINY_LENET, Bench, same, setting
from tests.stages.test_train import Killed, Killer, contents, copy_job, execute_here, group_targets, saved, state_job
from tests.support import ROOT

STAGE = stages.find("train")
ALL = sorted(VERSIONS)


def job(**more: Any) -> Job:
    here = setting()
    return copy_job(here, state_job(here), 6, 14, **more)


def measured(target: Job, steps: Iterable[int] = (6, 9, 13), measures: Iterable[str] = ALL) -> Job:
    return probed(target, steps, measures)


def probed_group() -> list[Job]:
    """The group of ``group_targets``; probed at other steps for other measures, the last not, one in two snapshots."""
    first, second, third, *others = group_targets(setting())
    return [
        measured(first, range(6, 14)),
        measured(second, [7, 12], ["weight_norm", "error_on_test"]),
        measured(third, [8], ["loss"]),
        *others,
    ]


def test_a_job_without_probes_has_no_such_parameter() -> None:
    assert "probes" not in job().params
    assert product_of(job()).columns == {}


def test_probes_have_one_form_and_so_one_key() -> None:
    one, other = (
        measured(job(), [9, 6, 9], ["loss", "gradient_norm"]),
        measured(job(), [6, 9], ["gradient_norm", "loss"]),
    )
    assert one.key == other.key != job().key
    assert one.params["probes"] == {"steps": [6, 9], "measures": {"gradient_norm": 1, "loss": 1}}
    assert measured(one, [7], ["loss"]).params["probes"] == {"steps": [7], "measures": {"loss": 1}}


def test_the_version_of_a_measure_is_in_the_keys_of_those_that_record_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: measured(job(), [7], [name]) for name in ALL}
    monkeypatch.setattr(probes, "VERSIONS", {**VERSIONS, "gradient_norm": 2})
    after = {name: measured(job(), [7], [name]) for name in ALL}
    assert [name for name in ALL if after[name].key != before[name].key] == ["gradient_norm"]
    with pytest.raises(InvariantBroken, match=r"measures \{'gradient_norm': 1\}, where \{'gradient_norm': 2\}, each"):
        Bench()[before["gradient_norm"]]


def test_a_probed_training_is_a_snapshot_of_the_same_run() -> None:
    assert measured(job()).trajectory == job().trajectory
    assert STAGE.fuse(measured(job())) == STAGE.fuse(job())
    assert STAGE.cost(measured(job())) == STAGE.cost(job())
    assert STAGE.effort(measured(job())).memory_bytes > STAGE.effort(job()).memory_bytes


@pytest.mark.parametrize(
    ("steps", "measures", "words"),
    [
        ([], ["loss"], "without steps or without measures"),
        ([7], [], "without steps or without measures"),
        (
            [7],
            ["los"],
            "probed for 'los', which is no measure: use cosine_with_end, cosine_with_start, distance_from_start, ",
        ),
        ([5], ["loss"], r"at step 5, and makes the steps 6 to 13"),
        ([7, 14], ["loss"], r"at step 14, and makes the steps 6 to 13"),
    ],
)
def test_probes_that_cannot_be_are_refused(steps: list[int], measures: list[str], words: str) -> None:
    with pytest.raises(InvariantBroken, match=words):
        measured(job(), steps, measures)


@pytest.mark.parametrize(
    ("steps", "measures", "words"),
    [
        ([9, 7], {"loss": 1}, "whose steps are not in order, each once: they would have two keys"),
        ([7, 9], ["loss"], r"measures \['loss'\], where \{'loss': 1\}, each with its version, are due: make such jobs"),
    ],
)
def test_probes_in_another_form_are_refused_where_they_would_run(steps: list[int], measures: Any, words: str) -> None:
    plain = job()
    disorderly = Job("train", {**plain.params, "probes": {"steps": steps, "measures": measures}}, plain.inputs)
    with pytest.raises(InvariantBroken, match=words):
        Bench()[disorderly]


def test_the_table_of_stages_describes_the_table() -> None:
    described = product_of(measured(job(), [7, 9], ["loss", "weight_norm"]))
    assert set(described.columns) == {"step", "loss", "weight_norm"}
    assert described.rows == 2


def test_replicas_with_different_probes_have_the_bits_of_those_without() -> None:
    bench = Bench()
    results = bench.together(*probed_group())
    for result, plain in zip(results, bench.together(*group_targets(setting())), strict=True):
        assert isinstance(result, Artifact)
        assert isinstance(plain, Artifact)
        assert same(result, plain)
        assert result.witness == plain.witness
        assert plain.table == {}
    tables = [result.table for result in results if isinstance(result, Artifact)]
    assert [list(table) for table in tables] == [
        ["step", *ALL],
        ["step", "error_on_test", "weight_norm"],
        ["step", "loss"],
        [],
        [],
    ]
    assert tables[0]["step"] == list(range(6, 14))
    assert tables[0]["loss"][2] == tables[2]["loss"][0], "of one run"
    assert tables[0]["distance_from_start"][0] == 0.0 < min(tables[0]["distance_from_start"][1:])


def test_two_snapshots_of_a_run_are_trained_once_whatever_they_record() -> None:
    bench = Bench()
    assert bench[state_job(setting())]
    bench.advanced = 0
    bench.together(job(), measured(job()), measured(job(), [7], ["loss"]))
    assert bench.advanced == 8


def test_a_norm_is_that_of_the_state_at_its_step() -> None:
    here, bench = setting(), Bench()
    at_nine = bench[copy_job(here, state_job(here), 6, 9)]
    weights = torch.cat([value.flatten() for name, value in at_nine.tensors.items() if name.startswith(WEIGHT)])
    (norm,) = bench[measured(job(), [9], ["weight_norm"])].table["weight_norm"]
    assert norm == pytest.approx(float(weights.norm()), rel=1e-12)


def test_a_probed_training_that_diverges_is_told_as_any_other() -> None:
    here, bench = setting(TINY_LENET), Bench()
    bad = state_job(here)
    bench.plant(bad, {WEIGHT + "output.bias": torch.full((3,), float("inf"), dtype=torch.float64)})
    target = copy_job(here, bad, 6, 9)
    (result,) = bench.together(measured(target, [6, 8]))
    assert isinstance(result, TrainingDiverged)
    assert str(result) == str(bench.together(target)[0]).replace(repr(target), repr(measured(target, [6, 8])))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    root, counter = tmp_path_factory.mktemp("probed"), Killer(-1, "train x")
    assert not execute_here(probed_group(), root, counter).failed
    return contents(root), counter.calls


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_killed_run_goes_on_with_the_rows_so_far(
    share: float, tmp_path: Path, undisturbed: tuple[dict[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    expected, calls = undisturbed
    with pytest.raises(Killed):
        execute_here(probed_group(), tmp_path, Killer(round(share * calls), "train x"))
    assert saved(tmp_path)
    run = execute_here(probed_group(), tmp_path)
    assert (run.failed, contents(tmp_path)) == ({}, expected)
    assert not list((tmp_path / "progress").iterdir())


def test_what_is_recorded_lies_beside_the_tensors_of_a_training_without(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]
) -> None:
    plain = group_targets(setting())
    assert not execute_here(plain, tmp_path).failed
    there = contents(tmp_path)
    for without, having in zip(plain, probed_group(), strict=True):
        name = "tensors.safetensors"
        assert there[f"{without.key}/{name}"] == undisturbed[0][f"{having.key}/{name}"]


def test_a_probed_job_is_read_from_the_store_by_its_description(tmp_path: Path) -> None:
    target = measured(job(), [7, 9], ["loss"])
    assert not execute_here([target], tmp_path).failed
    table = read_table(Store(tmp_path), target)
    assert table["step"] == [7, 9]
    assert all(0 < value < 10 for value in table["loss"])
    assert Plan.of([target]).missing(Store(tmp_path).has) == {}


def test_the_example_of_the_docs_is_one() -> None:
    text = (ROOT / "docs" / "probes.md").read_text()
    (line,) = (line.strip() for line in text.splitlines() if line.startswith("    probed("))
    recipe = setting().recipe
    start = recipe.initial(0)
    found = eval(line, {"probed": probed, "recipe": recipe, "start": start})
    training = recipe.train(start, 0, 2000, order="trunk/0")
    assert found == measured(training, range(0, 2000, 10), ["loss", "gradient_norm"])


def test_every_measure_is_a_function_of_its_name_that_says_its_unit() -> None:
    assert {**MEASURES, **LOOKS}.keys() == VERSIONS.keys()
    assert not MEASURES.keys() & LOOKS.keys()
    for name, measure in {**MEASURES, **LOOKS}.items():
        words = str(measure.__doc__)
        assert measure.__name__ == name
        assert any(unit in words for unit in ("nats", "units of weight", "percent", "%", "Cosine"))


def test_the_trunk_of_copies_can_be_probed() -> None:
    """A state that a probed job gives is as good as any."""
    here, bench = setting(), Bench()
    trunk = probed(state_job(here), [0, 5], ["loss"])
    ends = [bench[here.recipe.train(state, 6, 9, order="copy/0/0")] for state in (trunk, state_job(here))]
    assert same(*ends)


def flat(artifact: Artifact, here: TrainingSetting) -> torch.Tensor:
    """The weights of a state in the network's own order."""
    order = build(here.recipe.training.network.model_dump(mode="json"), here.recipe.data.shape, 3).parameters
    return torch.cat([artifact.tensors[WEIGHT + name].flatten() for name in order])


def test_hindsight_is_what_jobs_of_the_same_states_say() -> None:
    """The test set of a state as ``evaluate`` has it; the way to the end as ``distance`` has it."""
    here, bench = setting(), Bench()
    table = bench[measured(job(), [7, 12])].table
    for row, step in enumerate((7, 12)):
        state = copy_job(here, state_job(here), 6, step)
        scores = bench[here.recipe.evaluate(state)].table
        assert (table["error_on_test"][row], table["loss_on_test"][row]) == (scores["error"][0], scores["loss"][0])
        way = bench[here.recipe.distance(state, job())].table
        assert table["distance_to_end"][row] == pytest.approx(way["l2"][0], rel=1e-12)
        assert table["cosine_with_end"][row] == pytest.approx(1 - way["cosine"][0], rel=1e-12)
    alone = bench[measured(job(), [7], ["distance_to_end"])].table
    assert alone == {"step": [7], "distance_to_end": table["distance_to_end"][:1]}


def test_single_weights_are_chosen_by_a_seed_among_those_of_layers() -> None:
    here, bench = setting(), Bench()
    one = bench[probed(job(), [8], ["loss"], weights=4, weights_seed=1)].table
    assert list(one) == ["step", "loss", "weight_0", "weight_1", "weight_2", "weight_3"]
    state = flat(bench[copy_job(here, state_job(here), 6, 8)], here)
    places = [int((state == one[f"weight_{number}"][0]).nonzero()[0, 0]) for number in range(4)]
    network = build(here.recipe.training.network.model_dump(mode="json"), here.recipe.data.shape, 3)
    assert len(set(places)) == 4
    assert all(kernels(network)[place] for place in places)
    fewer = bench[probed(job(), [8], ["loss"], weights=2, weights_seed=1)].table
    assert [fewer[name] for name in ("weight_0", "weight_1")] == [one[name] for name in ("weight_0", "weight_1")]
    assert bench[probed(job(), [8], ["loss"], weights=4, weights_seed=2)].table["weight_0"] != one["weight_0"]


def test_more_single_weights_than_there_are_are_refused() -> None:
    with pytest.raises(InvariantBroken, match=r"100,000 single weights are to be recorded of a network that has \d+"):
        Bench()[probed(job(), [8], ["loss"], weights=100_000)]


def test_two_choices_of_single_weights_are_of_one_run() -> None:
    bench = Bench()
    targets = [probed(job(), steps, ["loss"], weights=2, weights_seed=seed) for seed, steps in enumerate(([8, 9], [9]))]
    together = bench.together(*targets)
    for target, result in zip(targets, together, strict=True):
        assert isinstance(result, Artifact)
        assert result.table == bench[target].table


def test_states_are_kept_for_hindsight_alone() -> None:
    now, later = measured(job(), [7, 9], sorted(MEASURES)), measured(job(), [7, 9], sorted(LOOKS))
    assert [probes.states_kept(each.params) for each in (job(), now, later)] == [0, 0, 2]
    assert [probes.evaluations(each.params) for each in (job(), now, later)] == [0, 0, 2]
    assert probes.evaluations(measured(job(), [7], ["distance_to_end"]).params) == 0
    assert STAGE.effort(later).operations > STAGE.effort(now).operations == STAGE.effort(job()).operations
