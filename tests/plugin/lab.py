"""Packages outside, as a lab would install them: one folder with a package and what pip writes beside it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.jobs.outside import packages
from harness.protocols import protocols
from tests.support import ROOT

LAB = Path(__file__).parent / "lab_participation"


def installed(folder: Path, package: str, sources: Path | str, version: str = "1.0") -> Path:
    """The package ``package`` in a folder, with an entry point.

    Args:
        folder: new; belongs on the path.
        package: its name.
        sources: its folder, or the text of its ``__init__``.
        version: of its distribution.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(sources, Path):
        shutil.copytree(sources, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(sources)
    about = folder / f"{package}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[harness.protocols]\n{package} = {package}\n")
    return folder


def forget(*names: str) -> None:
    """Lets packages be found anew in this process, those called so too."""
    packages.cache_clear()
    protocols.cache_clear()
    for module in [module for module in sys.modules if module.split(".")[0] in names]:
        del sys.modules[module]


@dataclass(frozen=True)
class Lab:
    """A place where a lab works.

    Attributes:
        path: of the folder that has the package.
        work: the working folder, with a spec.
    """

    path: Path
    work: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """``python -m COMMAND`` in a process of its own, in which the package is installed."""
        where = {"PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        words = [sys.executable, "-m", *map(str, command)]
        return subprocess.run(words, cwd=self.work, env={**os.environ, **where}, capture_output=True, text=True)
