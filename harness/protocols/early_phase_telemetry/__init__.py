"""Telemetry of the early phase of training (EP Fig. 2 and 3): what changes first, how fast, and in which phases."""

from harness.protocols.early_phase_telemetry.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
