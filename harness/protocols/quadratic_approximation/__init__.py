"""How far the loss is a noisy quadratic: along single eigenvectors, at its implied minimum, and summed up."""

from harness.protocols.quadratic_approximation.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
