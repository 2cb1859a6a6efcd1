"""Figures of the line between networks of different initialisations."""

from collections.abc import Mapping, Sequence

from harness.figure import Figure
from harness.observation import Observation
from harness.protocols.common import series

_WORDS = {"different": "different initialisations", "same": "one initialisation"}


def line_figures(observations: Sequence[Observation], modes: Mapping[str, str], kinds: Sequence[str]) -> list[Figure]:
    """The error along the line of each network, between both kinds of pair.

    Args:
        observations: all there are.
        modes: network -> the mode of batch normalisation that is drawn.
        kinds: of pairs.
    """
    return [
        Figure(
            f"line_{network}",
            f"Error along the line, {network}",
            "Error on the straight line between two trained networks, whose first weights are different draws or one; "
            "flat means linearly connected (LMC section 1).",
            "position on the line",
            "error (%)",
            [
                series.curve(
                    observations,
                    "error_on_line",
                    "alpha",
                    {"network": network, "pair": kind, "split": split, "batch_norm": mode},
                    label=f"{_WORDS[kind]}, {split}",
                    role=f"pair_{kind}",
                    dashed=split == "train",
                )
                for kind in kinds
                for split in ("test", "train")
            ],
        )
        for network, mode in modes.items()
    ]
