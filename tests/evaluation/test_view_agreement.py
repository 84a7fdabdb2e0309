from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx.evaluation.cameras import CalibratedCamera
from smplifyx.evaluation.runner import FittedPerson
from smplifyx.evaluation.views import FittedView, view_agreement

POINTS = np.random.default_rng(0).normal(size=(80, 3))
HEADINGS = {"a": 0.0, "b": 90.0, "c": 215.0}


def camera(name):
    rotation = Rotation.from_euler("xy", [170.0, HEADINGS[name]], degrees=True).as_matrix()
    return CalibratedCamera(name, np.eye(3), rotation, np.array([0.0, 1.0, 4.0]), np.zeros(5), (640, 480))


SCENE = SimpleNamespace(name="scene", cameras=[camera(name) for name in HEADINGS])


def view(name, turn=0.0, scene=SCENE, betas=0.0):
    """One body in the world as a camera sees it, itself turned by so many degrees before."""
    seen = camera(name)
    orientation = seen.rotation @ Rotation.from_euler("y", 30.0 + turn, degrees=True).as_matrix()
    result = SimpleNamespace(global_orient=Rotation.from_matrix(orientation).as_rotvec(), betas=np.full(10, betas))
    placed = POINTS @ orientation.T + seen.translation
    return FittedView(scene, FittedPerson(result, placed, placed[:55], placed), SimpleNamespace(view=name))


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
