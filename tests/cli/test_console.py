"""Text of others in the terminal and in a CI's log: one line that commands neither, on a console of any encoding."""

import io
import json
import os
import re
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from harness.cli import main, show
from harness.cli.console import Printer, line
from harness.cli.start import _streams
from harness.execution import run
from harness.printable import clean, shortened_within
from tests.support import Place, Said, claim, cli, edited, instability_text

COMMANDS = "[red]::error file=x::[/red] [link=https://x.example]a[/link] :100: ##[error]b ##vso[task.complete] :smiley:"
HOSTILE = (
    "\n::error file=x::injected \r\n  ::add-mask::HOLDS \x1b[31m\x1b]0;t\x07 \x9b31m "
    "\u202e \u200b \u2028::x \x85::y ##[a]"
)
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def assert_harmless(said: Said) -> None:
    for text in (said.out, said.err):
        assert not _UNSEEN.search(text)
        assert not re.search(r"^\s*::", text, re.MULTILINE)
        assert not re.search(r"##\w*\[", text)


def test_what_a_title_says_stands_as_it_is(place: Place) -> None:
    title = f"::error::{COMMANDS}"
    text = edited(instability_text(), "title: A tiny experiment", f"title: {json.dumps(title)}")
    spec = place.write(edited(text, "sentence: A sentence.", f"sentence: {json.dumps(COMMANDS)}"))
    for said in (place.verify(spec), cli("list", place.root)):
        assert said.code == 0
        assert_harmless(said)
        shown = title.replace("##", "##\\")
        assert f"{shown} (toy scale)\n" in said.out.replace("\\::error", "::error") or f"{shown}  (inst" in said.out


def test_the_line_of_an_error_is_no_emoji(place: Place) -> None:
    spec = place.write("#\n" * 99 + instability_text() + "colour: 5\n")
    said = cli("validate", spec)
    assert re.search(rf"{re.escape(str(spec))}:1\d\d: colour: unknown field", said.err)
    show_100 = place.write("#\n" * 98 + "[\n}", "tiny.yaml")
    assert f"{show_100}:100: not YAML" in cli("validate", show_100).err


def test_names_in_verdicts(tmp_path: Path) -> None:
    row = {"verdict": "FAILS", "in_order": False, "value": 1.0, "n": 2, "unit": HOSTILE}
    file = tmp_path / "verdicts.json"
    file.write_text(json.dumps({f"::{HOSTILE}": {HOSTILE: row}}))
    said = cli("gate", file)
    assert said.code == 1
    assert_harmless(said)
    assert len(said.err.splitlines()) == 2


def test_names_of_files(place: Place) -> None:
    folder = place.root / HOSTILE.replace("/", "")
    (folder / "empty").mkdir(parents=True)
    assert_harmless(cli("list", folder / "empty"))
    assert_harmless(cli("validate", folder / "no.yaml"))
    assert_harmless(cli("gate", folder / "no.json"))
    assert_harmless(cli("index", folder))
    assert_harmless(cli(f"--{HOSTILE}"))
    assert place.verify(place.write(instability_text())).code == 0
    stranger = place.store / "jobs" / HOSTILE.replace("/", "")
    stranger.mkdir()
    said = cli("store", "check", "--store", place.store)
    assert "is no artifact" in said.err
    assert_harmless(said)


def test_text_of_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "tiny.toy.json").write_text(json.dumps({HOSTILE: 1, "schema_version": HOSTILE}))
    said = cli("regress", "--baseline", tmp_path, "--report", tmp_path / "report")
    assert said.code == 2
    assert_harmless(said)


def test_text_of_an_unexpected_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def breaks(*about: object) -> None:
        raise KeyError(HOSTILE) from ValueError(HOSTILE)

    monkeypatch.setattr("harness.schema.load.load", breaks)
    (tmp_path / "a.yaml").write_text("")
    out, err = io.StringIO(), io.StringIO()
    streams = mock.patch.multiple(sys, stdout=out, stderr=err)
    with streams, mock.patch("signal.signal"), pytest.raises(SystemExit) as stopped:
        main(["list", str(tmp_path)])
    assert stopped.value.code == 3
    assert "this is a bug of the harness" in err.getvalue()
    assert_harmless(Said(3, out.getvalue(), err.getvalue()))


def test_json_has_no_mark_that_a_log_obeys(place: Place) -> None:
    text = edited(instability_text(), "title: A tiny experiment", f"title: {json.dumps(COMMANDS)}")
    place.write(text)
    said = cli("list", place.root, "--json")
    assert_harmless(said)
    assert said.json[0]["title"] == COMMANDS


def test_a_line_is_broken_only_behind_the_border_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Printer().print(line(("FAILS", "bold"), " a " * 40 + "::error::x" + " b" * 100))
    Printer().print("c " * 60 + "::error::x" + " d" * 100)
    assert len(out.getvalue().splitlines()) == 2


def through(encoding: str, *arguments: str | Path) -> tuple[object, str]:
    """Exit code and standard output of a command on a console of an encoding."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    streams = mock.patch.multiple(sys, stdout=out, stderr=err)
    with streams, mock.patch("signal.signal"), pytest.raises(SystemExit) as stopped:
        main([str(one) for one in arguments])
    told = err.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "Traceback" not in told
    return stopped.value.code, out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_of_any_encoding(encoding: str, place: Place) -> None:
    fails = claim(expect="{kind: at_least, bound: 99.0}")
    text = edited(instability_text(fails), "title: A tiny experiment", 'title: "𝜆 → ∞ [é]"')
    spec = place.root / "tiny.yaml"
    spec.write_text(text, encoding="utf-8")
    code, out = through(encoding, "verify", spec, *place.options())
    assert code == 1
    shown = "𝜆 → ∞ [é]".encode(encoding, "backslashreplace").decode(encoding)
    assert f"{shown} (toy scale)" in out
    code, out = through(encoding, "list", place.root)
    assert code == 0
    assert shown in out
    code, out = through(encoding, "plan", spec, *place.options()[:4], "--device", "cpu")
    assert code == 0


def test_a_bar_of_progress_on_a_console_of_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="ascii") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "150")
        monkeypatch.setattr(show, "err", Printer(stderr=True))
        with _streams(), show.progress_of("tiny ∞", quiet=False) as on_progress:
            on_progress(run.Progress(1, 2, ["training ∞ [red]::x ##[error]"]))
            time.sleep(0.5)  # it is drawn ten times a second
    told = os.read(master, 1 << 16).decode("ascii")
    os.close(master)
    assert "training \\u221e [red]::x ##\\[error]" in told


def test_a_display_of_80_columns_shows_every_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [
        f"training: arm random_reinit, rewind {step}it to 2000it, level 3 to 12, replicates 0-{step}"
        for step in range(6)
    ]
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(show, "err", Printer(stderr=True))
        with _streams(), show.progress_of("quadratic_approximation", quiet=False) as on_progress:
            on_progress(run.Progress(41, 100, groups[:2]))
            time.sleep(0.3)  # it is drawn ten times a second
            on_progress(run.Progress(42, 100, groups))
            time.sleep(0.3)
    told = os.read(master, 1 << 16).decode()
    os.close(master)
    lines = {text.strip() for text in clean(told.replace("\r", "\n")).splitlines()}
    assert all(len(text) <= 80 for text in lines)
    assert any(text.startswith("quadratic_approximation ") and " 42% " in text for text in lines)
    assert {shortened_within(group, 78) for group in groups[:4]} | {"and 2 more groups"} <= lines
