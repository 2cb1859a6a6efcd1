"""The states that are trained: the controls, and the perturbed ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.jobs.job import Job
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.pruning import rewound, sparsest_mask
from harness.protocols.early_phase_perturbations.options import PerturbationSetting
from harness.protocols.early_phase_perturbations.perturbations import IDENTITY, NOISE, NOTHING, PERTURBATIONS

NO_NOISE = "0"
"""n of all that is not noise."""


@dataclass(frozen=True)
class Origin:
    """What is perturbed: the full network's state of step k under IMP's mask of that k.

    Attributes:
        setting: of the experiment.
        seed: of the initialisation.
        k: the step.
        trunk: the state.
        mask: of the sparsest level.
    """

    setting: PerturbationSetting
    seed: int
    k: int
    trunk: Job
    mask: Job

    @classmethod
    def of(cls, setting: PerturbationSetting, seed: int, k: int) -> "Origin":
        """By IMP of that k."""
        options = setting.options
        mask = sparsest_mask(
            setting.recipe,
            seed,
            k,
            options.pruning,
            output_layer=options.prune_output_layer,
            optimiser_state=options.optimiser_at_rewind,
        )
        return cls(setting, seed, k, setting.recipe.trunk(seed, k), mask)

    @property
    def order(self) -> str:
        """The data order of all arms: they differ in where they start alone."""
        return self.setting.recipe.copy_order(self.seed, 0)

    def perturbed(self, how: Mapping[str, Any], draws: str = "") -> Job:
        """The state after a perturbation, and the name of what is random of it; what is not has no seed."""
        options, recipe = self.setting.options, self.setting.recipe
        inputs = {"state": self.trunk, "mask": self.mask, "initial": recipe.initial(self.seed)}
        if "fresh" in how.values():
            inputs["fresh"] = self.fresh
        seed = {"seed": f"perturb/{self.seed}/{draws}"} if draws else {}
        common = {
            "tensors": options.tensors,
            "masked": options.masked,
            "batch_norm": options.batch_norm,
            "statistics": options.statistics,
            "optimiser_state": options.optimiser_after,
        }
        return recipe.perturb({**how, **seed, **common}, inputs)

    @property
    def fresh(self) -> Job:
        """Another draw of all weights, standing at step k."""
        return self.setting.recipe.fresh_draw(self.seed, self.k, trained=False)

    def trained(self, state: Job) -> Job:
        """A state of step k trained to the end under the mask."""
        options, recipe = self.setting.options, self.setting.recipe
        restarted = options.schedule == "restarted"
        return recipe.train(
            state,
            self.k,
            recipe.length + self.k * restarted,
            order=self.order,
            mask=self.mask,
            schedule_start=self.k * restarted,
            optimiser_state=options.optimiser_after,
        )

    def controls(self) -> Iterator[tuple[str, Job]]:
        """Name -> trained network. The full one is trained on as ever; others share what is chosen for all arms."""
        recipe = self.setting.recipe
        carried = self.setting.options.optimiser_at_rewind
        full = Subnetwork(self.trunk, None)
        yield "full", rewound(recipe, full, self.k, order=self.order, optimiser_state=carried)
        yield "control", self.trained(self.perturbed(NOTHING))
        start = recipe.initial(self.seed)
        yield "rewound", recipe.train(start, 0, recipe.length, order=self.order, mask=self.mask)
        yield "reinit", self.trained(self.fresh)

    def perturbations(self) -> Iterator[tuple[str, str, Job]]:
        """(name, n, perturbed state) of all that is asked for, and of the identity, which is always looked at."""
        options = self.setting.options
        for name, perturbation in PERTURBATIONS.items():
            if name in options.perturbations or name == IDENTITY:
                yield name, NO_NOISE, self.perturbed(perturbation.how, perturbation.draws)
        for n, size in zip(options.noises, options.sizes, strict=True):
            yield NOISE, size, self.perturbed({"kind": "noise", "n": n, "sigma": options.sigma}, NOISE)
