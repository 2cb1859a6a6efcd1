"""Damaged stores without end: ``damaged`` spoils a sound one, by the draws that it is given alone.

Files are cut, exchanged, made special or given other content, with the digest in the record as it was or made right
again. A change with the right digest is one of form alone: numbers of the right form, in their own names, are results
as good as any, and nobody can tell them from others.
"""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

RECORD, TABLE, TENSORS, MARKER = "record.json", "table.json", "tensors.safetensors", "harness_store.json"
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, "", "text", [], {}, [None], {"a": 1}, 2**63, -(2**70), 10**400, float("nan")),
    *(float("inf"), 1e308, "x" * 1000, "\ud800", "\u202e", "a\nb", "../../x", [[[[1]]]], "0" * 64, "\x1b[2J"),
)
_TEXTS = (
    *("", "null", "[]", "{}", "1", "NaN", '"text"', "{", "[1, 2", "[" * 100_000, '{"a":' * 100_000, "\0", "\ufeff{}"),
    *('{"job": {}, "files": {}, "provenance": {}}', '{"a": 1, "a": 2}', "1" + "0" * 5000, "[" + "1," * 50_000 + "1]"),
)


def damaged(draw: random.Random, store: Path) -> list[str]:
    """Damages a store, of which there is at least one artifact with a table and one with tensors.

    Returns:
        What was done, in words.
    """
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        change = draw.choice(_CHANGES)
        try:
            done.append(f"{change.__name__.strip('_')}: {change(draw, store)}")
        except (OSError, ValueError, LookupError) as error:  # of what an earlier change has left
            done.append(f"{change.__name__.strip('_')}: not possible any more ({error})")
    return done


def _artifact(draw: random.Random, store: Path, name: str = RECORD) -> Path:
    return draw.choice(sorted(store.glob(f"jobs/*/*/{name}"))).parent


def _file(draw: random.Random, store: Path) -> Path:
    return draw.choice(sorted(path for path in store.glob("jobs/*/*/*") if path.is_file()))


def _told(path: Path, what: object) -> str:
    return f"{path.parent.name[:12]}/{path.name} {what}"[:300]


def _changed_json(draw: random.Random, value: Any) -> str:
    """Changes one place of plain values; gives words on it."""
    inside, key = draw.choice(list(_places(value)))
    match draw.randrange(5):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[f"{key}x"] = inside.pop(key)
        case 2:
            inside[key] = draw.choice(([inside[key]], {"x": inside[key]}, str(inside[key])))
        case _:
            inside[key] = draw.choice(_VALUES)
    return f"{key!r}"


def _places(value: Any) -> list[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inside in entries for place in [(value, key), *_places(inside)]]


def _record(draw: random.Random, store: Path) -> str:
    path = _artifact(draw, store) / RECORD
    value = json.loads(path.read_text())
    words = _changed_json(draw, value)
    path.write_bytes(json.dumps(value).encode())
    return _told(path, words)


def _text(draw: random.Random, store: Path) -> str:
    """Another text in place of a record or a table, whose digest may be made right."""
    path = _artifact(draw, store, name := draw.choice((RECORD, RECORD, TABLE))) / name
    text = draw.choice(_TEXTS)
    _write(draw, path, text.encode())
    return _told(path, repr(text[:40]))


def _bytes(draw: random.Random, store: Path) -> str:
    path = _file(draw, store)
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content) + 1)
    match draw.randrange(4):
        case 0:
            del content[place:]
        case 1:
            content[place:place] = content[: draw.choice((1, 8, 100))]
        case 2:
            content += b"\0"
        case _ if place < len(content):
            content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return _told(path, f"at {place}")


def _write(draw: random.Random, path: Path, content: bytes, right: float = 0.8) -> None:
    """Writes a file of an artifact, and mostly its digest into the record."""
    path.write_bytes(content)
    if path.name != RECORD and draw.random() < right:
        record = json.loads((path.parent / RECORD).read_text())
        record["files"][path.name] = hashlib.sha256(content).hexdigest()
        (path.parent / RECORD).write_text(json.dumps(record))


def _table(draw: random.Random, store: Path) -> str:
    """A table of another form: the columns, their lengths or their kinds."""
    path = _artifact(draw, store, TABLE) / TABLE
    table = json.loads(path.read_text())
    name = draw.choice(sorted(table))
    column = table[name]
    match what := draw.choice(
        ("gone", "short", "all short", "long", "empty", "texts", "nulls", "null", "flags", "deep")
    ):
        case "gone":
            del table[name]
        case "short":
            table[name] = column[:-1]
        case "all short":
            table = {key: values[:-1] for key, values in table.items()}
        case "long":
            table = {key: [*values, values[-1]] for key, values in table.items()}
        case "empty":
            table = {key: [] for key in table}
        case "texts":
            table[name] = [str(value) for value in column]
        case "nulls":
            table[name] = [None] * len(column)
        case "null":
            table[name] = None
        case "flags":
            table[name] = [True] * len(column)
        case "deep":
            table[name] = [[value] for value in column]
    _write(draw, path, json.dumps(table).encode())
    return _told(path, f"{name} {what}")


