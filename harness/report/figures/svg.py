"""A drawing by matplotlib made fit to stand inside a page: own ids, a name, no style that leaks."""

import re
from html import escape

_TAG = re.compile(r"<[^<>]+>")
_ID = re.compile(r'(\bid="|\bhref="#|url\(#)')
_FONT = re.compile(r"'DejaVu Sans'")
_ROOT = re.compile(r"<svg\b[^>]*>")
_STYLE = re.compile(r"<defs>\s*<style\b.*?</style>\s*</defs>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_VIEW = re.compile(r'viewBox="([^"]+)"')


def inline(document: str, prefix: str, title: str, description: str) -> str:
    """Turns an SVG document of matplotlib into an element for a page.

    Args:
        document: what matplotlib wrote.
        prefix: put before every id and every reference to one.
        title: the drawing's name.
        description: what is to be seen, for those who cannot see it.

    Returns:
        ``<svg role="img">...</svg>`` that scales with its container.
    """
    body = document[document.index("<svg") :]
    body = _METADATA.sub("", _STYLE.sub("", body, count=1), count=1)
    view = _VIEW.search(body)
    # Between "<" and ">" there is markup only: matplotlib escapes both in texts and in attributes.
    body = _TAG.sub(lambda tag: _tag(tag[0], prefix), _ROOT.sub("", body, count=1))
    name, words = f"{prefix}-title", f"{prefix}-desc"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view[1] if view else "0 0 346 252"}" role="img" aria-labelledby="{name} {words}" '
        f'stroke-linejoin="round" stroke-linecap="butt">\n'
        f' <title id="{name}">{escape(title)}</title>\n <desc id="{words}">{escape(description)}</desc>'
    )
    return head + body.rstrip() + "\n"


def _tag(tag: str, prefix: str) -> str:
    return _FONT.sub("system-ui, sans-serif", _ID.sub(rf"\g<1>{prefix}-", tag))
