"""What must hold of every perturbed state, by other code than makes it: a breach is an error (docs/early-phase.md)."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from harness.engine.state import State
from harness.engine.witness import CHANCE_BITS
from harness.errors import InvariantBroken
from harness.stages.base import Work

_STANDARD_ERRORS = 6.0
"""Beyond which noise is not what it is said to be: less than one sound draw in 10^7."""

_ROUNDING = 1e-6
"""Of norms of weights in single precision."""


@dataclass(frozen=True)
class Perturbed:
    """A state before and after a perturbation.

    Attributes:
        item: the work, for its parameters and other states.
        before: the state.
        after: the perturbed one.
        weights: that are perturbed, as they were.
        kept: the places that take part: name -> bool [*shape], of these.
    """

    item: Work
    before: State
    after: State
    weights: Mapping[str, Tensor]
    kept: Mapping[str, Tensor]

    def pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, kept values before and after, flat: [K] each."""
        for name in sorted(self.weights):
            flags = self.kept[name]
            yield name, self.before.weights[name][flags], self.after.weights[name][flags]


def check(perturbed: Perturbed) -> None:
    """Raises InvariantBroken unless a perturbation did what it is to do, and nothing else."""
    _rest_is_as_it_was(perturbed)
    CHECKS[perturbed.item.params["kind"]](perturbed)


def _require(holds: bool, perturbed: Perturbed, breach: str) -> None:
    if not holds:
        raise InvariantBroken(f"{perturbed.item.job!r}, {perturbed.item.params['kind']}: {breach}")


def _rest_is_as_it_was(perturbed: Perturbed) -> None:
    """Pruned places and all that does not take part have the bits that they had, or those before training."""
    params, before, after = perturbed.item.params, perturbed.before, perturbed.after
    initial = perturbed.item.state("initial")
    normalisations = {name.rsplit(".", 1)[0] for name in before.buffers}
    for name, value in after.weights.items():
        flags = perturbed.kept.get(name, torch.zeros_like(value, dtype=torch.bool))
        put_back = params["batch_norm"] == "initial" and name.rsplit(".", 1)[0] in normalisations
        source = (initial if put_back else before).weights[name]
        same = torch.equal(value[~flags], source[~flags].to(value))
        _require(same, perturbed, f"a place of {name} that is pruned, or takes no part, was changed")
    statistics = (initial if params["statistics"] == "initial" else before).buffers
    same = all(torch.equal(value, statistics[name].to(value)) for name, value in after.buffers.items())
    _require(same and after.step == before.step, perturbed, "running statistics or the step were changed")
    velocity = after.optimiser if params["optimiser_state"] == "reset" else {}
    _require(not velocity, perturbed, "the optimiser's state, which belongs to other weights, is carried over")


def _nothing_is_done(perturbed: Perturbed) -> None:
    for name, before, after in perturbed.pairs():
        _require(torch.equal(before, after), perturbed, f"{name} was changed")


def _signs_and_magnitudes_are_those_named(perturbed: Perturbed) -> None:
    """Of the states that the parameters name; both of step k: the bits of that state."""
    params = perturbed.item.params
    signs, magnitudes = (perturbed.item.state(params[role]).weights for role in ("signs", "magnitudes"))
    for name, _, after in perturbed.pairs():
        flags = perturbed.kept[name]
        same = torch.equal(after.abs(), magnitudes[name][flags].abs().to(after))
        _require(same, perturbed, f"magnitudes of {name} are not those of {params['magnitudes']}")
        same = torch.equal(after.signbit(), signs[name][flags].signbit())
        _require(same, perturbed, f"signs of {name} are not those of {params['signs']}")


def _norms_are_those_named(perturbed: Perturbed) -> None:
    """A layer's weights keep their direction, and have the norm of the state that the parameters name."""
    like = perturbed.item.params["like"]
    for name, before, after in perturbed.pairs():
        due = perturbed.item.state(like).weights[name][perturbed.kept[name]]
        norms = [math.sqrt(float((values.double() ** 2).sum())) for values in (before, after, due)]
        along = float((before.double() * after.double()).sum())
        sound = not norms[0] or (
            math.isclose(norms[1], norms[2], rel_tol=_ROUNDING)
            and math.isclose(along, norms[0] * norms[1], rel_tol=_ROUNDING)
        )
        _require(sound, perturbed, f"{name} was turned, or has not the norm of {like}")


def _multisets_stay(perturbed: Perturbed) -> None:
    """Of each group that no value is to leave; and something moves where chance would not leave all in place."""
    params, bits, still = perturbed.item.params, 0.0, True
    for group, before, after in _groups(perturbed):
        if params["keep_signs"]:
            _require(torch.equal(before.signbit(), after.signbit()), perturbed, f"signs were moved in {group}")
            before, after = before.abs(), after.abs()
        same = torch.equal(before.sort().values, after.sort().values)
        _require(same, perturbed, f"the weights of {group} are not the same multiset: some came from elsewhere")
        bits += math.lgamma(before.numel() + 1) / math.log(2)
        still = still and torch.equal(before, after)
    _require(not still or bits < CHANCE_BITS, perturbed, "nothing was permuted")


