"""The comparison of body-pose priors on small fits, its joint limits, and its table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.config import Override, load_config
from smplifyx.evaluation.posture import hinge_bends
from smplifyx.evaluation.trials import PriorFigures, evaluate_people, evaluate_views, fit_and_score, prior_table
from smplifyx.evaluation.view_scenes import seated_scene
from smplifyx.evaluation.views import fit_views, view_rows
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from tests.evaluation.view_folders import seated_folder


@pytest.fixture(scope="module")
def config():
    overrides = [("optimizer.max_iterations", "2"), ("priors.body_pose", "l2")]
    return load_config(None, [Override(*pair) for pair in overrides])


def test_hinge_bends_finds_the_knee_that_bends_forwards():
    pose = np.zeros((3, 21, 3))
    pose[:, skeleton.joint_index("left_knee") - 1, 0] = np.radians([40.0, -25.0, 0.0])
    pose[2, skeleton.joint_index("right_elbow") - 1, 1] = np.radians(-12.0)
    pose[:, skeleton.joint_index("left_hip") - 1, 0] = -1.5
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(3, 21, 3, 3)
    np.testing.assert_allclose(hinge_bends(rotations).max(1), [0.0, 25.0, 12.0], atol=1e-6)


def test_figures_are_those_of_the_other_evaluations(random_body, config):
    people = list(synthetic_people(random_body, 3, SyntheticOptions(seed=1)))
    figures = evaluate_people(random_body, config, people)
    rows = fit_and_score(random_body, config, people)
    np.testing.assert_allclose(figures.pa_v2v_mm, [row["pa_v2v_mm"] for row in rows])
    np.testing.assert_allclose(figures.pa_mpjpe_mm, [row["pa_mpjpe_mm"] for row in rows])
    assert figures.wrong_bend_deg.shape == (3,)


def test_views_are_those_of_the_other_evaluation(random_body, config, tmp_path):
    scenes = [seated_scene(seated_folder(tmp_path, 0.143))]
    figures = evaluate_views(random_body, config, scenes)
    rows = view_rows(fit_views(random_body, config, scenes))
    np.testing.assert_allclose(figures.pa_mpjpe_mm, [row["pa_mpjpe_mm"] for row in rows])
    np.testing.assert_allclose(figures.trunk_angle_deg, [row["trunk_angle_deg"] for row in rows])
    assert np.isnan(figures.pa_v2v_mm).all()


def test_table_compares_person_by_person_and_counts_bends():
    first = PriorFigures(*np.array([[40.0, 50.0], [30.0, 36.0], [-20.0, 11.0], [3.0, 5.0]]))
    second = PriorFigures(*np.array([[42.0, 56.0], [30.0, 36.0], [9.0, -1.0], [3.0, 5.0]]))
    lines = prior_table({"vposer": first, "gmm": second}).splitlines()
    assert lines[2] == "| vposer | 45.0 | 45.0 | 33.0 | 33.0 |  | 50 % (1) | 4.0 |"
    interval = 1.96 * np.std([2.0, 6.0], ddof=1) / np.sqrt(2)
    assert lines[3] == f"| gmm | 49.0 | 49.0 | 33.0 | 33.0 | +4.0 ± {interval:.1f} | 0 % (0) | 4.0 |"


def test_views_are_compared_by_their_joints():
    unknown = np.full(2, np.nan)
    first = PriorFigures(unknown, np.array([30.0, 36.0]), np.zeros(2), np.zeros(2))
    second = PriorFigures(unknown, np.array([31.0, 37.0]), np.zeros(2), np.zeros(2))
    assert "|  |  | 34.0 | 34.0 | +1.0 ± 0.0 |" in prior_table({"vposer": first, "none": second})
