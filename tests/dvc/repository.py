"""A git repository with this project's pipeline and code, two tiny specs, and the real dvc."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import ROOT, Place, claim, imp_text, instability_text

FILES = ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config")
SPECS = {
    "tiny": instability_text(claim("stable", expect="{kind: at_most, bound: 50.0}")),
    "tiny_imp": imp_text(),
}

KILLED = """
import os, signal, sys
import harness.jobs.store
from harness.cli import main

rename, left = os.rename, int(os.environ["KILL_AFTER"])

def counting(old, new):
    global left
    rename(old, new)
    left -= os.path.basename(os.path.dirname(os.path.dirname(new))) == "jobs"  # and no claim
    if left == 0:
        os.kill(0 if os.environ["KILL_WHOM"] == "all" else os.getpid(), signal.SIGKILL)

harness.jobs.store.os.rename = counting
main(sys.argv[1:])
"""
"""``harness`` that is killed, alone or with the dvc that called it, after so many artifacts."""


@dataclass
class Repository:
    """The working tree, and where commands find dvc's machine-local state."""

    root: Path
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        beside = self.root.parent
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")},
            "PATH": f"{beside / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "OMP_NUM_THREADS": "1",
            "DVC_SITE_CACHE_DIR": str(beside / f"{self.root.name}-site"),
            "DVC_GLOBAL_CONFIG_DIR": str(beside / "no-config"),
            "DVC_SYSTEM_CONFIG_DIR": str(beside / "no-config"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **self.more,
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the working tree, in a process group of its own."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            start_new_session=True,
        )

    def dvc(self, *arguments: str) -> str:
        """What dvc said; it must succeed."""
        done = self.run(sys.executable, "-m", "dvc", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refused(self, *arguments: str) -> str:
        """What dvc said; it must fail."""
        done = self.run(sys.executable, "-m", "dvc", *arguments)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        """What git said; it must succeed."""
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        done = self.run("git", *who, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        """Commits everything that git does not ignore."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def clone(self, name: str = "clone") -> "Repository":
        """A fresh clone beside this repository, without results."""
        self.git("clone", "--quiet", str(self.root), str(self.root.parent / name))
        return Repository(self.root.parent / name)

    @property
    def place(self) -> Place:
        """The same working tree for commands that run in this process."""
        return Kept(self.root)

    def files(self, *folder: str) -> set[int]:
        """The files below a folder, by inode; dvc's lists of what is in a folder are left out."""
        found = self.root.joinpath(*folder).rglob("*")
        return {path.stat().st_ino for path in found if path.is_file() and path.suffix != ".dir"}

    def assert_nothing_is_stored_twice(self) -> None:
        """Every file of the store is a second name of one in dvc's cache."""
        assert self.files(".harness", "jobs") <= self.files(".dvc", "cache")


class Kept(Place):
    """A place whose store is where the pipeline has it."""

    @property
    def store(self) -> Path:
        return self.root / ".harness"


def created(root: Path) -> Repository:
    """A repository with one commit and no results."""
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "harness", root / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "reports" / "paper").mkdir(parents=True)
    for report in (ROOT / "reports" / "paper").glob("lenet_stability-paper.*"):
        shutil.copy(report, root / "reports" / "paper" / report.name)
    shutil.copytree(ROOT / "reports" / "sensitivity", root / "reports" / "sensitivity")
    for folder in ("statements", "over_specs"):
        shutil.copytree(ROOT / folder, root / folder)
    (root / "specs").mkdir()
    for name, text in SPECS.items():
        (root / "specs" / f"{name}.yaml").write_text(text)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("device: auto\n", "device: cpu\n  threads: 1\n"))
    program(root.parent, "-m", "harness")
    repository = Repository(root)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("The catalogue")
    return repository


def program(folder: Path, *arguments: str) -> None:
    """The ``harness`` that dvc finds: that of the working tree in which it runs."""
    path = folder / "bin" / "harness"
    path.parent.mkdir(exist_ok=True)
    words = " ".join(f"'{one}'" for one in (sys.executable, *arguments))
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
