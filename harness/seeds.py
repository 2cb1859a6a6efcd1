"""Randomness as a pure function: (stream, seed, epoch, index) -> bits.

The bits are the same on CPU and GPU, and the same after a resume, because nothing is remembered: a counter
is hashed. The integer hash is the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), in two rounds.
No global random state is read or written anywhere in the harness.
"""

import hashlib

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def stream(*labels: str | int) -> int:
    """A 64-bit key (signed) for a named stream, e.g. ``stream("order", seed, epoch)``.

    Different label tuples give independent keys: the labels are hashed with their types and lengths.
    """
    text = "|".join(f"{type(label).__name__}:{len(str(label))}:{label}" for label in labels)
    return _signed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def _shift(x: Tensor, count: int) -> Tensor:
    return (x >> count) & ((1 << (64 - count)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift(x, 27)) * _signed(_MIX_2)
    return x ^ _shift(x, 31)


def bits(key: int | Tensor, index: Tensor) -> Tensor:
    """64 random bits for each index.

    Args:
        key: a stream key, or an int64 tensor of keys that broadcasts against ``index``.
        index: int64 counters, any shape.

    Returns:
        int64 tensor of the broadcast shape.
    """
    return _mix(_mix((index + 1) * _signed(_GAMMA) + key) + key)


def uniform(key: int, count: int, *, device: torch.device | str = "cpu") -> Tensor:
    """``count`` numbers from the open interval (0, 1), float64, 53 bits each."""
    raw = bits(key, torch.arange(count, device=device))
    below_one = 1 - 2.0**-53  # the very largest draw would round to 1
    return ((_shift(raw, 11).double() + 0.5) / float(1 << 53)).clamp_(max=below_one)


def normal(key: int, count: int) -> Tensor:
    """``count`` standard normal numbers, float64, by inversion. On the CPU, so that every device starts alike."""
    numbers: Tensor = torch.special.ndtri(uniform(key, count))
    return numbers


def permutation(key: int, count: int, *, device: torch.device | str = "cpu") -> Tensor:
    """A random order of ``0 .. count-1``, int64: the indices sorted by their bits (ties by index)."""
    return torch.argsort(bits(key, torch.arange(count, device=device)), stable=True)


def choice(keys: Tensor, count: int, chosen: int) -> Tensor:
    """``chosen`` different numbers out of ``0 .. count-1`` for each key: the beginning of its ``permutation``.

    Args:
        keys: [R] stream keys, int64.
        count: how many there are to choose from.
        chosen: how many to choose.

    Returns:
        [R, chosen], int64, on the device of the keys.
    """
    draws = bits(keys[:, None], torch.arange(count, device=keys.device))  # of one key all different: a bijection
    return torch.topk(draws, chosen, dim=1, largest=False, sorted=True).indices
