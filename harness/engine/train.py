"""The training loop: R replicas at once, each with its own weights, order, mask, step and learning rate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from harness.engine import graphs
from harness.engine.feed import FEEDS, Images
from harness.engine.networks.build import Network, rows_of
from harness.engine.probes import Probes
from harness.engine.replicas import Replicas
from harness.engine.step import Hyperparameters, Step
from harness.engine.witness import Witness
from harness.errors import InvariantBroken
from harness.jobs.job import MAX_FUSED

OnStep = Callable[[int, Callable[[], Replicas]], None]
OnSnapshot = Callable[[int, Replicas], None]


def train(
    network: Network,
    hyperparameters: Hyperparameters,
    images: Images,
    replicas: Replicas,
    *,
    on_step: OnStep,
    on_snapshot: OnSnapshot,
    witness: Witness | None = None,
    probes: Probes | None = None,
) -> Replicas:
    """Trains every replica to its last snapshot step.

    Args:
        network: what is trained.
        hyperparameters: how.
        images: on what.
        replicas: the replicas' states; used up by the call.
        on_step: called after every step with the number of replica-steps just made, and a function that gives
            all replicas as they are now.
        on_snapshot: called with a replica's number, and all replicas, whenever that replica stands at one of its
            snapshot steps; also before the first step.
        witness: looks at the first batches of every replica.
        probes: measure replicas before some of their steps; told of a step before ``on_step`` is.

    Returns:
        The replicas at their last snapshot steps.

    Raises:
        InvariantBroken: a masked weight is not exactly zero, or a replica lost its place in its epoch.
    """
    now = replicas
    now.flag_overflow()
    arrived = list(range(len(now)))
    group: _Group | None = None
    while True:
        now.check_mask()
        for replica in arrived:
            if now.steps[replica] in now.snapshot_steps[replica]:
                on_snapshot(replica, now)
        active = [replica for replica in range(len(now)) if now.steps[replica] < max(now.snapshot_steps[replica])]
        if not active:
            return now
        count = min(
            min(step for step in now.snapshot_steps[replica] if step > now.steps[replica]) - now.steps[replica]
            for replica in active
        )
        if group is None or group.places != active:
            moving = now if len(active) == len(now) else now.take(active)
            group = _Group(network, hyperparameters, images, moving, active, witness, probes)
        resting = now

        def step(moved: Callable[[], Replicas], resting: Replicas = resting, active: list[int] = active) -> None:
            on_step(len(active), lambda: resting.put_back(moved(), active))

        now = now.put_back(group.advance(count, step), active)
        arrived = active


def slots(network: Network, replicas: int, device: str) -> int:
    """How many replicas are really computed where so many are wanted, on a device of this type.

    A GPU's libraries choose kernels by how many replicas share them. So there a small network has as many slots as ever
    run as one, the last replica again in those that are left: its bits do not depend on what runs beside it.
    """
    return max(replicas, MAX_FUSED) if device == "cuda" and not network.unfused else replicas


class _Group:
    """Replicas that all move, until one of them comes to rest; their tensors stay where they are meanwhile.

    Attributes:
        places: which of all replicas they are; the slots after them are filled with the last.
    """

    def __init__(
        self,
        network: Network,
        hyperparameters: Hyperparameters,
        images: Images,
        replicas: Replicas,
        places: Sequence[int],
        witness: Witness | None,
        probes: Probes | None,
    ) -> None:
        device = replicas.weights.device
        self.places = list(places)
        self._witness, self._probes = witness, probes
        width = slots(network, len(replicas), device.type)
        if width > len(replicas):
            replicas = replicas.take([min(slot, len(replicas) - 1) for slot in range(width)])
        self._now = replicas
        self._feed = FEEDS[hyperparameters.sampling](
            replicas.order_seeds,
            replicas.steps,
            examples=len(images.split["train"][1]),
            batch=hyperparameters.batch,
            device=device,
            augmentation_seeds=replicas.augmentation_seeds,
        )
        self._step = Step(network, hyperparameters, images, self._feed, replicas, probed=probes is not None)
        self._make_step = graphs.prepared(self._step, device)

    def advance(self, count: int, report: Callable[[Callable[[], Replicas]], None]) -> Replicas:
        """``count`` steps of all; the replicas after them.

        Between the ends of epochs, what a step takes of Python does not grow with R: a GPU would wait for it.

        Raises:
            InvariantBroken: the device counted other steps.
        """
        before = self._now
        probes = self._probes
        probed = {} if probes is None else probes.due(self.places, before.steps, count)
        for made in range(1, count + 1):
            size = self._feed.ready()
            if self._witness is not None:
                self._witness.see(self.places, partial(self._step.fed, size))
            if probes is not None and made - 1 in probed:
                self._make_probed_step(size, probes, probed[made - 1], made - 1)
            else:
                self._make_step(size)
            report(partial(self._wanted, before, made))
        self._now = _later(before, count)
        counted = self._step.counters.tolist()
        if counted != self._now.steps:
            raise InvariantBroken(f"the device counted steps {counted} where {list(self._now.steps)} were made")
        self._now.flag_overflow()
        return self._wanted(self._now, 0)

    def _make_probed_step(self, size: int, probes: Probes, rows: Sequence[int], made: int) -> None:
        """A step like any other, and measures of some rows: of the weights before and after it, and of what it left."""
        now = self._now
        probed = [(row, self.places[row], now.steps[row] + made) for row in rows]
        for row, place, step in probed:
            probes.before(place, step, now.weights[row], rows_of(now.buffers, row))
        self._make_step(size)
        for row, place, step in probed:
            probes.after(place, step, now.weights[row], self._step.gradient[row], self._step.losses[row])

    def _wanted(self, before: Replicas, made: int) -> Replicas:
        """The replicas that are no filling, so many steps later."""
        now = _later(before, made)
        return now if len(now) == len(self.places) else now.take(range(len(self.places)))


def _later(replicas: Replicas, count: int) -> Replicas:
    """The same tensors, so many steps later."""
    return replace(replicas, steps=[step + count for step in replicas.steps])
