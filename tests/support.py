"""Small specs as text, and the command line run in this process."""

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from harness import stages
from harness.cli import main
from harness.jobs.job import Job
from harness.pipeline.request import Request, prepare
from harness.protocols import protocols
from harness.schema.load import Loaded, load

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))

_HEAD = """\
# A spec as small as can be.
schema_version: 1
id: {id}
title: A tiny experiment
protocol: {protocol}
claims:
{claims}
scales:
  toy:
    replicates:
      initialisations: 2
      orders: 2
      pairing: all
      first_seed: 0
    training:
      network: {{name: lenet, hidden: [16]}}
      parameters: 1210
      initialisation: {{weights: kaiming_normal}}
      data:
        name: digits
        normalise: {{kind: mean_std, mean: [0.3], std: [0.4], scale: 16}}
        augment: {{flip: false, crop_padding: 0}}
      length: 40it
      batch: 50
      optimiser: {{name: adam}}
      schedule:
        rate: 0.002
        drops: [30it]
        warmup: 0it
    settings:
{settings}
    departures: [a toy]
"""
_CLAIM = """\
  - id: {id}
    sentence: A sentence.
    source: {{paper: lmc, place: "Section 3"}}
    quantity: {quantity}
    checks:
      toy:
        at: {at}
        expect: {expect}
"""

_QUADRATIC = """\
    settings:
      rates: [0.05, 0.1]
      curvatures: [1.0, 2.0]
      momenta: [0.0, 0.5]
      noises: [1.0]
      replicas: 8
      samples: 20
      burn_in: 5.0
      batch: {factor: 5.0, rates: [0.1]}
      staircase: {rates: [0.1, 0.05], momentum: 0.5, replicas: 4}
      spectrum: {dimensions: 3, momentum: 0.5, replicas: 4}
      relaxation: {rates: [0.02], momenta: [0.0, 0.5], replicas: 64}
      valley: {steps_before: 20, steps_after: 40, replicas: 4}
    departures: [a toy]
"""


def claim(
    identity: str = "stable",
    quantity: str = "instability",
    at: str = "{fork: 0it}",
    expect: str = "{kind: at_most, bound: 100.0}",
) -> str:
    """A claim's YAML, for ``instability_text`` and ``imp_text``; an expectation without an estimand is of the mean."""
    if "estimand" not in expect:
        expect = re.sub(r"kind: (equals|at_most|at_least|less_than)\b", r"kind: \1, estimand: mean", expect)
    return _CLAIM.format(id=identity, quantity=quantity, at=at, expect=expect)


def instability_text(*claims: str, identity: str = "tiny") -> str:
    """A spec of instability analysis: LeNet with 16 hidden units, 40 iterations on digits."""
    return _HEAD.format(
        id=identity,
        protocol="instability",
        claims="".join(claims or [claim()]).rstrip(),
        settings="      forks: [0it, 10it]\n      stable_below: 2.0",
    )


def imp_text(*claims: str, identity: str = "tiny_imp") -> str:
    """A spec of IMP on the network, data and recipe of ``instability_text``."""
    some = claim("density", "density", "{rewind: 0it, level: 2}", "{kind: equals, value: 64, margin: 1}")
    settings = (
        "rewinds: [0it]",
        "pruning: {style: iterative, fraction: 0.2, levels: 2}",
        "compared_levels: [0, 2]",
        "matching_within: 0.5",
    )
    return _HEAD.format(
        id=identity,
        protocol="imp",
        claims="".join(claims or [some]).rstrip(),
        settings="\n".join("      " + line for line in settings),
    )


def quadratic_text(*claims: str, identity: str = "tiny_quadratic") -> str:
    """A spec of the noisy quadratic: a few chains and steps of every part."""
    some = claim("level", "level", '{rate: "0.05", momentum: "0"}', "{kind: at_least, bound: 0.0}")
    head, _, _ = _HEAD.partition("      orders: 2")
    return head.format(id=identity, protocol="noisy_quadratic", claims="".join(claims or [some]).rstrip()) + _QUADRATIC


