"""One person over time and from several cameras, fitted as a whole: one shape, poses that are smooth in time.

:class:`SequenceFitter` takes tracks (:class:`~smplifyx.tracking.Track`) and returns a :class:`TrackFit` for each::

    fitter = SequenceFitter("smplx", gender="neutral")     # the arguments of Fitter; or SequenceFitter(fitter)
    (fit,) = fitter.fit([track])
    fit.results                  # F FitResults in the camera of the first view, all with the same betas
    fit.results_in_view(2)       # the same people in the camera of view 2
    fit.joints_world             # [F, J, 3] metres

A frame without an observation, or whose observations were rejected, has a result too: its pose is bridged from its
neighbours and its flags contain ``bridged``. Cameras stand still: one view with a moving camera is not supported.
"""

from smplifyx.sequence.fitter import SequenceFitter
from smplifyx.sequence.track_fit import TrackFit

__all__ = ["SequenceFitter", "TrackFit"]
