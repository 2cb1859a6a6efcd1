"""Every command: what it prints, to which stream, with which exit code; wrong requests are told in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from harness.protocols import protocols
from harness.schema.document import read
from tests.support import ROOT, SPECS, Place, claim, cli, edited, imp_text, instability_text

PAPER = ROOT / "specs" / "lenet_stability.yaml"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_validate_names_every_shipped_spec() -> None:
    said = cli("validate", *SPECS)
    assert said.code == 0
    assert all(path.name in said.out.replace("\n", "") for path in SPECS)


def test_list_names_specs_claims_and_protocols() -> None:
    said = cli("list", ROOT / "specs")
    assert said.code == 0
    assert "stable_at_initialisation" in said.out
    assert f"protocols: {', '.join(sorted(protocols()))}" in " ".join(said.out.split())


def test_list_as_json() -> None:
    rows = cli("list", ROOT / "specs", "--json").json
    assert [Path(row["path"]) for row in rows] == [path for path in SPECS if path.parent == ROOT / "specs"]
    assert all(row["claims"] and "paper" in row["scales"] for row in rows)


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_plan_tells_jobs_and_missing_data(scale: str, place: Place) -> None:
    where = ["--store", str(place.store), "--data", str(place.root / "data"), "--device", "cpu", "--threads", "1"]
    said = cli("plan", *SPECS, "--scale", scale, *where)
    assert said.code == 0
    assert said.out.count("0% cached") == len(SPECS) + 1  # and all together
    assert ("harness data import" in said.out) == (scale == "paper")
    rows = cli("plan", *SPECS[::5], "--scale", scale, *where, "--json").json  # all take a minute
    assert all(row["seconds"] > 0 and row["disk_bytes"] > 0 for row in rows)
    assert all((row["iterations"] > 0) == ("train" in row["jobs"]) for row in rows)
    assert not place.store.exists(), "a plan leaves no trace"


def test_a_number_format_that_the_device_lacks_is_refused_before_anything_runs(place: Place) -> None:
    spec = place.write(edited(instability_text(), "      batch: 50\n", "      batch: 50\n      precision: tf32\n"))
    said = cli("verify", spec, "--store", place.store, "--report", place.reports, "--device", "cpu")
    assert said.code == 2
    told = " ".join(said.err.split())
    assert (
        f"{spec}: scales.toy.training.precision: found tf32, a format of CUDA's tensor cores, and cpu has none" in told
    )
    assert not place.store.exists()
    said = cli("report", spec, "--store", place.store, "--report", place.reports)
    assert "are not in the store" in " ".join(said.err.split()), (
        "a report computes nothing, so any machine can write it"
    )


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (
            "{name: vgg, widths: [2, 2, 2, 2], convolutions: [1, 1, 1, 1]}",
            "this network cannot take the dataset's images",
        ),
        (
            "{name: vgg, widths: [2, 2], convolutions: [1]}",
            "widths are of 2 stages, convolutions of 1: give one for each",
        ),
        ("{name: vgg, widths: [2], convolutions: [1], last_pooling: sum}", "'max' or 'mean'"),
    ],
    ids=["deep", "lengths", "pooling"],
)
def test_a_vgg_that_cannot_be_is_refused_with_its_field(network: str, told: str, place: Place) -> None:
    """Images of digits have 8 x 8 pixels: they can be halved three times."""
    said = cli(
        "plan", place.write(edited(instability_text(), "{name: lenet, hidden: [16]}", network)), "--device", "cpu"
    )
    assert said.code == 2
    assert "scales.toy.training.network" in said.err
    assert told in " ".join(said.err.split())


def test_plan_counts_shared_jobs_once(place: Place) -> None:
    first, second = (place.write(instability_text(identity=name)) for name in ("first", "second"))
    rows = cli("plan", first, second, "--store", place.store, "--device", "cpu", "--json").json
    assert [row["spec"] for row in rows] == ["first", "second", None]
    assert rows[0]["jobs"] == rows[1]["jobs"] == rows[2]["jobs"]
    assert rows[2]["iterations"] == rows[0]["iterations"]
    together = sum(needed for needed, _ in rows[2]["jobs"].values())
    assert f"{together:,} of {2 * together:,} jobs are shared" in rows[2]["note"]


def test_plan_tells_how_many_claims_its_replicates_never_decide(place: Place) -> None:
    expectations = ("{kind: at_most, estimand: median, bound: 2.0}", "{kind: at_most, estimand: mean, bound: 2.0}")
    spec = place.write(instability_text(*(claim(f"c{n}", expect=expect) for n, expect in enumerate(expectations))))
    options = ("--store", place.store, "--device", "cpu", "--json")
    (few,), (enough,) = (cli("plan", spec, "--replicates", n, *options).json for n in "45")
    assert few["note"] == "4 initialisations never decide the 1 claim about a median: --replicates 5 can"
    assert enough["note"] == ""


def test_plan_counts_what_is_there(place: Place) -> None:
    spec = place.write(instability_text())
    assert place.verify(spec).code == 0
    (row,) = cli("plan", spec, "--store", place.store, "--device", "cpu", "--threads", "1", "--json").json
    assert all(needed == found for needed, found in row["jobs"].values())
    assert row["iterations"] == row["seconds"] == row["disk_bytes"] == 0


def test_more_replicates_cost_more(tmp_path: Path) -> None:
    one, two = (
        cli(
            *("plan", PAPER, "--scale", "paper", "--device", "cpu", "--replicates", n, "--json"),
            *("--store", tmp_path / "none"),
        ).json[0]
        for n in "36"
    )
    assert two["iterations"] == 2 * one["iterations"]
    computing = [row["seconds"] - row["start"] for row in (one, two)]
    assert 1.5 * computing[0] < computing[1] < 2 * computing[0], "kernels that replicas share are started once"


def test_schema_is_json_and_names_the_settings_of_all_protocols() -> None:
    schema = cli("schema").json
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"Scale", "Claim", "Iterative", "LineOptions"} <= schema["$defs"].keys()
    assert len(schema["$defs"]["Scale"]["properties"]["settings"]["anyOf"]) == len(protocols())


def test_schema_accepts_what_is_shipped_and_refuses_a_typing_error() -> None:
    validator = jsonschema.Draft202012Validator(cli("schema").json)
    for path in SPECS:
        value = read(path).value
        assert list(validator.iter_errors(value)) == []
        assert list(validator.iter_errors({**value, "titel": "x"}))


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    text = cli("schema").out
    defined = json.loads(text)["$defs"]
    wanted = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert wanted <= defined.keys()


def test_doctor_tells_versions_data_and_room(place: Place) -> None:
    said = cli("doctor", "--store", place.store, "--data", place.root)
    assert said.code == 0
    for word in ("python", "torch", "CUDA devices", "dataset digits: here", "dataset mnist: not here", "GiB free"):
        assert word in said.out


def test_data_list_tells_what_is_here(tmp_path: Path) -> None:
    said = cli("data", "list", "--data", tmp_path)
    assert said.code == 0
    assert "digits: 1,400 training and 397 test images" in said.out
    assert "mnist: not here" in said.out
    assert "cifar10: not here" in said.out
    assert "imagenet: not here" in said.out


IMAGENET = sorted(path for path in (ROOT / "specs" / "pilot").glob("*.yaml") if "name: imagenet" in path.read_text())


def test_what_needs_imagenet_plans_and_forecasts_and_says_what_is_missing(tmp_path: Path) -> None:
    said = cli("plan", *IMAGENET, "--scale", "paper", "--data", tmp_path, "--store", tmp_path / "store", "--json")
    assert said.code == 0
    rows = [row for row in json.loads(said.out) if row["spec"]]
    assert [row["spec"] for row in rows] == [path.stem for path in IMAGENET]
    assert len(rows) == 4
    for row in rows:
        assert "The dataset imagenet is not here yet: the harness plans and forecasts" in row["note"]
        assert row["iterations"] > 10**6
        assert row["seconds"] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", IMAGENET[0], "--scale", "paper"),
        ("data", "import", "imagenet", "x"),
        ("data", "download", "imagenet"),
    ],
)
def test_what_runs_only_with_imagenet_is_refused_in_words(arguments: tuple[str | Path, ...], tmp_path: Path) -> None:
    place = ("--store", tmp_path / "store", "--report", tmp_path / "reports") if arguments[0] == "verify" else ()
    said = cli(*arguments, "--data", tmp_path, *place)
    assert said.code == 2
    assert "cannot read its JPEGs yet (docs/imagenet.md)" in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "reports").exists()


def test_quiet_prints_nothing_but_writes_the_report(place: Place) -> None:
    said = place.verify(place.write(instability_text()), more=("--quiet",))
    assert said == type(said)(0, "", "")
    assert (place.reports / "tiny-toy.html").is_file()


def test_json_is_all_of_standard_output(place: Place) -> None:
    said = place.verify(place.write(instability_text()), place.write(imp_text()), more=("--json",))
    assert said.code == 0
    assert said.err == ""
    assert len(said.json) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--device", "tpu"), ["'tpu' is unknown", "auto, cpu, cuda or cuda:N"]),
        (("--device", "cuda:99"), ["'cuda:99' is not on this machine"]),
        (("--replicates", "0"), ["--replicates", "greater than or equal to 1"]),
        (("--replicates", "x"), ["--replicates", "integer"]),
        (("--first-seed", "-1"), ["--first-seed"]),
        (("--threads", "0"), ["--threads"]),
        (("--scale", "moon"), ["there is no scale 'moon'", "it has toy"]),
        (("--colour", "red"), ["No such option", "--colour"]),
    ],
)
def test_a_wrong_option_is_told_before_anything_runs(more: tuple[str, ...], words: list[str], place: Place) -> None:
    said = place.verify(place.write(instability_text()), more=more)
    assert said.code == 2
    for word in words:
        assert word in said.err
    assert place.keys() == set()


def test_a_missing_dataset_is_told_with_both_ways_to_get_it(place: Place) -> None:
    said = cli("verify", PAPER, "--scale", "paper", *place.options())
    assert said.code == 2
    for word in (str(PAPER), "'paper'", "'mnist'", "harness data import mnist", "harness data download mnist"):
        assert word in said.err
    assert not place.store.exists()


def test_a_store_that_is_a_file(place: Place) -> None:
    place.store.write_text("precious")
    for command in ("verify", "plan", "report"):
        options = () if command == "report" else ("--device", "cpu")
        said = cli(command, place.write(instability_text()), "--store", place.store, *options)
        assert said.code == 2
        assert f"the store {place.store} is no folder" in said.err
        assert "choose another with --store" in said.err
    assert place.store.read_text() == "precious"


def test_a_store_without_the_right_to_write(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    spec = place.write(instability_text())
    monkeypatch.setattr(Path, "mkdir", refuse)
    said = place.verify(spec)
    assert said.code == 2
    assert f"the store {place.store} cannot be written (Permission denied)" in said.err


def test_a_report_folder_that_is_a_file_loses_no_result(place: Place) -> None:
    place.reports.write_text("precious")
    spec = place.write(instability_text())
    said = place.verify(spec)
    assert said.code in (2, 3)
    assert str(place.reports) in said.err
    assert "choose another with --report" in said.err
    assert place.reports.read_text() == "precious"
    place.reports.unlink()
    assert place.verify(spec).code == 0


def test_two_specs_with_one_id(place: Place) -> None:
    other = place.root / "other"
    other.mkdir()
    first = place.write(instability_text())
    second = other / "tiny.yaml"
    second.write_text(edited(instability_text(), "bound: 100.0", "bound: 99.0"))
    said = place.verify(first, second)
    assert said.code == 2
    assert str(first) in said.err
    assert str(second) in said.err
    assert "have the same id 'tiny'" in said.err


def test_one_spec_named_twice_is_verified_once(place: Place) -> None:
    spec = place.write(instability_text())
    said = place.verify(spec, spec, more=("--json",))
    assert said.code == 0
    assert len(said.json) == 1


def test_a_folder_without_specs(tmp_path: Path) -> None:
    said = cli("list", tmp_path)
    assert said.code == 2
    assert f"no spec files (*.yaml) in {tmp_path}" in said.err


@pytest.mark.parametrize("arguments", [["frobnicate"], ["verify"], ["data", "import", "imagenette", "x"]])
def test_a_wrong_command(arguments: list[str]) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert said.err


@pytest.mark.parametrize(("text", "code"), [(instability_text(), 0), ("- 1", 2)])
def test_as_a_user_calls_it(text: str, code: int, place: Place) -> None:
    command = [
        sys.executable,
        "-c",
        "from harness.cli import main; main()",
        "validate",
        str(place.write(text, "tiny.yaml")),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


def test_with_exit_zero_verdicts_are_data_and_errors_are_errors(place: Place) -> None:
    spec = place.write(instability_text(claim(expect="{kind: at_least, bound: 99.0}")))
    assert place.verify(spec).code == 1
    assert place.verify(spec, more=("--exit-zero",)).code == 0
    assert cli("report", spec, "--store", place.store, "--report", place.reports, "--exit-zero").code == 0
    assert place.verify(place.root / "absent.yaml", more=("--exit-zero",)).code == 2
