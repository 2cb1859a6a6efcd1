"""Iterative magnitude pruning with rewinding (LMC section 4, algorithm 2), its baselines, and their instability."""

from harness.protocols.imp.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
