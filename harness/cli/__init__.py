"""The command line: the only room that prints, prompts or exits."""

from harness.cli.app import main

__all__ = ["main"]
