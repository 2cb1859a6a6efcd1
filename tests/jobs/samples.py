"""A job of every stage, whose keys are a golden file."""

from dataclasses import replace
from functools import cache

from harness.jobs.job import Job
from harness.jobs.stages import OWN
from harness.pipeline.resampling import teller_of
from harness.protocols.common import curvature
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.eigenvector_drift import protocol as eigenvector_drift
from harness.protocols.hessian_spectrum import protocol as hessian_spectrum
from harness.protocols.loss_cliffs import jobs as cliff_jobs
from harness.protocols.loss_cliffs import options as cliff_options
from harness.protocols.noisy_quadratic import jobs as quadratic_jobs
from harness.protocols.noisy_quadratic.options import (
    BatchOptions,
    NoisyQuadraticOptions,
    RelaxationOptions,
    StaircaseOptions,
)
from harness.protocols.quadratic_approximation import options as approximation_options
from harness.steps import Duration
from tests.stages.bench import setting
from tests.support import SPECS, request

QUADRATIC = NoisyQuadraticOptions(
    rates=(0.01, 0.1),
    curvatures=(1.0,),
    momenta=(0.0, 0.9),
    noises=(1.0,),
    batch=BatchOptions(rates=(0.1,)),
    staircase=StaircaseOptions(rates=(0.1, 0.01)),
    relaxation=RelaxationOptions(rates=(0.01,), momenta=(0.5,)),
)


@cache
def jobs_of_every_stage() -> dict[str, Job]:
    """Stage -> a job: a sample from below, or, of a stage that has none there, the first in the specs' plans.

    Raises:
        LookupError: there is none of a stage.
    """
    found, specs = _samples(), iter(SPECS)
    names = [one.name for one in OWN]
    while missing := [name for name in names if name not in found]:
        path = next(specs, None)
        if path is None:
            raise LookupError(
                f"no spec in specs/ has a job of the stage {missing[0]!r}, whose key is to be a golden file: put a "
                "sample of it into _samples() of tests/jobs/samples.py, then run `make bless`"
            )
        found = {job.stage: job for job in request(path).plan.jobs.values()} | found
    return {name: found[name] for name in names}


def _samples() -> dict[str, Job]:
    """As the protocols plan them, for one tiny setting."""
    here = setting()
    initial = here.recipe.initial(0)
    trunk = here.recipe.trunk(0, 6)
    a, b = (here.recipe.train(trunk, 6, 14, order=Recipe.copy_order(0, order)) for order in range(2))
    mask = here.recipe.prune(a, None, output_layer=True, fraction=0.2)
    hessian = curvature.hessian(here.recipe, a, curvature.ObjectiveOptions())
    spectrum = hessian_spectrum.HessianSpectrumOptions(reference=Duration(5, "it"))
    drift = eigenvector_drift.EigenvectorDriftOptions(checkpoints=(Duration(5, "it"),))
    asked = replace(here, options=approximation_options.QuadraticApproximationOptions())
    cliffs = replace(here, options=cliff_options.CliffOptions(width=Duration(2, "it"), every=Duration(1, "it")))
    lines = approximation_options.parabolas(asked, a, hessian, 0)
    told = [here.recipe.evaluate(a), here.recipe.line(a, b, LineOptions()), here.recipe.compare(a, b)]
    return {
        **{teller.stage: teller for teller in map(teller_of, told) if teller is not None},
        "init": initial,
        "train": a,
        "prune": mask,
        "shuffle": Job("shuffle", {"seed": "shuffle/0"}, {"mask": mask}),
        "mask_body": here.recipe.mask_body(mask),
        "evaluate": here.recipe.evaluate(a),
        "displacement": cliff_jobs.displacement(cliffs, 0, 10),
        "plane": cliff_jobs.plane(cliffs, 0, 10),
        "descend": cliff_jobs.descent(cliffs, 0, 10, "top"),
        "line": here.recipe.line(a, b, LineOptions()),
        "compare": here.recipe.compare(a, b),
        "distance": Recipe.distance(initial, a, mask),
        "loss": curvature.loss(here.recipe, a, curvature.ObjectiveOptions()),
        "hessian": hessian,
        "extremes": curvature.extremes(here.recipe, a, curvature.ObjectiveOptions(), curvature.ExtremesOptions()),
        "spectrum": hessian_spectrum.spectrum(hessian, spectrum),
        "concentration": hessian_spectrum.concentration(hessian, spectrum, 317),
        "overlap": eigenvector_drift.overlap(hessian, hessian, drift, 317),
        "parabolas": lines,
        "minima": approximation_options.minima(lines, asked.options),
        "newton": approximation_options.newton(asked, a, hessian),
        "density": hessian_spectrum.density(asked, a, hessian_spectrum.DensityOptions(), 0),
        "gradient_noise": approximation_options.gradient_noise(asked, a, hessian, 0),
        "quadratic_level": quadratic_jobs.grid(QUADRATIC, 0),
        "quadratic_relaxation": quadratic_jobs.relaxation(QUADRATIC, 0.01, 0.5, 0),
        "quadratic_staircase": quadratic_jobs.stairs(QUADRATIC.staircase, 0),
        "valley_walk": quadratic_jobs.valley(QUADRATIC.valley, 0),
    }
