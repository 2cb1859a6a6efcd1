"""What pretraining hands on, and the falsehoods that must be caught there."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from harness import stages
from harness.engine.state import Mask, State
from harness.errors import InvariantBroken
from harness.jobs.job import Job, ancestry
from harness.schema.task import Task
from harness.stages import transfer
from tests.stages.bench import Bench, same, setting

HERE = setting().recipe
K, LENGTH = 6, 14
ROTATION = HERE.posed(Task(labels="rotation"))
RANDOM = HERE.posed(Task(labels="random"))
TRUNK = HERE.trunk(0, K)
MASK = HERE.prune(HERE.train(TRUNK, K, 12, order="chain/0"), None, output_layer=True, fraction=0.4)
BODY = HERE.mask_body(MASK)


def handed_on(pretrained: Job, head: str = "kept", statistics: str = "kept", mask: Job | None = MASK) -> Job:
    return HERE.transfer(pretrained, fresh=HERE.initial(0), mask=mask, head=head, statistics=statistics)


def trained(state: Job, mask: Job | None, order: str = "copy/0/0") -> Job:
    return HERE.train(state, K, LENGTH, order=order, mask=mask, optimiser_state="reset")


def own_mask(state: Job) -> Job:
    """By two levels of IMP that starts from a state and rewinds to it."""
    mask = None
    for _ in range(2):
        mask = HERE.prune(trained(state, mask, "chain/0"), mask, output_layer=True, fraction=0.3)
    assert mask is not None
    return mask


PRETRAINED = [MASK, BODY, TRUNK, ROTATION.trunk(0, K), RANDOM.trunk(0, K), HERE.trunk(0, K, MASK)]


@pytest.fixture(scope="module")
def bench() -> Bench:
    made = Bench()
    assert all(made[job] for job in PRETRAINED)
    return made


def anew(bench: Bench) -> Bench:
    """With what is pretrained, without what was handed on."""
    return Bench(made={key: bench.made[key] for key in ancestry(PRETRAINED)})


def weights(bench: Bench, job: Job) -> Any:
    return State.of(bench[job].tensors).weights


def test_supervised_pretraining_of_length_k_is_rewinding_to_k_bit_by_bit(bench: Bench) -> None:
    """Under the mask, to the end, with the schedule going on and the optimiser's state begun afresh."""
    ours, rewound = (trained(state, MASK) for state in (handed_on(TRUNK), TRUNK))
    assert same(bench[ours], bench[rewound])
    carried = HERE.train(TRUNK, K, LENGTH, order="copy/0/0", mask=MASK)
    assert not same(bench[ours], bench[carried]), "there is a velocity that makes a difference"


def test_it_is_so_with_imp_that_starts_from_each_of_them_too(bench: Bench) -> None:
    """Masks and ends; a head that is fresh, and another pretext, have other ones."""
    kept, fresh, random = (
        handed_on(state, head, mask=None)
        for state, head in ((TRUNK, "kept"), (TRUNK, "fresh"), (RANDOM.trunk(0, K), "fresh"))
    )
    assert same(bench[own_mask(kept)], bench[own_mask(TRUNK)])
    ours, rewound, of_fresh, of_random = (trained(state, own_mask(state)) for state in (kept, TRUNK, fresh, random))
    assert same(bench[ours], bench[rewound])
    assert not same(bench[of_fresh], bench[rewound])
    assert not same(bench[of_random], bench[of_fresh])


def test_the_head_after_rotations_is_the_initial_one_of_the_stream(bench: Bench) -> None:
    made, pretrained = handed_on(ROTATION.trunk(0, K), "fresh"), ROTATION.trunk(0, K)
    for name, value in weights(bench, made).items():
        source = weights(bench, HERE.initial(0) if name.startswith("output.") else pretrained)[name]
        assert torch.equal(value, source.to(value))
    state = State.of(bench[made].tensors)
    assert (state.step, dict(state.optimiser)) == (K, {})
    assert State.of(bench[pretrained].tensors).optimiser, "there is a velocity to be dropped"


def test_a_kept_head_and_initial_statistics(bench: Bench) -> None:
    made = State.of(bench[handed_on(RANDOM.trunk(0, K), statistics="initial")].tensors)
    pretrained = State.of(bench[RANDOM.trunk(0, K)].tensors)
    assert all(torch.equal(value, pretrained.weights[name]) for name, value in made.weights.items())
    fresh = State.of(bench[HERE.initial(0)].tensors)
    assert all(torch.equal(value, fresh.buffers[name].to(value)) for name, value in made.buffers.items())
    assert any(not torch.equal(value, pretrained.buffers[name]) for name, value in made.buffers.items())


