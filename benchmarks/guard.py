"""What the regression guard catches, and how often it cries wolf.

    python benchmarks/guard.py mutations --results guard.jsonl    # each fault by itself, in a copy of the tree
    python benchmarks/guard.py seeds --results guard.jsonl        # unchanged code, 20 sets of fresh seeds
    python benchmarks/guard.py table --results guard.jsonl        # both as Markdown

Every run is ``harness regress`` in a process of its own. A fault has a copy of the tree and a fresh store. The sets of
fresh seeds share a store, ``--store``: all replicates of a spec are first made together, which is several times faster
and differs by rounding only. A line of the results file is a run; runs that are there already
are not made again, so it can be stopped and started.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from command import told

from harness.jobs.provenance import describe
from harness.schema.document import read
from harness.schema.model import Spec

ROOT = Path(__file__).resolve().parent.parent
_COPIED = ("harness", "specs", "reports/baseline", "constraints.txt")
_SWAP = "torch.tensor([0, 1, 2, 5, 4, 3, 6, 7, 8, 9])"
_OTHER = '{"train": "test", "test": "train"}'
_LETTERS = 240
_FIRST = ("job", "run", "verdict")
"""What is told first of several alarms."""
FIRST_SEED = 1000
"""Far from those of the baselines, which begin at 0."""


@dataclass(frozen=True)
class Mutation:
    """A fault put into a copy of the tree.

    Attributes:
        name: what is wrong.
        specs: ids of those in which it has a meaning; the others are not run, the limits are the same.
        file: where.
        edits: pairs of old text, which stands in the file once, and new text.
    """

    name: str
    specs: tuple[str, ...]
    file: str
    edits: tuple[tuple[str, str], ...]


_RESNET, _LENET, _IMP = ("resnet20_stability",), ("lenet_stability",), ("lenet_imp",)
MUTATIONS = (
    Mutation(
        "weight decay left out",
        _RESNET,
        "harness/engine/optimise.py",
        (('decay = float(optimiser["weight_decay"])', "decay = 0.0"),),
    ),
    Mutation(
        "momentum of batch normalisation 0.2 in place of 0.1",
        _RESNET,
        "harness/engine/networks/layers.py",
        (("BN_MOMENTUM = 0.1\n", "BN_MOMENTUM = 0.2\n"),),
    ),
    Mutation(
        "both copies given one order, by the protocol",
        _LENET,
        "harness/protocols/common/recipe.py",
        (('return f"copy/{seed}/{order}"', 'return f"copy/{seed}/0"'),),
    ),
    Mutation(
        "both copies given one order, by the stage",
        _LENET,
        "harness/stages/train.py",
        (
            (
                'order_seeds=[replica.work.params["order"] for replica in group]',
                'order_seeds=["/".join(replica.work.params["order"].split("/")[:2]) for replica in group]',
            ),
        ),
    ),
    Mutation(
        "pruning at random instead of by magnitude",
        _IMP,
        "harness/engine/prune.py",
        (("torch.where(left, flat, -1.0)", "torch.where(left, seeds.uniform(0, flat.numel()), -1.0)"),),
    ),
    Mutation(
        "rewinding one step late, by the protocol",
        _IMP,
        "harness/protocols/imp/protocol.py",
        (("trunk = recipe.trunk(seed, rewind)", "trunk = recipe.trunk(seed, rewind + 1)"),),
    ),
    Mutation(
        "fork states one step late and labelled as in time",
        (*_LENET, *_RESNET),
        "harness/stages/train.py",
        (
            (
                'replica.stops | {int(item.params["stop"])}',
                'replica.stops | {int(item.params["stop"]) + item.params["keep_optimiser"]}',
            ),
            ("recorded.snapshot(place, stop)", "recorded.snapshot(place, stop + item.params['keep_optimiser'])"),
        ),
    ),
    Mutation(
        "augmentation off",
        _RESNET,
        "harness/engine/feed.py",
        (
            (
                'self._crop, self._flip = int(augment["crop_padding"]), bool(augment["flip"])',
                "self._crop, self._flip = 0, False",
            ),
        ),
    ),
    Mutation(
        "last learning-rate drop missed",
        _RESNET,
        "harness/engine/optimise.py",
        (('sorted(schedule["drops"])', 'sorted(schedule["drops"])[:-1]'),),
    ),
    Mutation(
        "labels 3 and 5 swapped in the data",
        _LENET,
        "harness/engine/data/datasets.py",
        (
            (
                "y = torch.from_numpy(pixels[order, -1].astype(np.int64))",
                f"y = {_SWAP}[torch.from_numpy(pixels[order, -1].astype(np.int64))]",
            ),
        ),
    ),
    Mutation(
        "labels 3 and 5 swapped after the data was checked, for training and test",
        _LENET,
        "harness/engine/feed.py",
        (
            ("data.train.labels.to(device)", f"{_SWAP}[data.train.labels].to(device)"),
            ("data.test.labels.to(device)", f"{_SWAP}[data.test.labels].to(device)"),
        ),
    ),
    Mutation(
        "labels 3 and 5 swapped in training batches only",
        _LENET,
        "harness/engine/feed.py",
        (('return x, self.split["train"][1][index]', f'return x, {_SWAP}[self.split["train"][1][index]]'),),
    ),
    Mutation(
        "one initialisation for all, by the protocol",
        _LENET,
        "harness/protocols/common/recipe.py",
        (('"seed": seed,', '"seed": 0,'),),
    ),
    Mutation(
        "one initialisation for all, by the stage",
        _LENET,
        "harness/stages/init.py",
        (('seed=item.params["seed"]', "seed=0"),),
    ),
    Mutation(
        "equal orders in all initialisations, by the protocol",
        _LENET,
        "harness/protocols/common/recipe.py",
        (('return f"copy/{seed}/{order}"', 'return f"copy/{order}"'),),
    ),
    Mutation(
        "equal orders in all initialisations, by the stage",
        _LENET,
        "harness/stages/train.py",
        (
            (
                'order_seeds=[replica.work.params["order"] for replica in group]',
                'order_seeds=["/".join(replica.work.params["order"].split("/")[::2]) for replica in group]',
            ),
        ),
    ),
    Mutation(
        "one order of the trunk in all initialisations",
        _LENET,
        "harness/protocols/common/recipe.py",
        (('order=f"trunk/{seed}"', 'order="trunk"'),),
    ),
    Mutation(
        "an end of the line missing",
        _LENET,
        "harness/measure/line.py",
        (("(count - 1) for i in range(count)]", "(count - 1) for i in range(count - 1)]"),),
    ),
    Mutation(
        "errors on the line some images short",
        _LENET,
        "harness/measure/line.py",
        (
            (
                "            rows += [",
                "            scores = Scores(scores.predictions[:, 16:], scores.losses[:, 16:], scores.labels[16:])\n"
                "            rows += [",
            ),
        ),
    ),
    Mutation(
        "training and test images swapped on the line",
        _LENET,
        "harness/measure/line.py",
        (("images, split, precision=precision)", f"images, {_OTHER}[split], precision=precision)"),),
    ),
    Mutation(
        "training and test images swapped in evaluations",
        _LENET,
        "harness/stages/evaluate.py",
        (
            (
                "scores = [evaluate(network, states, images, split, precision=precision)",
                f"scores = [evaluate(network, states, images, {_OTHER}[split], precision=precision)",
            ),
        ),
    ),
    Mutation(
        "evaluations that are not a number",
        _LENET,
        "harness/stages/evaluate.py",
        (("[score.mean_losses[0] for score in scores]", '[float("nan") for score in scores]'),),
    ),
    Mutation(
        "reinitialisation with the original's seed",
        _IMP,
        "harness/protocols/common/recipe.py",
        (('"seed": f"reinit/{seed}"', '"seed": seed'),),
    ),
    Mutation(
        "augmentation shared by all copies",
        _RESNET,
        "harness/engine/feed.py",
        (('seeds.stream("augment", self._augmentation_seeds[replica], epoch)', 'seeds.stream("augment", epoch)'),),
    ),
    Mutation(
        "running statistics of one copy on the whole line",
        _RESNET,
        "harness/measure/line.py",
        (("interpolate(value[0], b.buffers[name][0], here)", "interpolate(value[0], value[0], here)"),),
    ),
    Mutation(
        "pruning layer by layer",
        _IMP,
        "harness/engine/prune.py",
        (
            (
                "torch.where(left, flat, -1.0)",
                "torch.where(left, torch.cat([part.argsort().argsort() / part.numel() for part in "
                "flat.split([weight.numel() for weight in weights.values()])]).double(), -1.0)",
            ),
        ),
    ),
    Mutation(
        "a weight too many kept",
        _IMP,
        "harness/engine/prune.py",
        (("kept[order[len(order) - keep :]] = True", "kept[order[len(order) - keep - 1 :]] = True"),),
    ),
    Mutation(
        "momentum zeroed at the fork",
        _RESNET,
        "harness/stages/train.py",
        (("held[name][None].to(value)", "held[name][None].to(value) * (value.shape != weights.shape)"),),
    ),
)


def mutated(mutation: Mutation, tree: Path) -> None:
    """Puts a fault into a tree."""
    path = tree / mutation.file
    text = path.read_text()
    for old, new in mutation.edits:
        if text.count(old) != 1:
            raise SystemExit(f"{mutation.name}: {old!r} stands {text.count(old)} times in {mutation.file}, not once")
        text = text.replace(old, new)
    path.write_text(text)


def copied(folder: Path) -> Path:
    """A copy of what a run needs of the tree."""
    tree = folder / "tree"
    for name in _COPIED:
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tree


def harness(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the harness of a tree."""
    return subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", *arguments, "--device", "cpu", "--quiet"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def guarded(tree: Path, store: Path, reports: Path, *arguments: str) -> dict[str, Any]:
    """``harness regress`` in a tree: exit code, alarms, errors."""
    ran = harness(tree, "regress", *arguments, "--store", str(store), "--report", str(reports))
    found: dict[str, Any] = {"code": ran.returncode, "failure": [], "error": [], "compared": 0, "said": ran.stderr}
    junit = reports / "regress.xml"
    for case in ET.parse(junit).getroot().iter("testcase") if junit.exists() else ():
        found["compared"] += 1
        for kind in ("failure", "error"):
            for one in case.iter(kind):
                found[kind].append([case.get("classname"), case.get("name"), one.get("message")])
    return found


