"""Parameters, objective, stages, batched L-BFGS and the fitter."""

from smplifyx.fitting.fitter import Fitter
from smplifyx.result import FitResult

__all__ = ["FitResult", "Fitter"]
