"""What chance does to verdicts, in words and numbers: in reports of every form, on the index page, at the gate."""

import json as codec
from dataclasses import replace
from pathlib import Path

import pytest

from harness.judging.evidence import Fresh
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Outcome
from harness.report.chance import chance_document, contradictions, in_order_again, wrong_by_chance, wrong_words
from harness.report.html import html
from harness.report.index import index
from harness.report.json import json
from harness.report.markdown import markdown
from harness.report.read import read_all
from harness.report.write import write
from harness.schema.claims import KnownVerdict
from tests.support import cli

KNOWN = {
    "fails": KnownVerdict(verdict="fails", why="An erratum."),
    "inconclusive": KnownVerdict(verdict="inconclusive", why="Too few."),
    "fails_or_inconclusive": KnownVerdict(verdict="fails_or_inconclusive", why="Too few."),
}


def changed(one: Judgement, *, primary: bool = False, known: str | None = None, **more: object) -> Judgement:
    assert one.check is not None
    check = one.check.model_copy(update={"known": KNOWN.get(known or "")})
    return replace(one, claim=one.claim.model_copy(update={"primary": primary}), check=check, **more)


@pytest.fixture(scope="module")
def told(realistic: Outcome) -> Outcome:
    """Two primary claims, one open; three others, one a crossing, one that fails as is known; one without a check."""
    first, crossing, open_, less, fails, unchecked = realistic.judgements
    judgements = [
        changed(first, primary=True, p=0.01, fresh=Fresh(0.9, 0.0)),
        changed(crossing),
        changed(open_, primary=True, known="inconclusive", fresh=Fresh(0.2, 0.2)),
        changed(less, p=0.001, fresh=Fresh(1.0, 0.0)),
        changed(fails, known="fails", p=0.001, fresh=Fresh(0.0, 0.5)),
        unchecked,
    ]
    spec = realistic.spec.model_copy(update={"claims": tuple(one.claim for one in judgements)})
    return replace(realistic, spec=spec, judgements=judgements)


def test_decided_verdicts_are_counted_primary_and_others_apart(told: Outcome) -> None:
    assert wrong_by_chance(told.judgements) == (
        "3 verdicts are decided, each wrong with a probability of at most 5 %: by chance up to 0.05 of the 1 primary "
        "one, and up to 0.1 of the other 2. 1 crossing is decided too, and may err more often."
    )


def test_what_several_specs_say_of_a_paper_has_one_correction_beside_theirs(told: Outcome) -> None:
    first, _, _, less, fails, _ = told.judgements
    alone = [replace(first, verdict=Verdict.CONTRADICTED, p=0.02), replace(less, verdict=Verdict.REPRODUCED)]
    assert contradictions([alone]) == (
        "At paper scale 2 claims can be contradicted. Holm's correction is made within a spec, for what is known to "
        "fail apart: with 1 such correction, up to 0.05 of them let a wrong contradiction through by chance. Of 1 "
        "contradiction 1 remains with one correction over all 2; of 1 primary one 1 remains with one over the 1 "
        "primary claims alone."
    )
    both = contradictions([alone, [less, fails]])
    assert "4 claims can be contradicted" in both
    assert "with 3 such corrections, up to 0.15 of them" in both
    assert "Of 1 contradiction 0 remain with one correction over all 4;" in both
    opened = replace(first, verdict=Verdict.INCONCLUSIVE, by_itself=Verdict.CONTRADICTED, p=0.03)
    other = replace(alone[0], p=0.001)
    assert "of 1 primary one 1 remains with one over the 2" in contradictions([[opened, other, less, fails]])
    assert contradictions([[less], [less]]).endswith("No claim is contradicted.")
    assert contradictions([]) == contradictions([[told.judgements[1]]]) == ""


@pytest.mark.parametrize(
    ("primary", "others", "words"),
    [
        (0, 0, ["No verdict is decided"]),
        (0, 1, ["1 verdict is decided", "up to 0.05 of them", "none is on a primary claim"]),
        (2, 0, ["2 verdicts are decided", "up to 0.1 of them, all on primary claims"]),
        (3, 160, ["163 verdicts", "up to 0.15 of the 3 primary ones", "up to 8 of the other 160"]),
    ],
)
def test_every_share_has_its_words(primary: int, others: int, words: list[str]) -> None:
    sentence = wrong_words([0.05] * primary, [0.05] * others)
    assert all(part in sentence for part in words), sentence


