"""A GPU that is not there: tensors that say they are on CUDA, lie on the CPU, and refuse what CUDA refuses.

So code can be run that only a GPU would run, and three kinds of mistakes show: tensors of two devices in one operation,
operations that CUDA does not have in deterministic mode, and arrays taken from the GPU's memory. What it cannot show is
anything of speed, rounding, streams or graphs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from harness.engine import graphs
from harness.engine import train as training
from harness.measure import curvature

CARD = torch.device("cuda", 0)
HOST = torch.device("cpu")
ANSWERS = {
    "is_available": True,
    "device_count": 1,
    "get_device_name": "a pretended GPU",
    "get_device_capability": (9, 0),
    "mem_get_info": (10**9, 10**9),
    "memory_reserved": 0,
    "memory_allocated": 0,
}
"""What functions of ``torch.cuda`` say."""

_autocast = torch.autocast

MOVES = ("to", "cpu", "copy_")
"""Operations that take tensors of two devices."""

REFUSED = (
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "ctc_loss", "cumsum", "cumsum_", "fractional_max_pool2d",
    "grid_sample", "histc", "interpolate", "max_unpool2d", "median", "put_", "scatter_reduce",
)  # fmt: skip
"""What may raise an error for floats in deterministic mode, as ``torch.use_deterministic_algorithms`` tells; some of it
only in some of its modes, or backward."""

JOINS = ("stack", "cat", "concatenate")
"""Operations that take not even a single number from the CPU."""


class OnCard(Tensor):
    """A tensor that lies on the CPU, and says that it is on the GPU."""

    device: ClassVar[Any] = property(lambda self: CARD)
    is_cuda: ClassVar[Any] = property(lambda self: True)
    is_cpu: ClassVar[Any] = property(lambda self: False)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(func, args, kwargs or {})


class _Everywhere(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(func, args, kwargs or {})


def _called(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if func is torch.device:
        return func(*args, **kwargs)
    name = getattr(func, "__name__", "")
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    here = [one for one in tensors if isinstance(one, OnCard)]
    there = [one for one in tensors if not isinstance(one, OnCard) and not _is_wrapped(one)]
    there = [one for one in there if one.dim() or name in JOINS]
    if here and there and not _may_mix(name, args):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found {CARD} and {HOST}")
    if here and name in REFUSED and here[0].is_floating_point():
        raise RuntimeError(f"{name} does not have a deterministic implementation on CUDA")
    if here and name == "numpy":
        raise TypeError("can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first")
    wanted = _wanted(name, args, kwargs)
    args, kwargs = tree_map(_real, (tuple(args), dict(kwargs)))
    with torch._C.DisableTorchFunctionSubclass():
        result = func(*args, **kwargs)
    if wanted is not None and tensors and bool(here) != (wanted == CARD):
        result = tree_map(lambda one: one.clone() if isinstance(one, Tensor) else one, result)
    on_card = bool(here) if wanted is None else wanted == CARD
    return tree_map(lambda one: _put(one, on_card), result)


def _is_wrapped(one: Tensor) -> bool:
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(one))


def _may_mix(name: str, args: Sequence[Any]) -> bool:
    """Moves; and what CUDA takes from the CPU: indices, and values that are written to a place given by slices."""
    if name == "__getitem__":
        return isinstance(args[0], OnCard)
    return name in (*MOVES, "__get__", "__set__") or (name == "__setitem__" and not isinstance(args[1], Tensor))


def _wanted(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device | None:
    """The device that a call names, if it does."""
    if name == "cpu":
        return HOST
    if kwargs.get("device") is not None:
        return CARD if torch.device(kwargs["device"]).type == "cuda" else HOST
    if name == "to":
        for one in args[1:]:
            if isinstance(one, Tensor):
                return CARD if isinstance(one, OnCard) else HOST
            if isinstance(one, torch.device | str):
                return CARD if torch.device(one).type == "cuda" else HOST
    return None


def _real(one: Any) -> Any:
    """An argument as the CPU understands it."""
    is_card = (isinstance(one, torch.device) and one.type == "cuda") or (
        isinstance(one, str) and one.startswith("cuda")
    )
    return HOST if is_card else one


def _put(one: Any, on_card: bool) -> Any:
    if not isinstance(one, Tensor) or _is_wrapped(one) or isinstance(one, OnCard) == on_card:
        return one
    return one.as_subclass(OnCard if on_card else Tensor)


def _transformed(transform: Callable[..., Any]) -> Callable[..., Any]:
    """``vmap``, with tags put back where they are lost."""

    def made(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            on_card = any(isinstance(one, OnCard) for one in tree_leaves(args))
            return tree_map(lambda one: _put(one, on_card), transform(function)(*args))

        return called

    return made


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, while all that runs may use it."""
    for name, value in ANSWERS.items():
        patch.setattr(torch.cuda, name, lambda device=None, value=value: value)
    patch.setattr(torch._C, "_cuda_setDevice", lambda index: None, raising=False)
    patch.setattr(torch, "autocast", lambda kind, *args, **options: _autocast(HOST.type, *args, **options))
    patch.setattr(training, "MAX_FUSED", 2)  # slots of a small network: more would take the CPU long
    patch.setattr(graphs, "prepared", lambda work, device: work)
    patch.setattr(graphs, "side_by_side", lambda works, device: [work() for work in works])
    patch.setattr(curvature, "vmap", _transformed(curvature.vmap))
    with _Everywhere():
        yield CARD
