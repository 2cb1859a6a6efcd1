"""The line between two states against a naive loop; its ends; the instability of curves that are known."""

from collections.abc import Sequence

import pytest
import torch

from harness.engine.feed import Images
from harness.engine.networks.build import Network, build
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.measure import line as module
from harness.measure.evaluate import States, evaluate, recompute_statistics
from harness.measure.line import alphas, interpolate, scores_on_line
from harness.protocols.common.base import Measured, Measurement
from harness.protocols.common.pairs import on_line as read_line
from tests.engine.oracles import PLAIN, TINY_LENET, TINY_RESNET, dataset, random_state
from tests.stages.bench import setting

Rows = list[tuple[float, str, float, float]]
IMAGES = Images(dataset(40, 33), PLAIN, device=torch.device("cpu"), dtype=torch.float64)
RESNET = build(TINY_RESNET, (1, 6, 6), 3)
LENET = build(TINY_LENET, (1, 6, 6), 3)
SETTING = setting()


def state(seed: int, network: Network = RESNET) -> States:
    return States(*random_state(network, 1, seed))


def measured(a: States, b: States, places: Sequence[float], mode: str = "interpolated", chunk: int = 10) -> Rows:
    return scores_on_line(
        RESNET,
        a,
        b,
        IMAGES,
        places=places,
        splits=("test", "train"),
        batch_norm=mode,
        batch=16,
        precision="fp64",
        chunk=chunk,
    )


def test_places_of_the_paper() -> None:
    """30 evenly spaced values (LMC section 2), the ends among them."""
    found = alphas(30, "included")
    assert (len(found), found[0], found[-1]) == (30, 0.0, 1.0)
    assert found == sorted(found)
    assert found == pytest.approx([i / 29 for i in range(30)], rel=1e-15)


