"""Iterative magnitude pruning with rewinding (LMC algorithm 2): how much is pruned, and the subnetworks by level."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from pydantic import Field

from harness.jobs.job import Job
from harness.observation import Observation
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.base import Measured
from harness.protocols.common.recipe import Recipe
from harness.schema.base import Fraction, Model


class Iterative(Model):
    """Prune a fraction of the remaining weights, rewind, train, again [paper].

    Attributes:
        fraction: of the remaining weights, each time [paper: 20 %].
        levels: how many times.
    """

    style: Literal["iterative"]
    fraction: Fraction = 0.2
    levels: int = Field(ge=1, le=60)

    @property
    def amount(self) -> Mapping[str, float]:
        """What a level prunes, as ``Recipe.prune`` takes it."""
        return {"fraction": self.fraction}


class OneShot(Model):
    """Prune once to a target [paper: ImageNet].

    Attributes:
        density: the share of prunable weights that remains.
    """

    style: Literal["one_shot"]
    density: Fraction

    @property
    def levels(self) -> int:
        """The sparsest level."""
        return 1

    @property
    def amount(self) -> Mapping[str, float]:
        """What its level prunes, as ``Recipe.prune`` takes it."""
        return {"density": self.density}


def chain_order(seed: int) -> str:
    """The data order of the trainings that are pruned next: no copy's, so that none shares the noise of its mask."""
    return f"chain/{seed}"


def rewound(
    recipe: Recipe, subnetwork: Subnetwork, k: int, *, order: str, optimiser_state: str, augmentation: str | None = None
) -> Job:
    """A subnetwork trained from step k, to which it is rewound, to the end (see ``Recipe.train``)."""
    return recipe.train(
        subnetwork.state,
        k,
        recipe.length,
        order=order,
        augmentation=augmentation,
        mask=subnetwork.mask,
        optimiser_state=optimiser_state,
    )


def by_level(
    recipe: Recipe,
    trunk: Job,
    pruning: Iterative | OneShot,
    trained: Callable[[Subnetwork], Job],
    *,
    output_layer: bool,
) -> list[Subnetwork]:
    """The subnetworks of a trunk, level 0 the full network: each is the last one trained, pruned and rewound.

    Args:
        recipe: whose network is pruned.
        trunk: the state at step k, to which all are rewound.
        pruning: how much, and how often.
        trained: makes the training that is pruned next, out of a subnetwork.
        output_layer: whether the last layer is pruned too.
    """
    chain = [Subnetwork(trunk, None)]
    for _ in range(pruning.levels):
        before = chain[-1]
        mask = recipe.prune(trained(before), before.mask, output_layer=output_layer, **pruning.amount)
        chain.append(Subnetwork(trunk, mask))
    return chain


def sparsest_mask(
    recipe: Recipe, seed: int, k: int, pruning: Iterative | OneShot, *, output_layer: bool, optimiser_state: str
) -> Job:
    """IMP's mask of the last level, rewound to k: what ``imp`` prunes, in jobs that it shares."""

    def trained(subnetwork: Subnetwork) -> Job:
        return rewound(recipe, subnetwork, k, order=chain_order(seed), optimiser_state=optimiser_state)

    return last_mask(recipe, recipe.trunk(seed, k), pruning, trained, output_layer=output_layer)


def last_mask(
    recipe: Recipe,
    trunk: Job,
    pruning: Iterative | OneShot,
    trained: Callable[[Subnetwork], Job],
    *,
    output_layer: bool,
) -> Job:
    """The mask of the last level of a trunk's subnetworks, see ``by_level``."""
    mask = by_level(recipe, trunk, pruning, trained, output_layer=output_layer)[-1].mask
    assert mask is not None, "pruning has one level at least"
    return mask


def density(measured: Measured) -> Iterable[Observation]:
    """The share of the prunable weights that a mask leaves, of a table of ``prune``."""
    yield measured.seen("density", 100 * measured.table["kept"][0] / measured.table["total"][0])
