"""What is measured of a state that a training passed, once the training has ended: functions, with their versions.

It takes what a step does not have, the test set or the weights at the end. All sums are in double precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from harness.measure.evaluate import Scores


@dataclass(frozen=True)
class Hindsight:
    """A state that a training passed, seen from its end.

    Attributes:
        weights: [P] of the state.
        end: [P] where the training ended.
        on_test: gives the state's scores of the test set (R = 1), by its own running statistics.
    """

    weights: Tensor
    end: Tensor
    on_test: Callable[[], Scores]


Look = Callable[[Hindsight], float]


def error_on_test(state: Hindsight) -> float:
    """Classification error on the test set, in percent.

    Examples:
        >>> import torch
        >>> from harness.measure.evaluate import Scores
        >>> from harness.measure.hindsight import Hindsight, error_on_test
        >>> scores = Scores(torch.tensor([[0, 1, 1, 1]]), torch.zeros(1, 4), torch.tensor([0, 1, 1, 0]))
        >>> error_on_test(Hindsight(torch.zeros(1), torch.zeros(1), lambda: scores))
        25.0
    """
    return state.on_test().errors[0]


def loss_on_test(state: Hindsight) -> float:
    """Mean cross-entropy on the test set, in nats.

    Examples:
        >>> import torch
        >>> from harness.measure.evaluate import Scores
        >>> from harness.measure.hindsight import Hindsight, loss_on_test
        >>> scores = Scores(torch.tensor([[0, 1]]), torch.tensor([[1.0, 2.0]]), torch.tensor([0, 1]))
        >>> loss_on_test(Hindsight(torch.zeros(1), torch.zeros(1), lambda: scores))
        1.5
    """
    return state.on_test().mean_losses[0]


def distance_to_end(state: Hindsight) -> float:
    """Euclidean distance |w - w_end| of all parameters from where the training ended, in units of weight.

    Examples:
        >>> import torch
        >>> from harness.measure.hindsight import Hindsight, distance_to_end
        >>> distance_to_end(Hindsight(torch.tensor([1.0, 0.0]), torch.tensor([4.0, 4.0]), on_test=None))
        5.0
    """
    return float(torch.linalg.vector_norm(state.weights.double() - state.end.double()))


def cosine_with_end(state: Hindsight) -> float:
    """Cosine w·w_end / (|w| |w_end|) of all parameters with where the training ended.

    Examples:
        >>> import torch
        >>> from harness.measure.hindsight import Hindsight, cosine_with_end
        >>> cosine_with_end(Hindsight(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]), on_test=None))
        0.0
    """
    weights, end = state.weights.double(), state.end.double()
    return float(weights @ end / (weights.norm() * end.norm()))


_TABLE: tuple[tuple[Look, int], ...] = (
    (error_on_test, 1),
    (loss_on_test, 1),
    (distance_to_end, 1),
    (cosine_with_end, 1),
)
"""As in ``harness.measure.training``: raise a version when an edit changes numbers."""

LOOKS: Mapping[str, Look] = MappingProxyType({look.__name__: look for look, _ in _TABLE})
"""Name -> measure."""

VERSIONS: Mapping[str, int] = MappingProxyType({look.__name__: version for look, version in _TABLE})
"""Name -> version of the measure."""

OF_TEST_SET = frozenset({"error_on_test", "loss_on_test"})
"""Those that take an evaluation, of which one serves both."""
