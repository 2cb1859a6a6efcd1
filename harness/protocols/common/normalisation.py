"""Batches that leave batch normalisation one value a channel: it has no variance, and no network learns from it.

PyTorch's ``nn.BatchNorm2d`` refuses to train on one too. The functions underneath do not: the outputs are constant, and
the running variance, which is over n - 1 values, is not a number from the first step on.
"""

from collections.abc import Iterable

from harness.protocols.common.recipe import Recipe
from harness.schema.load import Problem

Location = tuple[str | int, ...]


def single(recipe: Recipe) -> str | None:
    """The first layer of batch normalisation whose images are one pixel; None where there is none."""
    network = recipe.training.network
    if not network.batch_norm:
        return None
    from harness.engine.networks.normalised import pixels

    try:
        sizes = pixels(network.model_dump(mode="json"), recipe.shape, recipe.classes)
    except RuntimeError:  # the images are too small for the network, which is told where parameters are counted
        return None
    return next((layer for layer, count in sizes.items() if count == 1), None)


def batch_problems(recipe: Recipe, where: Location, *, recomputed: bool) -> Iterable[Problem]:
    """A batch of one example, or a last one of an epoch, at a layer whose images are one pixel.

    Args:
        recipe: of the experiment.
        where: the scale has it.
        recomputed: whether running statistics are recomputed, by batches of the recipe's size.
    """
    place, training = (*where, "batch"), recipe.training
    if training.microbatch is not None:
        yield from _microbatch_problems(recipe, (*where, "microbatch"), training.microbatch)
        return
    layer = single(recipe) if training.batch == 1 or recipe.data.n_train % training.batch == 1 else None
    if layer is None:
        return
    if training.batch == 1:
        yield Problem(place, f"found 1: {_words(layer, 'a batch')}: choose 2 or more, or {_LARGER}")
    elif (sees_last := training.sampling == "epochs" and recipe.length >= recipe.per_epoch) or recomputed:
        other = "sampling: independent" if sees_last and not recomputed else _LARGER
        yield _last(recipe, place, training.batch, training.batch, layer, other)


def _microbatch_problems(recipe: Recipe, place: Location, size: int) -> Iterable[Problem]:
    """A part of one example: of a batch, of an epoch's last one, or of all examples, by which statistics are had."""
    batch, count = recipe.training.batch, recipe.data.n_train
    if size == 1 or 1 in (batch % size, count % batch % size, count % size):
        layer = single(recipe)
        if layer is not None:
            yield Problem(place, f"found {size}: {_words(layer, 'a part of a batch')}: choose another size")


def epoch_problems(recipe: Recipe, place: Location, given: int, batch: int) -> Iterable[Problem]:
    """A last batch of one example in epochs of batches of another size than the recipe's.

    Args:
        recipe: of the experiment.
        place: the field that the size follows from.
        given: what it is.
        batch: the size.
    """
    if recipe.training.sampling == "epochs" and recipe.data.n_train % batch == 1:
        layer = single(recipe)
        if layer is not None:
            yield _last(recipe, place, given, batch, layer, "sampling: independent")


def chunk_problems(recipe: Recipe, place: Location, examples: int, chunk: int) -> Iterable[Problem]:
    """A chunk of one example, that is normalised by itself, at a layer whose images are one pixel.

    Args:
        recipe: of the experiment.
        place: the field that the chunks follow from.
        examples: that are cut into chunks.
        chunk: examples of each but the last.
    """
    if chunk != 1 and examples % chunk != 1:
        return
    layer = single(recipe)
    if layer is not None:
        last = "a chunk" if chunk == 1 else f"the last chunk of {examples:,} examples"
        yield Problem(place, f"found {chunk}: {_words(layer, last)}: choose another size, or batch_norm: eval")


_LARGER = "a network whose images are larger there (fewer stages, or no pooling before it)"


def _words(layer: str, batch: str) -> str:
    return (
        f"{batch} has 1 example, and the images of the layer {layer} are 1x1 pixels, so that batch normalisation gets "
        "one value a channel, which has no variance"
    )


def _last(recipe: Recipe, place: Location, given: int, batch: int, layer: str, other: str) -> Problem:
    count = recipe.data.n_train
    last = f"the last batch of the {count:,} examples of {recipe.data.name}, {batch} at a time,"
    near = next(size for size in range(batch + 1, count + 2) if count % size != 1)
    size = f"a batch that leaves more over, such as {near}" if given == batch else "another size"
    return Problem(place, f"found {given}: {_words(layer, last)}: choose {size}, or {other}")
