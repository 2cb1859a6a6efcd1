"""Faults planted in an experiment that has no unit tests of ours: the run itself must notice every one."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import seeds
from harness.engine import feed, prune
from harness.engine.feed import EpochFeed
from harness.engine.networks import initialise
from harness.jobs.job import Job
from harness.measure import evaluate as evaluating
from harness.measure.evaluate import Scores
from harness.measure.line import alphas
from harness.protocols.common.recipe import Recipe
from tests.support import Place, claim, cli, edited, imp_text, instability_text, request

Patch = pytest.MonkeyPatch
STAY = "{kind: at_least, bound: 0.0}"
AT0 = "{rewind: 0it, level: 2}"
ARMS = imp_text(claim("drop", "accuracy_drop", AT0, "{kind: at_most, bound: 100.0}"))
LATE = edited(ARMS, "rewinds: [0it]", "rewinds: [20it]").replace("rewind: 0it", "rewind: 20it")
FLIPS = edited(instability_text(), "flip: false", "flip: true")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def one_order_in_all_initialisations(patch: Patch) -> None:
    patch.setattr(Recipe, "copy_order", staticmethod(lambda seed, order: f"copy/{order}"))


def one_trunk_order(patch: Patch) -> None:
    def trunk(self: Recipe, seed: int, k: int) -> Job:
        return self.train(self.initial(seed), 0, k, order="trunk", keep_optimiser=True)

    patch.setattr(Recipe, "trunk", trunk)


def one_initialisation_by_the_protocol(patch: Patch) -> None:
    real = Recipe.initial
    patch.setattr(Recipe, "initial", lambda self, seed: real(self, 0))


def one_initialisation_by_the_stage(patch: Patch) -> None:
    real = initialise.initial_parameters
    patch.setattr("harness.stages.init.initial_parameters", lambda *a, **more: real(*a, **{**more, "seed": 0}))


def half_an_initialisation(patch: Patch) -> None:
    """One layer is the same in all initialisations."""
    real = initialise.initial_parameters

    def drawn(*a: Any, seed: int, **more: Any) -> Any:
        return {**real(*a, seed=seed, **more), "output.weight": real(*a, seed=0, **more)["output.weight"]}

    patch.setattr("harness.stages.init.initial_parameters", drawn)


def orders(change: Callable[[str], str]) -> Callable[[Patch], None]:
    """The feed takes other orders than the jobs name."""

    def plant(patch: Patch) -> None:
        real = EpochFeed.__init__

        def changed(self: EpochFeed, order_seeds: Any, steps: Any, **more: Any) -> None:
            real(self, [change(seed) for seed in order_seeds], steps, **more)

        patch.setattr(EpochFeed, "__init__", changed)

    return plant


def one_augmentation(patch: Patch) -> None:
    real = seeds.stream

    def stream(*labels: Any) -> int:
        return real(*(labels[:1] + labels[2:] if labels[0] == "augment" else labels))

    patch.setattr(feed.seeds, "stream", stream)


def aliased_by_the_protocol(patch: Patch) -> None:
    patch.setattr(Recipe, "copy_order", staticmethod(lambda seed, order: f"copy/{seed}/0"))


def no_end(patch: Patch) -> None:
    patch.setattr("harness.stages.line.alphas", lambda *a: alphas(*a)[:-1])


def evaluating_as(where: str, change: Callable[..., Scores]) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        patch.setattr(where, change)

    return plant


def short(network: Any, states: Any, images: Any, split: str, **more: Any) -> Scores:
    found = evaluating.evaluate(network, states, images, split, **more)
    return Scores(found.predictions[:, :-40], found.losses[:, :-40], found.labels[:-40])


def swapped(network: Any, states: Any, images: Any, split: str, **more: Any) -> Scores:
    return evaluating.evaluate(network, states, images, {"test": "train", "train": "test"}[split], **more)


def first_images_are_right(patch: Patch) -> None:
    def errors(self: Scores) -> list[float]:
        wrong = (self.predictions != self.labels)[:, 100:].sum(1).double()
        return (100 * wrong / len(self.labels)).tolist()

    patch.setattr(Scores, "errors", property(errors))


def redrawn_as_it_was(patch: Patch) -> None:
    def fresh(self: Recipe, seed: int, k: int, *, trained: bool) -> Job:
        job = self.initial(seed)
        return Job("init", {**job.params, "step": k})

    patch.setattr(Recipe, "fresh_draw", fresh)


def redrawn_as_it_was_by_the_stage(patch: Patch) -> None:
    real = initialise.initial_parameters

    def fresh(*a: Any, seed: int | str, **more: Any) -> Any:
        return real(*a, seed=int(str(seed).rpartition("/")[2]), **more)

    patch.setattr("harness.stages.init.initial_parameters", fresh)


def nothing_shuffled(patch: Patch) -> None:
    patch.setattr(prune, "shuffled", lambda mask, seed, scope: mask)


def a_weight_too_many(patch: Patch) -> None:
    real = prune.magnitude
    patch.setattr(prune, "magnitude", lambda weights, masks, keep: real(weights, masks, keep + 1))


def one_order(patch: Patch) -> None:
    """For all copies of an initialisation."""
    orders(lambda seed: seed.rpartition("/")[0] if seed.startswith("copy") else seed)(patch)


def noise(kind: str) -> str:
    """Copies that flips, or orders, alone tell apart."""
    return edited(FLIPS, "stable_below: 2.0", f"sgd_noise: {kind}")


FAULTS: dict[str, tuple[str, Callable[[Patch], None], str]] = {
    "equal orders, protocol": (instability_text(), one_order_in_all_initialisations, "share the order 'copy/0' of tr"),
    "equal orders, stage": (
        instability_text(),
        orders(lambda seed: seed.replace("/1/", "/0/")),
        "were fed with the same data order",
    ),
    "trunk's order, protocol": (instability_text(), one_trunk_order, "share the order 'trunk' of train"),
    "trunk's order, stage": (
        instability_text(),
        orders(lambda seed: "trunk" if seed.startswith("trunk") else seed),
        "were fed with the same data order",
    ),
    "one initialisation, protocol": (
        instability_text(),
        one_initialisation_by_the_protocol,
        "share the seed 0 of init",
    ),
    "one initialisation, stage": (instability_text(), one_initialisation_by_the_stage, "the seed was not used"),
    "one layer alike": (instability_text(), half_an_initialisation, "the seed was not used"),
    "copies aliased, protocol": (instability_text(), aliased_by_the_protocol, "with itself"),
    "copies aliased, stage": (
        instability_text(),
        orders(lambda seed: seed.rpartition("/")[0]),
        "the same state bit by bit",
    ),
    "augmentation shared": (FLIPS, one_augmentation, "were fed with the same augmentation"),
    "augmentation is the noise, and shared": (noise("augmentation"), one_augmentation, "the same state bit by bit"),
    "order is the noise, and shared": (noise("order"), one_order, "were fed with the same data order"),
    "end missing": (instability_text(), no_end, "does not end in its end"),
    "line some images short": (
        instability_text(),
        evaluating_as("harness.measure.line.evaluate", short),
        "does not end in its end",
    ),
    "splits swapped on the line": (
        instability_text(),
        evaluating_as("harness.measure.line.evaluate", swapped),
        "does not end in its end",
    ),
    "splits swapped in evaluate": (
        instability_text(claim("accurate", "accuracy", expect=STAY)),
        evaluating_as("harness.stages.evaluate.evaluate", swapped),
        "counted image by image",
    ),
    "errors some images short": (instability_text(), first_images_are_right, "counted image by image"),
    "redrawn with the original's seed": (ARMS, redrawn_as_it_was, "what these conditions are to tell apart is one th"),
    "redrawn with the original's seed, later": (LATE, redrawn_as_it_was, "has the weights of its original"),
    "redrawn with the original's seed, stage": (LATE, redrawn_as_it_was_by_the_stage, "the seed was not used"),
    "nothing shuffled": (ARMS, nothing_shuffled, "nothing was shuffled"),
    "a weight too many": (ARMS, a_weight_too_many, "weights, not"),
}


@pytest.mark.parametrize(("text", "plant", "told"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_an_error_of_the_run(
    text: str, plant: Callable[[Patch], None], told: str, place: Place, monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    said = place.verify(place.write(text))
    assert said.code == 3
    assert told in " ".join((said.out + said.err).split())
    assert "HOLDS" not in said.out.replace("0 of 1 claims hold", "")


@pytest.mark.parametrize("plant", [one_order_in_all_initialisations, aliased_by_the_protocol])
def test_a_plan_is_refused_before_anything_runs(
    plant: Callable[[Patch], None], place: Place, monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    said = cli("plan", place.write(instability_text()), "--store", place.store)
    assert said.code == 3
    assert "data order" in said.err or "no independent replicates" in " ".join(said.err.split())
    assert not place.keys()


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("verified"))
    assert place.verify(place.write(FLIPS)).code == 0
    return place


def records(place: Place, stage: str) -> list[Path]:
    found = sorted(place.store.glob("jobs/*/*/record.json"))
    return [path for path in found if json.loads(path.read_text())["job"]["stage"] == stage]


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_results_that_were_in_the_store_are_asked_too(verified: Place, place: Place) -> None:
    shutil.copytree(verified.root, place.root, dirs_exist_ok=True)
    first, *rest = records(place, "train")
    witness = json.loads(first.read_text())["provenance"]["witness"]
    assert set(witness) == {"data order", "augmentation"}
    for path in rest:
        rewritten(path, lambda record: record["provenance"]["witness"].update({"data order": witness["data order"]}))
    said = place.verify(place.root / "tiny.yaml")
    assert said.code == 3
    assert "were fed with the same data order" in " ".join(said.err.split())
    assert "fresh --store" in said.err


@pytest.mark.parametrize(("kind", "shared"), [("order", "augmentation"), ("augmentation", "data order")])
def test_copies_share_what_is_no_noise(kind: str, shared: str, place: Place) -> None:
    """From the first weights on, the copies of an initialisation; those of another share nothing with them."""
    assert place.verify(place.write(noise(kind))).code == 0
    fed: dict[str, list[str]] = {"data order": [], "augmentation": []}
    for path in records(place, "train"):
        record = json.loads(path.read_text())
        if record["job"]["params"]["start"] == 0 and record["job"]["params"]["order"].startswith("copy"):
            for what, seen in record["provenance"]["witness"].items():
                fed[what].append(seen)
    assert {what: (len(seen), len(set(seen))) for what, seen in fed.items()} == {
        what: (4, 2 if what == shared else 4) for what in fed
    }


def test_the_first_copy_is_that_of_both_kinds_of_noise(place: Place) -> None:
    """So that it is trained once."""
    plans = {kind: request(place.write(noise(kind))).plan.jobs for kind in ("both", "order", "augmentation")}
    for kind in ("order", "augmentation"):
        new = [job for key, job in plans[kind].items() if key not in plans["both"] and job.stage == "train"]
        assert len(new) == 4  # one of two copies, of two initialisations and forks
        assert all(job.params["augmentation"] != job.params["order"] for job in new)


def test_results_of_older_code_are_accepted(verified: Place, place: Place) -> None:
    """They have neither witnesses nor counts of examples."""
    shutil.copytree(verified.root, place.root, dirs_exist_ok=True)
    for path in records(place, "train"):
        rewritten(path, lambda record: record["provenance"].pop("witness"))
    for path in records(place, "evaluate"):
        table = path.with_name("table.json")
        columns = json.loads(table.read_text())
        table.write_text(json.dumps({name: columns[name] for name in ("split", "error", "loss")}))
        digest = hashlib.sha256(table.read_bytes()).hexdigest()
        rewritten(path, lambda record, digest=digest: record["files"].update({"table.json": digest}))
    said = place.verify(place.root / "tiny.yaml")
    assert said.code == 0, said.out + said.err


def test_a_witness_is_of_the_order_alone(verified: Place, place: Place) -> None:
    """Jobs with one order and start have one witness, all others differ."""
    seen: dict[str, set[str]] = {}
    for path in records(verified, "train"):
        record = json.loads(path.read_text())
        seen.setdefault(record["job"]["params"]["order"], set()).add(record["provenance"]["witness"]["data order"])
    assert len(seen) == 6
    starts_twice = [order for order in seen if order.startswith("copy")]
    assert all(len(seen[order]) == (2 if order in starts_twice else 1) for order in seen)
    assert len({one for many in seen.values() for one in many}) == 10


def test_a_fork_at_the_end_may_compare_a_state_with_itself(place: Place) -> None:
    text = edited(instability_text(), "forks: [0it, 10it]", "forks: [0it, 40it]")
    assert place.verify(place.write(text)).code == 0


def test_an_order_too_short_to_tell_is_no_witness(place: Place) -> None:
    """One step of one image: that two orders begin alike is chance."""
    text = edited(edited(edited(FLIPS, "length: 40it", "length: 1it"), "batch: 50", "batch: 1"), "[30it]", "[]")
    said = place.verify(place.write(edited(text, "forks: [0it, 10it]", "forks: [0it]")))
    assert said.code in (0, 1), said.err
    for path in records(place, "train"):
        assert "data order" not in json.loads(path.read_text())["provenance"].get("witness", {})


def test_a_full_mask_cannot_be_shuffled_and_is_no_breach(place: Place) -> None:
    text = edited(ARMS, "{style: iterative, fraction: 0.2, levels: 2}", "{style: one_shot, density: 0.999}")
    text = edited(edited(text, "compared_levels: [0, 2]", "compared_levels: [0, 1]"), "level: 2", "level: 1")
    assert place.verify(place.write(text)).code in (0, 1)
