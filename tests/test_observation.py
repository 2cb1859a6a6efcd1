"""What can be observed, and what cannot."""

import math

import pytest

from harness.errors import InvariantBroken
from harness.observation import UNITS, Observation, Quantity, checked
from harness.protocols import protocols
from harness.protocols.common.series import curve

QUANTITIES = {
    "accuracy": Quantity("%", ("split",), "accuracy"),
    "drop": Quantity("points", ("split",), "accuracy less"),
    "distance": Quantity("", (), "L2 distance", least=0.0),
    "level": Quantity("", (), "anything"),
    "ratio": Quantity("x", (), "ratio"),
    "fall": Quantity("%", (), "fall of the loss", least=-math.inf),
}


def observed(quantity, value):
    at = dict.fromkeys(QUANTITIES[quantity].axes, "test")
    (one,) = checked([Observation(quantity, at, 3, 1, value)], QUANTITIES)
    return one.value


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("accuracy", 120.0),
        ("accuracy", -0.001),
        ("drop", -101.0),
        ("distance", -1e-9),
        ("ratio", -0.5),
        ("fall", 100.1),
    ],
)
def test_what_cannot_be_is_a_breach_and_no_verdict(quantity, value):
    with pytest.raises(InvariantBroken, match=rf"{quantity}.* is .* in initialisation 3, replicate 1, but it is"):
        observed(quantity, value)


def test_the_breach_names_place_value_and_range():
    with pytest.raises(
        InvariantBroken, match=r"accuracy at split=test is 120 % in .* from 0 to 100 % by what it means"
    ):
        observed("accuracy", 120.0)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [("accuracy", 0.5), ("drop", -12.5), ("level", -1e300), ("level", 1e-300), ("distance", 1e-300), ("fall", -5e9)],
)
def test_what_can_be_is_left_as_it_is(quantity, value):
    assert observed(quantity, value) == value


@pytest.mark.parametrize(
    ("quantity", "value", "exact"),
    [
        ("drop", -3.0452e-15, 0.0),
        ("accuracy", 100.00000000000001, 100.0),
        ("accuracy", -1e-14, 0.0),
        ("level", -3.0452e-15, -3.0452e-15),
    ],
)
def test_rounding_of_the_numbers_behind_is_taken_away(quantity, value, exact):
    assert observed(quantity, value) == exact


def test_single_precision_may_miss_an_end_of_the_range():
    assert observed("accuracy", 100.00001) == 100.00001


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_left_to_the_judge(value):
    assert not math.isfinite(observed("accuracy", value))


def test_every_quantity_of_every_protocol_has_a_unit_and_a_range():
    for protocol in protocols().values():
        for name, quantity in protocol.quantities.items():
            assert quantity.unit in UNITS, name
            assert quantity.low < quantity.high, name
            assert quantity.low <= 0 <= quantity.high, name
            assert quantity.scale >= 0, name


def test_no_interval_of_a_line_goes_beyond_what_can_be():
    """Errors of 0, 0 and 3 %: Student's interval would begin below 0."""
    values = {0: (0.0, 0.0, 3.0), 1: (97.0, 100.0, 100.0), 2: (40.0, 50.0, 60.0)}
    found = [
        Observation("accuracy", {"split": "test", "k": k}, seed, 0, value)
        for k, row in values.items()
        for seed, value in enumerate(row)
    ]
    line = curve(checked(found, QUANTITIES), "accuracy", "k", {"split": "test"}, label="", role="")
    assert (line.low[0], line.high[1]) == (0, 100)
    assert 0 < line.low[2] < 50 < line.high[2] < 100
    assert curve(found, "accuracy", "k", {"split": "test"}, label="", role="").low[0] < 0


@pytest.mark.parametrize(
    ("unit", "examples", "step"),
    [("%", 400, 0.25), ("points", 10_000, 0.01), ("examples", 400, 1.0), ("", 400, 0.0), ("%", None, 0.0)],
)
def test_the_step_of_a_rate_is_one_example(unit, examples, step):
    assert Quantity(unit, ("split",), "a rate").resolution(examples) == step
