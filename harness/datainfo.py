"""What is known of each dataset without opening it. Imports no torch, so specs and plans can read it cheaply.

A new dataset is one entry of ``KNOWN``: its facts, the names of its classes, and the file formats it may
arrive in (``harness.engine.data.formats``; ``images`` reads any folder of ``train/<class>/*.png``), or why it cannot
be brought in yet.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from harness import jsonfile
from harness.errors import CorruptArtifact, RequestError

DATA_FILE = "data.safetensors"
SHARDS_FOLDER = "shards"
MANIFEST_FILE = "manifest.json"
RECORD_FILE = "record.json"

MEMORY_BYTES = 4 << 30
"""A dataset whose images and labels take more is imported as shards, from which batches are read, in place of one file
that is loaded as a whole."""


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset in a few facts.

    Attributes:
        name: as specs call it.
        digest: SHA-256 (hex) of the content, see ``harness.engine.data.dataset.ContentDigest``, whichever files it
            lies in; "" without the data.
        n_train: images to train on.
        n_test: images to test on.
        classes: labels are 0 .. classes-1.
        shape: of one image: channels, height, width; the last two are 0 where each image has its own.
        original: the data is, verifiably, what its authors published.
        origin: where it came from, in plain words.
        caveat: how it deviates from the original, None where it does not.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    name: str
    digest: str
    n_train: int
    n_test: int
    classes: int
    shape: tuple[int, int, int]
    original: bool
    origin: str
    caveat: str | None

    @property
    def sizes_vary(self) -> bool:
        """Whether each image has its own height and width."""
        return not all(self.shape)

    @property
    def memory_bytes(self) -> int:
        """Of all images, a byte a channel of a pixel, and labels, eight bytes each."""
        return (self.n_train + self.n_test) * (math.prod(self.shape) + 8)


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset before anybody has it.

    Attributes:
        info: the facts; its digest is pinned where the data comes with a library, else "".
        class_names: names of the labels, in order; folder names in a folder of images; empty where they are the names
            of a folder's folders, in the order of their letters.
        formats: keys of ``harness.engine.data.formats.FORMATS``, preferred first; none: it is embedded, or cannot be
            brought in yet.
        awaits: why it cannot be brought in yet, in words; "" where it can.
        published: MD5 (hex) that the authors or torchvision publish, by file name. Of idx files: unpacked.
        repeats: images that have all pixels of an image before them, in training and test data together, in what
            the authors published. Counted: none in MNIST, in the digits and in a JPEG copy of CIFAR-10; equal
            pixels have equal JPEGs, so there are none in CIFAR-10 itself.
    """

    info: DatasetInfo
    class_names: tuple[str, ...]
    formats: tuple[str, ...] = ()
    awaits: str = ""
    published: Mapping[str, str] = field(default_factory=dict)
    repeats: int = 0


@dataclass(frozen=True)
class Record:
    """The commit record beside an imported dataset: its facts and what its file or its manifest must hold.

    Attributes:
        info: the facts.
        train_counts: training images of each label.
        test_counts: test images of each label.
        file_sha256: SHA-256 (hex) of ``data.safetensors``, or of ``shards/manifest.json``, which has those of the
            shards.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    info: DatasetInfo
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    file_sha256: str


_RECORD = TypeAdapter(Record)
_LARGEST = 1 << 20
"""Bytes of a record."""

_DIGITS = DatasetFacts(
    DatasetInfo(
        name="digits",
        digest="d4a5f6f2234e949b494b13ccbc3013a1c468289e96afa06c3be1bb32256bdf84",
        n_train=1400,
        n_test=397,
        classes=10,
        shape=(1, 8, 8),
        original=True,
        origin="the handwritten digits bundled with scikit-learn (test part of UCI Optical Recognition of "
        "Handwritten Digits), values 0 to 16, split 1400/397 by a fixed permutation",
        caveat=None,
    ),
    class_names=tuple("0123456789"),
)

_MNIST = DatasetFacts(
    DatasetInfo("mnist", "", 60_000, 10_000, 10, (1, 28, 28), False, "not imported here", None),
    class_names=tuple("0123456789"),
    formats=("idx",),
    # Of the unpacked files: torchvision publishes those of its .gz files, but the same bytes packed again by
    # another gzip are still MNIST. Several public loaders list both side by side.
    published={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)

_CIFAR10 = DatasetFacts(
    DatasetInfo("cifar10", "", 50_000, 10_000, 10, (3, 32, 32), False, "not imported here", None),
    class_names=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    formats=("cifar-python", "cifar-binary", "images"),
    # Batches: torchvision.datasets.CIFAR10.train_list and test_list. Binary archive: the authors' page,
    # www.cs.toronto.edu/~kriz/cifar.html.
    published={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    },
)

_IMAGENET = DatasetFacts(
    DatasetInfo("imagenet", "", 1_281_167, 50_000, 1000, (3, 0, 0), False, "not imported here", None),
    class_names=(),
    awaits="the harness plans and forecasts what needs it, but cannot read its JPEGs yet (docs/imagenet.md)",
)
"""ILSVRC 2012, as torchvision's ``ImageNet`` has it: photographs of many sizes, tested on the validation set."""

