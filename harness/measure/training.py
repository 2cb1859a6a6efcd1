"""What can be measured inside a training, of one replica at one step: a function for each, with its version.

All sums are taken in double precision, whatever the training's own.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from harness.engine.probes import Measure, Moment


def loss(moment: Moment) -> Tensor:
    """Mean cross-entropy of the batch that the step is about to see, in nats, as the step itself computes it.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import loss
        >>> here = torch.zeros(3)
        >>> float(loss(Moment(weights=here, start=here, gradient=here, loss=torch.tensor(2.5))))
        2.5
    """
    return moment.loss


def gradient_norm(moment: Moment) -> Tensor:
    """Euclidean norm |g| of that loss's gradient, in nats per unit of weight, before clipping and weight decay.

    Of a pruned network over the weights that are left.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import gradient_norm
        >>> here = torch.zeros(2)
        >>> moment = Moment(weights=here, start=here, gradient=torch.tensor([3.0, 4.0]), loss=torch.tensor(1.0))
        >>> float(gradient_norm(moment))
        5.0
    """
    return _norm(moment.gradient)


def weight_norm(moment: Moment) -> Tensor:
    """Euclidean norm |w| of all parameters before the step, in units of weight.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import weight_norm
        >>> zero = torch.zeros(2)
        >>> moment = Moment(weights=torch.tensor([6.0, 8.0]), start=zero, gradient=zero, loss=torch.tensor(1.0))
        >>> float(weight_norm(moment))
        10.0
    """
    return _norm(moment.weights)


def distance_from_start(moment: Moment) -> Tensor:
    """Euclidean distance |w - w_start| of all parameters from where this training began, in units of weight.

    That is the state that the training's job starts from, with its mask: for a copy the fork, not the initialisation.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import distance_from_start
        >>> w, start, zero = torch.tensor([4.0, 4.0]), torch.tensor([1.0, 0.0]), torch.zeros(2)
        >>> float(distance_from_start(Moment(weights=w, start=start, gradient=zero, loss=torch.tensor(1.0))))
        5.0
    """
    return _norm(moment.weights.double() - moment.start.double())


_TABLE: tuple[tuple[Measure, int], ...] = (
    (loss, 1),
    (gradient_norm, 1),
    (weight_norm, 1),
    (distance_from_start, 1),
)
"""Measures, each with the version of its meaning: raise it when an edit changes numbers. It is in the keys of the jobs
that record the measure, and of no other."""

MEASURES: Mapping[str, Measure] = MappingProxyType({measure.__name__: measure for measure, _ in _TABLE})
"""Name -> measure."""

VERSIONS: Mapping[str, int] = MappingProxyType({measure.__name__: version for measure, version in _TABLE})
"""Name -> version of the measure."""


def _norm(values: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values, dtype=torch.float64)
    return norm
