"""Packages outside that cannot be used: an error in words that names the package, for every command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.jobs.outside import packages
from harness.jobs.stages import rows
from harness.protocols import protocols
from tests.plugin.lab import forget, installed
from tests.support import ROOT, cli

GOOD = """
from harness.jobs.stage_row import PERCENT, Counted, Row
from harness.protocols.common.base import Experiment

class Own(Experiment):
    name = "own"

PROTOCOL = Own()
"""
ROW = 'Row(name="own_stage", version=1, fingerprint="means of columns", module="lab_x.stage")'
COUNTED = ROW.replace("module=", "columns={'error': PERCENT}, counted=Counted('error', by='answers'), module=")

BROKEN = {
    "does not import": ("import torch_of_tomorrow", "cannot be imported: ModuleNotFoundError: No module named"),
    "raises": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    "exports nothing": ("", "has no PROTOCOL: it must be a folder, a package, that exports its experiment"),
    "exports a class": (GOOD.replace("Own()", "Own"), "where an instance of a named subclass of"),
    "has no name": (GOOD.replace('name = "own"', "pass"), "where an instance of a named subclass of"),
    "takes a name": (GOOD.replace('"own"', '"imp"'), "brings the experiment 'imp', which the harness has already"),
    "takes a stage": (
        f"{GOOD}STAGES = [{ROW.replace('own_stage', 'train')}]",
        "brings the stage 'train', which the harness has already: give it another name",
    ),
    "brings a word": (
        f"{GOOD}STAGES = ['own_stage']",
        "its STAGES hold 'own_stage', where harness.jobs.stage_row.Row(...)",
    ),
    "names no module": (
        f"{GOOD}STAGES = [{ROW.replace(', module=', ', closely=')}]",
        "with the module that has its STAGE",
    ),
    "names a module of another package": (
        f"{GOOD}STAGES = [{ROW.replace('lab_x.stage', 'lab_xy.stage')}]",
        "brings the stage 'own_stage' from the module 'lab_xy.stage', whose sources are not its own, so that a change "
        "of them would not be seen: name lab_x or a module below it. Mend or uninstall the package",
    ),
    "names a module of the harness": (
        f"{GOOD}STAGES = [{ROW.replace('lab_x.stage', 'harness.stages.loss')}]",
        "from the module 'harness.stages.loss', whose sources are not its own",
    ),
    "counts by a stage that is not there": (
        f"{GOOD}STAGES = [{COUNTED.replace('answers', 'answer')}]",
        "its stage 'own_stage' has counted=Counted(column='error', by='answer'), but there is no stage 'answer': name "
        "as by the stage that tells the examples one by one. Mend or uninstall the package",
    ),
    "counts a column that it has not": (
        f"{GOOD}STAGES = [{COUNTED.replace('columns={', 'columns={}, also={')}]",
        "its stage 'own_stage' has counted=Counted(column='error', by='answers'), but its columns are none: name one "
        "of them as column",
    ),
    "says nothing of the guard": (
        f"{GOOD}STAGES = [{ROW.replace('fingerprint=', 'unguarded=').replace('means of columns', '')}]",
        "stage 'own_stage': give either fingerprint or closely",
    ),
}


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    forget("lab_x", "lab_y")
    yield
    forget("lab_x", "lab_y")


@pytest.mark.parametrize("how", BROKEN)
def test_it_is_told_in_words(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, words = BROKEN[how]
    monkeypatch.syspath_prepend(installed(tmp_path, "lab_x", text))
    said = cli("list", ROOT / "specs")
    assert said.code == 3
    told = " ".join(said.err.split())
    assert "the package lab_x (lab_x 1.0)" in told
    assert " ".join(words.split()) in told


@pytest.mark.parametrize("what", ["experiment", "stage"])
def test_two_packages_with_one_name_are_both_named(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{GOOD}STAGES = [{ROW}]"
    monkeypatch.syspath_prepend(installed(tmp_path / "x", "lab_x", text))
    other = text.replace('"own"', '"other"') if what == "stage" else text.replace("own_stage", "other_stage")
    other = other.replace("lab_x.stage", "lab_y.stage")
    monkeypatch.syspath_prepend(installed(tmp_path / "y", "lab_y", other))
    told = " ".join(cli("list", ROOT / "specs").err.split())
    assert f"the package lab_y (lab_y 1.0) brings the {what} 'own" in told
    assert "which the package lab_x (lab_x 1.0) has already" in told


def test_a_good_one_is_found_with_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path, "lab_x", f"{GOOD}STAGES = [{ROW}]"))
    assert "own" in protocols()
    assert rows()["own_stage"].place == "lab_x.stage"
    (package,) = packages()
    before = package.digest
    (package.folder / "stage.py").write_text("STAGE = None\n")
    assert package.digest != before


def test_a_stage_may_lie_in_the_package_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path, "lab_x", f"{GOOD}STAGES = [{ROW.replace('lab_x.stage', 'lab_x')}]"))
    assert rows()["own_stage"].place == "lab_x"


def test_what_it_counts_may_be_told_by_a_stage_that_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = f"[{COUNTED.replace('answers', 'own_answers')}, {ROW.replace('own_stage', 'own_answers')}]"
    monkeypatch.syspath_prepend(installed(tmp_path, "lab_x", f"{GOOD}STAGES = {stages}"))
    counted = rows()["own_stage"].counted
    assert counted is not None
    assert rows()[counted.by].place == "lab_x.stage"
