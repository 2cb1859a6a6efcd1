"""Malformed and strange specs without end: ``mutated`` spoils a sound one, by the draws that it is given alone.

Most changes keep the structure of the file, so that what is wrong is a value, a type, a name or a length; the others
change its text.
"""

import json
import math
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from harness.schema.document import read
from tests.support import (
    SPECS,
    approximation_text,
    cliffs_text,
    drift_text,
    edge_text,
    imp_text,
    instability_text,
    quadratic_text,
    spectrum_text,
)

Place = tuple[Any, Any]
"""A dict or a list, and the key or the number of one of its entries."""


class Raw(str):
    """Text that stands in the file as it is."""


_EXTREMES = tuple(
    map(
        Raw,
        (
            *("0", "-1", "1", "-0.0", "0.5", "1e308", "-1e308", "1e309", "1e-320", "1e-46", "1e-9999", ".nan", "nan"),
            *("NaN", ".inf", "-.inf", "Infinity", "9223372036854775807", "9223372036854775808", "4294967296"),
            *("1000000000", "999999999it", "1000000ep", "0it", "1it", "0ep", "-1it", "1.5ep", "1e3it", "3", "3 it"),
            *(
                "1" + "0" * 400,
                "9" * 39,
                "1" + "0" * 39,
                "0x10",
                "0o17",
                "060",
                "1_000",
                "+5",
                "1:30",
                "½",
                "\uff14\uff10it",
            ),
            *(
                "\uff14\uff10it",
                "true",
                "false",
                "null",
                "~",
                "yes",
                "True",
                "''",
                "' '",
                "[]",
                "{}",
                "[null]",
                "{a: 1}",
                "a",
                "2026-11-29",
            ),
            *('"\\ud800"', '"\\u0000"', '"\\e[2J"', '"a\\nb"', '"𝜆"', '"\\u202e"', '"../../x"', '"%s{}"', "[1, 2, 3]"),
            *("!!python/object/apply:os.system [id]", "!!int 3", "!!binary aGk=", "!x y", "&a 1", "*a", "<<", "|\n  a"),
        ),
    )
)
_EXTREME_NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 1000, 10**6, 10**9, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 10**15, 10**30, Raw("-0.0")),
    *(0.5, 0.1, 1.0, 0.999999999, 1e-9, 1e-30, 1e-40, 1e-320, 1e20, 1e38, 1e39, 1e300, 1.7e308, -1e-9, -1e300),
)
_ONLY_NUMBERS = 0.4
"""Share of the specs of which numbers alone are changed: what is wrong with these is seen by few checks."""
_SIZES = (10, 70, 300, 1001)
_TOKENS = (
    *(
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "!!int ",
        "? ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "\t",
        "%YAML 1.1\n",
        "---\n",
    ),
    *(
        "...\n",
        "\0",
        "\ufeff",
        "\u2028",
        "\x85",
        '"',
        "'",
        ": ",
        "#",
        "|\n",
        ">\n",
        "\r",
        "<<: *a\n",
        "@",
        "`",
        "\ud800",
    ),
)


@cache
def sound() -> tuple[dict[str, Any], ...]:
    """The specs that are spoiled, as plain values: those that are shipped, and the tiny ones of the tests."""
    return (*_tiny(), *(read(path).value for path in SPECS))


def _tiny() -> Iterator[dict[str, Any]]:
    import tempfile
    from pathlib import Path

    texts = (instability_text, imp_text, quadratic_text, edge_text, spectrum_text, drift_text, cliffs_text)
    with tempfile.TemporaryDirectory() as folder:
        for text in (*texts, approximation_text):
            path = Path(folder) / "spec.yaml"
            path.write_text(text())
            yield read(path).value


@cache
def _pool() -> dict[str, list[Any]]:
    """Name of a field -> the values that it has anywhere."""
    pool: dict[str, list[Any]] = {}
    for spec in sound():
        for inside, key in _places(spec):
            if isinstance(key, str) and inside[key] not in pool.setdefault(key, []):
                pool[key].append(inside[key])
    return pool


def mutated(draw: random.Random) -> tuple[str, bytes]:
    """The name and the content of a spoiled spec's file, a function of the draws."""
    spec = deepcopy(draw.choice(sound()))
    name = f"{spec['id']}.yaml"
    numbers = draw.random() < _ONLY_NUMBERS
    for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 3))):
        places = [(inside, key) for inside, key in _places(spec) if not numbers or _is_number(inside[key])]
        if places:
            draw.choice(_NUMBERS if numbers else _CHANGES)(draw, *draw.choice(places))
    text = emitted(spec)
    if not numbers and draw.random() < 0.2:
        text = _spoiled(draw, text)
    content = text.encode("utf-8", "surrogatepass")
    return name, _damaged(draw, content) if draw.random() < 0.1 else content


