"""Known stature and floor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.errors import UsageError
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import SequenceFitter
from smplifyx.sequence.known import Known, Stature
from smplifyx.skeleton import joint_index
from tests.sequence.moving_people import moving_person


def test_stature_is_that_of_the_mesh_at_rest(plain_fitter: Fitter) -> None:
    betas = torch.tensor([[0.5, -0.3, 0.2, 0, 0, 0.1, 0, 0, 0, 0]])
    with torch.no_grad():
        height = float(np.ptp(plain_fitter.body(betas=betas).vertices[0, :, 1].numpy()))
    stature = Stature.of(plain_fitter.data, 1.8)
    assert float(stature.difference(betas[0])) == pytest.approx(height - 1.8, abs=0.01)
    assert float(stature.difference(stature.matched(betas[0]))) == pytest.approx(0.0, abs=1e-5)


def test_fit_has_the_known_stature(plain_fitter: Fitter) -> None:
    track = moving_person(3, 1).track
    places = []
    for height in (1.5, 1.9):
        fit = SequenceFitter(plain_fitter, height=height).fit_track(track)
        with torch.no_grad():
            at_rest = plain_fitter.body(betas=torch.tensor(fit.betas[None])).vertices[0, :, 1].numpy()
        assert float(np.ptp(at_rest)) == pytest.approx(height, abs=0.02)
        places.append(fit.results[0].joints[0, 2])
    assert places[1] / places[0] == pytest.approx(1.9 / 1.5, rel=0.05)  # who is taller stands further away


def test_a_single_photo_has_the_known_stature(plain_fitter: Fitter) -> None:
    fit = SequenceFitter(plain_fitter, height=1.55).fit_track(moving_person(1, 1).track)
    with torch.no_grad():
        at_rest = plain_fitter.body(betas=torch.tensor(fit.betas[None])).vertices[0, :, 1].numpy()
    assert float(np.ptp(at_rest)) == pytest.approx(1.55, abs=0.02)


def test_feet_stay_above_the_floor(plain_fitter: Fitter) -> None:
    person = moving_person(4, 2)
    feet = [joint_index("left_foot"), joint_index("right_foot")]
    free = SequenceFitter(plain_fitter).fit_track(person.track)
    lowest = float(free.joints_world[:, feet, 1].min())
    floor = (0.0, 1.0, 0.0, -(lowest + 0.05))
    held = SequenceFitter(plain_fitter, floor=floor).fit_track(person.track)
    assert float(held.joints_world[:, feet, 1].min()) > lowest + 0.005


def test_loss_of_feet_below_the_floor() -> None:
    joints = torch.ones(2, 55, 3, dtype=torch.float64, requires_grad=True)
    known = Known(None, torch.tensor([0.0, 1.0, 0.0, -0.9]).double())
    assert known.floor_loss(joints).item() == 0.0
    with torch.no_grad():
        joints[1, joint_index("left_foot"), 1] = 0.91  # 1 cm above, 1 cm too low for the joint
    loss = known.floor_loss(joints)
    assert loss.item() == pytest.approx(100.0, rel=1e-3)
    loss.backward()
    assert joints.grad is not None
    assert joints.grad.abs().sum() == pytest.approx(2e4, rel=1e-3)


@pytest.mark.parametrize(
    ("height", "floor", "message"),
    [
        (180.0, None, "height in metres"),
        (None, (0.0, 2.0, 0.0, 1.0), "unit normal"),
        (None, (0, 1, 0), "unit normal"),
    ],
)
def test_impossible_numbers_are_refused(
    plain_fitter: Fitter, height: float | None, floor: tuple[float, ...] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        SequenceFitter(plain_fitter, height=height, floor=floor)
