"""Arms: subnetworks beside each other, each made of one that an experiment found. A new arm is a function in ``ARMS``.

Experiments with copies train each arm's subnetwork in the same way, and compare them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticKnownError, core_schema

from harness.jobs.job import Job
from harness.protocols.common.recipe import Recipe
from harness.schema.base import Many, Model


@dataclass(frozen=True)
class Subnetwork:
    """A state of step k under a mask, not yet trained.

    Attributes:
        state: weights (and optimiser) at step k.
        mask: or None for the full network.
    """

    state: Job
    mask: Job | None


@dataclass(frozen=True)
class Origin:
    """What an arm is made of.

    Attributes:
        seed: of the initialisation.
        step: k, at which the subnetwork's training starts.
        subnetwork: that the arm is a baseline of; it has a mask.
        mask: of that subnetwork.
        options: of the experiment.
    """

    seed: int
    step: int
    subnetwork: Subnetwork
    mask: Job
    options: "ArmOptions"


@dataclass(frozen=True)
class Arm:
    """A way to make a subnetwork.

    Attributes:
        words: in legends.
        make: its state and mask, from the recipe that trains it and what it is made of; its docstring says what it is.
        of_full: whether a full network has this arm, which it then is itself.
    """

    words: str
    make: Callable[[Recipe, Origin], Subnetwork]
    of_full: bool = False


def itself(recipe: Recipe, origin: Origin) -> Subnetwork:
    """The subnetwork that the others are baselines of."""
    return origin.subnetwork


def random_prune(recipe: Recipe, origin: Origin) -> Subnetwork:
    """Its mask shuffled, its weights of step k."""
    scope = origin.options.random_pruning
    params = {"seed": f"shuffle/{origin.seed}"} | ({} if scope == "layer" else {"scope": scope})
    shuffled = Job("shuffle", params, {"mask": origin.mask})
    return Subnetwork(origin.subnetwork.state, shuffled)


def random_reinit(recipe: Recipe, origin: Origin) -> Subnetwork:
    """Its mask with a fresh draw of the weights."""
    trained = origin.options.reinit == "trained_to_rewind"
    return Subnetwork(recipe.fresh_draw(origin.seed, origin.step, trained=trained), origin.mask)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "imp": Arm("IMP", itself, of_full=True),
        "random_prune": Arm("random pruning", random_prune),
        "random_reinit": Arm("random reinitialisation", random_reinit),
    }
)
"""Name in specs -> arm, in the order of legends."""


def subnetworks(
    recipe: Recipe, seed: int, step: int, of: Subnetwork, options: "ArmOptions"
) -> Iterator[tuple[str, Subnetwork]]:
    """Name -> subnetwork of the arms that are asked for, in the table's order; a full network has no baselines.

    Args:
        recipe: that trains them.
        seed: of the initialisation.
        step: k.
        of: the subnetwork itself.
        options: of the experiment; they name the arms.
    """
    chosen = set(options.arms)
    for name, arm in ARMS.items():
        if name in chosen and of.mask is not None:
            yield name, arm.make(recipe, Origin(seed, step, of, of.mask, options))
        elif name in chosen and arm.of_full:
            yield name, of


class _Named:
    """Teaches Pydantic the names of the table, with the words of a ``Literal``'s errors."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object) -> object:
            if isinstance(value, str) and value in ARMS:
                return value
            *others, last = map(repr, ARMS)
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})

        return core_schema.no_info_plain_validator_function(read)

    @staticmethod
    def __get_pydantic_json_schema__(schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        meanings = "; ".join(f"{name}: {(arm.make.__doc__ or '').splitlines()[0]}" for name, arm in ARMS.items())
        return {"enum": list(ARMS), "type": "string", "description": meanings}


ArmName = Annotated[str, _Named]
"""The name of an arm in a spec."""


class ArmOptions(Model):
    """What an experiment with arms leaves to choose about them: its own options are a model that inherits this one.

    Attributes:
        arms: ``imp`` and its baselines, functions of ``protocols/common/arms.py``: ``random_prune``, its mask shuffled,
            weights of step k; ``random_reinit``, its mask with a fresh draw of the weights.
        random_pruning: whether ``random_prune`` keeps the density of each ``layer`` of the mask, or the ``global`` one
            only; the paper does not say [open].
        reinit: where the fresh draw of ``random_reinit`` takes the place of the weights at k: ``at_rewind`` puts it
            there as it is [code], ``trained_to_rewind`` trains it to k first.
    """

    arms: Many[ArmName] = Field(
        ("imp", "random_prune", "random_reinit"), description="the subnetwork and its baselines"
    )
    random_pruning: Literal["layer", "global"] = Field(
        "layer", description="over what random_prune shuffles the mask: each layer by itself, or all together"
    )
    reinit: Literal["at_rewind", "trained_to_rewind"] = Field(
        "at_rewind",
        description="where the fresh draw of random_reinit takes the place of the weights: as it is, or trained to k",
    )
