"""Notices that loops are compiled, which takes seconds and is done once: what is kept of them loads without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.engine.kernels import choice


@contextmanager
def noticed(tell: Callable[[], None]) -> Iterator[None]:
    """Calls ``tell`` within the block just before the first loop is compiled, if one is."""
    if not choice.installed():
        yield
        return
    from numba.core import event  # not above: Numba may be absent, and takes its time

    class First(event.Listener):  # type: ignore[misc]
        """Tells once."""

        told = False

        def on_start(self, event: Any) -> None:
            """Something is about to be compiled."""
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: Any) -> None:
            """It is compiled."""

    with event.install_listener("numba:compile", First()):
        yield