def test_a_mask_of_the_body_leaves_the_head_whole(bench: Bench) -> None:
    whole, body = (Mask.of(bench[job].tensors).kept for job in (MASK, BODY))
    assert whole.keys() - body.keys() == {"output.weight"}
    assert all(torch.equal(kept, whole[name]) for name, kept in body.items())
    pretrained = ROTATION.trunk(0, K, BODY)
    for name, kept in body.items():
        assert not weights(bench, pretrained)[name][~kept].any()
    assert bench[handed_on(pretrained, "fresh")]


def breaks(bench: Bench, job: Job, words: str) -> None:
    with pytest.raises(InvariantBroken, match=words):
        anew(bench)[job]


def planted(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """What is handed on is changed by a function of (made, fresh, pretrained)."""
    real = transfer._handed_on
    monkeypatch.setattr(transfer, "_handed_on", lambda item, fresh, old: change(real(item, fresh, old), fresh, old))


def test_a_head_that_is_not_fresh_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(made: State, fresh: State, pretrained: State) -> State:
        return replace(made, weights={**made.weights, "output.weight": pretrained.weights["output.weight"]})

    planted(monkeypatch, stale)
    breaks(bench, handed_on(RANDOM.trunk(0, K), "fresh"), "output.weight, of the head, is not the initial one")
    breaks(bench, handed_on(ROTATION.trunk(0, K), "fresh"), "output.weight, of the head, is not the initial one")
    breaks(bench, handed_on(TRUNK, "fresh", mask=None), "output.weight, of the head, is not the initial one")


def test_a_head_that_is_fresh_where_it_is_to_be_kept_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def redrawn(made: State, fresh: State, pretrained: State) -> State:
        head = fresh.weights["output.weight"].double()
        return replace(made, weights={**made.weights, "output.weight": head})

    planted(monkeypatch, redrawn)
    breaks(bench, handed_on(RANDOM.trunk(0, K)), "output.weight, of the head, is not that of pretraining")


def test_a_body_that_is_not_the_pretrained_one_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda made, fresh, old: replace(made, weights=fresh.weights))
    breaks(bench, handed_on(RANDOM.trunk(0, K)), "of the body, is not that of pretraining")


def test_a_carried_velocity_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda made, fresh, old: replace(made, optimiser=old.optimiser))
    breaks(bench, handed_on(TRUNK), "optimiser's state, which belongs to the task of pretraining, is carried over")


def test_a_training_that_carries_on_a_velocity_that_was_dropped_is_an_error(bench: Bench) -> None:
    end = HERE.train(handed_on(TRUNK), K, LENGTH, order="copy/0/0", mask=MASK, optimiser_state="carried")
    breaks(bench, end, "carries on an optimiser state that its input")


@pytest.mark.parametrize("part", ["buffers", "step"])
def test_statistics_and_steps_of_others_are_an_error(part: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda made, fresh, old: replace(made, **{part: getattr(fresh, part)}))
    breaks(bench, handed_on(TRUNK), "running statistics are not" if part == "buffers" else "it stands at step 0")


def test_a_mask_that_is_applied_before_instead_of_after_is_an_error(bench: Bench) -> None:
    """What the dense pretraining ends in is planted with the pruned weights at zero."""
    for pretrained, head in ((TRUNK, "kept"), (ROTATION.trunk(0, K), "fresh")):
        early = anew(bench)
        masked = Mask.of(bench[BODY if head == "fresh" else MASK].tensors).applied(weights(bench, pretrained))
        early.plant(pretrained, {f"weight:{name}": value for name, value in masked.items()})
        with pytest.raises(InvariantBroken, match=r"pretrained dense, .* the mask was applied before"):
            early[handed_on(pretrained, head)]


def test_a_mask_that_is_applied_before_imp_starts_is_an_error(bench: Bench) -> None:
    """Where no mask is to be there yet; a frozen network has all its weights."""
    early = anew(bench)
    masked = Mask.of(bench[MASK].tensors).applied(weights(bench, TRUNK))
    early.plant(TRUNK, {f"weight:{name}": value for name, value in masked.items()})
    with pytest.raises(InvariantBroken, match=r"pretrained dense, but [0-9]+ of its weights are zero"):
        early[handed_on(TRUNK, mask=None)]
    assert bench[handed_on(HERE.initial(0), mask=None)]


def test_a_mask_that_was_not_there_while_it_was_to_be_is_an_error(bench: Bench) -> None:
    late = anew(bench)
    late.plant(HERE.trunk(0, K, MASK), {f"weight:{name}": value for name, value in weights(bench, TRUNK).items()})
    with pytest.raises(InvariantBroken, match="pretrained under the mask, but has weights where that prunes"):
        late[handed_on(HERE.trunk(0, K, MASK))]


def test_what_they_take_is_forecast() -> None:
    for job in (handed_on(TRUNK), BODY):
        assert stages.find(job.stage).effort(job).disk_bytes > HERE.training.parameters
