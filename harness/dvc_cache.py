"""DVC's cache, as far as its health is ours: a corrupt file in it would come back in place of a result."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(".dvc/cache")
"""Where DVC keeps it, below the repository's root."""


def corrupt_files(cache: Path) -> Iterator[Path]:
    """Files of a cache whose content is not what their name says.

    DVC itself trusts a file that is read-only. A result that is computed again has the name of the earlier one, so DVC
    would link the corrupt file back in its place.

    Args:
        cache: its folder; nothing is found where there is none.

    Yields:
        Files ``files/md5/<2 hex>/<30 hex>``, also with the suffix ``.dir``.
    """
    for path in sorted((cache / "files" / "md5").glob("??/*")):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if digest != path.parent.name + path.name.removesuffix(".dir"):
            yield path
