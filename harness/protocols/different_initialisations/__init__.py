"""Networks of different initialisations, and the line between them (LMC section 1), beside copies of one."""

from harness.protocols.different_initialisations.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
