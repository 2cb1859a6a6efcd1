"""The stages that make, prune and measure states; and the falsehoods that they must catch."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import seeds, stages
from harness.engine import prune
from harness.engine.data.labels import with_noise
from harness.engine.feed import Images
from harness.engine.prune import kept_after
from harness.engine.state import MASK, STEP, WEIGHT, Mask, State
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.jobs.stages import OWN, row
from harness.measure.evaluate import evaluate
from harness.measure.marked import unpacked
from harness.pipeline.resampling import teller_of
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.stages.base import states_of
from tests.stages.bench import TINY_LENET, TINY_RESNET, Bench, setting

LINE = LineOptions(alphas=5)


def copies_of(here: TrainingSetting, *, mask: Job | None = None, start: int = 6, stop: int = 12) -> tuple[Job, Job]:
    trunk = here.recipe.trunk(0, start)
    a, b = (here.recipe.train(trunk, start, stop, order=f"copy/0/{i}", mask=mask) for i in range(2))
    return a, b


def mask_of(here: TrainingSetting, **more: Any) -> Job:
    return here.recipe.prune(copies_of(here)[0], None, output_layer=True, **(more or {"fraction": 0.4}))


def test_every_stage_with_a_row_is_found() -> None:
    for one in OWN:
        stage = stages.find(one.name)
        assert all(callable(getattr(stage, method)) for method in ("fuse", "cost", "run"))
    with pytest.raises(KeyError, match="has no row"):
        stages.find("base")


def test_init_gives_every_parameter_at_step_0() -> None:
    here, bench = setting(), Bench()
    artifact = bench[here.recipe.initial(3)]
    state = State.of(artifact.tensors)
    assert sum(value.numel() for value in state.weights.values()) == here.recipe.training.parameters
    assert int(artifact.tensors[STEP]) == 0
    assert all(value.dtype == torch.float32 for value in state.weights.values())
    key = seeds.stream("init", 3, "stem.weight")
    expected = seeds.normal(key, 27).float() * (2 / 9) ** 0.5
    torch.testing.assert_close(artifact.tensors[WEIGHT + "stem.weight"].flatten(), expected)


def test_init_can_stand_at_a_later_step() -> None:
    here, bench = setting(), Bench()
    fresh = here.recipe.fresh_draw(3, 6, trained=False)
    assert int(bench[fresh].tensors[STEP]) == 6
    ours, theirs = (State.of(bench[job].tensors).weights for job in (here.recipe.initial(3), fresh))
    assert not torch.equal(ours["stem.weight"], theirs["stem.weight"])


def test_another_number_of_parameters_than_the_specs_is_an_error() -> None:
    here = setting(TINY_LENET)
    job = here.recipe.initial(0)
    wrong = Job("init", {**job.params, "parameters": 266_610})
    with pytest.raises(InvariantBroken, match=r"has 317 trainable parameters, the spec says 266,610: correct"):
        Bench()[wrong]


def test_pruning_level_by_level_keeps_exact_counts() -> None:
    here, bench = setting(), Bench()
    mask: Job | None = None
    for level in range(1, 6):
        end = here.recipe.train(here.recipe.trunk(0, 6), 6, 12, order="copy/0/0", mask=mask)
        mask = here.recipe.prune(end, mask, output_layer=True, fraction=0.2)
        artifact = bench[mask]
        total = artifact.table["total"][0]
        assert artifact.table["kept"] == [kept_after(total, 0.2, level)]
        assert Mask.of(artifact.tensors).count() == kept_after(total, 0.2, level)


@pytest.mark.parametrize("density", [0.3, 0.01, 1.0])
def test_pruning_to_a_density(density: float) -> None:
    here, bench = setting(), Bench()
    artifact = bench[mask_of(here, density=density)]
    total = artifact.table["total"][0]
    assert artifact.table["kept"] == [round(density * total)]


def test_the_output_layer_is_left_out_where_asked() -> None:
    here, bench = setting(), Bench()
    end = copies_of(here)[0]
    with_it, without = (
        bench[here.recipe.prune(end, None, output_layer=pruned, fraction=0.5)] for pruned in (True, False)
    )
    assert MASK + "output.weight" in with_it.tensors
    assert MASK + "output.weight" not in without.tensors
    assert with_it.table["total"][0] - without.table["total"][0] == 4 * 3
    assert not any(name.endswith((".bias", ".scale", ".shift")) for name in with_it.tensors)


def test_pruning_a_state_whose_mask_leaks_is_an_error() -> None:
    here, bench = setting(), Bench()
    mask = mask_of(here)
    end = copies_of(here, mask=mask)[0]
    weight = bench[end].tensors[WEIGHT + "stem.weight"].clone()
    weight[~bench[mask].tensors[MASK + "stem.weight"]] = 1e-20
    bench.plant(end, {WEIGHT + "stem.weight": weight})
    with pytest.raises(InvariantBroken, match="the mask leaks"):
        bench[here.recipe.prune(end, mask, output_layer=True, fraction=0.2)]


def test_pruning_that_miscounts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    assert bench[copies_of(here)[0]]
    real = stages.find("prune").run.__globals__["prune"].magnitude
    monkeypatch.setattr("harness.engine.prune.magnitude", lambda weights, mask, keep: real(weights, mask, keep + 1))
    with pytest.raises(InvariantBroken, match=r"prune:[0-9a-f]{12} kept \d+ weights, not \d+"):
        bench[mask_of(here)]


def test_shuffling_keeps_layerwise_counts() -> None:
    here, bench = setting(), Bench()
    mask = mask_of(here)
    job = Job("shuffle", {"seed": "shuffle/0"}, {"mask": mask})
    before, after = Mask.of(bench[mask].tensors).kept, Mask.of(bench[job].tensors).kept
    assert {name: int(v.sum()) for name, v in before.items()} == {name: int(v.sum()) for name, v in after.items()}
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_shuffling_that_miscounts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    mask = mask_of(here)
    assert bench[mask]
    monkeypatch.setattr("harness.engine.prune.shuffled", lambda mask, *_: Mask({n: ~m for n, m in mask.kept.items()}))
    with pytest.raises(InvariantBroken, match="changed the number of weights kept"):
        bench[Job("shuffle", {"seed": 0}, {"mask": mask})]


def test_shuffling_over_all_layers_keeps_their_sum_only(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    mask = mask_of(here)
    before = Mask.of(bench[mask].tensors)
    after = Mask.of(bench[Job("shuffle", {"seed": "shuffle/0", "scope": "global"}, {"mask": mask})].tensors)
    assert after.count() == before.count()
    assert {n: v.shape for n, v in after.kept.items()} == {n: v.shape for n, v in before.kept.items()}
    assert any(int(after.kept[name].sum()) != int(kept.sum()) for name, kept in before.kept.items())
    # Within layers, the same is a fault.
    shuffled = prune.shuffled
    monkeypatch.setattr("harness.engine.prune.shuffled", lambda mask, seed, scope: shuffled(mask, seed, "global"))
    with pytest.raises(InvariantBroken, match="changed the number of weights kept in"):
        bench[Job("shuffle", {"seed": "shuffle/0"}, {"mask": mask})]


def test_the_line_has_all_points_and_the_copies_errors_at_its_ends() -> None:
    here, bench = setting(), Bench()
    a, b = copies_of(here)
    table = bench[here.recipe.line(a, b, LINE)].table
    rows = list(zip(*(table[name] for name in ("batch_norm", "split", "alpha", "error", "loss")), strict=True))
    assert len(rows) == 2 * 2 * 5
    for end, job in ((0.0, a), (1.0, b)):
        own = bench[here.recipe.evaluate(job)].table
        for split, error, loss in zip(own["split"], own["error"], own["loss"], strict=True):
            ((at_end, loss_at_end),) = [row[3:] for row in rows if row[:3] == ("interpolated", split, end)]
            assert at_end == error
            assert loss_at_end == pytest.approx(loss, rel=1e-12)


@pytest.fixture
def compiled() -> Iterator[None]:
    """Small networks by compiled loops."""
    pytest.importorskip("numba")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mirrored(known: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Channels in the wrong order."""
    return lambda *a, **more: known(*a, **more).flip(4)


