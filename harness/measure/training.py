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
        >>> float(loss(Moment(here, here, here, gradient=here, loss=torch.tensor(2.5), kernels=here.bool())))
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
        >>> here, gradient = torch.zeros(2), torch.tensor([3.0, 4.0])
        >>> float(gradient_norm(Moment(here, here, here, gradient, loss=torch.tensor(1.0), kernels=here.bool())))
        5.0
    """
    return _norm(moment.gradient)


def weight_norm(moment: Moment) -> Tensor:
    """Euclidean norm |w| of all parameters before the step, in units of weight.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import weight_norm
        >>> w, zero = torch.tensor([6.0, 8.0]), torch.zeros(2)
        >>> float(weight_norm(Moment(w, zero, zero, gradient=zero, loss=torch.tensor(1.0), kernels=zero.bool())))
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
        >>> float(distance_from_start(Moment(w, w, start, gradient=zero, loss=torch.tensor(1.0), kernels=zero.bool())))
        5.0
    """
    return _norm(moment.weights.double() - moment.start.double())


def cosine_with_start(moment: Moment) -> Tensor:
    """Cosine w·w_start / (|w| |w_start|) of all parameters with where this training began; has no unit, as no weights.

    Examples:
        At right angles it is 0, whatever the units of weight.

        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import cosine_with_start
        >>> w, start, zero = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]), torch.zeros(2)
        >>> float(cosine_with_start(Moment(w, w, start, gradient=zero, loss=torch.tensor(1.0), kernels=zero.bool())))
        0.0
    """
    weights, start = moment.weights.double(), moment.start.double()
    return (weights * start).sum() / (_norm(weights) * _norm(start))


def mean_magnitude(moment: Moment) -> Tensor:
    """Mean of |w| over the weights of convolutions and linear layers that are left, in units of weight.

    Examples:
        The last is a bias.

        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import mean_magnitude
        >>> w, zero = torch.tensor([-1.0, 3.0, 9.0]), torch.zeros(3)
        >>> kernels = torch.tensor([True, True, False])
        >>> float(mean_magnitude(Moment(w, w, zero, gradient=zero, loss=torch.tensor(1.0), kernels=kernels)))
        2.0
    """
    kernels = moment.kernels.double()
    return (moment.weights.double().abs() * kernels).sum() / kernels.sum()


def signs_changed(moment: Moment) -> Tensor:
    """Share (%) of the weights of convolutions and linear layers that are left whose sign is not that of the start.

    It has no units of weight. A weight that went to 0 has another sign, one that came back has not.

    Examples:
        The last is a bias.

        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import signs_changed
        >>> w, start = torch.tensor([-1.0, 3.0, 9.0]), torch.tensor([1.0, 1.0, -1.0])
        >>> kernels = torch.tensor([True, True, False])
        >>> float(signs_changed(Moment(w, w, start, gradient=w, loss=torch.tensor(1.0), kernels=kernels)))
        50.0
    """
    changed = (moment.weights.sign() != moment.start.sign()) & moment.kernels
    return 100 * changed.sum(dtype=torch.float64) / moment.kernels.sum(dtype=torch.float64)


def step_length(moment: Moment) -> Tensor:
    """Euclidean length |w_after - w| of the step itself, of all parameters, in units of weight.

    It is the way of one iteration: between steps that lie further apart, noise would cancel, and the more the further.

    Examples:
        >>> import torch
        >>> from harness.engine.probes import Moment
        >>> from harness.measure.training import step_length
        >>> w, after, zero = torch.tensor([1.0, 1.0]), torch.tensor([4.0, 5.0]), torch.zeros(2)
        >>> float(step_length(Moment(w, after, zero, gradient=zero, loss=torch.tensor(1.0), kernels=zero.bool())))
        5.0
    """
    return _norm(moment.after.double() - moment.weights.double())


_TABLE: tuple[tuple[Measure, int], ...] = (
    (loss, 1),
    (gradient_norm, 1),
    (weight_norm, 1),
    (distance_from_start, 1),
    (cosine_with_start, 1),
    (mean_magnitude, 1),
    (signs_changed, 1),
    (step_length, 1),
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