def faulty(mutation: Mutation, threads: str) -> dict[str, Any]:
    """The guard in a copy of the tree with a fault."""
    with tempfile.TemporaryDirectory() as name:
        tree = copied(Path(name))
        mutated(mutation, tree)
        specs = [f"specs/{spec}.yaml" for spec in mutation.specs]
        return guarded(tree, Path(name) / "store", Path(name) / "reports", *specs, "--threads", threads)


@cache
def make(spec: str, initialisations: int, store: Path, threads: str) -> None:
    """Runs all fresh replicates of a spec together, where they are not there yet."""
    with tempfile.TemporaryDirectory() as reports:
        seeds = ["--first-seed", str(FIRST_SEED), "--replicates", str(initialisations)]
        place = ["--store", str(store), "--threads", threads, "--report", reports]
        made = harness(ROOT, "verify", f"specs/{spec}.yaml", *seeds, *place, "--exit-zero")
        if made.returncode:
            raise SystemExit(made.stderr)


def with_fresh_seeds(spec: str, seed: int, fresh: int, store: Path, threads: str) -> dict[str, Any]:
    """The guard over a set of fresh seeds; ``fresh`` of them are made together."""
    make(spec, fresh, store, threads)
    with tempfile.TemporaryDirectory() as reports:
        return guarded(
            ROOT, store, Path(reports), f"specs/{spec}.yaml", "--first-seed", str(seed), "--threads", threads
        )


