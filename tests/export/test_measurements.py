"""Measurements of bodies."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from smplifyx.errors import InputError
from smplifyx.export.measurements import _tape, half_range, measurements
from smplifyx.result import FitResult
from tests.export.people import fitted


def with_shape(first: float, second: float = 0.0, model_type: str = "smplx") -> FitResult:
    result = fitted(model_type)
    result.betas = np.float32([first, second, *np.zeros(8)])
    return result


def test_a_tape_round_a_cylinder() -> None:
    tube = trimesh.creation.cylinder(radius=0.2, height=1.0, sections=200)
    corners = tube.vertices[tube.faces][:, :, [0, 2, 1]]
    assert _tape(corners, 0.1) == pytest.approx(2 * np.pi * 0.2, rel=1e-3)
    assert _tape(corners, 2.0) == 0.0


def test_measurements_of_the_mean_body_are_those_of_people() -> None:
    found = measurements(with_shape(0.0))
    expected = {
        "height": (1.6, 1.85), "chest": (0.8, 1.15), "waist": (0.65, 1.0), "hips": (0.85, 1.15),
        "shoulders": (0.3, 0.42), "upper_arm": (0.22, 0.33),
        "forearm": (0.2, 0.3), "thigh": (0.35, 0.48), "shin": (0.35, 0.48),
    }  # fmt: skip
    assert found.keys() == expected.keys()
    assert all(low < found[name] < high for name, (low, high) in expected.items()), found
    assert found["waist"] < found["chest"] and found["waist"] < found["hips"]


def test_height_is_that_of_the_mesh_and_pose_does_not_matter() -> None:
    a, b = with_shape(1.5), with_shape(1.5)
    b.body_pose = b.body_pose * 0
    b.camera_translation = b.camera_translation + 1
    assert measurements(a) == measurements(b)
    body = a.body()
    import torch

    rest = body(betas=torch.as_tensor(a.betas)[None]).vertices[0, :, 1]
    assert measurements(a)["height"] == pytest.approx(float(rest.max() - rest.min()), abs=1e-6)


@pytest.mark.parametrize("model_type", ["smplh", "smpl"])
def test_other_bodies_measure_the_same(model_type: str) -> None:
    a, b = measurements(with_shape(0.0)), measurements(with_shape(0.0, model_type=model_type))
    assert all(a[name] == pytest.approx(b[name], abs=0.02) for name in a)


def test_a_hand_has_no_height() -> None:
    with pytest.raises(InputError, match="found mano"):
        measurements(fitted("mano"))


def test_uncertainty_is_half_of_the_range() -> None:
    assert half_range({"height": 1.7}, {"height": 1.8}, {"height": 1.65}) == {"height": pytest.approx(0.075)}
