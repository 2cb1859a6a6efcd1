"""DVC's cache, as far as its health is ours: a corrupt file in it would come back in place of a result."""

import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreBroken, write_remedy
from harness.files import digest_of

CACHE = Path(".dvc/cache")
"""Where DVC keeps it, below the repository's root, unless it was told another place."""

_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")


def check(cache: Path) -> Iterator[tuple[Path, bool]]:
    """Reads every file of a cache: whether its content is what its name says.

    DVC itself trusts a file that is read-only. A result that is computed again has the name of the earlier one, so DVC
    would link the corrupt file back in its place.

    Args:
        cache: its folder; nothing is found where there is none.

    Yields:
        Files ``files/md5/<2 hex>/<30 hex>``, also with the suffix ``.dir``, and whether they are sound.

    Raises:
        StoreBroken: one cannot be read.
    """
    for path in sorted(path for path in (cache / "files" / "md5").glob("??/*") if _is_ours(path)):
        try:
            digest = digest_of(path, "md5")
        except ValueError:
            continue  # no regular file, since a moment ago
        except OSError as error:
            raise StoreBroken(
                f"{path}: this file of DVC's cache cannot be read ({error.strerror}): give yourself the right to read "
                "it, or name another cache with --cache"
            ) from error
        yield path, digest == path.parent.name + path.name.removesuffix(".dir")


def _is_ours(path: Path) -> bool:
    """Whether DVC gives such names; other files are nobody's business here, whatever folder was named."""
    return bool(_NAME.fullmatch(f"{path.parent.name}/{path.name}")) and path.is_file()


def remove(path: Path) -> None:
    """Removes a file that ``check`` found corrupt.

    Raises:
        StoreBroken: it cannot be removed.
    """
    try:
        path.unlink()
    except OSError as error:
        # The right that counts is the folder's; the error names the file.
        folder = OSError(error.errno, error.strerror, str(path.parent))
        raise StoreBroken(
            f"{path} cannot be removed ({error.strerror}): {write_remedy(path.parent, folder)}remove it by hand, and "
            "run the same command again"
        ) from error
