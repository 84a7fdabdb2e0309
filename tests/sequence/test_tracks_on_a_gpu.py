"""Tracks on a simulated GPU: no operation mixes devices, and the fit is that of the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import SequenceFitter
from tests.sequence.conftest import QUICK
from tests.sequence.moving_people import moving_person, without
from tests.simulated_gpu import simulated_device, simulated_gpu


@pytest.mark.slow
def test_a_track_is_fitted_there() -> None:
    person = without(moving_person(3, 2), range(1, 2), 1)
    track = without(person, range(1, 2), 0).track
    brief = {**QUICK, "optimizer.max_iterations": 4, "starts.depth_flips": 1, "stages.all.tolerance": 1e-2}
    on_cpu = SequenceFitter(Fitter("smplx", overrides={**brief, "optimizer.gauss_newton": False}))
    with simulated_gpu():
        on_gpu = SequenceFitter(Fitter("smplx", overrides=brief, device=simulated_device()), floor=(0, 1, 0, 0.1))
        there = on_gpu.fit_track(track)
    here = on_cpu.fit_track(track)
    assert np.isfinite(there.joints_world).all()
    assert np.linalg.norm(there.joints_world - here.joints_world, axis=2).mean() < 0.1