def thin_text(*claims: str, protocol: str, settings: str, identity: str = "tiny_thin") -> str:
    """A spec on the curvature of a thin ResNet with two drops of the rate: 398 parameters, 40 iterations on digits."""
    text = _HEAD.format(id=identity, protocol=protocol, claims="".join(claims).rstrip(), settings=settings.rstrip())
    for old, new in (
        ("      orders: 2\n      pairing: all\n", ""),
        ("{name: lenet, hidden: [16]}", "{name: resnet, widths: [4], blocks: 1, activation: gelu}"),
        ("parameters: 1210", "parameters: 398"),
        ("{name: adam}", "{name: sgd, momentum: 0.9, weight_decay: 1e-3}"),
        ("      batch: 50\n", "      batch: 50\n      sampling: independent\n"),
        ("rate: 0.002", "rate: 0.1"),
        ("drops: [30it]", "drops: [20it, 30it]"),
        ("warmup: 0it", "warmup: 5it"),
    ):
        text = edited(text, old, new)
    return text


def edge_text(*claims: str, identity: str = "tiny_edge") -> str:
    """A spec of the edge of stability."""
    settings = """\
      checkpoints: [0it, 10it]
      objective: {batch_norm: batch, examples: 30, chunk: 15, precision: fp32}
      extremes: {top: 1, bottom: 1, tolerance: 1e-3}
"""
    some = claim("rise", "sharpness_rise", "{drop: 1}", "{kind: at_least, bound: 0.0}")
    return thin_text(*(claims or [some]), protocol="edge_of_stability", settings=settings, identity=identity)


def spectrum_text(*claims: str, identity: str = "tiny_spectrum") -> str:
    """A spec of the Hessian's spectrum at three checkpoints, the reference and the end among them."""
    settings = """\
      checkpoints: [10it]
      reference: 20it
      objective: {batch_norm: batch, examples: 40, chunk: 20, precision: fp32}
      ranks: 8
      components: 5
      bands: {top: 4, middle: 20}
"""
    some = claim("share", "negative_share", "{checkpoint: 10it}", "{kind: at_least, bound: 0.0}")
    return thin_text(*(claims or [some]), protocol="hessian_spectrum", settings=settings, identity=identity)


def drift_text(*claims: str, identity: str = "tiny_drift") -> str:
    """A spec of the drift of eigenvectors over two pairs of checkpoints, the last with the end."""
    settings = """\
      checkpoints: [0it, 10it]
      objective: {batch_norm: batch, examples: 40, chunk: 20, precision: fp32}
      bands: {top: 4, middle: 20}
"""
    some = claim("own", "own_bin", "{start: 10it}", "{kind: at_least, bound: 0.0}")
    return thin_text(*(claims or [some]), protocol="eigenvector_drift", settings=settings, identity=identity)


def cliffs_text(*claims: str, identity: str = "tiny_cliffs") -> str:
    """A spec of loss cliffs."""
    settings = """\
      width: 10it
      every: 5it
      cliffs: [1]
      objective: {batch_norm: batch, examples: 30, chunk: 15, precision: fp32}
      plane: {points: 3, margin: 0.5}
      gating: {dimensions: 3, steps: 2, rate: 1.0}
      twins: {factor: 2, length: 6it}
"""
    some = claim("cliff", "cliff", "{drop: 1}", "{kind: at_least, bound: -100.0}")
    return thin_text(*(claims or [some]), protocol="loss_cliffs", settings=settings, identity=identity)


