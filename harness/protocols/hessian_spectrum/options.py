"""What the study of the spectrum leaves to choose."""

from pydantic import Field

from harness.protocols.common import curvature
from harness.protocols.common.bands import BandOptions
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Count, Fraction, Hundreds, Many, Model, Time


class DensityOptions(Model):
    """Stochastic Lanczos quadrature in place of the exact Hessian, for networks too large for it.

    Attributes:
        probes: random directions [open].
        steps: of Lanczos, from each [open].
    """

    probes: Hundreds = 8
    steps: Hundreds = 80


class HessianSpectrumOptions(Model):
    """What the study of the spectrum leaves to choose.

    Attributes:
        checkpoints: times at which all eigenpairs are computed; the end of training is always one more.
        reference: the time that others are compared with, just before the first drop of the learning rate [open];
            one more checkpoint where it is none of them.
        objective: the loss that is differentiated.
        ranks: how many of the largest eigenvalues the power law goes through [paper: the 100th is 1/100 of the first].
        tolerance: numerical error of an eigenvalue over the largest magnitude of any; what is nearer to zero counts
            as neither positive nor negative, in shares and sums alike, and a number that rests on it alone has no value
            [open]. Single precision moves those of the toy network by 7e-7 at most.
        components: k of the concentration: the squared length in the k largest components [paper: 100].
        bands: whose eigenvectors' concentration is measured.
        draws: Gaussian vectors that the null of the concentration is the mean of [open].
        density: estimate the density of the eigenvalues in place of computing all of them: what is about single
            eigenvalues or eigenvectors is not measured then.
    """

    checkpoints: Many[Time] = ()
    reference: Time
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    ranks: int = Field(default=100, ge=3, le=10**9)
    tolerance: Fraction = curvature.EIGENVALUE_ERROR
    components: Count = 100
    bands: BandOptions = BandOptions()
    draws: Hundreds = 100
    density: DensityOptions | None = None


SpectrumSetting = TrainingSetting[HessianSpectrumOptions]
