"""Before anything is timed: do all sides do the same work, and does every format train as float64 does?"""

from collections.abc import Sequence
from dataclasses import replace

import idiomatic
import torch
import torch.nn.functional as F
from recipes import Bench
from torch import Tensor

from harness.engine.feed import FEEDS
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import initial_buffers, unflatten
from harness.engine.replicas import Replicas
from harness.engine.train import train

CPU = torch.device("cpu")
REPLICAS = 2
SLOWER = 10.0
"""The rate is divided by this: at the full one, the first steps are wild enough to blow up any rounding."""

LOSS_TOLERANCE = {"fp64": 1e-9, "fp32": 2e-3, "tf32": 5e-3, "bf16": 1e-2}
"""Relative, of the losses before and after the first step; roundings of 2^-53, 2^-24, 2^-11 and 2^-9, grown by then.

Later losses say less: VGG-16 begins so near to chaos that the fp32 losses of a plain loop leave float64's too.
"""

MOVE_TOLERANCE = {"fp64": 1e-6, "fp32": 5e-2, "tf32": 0.2, "bf16": 0.5}
"""Relative, of the first step's move. For fp32 because PyTorch's batch normalisation on the CPU, channels last, sums
plainly: 2 % of VGG-16's first gradient, .8 % of ResNet-20's; .2 % of both channels first."""

States = dict[tuple[int, int], Tensor]
Batches = Sequence[tuple[Tensor, Tensor]]


def check(bench: Bench, precisions: Sequence[str], device: torch.device, steps: int) -> str:
    """Trains both ways in float64, from the same weights and with the same batches; then each format on its device.

    Raises:
        SystemExit: they differ.
    """
    exact = _states(bench, "fp64", CPU, steps)
    batches = _batches(bench, steps)
    told = [_check_plain(bench, exact, batches), *_check_formats(bench, exact, batches, precisions, device)]
    resident = idiomatic.Resident(
        bench.dataset.train.images(slice(None)), bench.dataset.train.labels, bench.data, device
    )
    few = torch.arange(4)
    _check_pictures(bench, resident.look(few.to(device)).cpu(), few)
    return f"{steps} steps of {REPLICAS} replicas: {'; '.join(told)}; images as torchvision makes them"


def _states(bench: Bench, precision: str, device: torch.device, steps: int) -> States:
    """(replica, step) -> weights [P] in float64, on the CPU."""
    states: States = {}

    def on_snapshot(place: int, now: Replicas) -> None:
        states[place, now.steps[place]] = now.weights[place].to(CPU, torch.float64, copy=True)

    start = replace(bench.start(REPLICAS, steps, precision, device), snapshot_steps=[range(steps + 1)] * REPLICAS)
    images, recipe = bench.images(precision, device), bench.recipe(precision, SLOWER)
    train(bench.network, recipe, images, start, on_step=lambda moved, now: None, on_snapshot=on_snapshot)
    return states


def _batches(bench: Bench, steps: int) -> Batches:
    """The first batches of all replicas in float64: images [B, R, C, H, W], labels [R, B]."""
    images = bench.images("fp64", CPU)
    feed = FEEDS[bench.training.sampling](
        range(REPLICAS), [0] * REPLICAS, examples=bench.dataset.info.n_train, batch=bench.batch, device=CPU
    )
    made = []
    for _ in range(steps):
        index, keys = feed.next()
        made.append(images.augmented(index, keys))
        _check_pictures(bench, made[-1][0][:, 0], index[0])
    return made


def _check_plain(bench: Bench, exact: States, batches: Batches) -> str:
    """The plain loop against the engine, both in float64."""
    losses, apart = 0.0, 0.0
    for place in range(REPLICAS):
        module = _module(bench, exact[place, 0])
        rate = bench.training.schedule.rate / SLOWER
        update = idiomatic.optimiser(bench.optimiser, rate, module.parameters())
        for step, (x, y) in enumerate(batches):
            loss = idiomatic.step(module, update, x[:, place], y[place], bench.optimiser["clip"])
            losses = max(losses, float((loss - _loss(bench, exact[place, step], x[:, place], y[place])).abs()))
            apart = max(apart, float((_flat(bench.network, module) - exact[place, step + 1]).abs().max()))
    if not (losses < 1e-9 and apart < 1e-6):
        raise SystemExit(f"{bench.case.title}: the two sides differ: losses by {losses:.1e}, weights by {apart:.1e}")
    return f"in float64 losses agree with the plain loop's to {losses:.0e}, weights to {apart:.0e}"


