"""The guard as a command: baselines made and kept, what it finds in changed code, its files and exit codes."""

import contextlib
import json
import math
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import seeds
from harness.engine import device, optimise
from harness.protocols.common.recipe import Recipe
from harness.regress import files
from tests.support import Place, Said, claim, cli, edited, imp_text, instability_text, quadratic_text

REASON = ("--update", "--reason", "first baseline", "--replicates", "12")


def regress(place: Place, *arguments: str | Path, store: str = "store") -> Said:
    """``harness regress`` in the folder of a place, with a store of its own."""
    where = ["--store", place.root / store, "--baseline", place.root / "baseline", "--report", place.reports]
    return cli("regress", *arguments, *where, "--device", "cpu", "--threads", "1")


def alarms(place: Place) -> dict[str, str]:
    """Comparison -> what JUnit says of it, of those that failed."""
    cases = ET.parse(place.reports / "regress.xml").getroot().iter("testcase")
    return {case.get("name", ""): one.get("message", "") for case in cases for one in case.iter("failure")}


@pytest.fixture(scope="module", autouse=True)
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Specs of all tests lie below it."""
    with contextlib.chdir(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a baseline of two specs."""
    place = Place(tmp_path_factory.mktemp("made"))
    specs = [place.write(instability_text()), place.write(imp_text())]
    assert regress(place, *specs, *REASON).code == 0
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """The same baselines in a folder of the test's own; the specs are the module's."""
    here = Place(tmp_path)
    (tmp_path / "baseline").mkdir()
    for path in (made.root / "baseline").iterdir():
        (tmp_path / "baseline" / path.name).write_bytes(path.read_bytes())
    return here


def test_a_baseline_names_its_spec_from_the_working_folder(made: Place, place: Place) -> None:
    path = files.read(place.root / "baseline" / "tiny.toy.json").path
    assert not Path(path).is_absolute()
    assert (Path.cwd() / path).samefile(made.root / "tiny.yaml")


def test_a_factor_is_kept_by_its_logarithm(tmp_path: Path) -> None:
    """Of what claims judge by the geometric mean, the ratio too; a baseline of values is compared all the same."""
    apart = claim("apart", "l2_distance", expect="{kind: at_least, estimand: geometric_mean, bound: 0.001}")
    nearer = claim(
        "nearer", "l2_distance", "{fork: 10it}", "{kind: less_than, estimand: geometric_mean, than: {fork: 0it}}"
    )
    place = Place(tmp_path)
    path = place.write(instability_text(apart, nearer))
    assert regress(place, path, "--update", "--reason", "first", "--replicates", "3").code == 0
    file = place.root / "baseline" / "tiny.toy.json"
    numbers = files.read(file).content.numbers
    far = numbers["l2_distance at fork=0, further=remaining"]
    (factor,) = [number for name, number in numbers.items() if " over that at fork=0" in name]
    assert far.logarithm
    assert factor.logarithm
    assert 0 < math.exp(factor.mean) < 1, "copies that part later end nearer to each other"
    document = json.loads(file.read_text())
    values = {"mean": 2 * math.exp(far.mean), "sd": 0.002 * math.exp(far.mean), "floor": 0.0, "logarithm": False}
    document["content"]["numbers"]["l2_distance at fork=0, further=remaining"] |= values
    file.write_text(json.dumps(document))
    said = regress(place, path, store="fresh")
    assert said.code == 1, said.out
    (told,) = alarms(place).values()
    assert f"baseline {2 * math.exp(far.mean):.5g}" in told, "twice as far, with a spread of a thousandth"


def test_a_spec_outside_the_working_folder_gets_no_baseline(made: Place, place: Place) -> None:
    with contextlib.chdir(place.root):
        said = regress(place, made.root / "tiny.yaml", *REASON)
    assert said.code == 2
    assert f"{made.root / 'tiny.yaml'} lies outside the working folder {place.root}" in said.err
    assert not place.keys(), "nothing was run"


