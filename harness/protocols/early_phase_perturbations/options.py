"""What perturbations of the early phase leave to choose."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.protocols.common.pruning import Iterative, OneShot
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.early_phase_perturbations.perturbations import PerturbationName
from harness.schema.base import Many, Model, Time

Size = Annotated[float, Field(ge=1e-3, le=1e3)]
"""Of noise, in standard deviations: less is near the rounding of float32."""


class PerturbationOptions(Model):
    """What perturbations of the early phase leave to choose.

    The source's text is not at hand, its public code has none of this: where no origin is given, the paper's own choice
    is unknown.

    Attributes:
        pruning: of the mask: iterative or one-shot; its last level is the one that is perturbed.
        prune_output_layer: whether the last layer is pruned, as for ResNet-20 in LMC [arith].
        optimiser_at_rewind: whether the trainings that make the mask, and the full network's, go on with the velocity
            of k or a fresh one, as in the experiment ``imp`` [code, conflict].
        rewinds: every iteration k whose state is perturbed [paper, captions of Fig. 4 and 5: 500 and 2000].
        perturbations: of signs and magnitudes and by permutation, names of ``perturbations.py`` [paper, same captions:
            signs and magnitudes of 0 or k; weights permuted within various structural elements. That these are the
            network, layers and filters, and that signs may be kept, is lore; so is ``skmf``, of the abstract's "random
            weights while maintaining signs". ``scaled`` and ``scaled_fresh`` are controls of ours, independent draws
            are ours, too, after the abstract's "highly non-independent"].
        noises: n of Gaussian noise of nσ [lore: .5, 1, 2, 3].
        sigma: σ: the standard deviation of each ``layer``'s initial weights, pruned ones too [lore], or that of all
            layers together (``global``).
        tensors: what is perturbed: the ``prunable`` weights [lore: "weights"], or ``all`` trained tensors, those that
            are never pruned as wholes.
        masked: whether the weights that the mask prunes take part: ``excluded``, so that surviving weights go to
            surviving places, and moments and norms are theirs; or ``included``: the full network is perturbed, of
            which the mask hides the rest.
        batch_norm: scale and shift of batch normalisation, ``kept`` from k, as they are no weights of the mask, or the
            ``initial`` ones; in the control too.
        statistics: running statistics of batch normalisation, ``kept`` from k or the ``initial`` ones; likewise.
            Training does not use them, and replaces them within some tens of steps; so no choice could be seen in an
            accuracy, and there is none to measure them afresh.
        optimiser_after: the optimiser's state of k, a velocity that belongs to the unperturbed weights: ``reset`` in
            every arm, the controls too, so that arms differ in their weights alone; or ``carried`` in all that have it.
        schedule: of the learning rate, and of training's end: ``continued`` from k, so that T - k iterations follow, as
            when rewinding [LMC algorithm 2], or ``restarted``, so that T follow.
    """

    pruning: Iterative | OneShot = Field(discriminator="style")
    prune_output_layer: bool = True
    optimiser_at_rewind: Literal["carried", "reset"] = "carried"
    rewinds: Many[Time] = Field(min_length=1)
    perturbations: Many[PerturbationName] = ()
    noises: Many[Size] = ()
    sigma: Literal["layer", "global"] = "layer"
    tensors: Literal["prunable", "all"] = "prunable"
    masked: Literal["excluded", "included"] = "excluded"
    batch_norm: Literal["kept", "initial"] = "kept"
    statistics: Literal["kept", "initial"] = "kept"
    optimiser_after: Literal["reset", "carried"] = "reset"
    schedule: Literal["continued", "restarted"] = "continued"

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of the noise as text, as the axis ``n`` has them."""
        return tuple(f"{n:g}" for n in self.noises)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.perturbations)) < len(self.perturbations):
            raise ValueError("perturbations names one twice: list each once")
        if list(self.noises) != sorted(set(self.noises)) or len(set(self.sizes)) < len(self.sizes):
            raise ValueError("noises should be different numbers of up to six digits, from small to large")
        if not (self.perturbations or self.noises):
            raise ValueError("there is nothing to perturb: name perturbations, or noises")
        return self

    @model_validator(mode="after")
    def _perturbed_or_put_back(self) -> Self:
        if self.tensors == "all" and self.batch_norm == "initial":
            raise ValueError("batch_norm: initial puts back what tensors: all perturbs: choose one of them")
        return self


PerturbationSetting = TrainingSetting[PerturbationOptions]
