"""The scene of a clip: bodies and cameras in the world, y up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from smplifyx.calibration import CameraRig
from smplifyx.calibration.files import Up
from smplifyx.clips.files import scene_of_world
from smplifyx.sequence import TrackFit
from tests.random_result import random_result
from tests.tracking.walkers import cameras


@pytest.mark.parametrize("up", ["z", "y", "-y", None])
def test_cameras_see_the_bodies_of_the_scene_as_those_of_the_world(up: Up | None) -> None:
    views = cameras(3)
    result = random_result()
    result.camera_translation = result.camera_translation + np.array([0, 0, 3], np.float32)
    result.joints = result.joints + np.array([0, 0, 3], np.float32)
    fit = cast(TrackFit, SimpleNamespace(results=[result], track=SimpleNamespace(number=0, frames=[0])))
    (motion,), placed = scene_of_world([fit], CameraRig(tuple(views), up), views)
    world = views[0].to_world(result.joints.astype(np.float64))
    scene = motion.joints[0]
    if up is not None:
        axis = CameraRig((), up).up_vector
        np.testing.assert_allclose(scene[:, 1], world @ axis, atol=1e-4)
    for view, camera in zip(views, placed, strict=True):
        assert np.linalg.det(camera.rotation) == pytest.approx(1.0)
        local = (scene - camera.position) @ camera.rotation  # x right, y up, looks along -z
        np.testing.assert_allclose(local * [1, -1, -1], view.to_camera(world), atol=1e-4)


def test_the_body_is_posed_where_its_joints_are() -> None:
    views: list[Any] = cameras(2)
    result = random_result()
    fit = cast(TrackFit, SimpleNamespace(results=[result], track=SimpleNamespace(number=0, frames=[0])))
    (motion,), _ = scene_of_world([fit], CameraRig(tuple(views), "z"), views)
    moved = motion.first
    rest = result.joints[0] - result.camera_translation
    np.testing.assert_allclose(moved.joints[0], rest + moved.camera_translation, atol=1e-5)
