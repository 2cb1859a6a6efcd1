"""Files of a run under way: tensors and plain values together, with the digest of both at the end."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness import jsonfile
from harness.jobs.artifact import decode_tensors, read_tensors

_ABOUT = "about"
_DIGEST_BYTES = 32


def encode(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """Tensors and plain values in one file, its SHA-256 at the end."""
    words = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = save_tensors({**plain, _ABOUT: words})
    return content + sha256(content).digest()


def digest_of(content: bytes) -> bytes:
    """The digest at the end of what ``encode`` made."""
    return content[-_DIGEST_BYTES:]


def decode(content: bytes) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the plain values, which are not looked at, of what ``encode`` made.

    Raises:
        ValueError: it is something else; in words that follow the file's name.
    """
    if sha256(content[:-_DIGEST_BYTES]).digest() != digest_of(content):
        raise ValueError("is damaged: its digest does not fit")
    tensors = decode_tensors(content[:-_DIGEST_BYTES])
    words = tensors.pop(_ABOUT, None)
    if words is None or words.dtype != torch.uint8:
        raise ValueError("does not say what it is of")
    return tensors, jsonfile.parse(words.numpy().tobytes())


def read(path: Path) -> bytes:
    """The content of such a file, not yet decoded.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file; in words that follow the file's name.
    """
    return read_tensors(path, beyond=_DIGEST_BYTES)
