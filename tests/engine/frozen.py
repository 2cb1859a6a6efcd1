"""CUDA graphs without CUDA: what a graph could not hold is an error, and what it would hold is replayed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.cpu, Tensor.cuda}
"""Calls that read a tensor without any operation, or none on the CPU."""
DEPENDS_ON_DATA = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class HostWaitError(AssertionError):
    """An operation that would make the CPU wait for a GPU, or a GPU for the CPU."""


class _NoReads(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            raise HostWaitError(f"{func} reads a tensor")
        return func(*args, **(kwargs or {}))


class _NoWaits(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.listed: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name == "aten::lift_fresh":
            raise HostWaitError("numbers come from Python")
        if func in (torch.ops.aten.index.Tensor, torch.ops.aten._unsafe_index.Tensor):
            if any(index.dtype in (torch.bool, torch.uint8) for index in args[1] if index is not None):
                raise HostWaitError(f"{name} counts a mask")  # by numbers its shape is known
        elif DEPENDS_ON_DATA & set(func.tags):
            raise HostWaitError(f"{name} depends on data")
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        used = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if len({tensor.device for tensor in (*made, *used)}) > 1:
            raise HostWaitError(f"{name} copies between devices")
        self.listed.append((name, [(tensor.shape, tensor.stride(), tensor.dtype) for tensor in made]))
        return out


@contextmanager
def graph_safe() -> Iterator[list[Any]]:
    """Refuses all that a CUDA graph could not hold; lists the operations, each with the shapes of what it gave."""
    with _NoReads(), _NoWaits() as mode:
        yield mode.listed


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Sequence[Any], Mapping[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out


def recorded(work: Callable[[], None], device: torch.device, pool: tuple[int, int] = (0, 0)) -> Callable[[], None]:
    """In place of ``graphs.recorded``: every operation is repeated with the same tensors and the same Python numbers.

    Other than a CUDA graph, recording does the work; so the first replay, which follows at once, does nothing.
    """
    recorder = _Recorder()
    with recorder:
        work()
    done = True

    @torch.no_grad()
    def replay() -> None:
        nonlocal done
        if done:
            done = False
            return
        for func, args, kwargs, out in recorder.operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    return replay


def beside(work: Callable[[], None], device: torch.device) -> None:
    """In place of ``graphs.beside``, without streams."""
    work()