@pytest.mark.usefixtures("compiled")
def test_evaluations_by_compiled_loops_that_are_wrong_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    a, b = copies_of(here)
    assert bench[here.recipe.evaluate(a)].table
    assert bench[b].tensors
    from harness.engine.kernels import layers

    monkeypatch.setattr(layers, "apply_known", mirrored(layers.apply_known))
    with pytest.raises(InvariantBroken, match="counted image by image"):
        bench[here.recipe.evaluate(b)]
    with pytest.raises(InvariantBroken, match="the line does not end in its end"):
        bench[here.recipe.line(a, b, LINE)]


@pytest.mark.usefixtures("compiled")
def test_statistics_by_compiled_loops_that_are_wrong_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    a, b = copies_of(here)
    assert bench[here.recipe.line(a, b, LINE)].table
    from harness.engine.kernels import layers

    real = layers.apply
    monkeypatch.setattr(layers, "apply", lambda *given, **more: [value.flip(-1) for value in real(*given, **more)])
    with pytest.raises(InvariantBroken, match=r"\(recomputed\) the line has .* the line does not end in its end"):
        bench[here.recipe.line(a, b, LineOptions(alphas=4))]


def test_copies_that_share_their_order_are_an_error() -> None:
    here, bench = setting(), Bench()
    trunk = here.recipe.trunk(0, 6)
    a = here.recipe.train(trunk, 6, 12, order="copy/0/0")
    planted = here.recipe.train(trunk, 6, 12, order="copy/0/1")
    bench.made[planted.key] = bench[a]  # as if the second copy had drawn the first one's order
    with pytest.raises(InvariantBroken, match="copies are the same bit by bit: do they share their data order"):
        bench[here.recipe.line(a, planted, LINE)]


