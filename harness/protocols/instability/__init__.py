"""Instability analysis (LMC section 2, algorithm 1): copies trained apart from step k, and the line between them."""

from harness.protocols.instability.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
