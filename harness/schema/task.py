"""What a network is to tell of an image: the dataset's own task, or a pretext, which needs no labels or wrong ones."""

from typing import Literal

from harness.schema.base import Model, Seed


class Task(Model):
    """What the network is to tell of an image, and how the image is shown: the dataset's own task, or a pretext.

    Attributes:
        labels: ``true``, the dataset's; ``random``, drawn uniformly over its classes for each image, on both splits;
            ``rotation``, by how many quarters of a turn the image is turned, four classes. A training image is turned
            anew in each epoch, like its augmentation and after it, a test image in one way for good.
        blur: how many times smaller an image is made, by the means of blocks, and larger again, bilinearly: 1 leaves
            it.
        seed: of labels and turns that are drawn, one for all replicates [open].
    """

    labels: Literal["true", "random", "rotation"] = "true"
    blur: Literal[1, 2, 4, 8] = 1
    seed: Seed = 0

    def classes(self, own: int) -> int:
        """What there is to tell apart, of a dataset with so many classes of its own."""
        return 4 if self.labels == "rotation" else own