def test_copies_that_never_parted_but_differ_are_an_error() -> None:
    here, bench = setting(), Bench()
    end = here.recipe.trunk(0, 12)
    job = here.recipe.line(end, end, LINE)
    assert job.params["same"] is True
    other = copies_of(here)[0]
    work = Job("line", job.params, {"a": end, "b": other})
    with pytest.raises(InvariantBroken, match="differ, but never trained apart"):
        bench[work]


@pytest.mark.parametrize("network", [TINY_LENET, TINY_RESNET])
def test_what_is_told_one_by_one_is_what_is_counted(network: dict[str, Any]) -> None:
    here, bench = setting(network), Bench()
    a, b = copies_of(here)
    for job in (here.recipe.evaluate(a), here.recipe.line(a, b, LINE), here.recipe.compare(a, b)):
        teller, counted = teller_of(job), row(job.stage).counted
        assert teller is not None
        assert counted is not None
        told, table = bench[teller].table, bench[job].table
        marks = unpacked(told["marked"], told["examples"][0]).sum(1)
        on_test = [value for split, value in zip(table["split"], table[counted.column], strict=True) if split == "test"]
        whole = 100 / told["examples"][0] if counted.column == "error" else 1
        assert (marks * whole).tolist() == pytest.approx(on_test)


def test_copies_that_part_at_the_end_have_a_flat_line() -> None:
    """k = T gives instability 0."""
    here, bench = setting(), Bench()
    trunk = here.recipe.trunk(0, 12)
    a, b = (here.recipe.train(trunk, 12, 12, order=f"copy/0/{i}") for i in range(2))
    table = bench[here.recipe.line(a, b, LINE)].table
    for mode in ("interpolated", "recomputed"):
        for split in ("test", "train"):
            places = zip(table["batch_norm"], table["split"], table["error"], strict=True)
            assert len({error for m, s, error in places if (m, s) == (mode, split)}) == 1


@pytest.mark.parametrize("leaky", ["a", "b"])
def test_a_copy_whose_mask_leaks_is_an_error(leaky: str) -> None:
    here, bench = setting(), Bench()
    mask = mask_of(here)
    pair = dict(zip("ab", copies_of(here, mask=mask), strict=True))
    weight = bench[pair[leaky]].tensors[WEIGHT + "output.weight"].clone()
    pruned = (~bench[mask].tensors[MASK + "output.weight"]).nonzero()[0]
    weight[tuple(pruned)] = 1e-300
    assert bench[here.recipe.line(pair["a"], pair["b"], LINE, mask)].table
    bench.plant(pair[leaky], {WEIGHT + "output.weight": weight})
    planted = here.recipe.line(pair["a"], pair["b"], LineOptions(alphas=4), mask)
    with pytest.raises(InvariantBroken, match=r"the mask leaks: 1 pruned weights of output\.weight are not zero"):
        bench[planted]


def test_networks_without_batch_norm_have_one_mode() -> None:
    here, bench = setting(TINY_LENET), Bench()
    assert set(bench[here.recipe.line(*copies_of(here), LINE)].table["batch_norm"]) == {"interpolated"}


