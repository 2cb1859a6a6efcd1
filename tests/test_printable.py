"""Text of others as one line: what commands a terminal or a CI's log is taken out, all else stays."""

import pytest

from harness.printable import log_line, shortened, shortened_within, shown, unprintable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("2(1+β)/η ≤ 𝜆: 5 % [red] :100: ~", "2(1+β)/η ≤ 𝜆: 5 % [red] :100: ~"),
        ("a\nb\r\nc\td\x85e\u2028f\u2029g\x1ch", "a b  c d e f g h"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m \x00", "red ]0;title 31m "),
        ("a\u202eb\u2066c\u200bd\ufeffe\u00adf\U000e0041g\ud800", "abcdefg"),
        ("::error::x", "\\::error::x"),
        (" \t::add-mask::x", "  \\::add-mask::x"),
        ("\u200b\x1b[0m\n::error::x", " \\::error::x"),
        ("why: ::error::x", "why: ::error::x"),
        ("a ##[error]b ##vso[c]d ##teamcity[e #\u200b#[f", "a ##\\[error]b ##\\vso[c]d ##\\teamcity[e ##\\[f"),
        ("## heading ###", "## heading ###"),
    ],
)
def test_a_line_of_a_log(text: str, line: str) -> None:
    assert log_line(text) == line
    assert log_line(line) == line


def test_every_control_and_turn_of_direction_is_told() -> None:
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x061C,
        0x200E,
        0x200F,
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
    ):
        assert unprintable(f"a{chr(code)}") == f"U+{code:04X}"
    assert unprintable("Żółć, 𝜆 and 😀: a – b") is None


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\x1b[31m\u202eb\nc", '"a\\u001b[31m\\u202eb\\nc"'),
        ("Żółć 𝜆", '"Żółć 𝜆"'),
        ([1, {"a": "b"}], '[1, {"a": "b"}]'),
        (b"x", "\"b'x'\""),
        ("x" * 58, '"' + "x" * 58 + '"'),
        ("x" * 59, '"' + "x" * 56 + "..."),
        ("x" * 10**7, '"' + "x" * 56 + "..."),
        ("q\ufeffu\u3164", '"q\\ufeffu\\u3164"'),
    ],
)
def test_a_value_is_shown_on_one_short_line(value: object, line: str) -> None:
    assert shown(value) == line
    assert len(shown(value, 8)) <= 8


def test_a_text_is_shortened_only_where_it_is_too_long() -> None:
    assert shortened("12345678", 8) == "12345678"
    assert shortened("123456789", 8) == "12345..."


def test_a_long_text_is_cut_between_words_of_its_middle() -> None:
    text = "training: arm imp, level 3 to 8, replicates 0-6"
    assert shortened_within(text, len(text)) == text
    assert shortened_within(text, 40) == "training: arm ... 8, replicates 0-6"
    for letters in range(8, len(text)):
        cut = shortened_within(text, letters)
        assert len(cut) <= letters
        assert " ... " in cut
    assert shortened_within("x" * 100, 21) == "xxxxxxxx ... xxxxxxxx"
