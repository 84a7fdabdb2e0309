from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx.evaluation.runner import FittedPerson
from smplifyx.evaluation.views import FittedView, compare_view, view_agreement
from smplifyx.skeleton import BODY_KEYPOINT_NAMES
from smplifyx.tracking import View

POINTS = np.random.default_rng(0).normal(size=(80, 3))
HEADINGS = {"a": 0.0, "b": 90.0, "c": 215.0}


def camera(name):
    rotation = Rotation.from_euler("xy", [170.0, HEADINGS[name]], degrees=True).as_matrix()
    return View(name, None, rotation, np.array([0.0, 1.0, 4.0]))


SCENE = SimpleNamespace(name="scene", cameras=[camera(name) for name in HEADINGS])


def view(name, turn=0.0, scene=SCENE, betas=0.0):
    """One body in the world as a camera sees it, itself turned by so many degrees before."""
    seen = camera(name)
    orientation = seen.rotation @ Rotation.from_euler("y", 30.0 + turn, degrees=True).as_matrix()
    result = SimpleNamespace(global_orient=Rotation.from_matrix(orientation).as_rotvec(), betas=np.full(10, betas))
    placed = POINTS @ orientation.T + seen.translation
    return FittedView(scene, FittedPerson(result, placed, placed[:55]), SimpleNamespace(view=name))


def test_equal_bodies_agree_from_all_sides():
    rows = view_agreement([view(name) for name in HEADINGS])
    assert [row["views"] for row in rows] == ["a b", "a c", "b c"]
    for row in rows:
        assert (row["surface_mm"], row["joints_mm"], row["shape"]) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
        assert row["turned_deg"] == pytest.approx(0.0, abs=1e-4)


def test_a_turned_body_shows_in_the_angle_alone():
    (row,) = view_agreement([view("a"), view("b", turn=25.0, betas=0.1)])
    assert row["turned_deg"] == pytest.approx(25.0)
    assert row["surface_mm"] == pytest.approx(0.0, abs=1e-6)
    assert row["shape"] == pytest.approx(0.1 * np.sqrt(10))


def test_scenes_are_kept_apart():
    other = SimpleNamespace(name="other", cameras=SCENE.cameras)
    assert view_agreement([view("a"), view("b", scene=other)]) == []


UPPER = [i for i, n in enumerate(BODY_KEYPOINT_NAMES) if not n.endswith(("hip", "knee", "ankle", "toe", "heel"))]
INDEX = {name: index for index, name in enumerate(BODY_KEYPOINT_NAMES)}


def standing() -> np.ndarray:
    """A straight person who faces +z, left at +x, y up."""
    points = np.random.default_rng(0).normal(scale=0.05, size=(25, 3)) + np.array([0.0, 1.4, 0.0])
    heights = {"hip": 0.9, "knee": 0.5, "ankle": 0.1, "shoulder": 1.4}
    for side, x in (("left", 0.12), ("right", -0.12)):
        for joint, y in heights.items():
            points[INDEX[f"{side}_{joint}"]] = [x, y, 0.0]
        points[INDEX[f"{side}_big_toe"]] = [x, 0.0, 0.2]
    points[INDEX["mid_hip"]] = [0.0, 0.9, 0.0]
    points[INDEX["neck"]] = [0.0, 1.4, 0.0]
    return points


def in_camera(points: np.ndarray) -> np.ndarray:
    return Rotation.from_euler("yx", [30, 170], degrees=True).apply(points) + np.array([0.2, 1.0, 4.0])


def test_a_perfect_fit_has_no_errors():
    errors = compare_view("a", in_camera(standing()), in_camera(standing())).row()
    for name, value in errors.items():
        if name not in ("view", "n_joints"):
            assert value == pytest.approx(0.0, abs=1e-5), name


def test_leaning_forward_is_positive():
    leaning = standing()
    pivot = leaning[INDEX["mid_hip"]].copy()
    turn = Rotation.from_euler("x", 20, degrees=True)  # y towards +z: forward
    leaning[UPPER] = turn.apply(leaning[UPPER] - pivot) + pivot
    posture = compare_view("a", in_camera(leaning), in_camera(standing())).posture
    assert posture.lean == pytest.approx(20.0, abs=1e-6)
    assert posture.trunk_angle == pytest.approx(20.0, abs=1e-6)
    assert posture.heading == pytest.approx(0.0, abs=1e-6)


def test_bent_knee_and_turned_body():
    bent = standing()
    bent[INDEX["left_ankle"]] = bent[INDEX["left_knee"]] + 0.4 * np.array(
        [0.0, -np.cos(np.radians(35)), -np.sin(np.radians(35))]
    )
    posture = compare_view("a", in_camera(bent), in_camera(standing())).posture
    assert posture.left_knee == pytest.approx(35.0)
    assert posture.right_knee == pytest.approx(0.0, abs=1e-5)
    turned = Rotation.from_euler("y", -25, degrees=True).apply(standing())  # +z towards -x: to the right
    away = np.array([0.0, 0.0, 4.0])
    assert compare_view("a", turned + away, standing() + away).posture.heading == pytest.approx(25.0)


def test_alignments_take_out_what_they_name():
    true = in_camera(standing())
    moved = 1.2 * Rotation.from_euler("z", 10, degrees=True).apply(true)
    errors = compare_view("a", moved, true)
    assert errors.pa_mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert errors.rigid_mpjpe_mm > 50.0
    assert errors.depth_error_percent == pytest.approx(20.0)


def test_missing_joints_are_left_out():
    true = in_camera(standing())
    true[INDEX["left_ankle"]] = np.nan
    errors = compare_view("a", in_camera(standing()), true)
    assert errors.n_joints == 24
    assert errors.pa_mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(errors.posture.left_knee)
