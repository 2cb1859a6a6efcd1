"""Claims and settings that cannot be judged are refused before anything runs."""

from pathlib import Path

import pytest

from tests.support import Place, claim, cli, edited, imp_text, instability_text, line_of

I = instability_text()  # noqa: E741
M = imp_text()


@pytest.mark.parametrize(
    ("text", "part", "words"),
    [
        pytest.param(edited(I, "batch: 50", "batch: " + "9" * 5000), "batch: 9", ["training.batch"], id="huge number"),
        pytest.param(
            edited(I, "batch: 50", "batch_size: 50"),
            "batch_size",
            ["unknown field (did you mean 'batch'?); allowed here: batch, data,"],
            id="hint under scales",
        ),
        pytest.param(
            instability_text(claim("a"), claim("b"), claim("a", "accuracy")),
            "",
            ["claims[2].id", "'a'"],
            id="place of the second of two ids",
        ),
        *(
            pytest.param(
                instability_text(claim(quantity="error_on_line", at=at, expect=expect)), "", [word], id=f"alpha, {word}"
            )
            for at, expect, word in (
                ('{fork: 0it, alpha: "0.5"}', "{kind: at_most, bound: 1.0}", "alpha"),
                (
                    "{fork: 0it}",
                    "{kind: first_within, axis: alpha, threshold: 2.0, earliest: '0.1', latest: '0.9'}",
                    "cannot be claimed",
                ),
            )
        ),
        *(
            pytest.param(imp_text(claim("a", quantity, at)), "at: {", words, id=f"never measured: {quantity} {at}")
            for quantity, at, words in (
                ("instability", "{rewind: 0it, level: 1}", ["level", "compared_levels"]),
                ("accuracy", "{arm: random_prune, rewind: 0it, level: 1}", ["level", "compared_levels"]),
                ("accuracy", "{arm: random_prune, rewind: 0it, level: 0}", ["level"]),
                ("density", "{rewind: 0it, level: 0}", ["level"]),
            )
        ),
        pytest.param(edited(M, "[0, 2]", "[0, 0]"), "[0, 0]", ["compared_levels[1]", "once"], id="a level twice"),
        pytest.param(edited(I, "parameters: 1210", "parameters: 1211"), "", ["1,210", "1,211"], id="parameter count"),
    ],
)
def test_is_refused_with_its_place(text: str, part: str, words: list[str], tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = place.write(text)
    said = cli("validate", path)
    assert said.code == 2
    assert f"{path}:{line_of(text, part) if part else ''}" in said.err
    for word in words:
        assert word in said.err


def test_an_erratum_that_the_source_has_not_is_refused(tmp_path: Path) -> None:
    known = edited(I, 'place: "Section 3"', 'place: "Section 3", errata: [sooner_in_all_cases]')
    place = Place(tmp_path)
    assert cli("validate", place.write(known)).code == 0
    said = cli("validate", path := place.write(edited(known, "sooner_in_all_cases", "later")))
    assert said.code == 2
    assert f"{path}:{line_of(known, 'errata')}: claims[0].source.errata[0]: found 'later', but 'lmc' has" in said.err


def test_no_problem_is_told_that_is_not_there(tmp_path: Path) -> None:
    path = Place(tmp_path).write(instability_text(claim(expect="{kind: equals, value: 1.0}")))
    said = cli("validate", path)
    assert "margin" in said.err
    assert "at least 1 item" not in said.err, "there is a claim"


def test_copies_that_part_at_the_end_are_the_same(tmp_path: Path) -> None:
    """k = T gives instability 0 for a pruned network, too."""
    at = claim("end", "instability", "{rewind: 40it, level: 2}", "{kind: equals, value: 0.0, margin: 0.3}")
    place = Place(tmp_path)
    said = place.verify(place.write(edited(imp_text(at), "rewinds: [0it]", "rewinds: [40it]")))
    assert said.code == 0, said.out
