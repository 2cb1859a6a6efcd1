"""Networks for ImageNet, small, through a whole experiment: trained in parts, pruned in one shot, on lines."""

from pathlib import Path

import pytest

from harness.engine.networks.build import build
from tests.engine.networks.test_imagenet import SMALL_INCEPTION, SMALL_RESNET
from tests.support import Place, claim, edited, imp_text

NETWORKS = {"resnet": SMALL_RESNET, "inception": SMALL_INCEPTION}
FALLING = "        rate: 0.02\n        end: 0.005\n"
CLAIMS = (
    claim("density", "density", "{rewind: 2it, level: 1}", "{kind: equals, value: 30.0, margin: 0.1}"),
    claim("line", "instability", "{rewind: 2it, level: 1}", "{kind: at_most, bound: 100.0}"),
    claim("again", "instability", "{rewind: 2it, level: 1, batch_norm: recomputed}", "{kind: at_most, bound: 100.0}"),
)


def text_of(name: str) -> str:
    network = NETWORKS[name]
    written = ", ".join(f"{field}: {value}" for field, value in network.items()).replace("'", "")
    text = imp_text(*CLAIMS)
    for old, new in (
        ("{name: lenet, hidden: [16]}", f"{{{written}}}"),
        ("parameters: 1210", f"parameters: {build(network, (1, 8, 8), 10).size}"),
        ("length: 40it", "length: 6it"),
        ("batch: 50\n", "batch: 50\n      microbatch: 20\n"),
        ("{name: adam}", "{name: sgd, momentum: 0.9}"),
        ("        rate: 0.002\n        drops: [30it]\n", FALLING),
        ("{style: iterative, fraction: 0.2, levels: 2}", "{style: one_shot, density: 0.3}"),
        ("rewinds: [0it]", "rewinds: [2it]"),
        ("compared_levels: [0, 2]", "compared_levels: [1]\n      arms: [imp]"),
        ("      initialisations: 2\n", "      initialisations: 1\n"),
    ):
        text = edited(text, old, new)
    return text


@pytest.mark.parametrize("name", NETWORKS)
def test_it_trains_is_pruned_and_lies_on_a_line(name: str, tmp_path: Path) -> None:
    """All that every run checks holds: masks stay zero, ends of lines are counted again, counts kept are exact."""
    place = Place(tmp_path)
    said = place.verify(place.write(text_of(name)), more=("--json",))
    assert said.code in (0, 1), said.err  # a single initialisation decides nothing but what is exact
    (outcome,) = said.json
    judged = {row["id"]: row for row in outcome["claims"]}
    assert set(judged) == {"density", "line", "again"}
    assert all(row["verdict"] != "NOT RUN" for row in judged.values()), judged
