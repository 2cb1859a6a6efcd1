"""The parts of a checkpoint: what is finished, written once, in files beside it: ``CHECKPOINT.0``, ``CHECKPOINT.1``.

Another run may write parts of the same names, so the checkpoint says which its own are, by a digest over theirs.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.execution import sealed
from harness.jobs import store_folder


class Parts:
    """The parts of one checkpoint.

    Args:
        checkpoint: its file.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._written: set[str] = set()
        self._new: dict[str, Tensor] = {}
        self._count, self._digest = 0, sha256()

    @property
    def about(self) -> dict[str, Any]:
        """What the checkpoint says of them, of the same length however many they are but for the digits of a number."""
        return {"parts": self._count, "parts_digest": self._digest.hexdigest()}

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes tensors for the next part, unless one has them already."""
        self._new |= {name: value for name, value in tensors.items() if name not in self._written}

    def take_new(self) -> tuple[Path, bytes] | None:
        """The next part, its file and content, to be written before the checkpoint; None where nothing is new."""
        if not self._new:
            return None
        path, content = self._part(self._count), sealed.encode(self._new, {})
        self._note(self._new, content)
        self._new = {}
        return path, content

    def read(self, count: int, digest: str) -> dict[str, Tensor]:
        """All that the parts of a checkpoint hold; what is written from now on comes after them.

        Args:
            count: how many the checkpoint says there are.
            digest: that it says they have.

        Raises:
            ValueError: one is not there, is damaged, or is not of this checkpoint; in words that follow its name.
        """
        found: dict[str, Tensor] = {}
        for number in range(count):
            try:
                content = sealed.read(self._part(number))
                tensors, _ = sealed.decode(content)
            except (OSError, ValueError) as error:
                raise ValueError(f"has no part {number} that can be read") from error
            self._note(tensors, content)
            found |= tensors
        if count and digest != self._digest.hexdigest():
            raise ValueError("has parts that are not its own")
        return found

    def _part(self, number: int) -> Path:
        return self._checkpoint.with_name(f"{self._checkpoint.name}.{number}")

    def _note(self, tensors: Mapping[str, Tensor], content: bytes) -> None:
        self._written |= tensors.keys()
        self._digest.update(sealed.digest_of(content))
        self._count += 1


def parts_of(path: Path) -> list[Path]:
    """What lies at the names of a checkpoint's parts; nothing for another file than a checkpoint."""
    if not store_folder.is_checkpoint(path):
        return []
    return [one for one in path.parent.glob(f"{path.name}.*") if store_folder.is_part(one)]
