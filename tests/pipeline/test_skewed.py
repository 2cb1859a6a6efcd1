"""One initialisation of eight far away from the others, from tables to the report: each estimand says its own."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from harness.jobs.job import Job
from harness.jobs.store import Store
from harness.stages import products
from tests.support import Place, claim, edited, instability_text

RISES = (2, 3, 2, 4, 3, 2, 5, 80)
"""By how many examples the error on the line rises over the mean of its ends, rounded up; by initialisation."""

EXAMPLES = {"test": 397, "train": 1400}


def planted(real: Callable[[Store, Job], Any]) -> Callable[[Store, Job], Any]:
    """The tables of lines between copies, with a rise between their ends that is known."""

    def read(store: Store, job: Job) -> Any:
        table = dict(real(store, job))
        if job.stage == "line":
            rise = RISES[int(job.inputs["a"].params["order"].split("/")[1])]
            columns = (table["batch_norm"], table["split"], table["alpha"], table["error"])
            points = list(zip(*columns, strict=True))
            ends: dict[tuple[str, str], list[float]] = {}
            for mode, split, alpha, error in points:
                if alpha in (0.0, 1.0):
                    ends.setdefault((mode, split), []).append(error * EXAMPLES[split] / 100)

            def on_line(mode: str, split: str) -> float:
                return 100 * (math.ceil(sum(ends[mode, split]) / 2 - 1e-6) + rise) / EXAMPLES[split]

            table["error"] = [
                error if alpha in (0.0, 1.0) else on_line(mode, split) for mode, split, alpha, error in points
            ]
        return table

    return read


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """The page's Markdown, and the claims as data."""
    place = Place(tmp_path_factory.mktemp("skewed"))
    claims = [
        claim(name, expect=f"{{kind: {kind}, estimand: {estimand}, bound: 2.0}}")
        for name, kind, estimand in (
            ("typical", "at_most", "median"),
            ("mean", "at_most", "mean"),
            ("unstable_on_average", "at_least", "mean"),
            ("typically_unstable", "at_least", "median"),
            ("factor", "at_most", "geometric_mean"),
        )
    ]
    text = edited(instability_text(*claims), "initialisations: 2", "initialisations: 8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "read_table", planted(products.read_table))
        said = place.verify(place.write(text), more=("--json",))
    assert said.code == 1
    (page,) = place.root.rglob("tiny-toy.md")
    return page.read_text(), said.json[0]["claims"]


def test_verdicts_are_of_the_estimand_that_is_named(reported: tuple[str, list[dict[str, Any]]]) -> None:
    verdicts = {found["id"]: found["verdict"] for found in reported[1]}
    assert verdicts == {
        "typical": "HOLDS",
        "mean": "INCONCLUSIVE",
        "unstable_on_average": "INCONCLUSIVE",
        "typically_unstable": "FAILS",
        "factor": "INCONCLUSIVE",
    }


def test_the_report_names_it_with_its_interval_and_its_level(reported: tuple[str, list[dict[str, Any]]]) -> None:
    page = " ".join(reported[0].replace("\\", "").split())
    for words in (
        "median instability ≤ 2 points at fork=0, further=remaining, split=test",
        "mean instability ≤ 2 points",
        "over 8 initialisations, 7 of them ≤ 2; its 93 % interval [",
        "] is ≤ 2 throughout.",
        "and the end of the range: a law with a long tail",
        "Initialisation 7 stands apart: 20",
    ):
        assert words in page, words


def test_the_mean_stands_beside_the_median(reported: tuple[str, list[dict[str, Any]]]) -> None:
    median, mean = (reported[1][number]["estimate"] for number in (0, 1))
    assert (median["kind"], mean["kind"], median["mean"]) == ("median", "mean", mean["value"])
    assert median["value"] < 1.5 < 2.5 < mean["value"]
    assert (median["level"], mean["level"]) == (1 - 2 / 256, 0.95)
    assert median["high"] > 20
