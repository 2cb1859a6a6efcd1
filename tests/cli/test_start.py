"""A process around a command: what its streams and signals do to it, from the first import to the exit."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from unittest import mock

import pytest

from harness import __version__
from harness.cli import main
from tests.support import ROOT, Place, cli, instability_text

SPECS = str(ROOT / "specs")


@pytest.fixture
def full() -> Iterator[TextIO]:
    """A stream without room; what it could not write, it still holds, and says so when it is closed."""
    stream = open("/dev/full", "w")  # noqa: SIM115
    yield stream
    stream.close()


def code_of(*arguments: str | Path) -> object:
    with mock.patch("signal.signal"), pytest.raises(SystemExit) as stopped:
        main([str(one) for one in arguments])
    return stopped.value.code


@pytest.mark.parametrize("arguments", [("list", SPECS), ("list", SPECS, "--json"), ("--help",)])
def test_a_full_standard_output(
    arguments: tuple[str, ...], full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert code_of(*arguments) == 3
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("error: standard output cannot be written (No space left on device): make room there")


@pytest.mark.parametrize("arguments", [("list", SPECS), ("list", SPECS, "--json"), ("--help",)])
def test_an_output_that_nobody_reads(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert code_of(*arguments) == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_a_full_standard_error_changes_no_exit_code(
    full: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", full)
    assert code_of("list", tmp_path) == 2
    place = Place(tmp_path)
    assert code_of("verify", place.write(instability_text()), *place.options()) == 0


def test_the_version() -> None:
    said = cli("--version")
    assert (said.code, said.out) == (0, f"harness {__version__}\n")


@pytest.mark.parametrize(
    "command", [("verify", "SPEC"), ("data", "list"), ("data", "import", "mnist", "x"), ("doctor",)]
)
def test_data_that_is_a_file(command: tuple[str, ...], tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec, data = place.write(instability_text()), tmp_path / "data"
    data.touch()
    said = cli(*(spec if one == "SPEC" else one for one in command), "--data", data)
    assert said.code == 2
    assert f"--data' (env var: 'HARNESS_DATA'): dir '{data}' is a file" in said.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--threads", "\uff11"), ("--replicates", "\uff12"), ("--first-seed", "٣"), ("--workers", "²")],
)
def test_digits_of_other_scripts_are_no_number(option: str, value: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = place.verify(place.write(instability_text()), more=(option, value))
    assert said.code == 2
    assert f"Invalid value for '{option}'" in said.err


START = """
import builtins, atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
def interrupt(*about):
    os.kill(os.getpid(), signal.SIGINT)
"""
IMPORTS = """
kept = builtins.__import__
def importing(name, *about, **more):
    if name == "harness.protocols":
        interrupt()
    return kept(name, *about, **more)
builtins.__import__ = importing
from harness.cli import main
"""
IN_A_COMMAND = """
from harness.cli import main
import harness.schema.load
def loading(*about):
    try:
        interrupt()
    finally:
        {again}
harness.schema.load.load = loading
"""
STOPPED_ALREADY = """
from harness.cli import console, main
import harness.schema.load, harness.cli.stopping
def loading(*about):
    with harness.cli.stopping.stoppable():
        interrupt()
harness.schema.load.load = loading
console.error = interrupt
"""
MOMENTS = {
    "while libraries load": IMPORTS,
    "in a command": IN_A_COMMAND.format(again="pass"),
    "twice in a command": IN_A_COMMAND.format(again="interrupt()"),
    "again while the first is told": STOPPED_ALREADY,
    "on the way out": "from harness.cli import main\natexit.register(interrupt)",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_control_c_ends_without_a_traceback(moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{START}{MOMENTS[moment]}\nmain(['list', {SPECS!r}])"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr


@pytest.mark.parametrize(("given", "kept"), [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_told_otherwise(given: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before PyTorch loads, as its threads read it then; worker processes inherit it."""
    monkeypatch.setenv("OMP_WAIT_POLICY", given)
    if not given:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == kept


AT_THE_END = """
import atexit, sys, threading
from harness.cli import command
atexit.register(print, "put in order")
{started}
sys.argv = ["harness", *{arguments!r}]
command()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["gate", "absent.json"], 2, ""), (["schema"], 0, "$schema"), (["--version"], 0, "harness ")],
)
def test_a_process_ends_in_order_without_taking_apart_what_it_loaded(
    arguments: list[str], code: int, words: str
) -> None:
    """Its code, all of its output through a pipe, and what was to be done at its end."""
    program = AT_THE_END.format(started="", arguments=arguments)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert words in done.stdout
    assert done.stdout.endswith("put in order\n")
    assert "Traceback" not in done.stderr


def test_a_process_waits_for_threads_of_its_host() -> None:
    slow = "threading.Thread(target=lambda: (__import__('time').sleep(1), print('a thread ended'))).start()"
    program = AT_THE_END.format(started=slow, arguments=["--version"])
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "a thread ended" in done.stdout) == (0, True)


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
@pytest.mark.parametrize(("arguments", "code"), [("list specs", 0), ("gate absent.json", 2)])
def test_a_closed_stream_is_nothing_wrong(arguments: str, code: int, closed: str) -> None:
    """As of a command that cron or a daemon starts."""
    done = subprocess.run(
        f"{sys.executable} -m harness {arguments} {closed}", shell=True, cwd=ROOT, capture_output=True
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
