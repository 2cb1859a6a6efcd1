"""Checks the claims of training-dynamics papers by machine: a claim in, a verdict with evidence out."""

__version__ = "0.1.0"
