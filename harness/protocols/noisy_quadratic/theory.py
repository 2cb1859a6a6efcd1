"""What can be said of the noisy quadratic and of the narrowing valley without a simulation. Pure.

In the letters of the slides (Ciuca, "A Quadratic Stochastic Model"), which the spec has: f(x) = λ(x + ε)²,
ε ~ N(0, σ²), under v ← γv + 2λ(x + ε), x ← x − αv. Its Hessian has the eigenvalue 2λ, so all that holds of any heavy
ball is ``common.heavy_ball`` at h = 2λ. Its level is E[λx²] once the start is forgotten.
"""

import math

from harness.protocols.common import heavy_ball


def printed_level(rate: float, curvature: float, momentum: float, sigma: float) -> float:
    """With momentum, as the long form of the slides prints it: αλ²σ²/(1 − γ² − αλ).

    For γ = 0 it is right: squaring x' = (1 − a)x − aε, with a = 2αλ, gives V = E[x²] = (1 − a)²V + a²σ², as ε is
    independent of x, so V = aσ²/(2 − a) = αλσ²/(1 − αλ). Else it is wrong. It has a pole at αλ = 1 − γ² (infinite
    here), and is negative beyond.
    """
    below = 1 - momentum**2 - rate * curvature
    return rate * curvature**2 * sigma**2 / below if below else math.inf


def exact_level(rate: float, curvature: float, momentum: float, sigma: float) -> float:
    """With momentum: αλ²σ²(1 + γ)/((1 − γ)(1 + γ − αλ)), see ``heavy_ball.level``."""
    return heavy_ball.level(rate, 2 * curvature, momentum, sigma)


def total_level(rate: float, curvatures: list[float], momentum: float, sigma: float) -> float:
    """Sum of the exact levels of independent directions."""
    return sum(exact_level(rate, curvature, momentum, sigma) for curvature in curvatures)


def is_stable(rate: float, curvature: float, momentum: float) -> bool:
    """Whether it converges: αλ < 1 + γ."""
    return heavy_ball.is_stable(rate, 2 * curvature, momentum)


def is_overdamped(rate: float, curvature: float, momentum: float) -> bool:
    """Whether the mean decays without swinging."""
    return heavy_ball.is_overdamped(rate, 2 * curvature, momentum)


def relaxation_time(rate: float, curvature: float, momentum: float) -> float:
    """Steps in which E[x] falls e-fold; about 1/(2αλ) for plain descent."""
    return heavy_ball.relaxation_time(rate, 2 * curvature, momentum)


def valley_edge(x: float) -> float:
    """The |y| at which the narrowing valley's Hessian first has a negative eigenvalue, above a given x.

    f = log g with g = .2d² + u + 1, d = x − .8, u = y²e^(5x+1). Its Hessian is (g∇²g − ∇g∇gᵀ)/g², whose determinant
    has the sign of a(g − 2u) − 2u(5g − .4d − 5u)², a = g(.4 + 25u) − (.4d + 5u)².
    """
    d = x - 0.8

    def determinant(u: float) -> float:
        g = 0.2 * d**2 + u + 1
        a = g * (0.4 + 25 * u) - (0.4 * d + 5 * u) ** 2
        return float(a * (g - 2 * u) - 2 * u * (5 * g - 0.4 * d - 5 * u) ** 2)

    if determinant(0.0) <= 0:
        return 0.0
    beyond = 1e-6
    while determinant(beyond) > 0:
        beyond *= 2
    from scipy.optimize import brentq  # brings much that nothing else here needs

    return math.sqrt(float(brentq(determinant, 0.0, beyond)) / math.exp(5 * x + 1))