KNOWN: Mapping[str, DatasetFacts] = {known.info.name: known for known in (_DIGITS, _MNIST, _CIFAR10, _IMAGENET)}


def find(name: str) -> DatasetFacts:
    """The entry of a dataset.

    Raises:
        RequestError: no dataset has this name.
    """
    if name not in KNOWN:
        raise RequestError(f"unknown dataset {name!r}: known are {', '.join(KNOWN)}")
    return KNOWN[name]


def nominal(name: str) -> DatasetInfo:
    """The facts known without the data; the digest is "" unless the data comes with a library.

    Raises:
        RequestError: no dataset has this name.
    """
    return find(name).info


def describe(name: str, root: Path) -> DatasetInfo | None:
    """The facts of a dataset as imported under ``root``; None when it is known but not there.

    Reads the commit record only; ``harness.engine.data.datasets.load`` checks that the data still fits it.

    Raises:
        RequestError: no dataset has this name.
        CorruptArtifact: the record is unreadable or is not of this dataset.
    """
    known = find(name)
    if known.awaits:
        return None
    if not known.formats:
        return known.info
    record = read_record(known, root)
    return None if record is None else record.info


def read_record(known: DatasetFacts, root: Path) -> Record | None:
    """The commit record of an import; None when there is none.

    Raises:
        CorruptArtifact: the record is unreadable or contradicts what is known of the dataset.
    """
    path = root / known.info.name / RECORD_FILE
    try:
        record = jsonfile.read_as(path, _RECORD.validate_json, "dataset record", limit=_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptArtifact(f"{path} cannot be read ({error.strerror}): {remedy(known)}") from error
    except ValueError as error:
        raise CorruptArtifact(f"{path} {error}: {remedy(known)}") from error
    fault = _contradiction(record, known)
    if fault is not None:
        raise CorruptArtifact(f"{path}: {fault}: {remedy(known)}")
    return record


def record_text(record: Record) -> str:
    """The JSON text of a commit record."""
    return json.dumps(asdict(record), indent=2) + "\n"


def how_to_get(known: DatasetFacts) -> str:
    """What to do to have a dataset here, in words."""
    name = known.info.name
    by_command = f"`harness data import {name} FOLDER_OR_ARCHIVE` or, with a network, `harness data download {name}`"
    return known.awaits or by_command


def remedy(known: DatasetFacts) -> str:
    """What to do about a damaged import."""
    return f"import it again with `harness data import {known.info.name} FOLDER_OR_ARCHIVE --replace`"


def _contradiction(record: Record, known: DatasetFacts) -> str | None:
    for fact in ("name", "n_train", "n_test", "classes", "shape"):
        recorded, expected = getattr(record.info, fact), getattr(known.info, fact)
        if recorded != expected:
            return f"{fact} is {recorded!r}, of {known.info.name} it is {expected!r}"
    for fact, value in (("digest", record.info.digest), ("file_sha256", record.file_sha256)):
        if not re.fullmatch("[0-9a-f]{64}", value):
            return f"{fact} is {value[:80]!r}, not 64 hex digits"
    for part, count in (("train_counts", record.info.n_train), ("test_counts", record.info.n_test)):
        counts = getattr(record, part)
        if len(counts) != known.info.classes or min(counts) < 0 or sum(counts) != count:
            return f"{part} is not how {count:,} images fall into {known.info.classes} classes"
    return None
