"""Numbers in the digits that their intervals support."""

import math

import pytest

from harness.judging.statistics import Estimate
from harness.printable import clean
from harness.report.numbers import estimate_text, plain, with_unit
from harness.report.text import bytes_text, seconds_text, shorten, unbroken, value_text


@pytest.mark.parametrize(
    ("estimate", "unit", "text"),
    [
        (Estimate(2.6123, 5, 0.5, 1.913, 3.312), "points", "mean 2.6 [1.9, 3.3] points, n = 5"),
        (Estimate(91.712, 5, 0.1, 91.6, 91.82), "%", "mean 91.71 [91.60, 91.82] %, n = 5"),
        (Estimate(1100.2, 3, 90.0, 900.2, 1300.3), "examples", "mean 1100 [900, 1300] examples, n = 3"),
        (Estimate(272474.4, 3, 90.0, 272000.2, 273000.0), "", "mean 272,474 [272,000, 273,000], n = 3"),
        (Estimate(-0.004, 3, 0.1, -0.5, 0.5), "points", "mean 0.0 [−0.5, 0.5] points, n = 3"),
        (Estimate(2.6123, 1, None, None, None), "points", "mean 2.61 points, n = 1, no interval"),
        (Estimate(0.5, 3, 0.0, 0.5, 0.5), "points", "mean 0.500 [0.500, 0.500] points, n = 3"),
        (Estimate(0.0, 3, 0.0, 0.0, 0.0), "points", "mean 0 [0, 0] points, n = 3"),
        (Estimate(2.0, 3, 0.3, None, 2.51), "points", "mean 2.00 (−∞, 2.51] points, n = 3"),
        (Estimate(math.nan, 3, None, None, None), "points", "mean not a number points, n = 3, no interval"),
        (Estimate(1.0101e-14, 5, 1e-16, 1.001e-14, 1.0192e-14), "", "mean 1.010e-14 [1.001e-14, 1.019e-14], n = 5"),
        (Estimate(1.0101e-14, 5, 1e-15, 5e-15, 1.5e-14), "", "mean 1.0e-14 [0.5e-14, 1.5e-14], n = 5"),
        (Estimate(1.0101e-14, 1, None, None, None), "", "mean 1.01e-14, n = 1, no interval"),
        (Estimate(-2.5e-9, 3, 1e-9, -5e-9, 1e-20), "", "mean −2.5e-9 [−5.0e-9, 0.0e-9], n = 3"),
        (Estimate(5e-324, 3, 0.0, 5e-324, 5e-324), "", "mean 4.94e-324 [4.94e-324, 4.94e-324], n = 3"),
        (Estimate(3.2e12, 3, 1e11, 3e12, 3.4e12), "", "mean 3.20e12 [3.00e12, 3.40e12], n = 3"),
        (
            Estimate(0.5, 3, 1e-15, 0.4999999999999, 0.5000000000001),
            "",
            "mean 0.50000000000000 [0.49999999999990, 0.50000000000010], n = 3",
        ),
        (
            Estimate(0.5, 5, 1.3, 0.1, 2.4, "median", 0.9375, 0.72),
            "points",
            "median 0.5 [0.1, 2.4] points (93.8 %), mean 0.72, n = 5",
        ),
        (
            Estimate(0.5, 3, 1.3, None, None, "median", mean=0.72),
            "points",
            "median 0.5 points, mean 0.72, n = 3, no interval",
        ),
        (
            Estimate(1.5, 5, 0.2, 1.2, 1.9, "geometric_mean", mean=1.55),
            "x",
            "geometric mean 1.5 [1.2, 1.9] x, mean 1.55, n = 5",
        ),
        (Estimate(100, 5, None, 25, 250, "crossing"), "it", "100it [25it, 250it], n = 5"),
        (Estimate(100, 5, None, 25, None, "crossing"), "it", "100it [25it, at no point], n = 5"),
        (Estimate(None, 5, None, 250, None, "crossing"), "it", "at no point [250it, at no point], n = 5"),
        (Estimate(None, 5, None, None, None, "crossing"), "it", "at no point, n = 5"),
        (Estimate(None, 5, None, 9, None, "crossing"), "level", "at no point [9, at no point], n = 5"),
        (Estimate(100, 1, None, None, None, "crossing"), "it", "100it, n = 1, no interval"),
        (Estimate(8, 5, None, 7, 9, "crossing"), "level", "level 8 [7, 9], n = 5"),
        (None, "points", "–"),
    ],
)
def test_an_estimate_in_sensible_digits(estimate: Estimate | None, unit: str, text: str) -> None:
    assert estimate_text(estimate, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "0.0001"),
        (1e-8, "1e-8"),
        (-2.5e-5, "−2.5e-5"),
        (0.1, "0.1"),
        (-3.2, "−3.2"),
        (5122.0, "5122"),
        (63000.0, "63,000"),
        (1e12, "1e12"),
        (-0.0, "0"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_a_plain_number(value: float, text: str) -> None:
    assert plain(value) == text


def test_digits_can_be_chosen() -> None:
    assert [plain(value, 5) for value in (-1.01010101e-14, 272474.4, 0.828543)] == ["−1.0101e-14", "272,474", "0.82854"]


def test_times_are_written_as_specs_write_them() -> None:
    assert with_unit(63000, "it") == "63000it"
    assert with_unit(3.2, "points") == "3.2 points"
    assert with_unit(None, "points") == "–"
    assert [seconds_text(one) for one in (0.84, 9.96, 59.6, 201.4, 3599.7, 7500, 86400)] == [
        "0.8 s", "10 s", "1 min", "3 min 21 s", "1 h", "2 h 5 min", "24 h",
    ]  # fmt: skip
    assert [bytes_text(one) for one in (812, 41_250_112, 999_600, 3 * 10**12)] == [
        "812 bytes", "41.3 MB", "1.0 MB", "3.0 TB",
    ]  # fmt: skip


def test_values_and_texts_are_clean() -> None:
    assert clean("\x1b[31;1mred\x1b[0m\x00\r\nnext\ttab \u202eturned\ud800") == "red\nnext\ttab turned"
    assert shorten("one two three four", 12) == "one two…"
    assert shorten("unbreakable", 5) == "unbr…"
    assert value_text([1, [2.0, True], {"a": None}, {3}]) == "1, 2, yes, a: –, 3"
    assert value_text(()) == "none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("median 2.6 [1.9, 3.3] points (93.8 %), n = 5", "median 2.6 [1.9, 3.3]~points (93.8~%), n~=~5"),
        ("mean 2 (−∞, 2.5] times", "mean 2 (−∞, 2.5]~times"),
        ("2 pointsmen of 3 and 4 nations = 5", "2 pointsmen of 3 and 4 nations = 5"),
        ("at fork=0it, 5 it", "at fork=0it, 5 it"),
    ],
)
def test_numbers_stay_with_their_units(text: str, shown: str) -> None:
    assert unbroken(text) == shown.replace("~", "\u00a0")
