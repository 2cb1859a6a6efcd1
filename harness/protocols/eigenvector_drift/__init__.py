"""How the eigenvectors of the Hessian turn between successive checkpoints, and into which others."""

from harness.protocols.eigenvector_drift.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
