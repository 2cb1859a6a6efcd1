"""The container: its recipe, its lock, and how it is built and run. No engine needed: a stand-in records the calls."""

import itertools
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMMANDS = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
LOCK = (ROOT / "requirements.lock").read_text()
# An entry is its pin and its hashes, joined by backslashes.
ENTRIES = [
    entry for entry in LOCK.replace("\\\n", " ").splitlines() if entry.strip() and not entry.lstrip().startswith("#")
]
LOCKED = {canonicalize_name(one.name): one for one in (Requirement(entry.split("--hash")[0]) for entry in ENTRIES)}


def pins(text: str) -> dict[str, str]:
    """Canonical name -> specifier, of each line that is a requirement."""
    found = (Requirement(line) for line in text.splitlines() if line and not line.startswith("#"))
    return {canonicalize_name(one.name): str(one.specifier) for one in found}


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text())


def test_every_base_is_pinned_by_digest() -> None:
    (base,) = (line for line in COMMANDS if line.startswith("ARG BASE="))
    assert re.fullmatch(r"ARG BASE=\S+@sha256:[0-9a-f]{64}", base)
    named = re.findall(r"^#\s+(\S+/\S+:\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(named) == 2
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", one) for one in named)
    stages = [line.split() for line in COMMANDS if line.startswith("FROM ")]
    known = {"${BASE}", *(words[3] for words in stages)}
    assert {words[1] for words in stages} <= known
    assert not re.search(r"^#\s*syntax", DOCKERFILE, re.MULTILINE), "a frontend would be fetched, by no digest"


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = [line.split()[1] for line in COMMANDS if line.startswith("USER ")]
    assert users, "the last stage names no user"
    uid, gid = users[-1].split(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_the_harness_is_started_without_a_shell() -> None:
    """So that Ctrl-C and SIGTERM reach it, and no argument is read twice."""
    started = [line for line in COMMANDS if line.startswith(("ENTRYPOINT", "CMD"))]
    assert len(started) == 2
    assert all(re.fullmatch(r'\w+ \["[^\]]*"\]', line) for line in started)


def test_every_entry_of_the_lock_is_pinned_as_in_the_constraints_and_hashed() -> None:
    assert {name: str(one.specifier) for name, one in LOCKED.items()} == {name: CONSTRAINTS[name] for name in LOCKED}
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in ENTRIES)
    assert len(ENTRIES) == len(LOCKED)


def test_the_lock_holds_what_the_harness_needs_and_no_address() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {canonicalize_name(Requirement(one).name) for one in needed}
    # torch has a step of its own; results are recorded outside the container.
    assert names - LOCKED.keys() == {"torch", "dvc"}
    assert "pytest" not in LOCKED
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_only_what_is_copied_enters_the_build() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    entering = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = [line.split()[1:-1] for line in COMMANDS if line.startswith("COPY ") and "--from=" not in line]
    assert entering == {source for words in copies for source in words}
    assert all((ROOT / name).exists() for name in entering)


STAND_IN = """\
#!/bin/sh
case "$1" in
image) [ "$4" != "{{.Id}}" ] || [ "$5" != absent ] || exit 1; echo sha256:0a1b ;;
build|run) printf '%s\\n' "$@" >"$CALLS" ;;
esac
"""


A_GPU, NO_GPU = "#!/bin/sh\n", "#!/bin/sh\nexit 9\n"
"""Stand-ins for nvidia-smi, in front of one that the machine may have."""
NO_INDEX = "#!/bin/sh\nexit 1\n"
"""A stand-in for python3, whose pip knows no further index."""


class Place:
    """A copy of the script in a folder of its own, with a stand-in for docker that writes down its arguments."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tools").mkdir()
        (root / "specs").mkdir()
        (root / "bin").mkdir()
        (root / "tools" / "image").write_bytes((ROOT / "tools" / "image").read_bytes())
        self.program("docker", STAND_IN)
        self.program("python3", NO_INDEX)

    def program(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def image(self, *words: str, **environment: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
        """What ``tools/image`` asks of docker, and how it ended."""
        calls = self.root / "calls"
        known = {
            "PATH": f"{self.root / 'bin'}:/usr/bin:/bin",
            "CALLS": str(calls),
            "GIT_CEILING_DIRECTORIES": str(self.root.parent),
        }
        ended = subprocess.run(
            ["bash", self.root / "tools" / "image", *words],
            env=known | environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return calls.read_text().splitlines() if calls.exists() else [], ended


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def follows(words: list[str], option: str) -> list[str]:
    """What follows each occurrence of an option."""
    return [after for word, after in itertools.pairwise(words) if word == option]


def test_it_runs_offline_without_rights_as_the_caller(place: Place) -> None:
    asked, ended = place.image("verify", "specs/a.yaml", "--threads", "1", GPUS="none")
    assert ended.returncode == 0, ended.stderr
    assert asked[:2] == ["run", "--rm"]
    assert asked[-5:] == ["training-dynamics-harness", "verify", "specs/a.yaml", "--threads", "1"]
    assert "--read-only" in asked
    assert "--gpus" not in asked
    assert follows(asked, "--network") == ["none"]
    assert follows(asked, "--cap-drop") == ["ALL"]
    assert follows(asked, "--security-opt") == ["no-new-privileges"]
    assert follows(asked, "--tmpfs") == ["/tmp"]
    assert follows(asked, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert follows(asked, "--env") == ["HARNESS_IMAGE=sha256:0a1b"]


def test_only_store_and_reports_can_be_written_and_belong_to_the_caller(place: Place) -> None:
    (place.root / "data").mkdir()
    asked, _ = place.image("verify", "specs/a.yaml")
    mounted = {one.split("target=/project/")[1] for one in follows(asked, "--mount")}
    assert mounted == {".harness", "reports", "specs,readonly", "data,readonly"}
    assert all((place.root / name).stat().st_uid == os.getuid() for name in (".harness", "reports"))


def test_a_gpu_is_passed_through_where_there_is_one(place: Place) -> None:
    place.program("nvidia-smi", A_GPU)
    assert follows(place.image("verify", "a.yaml")[0], "--gpus") == ["all"]
    assert follows(place.image("verify", "a.yaml", GPUS="device=1")[0], "--gpus") == ["device=1"]
    assert not follows(place.image("verify", "a.yaml", GPUS="none")[0], "--gpus")
    place.program("nvidia-smi", NO_GPU)
    assert not follows(place.image("verify", "a.yaml")[0], "--gpus")


def built_with(place: Place, *words: str, **environment: str) -> tuple[dict[str, str], str]:
    """What decides an image's PyTorch, as docker is asked for it, and what the user is told."""
    asked, ended = place.image("build", *words, **environment)
    assert ended.returncode == 0, ended.stderr
    given = dict(word.split("=", 1) for word in follows(asked, "--build-arg"))
    return {name: given[name] for name in ("BASE", "TORCH_INDEX") if name in given}, ended.stdout


CPU_BUILDS: dict[str, str] = {}
CUDA = {"BASE": re.findall(r"^#\s+(\S+cuda13\S+)$", DOCKERFILE, re.MULTILINE)[0]}


def test_an_image_for_the_cpu_has_the_further_index_of_this_users_pip(place: Place) -> None:
    index = "http://localhost/of/pip"
    place.program("python3", f'#!/bin/sh\n[ "$*" = "-m pip config get global.extra-index-url" ] && echo {index}\n')
    assert built_with(place, "cpu")[0] == {"TORCH_INDEX": index}
    assert "spares" not in built_with(place, "cpu")[1]
    assert built_with(place, "cpu", TORCH_INDEX="file:///wheels")[0] == {"TORCH_INDEX": "file:///wheels"}
    assert built_with(place, "cpu", TORCH_INDEX="")[0] == {}
    assert built_with(place, "cpu", PIP_EXTRA_INDEX_URL="https://localhost/simple")[0] == {
        "TORCH_INDEX": "https://localhost/simple"
    }
    assert built_with(place, "cuda")[0] == CUDA


@pytest.mark.parametrize(
    "index", ["https://user:word@localhost/simple", "file:///one", "http://localhost/one http://localhost/two"]
)
def test_an_index_with_a_password_or_of_this_machine_is_not_given_to_an_image(place: Place, index: str) -> None:
    assert built_with(place, "cpu", PIP_EXTRA_INDEX_URL=index)[0] == {}


def test_a_machine_without_a_gpu_builds_for_the_cpu_and_says_so(place: Place) -> None:
    place.program("nvidia-smi", NO_GPU)
    chosen, said = built_with(place)
    assert chosen == CPU_BUILDS
    assert "for the CPU, as nvidia-smi finds no GPU here" in said
    assert "make image DEVICE=cuda" in said
    assert "TORCH_INDEX=URL make image spares that" in said
    assert "spares" not in built_with(place, TORCH_INDEX="file:///wheels")[1]
    assert built_with(place, DEVICE="cuda")[0] == built_with(place, "cuda")[0] == CUDA
    assert "as was asked for" in built_with(place, "cuda")[1]


def test_a_machine_with_a_gpu_builds_for_it_and_says_so(place: Place) -> None:
    place.program("nvidia-smi", A_GPU)
    chosen, said = built_with(place)
    assert chosen == CUDA
    assert "for NVIDIA GPUs, as nvidia-smi finds a GPU here" in said
    assert "make image DEVICE=cpu" in said
    assert built_with(place, DEVICE="cpu")[0] == built_with(place, "cpu")[0] == CPU_BUILDS


@pytest.mark.parametrize("smi", ["NO_GPU", "A_GPU"])
def test_who_names_a_base_or_an_index_gets_it(smi: str, place: Place) -> None:
    place.program("nvidia-smi", globals()[smi])
    chosen, said = built_with(place, BASE="b@sha256:0")
    assert chosen == {"BASE": "b@sha256:0"}
    assert "on BASE, b@sha256:0" in said
    assert built_with(place, BASE="b@sha256:0", DEVICE="cpu")[0] == {"BASE": "b@sha256:0", **CPU_BUILDS}
    assert built_with(place, DEVICE="cpu", TORCH_INDEX="file:///wheels")[0] == {"TORCH_INDEX": "file:///wheels"}
    assert built_with(place, DEVICE="cpu", TORCH_INDEX="")[0] == {}
    assert "TORCH_INDEX" in "".join(line for line in COMMANDS if line.startswith("ARG "))


def test_an_image_for_something_else_is_refused(place: Place) -> None:
    asked, ended = place.image("build", DEVICE="tpu")
    assert (asked, ended.returncode) == ([], 2)
    assert "there is no image for tpu: say cpu or cuda" in ended.stderr


def test_make_passes_the_choice_on(place: Place) -> None:
    (place.root / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (place.root / "tools" / "image").chmod(0o755)
    place.program("nvidia-smi", NO_GPU)
    calls = place.root / "calls"
    path = f"{place.root / 'bin'}:/usr/bin:/bin"
    subprocess.run(
        ["make", "image", "DEVICE=cuda"], cwd=place.root, env={"PATH": path, "CALLS": str(calls)}, check=True
    )
    assert f"BASE={CUDA['BASE']}" in calls.read_text().splitlines()


def test_what_is_missing_is_told(place: Place) -> None:
    asked, ended = place.image("verify", "a.yaml", IMAGE="absent")
    assert (asked, ended.returncode) == ([], 2)
    assert "there is no image absent: build it with make image" in ended.stderr
    asked, ended = place.image("verify", "a.yaml", DOCKER="no-such-program")
    assert (asked, ended.returncode) == ([], 2)
    assert "no Docker engine answers no-such-program" in ended.stderr
    assert place.image()[1].returncode == 2


def test_the_image_carries_the_revision_and_whether_it_was_modified(place: Place) -> None:
    def built(**environment: str) -> list[str]:
        return follows(place.image("build", **environment)[0], "--build-arg")

    def git(*words: str) -> str:
        author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        ended = subprocess.run(["git", *author, *words], cwd=place.root, check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    place.program("nvidia-smi", NO_GPU)
    assert built() == ["REVISION=unknown", "MODIFIED=false", "CREATED="]
    (place.root / "harness").mkdir()
    (place.root / "harness" / "a.py").write_text("")
    git("init", "--quiet")
    git("add", "harness")
    git("commit", "--quiet", "--message", "one")
    revision = git("rev-parse", "HEAD")
    created = git("log", "-1", "--format=%cI")
    assert built() == [f"REVISION={revision}", "MODIFIED=false", f"CREATED={created}"]
    (place.root / "harness" / "a.py").write_text("changed")
    assert built(BASE="b@sha256:0", BUILD_FLAGS="--no-cache --pull")[:3] == [
        "BASE=b@sha256:0",
        f"REVISION={revision}",
        "MODIFIED=true",
    ]
    asked, _ = place.image("build", BUILD_FLAGS="--no-cache --pull")
    assert asked[-3:] == ["--no-cache", "--pull", "."]
