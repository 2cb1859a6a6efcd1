"""What a dataset is: its facts, and two splits that give images and labels by number. ``datasets.load`` gives one."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from harness.datainfo import DatasetInfo

TENSORS = ("train_x", "train_y", "test_x", "test_y")


class Pixels(Protocol):
    """The images of a split as a device sees them: uint8 [N, C, H, W]. A tensor is one."""

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W]."""

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Images [*S, C, H, W] by number, int64 [*S] of 0 .. N-1, on the device.

        Numbers are looked at only where the images are read from files: in a tensor on a device they come from the
        engine, and looking would wait for the device at each step.
        """


class Split(Protocol):
    """Training or test data: N images and their labels, to be read and never written."""

    @property
    def labels(self) -> Tensor:
        """int64 [N], 0 .. classes-1; always in memory, being eight bytes an image."""

    def images(self, index: Tensor | slice) -> Tensor:
        """Images uint8 [*S, C, H, W] by number, int64 [*S] of 0 .. N-1, in memory.

        Raises:
            IndexError: there is no image of such a number, as of none below 0; or the numbers are not int64.
            CorruptArtifact: a file that holds them is damaged or missing.
        """

    def on(self, device: torch.device) -> Pixels:
        """The images as a device sees them: all of them there, or read batch by batch."""

    def gives(self, pixels: Pixels) -> bool:
        """Whether each look at these pixels is a look at this very split, so that they cannot differ from it."""

    def relabelled(self, labels: Tensor) -> "Split":
        """The same images with other labels [N]."""


@dataclass(frozen=True)
class Dataset:
    """Facts, and the data that they are of.

    Attributes:
        info: shape, classes, sizes, digest.
        train: to train on.
        test: to test on.
    """

    info: DatasetInfo
    train: Split
    test: Split


@dataclass(frozen=True)
class InMemory:
    """A split as two tensors.

    Attributes:
        pixels: uint8 [N, C, H, W].
        labels: int64 [N].
    """

    pixels: Tensor
    labels: Tensor

    def images(self, index: Tensor | slice) -> Tensor:
        """See ``Split``."""
        require_within(index, len(self.labels))
        return self.pixels[index]

    def on(self, device: torch.device) -> Tensor:
        """All of them, on the device."""
        return self.pixels.to(device)

    def gives(self, pixels: Pixels) -> bool:
        """Not a copy on a device; on the CPU ``on`` makes none."""
        return pixels is self.pixels

    def relabelled(self, labels: Tensor) -> "InMemory":
        """See ``Split``."""
        return replace(self, labels=labels)


def in_memory(info: DatasetInfo, tensors: Mapping[str, Tensor]) -> Dataset:
    """The dataset of the tensors train_x and test_x, uint8 [N, C, H, W], and train_y and test_y, int64 [N]."""
    train, test = (InMemory(tensors[f"{part}_x"], tensors[f"{part}_y"]) for part in ("train", "test"))
    return Dataset(info, train, test)


def require_within(index: Tensor | slice, count: int) -> None:
    """What ``Split.images`` asks of numbers, of so many images; a slice names none beyond them.

    Raises:
        IndexError: a number is below 0 or not below ``count``, or the numbers are not int64.
    """
    if isinstance(index, slice):
        return
    if index.dtype != torch.int64:
        raise IndexError(f"images were asked for by {index.dtype}, not by number, int64")
    if index.numel():
        least, most = (int(end) for end in index.aminmax())
        if not 0 <= least <= most < count:
            raise IndexError(f"images {least} to {most} were asked for, of {count}")


class ContentDigest:
    """SHA-256 of a dataset's content, whatever files it lies in and in however many pieces it comes.

    Hashed are the line ``harness-dataset-1``, then for train_x, train_y, test_x, test_y in this order a line
    ``<name> <uint8|int64> <length>x<length>...`` and the elements in C order, little-endian.
    """

    def __init__(self) -> None:
        """Of nothing yet."""
        self._state = hashlib.sha256(b"harness-dataset-1\n")

    def enter(self, name: str, dtype: str, shape: Iterable[int]) -> None:
        """Begins a tensor."""
        self._state.update(f"{name} {dtype} {'x'.join(map(str, shape))}\n".encode())

    def add(self, piece: bytes | memoryview) -> None:
        """The next elements of the tensor."""
        self._state.update(piece)

    @property
    def hex(self) -> str:
        """Of what came so far."""
        return self._state.hexdigest()


def digest(tensors: Mapping[str, Tensor]) -> str:
    """``ContentDigest`` (hex) of the four tensors."""
    content = ContentDigest()
    for name in TENSORS:
        content.enter(name, str(tensors[name].dtype).removeprefix("torch."), tensors[name].shape)
        content.add(elements(tensors[name]))
    return content.hex


def elements(tensor: Tensor) -> memoryview:
    """The elements of a tensor in C order, little-endian."""
    array = tensor.contiguous().numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view("u1").data
