"""The workflow of continuous integration: it parses, is pinned and harmless, and every command in it exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from harness.cli.app import app
from tests.support import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = re.compile(r"^\s*(?:- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


def commands() -> list[str]:
    """Every line that a step runs."""
    steps = [step for path in WORKFLOWS for job in jobs(path).values() for step in job["steps"]]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines()]


def test_there_is_one_and_it_runs_checks_guard_and_catalogue() -> None:
    assert [path.name for path in WORKFLOWS] == ["check.yml"]
    said = "\n".join(commands())
    for part in ("make check", "harness regress", "harness measure specs/*.yaml", "GITHUB_STEP_SUMMARY"):
        assert part in said


def test_the_guard_goes_first_and_the_gate_comes_after_what_is_kept() -> None:
    """The guard needs an empty store, which the catalogue goes on from; reports are kept whatever the gate says."""
    text = WORKFLOWS[0].read_text()
    order = (
        "harness regress",
        "harness verify",
        "harness measure",
        "GITHUB_STEP_SUMMARY",
        "actions/upload-artifact",
        "harness gate",
    )
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count("!cancelled()") == 6, "nothing after the guard is left out because it alarms"
    stores = re.findall("harness (regress|verify|measure) .*--store (\\S+)", text)
    assert stores == [(name, '"$RUNNER_TEMP/store"') for name in ("regress", "verify", "measure")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit_with_its_version(path: Path) -> None:
    uses = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not ACTION.match(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_workflow_may_only_read(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    for job in jobs(path).values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
        (checkout,) = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
        assert checkout["with"]["persist-credentials"] is False
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = [shlex.split(line)[1] for line in commands() if line.startswith("make ")]
    assert set(used) <= targets
    assert used


def test_every_command_and_option_exists() -> None:
    known = get_command(app).commands
    lines = [shlex.split(line) for line in commands() if line.startswith(".venv/bin/harness ")]
    assert len(lines) == 5
    for _, name, *words in lines:
        options = {option for one in known[name].params for option in one.opts}
        assert {word for word in words if word.startswith("-")} <= options
