"""The states that are trained: references, and what pretraining made, each with its mask."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.jobs.job import Job
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.pruning import chain_order, last_mask, rewound, sparsest_mask
from harness.protocols.common.recipe import Recipe
from harness.protocols.early_phase_pretraining.options import PretrainingSetting, lengths, pretext_recipe


@dataclass(frozen=True)
class Pretrained:
    """A network that was pretrained.

    Attributes:
        arm: the name of its pretext.
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
        return cls(setting, seed, _imp(setting, seed, setting.iterations(setting.options.rewind)))

    @property
    def order(self) -> str:
        """The data order of all arms after pretraining: they differ in where they start, and in the mask of that."""
        return self.setting.recipe.copy_order(self.seed, 0)

    def references(self) -> Iterator[tuple[str, int, Job]]:
        """(name, length of what counts as pretraining, trained network); masks are those that ``imp`` has."""
        setting, recipe = self.setting, self.setting.recipe
        k, carried = setting.iterations(setting.options.rewind), setting.options.optimiser_at_rewind
        trunk, start = recipe.trunk(self.seed, k), recipe.initial(self.seed)
        of_0 = _imp(setting, self.seed, 0) if setting.options.mask == "own" else self.mask
        yield "full", 0, rewound(recipe, Subnetwork(trunk, None), k, order=self.order, optimiser_state=carried)
        yield "rewound_0", 0, self.trained(Subnetwork(start, of_0), 0)
        yield "rewound_k", k, self.trained(Subnetwork(self._unperturbed(trunk), self.mask), k)

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
        """Of each pretext dense and sparse, as is asked for, and of every length."""
        for name, times in lengths(self.setting).items():
            recipe = pretext_recipe(self.setting, name)
            for under in self.setting.options.pretrained:
                mask = self._mask_for(recipe) if under == "sparse" else None
                for length in times:
                    yield Pretrained(name, under, length, recipe, recipe.trunk(self.seed, length, mask))

    def _mask_for(self, recipe: Recipe) -> Job:
        """The mask; that of the body where the head is another."""
        ours = self.setting.recipe
        return self.mask if recipe.classes == ours.classes else ours.mask_body(self.mask)

    def handed_on(self, pretrained: Pretrained) -> Subnetwork:
        """What of a pretrained network is trained next, and under which mask."""
        options, recipe = self.setting.options, self.setting.recipe
        same, given = pretrained.recipe.classes == recipe.classes, self.mask if options.mask == "rewound" else None
        state = recipe.transfer(
            pretrained.state,
            fresh=recipe.initial(self.seed),
            mask=given,
            head=options.head if same else "fresh",
            statistics=options.statistics,
        )
        return Subnetwork(state, given or self._own_mask(state, pretrained.length))

    def _own_mask(self, state: Job, step: int) -> Job:
        """IMP's of a state, which it rewinds to."""

        def trained(subnetwork: Subnetwork) -> Job:
            return self.trained(subnetwork, step, chain_order(self.seed))

        options = self.setting.options
        output_layer = options.prune_output_layer
        return last_mask(self.setting.recipe, state, options.pruning, trained, output_layer=output_layer)

    def trained(self, subnetwork: Subnetwork, step: int, order: str = "") -> Job:
        """A state of some step trained under its mask on the true labels, to the end; in the order of all arms."""
        recipe = self.setting.recipe
        restarted = self.setting.options.schedule == "restarted"
        return recipe.train(
            subnetwork.state,
            step,
            recipe.length + step * restarted,
            order=order or self.order,
            mask=subnetwork.mask,
            schedule_start=step * restarted,
            optimiser_state="reset",
        )


def _imp(setting: PretrainingSetting, seed: int, k: int) -> Job:
    """The mask of the sparsest level, rewound to k, in jobs that ``imp`` has."""
    options = setting.options
    return sparsest_mask(
        setting.recipe,
        seed,
        k,
        options.pruning,
        output_layer=options.prune_output_layer,
        optimiser_state=options.optimiser_at_rewind,
    )
