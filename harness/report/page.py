"""Templates to pages that ask for nothing else: texts stand as text, only our own files are markup."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.printable import clean
from harness.report.text import unbroken


def render(template: str, styles: Sequence[str], **context: Any) -> str:
    """Fills a template.

    Args:
        template: name of the file in ``templates``.
        styles: names of the style sheets that stand in the page, later ones over earlier ones.
        **context: what the template names. Texts are cleaned and escaped; what is ``Markup`` is left as it is.

    Returns:
        A whole HTML document.
    """
    style = Markup("").join(part(name) for name in styles)
    return _environment().get_template(template).render(style=style, **context)


def part(name: str) -> Markup:
    """A file of ``templates`` as it is, to stand in a page: a style sheet or a script of ours.

    Args:
        name: of the file.

    Returns:
        Its text, marked as markup.
    """
    return Markup(_loader().get_source(_environment(), name)[0])


def digest(script: str) -> str:
    """A script's name in a Content-Security-Policy, so that no other script runs in the page.

    Args:
        script: the text between its tags, to the letter.

    Returns:
        ``sha256-...``, see https://www.w3.org/TR/CSP3/#grammardef-hash-source.
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _loader() -> PackageLoader:
    return PackageLoader("harness.report.templates", "")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters["unbroken"] = unbroken
    return environment


def _shown(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
