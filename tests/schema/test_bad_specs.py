"""Every bad spec is refused by the command line with its place, what was found and what to do; nothing is run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import protocols
from harness.schema.load import schema
from tests.support import (
    Place,
    approximation_text,
    claim,
    cli,
    cliffs_text,
    drift_text,
    edge_text,
    edited,
    imp_text,
    instability_text,
    line_of,
    quadratic_text,
    spectrum_text,
)

I = instability_text()  # noqa: E741
M = imp_text()
H = spectrum_text()
E = drift_text()
Q = approximation_text()
C = cliffs_text()
N = quadratic_text()
RESNET = "{name: resnet, widths: [4], blocks: 1, activation: gelu}"
DURATION = 'write a whole number with its unit, "2000it" (iterations) or "3ep" (epochs)'


def crossing(window: str, at: str = "{}") -> str:
    return instability_text(claim(at=at, expect=f"{{kind: first_within, axis: fork, threshold: 2.0, {window}}}"))


def swapped(text: str, old: str, new: str) -> tuple[str, str]:
    """The edited text, and the part of it whose line the message must name."""
    return edited(text, old, new), new


# name: ((text, a part that begins on the line to be named), what the message must say)
CASES: dict[str, tuple[tuple[str, str], Sequence[str]]] = {
    "a spectrum after the end": (
        swapped(H, "checkpoints: [10it]", "checkpoints: [41it]"),
        ["settings.checkpoints", "found 41it, but training ends at 40it"],
    ),
    "a reference after the end": (
        swapped(H, "reference: 20it", "reference: 41it"),
        ["settings.reference", "found 41it, but training ends at 40it"],
    ),
    "a power law through more eigenvalues than there are": (
        swapped(H, "ranks: 8", "ranks: 399"),
        ["settings.ranks", "found 399, but there are 398: choose fewer"],
    ),
    "more components than parameters": (
        swapped(H, "components: 5", "components: 399"),
        ["settings.components", "found 399, but there are 398: choose fewer"],
    ),
    "more eigenvectors than parameters": (
        swapped(E, "middle: 20}", "middle: 399}"),
        ["settings.bands.middle", "found 399, but there are 398 eigenvectors: choose fewer"],
    ),
    "a middle band within the top one": (
        (edited(E, "top: 4", "top: 20"), "bands: {top: 20"),
        ["settings.bands", "found middle 20 and top 20"],
    ),
    "a low band without ranks": (
        (edited(E, "middle: 20}", "middle: 20, low: [0.5, 0.5001]}"), "low: [0.5, 0.5001]"),
        ["settings.bands.low", "no rank of 398"],
    ),
    "a low band from right to left": (
        (edited(E, "middle: 20}", "middle: 20, low: [0.75, 0.25]}"), "bands: {top: 4, middle: 20, low: [0.75"),
        ["settings.bands", "give the smaller share first"],
    ),
    "eigenvectors at the end alone": (
        swapped(E, "checkpoints: [0it, 10it]", "checkpoints: [40it]"),
        ["settings.checkpoints", "the end of training: give an earlier time"],
    ),
    "parabolas after the end": (
        swapped(Q, "checkpoints: [0it, 20it]", "checkpoints: [0it, 41it]"),
        ["settings.checkpoints", "found 41it, but training ends at 40it"],
    ),
    "parabolas that cannot fail": (
        swapped(Q, "points: 4", "points: 3"),
        ["settings.points", "greater than or equal to 4", "found 3"],
    ),
    "a part of the fall after the end": (
        (
            approximation_text(claim("a", "explained", "{checkpoint: 40it}", "{kind: at_most, bound: 1.0}")),
            "at: {checkpoint: 40it}",
        ),
        ["explained compares with the loss at the end: choose an earlier checkpoint"],
    ),
    "a level before training": (
        (
            approximation_text(claim("a", "overprediction", "{checkpoint: 0it}", "{kind: at_least, bound: 1.0}")),
            "at: {checkpoint: 0it}",
        ),
        ["that after training: choose a later checkpoint"],
    ),
    "the quadratic's level under adam": (
        swapped(Q, "optimiser: {name: sgd, momentum: 0.9, weight_decay: 1e-3}", "optimiser: {name: adam}"),
        ["training.optimiser.name", "found 'adam'", "choose it"],
    ),
    "an exact Hessian of a large network": (
        (
            edited(edited(H, "parameters: 398", "parameters: 50610"), RESNET, "{name: lenet, hidden: [300, 100]}"),
            "network: {name: lenet",
        ),
        ["training.network", "50,610² entries: 19 GiB", "(Lanczos) or the spectral density"],
    ),
    "unknown field of settings": (
        swapped(I, "forks: [", "fork: ["),
        ["settings.fork: unknown field", "did you mean 'forks'?", "optimiser_at_fork", "settings.forks", "missing"],
    ),
    "unknown field of a spec": (
        swapped(I, "title: A", "titel: A"),
        ["titel: unknown field", "did you mean 'title'?", "title: this field is missing"],
    ),
    "unknown field of training": (
        swapped(I, "batch: 50", "batch_size: 50"),
        ["scales.toy.training.batch_size: unknown field", "training.batch: this field is missing"],
    ),
    "unknown field of a union": (
        swapped(I, "{name: adam}", "{name: adam, beta3: 1}"),
        ["beta3: unknown field"],
    ),
    "unknown clipping": (
        swapped(I, "{name: adam}", "{name: sgd, clip: {kind: size, at: 0.1}}"),
        ["clip", "'size'", "'value'", "'norm'"],
    ),
    "unknown field of a clipping": (
        swapped(I, "{name: adam}", "{name: sgd, clip: {kind: value, att: 0.1}}"),
        ["clip.att: unknown field", "did you mean 'at'?", "clip.at: this field is missing"],
    ),
    "clipping at 0": (
        swapped(I, "{name: adam}", "{name: sgd, clip: {kind: value, at: 0}}"),
        ["clip.at", "found 0", "greater than 0"],
    ),
    "unknown sampling": (
        (edited(I, "batch: 50", "batch: 50\n      sampling: bootstrap"), "sampling: bootstrap"),
        ["training.sampling", '"bootstrap"', "'independent'"],
    ),
    "more noise than labels": (
        (edited(I, "name: digits", "name: digits\n        label_noise: 20"), "label_noise: 20"),
        ["data.label_noise", "found 20", "less than or equal to 1"],
    ),
    "three widths of four": (
        swapped(I, "{name: lenet, hidden: [16]}", "{name: resnet9, widths: [2, 4, 4]}"),
        ["network.widths", "at least 4"],
    ),
    "a width beyond int64": (
        swapped(I, "hidden: [16]", "hidden: [9223372036854775808]"),
        ["network.hidden[0]", "found 9223372036854775808", "less than or equal to 100000"],
    ),
    "a length beyond int64": (
        swapped(I, "length: 40it", "length: 1000000000000000000000it"),
        ["training.length", "'1000000000000000000000it' is too long: at most 1000000000it"],
    ),
    "epochs that make too many iterations": (
        swapped(edited(I, "batch: 50", "batch: 1"), "length: 40it", "length: 1000000ep"),
        ["training.length", "found 1000000ep, 1,400,000,000 iterations: at most 1,000,000,000"],
    ),
    "a length of many digits": (
        (edited(I, "length: 40it", f"length: {'9' * 5000}it"), "length: 9"),
        ["training.length", "is too long: at most 1000000000it", "(5002 characters)"],
    ),
    "a length in other digits": (swapped(I, "length: 40it", "length: \uff14\uff10it"), ["training.length", DURATION]),
    "very many forks": (
        (edited(I, "[0it, 10it]", f"[{', '.join(f'{fork}it' for fork in range(3000))}]"), "forks: ["),
        ["settings.forks", "at most 1,000 items"],
    ),
    "checkpoints of a twin at every step": (
        (edited(C, "factor: 2, length: 6it", "factor: 2, length: 900000000it"), "every: 5it"),
        ["settings.every", "found 5it, which makes 180,000,000 checkpoints of twins.length: at most 1,000"],
    ),
    "a quadratic that takes for ever to relax": (
        swapped(N, "rates: [0.05, 0.1]\n      curv", "rates: [1.0e-30, 0.1]\n      curv"),
        ["settings.rates", "found 1e-30", "more than 10,000,000 steps to relax", "choose a larger rate"],
    ),
    "a grid of very many points": (
        (
            edited(N, "noises: [1.0]", f"noises: [{', '.join(f'{one}.5' for one in range(30))}]").replace(
                "momenta: [0.0, 0.5]\n      noises",
                f"momenta: [{', '.join(f'0.{one}' for one in range(10, 30))}]\n      noises",
            ),
            "    settings:\n      rates",
        ),
        ["settings: found a grid of 2,400 points: at most 1,000"],
    ),
    "very many chains": (
        swapped(N, "replicas: 8\n", "replicas: 10000000\n"),
        ["settings.replicas", "found 10000000", "less than or equal to 1000000"],
    ),
    "a seed that JSON would round": (
        swapped(I, "first_seed: 0", "first_seed: 10000000000000000"),
        ["replicates.first_seed", "less than or equal to 1000000000000000"],
    ),
    "wrong unit": (swapped(I, "length: 40it", "length: 40min"), ["training.length", "'40min'", DURATION]),
    "no unit": (swapped(I, "length: 40it", "length: 40"), ["training.length", "found 40", DURATION]),
    "negative time": (swapped(I, "[0it, 10it]", "[-1it, 10it]"), ["forks[0]", "'-1it'", DURATION]),
    "k beyond T": (swapped(I, "[0it, 10it]", "[0it, 41it]"), ["forks[1]", "found 41it", "ends at 40it", "k <= T"]),
    "k beyond T in epochs": (swapped(I, "[0it, 10it]", "[0it, 2ep]"), ["forks[1]", "found 2ep", "k <= T"]),
    "rewind beyond T": (swapped(M, "rewinds: [0it]", "rewinds: [0it, 50it]"), ["rewinds[1]", "found 50it", "k <= T"]),
    "forks in disorder": (swapped(I, "[0it, 10it]", "[10it, 0it]"), ["forks[1]", "0it after 10it", "in order"]),
    "a fork twice": (swapped(I, "[0it, 10it]", "[0it, 0ep]"), ["forks[1]", "0ep after 0it", "once"]),
    "no fork": (swapped(I, "[0it, 10it]", "[]"), ["settings.forks", "at least 1"]),
    "density 1.5": (
        swapped(M, "{style: iterative, fraction: 0.2, levels: 2}", "{style: one_shot, density: 1.5}"),
        ["density", "found 1.5", "less than 1"],
    ),
    "fraction 1": (swapped(M, "fraction: 0.2", "fraction: 1.0"), ["fraction", "found 1.0", "less than 1"]),
    "unknown style": (swapped(M, "style: iterative", "style: magic"), ["pruning", "'magic'", "'one_shot'"]),
    "unknown dataset": (swapped(I, "name: digits", "name: imagenette"), ["data.name", '"imagenette"', "cifar10"]),
    "imagenet without a frame": (
        (edited(I, "name: digits", "name: imagenet"), ""),
        ["data.frame", "is missing", "images of imagenet have many sizes"],
    ),
    "a frame of images of one size": (
        swapped(I, "augment: {flip: false", "frame: {size: 8, resize: 8}\n        augment: {flip: false"),
        ["data.frame", "all images of digits are of 8x8 pixels", "leave it out"],
    ),
    "a centre beyond the image": (
        swapped(I, "augment: {flip: false", "frame: {size: 9, resize: 8}\n        augment: {flip: false"),
        ["data.frame", "resize is 8", "resize to more"],
    ),
    "rectangles of images of one size": (
        swapped(I, "augment: {flip: false", "augment: {resized_crop: {}, flip: false"),
        ["augment.resized_crop", "photographs of many sizes", "crop_padding"],
    ),
    "a part larger than the batch": (
        (edited(I, "batch: 50", "batch: 50\n      microbatch: 1000"), "microbatch: 1000"),
        ["microbatch is 1000", "more than the batch"],
    ),
    "a fall and drops": (
        (edited(I, "rate: 0.002", "rate: 0.002\n        end: 0.001"), ""),
        ["schedule", "falls linearly to 0.001 and drops too"],
    ),
    "a fall that rises": (
        (edited(I, "rate: 0.002\n        drops: [30it]", "rate: 0.002\n        end: 0.003"), ""),
        ["schedule", "above the peak, 0.002"],
    ),
    "unknown network": (swapped(I, "{name: lenet, ", "{name: lenett, "), ["network", "'lenett'", "'resnet'"]),
    "unknown source": (swapped(I, "paper: lmc", 'paper: ""'), ["source.paper", "at least 1 character"]),
    "nan": (swapped(I, "rate: 0.002", "rate: .nan"), ["schedule.rate", ".nan", "number"]),
    "infinity": (swapped(I, "rate: 0.002", "rate: .inf"), ["schedule.rate", ".inf", "number"]),
    "overflow": (swapped(I, "rate: 0.002", "rate: 1e999"), ["schedule.rate", "found Infinity", "finite"]),
    "a rate that is 0 in float32": (
        swapped(I, "rate: 0.002", "rate: 1e-46"),
        ["schedule.rate", "found 1e-46", "0 or infinite in float32", "size 1e-37 to 1e+38"],
    ),
    "a share of noise that is 0 in float32": (
        swapped(I, "augment: {flip: false", "label_noise: 1e-40\n        augment: {flip: false"),
        ["data.label_noise", "found 1e-40", "0 or infinite in float32"],
    ),
    "a rate that is infinite in float32": (
        swapped(I, "rate: 0.002", "rate: 1e39"),
        ["schedule.rate", "found 1e+39", "0 or infinite in float32"],
    ),
    "a mean that is infinite in float32": (
        swapped(I, "mean: [0.3]", "mean: [-1e39]"),
        ["normalise.mean[0]", "found -1e+39", "0 or infinite in float32"],
    ),
    "a weight decay that is 0 in float32": (
        swapped(I, "{name: adam}", "{name: sgd, weight_decay: 1e-320}"),
        ["optimiser.weight_decay", "found 1e-320", "or 0 where that is allowed"],
    ),
    "a momentum that is 1 in float32": (
        swapped(I, "{name: adam}", "{name: sgd, momentum: 0.99999999}"),
        ["optimiser.momentum", "found 0.99999999", "less than or equal to 0.999999"],
    ),
    "a tolerance that anything meets": (
        (edited(edge_text(), "tolerance: 1e-3", "tolerance: 2.0"), "extremes: {top"),
        ["extremes.tolerance", "found 2.0", "less than 1"],
    ),
    "negative rate": (swapped(I, "rate: 0.002", "rate: -0.1"), ["schedule.rate", "found -0.1", "greater than 0"]),
    "string for a number": (swapped(I, "batch: 50", 'batch: "50"'), ["training.batch", 'found "50"', "integer"]),
    "fraction for a count": (swapped(I, "batch: 50", "batch: 50.5"), ["training.batch", "found 50.5", "integer"]),
    "truth for a count": (swapped(I, "batch: 50", "batch: true"), ["training.batch", "found true", "integer"]),
    "nothing for a count": (swapped(I, "batch: 50", "batch: "), ["training.batch", "found null", "integer"]),
    "number for a list": (swapped(I, "hidden: [16]", "hidden: 16"), ["network.hidden", "found 16"]),
    "width 0": (swapped(I, "hidden: [16]", "hidden: [0]"), ["hidden[0]", "found 0", "greater than or equal to 1"]),
    "protocol that is a list": (
        swapped(I, "protocol: instability", "protocol: [instability]"),
        ['protocol: found ["instability"]: should be text'],
    ),
    "unknown protocol": (
        swapped(I, "protocol: instability", "protocol: instabilty"),
        ["protocol: found 'instabilty'", "allowed are the protocols", "imp, instability"],
    ),
    "unknown quantity": (
        (instability_text(claim(quantity="instabilty")), "quantity: instabilty"),
        ["claims[0].quantity", "found 'instabilty'", "relative_distance"],
    ),
    "unknown scale of a claim": (
        (edited(I, "      toy:\n        at", "      papr:\n        at"), ""),
        ["checks.papr", "no such scale", "it has toy"],
    ),
    "condition not planned": (
        (instability_text(claim(at="{fork: 30it}")), "at: {fork: 30it}"),
        ["claims[0].checks.toy.at.fork", "found '30it'", "fork = 0it, 10it"],
    ),
    "condition without unit": (
        (instability_text(claim(at="{fork: 0}")), "at: {fork: 0}"),
        ["claims[0].checks.toy.at.fork", "0 is not a duration", DURATION],
    ),
    "rewind not planned": (
        (imp_text(claim("a", "accuracy", "{rewind: 30it, level: 0}")), "at: {rewind: 30it"),
        ["at.rewind", "found '30it'", "rewind = 0it"],
    ),
    "foreign axis": (
        (instability_text(claim(at="{fork: 0it, level: 0}")), "at: {fork"),
        ["at.level", "found the axis 'level'", "fork, further, split, batch_norm"],
    ),
    "axis left out": (
        (instability_text(claim(at="{}")), ""),
        ["claims[0].checks.toy", "the axis 'fork'", "value"],
    ),
    "unknown split": (
        (instability_text(claim(at="{fork: 0it, split: tset}")), "at: {fork"),
        ["at.split", "found 'tset'", "split = test, train"],
    ),
    "comparison along a foreign axis": (
        (instability_text(claim(expect="{kind: less_than, than: {level: 1}}")), "expect: {"),
        ["expect.than.level", "found the axis 'level'"],
    ),
    "level beyond the last": (
        (imp_text(claim("a", "accuracy", "{rewind: 0it, level: 3}")), "at: {rewind"),
        ["at.level", "found 3", "level = 0, 1, 2"],
    ),
    "negative level": (
        (imp_text(claim("a", "accuracy", "{rewind: 0it, level: -1}")), "at: {rewind"),
        ["at.level", "found -1", "level = 0, 1, 2"],
    ),
    "compared level beyond the last": (
        swapped(M, "compared_levels: [0, 2]", "compared_levels: [0, 5]"),
        ["compared_levels[1]", "found 5", "from 0 to 2"],
    ),
    "negative compared level": (
        swapped(M, "compared_levels: [0, 2]", "compared_levels: [-1]"),
        ["compared_levels[0]", "found -1", "from 0 to 2"],
    ),
    "arms without imp": (
        (edited(M, "matching_within: 0.5", "arms: [random_prune]\n      matching_within: 0.5"), "settings:"),
        ["arms must contain imp"],
    ),
    "searched axis fixed": (
        (crossing("earliest: 0it, latest: 10it", at="{fork: 0it}"), ""),
        ["the axis 'fork' is searched", "cannot be fixed in at"],
    ),
    "window without unit": (
        (crossing("earliest: 0, latest: 10it"), "expect: {"),
        ["expect.earliest", "0 is not a duration", DURATION],
    ),
    "window outside the axis": (
        (crossing("earliest: 50it, latest: 60it"), ""),
        ["claims[0].checks.toy", "the window from 50 to 60", "fork", "widen it or add points"],
    ),
    "window from late to early": (
        (crossing("earliest: 10it, latest: 0it"), ""),
        ["claims[0].checks.toy", "the window from 10 to 0"],
    ),
    "comparison with itself": (
        (instability_text(claim(expect="{kind: less_than, than: {fork: 0it}}")), ""),
        ["claims[0].checks.toy", "with itself", "name another condition in than"],
    ),
    "comparison with nothing": (
        (instability_text(claim(expect="{kind: less_than, than: {}}")), ""),
        ["claims[0].checks.toy", "with itself"],
    ),
    "a network without a stage": (
        swapped(H, "widths: [4]", "widths: []"),
        ["training.network", "widths", "found 0 items: should have at least 1 item"],
    ),
    "a letter in a field's name that nobody sees": (
        swapped(I, "batch: 50", "\u2060batch: 50"),
        ["training.\\u2060batch: unknown field (did you mean 'batch'?)"],
    ),
    "a batch of everything for copies": (
        swapped(I, "batch: 50", "batch: 1400"),
        ["training.batch: found 1400, all examples of digits", "copies have no orders", "choose a smaller batch"],
    ),
    "a batch of everything, alike augmented": (
        swapped(
            edited(edited(I, "flip: false", "flip: true"), "stable_below: 2.0", "sgd_noise: order"),
            "batch: 50",
            "batch: 1400",
        ),
        ["training.batch: found 1400", "each augmented as in the other copies", "choose a smaller batch"],
    ),
    "noise of an augmentation that there is not": (
        swapped(I, "stable_below: 2.0", "sgd_noise: augmentation"),
        ["settings.sgd_noise: found 'augmentation'", "no image is augmented", "all copies would be equal"],
    ),
    "noise of an augmentation that there is not, of subnetworks": (
        swapped(M, "compared_levels: [0, 2]", "sgd_noise: augmentation\n      compared_levels: [0, 2]"),
        ["settings.sgd_noise: found 'augmentation'", "choose order, or augment images"],
    ),
    "batch beyond the dataset": (
        swapped(I, "batch: 50", "batch: 1401"),
        ["training.batch", "found 1401", "digits has 1400 examples"],
    ),
    "drop after the end": (
        swapped(I, "drops: [30it]", "drops: [40it]"),
        ["schedule.drops[0]", "found 40it", "ends at 40it", "drop earlier or train longer"],
    ),
    "warmup after the end": (
        swapped(I, "warmup: 0it", "warmup: 41it"),
        ["schedule.warmup", "found 41it", "longer than the training"],
    ),
    "no training": (
        swapped(I, "length: 40it", "length: 0it"),
        ["training.length", "found 0it", "at least one iteration"],
    ),
    "channels of another dataset": (
        swapped(I, "mean: [0.3], std: [0.4]", "mean: [0.3, 0.3, 0.3], std: [0.4, 0.4, 0.4]"),
        ["normalise.mean", "found 3 numbers", "digits has 1 channels"],
    ),
    "mean and std disagree": (
        (edited(I, "mean: [0.3], std", "mean: [0.3, 0.3], std"), "training:"),
        ["mean and std need the same number of channels"],
    ),
    "std 0": (swapped(I, "std: [0.4]", "std: [0.0]"), ["std[0]", "found 0.0", "greater than 0"]),
    "negative crop": (swapped(I, "crop_padding: 0", "crop_padding: -1"), ["crop_padding", "found -1"]),
    "pairs of three": (
        (edited(edited(I, "pairing: all", "pairing: disjoint"), "orders: 2", "orders: 3"), "replicates:"),
        ["disjoint pairs need an even number of orders, found 3"],
    ),
    "a single order": (swapped(I, "orders: 2", "orders: 1"), ["replicates.orders", "found 1"]),
    "no initialisations": (swapped(I, "initialisations: 2", "initialisations: 0"), ["initialisations", "found 0"]),
    "two places on the line": (
        swapped(I, "stable_below: 2.0", "line: {alphas: 2}"),
        ["line.alphas", "found 2", "greater than or equal to 3"],
    ),
    "id not the file's name": (
        (edited(I, "id: tiny\n", "id: other\n"), "id: other"),
        ["id: found 'other'", "'tiny.yaml'", "make them equal"],
    ),
    "another schema version": (swapped(I, "schema_version: 1", "schema_version: 2"), ["found 2", "should be 1"]),
    "two claims with one id": (
        (instability_text(claim("a"), claim("a")), ""),
        ["claims[1].id", "found 'a'", "claim 1 has already"],
    ),
    "no claims": ((I[: I.index("claims:")] + "claims: []\n" + I[I.index("scales:") :], "claims: []"), ["at least 1"]),
    "unknown expectation": (
        (instability_text(claim(expect="{kind: equal, value: 1.0}")), "expect: {"),
        ["checks.toy.expect", "'equal'", "'equals', 'at_most'"],
    ),
    "expectation without its number": (
        (instability_text(claim(expect="{kind: equals, value: 1.0}")), "expect: {"),
        ["expect.margin", "missing"],
    ),
    "a list": (("- a\n- b\n", "- a"), ["a spec is a mapping", '["a", "b"]']),
    "a word": (("hello\n", "hello"), ["a spec is a mapping", '"hello"']),
    "empty": (("", ""), ["a spec is a mapping", "null"]),
    "not YAML": (("a: 1\nb: [1,\nc: }\n", "c: }"), ["not YAML", "Mend this line"]),
    "a tab": (swapped(I, "title: A", "\ttitle: A"), ["not YAML", "'\\t'"]),
    "two documents": ((I + "---\na: 1\n", "---"), ["not YAML", "another document"]),
    "a key twice": ((I + "protocol: imp\n", "protocol: imp\n"), ["'protocol' is given twice", "first on line 5"]),
    "a key that is a list": ((I + "? [a]\n: 1\n", "? [a]"), ["a key must be a word"]),
    "a merge key": ((I + "<<: {a: 1}\n", "<<:"), ["<<: unknown field"]),
    "a tag": (
        (edited(I, "title: A tiny experiment", "title: !!python/object/apply:os.system [touch x]"), "title: !!"),
        ["the tag", "os.system", "not allowed", "Remove it"],
    ),
    "an anchor": (
        swapped(I, "title: A", "title: &a A"),
        ["anchors and aliases are not allowed", "Write the value out"],
    ),
    "an alias": ((I + "x: *a\n", "x: *a"), ["anchors and aliases are not allowed"]),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_its_place_and_a_remedy(name: str, tmp_path: Path) -> None:
    (text, part), words = CASES[name]
    place = Place(tmp_path)
    path = place.write(text, "tiny_imp.yaml" if "id: tiny_imp\n" in text else "tiny.yaml")
    said = place.verify(path)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"error: {path}:")
    if part:
        assert f"{path}:{line_of(text, part)}:" in said.err
    for word in words:
        assert word in said.err
    assert not place.store.exists()
    assert not place.reports.exists()
    assert path.read_text() == text


def test_validate_tells_every_problem_of_every_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    good = place.write(instability_text())
    text = edited(edited(edited(M, "batch: 50", "batch: 0"), "rate: 0.002", "rate: 0"), "id: tiny_imp", "id: bad")
    bad, worse = place.write(text), place.write("- 1", "worse.yaml")
    said = cli("validate", good, bad, worse)
    assert said.code == 2
    assert str(good) in said.out
    assert f"{bad}:{line_of(text, 'batch: 0')}: scales.toy.training.batch" in said.err
    assert f"{bad}:{line_of(text, 'rate: 0')}: scales.toy.training.schedule.rate" in said.err
    assert f"{worse}:1:" in said.err


def test_one_bad_spec_stops_all_before_anything_runs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = place.verify(place.write(I), place.write("- 1", "bad.yaml"))
    assert said.code == 2
    assert not place.store.exists()


def unbounded(node: Any, place: str = "") -> Iterator[str]:
    """Whole numbers and lists of a JSON schema that may be of any size."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, dict):
        if node.get("type") == "integer" and not {"maximum", "exclusiveMaximum", "const", "enum"} & node.keys():
            yield place
        if node.get("type") == "array" and "maxItems" not in node:
            yield place
    for name, part in parts:
        yield from unbounded(part, f"{place}/{name}")


