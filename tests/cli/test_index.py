"""The page over all reports, from the command line."""

from pathlib import Path

from tests.support import ROOT, Place, cli, instability_text


def test_index_of_reports_just_written_and_of_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert cli("index", tmp_path).code == 2
    assert place.verify(place.write(instability_text())).code == 0
    said = cli("index", tmp_path)
    assert said.code == 0
    page = tmp_path / "index.html"
    assert said.out == f"1 reports on one page: {page}\n"
    first = page.read_bytes()
    assert b'href="reports/tiny-toy.html#claim-stable"' in first
    assert cli("index", tmp_path).code == 0
    assert page.read_bytes() == first


def test_a_map_is_drawn_where_there_are_statements(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.verify(place.write(instability_text())).code == 0
    assert cli("index", tmp_path, "--statements", tmp_path / "absent").code == 0
    assert b'id="sources"' not in (tmp_path / "index.html").read_bytes()
    (tmp_path / "said").mkdir()
    assert cli("index", tmp_path, "--statements", tmp_path / "said").code == 2
    (tmp_path / "said" / "p.yaml").write_text(
        "paper: p\nsections:\n  - title: T\n    statements:\n"
        "      - {id: p-1-1, place: S, words: It is so., claims: [tiny/stable]}\n"
    )
    assert cli("index", tmp_path, "--statements", tmp_path / "said").code == 0
    assert b"1 statement: 1 holds short of the paper" in (tmp_path / "index.html").read_bytes()


def test_a_broken_report_leaves_the_earlier_page(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("earlier")
    (tmp_path / "x-toy.json").write_text("{")
    said = cli("index", tmp_path)
    assert said.code == 2
    assert "x-toy.json: the file is not JSON" in said.err
    assert (tmp_path / "index.html").read_text() == "earlier"


def test_what_stays_on_this_machine_is_left_out() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/reports/local/" in ignored
    assert "reports/local" in cli("index", "--help").out
