"""The command that writes what of the sources is checked."""

from pathlib import Path

from tests.support import Said, claim, cli, instability_text

STATEMENT = """\
paper: p
sections:
  - title: T
    statements:
      - {id: p-1-1, place: S, words: Something is so., claims: [%s]}
"""


def _written(tmp_path: Path, name: str) -> Said:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "tiny.yaml").write_text(instability_text(claim(identity="stable")))
    (tmp_path / "p.yaml").write_text(STATEMENT % name)
    return cli("coverage", tmp_path / "page.md", "--statements", tmp_path, "--specs", tmp_path / "specs")


def test_the_page_is_written(tmp_path: Path) -> None:
    said = _written(tmp_path, "tiny/stable")
    assert (said.code, said.out) == (0, f"1 statement, 1 checked, 0 partly: {tmp_path / 'page.md'}\n")
    assert "| `p-1-1` | Something is so. | S | tiny: `stable` | toy |" in (tmp_path / "page.md").read_text()


def test_names_that_go_nowhere_are_told_and_nothing_is_written(tmp_path: Path) -> None:
    said = _written(tmp_path, "tiny/gone")
    assert said.code == 2
    assert "p.yaml:5: sections[0].statements[0].claims[0]: found 'tiny/gone', which no spec has" in said.err
    assert "tiny/stable: no statement names this claim" in said.err
    assert not (tmp_path / "page.md").exists()
