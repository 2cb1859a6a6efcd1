"""Text to values: the core schema of YAML 1.2, JSON as it is written, and bounds on what is read."""

import json
import math
import os
import random
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.schema import document
from harness.schema.document import MAX_VALUES, read
from tests.fuzz.spec_mutations import mutated
from tests.support import SPECS


def value_of(text: str, folder: Path) -> object:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path).value


def refusal(text: str, folder: Path) -> str:
    with pytest.raises(RequestError) as caught:
        value_of(text, folder)
    return str(caught.value).removeprefix(str(folder / "spec.yaml"))


# YAML 1.2.2, section 10.3.2, "Tag Resolution" of the core schema.
SCALARS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **{"0": 0, "-0": 0, "060": 60, "+12": 12, "-19": -19, "0o7": 7, "0o17": 15, "0x3A": 58, "0x1f": 31},
    **{"0.": 0.0, ".5": 0.5, "+12e03": 12000.0, "-2E+05": -200000.0, "1e-4": 1e-4, "060.5": 60.5},
    **{".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf, "1e999": math.inf},
    **{word: word for word in ("yes", "no", "on", "off", "tRUE", "nULL", "1_000", "0b1", "1:30", "-0x1", "2001-01-01")},
    **{word: word for word in (".", "e3", "0x", "0o8", "\uff12\uff10", "-.nan")},
}


@pytest.mark.parametrize("text", SCALARS)
def test_a_plain_scalar_is_what_yaml_1_2_says(text: str, tmp_path: Path) -> None:
    expected = SCALARS[text]
    assert value_of(f"a: {text}\n", tmp_path) == {"a": expected}
    found = value_of(f"- {text}\n", tmp_path)
    assert isinstance(found, list)
    assert type(found[0]) is type(expected)
    assert value_of(f'a: "{text}"\n', tmp_path) == {"a": text}


STRANGE = (
    *(
        "a: [1, {b: 'c'}]\n",
        "{a:1}",
        "[a:b, c: d]",
        "a: b:c",
        "? a\n: 1\n",
        "{a? b: 1}",
        "a:\t1\n",
        "- \t1\n",
        "a: |\n\tb\n",
    ),
    *("%YAML 1.1\n---\na: 1\n", "a: 1\n...\n", "\ufeffa: 1\n", "a: 1\r\nb: 2\r\n", "a: 1\rb: 2\r", "a: b\x85c: d\n"),
    *(
        "a: 'b\u2028c'\nd: 1\n",
        "a: >-\n  b\n\n  c\nd: 1\n",
        "a: |+\n  b\n\nc: 1\n",
        "# only\n",
        "",
        "a:\n- 1\n- b:\n",
        "'a': \"\\x41\"",
    ),
    *(
        "{\na: 1,\n\n'b':\n 2}",
        "a: 1 # c\n\n\nb: 2",
        "- - 1\n  - 2\n-\n",
        "a: -\n",
        "a: [1, 2,]\n",
        "{a, b}",
        "'a",
        "a: @b",
        "a: b: c",
    ),
)


def outcome(text: str, folder: Path) -> tuple[object, ...]:
    path = folder / "spec.yaml"
    path.write_bytes(text.encode())
    try:
        found = read(path)
    except RequestError as error:
        return (str(error),)
    return repr(found.value), found.lines


def test_both_parsers_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert document._LIBYAML is not None, "PyYAML was built without libyaml here: nothing is compared"
    spoiled = (mutated(random.Random(seed))[1].decode(errors="replace") for seed in range(40))
    texts = [*STRANGE, *spoiled, *(path.read_text() for path in SPECS)]
    fast = [outcome(text, tmp_path) for text in texts]
    monkeypatch.setattr(document, "_LIBYAML", None)
    assert fast == [outcome(text, tmp_path) for text in texts]


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text: str, tmp_path: Path) -> None:
    (found,) = value_of(f"[{text}]", tmp_path)  # type: ignore[misc]
    assert math.isnan(found)


@pytest.mark.parametrize("indent", [None, 1])
def test_what_json_writes_is_read_as_it_was(indent: int | None, tmp_path: Path) -> None:
    """Characters beyond U+FFFF are two escapes there (RFC 8259, section 7)."""
    value = {"title": "𝜆 and é", "𝜆": ["😀", "a\nb", 0.1, 10**20, True, None, {"x": []}]}
    assert value_of(json.dumps(value, indent=indent), tmp_path) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a: 1\nb: "\\ud835"', ":2: half of a surrogate pair"),
        ('a: 1\n"\\udf06\\ud835": 1', ":2: half of a surrogate pair"),
        ('a: 1\n\nb: "\\U00110000"', ":3: not YAML: an escape of a character that Unicode does not have"),
        ('a: "\\UFFFFFFFF"', ":1: not YAML: an escape of a character"),
        ("a: 1\nb: \x07", ":2: not YAML: the character U+0007 cannot stand in it"),
        ("a: 1\nb: \x9b31m", ":2: not YAML: the character U+009B"),
    ],
)
def test_what_is_no_character_is_told_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith(words)


@pytest.mark.parametrize(
    "text",
    ["".join(f"k{number}:\n" for number in range(MAX_VALUES)), "- 1\n" * MAX_VALUES, "[" + "1," * 100_000 + "]"],
    ids=["keys", "lines", "flow"],
)
def test_the_number_of_values_is_bounded(text: str, tmp_path: Path) -> None:
    # A document's size is refused first.
    assert "20,000 values are too many" in refusal(text[: 1 << 18], tmp_path)


def test_a_pipe_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "spec.yaml"
    os.mkfifo(pipe)
    with pytest.raises(RequestError, match="is a named pipe, not a regular file"):
        read(pipe)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_read(device: str) -> None:
    with pytest.raises(RequestError, match="is a device, not a regular file"):
        read(Path(device))


def test_a_name_with_a_line_end_stays_on_the_errors_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        read(tmp_path / "a\n::error::b.yaml")
    assert "\n" not in str(caught.value)
