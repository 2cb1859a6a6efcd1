"""The states that are trained: references, and what pretraining made."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.jobs.job import Job
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.pruning import rewound, sparsest_mask
from harness.protocols.common.recipe import Recipe
from harness.protocols.early_phase_pretraining.options import PretrainingSetting, lengths
from harness.protocols.early_phase_pretraining.pretexts import FROZEN, PRETEXTS, PretextName


@dataclass(frozen=True)
class Pretrained:
    """A network that was pretrained.

    Attributes:
        arm: the name of its pretext, or of the control.
        under: ``dense``, or ``sparse`` with the mask present.
        length: of pretraining, in iterations.
        recipe: that pretrained it.
        state: it.
    """

    arm: str
    under: str
    length: int
    recipe: Recipe
    state: Job


@dataclass(frozen=True)
class Origin:
    """What all arms of an initialisation share.

    Attributes:
        setting: of the experiment.
        seed: of the initialisation.
        mask: IMP's of k, of the sparsest level.
    """

    setting: PretrainingSetting
    seed: int
    mask: Job

    @classmethod
    def of(cls, setting: PretrainingSetting, seed: int) -> "Origin":
        """By IMP."""
        options = setting.options
        mask = sparsest_mask(
            setting.recipe,
            seed,
            setting.iterations(options.rewind),
            options.pruning,
            output_layer=options.prune_output_layer,
            optimiser_state=options.optimiser_at_rewind,
        )
        return cls(setting, seed, mask)

    @property
    def order(self) -> str:
        """The data order of all arms after pretraining: they differ in where they start alone."""
        return self.setting.recipe.copy_order(self.seed, 0)

    def references(self) -> Iterator[tuple[str, int, Job]]:
        """(name, length of what counts as pretraining, trained network); those that perturbations have, too."""
        setting, recipe = self.setting, self.setting.recipe
        k, carried = setting.iterations(setting.options.rewind), setting.options.optimiser_at_rewind
        trunk, start = recipe.trunk(self.seed, k), recipe.initial(self.seed)
        yield "full", 0, rewound(recipe, Subnetwork(trunk, None), k, order=self.order, optimiser_state=carried)
        yield "rewound_0", 0, self.trained(start, 0)
        yield "rewound_k", k, self.trained(self._unperturbed(trunk), k)

    def _unperturbed(self, trunk: Job) -> Job:
        """The state of k without its velocity."""
        how = {
            "kind": "identity",
            "tensors": "prunable",
            "masked": "excluded",
            "batch_norm": "kept",
            "statistics": self.setting.options.statistics,
            "optimiser_state": "reset",
        }
        inputs = {"state": trunk, "mask": self.mask, "initial": self.setting.recipe.initial(self.seed)}
        return self.setting.recipe.perturb(how, inputs)

    def pretrained(self) -> Iterator[Pretrained]:
        """Of each pretext dense and sparse, as is asked for, and of the control; each of every length."""
        options = self.setting.options
        for name in PRETEXTS:
            for under in options.pretrained if name in options.pretexts else ():
                yield from self._of_every_length(name, under, self._recipe(name))
        yield from self._of_every_length(FROZEN, "dense", _at_no_rate(self.setting.recipe))

    def _recipe(self, name: PretextName) -> Recipe:
        options = self.setting.options
        return self.setting.recipe.posed(PRETEXTS[name].task(options.blur, options.task_seed))

    def _of_every_length(self, arm: str, under: str, recipe: Recipe) -> Iterator[Pretrained]:
        mask = self._mask_for(recipe) if under == "sparse" else None
        for length in lengths(self.setting):
            yield Pretrained(arm, under, length, recipe, recipe.trunk(self.seed, length, mask))

    def _mask_for(self, recipe: Recipe) -> Job:
        """The mask; that of the body where the head is another."""
        ours = self.setting.recipe
        return self.mask if recipe.classes == ours.classes else ours.mask_body(self.mask)

    def handed_on(self, pretrained: Pretrained) -> Job:
        """What of a pretrained network is trained next."""
        options, recipe = self.setting.options, self.setting.recipe
        same = pretrained.recipe.classes == recipe.classes
        return recipe.transfer(
            pretrained.state,
            fresh=recipe.initial(self.seed),
            mask=self.mask,
            head=options.head if same else "fresh",
            statistics=options.statistics,
        )

    def trained(self, state: Job, step: int) -> Job:
        """A state of some step trained under the mask on the true labels, to the end."""
        recipe = self.setting.recipe
        restarted = self.setting.options.schedule == "restarted"
        return recipe.train(
            state,
            step,
            recipe.length + step * restarted,
            order=self.order,
            mask=self.mask,
            schedule_start=step * restarted,
            optimiser_state="reset",
        )


def _at_no_rate(recipe: Recipe) -> Recipe:
    schedule = recipe.training.schedule.model_copy(update={"rate": 0.0})
    return replace(recipe, training=recipe.training.model_copy(update={"schedule": schedule}))
