"""Keys of jobs: pinned, canonical, and of nothing but what decides a result."""

import hashlib
import json
import math
from dataclasses import replace

import pytest

from harness.jobs import job as module
from harness.jobs.job import Job, ancestry, canonical
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Row
from harness.jobs.stages import OWN, row
from tests.golden.bless import golden
from tests.jobs.samples import jobs_of_every_stage


@pytest.mark.parametrize("stage", OWN, ids=lambda stage: stage.name)
def test_keys_are_the_blessed_ones(stage: Row) -> None:
    """A changed key makes every store forget its results of this stage and of all that rest on it."""
    assert jobs_of_every_stage()[stage.name].key == golden("samples.json").get(stage.name), (
        f"a job of the stage {stage.name!r} has another key, so that stores have no results for it: run `make bless` "
        "and read its diff; raise the version in harness/jobs/stages.py if the meaning changed"
    )


def test_a_key_is_the_hash_of_the_description() -> None:
    start = Job("init", {"seed": 1})
    one = Job("shuffle", {"b": [1, 2.5], "a": "é"}, {"state": start})
    text = '{"inputs":{"state":"' + start.key + '"},"params":{"a":"\\u00e9","b":[1,2.5]},"stage":"shuffle","version":1}'
    assert one.key == hashlib.sha256(text.encode()).hexdigest()


def test_order_of_params_and_inputs_and_kind_of_sequence_do_not_matter() -> None:
    a, b = Job("init", {"seed": 1}), Job("init", {"seed": 2})
    one = Job("line", {"x": 1, "y": (1, 2)}, {"a": a, "b": b})
    other = Job("line", {"y": [1, 2], "x": 1}, {"b": b, "a": a})
    assert one.key == other.key
    assert one == other
    assert len({one, other}) == 1


def test_everything_that_decides_a_result_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = Job("init", {"seed": 1}), Job("init", {"seed": 2})
    jobs = [
        Job("line", {"x": 1}, {"a": a, "b": b}),
        Job("line", {"x": 2}, {"a": a, "b": b}),
        Job("line", {"x": "1"}, {"a": a, "b": b}),
        Job("line", {"x": 1, "y": None}, {"a": a, "b": b}),
        Job("line", {"x": 1}, {"a": b, "b": a}),
        Job("line", {"x": 1}, {"a": a}),
        Job("compare", {"x": 1}, {"a": a, "b": b}),
    ]
    keys = {job.key for job in jobs}
    assert len(keys) == len(jobs)
    _raise_version(monkeypatch, "line")
    assert Job("line", {"x": 1}, {"a": a, "b": b}).key not in keys
    _raise_version(monkeypatch, "init")
    fresh = [Job("init", {"seed": seed}) for seed in (1, 2)]
    assert Job("line", {"x": 1}, {"a": fresh[0], "b": fresh[1]}).key not in keys  # a new input is a new job


def test_only_what_the_stages_row_names_makes_two_jobs_snapshots_of_one_run() -> None:
    """A density's ``probes`` are its random directions: other jobs may have a parameter of a training's name."""
    few, many = (Job("density", {"probes": probes, "seed": "lanczos/0"}) for probes in (8, 64))
    assert few.trajectory != many.trajectory
    assert Plan.of([few]).with_snapshots_of(Plan.of([many])).targets == [few]
    short, long = (Job("train", {"start": 0, "stop": stop, "order": "trunk/0"}) for stop in (5, 9))
    assert short.trajectory == long.trajectory
    assert Plan.of([long]).with_snapshots_of(Plan.of([short])).targets == [long, short]


def _raise_version(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.setattr(module, "row", lambda name: replace(row(name), version=1 + (name == stage)))


def test_a_key_never_changes_once_asked_for() -> None:
    params = {"x": [1]}
    one = Job("init", params)
    key = one.key
    params["x"].append(2)
    assert one.key == key
    assert one.description["params"] == {"x": [1]}


def test_numbers_that_are_not_finite_have_no_key() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            assert Job("init", {"x": value}).key


def test_canonical_text() -> None:
    assert (
        canonical({"b": [1, 0.1, 1e-8], "a": {"d": None, "c": True}}) == '{"a":{"c":true,"d":null},"b":[1,0.1,1e-08]}'
    )
    assert json.loads(canonical({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2


def test_a_job_is_not_equal_to_other_things() -> None:
    one = Job("init", {})
    assert one != one.key
    assert repr(one) == f"init:{one.key[:12]}"


def test_ancestry_lists_inputs_first_and_each_job_once() -> None:
    jobs = jobs_of_every_stage()
    found = ancestry(
        [jobs["line"], jobs["distance"], jobs["init"], Job("line", jobs["line"].params, jobs["line"].inputs)]
    )
    places = {key: place for place, key in enumerate(found)}
    assert len(found) == 7  # init, trunk, two copies, line, mask, distance
    for key, job in found.items():
        assert key == job.key
        assert all(places[given.key] < places[key] for given in job.inputs.values())


def test_ancestry_of_a_long_chain_needs_no_recursion() -> None:
    job = Job("init", {})
    for step in range(3000):
        job = Job("train", {"step": step}, {"state": job})
        assert job.key
    assert len(ancestry([job])) == 3001
