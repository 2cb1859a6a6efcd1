"""Loss cliffs: how far the loss falls where the learning rate drops, in which directions, and what else does it."""

from harness.protocols.loss_cliffs.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
