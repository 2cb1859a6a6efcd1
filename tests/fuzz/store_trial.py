"""A damaged store gives the numbers that it gave, or an error that names what is damaged, whose remedy heals it."""

import random
import re
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import BrokenError
from tests.fuzz.store_mutations import damaged
from tests.fuzz.trial import Outcome, Unclear, Wrong, tried
from tests.support import Place, Said, cli, imp_text, instability_text, quadratic_text

_HEALING_S = 20.0
"""Of computing: what was damaged is trained again."""
_HEALED = 0.4
"""Share of the cases that are healed, which takes longer than all else."""
_MOST_REMEDIES = 8
_CLOSE = 1e-6
"""Of what is trained again beside other replicas, or alone, relative to the number or to 1."""


class Sound:
    """Stores as they were before they are damaged, and what a run gives on them; filled once."""

    def __init__(self, root: Path) -> None:
        """Takes a folder, which is absent or empty."""
        self._root = root

    @cache  # noqa: B019  (lives as long as the process)
    def of(self, number: int) -> tuple[Place, Any]:
        """A filled store, and its outcome."""
        texts = (instability_text, imp_text, quadratic_text)
        place = Place(self._root / str(number % len(texts)))
        place.root.mkdir(parents=True)
        path = place.write(texts[number % len(texts)]())
        said = place.verify(path, more=("--json",))
        assert said.code == 0, said.err
        return place, numbers(said)


def numbers(said: Said) -> Any:
    """What a run gives, without what it cost and on which machine."""
    (document,) = said.json
    return {name: document[name] for name in ("claims", "figures", "failures", "counts", "setting")}


def store_outcome(draw: random.Random, folder: Path, sound: Sound) -> Outcome:
    """Damages a store, runs on it, checks it, and does what the errors say until it is well.

    Args:
        draw: decides everything.
        folder: empty.
        sound: the stores that are damaged, outside the folder.
    """
    whole, expected = sound.of(draw.randrange(3))
    shutil.copytree(whole.root, folder / "place")
    place = Place(folder / "place")
    (place.root / "outside").mkdir()
    (place.root / "outside/letter").write_text("a user's")
    done = "; ".join(damaged(draw, place.store))
    outside = _everything(place.root / "outside")
    (spec,) = place.root.glob("*.yaml")

    def run() -> str:
        said = place.verify(spec, more=("--json",))
        _require_same(said, expected)
        return "the same numbers"

    def check() -> str:
        said = cli("store", "check", "--store", place.store, "--cache", place.root / "none")
        if said.code:
            raise BrokenError(said.err.removeprefix("error: ").strip())
        return said.out

    def heal() -> str:
        return f"healed by {_healed(place, spec, expected)} remedies"

    results = [tried(check, lambda words: _require_named(words, place))]
    results.append(tried(run, lambda words: _require_named(words, place)))
    if draw.random() < _HEALED:
        results.append(tried(heal, slow_s=_HEALING_S))
    if _everything(place.root / "outside") != outside:
        results.append(Outcome("wrong", "what lies outside the store is changed"))
    worst = next((one for one in results if one.found), results[1])
    return Outcome(worst.kind, f"{done} -> {worst.words}", worst.seconds)


def _require_same(said: Said, expected: Any) -> None:
    if said.code in (2, 3) and not said.out.strip():
        raise BrokenError(said.err.removeprefix("error: ").strip())
    if said.code == 3:
        raise BrokenError(f"{said.err} {numbers(said)['failures']}")
    if said.code:
        raise Wrong(f"exit code {said.code}: {said.out[:500]}")
    difference = next(_differences(numbers(said), expected, ""), None)
    if difference:
        raise Wrong(f"other numbers: {difference}")


def _differences(found: Any, expected: Any, place: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        for name, value in found.items():
            yield from _differences(value, expected[name], f"{place}.{name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif isinstance(found, float) and isinstance(expected, float):
        if abs(found - expected) > _CLOSE * max(1.0, abs(expected)):
            yield f"{place} is {found}, was {expected}"
    elif found != expected:
        yield f"{place} is {str(found)[:200]}, was {str(expected)[:200]}"


def _require_named(words: str, place: Place) -> None:
    """The store or its artifact is named, and what to do."""
    if str(place.store) not in words:
        raise Unclear(f"the store is not named: {words[:1500]}")
    if not re.search(r"[Rr]emove|--store|[Mm]ove", words):
        raise Unclear(f"no remedy: {words[:1500]}")


def _healed(place: Place, spec: Path, expected: Any) -> int:
    """Does what the errors say, until the run gives what it gave; how often that was."""
    said: Sequence[str] = []
    for count in range(_MOST_REMEDIES):
        answer = place.verify(spec, more=("--json",))
        if answer.code in (0, 1):
            _require_same(answer, expected)
            return count
        _remedy(place, " ".join(answer.err.split()))
        said = [*said, answer.err]
    raise Wrong(f"no remedy heals it: {said[-2:]}")


def _remedy(place: Place, words: str) -> None:
    if folder := re.search(r"remove the folder (\S+)", words):
        shutil.rmtree(folder[1])
    elif "--remove" in words:
        said = cli("store", "check", "--store", place.store, "--cache", place.root / "none", "--remove")
        if said.code and (held := re.search(r"(\S+) is not removed: it holds (\S+),", " ".join(said.err.split()))):
            _away(Path(held[1]) / held[2])
        elif said.code and (path := re.search(r"(/\S+?)[:,]? .*(?:by hand|move it away)", said.err)):
            _away(Path(path[1]))
        elif said.code:
            raise Wrong(f"--remove removes nothing: {said.err}")
    elif path := re.search(r"(\S+?), where a run keeps its state,.* move it away", words):
        _away(Path(path[1]))
    elif "another with --store" in words or "with --store" in words:
        shutil.rmtree(place.store) if place.store.is_dir() else place.store.unlink()
    else:
        raise Wrong(f"no remedy in: {words}")


def _away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _everything(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in root.rglob("*")
    }
