"""3D bodies with hands and face from photos and 2D keypoints.

The names below are stable, see docs/api.md; so is smplifyx.body. Other modules may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smplifyx.late_imports import late_names

if TYPE_CHECKING:
    from smplifyx.calibration import read_cameras
    from smplifyx.camera import Camera
    from smplifyx.config import Config, load_config
    from smplifyx.errors import InputError, SmplifyxError, UsageError
    from smplifyx.fitting.fitter import FitProgress, Fitter
    from smplifyx.fitting.people import fit_people
    from smplifyx.fitting.terms import Term, default_terms
    from smplifyx.keypoints import Observation, read_keypoints
    from smplifyx.result import FitResult, load_result
    from smplifyx.sequence import SequenceFitter, TrackFit
    from smplifyx.tracking import Track, View, find_tracks

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "Config",
    "FitProgress",
    "FitResult",
    "Fitter",
    "InputError",
    "Observation",
    "SequenceFitter",
    "SmplifyxError",
    "Term",
    "Track",
    "TrackFit",
    "UsageError",
    "View",
    "default_terms",
    "find_tracks",
    "fit_people",
    "load_config",
    "load_result",
    "read_cameras",
    "read_keypoints",
]

_HOMES = {
    "Camera": "camera",
    "Config": "config",
    "FitProgress": "fitting.fitter",
    "FitResult": "result",
    "Fitter": "fitting.fitter",
    "InputError": "errors",
    "Observation": "keypoints",
    "SequenceFitter": "sequence",
    "SmplifyxError": "errors",
    "Term": "fitting.terms",
    "Track": "tracking",
    "TrackFit": "sequence",
    "UsageError": "errors",
    "View": "tracking",
    "default_terms": "fitting.terms",
    "find_tracks": "tracking",
    "fit_people": "fitting.people",
    "load_config": "config",
    "load_result": "result",
    "read_cameras": "calibration",
    "read_keypoints": "keypoints",
}


__getattr__ = late_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
