"""What an experiment observes and draws when it is run."""

from harness.observation import Observation
from harness.pipeline.request import Request
from harness.schema.claims import Check, Claim


def test_observations_have_exactly_the_axes_of_their_quantity(asked: Request, observed: list[Observation]) -> None:
    """Observations name the conditions that a claim can ask for."""
    axes = asked.protocol.axes(asked.setting)
    for one in observed:
        quantity = asked.protocol.quantities[one.quantity]
        assert set(one.at) == set(quantity.axes), one
        assert isinstance(one.value, float | int)
        for axis, value in one.at.items():
            assert value in axes.get(axis, [value]), one


def test_every_quantity_is_observed_once_a_replicate(asked: Request, observed: list[Observation]) -> None:
    """No quantity is missing, none is counted twice."""
    assert {one.quantity for one in observed} == asked.protocol.quantities.keys()
    seen = [(one.quantity, tuple(sorted(one.at.items())), one.initialisation, one.repeat) for one in observed]
    assert len(seen) == len(set(seen))


def test_every_default_is_observed(asked: Request, observed: list[Observation]) -> None:
    """A claim that leaves out what it may is about something that was measured."""
    defaults = asked.protocol.defaults(asked.setting)
    for name, quantity in asked.protocol.quantities.items():
        wanted = {axis: value for axis, value in defaults.items() if axis in quantity.axes}
        found = [one for one in observed if one.quantity == name and wanted.items() <= one.at.items()]
        assert {one.initialisation for one in found} == set(asked.setting.replicates.seeds), name


def _marked(asked: Request) -> list[tuple[Claim, Check]]:
    """Every claim, so that every mark is drawn that can be."""
    claims = asked.loaded.spec.claims
    return [(one, asked.protocol.resolve(asked.setting, one.checks["toy"])) for one in claims]


def test_figures_show_observations(asked: Request, observed: list[Observation]) -> None:
    """Figures have words, axes and points in order."""
    figures = asked.protocol.figures(asked.setting, observed, _marked(asked))
    assert figures
    assert len({figure.id for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.title
        assert figure.caption
        assert figure.x_label
        assert figure.y_label
        assert figure.surface or any(series.y for series in figure.series), f"{figure.id} shows nothing"
        for series in figure.series:
            assert len(series.x) == len(series.y)
            assert len(series.low) == len(series.high) in (0, len(series.x))
            assert list(series.x) == sorted(series.x)


def test_figures_can_be_drawn_of_nothing(asked: Request) -> None:
    """A run in which all broke has a report, too."""
    for figure in asked.protocol.figures(asked.setting, [], _marked(asked)):
        assert not any(series.y for series in figure.series)
        assert figure.surface is None