Run = tuple[str, Callable[[], dict[str, Any]]]


def mutations(threads: str) -> Iterator[Run]:
    """Name and run of every fault."""
    for mutation in MUTATIONS:
        yield mutation.name, partial(faulty, mutation, threads)


def guardable() -> list[str]:
    """Ids of the specs that have a baseline."""
    return sorted(path.name.split(".")[0] for path in (ROOT / "reports" / "baseline").glob("*.toy.json"))


def sets(specs: Sequence[str], count: int, store: Path, threads: str) -> Iterator[Run]:
    """Name and run of every set of fresh seeds of the specs."""
    for spec in specs:
        planned = Spec.model_validate(read(ROOT / "specs" / f"{spec}.yaml").value).scales["toy"].replicates
        size = planned.initialisations
        for number in range(count):
            seed = FIRST_SEED + number * size
            yield f"{spec}, seeds from {seed}", partial(with_fresh_seeds, spec, seed, count * size, store, threads)


def results(path: Path) -> list[dict[str, Any]]:
    """The runs of a results file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(found: Sequence[dict[str, Any]]) -> str:
    """Both kinds of runs as Markdown."""
    lines = ["| Fault | Exit | Smoke run | Other alarms | For example |", "|---|---|---|---|---|"]
    lines += [_fault(one) for one in found if one["mode"] == "mutations"]
    fresh = [one for one in found if one["mode"] == "seeds"]
    lines += ["", "| Spec | Sets of fresh seeds | With an alarm | Comparisons |", "|---|---|---|---|"]
    for spec in sorted({one["name"].split(",")[0] for one in fresh}):
        runs = [one for one in fresh if one["name"].split(",")[0] == spec]
        alarmed = sum(bool(one["code"]) for one in runs)
        lines.append(f"| {spec} | {len(runs)} | {alarmed} | {sum(one['compared'] for one in runs):,} |")
    lines += ["", "| Run | Exit | Alarms |", "|---|---|---|"]
    for one in (one for one in fresh if one["code"]):
        shown = "; ".join(f"{name}: {message}" for _, name, message in [*one["error"], *one["failure"]])
        lines.append(f"| {one['name']} | {one['code']} | {shown} |")
    made = sorted({one["code_of"]["revision"][:12] + " modified" * one["code_of"]["modified"] for one in found})
    lines.insert(0, f"Made by {', '.join(made)}.\n")
    return "\n".join([*lines, f"| the other {sum(not one['code'] for one in fresh)} | 0 | none |"])


def _fault(one: dict[str, Any]) -> str:
    """A row: what the smoke run saw, how many verdicts, numbers and facts, and the first of them or the error."""
    told = [(name, message.split(" (since")[0]) for _, name, message in [*one["error"], *one["failure"]]]
    small = [message.split(" changed")[0] for name, message in told if name == "smoke run"]
    rest = [(name, message) for name, message in told if name != "smoke run"]
    rest.sort(key=lambda row: not row[0].startswith(_FIRST))
    example = f"{rest[0][0]}: {rest[0][1]}" if rest else ""
    example = example if len(example) <= _LETTERS else f"{example[:_LETTERS]}…"
    return f"| {one['name']} | {one['code']} | {small[0] if small else '–'} | {len(rest)} | {example} |"


def main() -> None:
    """Runs what is missing of a mode, or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["mutations", "seeds", "table"])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--sets", type=int, default=20, help="of fresh seeds, of each spec")
    parser.add_argument("--specs", nargs="+", choices=guardable(), default=guardable(), help="of fresh seeds")
    parser.add_argument(
        "--store", type=Path, default=Path(tempfile.gettempdir()) / "harness-guard", help="of the fresh seeds"
    )
    asked = parser.parse_args()
    if asked.mode == "table":
        print(table(results(asked.results)))
        return
    revision = describe("cpu", 1, "")["code"]
    done = {(one["mode"], one["name"], str(one["code_of"])) for one in results(asked.results)}
    todo = (
        mutations(asked.threads)
        if asked.mode == "mutations"
        else sets(asked.specs, asked.sets, asked.store.resolve(), asked.threads)
    )
    for name, run in todo:
        if (asked.mode, name, str(revision)) in done:
            continue
        found = run()
        with asked.results.open("a") as file:
            file.write(json.dumps({"mode": asked.mode, "name": name, "code_of": revision, **found}) + "\n")
        print(f"{name}: exit {found['code']}, {len(found['failure'])} alarms, {len(found['error'])} errors", flush=True)


if __name__ == "__main__":
    with told():
        main()