@pytest.mark.parametrize("more", [(), REASON, ("--update", "--smoke-run", "--reason", "why")], ids=" ".join)
@pytest.mark.parametrize("lacking", ["disk", "memory"])
def test_what_has_no_room_is_refused_before_it_starts(
    made: Place, place: Place, more: tuple[str, ...], lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 1))
    else:
        monkeypatch.setattr(device, "free_bytes", lambda place: 1.0)
    said = regress(place, made.root / "tiny.yaml", *more)
    assert said.code == 2
    words = "error: the results to come take about " if lacking == "disk" else "error: a single replica of "
    assert words in said.err
    assert not place.keys(), "nothing was run"


def test_what_the_smoke_run_leaves_out_is_told_with_the_reason(tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec = place.write(quadratic_text())
    words = "stage valley_walk: not in the smoke run: it trains no network"
    made = regress(place, spec, "--update", "--reason", "first baseline", "--replicates", "2")
    assert words in made.out
    assert words in regress(place, spec, store="fresh").out
    root = ET.parse(place.reports / "regress.xml").getroot()
    assert "stage valley_walk" in {case.get("name") for case in root.iter("testcase")}


def test_unchanged_code_raises_no_alarm(place: Place) -> None:
    said = regress(place, "--first-seed", "50")
    assert said.code == 0
    assert "no alarm in" in said.out
    root = ET.parse(place.reports / "regress.xml").getroot()
    assert (root.get("failures"), root.get("errors")) == ("0", "0")
    assert int(root.get("tests", "0")) == len(list(root.iter("testcase"))) > 40
    assert {suite.get("name") for suite in root} == {"tiny.toy", "tiny_imp.toy"}
    assert "**No alarm in" in (place.reports / "regress.md").read_text()


def test_half_the_learning_rate_is_an_alarm(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = optimise.learning_rates
    halved = lambda schedule, device: rates({**schedule, "rate": schedule["rate"] / 2}, device)  # noqa: E731
    monkeypatch.setattr(optimise, "learning_rates", halved)
    said = regress(place, "--first-seed", "30")
    assert said.code == 1
    assert {"smoke run", "L2, distance of (init) and (train 0it → 40it, copy)"} <= alarms(place).keys()
    assert "since " in (place.reports / "regress.md").read_text()


def test_a_network_of_another_size_is_an_alarm_that_runs_nothing(
    made: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.regress.guard.trainable", lambda training, data: 1211)
    assert regress(place, made.root / "tiny.yaml").code == 1
    assert "1,211, baseline 1,210" in alarms(place)["trainable parameters"]
    assert not place.keys()


def test_a_breach_of_an_invariant_is_an_error(made: Place, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = seeds.stream
    monkeypatch.setattr(seeds, "stream", lambda *labels: kept("order") if labels[0] == "order" else kept(*labels))
    assert regress(place, made.root / "tiny.yaml").code == 3
    root = ET.parse(place.reports / "regress.xml").getroot()
    assert int(root.get("errors", "0")) > 0
    assert "share their data order" in (place.reports / "regress.xml").read_text()


@pytest.mark.parametrize(("modified", "code", "words"), [(False, 0, "not run anew"), (True, 3, "fresh --store")])
def test_results_from_the_store_count_only_if_this_code_made_them(
    modified: bool, code: int, words: str, made: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.jobs.provenance._code", lambda *_: {"revision": "a" * 40, "modified": modified})
    spec = made.root / "tiny.yaml"
    assert regress(place, spec).code == 0
    again = regress(place, spec)
    assert again.code == code
    assert words in " ".join(again.out.split())


def test_a_smoke_run_that_other_libraries_made_is_no_fresh_one(
    made: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.jobs.provenance._code", lambda *_: {"revision": "a" * 40, "modified": False})
    spec = made.root / "tiny.yaml"
    assert regress(place, spec).code == 0
    monkeypatch.setattr("harness.jobs.provenance._version", lambda _: "0.0")
    again = regress(place, spec, "--first-seed", "1000")
    assert again.code == 3
    assert "its libraries are others" in " ".join(again.out.split())


def test_a_baseline_from_another_version_of_the_spec(made: Place, place: Place) -> None:
    spec = place.write(edited(instability_text(), "batch: 50", "batch: 40"))
    said = regress(place, spec)
    assert said.code == 2
    for part in ("another version of this spec", "setting.training.batch: was 50, is 40", "--update --reason"):
        assert part in said.err
    assert not place.keys(), "nothing was run"


def test_a_baseline_whose_spec_is_gone_is_named(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    (place.reports).mkdir(exist_ok=True)
    (place.reports / "regress.md").write_text("**No alarm**")
    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")):
        said = regress(place)
    assert said.code == 2
    assert "tiny.toy.json: it is the baseline of" in said.err
    assert "which is not here" in said.err
    assert not (place.reports / "regress.md").exists(), "what an earlier run found is no answer to this one"


def test_an_update_keeps_the_history(made: Place, place: Place) -> None:
    spec = place.write(edited(instability_text(), "batch: 50", "batch: 40"))
    said = regress(place, spec, "--update", "--reason", "smaller batches", "--replicates", "2")
    assert said.code == 0
    kept = files.read(place.root / "baseline" / "tiny.toy.json")
    assert [entry.reason for entry in kept.history] == ["first baseline", "smaller batches"]
    assert kept.content.initialisations == 2
    assert regress(place, spec, store="fresh").code == 0


def test_an_update_of_the_smoke_run_leaves_the_rest(made: Place, place: Place) -> None:
    path = place.root / "baseline" / "tiny.toy.json"
    before = files.read(path)
    stale = before.content.model_copy(update={"rehearsal": {"norm of weights, init": 0.0}})
    files.write(before.model_copy(update={"content": stale}), path.parent)
    said = regress(place, made.root / "tiny.yaml", "--update", "--smoke-run", "--reason", "looks more closely")
    assert said.code == 0
    after = files.read(path)
    assert after.content == before.content
    assert [entry.reason for entry in after.history][-1] == "The smoke run alone: looks more closely"
    other = place.write(edited(instability_text(), "batch: 50", "batch: 40"))
    assert regress(place, other, "--update", "--rehearsal", "--reason", "x", store="other").code == 2


def test_a_plan_that_breaches_an_invariant_is_an_error(
    made: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recipe, "copy_order", staticmethod(lambda seed, order: f"copy/{order}"))
    assert regress(place, made.root / "tiny.yaml").code == 3
    assert "share the order" in (place.reports / "regress.xml").read_text()
    assert not place.keys()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--smoke-run",), "give --update"),
        (("--rehearsal",), "give --update"),
        (("--update",), "needs its reason"),
        (("--update", "--reason", " "), "needs its reason"),
        (("--reason", "x"), "give --update"),
        (("--update", "--reason", "x", "--replicates", "1"), "at least 2"),
        (("--scale", "paper"), "no baseline of the scale 'paper'"),
    ],
)
def test_wrong_requests(arguments: tuple[str, ...], part: str, place: Place) -> None:
    said = regress(place, *arguments)
    assert said.code == 2
    assert part in said.err


def test_a_spec_without_a_baseline_says_how_to_make_one(place: Place) -> None:
    said = regress(place, place.write(instability_text(claim(), identity="other")))
    assert said.code == 2
    assert "there is no baseline" in said.err
    assert "--update --reason" in said.err


def test_a_malformed_baseline_names_file_and_field(place: Place) -> None:
    path = place.root / "baseline" / "tiny.toy.json"
    value = json.loads(path.read_text())
    del value["content"]["facts"]
    path.write_text(json.dumps(value))
    said = regress(place)
    assert said.code == 2
    assert "tiny.toy.json: content.facts: Field required" in said.err.replace("\n", "")
