"""Every public function of ``harness.measure`` has an example in its docstring, and the examples give what they say."""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness import measure

MODULES = [found.name for found in pkgutil.walk_packages(measure.__path__, f"{measure.__name__}.")]
EXEMPT: dict[str, str] = {}
"""Functions without an example, and why."""


def public(module: ModuleType, kind: Callable[[object], bool]) -> dict[str, Any]:
    """What the module defines under a public name, without the decorators around it."""
    return {
        name: inspect.unwrap(value)
        for name, value in vars(module).items()
        if kind(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def examples(module: ModuleType) -> dict[str, list[doctest.DocTest]]:
    """Name -> what its docstrings, and those of a class's methods, show. No name is known before it is imported."""
    finder = doctest.DocTestFinder(recurse=True)
    documented = public(module, inspect.isfunction) | public(module, inspect.isclass)
    shown = {name: finder.find(value, name, module, globs={}) for name, value in documented.items()}
    shown[""] = doctest.DocTestFinder(recurse=False).find(module, globs={})
    return {name: [test for test in tests if test.examples] for name, tests in shown.items()}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    module = importlib.import_module(name)
    shown = examples(module)
    without = {f"{name}.{each}" for each in public(module, inspect.isfunction) if not shown[each]}
    lacking, needless = without - EXEMPT.keys(), {each for each in EXEMPT if each.startswith(f"{name}.")} - without
    assert not lacking, f"give {sorted(lacking)} an example in the docstring, under 'Examples:' after the arguments"
    assert not needless, f"{sorted(needless)} are exempt and have an example, or are gone"


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    said: list[str] = []
    for tests in examples(importlib.import_module(name)).values():
        for test in tests:
            doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)
