"""What can be said of the noisy quadratic and of the narrowing valley without a simulation. Pure.

The noisy quadratic is f(x) = λ(x + ε)², ε ~ N(0, σ²) afresh at each step, under v ← γv + 2λ(x + ε), x ← x − αv.
Eliminating v leaves a second-order autoregression, with a = 2αλ:

    x' = (1 + γ − a) x − γ x₋ − a ε.

It is stable for 0 < a < 2(1 + γ). Its level is E[λx²] once the start is forgotten.
"""

import math


def printed_level(rate: float, curvature: float, momentum: float, sigma: float) -> float:
    """With momentum, as the long form of the slides prints it: αλ²σ²/(1 − γ² − αλ).

    For γ = 0 it is right: squaring x' = (1 − a)x − aε gives V = E[x²] = (1 − a)²V + a²σ², as ε is independent of x, so
    V = aσ²/(2 − a) = αλσ²/(1 − αλ). Else it is wrong. It has a pole at αλ = 1 − γ² (infinite here), and is negative
    beyond.
    """
    below = 1 - momentum**2 - rate * curvature
    return rate * curvature**2 * sigma**2 / below if below else math.inf


def exact_level(rate: float, curvature: float, momentum: float, sigma: float) -> float:
    """With momentum: αλ²σ²(1 + γ)/((1 − γ)(1 + γ − αλ)).

    Let V = E[x²] and C = E[x x₋]. Multiplying the autoregression by x and taking means: C = (1 + γ − a)V − γC, so
    C = V(1 + γ − a)/(1 + γ). Squaring it: V = ((1 + γ − a)² + γ²)V − 2γ(1 + γ − a)C + a²σ². Together
    V = aσ²(1 + γ)/((1 − γ)(2 + 2γ − a)), and with a = 2αλ the level λV follows.
    """
    plain = rate * curvature**2 * sigma**2
    return plain * (1 + momentum) / ((1 - momentum) * (1 + momentum - rate * curvature))


def total_level(rate: float, curvatures: list[float], momentum: float, sigma: float) -> float:
    """Sum of the exact levels of independent directions."""
    return sum(exact_level(rate, one, momentum, sigma) for one in curvatures)


def is_stable(rate: float, curvature: float, momentum: float) -> bool:
    """Whether the heavy ball converges: αλ < 1 + γ."""
    return rate * curvature < 1 + momentum


def is_overdamped(rate: float, curvature: float, momentum: float) -> bool:
    """Whether the mean decays without swinging: the roots of z² − (1 + γ − a)z + γ are real and positive."""
    middle = 1 + momentum - 2 * rate * curvature
    return middle > 0 and middle**2 >= 4 * momentum


def relaxation_time(rate: float, curvature: float, momentum: float) -> float:
    """Steps in which E[x] falls e-fold: −1/ln|z| for the greater root of z² − (1 + γ − a)z + γ.

    Plain descent has −1/ln|1 − 2αλ|, about 1/(2αλ). Where the roots are complex, |z|² = γ: the time is −2/ln γ,
    whatever the curvature. The loss above its level falls in half the time.
    """
    middle = 1 + momentum - 2 * rate * curvature
    inside = middle**2 - 4 * momentum
    radius = math.sqrt(momentum) if inside < 0 else (abs(middle) + math.sqrt(inside)) / 2
    return -1 / math.log(radius) if radius > 0 else 0.0


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