def test_fresh_seeds_are_in_order_with_the_product(told: Outcome) -> None:
    """.9 stands, 1 - .2 does not fail where that is open beforehand, 1 stands, .5 fails as is known."""
    assert told.exit_code == 0
    assert in_order_again(told.judgements) == (
        "With fresh seeds all 4 claims in order would be so again with probability about 0.36 (left out: 1, crossings "
        "and single initialisations)."
    )
    numbers = chance_document(told.judgements)["in_order_again"]
    assert numbers == {"probability": pytest.approx(0.9 * 0.8 * 0.5), "claims": 4, "left_out": 1}


def test_what_may_fail_is_in_order_again_unless_it_stands(told: Outcome) -> None:
    doubtful = changed(told.judgements[2], known="fails_or_inconclusive", fresh=Fresh(0.04, 0.46))
    assert in_order_again([doubtful]).endswith("with probability about 0.96.")


def test_what_is_not_in_order_now_takes_no_part(told: Outcome) -> None:
    judgements = [*told.judgements]
    judgements[4] = changed(judgements[4], fresh=Fresh(0.0, 1.0))
    assert in_order_again(judgements) == (
        "With fresh seeds all 3 claims now in order would be so again with probability about 0.72 (left out: 1, "
        "crossings and single initialisations)."
    )


@pytest.mark.parametrize(("stands", "words"), [(0.001, "under 0.01"), (0.9999, "over 0.99"), (0.5, "about 0.5")])
def test_what_is_nearly_sure_is_told_so(stands: float, words: str, told: Outcome) -> None:
    sentence = in_order_again([changed(told.judgements[0], fresh=Fresh(stands, 0.0))])
    assert sentence == f"With fresh seeds the one claim in order would be so again with probability {words}."


def test_every_form_of_the_report_says_both(told: Outcome) -> None:
    sentences = [wrong_by_chance(told.judgements), in_order_again(told.judgements)]
    document = codec.loads(json(told))
    assert document["by_chance"]["words"] == sentences
    assert document["by_chance"]["primary"] == {"decided": 1, "wrong_at_most": 0.05}
    assert document["by_chance"]["others"]["decided"] == 2
    assert [claim["primary"] for claim in document["claims"]] == [True, False, True, False, False, False]
    page = html(told)
    for sentence in sentences:
        assert sentence in page
        assert sentence in markdown(told)
    assert page.count("primary claim<") == 2
    assert "`imp_stable_when_rewound` (primary)" in markdown(told)


def test_a_report_is_read_with_what_it_says_of_chance(told: Outcome, tmp_path: Path) -> None:
    write([told], tmp_path)
    (report,) = read_all(tmp_path)
    assert [one.p for one in report.judgements] == [one.p for one in told.judgements]
    assert [one.fresh for one in report.judgements] == [one.fresh for one in told.judgements]
    page = index([report])
    assert wrong_by_chance(told.judgements) in page
    assert page.count("primary claim<") == 2


def test_a_report_that_does_not_tell_says_nothing_of_fresh_seeds(realistic: Outcome) -> None:
    assert in_order_again(realistic.judgements) == ""
    assert len(chance_document(realistic.judgements)["words"]) == 1


def test_the_gate_counts_what_is_decided(tmp_path: Path) -> None:
    rows = {
        "a": {"verdict": Verdict.HOLDS, "in_order": True, "primary": True, "estimand": "median"},
        "b": {"verdict": Verdict.FAILS, "in_order": True, "estimand": "mean"},
        "c": {"verdict": Verdict.INCONCLUSIVE, "in_order": True, "estimand": "mean"},
        "crossing": {"verdict": Verdict.HOLDS, "in_order": True},
    }
    file = tmp_path / "toy.json"
    file.write_text(codec.dumps({"imp": rows}))
    said = cli("gate", file)
    assert said.code == 0
    assert "2 verdicts are decided" in said.out
    assert "up to 0.05 of the 1 primary one, and up to 0.05 of the other 1. 1 crossing is decided too" in said.out
