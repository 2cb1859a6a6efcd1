"""The command line: the only room that prints, prompts or exits."""

from harness.cli.start import command, main

__all__ = ["command", "main"]
