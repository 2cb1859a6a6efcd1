"""What is told apart is what was put in: a two-way layout of trainings and examples whose components are known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.judging.estimands import Located
from harness.judging.spread import Spread, spread
from harness.judging.statistics import Estimate
from harness.schema.claims import Estimand

TRAININGS, EXAMPLES, RESAMPLES = 20, 300, 100

Answers = NDArray[np.float64]
"""[trainings, examples]: 1 where a training is wrong."""


def independent(random: np.random.Generator) -> Answers:
    """Each training guesses each example by itself, hard or easy: all differences are chance on these examples."""
    hardness = random.choice([0.02, 0.5], size=EXAMPLES)
    return (random.random((TRAININGS, EXAMPLES)) < hardness).astype(float)


def apart(random: np.random.Generator) -> Answers:
    """Trainings are good or bad: wrong in .1 or .3 of all images, whichever these are."""
    level = np.where(np.arange(TRAININGS) % 2, 0.1, 0.3)[:, None]
    return (random.random((TRAININGS, EXAMPLES)) < level).astype(float)


def alike(random: np.random.Generator) -> Answers:
    """All trainings are wrong about the same examples."""
    return np.tile((random.random(EXAMPLES) < 0.2).astype(float), (TRAININGS, 1))


def equally_hard(random: np.random.Generator) -> Answers:
    """Trainings are equally good and examples equally hard: whatever differs is both at once."""
    return (random.random((TRAININGS, EXAMPLES)) < 0.2).astype(float)


def located(answers: Answers, estimand: Estimand = "mean") -> Estimate:
    return Located({seed: [100 * rate] for seed, rate in enumerate(answers.mean(1))}, estimand, 100.0).estimate


def told(answers: Answers, random: np.random.Generator, estimand: Estimand = "mean") -> Spread:
    drawn = [located(answers[:, random.integers(EXAMPLES, size=EXAMPLES)], estimand) for _ in range(RESAMPLES)]
    found = spread(located(answers, estimand), drawn, EXAMPLES)
    assert found is not None
    return found


@pytest.mark.parametrize(("law", "between"), [(independent, 0.0), (apart, 10.26), (alike, 0.0)])
def test_trainings_are_told_from_the_chance_of_the_examples(
    law: Callable[[np.random.Generator], Answers], between: float
) -> None:
    """Variances on average over worlds, as a single difference of variances is noisy and is cut off at 0."""
    random = np.random.default_rng(0)
    visible, left = [], []
    for _ in range(20):
        answers = law(random)
        found = told(answers, random)
        assert found.between_initialisations is not None
        visible.append((located(answers).sd or 0.0) ** 2)
        left.append(found.between_initialisations**2)
    assert np.mean(left) == pytest.approx(between**2, rel=0.1, abs=0.35 * float(np.mean(visible)) if not between else 0)
    assert np.mean(left) <= np.mean(visible)


@pytest.mark.parametrize("law", [independent, apart, alike])
def test_the_test_sets_part_is_the_standard_error_of_the_mean_answer(
    law: Callable[[np.random.Generator], Answers],
) -> None:
    random = np.random.default_rng(1)
    answers = law(random)
    expected = 100 * answers.mean(0).std() / math.sqrt(EXAMPLES)
    found = np.mean([told(answers, random).of_test_set for _ in range(5)])
    assert found == pytest.approx(expected, rel=0.1)


WORLDS = 500


def intervals(between: float, random: np.random.Generator) -> list[Spread]:
    """Of 5 initialisations on 397 examples, in many worlds; rates of about 6 %, normal with an sd in points."""
    found = []
    for _ in range(WORLDS):
        hardness = random.choice([0.01, 0.31], p=[0.85, 0.15], size=397)
        level = random.normal(1.0, between / 5.5, size=5).clip(0, 2)[:, None]
        answers = 100 * (random.random((5, 397)) < level * hardness)
        kinds, of_kind = np.unique(answers, axis=1, return_counts=True)  # examples of a kind are drawn alike
        drawn = random.multinomial(397, of_kind / 397, size=200) @ kinds.T / 397
        rates, deviations = drawn.mean(1).tolist(), drawn.std(1, ddof=1).tolist()
        values = [Estimate(rate, 5, sd, None, None) for rate, sd in zip(rates, deviations, strict=True)]
        told = spread(Estimate(0.0, 5, float(answers.mean(1).std(ddof=1)), None, None), values, 397)
        assert told is not None
        found.append(told)
    return found


@pytest.mark.parametrize("between", [0.5, 2.0])
def test_the_interval_of_what_is_between_initialisations_has_it(between: float) -> None:
    """In 95 % of worlds, to three standard errors of so many; the estimate itself is often exactly 0."""
    found = intervals(between, np.random.default_rng(5))
    has = [(one.between_low or 0) <= between <= (one.between_high or 0) for one in found]
    assert np.mean(has) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / WORLDS))


def test_where_nothing_is_between_initialisations_it_is_seldom_told_apart_from_0() -> None:
    """In 2.5 % of worlds by the law; 2.9 % of 3,000 others, as the test set's part is an estimate too."""
    found = intervals(0.0, np.random.default_rng(6))
    assert np.mean([bool(one.between_low) for one in found]) <= 0.029 + 3 * math.sqrt(0.029 / WORLDS)


