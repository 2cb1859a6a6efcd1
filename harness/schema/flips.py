"""A spec with one field of a scale replaced, as plain values for the models that every spec goes through. Pure."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from harness.printable import shown
from harness.schema.base import Model
from harness.schema.claims import Claim
from harness.schema.document import Location
from harness.schema.model import Scale, Spec
from harness.schema.sensitivity import OpenChoice

_SEEDS = ("initialisations", "first_seed")
"""Of the replicates: the two versions are compared initialisation by initialisation."""


class NoSuchField(ValueError):
    """A scale has no field at a path, or none that can be flipped; in words that follow the place."""


def scales_of(choice: OpenChoice, spec: Spec) -> tuple[str, ...]:
    """The scales at which a choice is flipped."""
    return choice.scales or tuple(scale for scale in spec.scales if claims_of(choice, spec, scale))


def claims_of(choice: OpenChoice, spec: Spec, scale: str) -> list[Claim]:
    """The claims of a choice that have a check at a scale, in the spec's order."""
    return [claim for claim in spec.claims if claim.id in choice.claims and scale in claim.checks]


def plain(scale: Scale, settings: Model) -> dict[str, Any]:
    """A scale as plain values, with every default written out."""
    return scale.model_dump(mode="json") | {"settings": settings.model_dump(mode="json")}


def value_at(values: dict[str, Any], choice: OpenChoice) -> Any:
    """What a scale has in the choice's field.

    Raises:
        NoSuchField: it has no such field; the message names those that it has.
    """
    if choice.path[0] == "replicates" and choice.path[-1] in ("replicates", *_SEEDS):
        raise NoSuchField("the same initialisations are compared both ways: name another field")
    here: Any = values
    for depth, name in enumerate(choice.path):
        if not isinstance(here, dict) or name not in here:
            allowed = sorted(here) if isinstance(here, dict) else []
            close = difflib.get_close_matches(name, allowed, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            inside = ".".join(choice.path[:depth]) or "a scale"
            raise NoSuchField(f"found {name!r}, no field of {inside}{hint}; it has {', '.join(allowed) or 'none'}")
        here = here[name]
    return here


def flipped(values: dict[str, Any], choice: OpenChoice) -> dict[str, Any]:
    """Plain values of a scale with the choice's field replaced; NoSuchField where there is none."""
    value_at(values, choice)

    def replaced(here: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        name, *rest = path
        return here | {name: replaced(here[name], tuple(rest)) if rest else choice.value}

    return replaced(values, choice.path)


def of(spec: Spec, choices: Sequence[OpenChoice], scale: str, flipped: Scale, only: Sequence[str] = ()) -> Spec:
    """A spec with another scale in place of one, and the claims, or only some, that choices judge at it."""
    judged = {claim.id for choice in choices for claim in claims_of(choice, spec, scale)}
    wanted = judged.intersection(only) if only else judged
    claims = tuple(claim for claim in spec.claims if claim.id in wanted)
    return spec.model_copy(update={"scales": spec.scales | {scale: flipped}, "claims": claims, "sensitivity": ()})


def refused(choice: OpenChoice, location: Location, message: str) -> str:
    """What a model says against a flip, in words for the place of its value."""
    where = ".".join(map(str, location))
    return f"found {shown(choice.value)}, with which the spec is refused: {where}: {message}"


def reference_problems(spec: Spec) -> Iterator[tuple[Location, str]]:
    """What is wrong with the names of claims and scales in a spec's open choices: (place, words)."""
    quantities = {claim.id: claim.quantity for claim in spec.claims}
    seen: dict[tuple[str, str, str], int] = {}
    for number, choice in enumerate(spec.sensitivity):
        place: Location = ("sensitivity", number)
        for position, scale in enumerate(choice.scales):
            if scale not in spec.scales:
                message = f"found {scale!r}; the spec has the scales {', '.join(spec.scales)}"
                yield (*place, "scales", position), message
        for position, name in enumerate(choice.claims):
            here = (*place, "claims", position)
            if name not in quantities:
                close = difflib.get_close_matches(name, quantities, 1)
                yield here, f"the spec has no claim {name!r}{f': did you mean {close[0]!r}?' if close else ''}"
            elif quantities[name] != quantities.get(choice.claims[0], quantities[name]):
                yield (
                    here,
                    f"{name!r} is about {quantities[name]} and {choice.claims[0]!r} about "
                    f"{quantities[choice.claims[0]]}: one margin is for one quantity, so make it an entry of its own",
                )
            elif not any(name in [claim.id for claim in claims_of(choice, spec, s)] for s in scales_of(choice, spec)):
                where = f"the scales {', '.join(choice.scales)}" if choice.scales else "any scale"
                yield here, f"{name!r} has no check at {where}: leave it out"
            before = seen.setdefault((choice.field, shown(choice.value), name), number)
            if before != number or name in choice.claims[:position]:
                yield here, f"{name!r} is flipped so by entry {before + 1} already: name it once, with one margin"
