"""Perturbed states of the early phase under IMP's mask, trained to the end (EP Fig. 4 and 5)."""

from harness.protocols.early_phase_perturbations.protocol import PROTOCOL

__all__ = ["PROTOCOL"]
