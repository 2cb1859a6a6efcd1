"""The command line: the only room that prints, prompts or exits."""

from harness.cli.start import main

__all__ = ["main"]
