"""People for the lifting network, what a detector makes of them, and short training runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.errors import InputError
from smplifyx.training.lifting_config import (
    LiftingConfig,
    LiftingPeopleSettings,
    LiftingRun,
)
from smplifyx.training.lifting_people import PoseSource, make_people
from smplifyx.training.lifting_report import plot_history, report
from smplifyx.training.lifting_trainer import LiftingTrainer
from smplifyx.training.vposer_config import VPoserData

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
