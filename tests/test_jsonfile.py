"""JSON of any origin: what is not the same to every reader is refused, in words, and in time."""

import json
import sys
from pathlib import Path

import pytest

from harness import jsonfile


@pytest.mark.parametrize(
    "value", [None, True, [], {}, [1, -2.5, "x", None, {"a": [[]]}], {"é": '\U0001d706 " \\ [{'}, 2**64 - 1, "[" * 1000]
)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_what_json_writes_is_read(value: object, ascii_only: bool) -> None:
    assert jsonfile.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[1] 2", "is not JSON"),
        ("\ufeff1", "is not JSON"),
        ("NaN", "has NaN, which is no number of JSON"),
        ("[-Infinity]", "has -Infinity, which is no number of JSON"),
        ("[1e999]", "has a number beyond the range of float64, 1e999"),
        ("1" * 400, "has an integer of more than 64 bits, 1111"),
        ("-" + "1" * 5000, "has an integer of more than 64 bits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "has the key 'c' twice in one object"),
        ('"\\ud800"', "is not UTF-8"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ('[{"a":' * 10**5 + "1" + "}]" * 10**5, "nested more than 64 deep"),
        ("[" * 10**6, "nested more than 64 deep"),
        ('"' + '\\"' * 10**6 + "[" * 100, "is not JSON"),
    ],
)
def test_what_is_read_differently_or_never_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"is not UTF-8|is not JSON|has ") as caught:
        jsonfile.parse(text.encode())
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="is not UTF-8"):
        jsonfile.parse(b'"\xff"')
    with pytest.raises(ValueError, match=r"is not UTF-8|is not JSON"):
        jsonfile.parse("[1]".encode("utf-16"))  # which Python's own reader takes


def test_depth_does_not_rest_on_how_deep_the_caller_is() -> None:
    text = ("[" * 64 + "]" * 64).encode()
    limit = sys.getrecursionlimit()

    def below(levels: int) -> object:
        return jsonfile.parse(text) if levels == 0 else below(levels - 1)

    assert below(limit // 2) == jsonfile.parse(text)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1, 2]")
    assert jsonfile.read(path) == [1, 2]
    with pytest.raises(ValueError, match="has more than the 5 bytes"):
        jsonfile.read(path, 5)
