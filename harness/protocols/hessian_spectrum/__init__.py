"""The spectrum of the Hessian through training: power law, negative part, and how its eigenvectors are spread."""

from harness.protocols.hessian_spectrum.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