def _tensors(draw: random.Random, store: Path) -> str:
    """Tensors of other shapes, types and names; or none."""
    path = _artifact(draw, store, TENSORS) / TENSORS
    tensors = load(path.read_bytes())
    name = draw.choice(sorted(tensors))
    one = tensors[name]
    types = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    match what := draw.choice(("gone", "more", "turned", "flat", "type", "short", "nan", "name")):
        case "gone":
            del tensors[name]
        case "more":
            tensors["other"] = torch.zeros(2)
        case "turned":
            tensors[name] = one.t().contiguous() if one.dim() == 2 and one.shape[0] != one.shape[1] else one[None]
        case "flat":
            tensors[name] = one.reshape(-1, 1)
        case "type":
            tensors[name] = one.to(draw.choice(types))
        case "short":
            tensors[name] = one.reshape(-1)[:-1].contiguous()
        case "nan" if one.is_floating_point():
            tensors[name] = torch.full_like(one, draw.choice((float("nan"), float("inf"))))
        case _:
            tensors[f"{name}.x"] = tensors.pop(name)
    _write(draw, path, save(tensors))
    return _told(path, f"{name} {what}")


def _header(draw: random.Random, store: Path) -> str:
    """The header of a file of tensors: its length, its offsets, its types, its text."""
    path = _artifact(draw, store, TENSORS) / TENSORS
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + size], content[8 + size :]
    if draw.random() < 0.3:
        length = draw.choice((0, 1, size - 1, size + 1, 10**8, 10**8 + 1, 2**31, 2**63, 2**64 - 1))
        content, words = length.to_bytes(8, "little") + header + rest, f"length {length}"
    else:
        value = json.loads(header)
        words = _changed_json(draw, value)
        header = json.dumps(value).encode()
        content = len(header).to_bytes(8, "little") + header + rest
    _write(draw, path, content)
    return _told(path, words)


def _gone(draw: random.Random, store: Path) -> str:
    path = draw.choice((_file(draw, store), _artifact(draw, store)))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return _told(path, "")


def _exchanged(draw: random.Random, store: Path) -> str:
    """A file of one artifact in another, or the artifacts themselves."""
    one, other = _artifact(draw, store), _artifact(draw, store)
    if draw.random() < 0.5:
        name = draw.choice(sorted(path.name for path in one.iterdir() if path.is_file()))
        (other / name).write_bytes((one / name).read_bytes())
        return _told(other / name, f"of {one.name[:12]}")
    kept = {path.name: path.read_bytes() for path in one.iterdir()}
    shutil.rmtree(one)
    shutil.copytree(other, one)
    shutil.rmtree(other)
    other.mkdir()
    for name, content in kept.items():
        (other / name).write_bytes(content)
    return _told(one, f"for {other.name[:12]}")


def _special(draw: random.Random, store: Path) -> str:
    """What is no file, or no folder, in the place of one; links lead outside."""
    outside = store.parent / "outside"
    places = (_file(draw, store), _file(draw, store), _artifact(draw, store), _artifact(draw, store).parent)
    path = draw.choice((*places, store / draw.choice(("jobs", "tmp", "progress", MARKER))))
    kept = outside / f"kept-{len(list(outside.iterdir()))}"
    path.rename(kept)
    match kind := draw.choice(("fifo", "folder", "full folder", "link", "dangling", "device", "loop", "file")):
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "full folder":
            path.mkdir()
            (path / "letter").write_text("a user's")
        case "link":
            path.symlink_to(kept)
        case "dangling":
            path.symlink_to(outside / "nowhere")
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "file":
            path.write_bytes(draw.choice((b"", b"x", b"\0" * 4096)))
    return _told(path, kind)


def _progress(draw: random.Random, store: Path) -> str:
    """Something at the name of a checkpoint or of a schedule."""
    (store / "progress").mkdir(exist_ok=True)
    name = "".join(draw.choice("0123456789abcdef") for _ in range(32)) + draw.choice(("", "", ".json"))
    path = store / "progress" / name
    keys = [one.parent.name for one in sorted(store.glob("jobs/*/*/record.json"))][:2]
    about = json.dumps(draw.choice(({"jobs": keys, "notes": {}, "elapsed": 1.0}, keys, [keys], {}, [], None, "text")))
    words = torch.frombuffer(bytearray(about.encode()), dtype=torch.uint8)
    match kind := draw.choice(("folder", "full folder", "fifo", "text", "tensors", "list", "link", "zeros")):
        case "folder":
            path.mkdir()
        case "full folder":
            path.mkdir()
            (path / "letter").write_text("a user's")
        case "fifo":
            os.mkfifo(path)
        case "text":
            path.write_text(draw.choice(_TEXTS))
        case "tensors":
            content = save({"about": draw.choice((words, words.float(), words[None]))})
            path.write_bytes(content + hashlib.sha256(content).digest())
        case "list":
            path.write_text(about)
        case "link":
            path.symlink_to(draw.choice(("/dev/zero", store.parent / "outside", "nowhere", path.name)))
        case "zeros":
            path.write_bytes(bytes(draw.choice((1, 32, 40, 10_000))))
    return _told(path, kind)


def _marker(draw: random.Random, store: Path) -> str:
    text = draw.choice((*_TEXTS, '{"harness": "store of results", "layout": 2}\n'))
    (store / MARKER).write_text(text) if draw.random() < 0.8 else (store / MARKER).unlink()
    return repr(text[:40])


def _stranger(draw: random.Random, store: Path) -> str:
    """What no store gives a name to, among its own."""
    folder = draw.choice((store, store / "jobs", store / "progress", store / "tmp", _artifact(draw, store)))
    path = folder / draw.choice(("letter", "ab", "a\nb", "a\x1b[2Jb", "0" * 32, "0" * 64, ".x.tmp", "record.json.bak"))
    path.mkdir() if draw.random() < 0.4 else path.write_text("a user's")
    return _told(path, "")


_CHANGES: tuple[Callable[[random.Random, Path], str], ...] = (
    *(_record, _record, _record, _text, _bytes, _table, _table, _tensors, _tensors, _header),
    *(_gone, _exchanged, _special, _special, _progress, _progress, _marker, _stranger),
)
