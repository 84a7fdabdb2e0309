"""The comparison of body-pose priors on small fits, its joint limits, and its table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.config import Override, load_config
from smplifyx.evaluation import trials
from smplifyx.evaluation.posture import hinge_bends
from smplifyx.evaluation.runner import fit_with_body
from smplifyx.evaluation.view_scenes import seated_scene
from smplifyx.evaluation.views import fit_views, view_rows
from smplifyx.synthetic.documents import observation_of
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


def test_figures_are_those_of_the_other_evaluations(random_body, config, monkeypatch):
    people = list(synthetic_people(random_body, 3, SyntheticOptions(seed=1)))
    fits = fit_with_body(random_body, config, [observation_of(person) for person in people])
    monkeypatch.setattr(trials, "fit_with_body", lambda *arguments: fits)
    figures = trials.evaluate_people(random_body, config, people)
    rows = trials.fit_and_score(random_body, config, people)
    for name in ("pa_v2v_mm", "pa_mpjpe_mm", "trunk_angle_deg"):
        assert [row[name] for row in figures] == [row[name] for row in rows]
    assert [row["wrong_bend_deg"] for row in figures] == [trials.wrong_bend(fit.result) for fit in fits]


def test_views_are_those_of_the_other_evaluation(random_body, config, tmp_path, monkeypatch):
    views = fit_views(random_body, config, [seated_scene(seated_folder(tmp_path, 0.143))])
    monkeypatch.setattr(trials, "fit_views", lambda *arguments: views)
    figures = trials.evaluate_views(random_body, config, [])
    assert len(figures) == 6
    for name in ("pa_mpjpe_mm", "trunk_angle_deg"):
        assert [row[name] for row in figures] == [row[name] for row in view_rows(views)]
    assert np.isnan([row["pa_v2v_mm"] for row in figures]).all()


def rows_of(surface, joints, bends, trunk):
    columns = zip(surface, joints, bends, trunk, strict=True)
    return [dict(zip(trials.PRIOR_FIGURES, map(float, row), strict=True)) for row in columns]


def test_table_compares_person_by_person_and_counts_bends():
    first = rows_of([40, 50], [30, 36], [-20, 11], [3, 5])
    second = rows_of([42, 56], [30, 36], [9, -1], [3, 5])
    lines = trials.prior_table({"vposer": first, "gmm": second}).splitlines()
    assert lines[2] == "| vposer | 45.0 | 45.0 | 33.0 | 33.0 |  | 50 % (1) | 4.0 |"
    interval = 1.96 * np.std([2.0, 6.0], ddof=1) / np.sqrt(2)
    assert lines[3] == f"| gmm | 49.0 | 49.0 | 33.0 | 33.0 | +4.0 ± {interval:.1f} | 0 % (0) | 4.0 |"


def test_views_are_compared_by_their_joints():
    first = rows_of([np.nan] * 2, [30, 36], [0, 0], [0, 0])
    second = rows_of([np.nan] * 2, [31, 37], [0, 0], [7, np.nan])  # one truth shows no trunk
    assert "|  |  | 34.0 | 34.0 | +1.0 ± 0.0 | 0 % (0) | 7.0 |" in trials.prior_table(
        {"vposer": first, "none": second}
    )