def _groups(perturbed: Perturbed) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name of each group within which values are permuted, its kept values before and after: [K] each."""
    within = perturbed.item.params["within"]
    if within == "filter":
        for name in sorted(perturbed.weights):
            before, after, flags = perturbed.before.weights[name], perturbed.after.weights[name], perturbed.kept[name]
            for channel in range(len(flags)):
                kept = flags[channel]
                yield f"channel {channel} of {name}", before[channel][kept], after[channel][kept]
    elif within == "layer":
        yield from perturbed.pairs()
    else:
        pairs = list(perturbed.pairs())
        yield "the network", torch.cat([old for _, old, _ in pairs]), torch.cat([new for _, _, new in pairs])


def _draws_have_the_moments_of_their_layer(perturbed: Perturbed) -> None:
    """Of each tensor: its mean and mean square, within the errors of so many draws, and nothing of what was there."""
    for name, before, after in perturbed.pairs():
        if perturbed.item.params["keep_signs"]:
            _require(torch.equal(before.signbit(), after.signbit()), perturbed, f"signs were moved in {name}")
        mean, deviation = _moments(before)
        if deviation <= _ROUNDING * abs(mean):
            same = torch.allclose(after.abs(), before.abs(), rtol=_ROUNDING)
            _require(same, perturbed, f"{name} has one value only, but was changed")
        elif perturbed.item.params["keep_signs"]:
            _require_square(perturbed, name, after.double() / deviation, mean / deviation)
            _require_no_trace(perturbed, name, before.double().abs(), after.double().abs())
        else:
            _require_normal(perturbed, name, (after.double() - mean) / deviation)
            _require_no_trace(perturbed, name, before.double(), after.double())


def _require_no_trace(perturbed: Perturbed, name: str, before: Tensor, after: Tensor) -> None:
    """Of N places the correlation of independent values has an error of 1/√(N - 1)."""
    centred = [values - values.mean() for values in (before, after)]
    norms = [math.sqrt(float((values**2).sum())) for values in centred]
    along = float((centred[0] * centred[1]).sum())
    within = _STANDARD_ERRORS * norms[0] * norms[1] / math.sqrt(max(before.numel() - 1, 1))
    _require(abs(along) <= within, perturbed, f"the draws of {name} go with the weights that were there")


def _noise_has_its_deviation(perturbed: Perturbed) -> None:
    """Of each tensor and of all: mean 0 and deviation nσ, within the errors of so many draws."""
    params, initial = perturbed.item.params, perturbed.item.state("initial").weights
    everything = torch.cat([initial[name].flatten() for name in sorted(perturbed.weights)])
    drawn = []
    for name, before, after in perturbed.pairs():
        _, sigma = _moments(everything if params["sigma"] == "global" else initial[name])
        added = after.double() - before.double()
        if sigma == 0:
            _require(not bool(added.any()), perturbed, f"{name} has no deviation at first, but was changed")
        else:
            drawn.append(added / (params["n"] * sigma))
            _require_normal(perturbed, name, drawn[-1])
    if drawn:
        _require_normal(perturbed, "the network", torch.cat(drawn))


def _moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation; of nothing 0."""
    if values.numel() == 0:
        return 0.0, 0.0
    mean, square = float(values.double().mean()), float((values.double() ** 2).mean())
    return mean, math.sqrt(max(square - mean**2, 0.0))


def _require_normal(perturbed: Perturbed, of: str, draws: Tensor) -> None:
    """The mean of N standard normal draws has an error of 1/√N."""
    if draws.numel():
        mean = float(draws.mean())
        sound = abs(mean) <= _STANDARD_ERRORS / math.sqrt(draws.numel())
        _require(sound, perturbed, f"{_drawn(of, draws)} a mean of {mean:.3g}, where 0 is due")
        _require_square(perturbed, of, draws, 0.0)


def _require_square(perturbed: Perturbed, of: str, draws: Tensor, mean: float) -> None:
    """The mean square of N normal draws of deviation 1, whose signs do not matter.

    Its law has a longer tail than its error says where draws are few: noncentral chi-squared, Birgé (2001), lemma 8.1.
    """
    square, due, reach = float((draws**2).mean()), 1 + mean**2, _STANDARD_ERRORS**2 / 2
    low = 2 * math.sqrt((1 + 2 * mean**2) * reach / draws.numel())
    sound = -low <= square - due <= low + 2 * reach / draws.numel()
    _require(sound, perturbed, f"{_drawn(of, draws)} a mean square of {square:.3g}, where {due:.3g} is due")


def _drawn(of: str, draws: Tensor) -> str:
    return f"the draws of {of}, {draws.numel()} in units of their deviation, have"


CHECKS: Mapping[str, Callable[[Perturbed], None]] = MappingProxyType(
    {
        "identity": _nothing_is_done,
        "swap": _signs_and_magnitudes_are_those_named,
        "scale": _norms_are_those_named,
        "permute": _multisets_stay,
        "draw": _draws_have_the_moments_of_their_layer,
        "noise": _noise_has_its_deviation,
    }
)
"""Kind of perturbation -> what must hold of it."""
