"""Iterative magnitude pruning by level and rewinding iteration (EP Fig. 1), of one network or of several."""

from harness.protocols.early_phase_rewinding.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
