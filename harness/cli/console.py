"""The consoles: what is printed is text, one line a line, whoever wrote it and whatever it holds."""

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
