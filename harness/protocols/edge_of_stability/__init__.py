"""The edge of stability: the largest eigenvalue of the Hessian through training, against what the rate allows."""

from harness.protocols.edge_of_stability.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