def _check_formats(
    bench: Bench, exact: States, batches: Batches, precisions: Sequence[str], device: torch.device
) -> list[str]:
    """The first step's losses and move in each format against float64's."""
    right, move = _losses(bench, exact, batches), _moves(exact)
    told = []
    for precision in precisions:
        states = _states(bench, precision, device, len(batches))
        losses = float(((_losses(bench, states, batches) - right) / right).abs().max())
        moves = float(((_moves(states) - move).norm(dim=1) / move.norm(dim=1)).max())
        if not (losses < LOSS_TOLERANCE[precision] and moves < MOVE_TOLERANCE[precision]):
            raise SystemExit(
                f"{bench.case.title} in {precision} on {device}: losses {losses:.1e} from float64's, where "
                f"{LOSS_TOLERANCE[precision]:g} are allowed, the first move {moves:.1e}, where "
                f"{MOVE_TOLERANCE[precision]:g} are"
            )
        told.append(f"in {precision} losses within {losses:.0e} of float64's, the first move within {moves:.0e}")
    return told


def _moves(states: States) -> Tensor:
    """[R, P] of the first step."""
    return torch.stack([states[place, 1] - states[place, 0] for place in range(REPLICAS)])


def _losses(bench: Bench, states: States, batches: Batches) -> Tensor:
    """[R, 2] in float64: of the weights before and after the first step, each on the batch that comes then."""
    return torch.tensor(
        [
            [float(_loss(bench, states[place, step], x[:, place], y[place])) for step, (x, y) in enumerate(batches[:2])]
            for place in range(REPLICAS)
        ],
        dtype=torch.float64,
    )


def _loss(bench: Bench, weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The engine's loss at one replica's weights [P]."""
    buffers = {name: value.double()[None] for name, value in initial_buffers(bench.network).items()}
    views = unflatten(bench.network, weights[None])
    with torch.no_grad():
        return F.cross_entropy(bench.network.logits(views, buffers, x[:, None], batch_norm="train")[0], y)


def _module(bench: Bench, weights: Tensor) -> torch.nn.Module:
    """The plain network with one replica's weights [P], in float64."""
    info = bench.dataset.info
    module = idiomatic.module(bench.description, info.shape, info.classes).double()
    values = unflatten(bench.network, weights[None])
    with torch.no_grad():
        for parameter, (name, declared) in zip(module.parameters(), bench.network.parameters.items(), strict=True):
            value = values[name][0]
            parameter.copy_(value.t() if declared.kind == "linear" else value)
    return module


def _flat(network: Network, module: torch.nn.Module) -> Tensor:
    """The plain network's parameters as the engine lays them out, [P]."""
    parts = zip(module.parameters(), network.parameters.values(), strict=True)
    values = [value.detach().t() if declared.kind == "linear" else value.detach() for value, declared in parts]
    return torch.cat([value.flatten() for value in values])


def _check_pictures(bench: Bench, x: Tensor, index: Tensor, count: int = 4) -> None:
    """Each image is what RandomCrop, RandomHorizontalFlip, ToTensor and Normalize may make of its example."""
    size, padding = bench.dataset.info.shape[-1], bench.data["augment"]["crop_padding"]
    tensor = idiomatic.transform(bench.data, size, augment=False)
    functional = idiomatic.transforms.functional
    offsets = range(2 * padding + 1)
    for place, example in enumerate(index[:count].tolist()):
        picture = idiomatic.picture(bench.dataset.train.images(torch.tensor(example)))
        padded = functional.pad(picture, padding) if padding else picture
        crops = [functional.crop(padded, top, left, size, size) for top in offsets for left in offsets]
        mirrored = [functional.hflip(crop) for crop in crops] if bench.data["augment"]["flip"] else []
        apart = min(float((tensor(crop) - x[place]).abs().max()) for crop in crops + mirrored)
        if apart > 1e-5:
            raise SystemExit(f"{bench.case.title}: example {example} looks different on the two sides")