def approximation_text(*claims: str, identity: str = "tiny_approximation") -> str:
    """A spec of the quadratic approximation at two checkpoints and the end."""
    settings = """\
      checkpoints: [0it, 20it]
      objective: {batch_norm: batch, examples: 40, chunk: 20, precision: fp32}
      bands: {top: 4, middle: 12}
      directions: 4
      batches: 4
      points: 4
      thresholds: 5
"""
    some = claim("fit", "fit_r2", "{checkpoint: 20it}", "{kind: at_least, bound: 0.0}")
    return thin_text(*(claims or [some]), protocol="quadratic_approximation", settings=settings, identity=identity)


def edited(text: str, old: str, new: str) -> str:
    """The text with ``old``, which must stand in it exactly once, replaced."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the spec"
    return text.replace(old, new)


def line_of(text: str, part: str) -> int:
    """The number of the line on which a part begins that stands in the text once."""
    assert text.count(part) == 1, f"{part!r} stands {text.count(part)} times in the spec"
    return text[: text.index(part)].count("\n") + 1


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def cli(*arguments: str | Path) -> Said:
    """Runs ``harness`` in this process, with one thread and without leaving a signal handler behind."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch("signal.signal"):
        try:
            main([str(one) for one in arguments])
        except SystemExit as stop:
            code = stop.code
    assert code is None or isinstance(code, int)
    said = Said(code or 0, out.getvalue(), err.getvalue())
    assert "Traceback" not in said.out + said.err
    return said


@dataclass
class Place:
    """A folder with specs, a store and reports, and the commands run there."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def write(self, text: str, name: str | None = None) -> Path:
        """A spec file, by default called as its id says."""
        if name is None:
            name = next(line for line in text.splitlines() if line.startswith("id: ")).removeprefix("id: ") + ".yaml"
        path = self.root / name
        path.write_text(text)
        return path

    def options(self) -> list[str]:
        """Options of verify that keep everything in this folder."""
        where = ("--store", self.store, "--data", self.root / "data", "--report", self.reports)
        return [*map(str, where), "--device", "cpu", "--threads", "1"]

    def verify(self, *specs: Path, more: tuple[str, ...] = ()) -> Said:
        """``harness verify`` in this folder."""
        return cli("verify", *specs, *self.options(), *more)

    def keys(self) -> set[str]:
        """Keys of all committed jobs."""
        return {path.parent.name for path in self.store.glob("jobs/*/*/record.json")}

    def artifacts(self) -> dict[str, bytes]:
        """Every tensor and table file of the store, by key and name."""
        files = [*self.store.glob("jobs/*/*/tensors.safetensors"), *self.store.glob("jobs/*/*/table.json")]
        return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in files}


@contextlib.contextmanager
def counted() -> Iterator[list[Job]]:
    """The jobs that stages really ran inside the block, in order."""
    ran: list[Job] = []
    find = stages.find

    def spying(name: str) -> Any:
        stage = find(name)

        class Spy:
            fuse, cost, effort = stage.fuse, stage.cost, stage.effort

            def run(self, work: Any, context: Any) -> Any:
                ran.extend(one.job for one in work)
                return stage.run(work, context)

        return Spy()

    with mock.patch("harness.stages.find", spying):
        yield ran


def stages_of(jobs: list[Job]) -> dict[str, int]:
    """Stage -> how many of the jobs."""
    names = [job.stage for job in jobs]
    return {name: names.count(name) for name in sorted(set(names))}


def request(path: Path, scale: str = "toy", data: Path = Path("no-such-folder")) -> Request:
    """A spec file, planned at a scale."""
    return prepare(loaded(path), scale, data)


@cache
def shipped(path: Path, scale: str = "toy") -> Request:
    """One of ``SPECS``, which no test edits, planned at a scale; once a process, as some have thousands of jobs."""
    return request(path, scale)


def loaded(path: Path) -> Loaded:
    """A spec file."""
    return load(path, protocols())


def put_odd(path: Path, kind: str) -> None:
    """Puts what is no file of a bounded length where one is due: a pipe, a folder, a device, or too many bytes."""
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 41)  # a hole: it takes no disk
