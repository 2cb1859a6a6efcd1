"""The sources that a stage rests on, and their digest: what an edit that can change results changes too."""

import ast
import hashlib
import io
import tokenize
from functools import cache
from pathlib import Path

import harness
from harness.jobs.stages import row

ROOT = Path(harness.__file__).parent
FOLLOWED = ("harness.engine.", "harness.measure.", "harness.stages.", "harness.seeds")
"""Imports that decide results. ``harness.stages.base`` is followed to states and masks only: what a stage uses through
its context is named in ``_BY_CONTEXT``."""
_BY_CONTEXT = (
    "harness.engine.device",
    "harness.engine.feed",
    "harness.engine.data.labels",
    "harness.engine.data.tasks",
    "harness.engine.networks.build",
)
_NOT_MEANING = ("harness.engine.data.datasets",)  # data is known by its digest, which is part of every key


@cache
def source_of(module: str) -> str:
    """The module's text without docstrings, comments and blank lines, which cannot change a result."""
    text = (ROOT.parent / Path(*module.split("."))).with_suffix(".py").read_text()
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


@cache
def imports_of(module: str) -> frozenset[str]:
    """Modules of the harness that a module imports."""
    text = (ROOT.parent / Path(*module.split("."))).with_suffix(".py").read_text()
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if (ROOT.parent / Path(*name.split("."))).with_suffix(".py").is_file():
                    found.add(name)
    return frozenset(found)


def rests_on(stage: str) -> list[str]:
    """The stage's module and all that decide its results with it."""
    found: set[str] = set()
    queue = [row(stage).place]
    while queue:
        module = queue.pop()
        if module in found or module in _NOT_MEANING or not module.startswith(FOLLOWED):
            continue
        found.add(module)
        queue += ["harness.engine.state"] if module == "harness.stages.base" else sorted(imports_of(module))
        queue += _BY_CONTEXT if "context." in source_of(module) and module != "harness.stages.base" else ()
    return sorted(found)


def digest_of(stage: str) -> str:
    """SHA-256 over the sources that the stage rests on."""
    text = "".join(f"{module}\n{source_of(module)}\n" for module in rests_on(stage))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