def test_evaluation_is_of_unaugmented_images() -> None:
    here, bench = setting(), Bench()
    end = copies_of(here)[0]
    table = bench[here.recipe.evaluate(end)].table
    context = bench.context()
    images = context.images(here.recipe.evaluate(end).params["data"], "fp64")
    assert torch.equal(images.plain("train", 0, 23)[0][:, 0], bench.data.train.images(slice(None)).double() / 255)
    network = context.network(here.recipe.evaluate(end).params, images)
    for split, error, loss in zip(table["split"], table["error"], table["loss"], strict=True):
        states = states_of(State.of(bench[end].tensors), context, "fp64")
        scores = evaluate(network, states, images, split, precision="fp64")
        assert (error, loss) == (scores.errors[0], scores.mean_losses[0])
    assert table["split"] == ["test", "train"]


def test_label_noise_is_what_training_and_evaluation_see() -> None:
    """The training set is measured with its noisy labels, the test set as it is."""
    noisy, other = (setting(label_noise=1.0, noise_seed=seed) for seed in (1, 2))
    here, bench = setting(), Bench()
    state = here.recipe.initial(0)
    assert noisy.recipe.initial(0) == state
    jobs = [each.recipe.evaluate(state) for each in (here, noisy, other)]
    plain, first, second = (dict(zip(bench[job].table["split"], bench[job].table["loss"], strict=True)) for job in jobs)
    assert plain["test"] == first["test"] == second["test"]
    assert len({plain["train"], first["train"], second["train"]}) == 3
    ends = [each.recipe.train(state, 0, 3, order="copy/0/0") for each in (here, noisy)]
    assert not torch.equal(*(bench[end].tensors[WEIGHT + "output.weight"] for end in ends))
    context = bench.context()
    expected = with_noise(bench.data, 1.0, 1).train.labels
    for job in (jobs[1], ends[1], noisy.recipe.line(*ends, LINE), noisy.recipe.compare(*ends)):
        data = {"augment": {"flip": False, "crop_padding": 0}, **job.params["data"]}
        assert torch.equal(context.images(data, "fp64").split["train"][1], expected)


def test_comparison_and_distance_agree_and_see_the_copies() -> None:
    here, bench = setting(), Bench()
    a, b = copies_of(here)
    compared, apart = bench[here.recipe.compare(a, b)].table, bench[Recipe.distance(a, b)].table
    total = sum(
        float((State.of(bench[a].tensors).weights[name] - value).square().sum())
        for name, value in State.of(bench[b].tensors).weights.items()
    )
    assert apart["l2"][0] == pytest.approx(total**0.5, rel=1e-12)
    assert compared["l2"] == apart["l2"] * 2
    assert compared["cosine"] == apart["cosine"] * 2
    assert all(0 <= count <= size for count, size in zip(compared["disagreements"], (11, 23), strict=True))
    assert all(distance > 0 for distance in compared["loss_l2"])
    itself = bench[here.recipe.compare(a, a)].table
    assert itself["l2"] == itself["loss_l2"] == [0.0, 0.0]
    assert itself["disagreements"] == [0, 0]


def test_distance_under_a_mask_counts_kept_weights_only() -> None:
    here, bench = setting(), Bench()
    mask, start = mask_of(here), here.recipe.initial(0)
    trunk = here.recipe.trunk(0, 6)
    kept = Mask.of(bench[mask].tensors).kept
    before, after = (State.of(bench[job].tensors).weights for job in (start, trunk))
    moved = {name: (after[name].double() - value) * kept.get(name, 1) for name, value in before.items()}
    total = sum(float(value.square().sum()) for value in moved.values())
    found = bench[Recipe.distance(start, trunk, mask)].table["l2"][0]
    assert found == pytest.approx(total**0.5, rel=1e-12)
    assert found < bench[Recipe.distance(start, trunk)].table["l2"][0]


def test_single_precision_states_hold_single_precision() -> None:
    here, bench = setting(precision="fp32"), Bench()
    artifact = bench[copies_of(here)[0]]
    assert {value.dtype for name, value in artifact.tensors.items() if name != STEP} == {torch.float32}
    assert State.of(artifact.tensors).buffers


def test_labels_that_are_not_those_of_the_digest_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapping(Images):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            x, y = self.split["test"]
            self.split["test"] = x, torch.where(y == 0, 1, torch.where(y == 1, 0, y))

    here, bench = setting(), Bench()
    monkeypatch.setattr("harness.stages.base.Images", Swapping)
    with pytest.raises(InvariantBroken, match="the labels of the test split are not those with the digest"):
        bench[copies_of(here)[0]]
