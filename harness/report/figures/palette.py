"""One appearance for each role, told apart by colour-blind eyes and in grey: a colour and a marker."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.colors import to_hex

from harness.figure import Figure


@dataclass(frozen=True)
class Appearance:
    """How a line looks.

    Attributes:
        colour: ``#rrggbb``.
        marker: matplotlib's name of it.
    """

    colour: str
    marker: str


INK = "#333333"
"""Text and axes."""

FAINT = "#8a8a8a"
"""Reference lines."""

APPEARANCES: Mapping[str, Appearance] = {
    # Okabe and Ito's colours, https://jfly.uni-koeln.de/color/: black softened, yellow (too light) left out.
    "imp": Appearance("#0072b2", "o"),
    "random_prune": Appearance("#d55e00", "s"),
    "random_reinit": Appearance("#009e73", "^"),
    "full": Appearance("#4d4d4d", "D"),
    "train": Appearance("#e69f00", "v"),
    "test": Appearance("#0072b2", "o"),
    "interpolated": Appearance("#56b4e9", "P"),
    "recomputed": Appearance("#cc79a7", "X"),
}
"""The roles that protocols share. Test and imp have one: no figure has both."""

FALLBACK = (
    # Paul Tol's muted scheme, https://personal.sron.nl/~pault/.
    Appearance("#332288", "o"),
    Appearance("#aa4499", "s"),
    Appearance("#117733", "^"),
    Appearance("#999933", "D"),
    Appearance("#882255", "v"),
    Appearance("#44aa99", "P"),
    Appearance("#cc6677", "X"),
    Appearance("#88ccee", "p"),
)
"""For other roles, in the order in which a report first names them; in further rounds a colour has other markers."""


def appearances(figures: Iterable[Figure]) -> Mapping[str, Appearance]:
    """The appearance of every role of a report, so that it is the same in all of its figures.

    Args:
        figures: all figures of one report, in their order.

    Returns:
        Role -> appearance.
    """
    by_role: dict[str, Appearance] = {}
    others = 0
    for role in (series.role for figure in figures for series in figure.series):
        if role in by_role:
            continue
        if role in APPEARANCES:
            by_role[role] = APPEARANCES[role]
        else:
            again, place = divmod(others, len(FALLBACK))
            marker = FALLBACK[(place + again) % len(FALLBACK)].marker
            by_role[role] = Appearance(FALLBACK[place].colour, marker)
            others += 1
    return by_role


SCALE = colormaps["viridis"]
"""Of surfaces and sequences: perceptually uniform, safe for colour-blind eyes, ordered in grey too."""

_LIGHTEST = 0.84
"""What is lighter on the scale cannot be seen as a line on white."""


def ordered(place: float) -> str:
    """The colour of a member of a sequence: light at first, dark at last.

    Args:
        place: from 0 to 1; what lies outside is taken as the nearer end.

    Returns:
        ``#rrggbb``.
    """
    return str(to_hex(SCALE(_LIGHTEST * (1 - min(max(place, 0.0), 1.0)))))


def paler(colour: str, step: int) -> str:
    """A colour mixed with white, for a further line of a role that already has one.

    Args:
        colour: ``#rrggbb``.
        step: 0 leaves it; each further step goes on towards white, but never near it.

    Returns:
        ``#rrggbb``.
    """
    share = 1 - 0.72 ** min(step, 3)
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (255 - channel) * share):02x}" for channel in channels)
