"""How far apart two networks are, in weights and in what they do."""

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.measure.evaluate import Scores


def l2(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Euclidean distance |a - b| between two sets of parameters of the same names, all together.

    Examples:
        >>> import torch
        >>> from harness.measure.distance import l2
        >>> origin = {"weight": torch.zeros(2), "bias": torch.zeros(1)}
        >>> l2(origin, {"weight": torch.tensor([3.0, 0.0]), "bias": torch.tensor([4.0])})
        5.0
    """
    return float(torch.linalg.vector_norm(_flat(a, b) - _flat(b, a)))


def cosine(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float | None:
    """Cosine distance, 1 - a·b / (|a| |b|), between two sets of parameters; None where one is all zeros.

    Examples:
        States at right angles are at distance 1, opposite ones at 2.

        >>> import torch
        >>> from harness.measure.distance import cosine
        >>> east, north = {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])}
        >>> cosine(east, north), cosine(east, {"w": -east["w"]})
        (1.0, 2.0)
    """
    one, other = _flat(a, b), _flat(b, a)
    if not (one.any() and other.any()):
        return None
    return 1.0 - float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def disagreements(a: Scores, b: Scores) -> int:
    """Number of examples that two networks (R = 1) classify differently (LMC appendix H).

    Examples:
        >>> import torch
        >>> from harness.measure.distance import disagreements
        >>> from harness.measure.evaluate import Scores
        >>> labels, losses = torch.tensor([0, 1, 1]), torch.zeros(1, 3)
        >>> a, b = (Scores(torch.tensor([classes]), losses, labels) for classes in ([0, 1, 1], [0, 2, 0]))
        >>> disagreements(a, b)
        2
    """
    return int((a.predictions[0] != b.predictions[0]).sum())


def loss_distance(a: Scores, b: Scores) -> float:
    """L2 distance between the vectors of per-example losses (LMC appendix H), in nats.

    Examples:
        >>> import torch
        >>> from harness.measure.distance import loss_distance
        >>> from harness.measure.evaluate import Scores
        >>> labels = torch.tensor([0, 1])
        >>> a = Scores(labels[None], torch.tensor([[3.0, 0.0]]), labels)
        >>> b = Scores(labels[None], torch.tensor([[0.0, 4.0]]), labels)
        >>> loss_distance(a, b)
        5.0
    """
    return float(torch.linalg.vector_norm(a.losses[0].double() - b.losses[0].double()))


def _flat(values: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    """All values in the order of their names: mappings that come from files have no order of their own."""
    if values.keys() != other.keys():
        raise ValueError(f"not of one network: {sorted(values.keys() ^ other.keys())} on one side only")
    return torch.cat([values[name].flatten().double() for name in sorted(values)])
