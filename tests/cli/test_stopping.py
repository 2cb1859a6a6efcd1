"""A signal ends a command with words and 130, whatever error it surfaces as."""

import signal

import pytest

from harness.cli.stopping import stoppable
from harness.errors import RequestError, Stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_told_in_words(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=r"^stopped\. All is kept$") as caught, stoppable("All is kept"):
        signal.raise_signal(number)
    assert caught.value.exit_code == 130
    assert signal.getsignal(number) is before


def compiled_code() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        raise RuntimeError("KeyboardInterrupt: <EMPTY MESSAGE>") from error


def test_compiled_code_turns_it_into_another_error() -> None:
    with pytest.raises(Stopped), stoppable():
        compiled_code()


def test_an_error_without_a_signal_is_that_error() -> None:
    with pytest.raises(RequestError, match="no such spec"), stoppable():
        raise RequestError("no such spec")