def test_of_the_test_sets_part_an_interval_has_what_initialisations_answer_differently() -> None:
    """All of it where examples are equally hard, nothing where all initialisations answer alike."""
    random = np.random.default_rng(3)
    expected = 100**2 * 0.2 * 0.8 / (TRAININGS * EXAMPLES)
    in_interval = np.mean([(located(equally_hard(random)).sd or 0.0) ** 2 / TRAININGS for _ in range(200)])
    of_test_set = np.mean([told(equally_hard(random), random).of_test_set ** 2 for _ in range(10)])
    assert in_interval == pytest.approx(expected, rel=0.1)
    assert of_test_set == pytest.approx(expected, rel=0.2)
    same = alike(random)
    assert located(same).sd == 0
    assert told(same, random).of_test_set > 1


def leaning(random: np.random.Generator, sd: float, shift: float) -> Answers:
    """Initialisations that differ in how many they get wrong, and examples that differ by being easy or hard."""
    level = random.normal(0.2, sd, size=TRAININGS).clip(0, 1)[:, None]
    wrong: Answers = random.random((TRAININGS, EXAMPLES)) < level + random.choice([-shift, shift], size=EXAMPLES)
    return wrong.astype(np.float64)


def standard_error(found: Sequence[Spread]) -> float:
    """Of a mean, for new images and fresh initialisations, by the parts that worlds tell on average."""
    return math.sqrt(
        np.mean([(one.between_initialisations or 0) ** 2 / TRAININGS + one.of_test_set**2 for one in found])
    )


@pytest.mark.parametrize(("sd", "shift"), [(0.04, 0.15), (0.005, 0.0)], ids=["all", "interaction"])
def test_both_parts_make_the_error_of_a_mean_for_new_images_and_fresh_initialisations(sd: float, shift: float) -> None:
    """Each component once: the spread of the mean over worlds in which initialisations and examples are drawn anew."""
    random = np.random.default_rng(2)
    scatter = float(np.std([100 * leaning(random, sd, shift).mean() for _ in range(400)]))
    worlds = [leaning(random, sd, shift) for _ in range(20)]
    found = [told(answers, random) for answers in worlds]
    assert standard_error(found) == pytest.approx(scatter, rel=0.12)
    if not shift:  # what initialisations answer differently is nearly all there is
        twice = [
            replace(one, between_initialisations=located(answers).sd)
            for one, answers in zip(found, worlds, strict=True)
        ]
        assert standard_error(twice) != pytest.approx(scatter, rel=0.24)


def test_of_a_median_they_make_no_standard_error() -> None:
    """Those of normal values scatter by sqrt(pi / 2) = 1.25 times as much as their mean."""
    random = np.random.default_rng(4)
    medians = [located(leaning(random, 0.05, 0.0), "median").value for _ in range(400)]
    found = [told(leaning(random, 0.05, 0.0), random, "median") for _ in range(10)]
    assert np.std([value for value in medians if value is not None]) > 1.1 * standard_error(found)


def test_one_initialisation_has_a_test_set_and_nothing_between_initialisations() -> None:
    drawn = [Estimate(value, 1, None, None, None) for value in (1.0, 2.0, 3.0)]
    assert spread(Estimate(2.0, 1, None, None, None), drawn, 50) == Spread(None, 1.0, 50, 3, None, None)


def test_a_geometric_mean_is_told_in_logarithms() -> None:
    drawn = [Estimate(value, 5, 0.2, None, None, kind="geometric_mean") for value in (1.0, math.e**2)]
    found = spread(Estimate(math.e, 5, 0.2, None, None, kind="geometric_mean"), drawn, 50)
    assert found is not None
    assert found.of_test_set == pytest.approx(math.sqrt(2))
    assert found.between_initialisations == pytest.approx(0.2)


def test_where_no_test_set_moves_anything_there_is_none() -> None:
    """All answers right, or numbers that rest on no examples that are known: no "sd of 0" is told of these."""
    estimate = located(np.zeros((TRAININGS, EXAMPLES)))
    assert spread(estimate, [estimate] * 3, EXAMPLES) is None


def test_a_crossing_has_none() -> None:
    crossing = Estimate(8.0, 5, None, 7.0, 9.0, kind="crossing")
    assert spread(crossing, [crossing, crossing], 50) is None