def _places(value: Any) -> Iterator[Place]:
    """Everything in a spec, however deep."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in entries:
        yield value, key
        yield from _places(inside)


def _is_number(value: Any) -> bool:
    """Also a time in training."""
    return isinstance(value, int | float) or (isinstance(value, str) and value[-2:] in ("it", "ep") and value[0] < "A")


def _extreme(draw: random.Random, inside: Any, key: Any) -> None:
    inside[key] = draw.choice(_EXTREMES)


def _crossed(draw: random.Random, inside: Any, key: Any) -> None:
    """What the same field has elsewhere; or any other."""
    pool = _pool()
    name = key if key in pool and draw.random() < 0.8 else draw.choice(sorted(pool))
    inside[key] = deepcopy(draw.choice(pool[name]))


def _scaled(draw: random.Random, inside: Any, key: Any) -> None:
    value = inside[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _extreme(draw, inside, key)
    by = draw.choice((-1, 0, 2, 10, 0.1, 1e3, 1e9, 1e-9, 1e30, 1e-30, 1 + 1e-12))
    scaled = value * by
    inside[key] = int(scaled) if isinstance(value, int) and draw.random() < 0.7 else scaled
    return None


def _timed(draw: random.Random, inside: Any, key: Any) -> None:
    value = inside[key]
    if isinstance(value, str) and value[-2:] in ("it", "ep"):
        count = draw.choice((value[:-2], "0", "1", "2", "1000", "64000", "1000000", "000012"))
        inside[key] = count + draw.choice(("it", "ep", "it", "ep", " it", "epochs", "IT", "s", ""))
    else:
        _crossed(draw, inside, key)


def _removed(draw: random.Random, inside: Any, key: Any) -> None:
    del inside[key]


def _added(draw: random.Random, inside: Any, key: Any) -> None:
    if isinstance(inside, dict):
        name = draw.choice((*sorted(_pool()), "x", "", "a b", "1", "𝜆", "__class__", "model_config", "<<", "null"))
        inside[name] = deepcopy(inside[key])
    else:
        inside.insert(draw.randrange(len(inside) + 1), deepcopy(inside[key]))


def _renamed(draw: random.Random, inside: Any, key: Any) -> None:
    if isinstance(inside, dict):
        pool = sorted(_pool())
        new = draw.choice((f"{key}s", str(key)[:-1], str(key).upper(), draw.choice(pool), draw.choice(pool)))
        inside[new] = inside.pop(key)
    else:
        inside[key] = [inside[key]]


def _wrapped(draw: random.Random, inside: Any, key: Any) -> None:
    value = inside[key]
    if isinstance(value, list) and draw.random() < 0.7:
        short = value[:1] or [None]
        inside[key] = draw.choice(([], short, value * 2, value[::-1], short[0], short * draw.choice(_SIZES)))
    elif isinstance(value, dict) and draw.random() < 0.7:
        inside[key] = draw.choice(({}, list(value), list(value.values()), [value]))
    else:
        deep = draw.choice((1, 2, 60, 300))
        inside[key] = draw.choice(([value], {"x": value}, str(value), Raw("[" * deep + "1" + "]" * deep)))


def _long(draw: random.Random, inside: Any, key: Any) -> None:
    size = draw.choice((*_SIZES, 2001, 100_000))
    numbers = ", ".join(map(str, range(min(size, 20_000))))
    times = ", ".join(f"{number}it" for number in range(min(size, 20_000)))
    keys = ", ".join(f"k{number}: 1" for number in range(min(size, 20_000)))
    made = ('"' + "x" * size + '"', f"[{numbers}]", f"[{times}]", "{" + keys + "}", "[" + "1," * size + "1]")
    inside[key] = Raw(draw.choice(made))


def _extreme_number(draw: random.Random, inside: Any, key: Any) -> None:
    inside[key] = draw.choice(_EXTREME_NUMBERS)


_NUMBERS = (_extreme_number, _extreme_number, _crossed, _scaled, _scaled, _timed)
_CHANGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    *(_extreme, _extreme, _crossed, _crossed, _scaled, _scaled, _timed),
    *(_removed, _added, _renamed, _wrapped, _wrapped, _long),
)


def emitted(value: Any, indent: int = 0) -> str:
    """Plain values as YAML: a line for each field down to a spec's settings."""
    if isinstance(value, dict) and value and indent < 12:
        lines = []
        for key, inside in value.items():
            nested = isinstance(inside, dict) and inside and indent < 10
            lines.append(f"{' ' * indent}{_key(key)}:" + ("\n" if nested else " ") + emitted(inside, indent + 2))
        return "\n".join(lines) if indent else "\n".join(lines) + "\n"
    return _flow(value)


def _key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".inf"
    return json.dumps(value, ensure_ascii=False)


def _spoiled(draw: random.Random, text: str) -> str:
    """A line given twice, moved, lost or shifted; or a sign of YAML's put in."""
    lines = text.split("\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(6):
        case 0:
            lines.insert(one, lines[one])
        case 1:
            lines[one], lines[other] = lines[other], lines[one]
        case 2:
            del lines[one]
        case 3:
            lines[one] = draw.choice((" ", "  ", "\t", "- ", "# ", "? ")) + lines[one]
        case 4:
            place = draw.randrange(len(lines[one]) + 1)
            lines[one] = lines[one][:place] + draw.choice(_TOKENS) + lines[one][place:]
        case _:
            head, colon, _ = lines[one].partition(": ")
            lines[one] = head + colon + draw.choice(_EXTREMES)
    return "\n".join(lines)


def _damaged(draw: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut or doubled."""
    result = bytearray(content)
    for _ in range(draw.choice((1, 2, 5))):
        place = draw.randrange(len(result) + 1)
        match draw.randrange(4):
            case 0:
                del result[place:]
            case 1:
                result[place:place] = result[place : place + 200]
            case _ if place < len(result):
                result[place] ^= 1 << draw.randrange(8)
    return bytes(result)
