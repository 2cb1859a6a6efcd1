"""A whole spec: claims, and the settings at which they are checked."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.schema.base import Many, Model, Name, Seed, Text, Version
from harness.schema.claims import Claim
from harness.schema.sensitivity import OpenChoice
from harness.schema.training import Training

PAPER_SCALE = "paper"
"""The scale whose settings are the paper's own; only there can a claim be REPRODUCED."""

MAIN_RECIPE = "training"
"""Name of the recipe that every scale of a training experiment has."""


def place_of_recipe(name: str) -> tuple[str, ...]:
    """Where a scale has the recipe of this name."""
    return (name,) if name == MAIN_RECIPE else ("recipes", name)


class Replicates(Model):
    """How often the experiment is repeated; orders nest within initialisations.

    Attributes:
        initialisations: independent networks; intervals are over these.
        orders: data orders for each initialisation, i.e. copies that are compared in pairs; 1 where a protocol
            compares none.
        pairing: ``all`` pairs of the orders (3 orders: 3 pairs), or ``disjoint`` ones (6 orders: 3 pairs). LMC
            has "three data orders per initialization (nine combinations total)", which leaves it open.
        first_seed: initialisations are seeded from here on; another number gives fresh replicates.
    """

    initialisations: Annotated[int, Field(ge=1, le=1000)]
    orders: Annotated[int, Field(ge=1, le=100)] = 1
    pairing: Literal["all", "disjoint"] = "all"
    first_seed: Seed = 0

    @model_validator(mode="after")
    def _orders_pair_up(self) -> Self:
        if self.pairing == "disjoint" and self.orders % 2:
            raise ValueError(f"disjoint pairs need an even number of orders, found {self.orders}")
        return self

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of orders that are compared."""
        if self.pairing == "disjoint":
            return [(first, first + 1) for first in range(0, self.orders, 2)]
        return [(a, b) for a in range(self.orders) for b in range(a + 1, self.orders)]

    @property
    def seeds(self) -> range:
        """Seeds of the initialisations."""
        return range(self.first_seed, self.first_seed + self.initialisations)


class Scale(Model):
    """One complete setting of the experiment.

    Attributes:
        replicates: how often.
        training: the recipe; left out where the protocol trains no network.
        recipes: further ones by name, such as that of a pretraining, where the protocol has use for them.
        settings: what the protocol itself leaves to choose; its fields are the protocol's.
        departures: where this setting knowingly departs from the paper; empty at a faithful paper scale.
    """

    replicates: Replicates
    training: Training | None = None
    recipes: dict[Name, Training] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    departures: Many[Text] = ()

    @property
    def trainings(self) -> Mapping[str, Training]:
        """Name -> recipe; ``training`` is the name of the first."""
        return ({} if self.training is None else {MAIN_RECIPE: self.training}) | self.recipes


class Spec(Model):
    """A claim group of one experiment.

    Attributes:
        schema_version: of this file format.
        id: the file's name without ``.yaml``.
        title: one line.
        protocol: the experiment, by its name: a folder of ``harness/protocols``, or of a package outside.
        claims: what the source says.
        scales: name -> setting; ``toy`` and ``paper`` by custom.
        sensitivity: choices that the source leaves open, flipped by ``harness sensitivity``; they are no claims.
    """

    schema_version: Version
    id: Name
    title: Text
    protocol: Name
    claims: Annotated[Many[Claim], Field(min_length=1)]
    scales: Annotated[dict[Name, Scale], Field(min_length=1)]
    sensitivity: Many[OpenChoice] = ()
