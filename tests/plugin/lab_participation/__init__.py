"""How many weights carry a network, by the participation ratio: an experiment with a stage of its own, from outside."""

from harness.jobs.stage_row import NUMBER, Row, named
from lab_participation.protocol import Participation

__all__ = ["PROTOCOL", "STAGES"]

PROTOCOL = Participation()
STAGES = (
    Row(
        name="participation",
        version=1,
        columns=named(NUMBER, "ratio"),
        rows=1,
        fingerprint="means of columns",
        module="lab_participation.stage",
    ),
)
