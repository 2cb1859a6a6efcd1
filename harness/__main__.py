"""``python -m harness``: the command line of the code in front."""

from harness.cli import command

if __name__ == "__main__":
    command()
