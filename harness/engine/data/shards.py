"""A split whose images lie in shards, files from which batches are read; ``shard_folder`` writes and opens them.

No file stays open, so that any number of shards may be. One that changed since its checksum was found right is refused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import FileIO
from itertools import accumulate
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.datainfo import DatasetFacts, remedy
from harness.engine.data.dataset import Pixels, require_within
from harness.errors import CorruptArtifact
from harness.files import open_regular

_State = tuple[int, int, int, int]  # device, inode, length, time of the last change


@dataclass(frozen=True)
class Checked:
    """A shard as it was when its checksum was found right."""

    path: Path
    images: int
    state: _State


@dataclass(frozen=True)
class Shards:
    """A split whose images are read from files; see ``dataset.Split``.

    Attributes:
        files: shards in order.
        labels: int64 [N].
        known: the dataset.
    """

    files: tuple[Checked, ...]
    labels: Tensor
    known: DatasetFacts

    def images(self, index: Tensor | slice) -> Tensor:
        """See ``Split``. Each image that is asked for is read once, neighbours together."""
        require_within(index, len(self.labels))
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self.labels)))
        wanted, places = np.unique(index.cpu().numpy(), return_inverse=True)
        shape = self.known.info.shape
        pixels = np.empty((len(wanted), prod(shape)), np.uint8)
        for number, file in enumerate(self.files):
            start, stop = self._starts[number : number + 2]
            inside = slice(*np.searchsorted(wanted, (start, stop)))
            if inside.start < inside.stop:
                self._read(file, wanted[inside] - start, pixels[inside])
        return torch.from_numpy(pixels[places.reshape(-1)]).reshape(*index.shape, *shape)

    def on(self, device: torch.device) -> "ReadPixels":
        """The images, read batch by batch and sent to the device."""
        return ReadPixels(self, device)

    def gives(self, pixels: Pixels) -> bool:
        """What reads these files does: it holds no copy."""
        return isinstance(pixels, ReadPixels) and pixels.split.files == self.files

    def relabelled(self, labels: Tensor) -> "Shards":
        """See ``Split``."""
        return replace(self, labels=labels)

    @cached_property
    def _starts(self) -> list[int]:
        """Number of each shard's first image, and N."""
        return [0, *accumulate(file.images for file in self.files)]

    def _read(self, file: Checked, wanted: "np.typing.NDArray[np.int64]", into: "np.typing.NDArray[np.uint8]") -> None:
        """Images of a shard by number, in rising order, as rows of bytes."""
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        with told(file.path, self.known, checked=True), open_regular(file.path) as (opened, _):
            if identity(opened) != file.state:
                raise ValueError("is another file than was checked")
            for first, last in zip([0, *breaks], [*breaks, len(wanted)], strict=True):
                rows = into[first:last]
                opened.seek(int(wanted[first]) * into.shape[1])
                _fill(opened, rows.reshape(-1).data)


@dataclass(frozen=True)
class ReadPixels:
    """Images that are read when they are asked for, see ``dataset.Pixels``."""

    split: Shards
    device: torch.device

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W]."""
        return torch.Size((len(self.split.labels), *self.split.known.info.shape))

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Images [*S, C, H, W] on the device.

        Raises:
            RuntimeError: a CUDA graph is being recorded, which cannot hold the reading of files; training then goes on
                without one.
        """
        if self.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("the images are read from files at each step")
        return self.split.images(index).to(self.device)


def identity(file: FileIO) -> _State:
    """What tells an open file from another, and from itself once it was changed."""
    about = os.fstat(file.fileno())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _fill(file: FileIO, into: memoryview) -> None:
    while len(into):
        count = file.readinto(into)
        if not count:
            raise ValueError(f"ends {len(into):,} bytes too early")
        into = into[count:]


@contextmanager
def told(path: Path, known: DatasetFacts, *, checked: bool = False) -> Iterator[None]:
    """Turns what is wrong with a file, in words that follow its name, into an error with the remedy.

    Args:
        path: the file.
        known: the dataset.
        checked: whether its checksum was right before, so that a new import may have taken its place since.

    Raises:
        CorruptArtifact: something is.
    """
    remedies = remedy(known)
    if checked:
        remedies = (
            f"if {path.parent} was replaced while this ran, run the same command again; if it was not, {remedies}"
        )
    try:
        yield
    except OSError as error:
        raise CorruptArtifact(f"{path} cannot be read ({error.strerror}): {remedies}") from error
    except ValueError as error:
        raise CorruptArtifact(f"{path} {error}: {remedies}") from error
