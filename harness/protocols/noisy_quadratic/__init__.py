"""The noisy quadratic (Ciuca, "A Quadratic Stochastic Model"): simulated levels against the formulas."""

from harness.protocols.noisy_quadratic.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
