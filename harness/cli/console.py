"""The consoles: what is printed is text, one line a line, whoever wrote it and whatever it holds."""

import json
import traceback
from typing import Any

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from harness.printable import log_line


class Printer(Console):
    """A console that obeys nothing in a text: no markup, no emoji, no command of a terminal or of a CI's log.

    Every string, printed or in a table, is one line (``harness.printable.log_line``), and is broken only in a table,
    behind its border: else a part of it could come to stand at the beginning of a line.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        **options: Any,
    ) -> Text:
        """A string as it is shown; markup, emoji and highlighting are not asked for."""
        return Text(log_line(text), style=style, justify=justify, overflow=overflow)


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of several parts.

    Args:
        *parts: text, or text and its style. The first is ours, not a stranger's.
    """
    whole = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        whole.append(log_line(text), style)
    return whole


out = Printer()
err = Printer(stderr=True)


def machine(value: Any) -> None:
    """Plain values as JSON, for programs; without a mark that a CI's log obeys anywhere in a line."""
    print(json.dumps(value, indent=1, allow_nan=False).replace("##", r"#\u0023"), flush=True)


def error(message: str) -> None:
    """An error, in words."""
    first, *more = message.split("\n")
    err.print(line(("error:", "bold red"), f" {first}"))
    for text in more:
        err.print(text)


def bug() -> None:
    """An error that nobody expected, where it was met: a bug of ours must not look like a verdict."""
    for text in traceback.format_exc().splitlines():
        err.print(text)
    error("this is a bug of the harness: please report it with the lines above. What was finished is kept")
