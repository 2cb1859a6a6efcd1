"""Text of others, made fit to be shown: one line, without characters that command a terminal, a log or a reader."""

import json
import re
from typing import Any

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BREAKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Unicode's default ignorable code points: some comparisons of text skip them."""
_REFUSED = re.compile(f"{_CONTROL.pattern}|{_DIRECTION.pattern}|{_BREAKS.pattern}")
_COMMAND_AT_START = re.compile(r"^(\s*)(?=::)")
_COMMAND_WITHIN = re.compile(r"##(?=\w*\[)")


def clean(text: str) -> str:
    """Text without terminal colours, control characters and characters that turn the direction of reading.

    Args:
        text: anything, an error message of a library for example.

    Returns:
        What is left: valid in XML, tabs and line ends kept.
    """
    return _DIRECTION.sub("", _CONTROL.sub("", _TERMINAL_CODES.sub("", text.replace("\r\n", "\n"))))


def one_line(text: str) -> str:
    """Clean text with every run of white space as one space.

    Args:
        text: any text.

    Returns:
        A single line.
    """
    return " ".join(clean(text).split())


def log_line(text: str) -> str:
    """Text as one line that a terminal or a CI's log shows and does not obey.

    GitHub's runner obeys ``::error ...`` at the beginning of a line, white space aside, and ``##[error]`` anywhere in
    it; Azure's and TeamCity's ``##vso[...]`` and ``##teamcity[...]`` are alike. A backslash before or in such a mark
    takes its power.

    Args:
        text: any text.

    Returns:
        The line, with spaces where lines or columns ended, and without what cannot be seen.
    """
    seen = _UNSEEN.sub("", clean(_BREAKS.sub(" ", text)))
    return _COMMAND_AT_START.sub(r"\1\\", _COMMAND_WITHIN.sub(r"##\\", seen))


def unprintable(text: str) -> str | None:
    """The first character of a text that does not belong into a line: a control, a line end, a turn of direction.

    Args:
        text: any text.

    Returns:
        Its name, "U+001B"; None where there is none.
    """
    refused = _REFUSED.search(text)
    return f"U+{ord(refused[0]):04X}" if refused else None


def shown(value: Any, letters: int = 60) -> str:
    """A value that somebody gave, as an error shows what was found: as JSON has it, on one line and not too long.

    Args:
        value: any value; what JSON cannot say is shown as text.
        letters: the most that are shown.

    Returns:
        A line without unprintable characters.
    """
    text = json.dumps(value, default=str, ensure_ascii=False)[: letters + 1]
    return shortened(visible(text), letters)


def visible(text: str) -> str:
    """A text in which letters that nobody would see stand as their numbers, as JSON writes them."""
    return "".join(letter if _is_seen(letter) else f"\\u{ord(letter):04x}" for letter in text)


def _is_seen(letter: str) -> bool:
    return letter.isprintable() and not _UNSEEN.match(letter)


def shortened(text: str, letters: int) -> str:
    """A text of so many letters at most, three dots in place of what is cut off."""
    return text if len(text) <= letters else text[: letters - 3] + "..."


def shortened_within(text: str, letters: int) -> str:
    """A text of so many letters at most, three dots in place of words in its middle.

    Examples:
        >>> from harness.printable import shortened_within
        >>> shortened_within("training: imp, level 3, rewind 0it to 200it, replicates 0-6", 44)
        'training: imp ... replicates 0-6'
    """
    if len(text) <= letters:
        return text
    half = max(1, (letters - 5) // 2)
    head, tail = text[: half + 1], text[-half - 1 :]
    head = head[: head.rfind(" ")] if " " in head[1:] else head[:half]
    tail = tail[tail.find(" ") + 1 :] if " " in tail[:-1] else tail[1:]
    return f"{head.rstrip(' ,:;')} ... {tail}"
