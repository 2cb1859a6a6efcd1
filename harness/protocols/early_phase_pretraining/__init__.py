"""Pretraining on pretext tasks in place of rewinding, then sparse training on the true labels (EP)."""

from harness.protocols.early_phase_pretraining.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
