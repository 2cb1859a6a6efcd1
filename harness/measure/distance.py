"""How far apart two networks are, in weights and in what they do."""

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.measure.evaluate import Scores


def l2(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Euclidean distance between two sets of parameters of the same names, all together."""
    return float(torch.linalg.vector_norm(_flat(a, b) - _flat(b, a)))


def cosine(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Cosine distance, 1 - cos(a, b), between two sets of parameters."""
    return 1.0 - float(torch.nn.functional.cosine_similarity(_flat(a, b), _flat(b, a), dim=0))


def disagreements(a: Scores, b: Scores) -> int:
    """Number of examples that two networks (R = 1) classify differently (LMC appendix H)."""
    return int((a.predictions[0] != b.predictions[0]).sum())


def loss_distance(a: Scores, b: Scores) -> float:
    """L2 distance between the vectors of per-example losses (LMC appendix H), in nats."""
    return float(torch.linalg.vector_norm(a.losses[0].double() - b.losses[0].double()))


def _flat(values: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    """All values in the order of their names: mappings that come from files have no order of their own."""
    if values.keys() != other.keys():
        raise ValueError(f"not of one network: {sorted(values.keys() ^ other.keys())} on one side only")
    return torch.cat([values[name].flatten().double() for name in sorted(values)])