def test_every_whole_number_and_every_list_of_a_spec_has_a_bound() -> None:
    """But for conditions, which are compared with those that the setting has, and never computed with."""
    compared = ("/at/", "/than/", "/earliest/", "/latest/")
    assert [place for place in unbounded(schema(protocols())) if not any(part in place for part in compared)] == []


@pytest.mark.parametrize("command", ["verify", "plan", "validate", "report"])
def test_a_file_that_is_not_there(command: str, tmp_path: Path) -> None:
    said = cli(command, tmp_path / "absent.yaml")
    assert said.code == 2
    assert f"{tmp_path / 'absent.yaml'}: cannot be read" in said.err
    assert "Name an existing file" in said.err


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    said = cli("validate", tmp_path)
    assert said.code == 2
    assert "is a folder, not a regular file" in said.err


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\xff\xfe", b"id: \xff\n", "id: x".encode("utf-16")])
def test_a_file_that_is_not_text(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_bytes(content)
    said = cli("validate", path)
    assert said.code == 2
    assert f"{path}: not UTF-8 text" in said.err
    assert "Save it as UTF-8" in said.err


def test_ten_megabytes_of_aliases_are_refused_by_size(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text("a: &a [x, x]\n" + "b: [*a, *a, *a, *a]\n" * 500_000)
    said = cli("validate", path)
    assert said.code == 2
    assert "has more than the 262,144 bytes" in said.err


def test_a_bomb_of_aliases_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    path.write_text("\n".join(lines))
    said = cli("validate", path)
    assert said.code == 2
    assert f"{path}:1: anchors and aliases are not allowed" in said.err


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 2000 + "]" * 2000, "{a: " * 2000 + "1" + "}" * 2000, "[" * 100_000, "- " * 100_000]
)
def test_a_deep_nest(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    said = cli("validate", path)
    assert said.code == 2
    assert "nested too deeply" in said.err


def test_a_tag_is_never_obeyed(tmp_path: Path) -> None:
    victim = tmp_path / "made"
    path = tmp_path / "tiny.yaml"
    path.write_text(f'id: !!python/object/apply:os.system ["touch {victim}"]\n')
    assert cli("validate", path).code == 2
    assert not victim.exists()
