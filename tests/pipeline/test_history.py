"""The claims of a spec, and how they changed from commit to commit, in a repository made for it."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.pipeline.history import WORKING_COPY, Change, history
from tests.support import claim, cli, edited, instability_text

FIRST = instability_text(claim("a", expect="{kind: at_most, bound: 2.0}"), claim("b"))


def git(folder: Path, *words: str, date: str = "2026-01-02") -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    dates = {"GIT_AUTHOR_DATE": f"{date}T12:00:00Z", "GIT_COMMITTER_DATE": f"{date}T12:00:00Z"}
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder), **dates}
    command = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


class Repository:
    """A repository with a spec in a folder of it."""

    def __init__(self, folder: Path) -> None:
        git(folder, "init", "--quiet")
        self.root, self.path = folder, folder / "specs" / "tiny.yaml"
        self.path.parent.mkdir()

    def commit(self, text: str, date: str) -> str:
        self.path.write_text(text)
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "one", date=date)
        return git(self.root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_each_change_has_revision_date_claim_field_and_values(repository: Repository) -> None:
    first = repository.commit(FIRST, "2026-01-02")
    known = edited(FIRST, "bound: 2.0}", "bound: 3.0}\n        known: {verdict: fails, why: It is so.}")
    second = repository.commit(known, "2026-01-03")
    repository.path.write_text(known.replace("estimand: mean, bound: 3.0", "estimand: median, bound: 3.0"))
    assert history(repository.path) == [
        Change(first, "2026-01-02", "a", "", "", "A sentence."),
        Change(first, "2026-01-02", "b", "", "", "A sentence."),
        Change(second, "2026-01-03", "a", "checks.toy.expect.bound", "2.0", "3.0"),
        Change(second, "2026-01-03", "a", "checks.toy.known.verdict", "", "fails"),
        Change(second, "2026-01-03", "a", "checks.toy.known.why", "", "It is so."),
        Change(WORKING_COPY, "", "a", "checks.toy.expect.estimand", "mean", "median"),
    ]


def test_what_says_nothing_of_claims_is_no_change(repository: Repository) -> None:
    repository.commit(FIRST, "2026-01-02")
    repository.commit(edited(FIRST, "batch: 50", "batch: 25"), "2026-01-03")
    assert {change.date for change in history(repository.path)} == {"2026-01-02"}


def test_a_claim_that_goes_is_told_with_its_sentence(repository: Repository) -> None:
    repository.commit(FIRST, "2026-01-02")
    repository.commit(instability_text(claim("b")), "2026-01-03")
    assert [(one.claim, one.before, one.after) for one in history(repository.path)][2:] == [("a", "A sentence.", "")]


def test_revisions_that_are_no_valid_specs_are_read_and_unreadable_ones_told(repository: Repository) -> None:
    repository.commit("claims:\n- id: a\n  sentence: Old form.\n  bound: 1\n- 7\n", "2026-01-02")
    broken = repository.commit("claims: [", "2026-01-03")
    repository.commit(FIRST, "2026-01-04")
    changes = history(repository.path)
    assert changes[0].after == "Old form."
    assert changes[1] == Change(broken, "2026-01-03", "", "", "", "cannot be read as YAML with claims")
    assert ("a", "sentence", "Old form.", "A sentence.") in [
        (one.claim, one.field, one.before, one.after) for one in changes if one.date == "2026-01-04"
    ]


def test_an_object_in_an_old_revision_is_not_made(repository: Repository, tmp_path: Path) -> None:
    made = tmp_path / "made"
    repository.commit(f"claims: [{{id: a, sentence: !!python/object/apply:os.mkdir ['{made}']}}]", "2026-01-02")
    repository.commit(FIRST, "2026-01-03")
    assert history(repository.path)[0].after == "cannot be read as YAML with claims"
    assert not made.exists()


def test_a_renamed_file_has_its_earlier_history(repository: Repository) -> None:
    repository.commit(FIRST, "2026-01-02")
    git(repository.root, "mv", "specs/tiny.yaml", "specs/small.yaml")
    git(repository.root, "commit", "--quiet", "--message", "two", date="2026-01-03")
    assert {change.date for change in history(repository.path.with_name("small.yaml"))} == {"2026-01-02"}


BOUND = FIRST.index("bound: 2.0")


def bounds(a: str, b: str) -> str:
    """The first spec with other bounds of its two claims."""
    return FIRST[:BOUND] + edited(edited(FIRST[BOUND:], "bound: 2.0", f"bound: {a}"), "bound: 100.0", f"bound: {b}")


def branched(repository: Repository) -> list[str]:
    """A base, two commits of a branch with one of the main line between them by date; the main line is checked out."""
    base = repository.commit(bounds("2.0", "100.0"), "2026-01-02")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    side = [
        repository.commit(bounds("3.0", "100.0"), "2026-01-03"),
        repository.commit(bounds("4.0", "100.0"), "2026-01-05"),
    ]
    git(repository.root, "checkout", "--quiet", "-")
    return [base, *side, repository.commit(bounds("2.0", "90.0"), "2026-01-04")]


def moves(repository: Repository) -> list[tuple[str, str, str, str]]:
    return [(one.revision, one.claim, one.before, one.after) for one in history(repository.path) if one.field]


def test_a_merge_interleaves_no_branches_and_tells_each_change_once(repository: Repository) -> None:
    _, third, fourth, main = branched(repository)
    git(repository.root, "merge", "--quiet", "side", date="2026-01-06")
    told = moves(repository)
    assert sorted(told) == sorted(
        [(main, "b", "100.0", "90.0"), (third, "a", "2.0", "3.0"), (fourth, "a", "3.0", "4.0")]
    )
    assert [revision for revision, *_ in told if revision != main] == [third, fourth]
    assert [revision for revision, *_ in told].index(main) != 1


def test_what_a_merge_itself_changes_is_told_as_its_own(repository: Repository) -> None:
    branched(repository)
    git(repository.root, "merge", "--quiet", "--no-commit", "side")
    mended = repository.commit(bounds("5.0", "90.0"), "2026-01-06")
    assert [change for change in moves(repository) if change[0] == mended] == [(mended, "a", "4.0", "5.0")]


def test_what_a_branch_changes_under_the_name_of_before_is_told_after_a_rename(repository: Repository) -> None:
    repository.commit(bounds("1.0", "100.0"), "2026-01-02")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    side = repository.commit(bounds("2.0", "100.0"), "2026-01-03")
    git(repository.root, "checkout", "--quiet", "-")
    git(repository.root, "mv", "specs/tiny.yaml", "specs/small.yaml")
    git(repository.root, "commit", "--quiet", "--message", "one", date="2026-01-04")
    git(repository.root, "merge", "--quiet", "side", date="2026-01-05")
    repository.path = repository.path.with_name("small.yaml")
    assert "bound: 2.0" in repository.path.read_text()
    assert moves(repository) == [(side, "a", "1.0", "2.0")]
    git(repository.root, "checkout", "--quiet", "side")
    git(repository.root, "merge", "--quiet", "-", date="2026-01-06")
    assert moves(repository) == [(side, "a", "1.0", "2.0")], "nor twice, whichever side is merged into the other"


def test_what_a_merge_takes_back_of_a_branch_is_told_as_its_own(repository: Repository) -> None:
    repository.commit(bounds("2.0", "100.0"), "2026-01-02")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    side = repository.commit(bounds("3.0", "90.0"), "2026-01-03")
    git(repository.root, "checkout", "--quiet", "-")
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "one", date="2026-01-04")
    git(repository.root, "merge", "--quiet", "--no-ff", "--no-commit", "side")
    merge = repository.commit(bounds("2.0", "90.0"), "2026-01-05")
    told = [(side, "a", "2.0", "3.0"), (side, "b", "100.0", "90.0"), (merge, "a", "3.0", "2.0")]
    assert moves(repository) == told
    later = repository.commit(bounds("2.5", "90.0"), "2026-01-06")
    assert moves(repository) == [*told, (later, "a", "2.0", "2.5")]


def test_a_merge_that_takes_nothing_of_a_branch_takes_all_back(repository: Repository) -> None:
    _, third, fourth, main = branched(repository)
    git(repository.root, "merge", "--quiet", "--strategy", "ours", "side", date="2026-01-06")
    merge = git(repository.root, "rev-parse", "HEAD")
    told = moves(repository)
    assert [change for change in told if change[1] == "a"] == [
        (third, "a", "2.0", "3.0"),
        (fourth, "a", "3.0", "4.0"),
        (merge, "a", "4.0", "2.0"),
    ]
    assert [change for change in told if change[1] == "b"] == [(main, "b", "100.0", "90.0")]


def test_of_a_file_that_was_copied_only_what_was_before_is_told(repository: Repository) -> None:
    first = repository.commit(FIRST, "2026-01-02")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    copy = repository.path.with_name("small.yaml")
    copy.write_text(FIRST)
    git(repository.root, "add", "--all")
    git(repository.root, "commit", "--quiet", "--message", "one", date="2026-01-03")
    git(repository.root, "checkout", "--quiet", "-")
    repository.commit(bounds("3.0", "100.0"), "2026-01-04")
    git(repository.root, "merge", "--quiet", "side", date="2026-01-05")
    assert {change.revision for change in history(copy)} == {first}
    assert len(moves(repository)) == 1


def test_a_file_that_was_away_has_its_earlier_history(repository: Repository) -> None:
    repository.commit(FIRST, "2026-01-02")
    git(repository.root, "rm", "--quiet", "specs/tiny.yaml")
    git(repository.root, "commit", "--quiet", "--message", "one", date="2026-01-03")
    repository.path.parent.mkdir(exist_ok=True)
    repository.commit(bounds("3.0", "100.0"), "2026-01-04")
    told = [(one.date[-2:], one.claim, one.before, one.after) for one in history(repository.path)]
    assert told == [
        *(("02", claim, "", "A sentence.") for claim in "ab"),
        *(("03", claim, "A sentence.", "") for claim in "ab"),
        *(("04", claim, "", "A sentence.") for claim in "ab"),
    ]


def test_without_a_repository_or_a_commit_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    path = tmp_path / "tiny.yaml"
    with pytest.raises(RequestError, match="cannot be read"):
        history(path)
    path.write_text(FIRST)
    with pytest.raises(RequestError, match="lies in no git repository"):
        history(path)
    assert cli("claims", path, "--history").code == 2
    git(tmp_path, "init", "--quiet")
    with pytest.raises(RequestError, match="no commit has"):
        history(path)


def test_the_command_prints_a_line_a_change(repository: Repository) -> None:
    first = repository.commit(FIRST, "2026-01-02")
    second = repository.commit(edited(FIRST, "bound: 2.0", "bound: 3.0"), "2026-01-03")
    said = cli("claims", repository.path, "--history")
    assert said.code == 0
    assert said.out.splitlines() == [
        f"{first[:10]} 2026-01-02 a: – -> A sentence.",
        f"{first[:10]} 2026-01-02 b: – -> A sentence.",
        f"{second[:10]} 2026-01-03 a checks.toy.expect.bound: 2.0 -> 3.0",
    ]
    rows = json.loads(cli("claims", repository.path, "--history", "--json").out)
    assert [row["revision"] for row in rows] == [first, first, second]


def test_without_history_the_command_lists_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    text = FIRST.replace("  - id: a\n", "  - id: a\n    primary: true\n", 1)
    path.write_text(text.replace("bound: 2.0}", "bound: 2.0}\n        known: {verdict: fails, why: It is so.}"))
    said = cli("claims", path)
    assert said.out.splitlines() == [
        "a (primary): A sentence.",
        "    toy: mean instability ≤ 2 points at fork=0it; known: fails",
        "b: A sentence.",
        "    toy: mean instability ≤ 100 points at fork=0it",
    ]
    rows = json.loads(cli("claims", path, "--json").out)
    assert rows[0]["scales"]["toy"]["known"] == {"verdict": "fails", "why": "It is so."}
    assert [row["primary"] for row in rows] == [True, False]
