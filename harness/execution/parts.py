"""The parts of a checkpoint: what is finished, written once, in files beside it: ``CHECKPOINT.0``, ``CHECKPOINT.1``.

What is too little for a part yet lies in the checkpoint, as one tensor that holds the part to be as it stands. So a
checkpoint is longer by no more than ``PART_BYTES``, and every part is longer than that, however often a run saves.

Another run may write parts of the same names, so the checkpoint says which its own are, by a digest over theirs.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.execution import sealed
from harness.jobs import store_folder

PART_BYTES = 1 << 20
"""What is finished is written as a part as soon as it takes more."""
HELD = "kept"
"""The checkpoint's tensor with what is too little for a part."""


class Parts:
    """The parts of one checkpoint.

    Args:
        checkpoint: its file.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._written: set[str] = set()
        self._new: dict[str, Tensor] = {}
        self._held = b""
        self._count, self._digest = 0, sha256()

    @property
    def about(self) -> dict[str, Any]:
        """What the checkpoint says of them, of the same length however many they are but for the digits of a number."""
        return {"parts": self._count, "parts_digest": self._digest.hexdigest()}

    @property
    def held(self) -> dict[str, Tensor]:
        """What the checkpoint itself has to hold, after ``take_new``."""
        return {HELD: torch.frombuffer(bytearray(self._held), dtype=torch.uint8)} if self._held else {}

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes tensors that were not taken yet; they must not change from now on."""
        self._new |= {
            name: value for name, value in tensors.items() if name not in self._written and name not in self._new
        }

    def take_new(self) -> tuple[Path, bytes] | None:
        """The next part, its file and content, to be written before the checkpoint; None where too little is new."""
        content = sealed.encode(self._new, {}) if self._new else b""
        if len(content) <= PART_BYTES:
            self._held = content
            return None
        path = self._part(self._count)
        self._note(self._new, content)
        self._new, self._held = {}, b""
        return path, content

    def read(self, count: int, digest: str, checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All that is kept; what is written from now on comes after it.

        Args:
            count: how many parts the checkpoint says there are.
            digest: that it says they have.
            checkpoint: its tensors.

        Raises:
            ValueError: a part is not there, is damaged, or is not of this checkpoint, or what this holds is no part;
                in words that follow its name.
        """
        kept: dict[str, Tensor] = {}
        for number in range(count):
            try:
                content = sealed.read(self._part(number))
                tensors, _ = sealed.decode(content)
            except (OSError, ValueError) as error:
                raise ValueError(f"has no part {number} that can be read") from error
            self._note(tensors, content)
            kept |= tensors
        if count and digest != self._digest.hexdigest():
            raise ValueError("has parts that are not its own")
        if HELD in checkpoint:
            try:
                self._new, _ = sealed.decode(checkpoint[HELD].numpy().tobytes())
            except ValueError as error:
                raise ValueError("holds a part that cannot be read") from error
        return kept | self._new

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
    return [part for part in path.parent.glob(f"{path.name}.*") if store_folder.is_part(part)]
