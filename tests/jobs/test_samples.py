"""Samples of stages: every one has a job, or whoever adds it is told where to put one."""

import pytest

from harness.jobs.stage_row import Row
from harness.jobs.stages import OWN
from tests.jobs import samples
from tests.support import SPECS


def test_a_stage_of_no_sample_is_found_in_the_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    known = samples.jobs_of_every_stage()
    without = {stage: job for stage, job in known.items() if stage != "train"}
    monkeypatch.setattr(samples, "_samples", lambda: without)
    assert samples.jobs_of_every_stage.__wrapped__().keys() == known.keys()


def test_a_new_stage_that_no_spec_asks_for_is_told_with_the_place_for_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "OWN", (Row(name="new_stage", version=1, fingerprint="means of columns"), *OWN))
    monkeypatch.setattr(samples, "SPECS", SPECS[:1])
    with pytest.raises(
        LookupError, match=r"no spec in specs/ has a job of the stage 'new_stage', .* tests/jobs/samples"
    ):
        samples.jobs_of_every_stage.__wrapped__()