def test_ends_added_around_interior_values() -> None:
    assert alphas(3, "added") == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert (alphas(30, "added")[0], alphas(30, "added")[-1], len(alphas(30, "added"))) == (0.0, 1.0, 32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_exact(dtype: torch.dtype) -> None:
    a, b = (torch.randn(5, 7, generator=torch.Generator().manual_seed(s)).to(dtype) * 10**s for s in (0, 7))
    for ends in ("included", "added"):
        on_line = interpolate(a, b, alphas(30, ends))
        assert on_line.dtype == dtype
        assert torch.equal(on_line[0], a)
        assert torch.equal(on_line[-1], b)


def test_interpolation_is_that_of_a_naive_loop() -> None:
    a, b = (torch.randn(4, 3, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    places = alphas(7, "included")
    on_line = interpolate(a, b, places)
    for number, alpha in enumerate(places):
        for row in range(4):
            for column in range(3):
                expected = (1 - alpha) * float(a[row, column]) + alpha * float(b[row, column])
                assert float(on_line[number, row, column]) == pytest.approx(expected, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("mode", ["interpolated", "recomputed"])
@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_scores_are_those_of_one_place_after_the_other(mode: str, chunk: int) -> None:
    a, b = state(0), state(1)
    places = alphas(7, "included")
    rows = {(alpha, split): (error, loss) for alpha, split, error, loss in measured(a, b, places, mode, chunk)}
    assert len(rows) == 14
    for alpha in places:
        mixed = States(
            {name: (1 - alpha) * value + alpha * b.parameters[name] for name, value in a.parameters.items()},
            {name: (1 - alpha) * value + alpha * b.buffers[name] for name, value in a.buffers.items()},
        )
        if mode == "recomputed":
            mixed = recompute_statistics(RESNET, mixed, IMAGES, batch=16, precision="fp64")
        for split in ("test", "train"):
            scores = evaluate(RESNET, mixed, IMAGES, split, precision="fp64")
            error, loss = rows[alpha, split]
            assert error == scores.errors[0]
            assert loss == pytest.approx(scores.mean_losses[0], rel=1e-10)


def test_the_ends_have_the_errors_of_the_copies() -> None:
    a, b = state(0), state(1)
    rows = measured(a, b, alphas(5, "included"))
    for alpha, one in ((0.0, a), (1.0, b)):
        for split in ("test", "train"):
            scores = evaluate(RESNET, one, IMAGES, split, precision="fp64")
            (found,) = [(error, loss) for x, part, error, loss in rows if (x, part) == (alpha, split)]
            assert found[0] == scores.errors[0]
            assert found[1] == pytest.approx(scores.mean_losses[0], rel=1e-12)


def test_the_line_from_a_state_to_itself_is_flat() -> None:
    errors = {row[2] for row in measured(state(0), state(0), alphas(9, "included")) if row[1] == "test"}
    assert len(errors) == 1


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["weight", "statistic"])
def test_a_line_that_misses_its_end_is_an_error(monkeypatch: pytest.MonkeyPatch, end: float, kind: str) -> None:
    size = next(iter(RESNET.buffers.values()))[0]

    def missing(a: torch.Tensor, b: torch.Tensor, places: Sequence[float]) -> torch.Tensor:
        exact = interpolate(a, b, places)
        if (a.shape == (size,)) == (kind == "statistic"):
            exact[list(places).index(end)] *= 1 + 1e-15
        return exact

    monkeypatch.setattr(module, "interpolate", missing)
    with pytest.raises(InvariantBroken, match=rf"the line does not end in its end: .* differs at alpha = {end:g}"):
        measured(state(0), state(1), alphas(5, "included"))


@pytest.mark.parametrize(
    ("errors", "instability"),
    [
        ([10.0, 10.0, 10.0, 10.0], 0.0),  # flat: linearly connected
        ([5.0, 40.0, 90.0, 40.0, 7.0], 84.0),  # a barrier over ends of 5 and 7
        ([5.0, 6.0, 7.0], 1.0),  # a slope: the worse end over their mean
        ([8.0, 6.0, 5.0, 6.0, 8.0], 0.0),  # a dip: the ends themselves are highest
        ([8.0, 2.0, 4.0], 2.0),  # highest at an end
    ],
)
def test_instability_of_known_curves(errors: list[float], instability: float) -> None:
    count = len(errors)
    order = [*range(1, count), 0]  # a table's rows may come in any order
    table = {
        "batch_norm": ["interpolated"] * count + ["recomputed"] * count,
        "alpha": [i / (count - 1) for i in order] * 2,
        "split": ["test"] * 2 * count,
        "error": [errors[i] for i in order] + [3.0] * count,
        "loss": [0.0] * 2 * count,
    }
    one = Measurement(read_line, Job("line", {}), {"fork": 7}, 2, 1)
    found = list(read_line(Measured(SETTING, one, table, lambda job: None)))
    values = {o.at["batch_norm"]: o for o in found if o.quantity == "instability"}
    assert values["interpolated"].value == pytest.approx(instability, abs=1e-12)
    own = errors[0], errors[-1]  # of the copies themselves, which recomputed statistics do not touch
    assert values["recomputed"].value == pytest.approx(max(3.0, *own) - sum(own) / 2)
    assert values["interpolated"].at == {"fork": 7, "split": "test", "batch_norm": "interpolated"}
    assert (values["interpolated"].initialisation, values["interpolated"].repeat) == (2, 1)
    on_line = {
        o.at["alpha"]: o.value for o in found if o.quantity == "error_on_line" and o.at["batch_norm"] == "interpolated"
    }
    assert on_line == {f"{i / (count - 1):.4f}": error for i, error in enumerate(errors)}


def test_instability_of_a_network_between_its_mirror_images() -> None:
    """Hidden units permuted give the same function; half way between them lies another. All of it is known."""
    a = state(0, LENET)
    turned = torch.tensor([6, 5, 4, 3, 2, 1, 0])
    b = States(
        {
            **a.parameters,
            "hidden1.weight": a.parameters["hidden1.weight"][..., turned],
            "hidden1.bias": a.parameters["hidden1.bias"][..., turned],
            "hidden2.weight": a.parameters["hidden2.weight"][:, turned],
        },
        {},
    )
    places = alphas(5, "included")
    rows = scores_on_line(
        LENET, a, b, IMAGES, places=places, splits=("test",), batch_norm="interpolated", batch=16, precision="fp64"
    )
    assert rows[0][2] == rows[-1][2]
    assert rows[0][3] == pytest.approx(rows[-1][3], rel=1e-12)
    assert rows[1][3] == pytest.approx(rows[-2][3], rel=1e-12)  # symmetric about the middle
    assert abs(rows[2][3] - rows[0][3]) > 1e-6
