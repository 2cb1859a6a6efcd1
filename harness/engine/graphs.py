"""Work as a CUDA graph: recorded once, then replayed without Python. The work itself, called, is the oracle.

Work that falls into independent parts is recorded as parallel branches.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch

from harness.engine.device import is_out_of_memory

Work = Callable[[int], None]
Pool = Any
"""PyTorch's name of a pool of memory."""

WARM_UP = 3
"""Calls of each size before recording, in which libraries set up what a graph cannot hold, as PyTorch advises."""


def prepared(work: Work, device: torch.device) -> Work:
    """The work in the form that is fastest on the device.

    Args:
        work: takes the size of a batch. It reads and writes only tensors that stay where they are, does the same
            at each call with the same size, and never waits for the device.
        device: where its tensors lie.

    Returns:
        On CUDA, the work by a graph for each size; elsewhere the work as it is.
    """
    return Graphed(work, device) if device.type == "cuda" else work


class Graphed:
    """The work, by a graph for each size once the first calls have warmed up.

    The first calls do the work itself, so nothing is done twice or undone. Where recording fails, a RuntimeWarning
    says why, and the work itself is done from then on; only a lack of memory is an error.

    All sizes share one pool of memory: replays follow one another, and leave nothing in it that is read later.
    """

    def __init__(self, work: Work, device: torch.device) -> None:
        self._work, self._device = work, device
        self._calls: Counter[int] = Counter()
        self._replays: dict[int, Callable[[], None]] = {}
        self._refused = False
        self._pool: Pool | None = None

    def __call__(self, size: int) -> None:
        """The work once."""
        if not self._refused and size not in self._replays and self._calls[size] >= WARM_UP:
            self._record(size)
        if size in self._replays:
            self._replays[size]()
        elif self._refused:
            self._work(size)
        else:
            self._calls[size] += 1
            beside(lambda: self._work(size), self._device)

    def _record(self, size: int) -> None:
        try:
            self._pool = self._pool or new_pool()
            self._replays[size] = recorded(lambda: self._work(size), self._device, self._pool)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise  # whoever sized the group has a better answer than slow steps
            self._refused = True
            cause: BaseException = error
            while cause.__context__ is not None:  # what failed first; then branches could not be joined, nor it ended
                cause = cause.__context__
            reason = str(cause).partition("\n")[0]
            warnings.warn(
                f"no CUDA graph could be recorded ({reason}); training goes on without, more slowly",
                RuntimeWarning,
                stacklevel=3,
            )


_RECORDING = -1
"""Number of the stream to warm up and record on; those of branches count from 0."""

BRANCHES = 8
"""Streams of parallel branches; more branches take turns."""


def branches_at_once(device: str) -> int:
    """How many works ``side_by_side`` does at a time, on a device of this type."""
    return BRANCHES if device == "cuda" else 1


@lru_cache(maxsize=64)
def _stream(device: torch.device, number: int) -> torch.cuda.Stream:
    """Always the same for a number: each stream that is used costs a workspace of cuBLAS."""
    return torch.cuda.Stream(device)


def side_by_side(works: Sequence[Callable[[], None]], device: torch.device) -> None:
    """Does works that do not depend on one another; on CUDA as parallel branches of what the current stream does.

    Args:
        works: each reads what was there before, and writes only what no other reads or writes.
        device: where their tensors lie.
    """
    if device.type != "cuda" or len(works) == 1:
        for work in works:
            work()
        return
    current = torch.cuda.current_stream(device)
    streams = [_stream(device, number) for number in range(min(BRANCHES, len(works)))]
    for stream in streams:
        stream.wait_stream(current)
    try:
        for number, work in enumerate(works):
            with torch.cuda.stream(streams[number % len(streams)]):
                work()
    finally:  # also where one breaks: what the others still use must not be given to someone else
        for stream in streams:
            current.wait_stream(stream)


def beside(work: Callable[[], None], device: torch.device) -> None:
    """Does the work on another stream, between what comes before and after on the current one."""
    stream = _stream(device, _RECORDING)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            work()
    finally:
        torch.cuda.current_stream(device).wait_stream(stream)


def new_pool() -> Pool:
    """The name of a pool of memory for recordings."""
    return torch.cuda.graph_pool_handle()


def recorded(work: Callable[[], None], device: torch.device, pool: Pool) -> Callable[[], None]:
    """Records the work, without doing it; what does it.

    Args:
        work: what to record.
        device: where its tensors lie.
        pool: where its memory comes from.

    Raises:
        RuntimeError: it does something that a graph cannot hold.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        current = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=pool, stream=_stream(device, _RECORDING)):
                work()
        finally:
            torch.cuda.set_stream(current)  # which a failed recording leaves changed
    return graph.replay
