"""`make install`: what it tells while it works, and what of pip is seen. A stand-in for Python plays pip."""

import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

# As `python -m venv FOLDER` it puts itself there; as `python -m pip` it writes down its arguments and talks like pip.
PYTHON = """\
#!/bin/sh
case "$1 $2 $3" in
"--version "*) echo Python 3.11.7 ;;
"-c "*) exit 0 ;;
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip "*)
  echo "$@" >>"$CALLS"
  echo 'Collecting six (from python-dateutil)'
  echo '  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)'
  echo '  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.8 MB)'
  echo 'Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (887.9 MB)'
  echo '  Using cached nvidia_cudnn-9.20.0-py3-none-manylinux_2_27_x86_64.whl (1.1 GB)'
  echo 'Installing collected packages: six, numpy, torch'
  echo 'WARNING: Running pip as the root user' >&2
  case "$*" in *"$BREAKS"*) echo 'ERROR: No space left on device' >&2; exit 1 ;; esac ;;
esac
"""


class Place:
    """A copy of the Makefile and the script in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tools").mkdir()
        for name in ("Makefile", "tools/install"):
            (root / name).write_bytes((ROOT / name).read_bytes())
        for name in ("pyproject.toml", "constraints.txt"):
            (root / name).write_text("")
        self.program("python", PYTHON)
        (root / "tools" / "install").chmod(0o755)

    def program(self, name: str, text: str) -> None:
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)

    def make(self, *words: str, breaks: str = "nothing") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}:/usr/bin:/bin",
            "CALLS": str(self.root / "calls"),
            "BREAKS": breaks,
        }
        return subprocess.run(
            ["make", "--no-print-directory", "install", f"PYTHON={self.root / 'python'}", *words],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
        )

    @property
    def asked(self) -> list[str]:
        """What pip was asked for."""
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_tells_its_steps_and_large_files_and_keeps_the_rest_of_pip_to_itself(place: Place) -> None:
    ended = place.make()
    assert (ended.returncode, ended.stderr) == (0, "")
    steps = [line[:3] for line in ended.stdout.splitlines() if line[:1].isdigit()]
    assert steps == ["1/3", "2/3", "3/3"]
    assert "Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (887.9 MB)" in ended.stdout
    assert "Using cached nvidia_cudnn-9.20.0-py3-none-manylinux_2_27_x86_64.whl (1.1 GB)" in ended.stdout
    assert "unpacking 3 packages" in ended.stdout
    for noise in ("six", "numpy-", "Collecting", "WARNING"):
        assert noise not in ended.stdout
    log = (place.root / ".venv" / "install.log").read_text()
    assert log.count("Collecting six") == log.count("WARNING: Running pip") == 2


def test_pytorch_comes_first_and_all_versions_are_pinned(place: Place) -> None:
    place.make("PIP_ARGS=--no-cache-dir --pre")
    first, second = place.asked
    assert "-c constraints.txt --no-cache-dir --pre torch" in first
    assert "-c constraints.txt --no-cache-dir --pre -e .[dev]" in second


@pytest.mark.parametrize(("breaks", "calls"), [(" torch", 1), (".[dev]", 2)])
def test_where_pip_fails_all_that_it_said_is_shown_and_nothing_counts_as_installed(
    breaks: str, calls: int, place: Place
) -> None:
    ended = place.make(breaks=breaks)
    assert ended.returncode != 0
    assert "ERROR: No space left on device" in ended.stderr
    assert "Collecting six" in ended.stderr
    assert len(place.asked) == calls
    assert place.make().returncode == 0
    assert len(place.asked) == calls + 2


def test_what_is_installed_is_not_installed_again(place: Place) -> None:
    place.make()
    again = place.make()
    assert (again.returncode, len(place.asked)) == (0, 2)


def test_who_has_a_gpu_is_not_told_how_to_spare_cuda(place: Place) -> None:
    place.program("uname", "#!/bin/sh\necho Linux\n")
    place.program("nvidia-smi", "#!/bin/sh\nexit 9\n")
    assert "--extra-index-url" in place.make("VENV=a").stdout
    place.program("nvidia-smi", "#!/bin/sh\n")
    assert "--extra-index-url" not in place.make("VENV=b").stdout
