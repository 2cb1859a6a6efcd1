"""Tables of a width: no word in them is broken, whatever the terminal."""

import io
import re
from pathlib import Path

import pytest

from harness.cli import console, tables
from harness.cli.console import Printer, line
from tests.cli.test_console import HOSTILE
from tests.support import Place, claim, cli, instability_text

LONG = "instability_of_the_copies_at_initialisation"
HEADS: list[tables.Head] = [("claim", "left"), ("paper, at its scale", "right"), ("verdict", "left")]


def printed(width: int, rows: list[list[str]]) -> str:
    printer = Printer()
    printer.file, printer.width = io.StringIO(), width
    tables.show(printer, HEADS, [[*row[:-1], line((row[-1], "bold green"))] for row in rows])
    return printer.file.getvalue()


def words_of(text: str) -> list[str]:
    return sorted(re.sub("[^ -~]", " ", text).split())


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_every_word_is_whole_at_every_width(width: int) -> None:
    rows = [[f"{LONG} (primary)", "0.25 %", "HOLDS depends on optimiser.name"], ["short", "12.5", "INCONCLUSIVE"]]
    text = printed(width, rows)
    words = words_of(text)
    for row in rows:
        for word in " ".join(row).split():
            assert word in words
    if "\u2502" in text:
        assert all(len(row) <= width for row in text.splitlines())


def test_a_table_where_there_is_room_and_lines_where_there_is_none() -> None:
    rows = [[LONG, "0.25 %", "HOLDS"]]
    assert "\u2502" in printed(80, rows)
    assert printed(40, rows) == f"{LONG}\n    paper, at its scale: 0.25 %\n    verdict: HOLDS\n"


def test_what_others_write_stays_on_its_line() -> None:
    for width in (40, 80):
        text = printed(width, [["claim", HOSTILE, HOSTILE]])
        assert not re.search(r"^\s*::", text, re.MULTILINE)


@pytest.mark.parametrize("width", [60, 80])
def test_ids_of_claims_are_whole_in_every_command(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", width)
    place = Place(tmp_path)
    spec = place.write(instability_text(claim(LONG), claim("stable_early", at="{fork: 10it}")))
    for said in (place.verify(spec), cli("list", place.root), cli("claims", spec)):
        assert said.code == 0
        assert LONG in said.out
        assert "stable_early" in said.out
    plan = cli("plan", spec, "--store", place.store, "--device", "cpu", "--threads", "1").out
    assert {"train", "line"} <= set(words_of(plan))
