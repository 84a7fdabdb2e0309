from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smplifyx.camera import Camera
from smplifyx.config import load_config
from smplifyx.errors import InputError
from smplifyx.evaluation.ablations import FULL, BenchmarkFit, Trial
from smplifyx.evaluation.ehf_layout import Frame, FrameCamera, write_mesh
from smplifyx.evaluation.scores import Truths, result_row, rows_of, surface_between
from smplifyx.evaluation.vertex_sets import vertex_sets

TRIAL = Trial("a", FULL, load_config(), "true")


@pytest.fixture(scope="module")
def sets(open_body):
    return vertex_sets(open_body)


@pytest.fixture()
def frame(tmp_path, open_body):
    """The template, four metres before a camera."""
    write_mesh(tmp_path / "01_align.ply", open_body.v_template, open_body.faces)
    turned = np.diag([1.0, -1.0, -1.0])
    camera = FrameCamera(Camera(1000.0, (500.0, 500.0)), turned, np.array([0.0, 0.0, 4.0]))
    return Frame("01", Path("a"), Path("b"), tmp_path / "01_align.ply", camera, "male", ("seen from behind",))


@pytest.fixture(scope="module")
def coarse(open_body):
    """Another mesh over the same body: every third triangle, with corners of its own and the same pelvis."""
    corners = np.float64(open_body.v_template[open_body.faces[::3]].reshape(-1, 3))
    rest = np.float64(open_body.joint_regressor) @ open_body.v_template
    conditions = np.concatenate([np.ones((1, len(corners))), corners.T])
    regressor = np.zeros((55, len(corners)))
    regressor[0] = np.linalg.lstsq(conditions, np.append(1.0, rest[0]), rcond=None)[0]
    faces = np.arange(len(corners)).reshape(-1, 3)
    return replace(open_body, v_template=corners, faces=faces, joint_regressor=regressor)


def fit_of(frame, vertices, joints):
    return BenchmarkFit(SimpleNamespace(flags=("few_keypoints",), expected_error_mm=60.0), vertices, joints, frame)


def test_truth_itself_has_no_error(frame, open_body, sets):
    truths = Truths(open_body, {})
    truth = truths.of(frame)
    (row,) = rows_of(TRIAL, [fit_of(frame, truth.vertices, truth.joints)], truths, sets)
    assert row.pop("expected_error_mm") == 60.0
    figures = [value for name, value in row.items() if not isinstance(value, str) and name != "noise"]
    np.testing.assert_allclose(figures, 0.0, atol=1e-4)
    assert (row["tags"], row["flags"], row["variant"]) == ("seen-from-behind", "few_keypoints", "full")


def test_depth_and_size_are_told(frame, open_body, sets):
    truths = Truths(open_body, {})
    truth = truths.of(frame)
    grown = (truth.vertices - truth.joints[0]) * 1.1, (truth.joints - truth.joints[0]) * 1.1
    placed = [points + truth.joints[0] * 1.2 for points in grown]
    (row,) = rows_of(TRIAL, [fit_of(frame, *placed)], truths, sets)
    assert (row["size_percent"], row["depth_percent"]) == pytest.approx((10.0, 20.0))
    assert row["v2v"] == pytest.approx(0.0, abs=1e-4)


def test_a_failed_fit_is_a_row_without_figures(frame, open_body, sets):
    truths = Truths(open_body, {})
    truth = truths.of(frame)
    (good,) = rows_of(TRIAL, [fit_of(frame, truth.vertices, truth.joints)], truths, sets)
    (bad,) = rows_of(TRIAL, [fit_of(frame, truth.vertices * np.nan, truth.joints)], truths, sets)
    assert list(good) == list(bad)
    assert np.isnan(bad["v2v"])
    assert np.isnan(bad["lean_deg"])


def test_given_joints_go_before_regressed_ones(frame, open_body):
    joints = np.random.default_rng(0).normal(size=(55, 3))
    np.testing.assert_array_equal(Truths(open_body, {"01": joints}).of(frame).joints, joints)


def test_another_mesh_is_compared_on_the_surface(frame, open_body, sets, coarse):
    """A mesh of other vertices over the true surface has no error there; moved by its pelvis it has."""
    truths = Truths(open_body, {})
    truth = truths.of(frame)
    assert surface_between(open_body, open_body) is None
    surface = surface_between(coarse, open_body)
    assert surface.matched.mean() > 0.9
    vertices = coarse.v_template * [1.0, -1.0, -1.0] + [0.0, 0.0, 4.0]
    (row,) = rows_of(TRIAL, [fit_of(frame, vertices, truth.joints)], truths, sets, surface)
    assert row["v2v"] < 3.0
    assert np.isnan(row["pa_hands"])
    (bent,) = rows_of(TRIAL, [fit_of(frame, vertices * [1.0, 1.3, 1.0], truth.joints)], truths, sets, surface)
    assert bent["v2v"] > 20.0


def test_results_of_another_mesh_are_refused(frame, open_body, sets):
    with pytest.raises(InputError, match="10475"):
        result_row(frame, np.zeros((10475, 3)), Truths(open_body, {}), sets)
