"""Instability throughout training (LMC appendix D): the line between copies at every epoch, not at the end alone."""

from harness.protocols.instability_throughout.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
