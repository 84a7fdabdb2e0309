"""People for the lifting network, what a detector makes of them, and short training runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.errors import InputError
from smplifyx.lifting.network import LIFTED_KEYPOINTS
from smplifyx.training.lifting_config import (
    LiftingConfig,
    LiftingDetectorSettings,
    LiftingPeopleSettings,
    LiftingRun,
)
from smplifyx.training.lifting_detector import detect
from smplifyx.training.lifting_people import PoseSource, make_people
from smplifyx.training.lifting_report import plot_history, report
from smplifyx.training.lifting_trainer import LiftingTrainer
from smplifyx.training.vposer_config import VPoserData

_EXACT = LiftingDetectorSettings(
    body_jitter=0, hand_jitter=0, hidden_rate=0, no_hand_rate=0, cut_rate=0, side_cut_rate=0, exchange_rate=0
)
_RUN = LiftingRun(width=64, n_blocks=1, batch_size=64, steps_per_epoch=40, epochs=3, n_validation=300, averaging=0.9)
_CONFIG = LiftingConfig(people=LiftingPeopleSettings(count=1500), run=_RUN)


@pytest.fixture(scope="module")
def body():
    return load_body_model_data(find_body_model("smplx", "neutral", None))


@pytest.fixture(scope="module")
def people(body, motion_capture):
    settings = LiftingPeopleSettings(lying_share=0.0, distance=(3.0, 6.0))
    return make_people(body, PoseSource.of(motion_capture, VPoserData(), 0), settings, 400)


def test_people_stand_upright_in_the_middle_of_the_picture(people):
    middle = (people.points.amax(1) + people.points.amin(1)) / 2
    assert middle.abs().max() < 1e-3
    height = people.points[..., 1].amax(1) - people.points[..., 1].amin(1)
    assert height.min() > 0.1 and height.max() < 1.0
    head = people.joints[:, 14]  # the 15th body joint; y points down
    assert (head[:, 1] < -0.2).float().mean() > 0.95 and head[:, 2].abs().mean() < 0.3
    bones = (people.joints[:, 3] - people.joints[:, 0]).norm(dim=1)  # left knee from left hip
    assert bones.min() > 0.3 and bones.max() < 0.6


def test_an_exact_detector_changes_nothing_but_confidences(people):
    detections = detect(people.points, _EXACT)
    torch.testing.assert_close(detections.points, people.points)
    assert (detections.confidence > 0).float().mean() > 0.97  # a few are always missed
    assert detections.swapped_sides.sum() == 0


def test_the_detector_errs_as_much_as_it_is_told(people):
    torch.manual_seed(0)
    box = (people.points.amax(1) - people.points.amin(1)).amax(1)
    jitter = replace(_EXACT, body_jitter=0.01, jitter_spread=0.0)
    offsets = (detect(people.points, jitter).points - people.points)[:, :25] / box[:, None, None]
    knees = offsets[:, [10, 13]]
    assert knees.square().mean().sqrt().item() == pytest.approx(0.01, rel=0.1)
    assert offsets[:, 0].square().mean().sqrt() < 0.007 < 0.013 < offsets[:, 9].square().mean().sqrt()  # nose, hip
    cut = detect(people.points, replace(_EXACT, cut_rate=1.0)).confidence
    assert (cut[:, 11] == 0).float().mean() > 0.8 and (cut[:, 0] == 0).float().mean() < 0.1


def test_exchanged_limbs_come_with_their_hands(people):
    torch.manual_seed(0)
    detections = detect(people.points, replace(_EXACT, exchange_rate=1.0))
    assert (detections.swapped_sides.sum(1) == 1).all() and 0.4 < detections.swapped_sides[:, 0].mean() < 0.6
    arms = detections.swapped_sides[:, 0] > 0
    left, right = LIFTED_KEYPOINTS.index(7), LIFTED_KEYPOINTS.index(4)
    hand = slice(25, 28), slice(28, 31)
    torch.testing.assert_close(detections.points[arms][:, left], people.points[arms][:, right])
    torch.testing.assert_close(detections.points[arms][:, hand[0]], people.points[arms][:, hand[1]])
    torch.testing.assert_close(detections.points[~arms][:, left], people.points[~arms][:, left])


@pytest.fixture(scope="module")
def trained(body, motion_capture):
    trainer = LiftingTrainer(body, *motion_capture.split_random(0.2, "clip", 0), _CONFIG)
    for _ in trainer.epochs():
        pass
    return trainer


def test_training_learns_where_joints_are(trained, tmp_path):
    history = trained.history
    assert len(history.joints_mm) == 3
    assert history.validation[-1] < history.validation[0] and history.joints_mm[-1] < 0.9 * history.joints_mm[0]
    flat = 1000 * trained.validation.joints.norm(dim=2).mean()
    assert history.joints_mm[-1] < 0.7 * flat
    lines = report(trained.averaged, trained.validation)
    told = float(lines[1].split()[1])  # with the mirror image's help
    assert 0.9 * history.joints_mm[-1] < told < 1.02 * history.joints_mm[-1]
    plot_history(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(body, motion_capture, trained, tmp_path):
    split = motion_capture.split_random(0.2, "clip", 0)
    first = LiftingTrainer(body, *split, _CONFIG)
    next(first.epochs())
    first.save(tmp_path / "state.pt")
    again = LiftingTrainer(body, *split, _CONFIG)
    again.resume(tmp_path / "state.pt")
    for _ in again.epochs():
        pass
    np.testing.assert_allclose(again.history.validation, trained.history.validation, rtol=1e-6)
    other = LiftingTrainer(body, *split, replace(_CONFIG, run=replace(_RUN, learning_rate=1e-4)))
    with pytest.raises(InputError, match="other settings"):
        other.resume(tmp_path / "state.pt")
