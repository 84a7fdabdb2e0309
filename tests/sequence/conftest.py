"""Fitters that the tests of sequences share."""

from __future__ import annotations

import pytest

from smplifyx.fitting.fitter import Fitter

#: Collisions, and the hands and faces that these people do not have, take most of the time.
QUICK = {"collision.enabled": False, "stages.all.hand_keypoints": 0, "stages.all.face_keypoints": 0}


@pytest.fixture(scope="session")
def plain_fitter() -> Fitter:
    """A fitter on the CPU in single precision, with the native objective."""
    return Fitter("smplx", overrides={**QUICK})


@pytest.fixture(scope="session")
def exact_fitter() -> Fitter:
    """A fitter in double precision, without the native objective."""
    return Fitter("smplx", overrides={**QUICK}, dtype="float64")
