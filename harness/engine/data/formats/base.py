"""What a file format is: bytes in, arrays out. Shape legend: N images, C channels, H height, W width."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy.typing as npt

from harness.datainfo import DatasetFacts
from harness.engine.data.archives import Source
from harness.errors import RequestError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Reading:
    """What a source held.

    Attributes:
        arrays: train_x, test_x uint8 [N, C, H, W]; train_y, test_y int64 [N].
        original: every byte used was compared with a published checksum.
        origin: the form it came in, in plain words.
        caveat: how it may differ from the original, None where it does not.
    """

    arrays: Mapping[str, Array]
    original: bool
    origin: str
    caveat: str | None


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        looks: how to recognise it, for people.
        wants: whether a file belongs to it, by its path.
        lacks: a source of such files only, and the facts of the dataset -> what is missing of it, by name.
        read: a source of such files only, and the facts of the dataset -> what it held.
    """

    looks: str
    wants: Callable[[PurePosixPath], bool]
    lacks: Callable[[Source, DatasetFacts], list[str]]
    read: Callable[[Source, DatasetFacts], Reading]


def md5(content: bytes) -> str:
    """MD5 in hex, as the authors publish it: it tells copies apart, it guards against nothing else."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def only(source: Source, name: str, copies: Mapping[PurePosixPath, bytes]) -> bytes:
    """The content of the one file of this name; where a source has several, they must agree.

    Raises:
        RequestError: there is none, or they differ.
    """
    if not copies:
        raise RequestError(f"{source.name} holds no {name}: get a complete copy")
    if len(set(copies.values())) > 1:
        paths = ", ".join(map(str, copies))
        raise RequestError(f"{source.name} holds differing copies of {name} ({paths}): keep one of them")
    return next(iter(copies.values()))


def all_distinct(source: Source, contents: Mapping[str, bytes]) -> None:
    """Raises RequestError where files of different names, which hold different images, have the same bytes."""
    first: dict[bytes, str] = {}
    for name, content in contents.items():
        other = first.setdefault(content, name)
        if other != name:
            raise RequestError(
                f"{source.name}: {other} and {name} are the same bytes, though no image of one is in the other: "
                "get a sound copy"
            )
