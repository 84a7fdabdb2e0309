"""People for the lifting network, what a detector makes of them, and short training runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.errors import InputError
from smplifyx.lifting.network import LIFTED_KEYPOINTS, save_lifting
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES
from smplifyx.training.lifting import lifting_trainer, report
from smplifyx.training.lifting_people import PoseSource, make_people, observe
from smplifyx.training.settings import LiftingConfig, LiftingPeople, LiftingRun, PoseData

_NAMES = [CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS]
_RUN = LiftingRun(width=64, n_blocks=1, batch_size=64, steps_per_epoch=40, epochs=3, n_validation=300, averaging=0.9)
_CONFIG = LiftingConfig(people=LiftingPeople(count=1500), run=_RUN)


@pytest.fixture(scope="module")
def people(open_body, motion_capture):
    settings = LiftingPeople(lying_share=0.0, distance=(3.0, 6.0))
    return make_people(open_body, PoseSource.of(motion_capture, PoseData(), 0), settings, 400)


def test_people_stand_upright_in_the_middle_of_the_picture(people):
    middle = (people.points.amax(1) + people.points.amin(1)) / 2
    assert middle.abs().max() < 1e-3
    height = people.points[..., 1].amax(1) - people.points[..., 1].amin(1)
    assert height.min() > 0.1 and height.max() < 1.0
    head = people.joints[:, 14]  # the 15th body joint; y points down
    assert (head[:, 1] < -0.2).float().mean() > 0.95 and head[:, 2].abs().mean() < 0.3
    bones = (people.joints[:, 3] - people.joints[:, 0]).norm(dim=1)  # left knee from left hip
    assert bones.min() > 0.3 and bones.max() < 0.6


def test_the_body_hides_keypoints_behind_it(open_body, motion_capture):
    settings = LiftingPeople(lying_share=0.0, facing_share=1.0, facing_sd_deg=10.0, standing_share=1.0)
    facing = make_people(open_body, PoseSource.of(motion_capture, PoseData(), 0), settings, 200)
    hidden = dict(zip(_NAMES, facing.hidden.float().mean(0).tolist(), strict=True))
    assert facing.hidden.shape == facing.points.shape[:2]
    assert max(hidden[name] for name in ("nose", "left_knee", "right_big_toe")) < 0.1
    assert min(hidden[name] for name in ("left_heel", "right_heel")) > 0.5
    any_heading = make_people(
        open_body, PoseSource.of(motion_capture, PoseData(), 0), replace(settings, facing_share=0.0), 400
    )
    nose, eye = (any_heading.hidden[:, _NAMES.index(name)] for name in ("nose", "left_eye"))
    assert 0.3 < nose.float().mean() < 0.7
    assert eye[nose].float().mean() > 0.8


def test_detectors_miss_or_doubt_what_the_body_hides(people):
    config = replace(_CONFIG, people=replace(_CONFIG.people, all_visible_share=0.0, correlated_share=0.0))
    config = replace(config, detector=replace(config.detector, certain_rate=0.0))

    def mean_confidence(some, hidden):
        confidence = observe(some, config, np.random.default_rng(0)).features[:, 62:93]
        return confidence[hidden].mean().item()

    hidden = people.hidden
    assert mean_confidence(people, hidden) < 0.6 * mean_confidence(people, ~hidden)
    config = replace(config, people=replace(config.people, all_visible_share=1.0))
    without = replace(people, hidden=torch.zeros_like(hidden))
    assert mean_confidence(people, hidden) == mean_confidence(without, hidden)


def test_a_share_of_the_people_has_correlated_errors(people):
    exact = LiftingConfig().detector.scaled(0.0)
    config = replace(
        _CONFIG,
        people=replace(_CONFIG.people, correlated_share=0.25, focal_spread=0.0),
        detector=exact,
        correlated_detector=replace(exact, limb_jitter=0.05),
    )
    seen = observe(people, config, np.random.default_rng(0)).features[:, :62]
    without = replace(config, people=replace(config.people, correlated_share=0.0))
    expected = observe(people, without, np.random.default_rng(0)).features[:, :62]
    errors = (seen - expected).abs().amax(1)
    assert errors[:300].max() < 1e-5 and (errors[300:] > 1e-3).all()


@pytest.fixture(scope="module")
def trained(open_body, motion_capture):
    trainer = lifting_trainer(open_body, *motion_capture.split_random(0.2, "clip", 0), _CONFIG)
    list(trainer.epochs())
    return trainer


def test_training_reduces_the_error_of_joints(trained):
    validation, joints_mm = trained.history["validation"], trained.history["joints_mm"]
    assert len(joints_mm) == 3
    assert validation[-1] < validation[0] and joints_mm[-1] < joints_mm[0]
    people = trained.task.validation
    assert joints_mm[-1] < 0.8 * 1000 * people.joints.norm(dim=2).mean()
    lines = report(trained.best_network(), people)
    with_flip = float(lines[1].split()[1])
    assert 0.8 * joints_mm[-1] < with_flip < 1.1 * joints_mm[-1]


def test_a_resumed_run_ends_like_one_without_a_stop(open_body, motion_capture, trained, tmp_path):
    split = motion_capture.split_random(0.2, "clip", 0)
    first = lifting_trainer(open_body, *split, _CONFIG)
    next(first.epochs())
    first.save(tmp_path / "state.pt")
    again = lifting_trainer(open_body, *split, _CONFIG)
    again.resume(tmp_path / "state.pt")
    list(again.epochs())
    np.testing.assert_allclose(again.history["validation"], trained.history["validation"], rtol=1e-4)


def test_initial_weights_are_loaded_or_refused(open_body, motion_capture, trained, tmp_path):
    split = motion_capture.split_random(0.2, "clip", 0)
    save_lifting(tmp_path / "start.npz", trained.best_network(), "a test")
    started = replace(_CONFIG, run=replace(_RUN, initial_weights=tmp_path / "start.npz"))
    weight = lifting_trainer(open_body, *split, started).task.network.first.weight
    torch.testing.assert_close(weight, trained.best_network().first.weight, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match=r"start.npz: first.bias: expected a network of width 32"):
        lifting_trainer(open_body, *split, replace(started, run=replace(started.run, width=32)))
