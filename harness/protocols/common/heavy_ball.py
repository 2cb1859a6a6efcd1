"""The heavy ball (Polyak 1964) on a quadratic, in closed form. Pure.

One convention, that of the Hessian: the loss is f(x) = ½h(x + ε)² with its eigenvalue h and noise ε ~ N(0, σ²) afresh
at each step, under v ← βv + h(x + ε), x ← x − ηv. Eliminating v leaves a second-order autoregression, with a = ηh:

    x' = (1 + β − a) x − β x₋ − a ε.

Its mean decays by the roots of z² − (1 + β − a)z + β. Slides that write the loss λ(x + ε)² have h = 2λ, with momentum γ
and rate α: ``noisy_quadratic.theory`` says the same in their letters.
"""

import math


def built_up(momentum: float, steps: int) -> float:
    """The velocity after so many steps of a gradient of 1 that stays, from a velocity of 0: Σ βⁱ = (1 − βⁿ)/(1 − β).

    Of gradients of length 1 in any directions the velocity is at most as long; of independent ones its square is
    (1 − β²ⁿ)/(1 − β²) in the mean.

    Examples:
        >>> from harness.protocols.common.heavy_ball import built_up
        >>> [round(built_up(0.9, steps), 3) for steps in (1, 2, 1000)]
        [1.0, 1.9, 10.0]
    """
    return (1 - momentum**steps) / (1 - momentum)


def largest_stable(rate: float, momentum: float) -> float:
    """The greatest eigenvalue of the Hessian with which gradient descent on a quadratic does not diverge: 2(1 + β)/η.

    The roots of z² − (1 + β − ηh)z + β lie within the unit circle below it (Polyak 1964). Without momentum: 2/η.
    """
    return 2 * (1 + momentum) / rate


def is_stable(rate: float, eigenvalue: float, momentum: float) -> bool:
    """Whether the heavy ball converges on an eigenvalue above 0: ηh < 2(1 + β)."""
    return rate * eigenvalue < 2 * (1 + momentum)


def is_overdamped(rate: float, eigenvalue: float, momentum: float) -> bool:
    """Whether the mean decays without swinging: the roots of z² − (1 + β − a)z + β are real and positive."""
    middle = 1 + momentum - rate * eigenvalue
    return middle > 0 and middle**2 >= 4 * momentum


def relaxation_time(rate: float, eigenvalue: float, momentum: float) -> float:
    """Steps in which E[x] falls e-fold: −1/ln|z| for the greater root of z² − (1 + β − a)z + β.

    Plain descent has −1/ln|1 − ηh|, about 1/(ηh). Where the roots are complex, |z|² = β: the time is −2/ln β, whatever
    the eigenvalue. The loss above its level falls in half the time.
    """
    middle = 1 + momentum - rate * eigenvalue
    inside = middle**2 - 4 * momentum
    radius = math.sqrt(momentum) if inside < 0 else (abs(middle) + math.sqrt(inside)) / 2
    return -1 / math.log(radius) if radius > 0 else 0.0


def level(rate: float, eigenvalue: float, momentum: float, sigma: float) -> float:
    """E[½hx²] once the start is forgotten: ηh²σ²(1 + β)/(2(1 − β)(2(1 + β) − ηh)).

    Let V = E[x²] and C = E[x x₋]. Multiplying the autoregression by x and taking means: C = (1 + β − a)V − βC, so
    C = V(1 + β − a)/(1 + β). Squaring it: V = ((1 + β − a)² + β²)V − 2β(1 + β − a)C + a²σ². Together
    V = aσ²(1 + β)/((1 − β)(2 + 2β − a)), and with a = ηh the level ½hV follows.
    """
    plain = rate * eigenvalue**2 * sigma**2
    return plain * (1 + momentum) / (2 * (1 - momentum) * (2 * (1 + momentum) - rate * eigenvalue))
