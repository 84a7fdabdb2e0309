"""Whole fits of every model of the family: the model's own keypoints, projected, bring its body back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body import Body
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.regressor import available_keypoints
from smplifyx.body.search import find_body_model
from smplifyx.camera import Camera
from smplifyx.config import Config, load_config
from smplifyx.evaluation.metrics import pa_v2v
from smplifyx.fitting import Fitter
from smplifyx.keypoints import Observation
from smplifyx.result import FitResult, field_shapes, load_result
from smplifyx.skeleton import N_KEYPOINTS

_FOCAL, _SIZE = 1000.0, 800
_CAMERA = Camera(_FOCAL, (_SIZE / 2, _SIZE / 2))
_N_PEOPLE = 4


@dataclass(frozen=True)
class Truth:
    """``vertices`` [B, V, 3] and ``joints`` [B, J, 3] in the camera frame, ``keypoints`` [B, 135, 3] in the image."""

    vertices: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray


def _load(kind: str) -> BodyModelData:
    model_type, _, side = kind.partition("_")
    return load_body_model_data(find_body_model(model_type, "neutral", side=side or None))


def _truth(data: BodyModelData) -> Truth:
    """People who face the camera more or less; hands from all sides."""
    rng = np.random.default_rng(5)
    poses: dict[str, torch.Tensor] = {}

    def uniform(size: int, *limits: float) -> np.ndarray:
        return rng.uniform(-1, 1, (_N_PEOPLE, size)) * np.array(limits)

    turns = Rotation.from_euler("xyz", uniform(3, 0.2, 0.5, 0.3)) if not data.side else Rotation.random(4, rng)
    upright = Rotation.from_rotvec([np.pi, 0, 0])
    body = Body(data, dtype=torch.float64)
    for name, size in body.pose_sizes.items():
        pose = np.zeros((_N_PEOPLE, size))
        if name == "global_orient":
            pose = (upright * turns).as_rotvec()
        elif name == "jaw_pose":
            pose[:, 0] = rng.uniform(0, 0.2, _N_PEOPLE)
        elif name == "body_pose":
            joints = data.skeleton.joint_names
            for side, sign in (("left", -1), ("right", 1)):
                pose[:, 3 * (joints.index(f"{side}_shoulder") - 1) + 2] = sign * rng.uniform(0.6, 1.1, _N_PEOPLE)
                pose[:, 3 * (joints.index(f"{side}_elbow") - 1) + 1] = sign * rng.uniform(0.2, 0.9, _N_PEOPLE)
                pose[:, 3 * (joints.index(f"{side}_knee") - 1)] = rng.uniform(0.1, 0.3, _N_PEOPLE)
        elif name.endswith("hand_pose"):
            hand = data.hand(data.side or name.split("_")[0])
            pose = hand.mean + 0.7 * rng.normal(size=(_N_PEOPLE, 6)) @ hand.components[:6]
        poses[name] = torch.as_tensor(pose)
    transl = np.array([0.05, 0.0, 0.6 if data.model_type in ("mano", "flame") else 4.0])
    betas = torch.as_tensor(0.7 * rng.normal(size=(_N_PEOPLE, 10)))
    posed = body(
        betas=betas, transl=torch.as_tensor(transl)[None], camera=torch.zeros(3, dtype=torch.float64), **poses
    )
    points = posed.keypoints.numpy()
    keypoints = np.zeros((_N_PEOPLE, N_KEYPOINTS, 3), np.float32)
    seen = list(available_keypoints(data))
    keypoints[:, seen, :2] = _FOCAL * points[..., :2] / points[..., 2:] + _SIZE / 2
    keypoints[:, seen, :2] += rng.normal(size=(_N_PEOPLE, len(seen), 2))
    keypoints[:, seen, 2] = 0.9
    return Truth(posed.vertices.numpy(), posed.joints.numpy(), keypoints)


def _observations(truth: Truth) -> list[Observation]:
    return [Observation(points, (_SIZE, _SIZE), _CAMERA, person_index=k) for k, points in enumerate(truth.keypoints)]


def _fit(data: BodyModelData, config: Config, truth: Truth) -> tuple[Fitter, list[FitResult]]:
    fitter = Fitter(data, config=config)
    return fitter, fitter.fit(_observations(truth))


@pytest.mark.parametrize(
    ("kind", "median_mm", "worst_mm"),
    [("smpl", 30, 60), ("smplh", 25, 60), ("mano_left", 5, 15), ("mano_right", 5, 15), ("flame", 4, 8)],
)
def test_known_bodies_are_recovered(kind, median_mm, worst_mm, tmp_path):
    data = _load(kind)
    truth = _truth(data)
    fitter, results = _fit(data, load_config(f"fit_{data.model_type}"), truth)
    vertices = fitter.vertices(results) + np.stack([one.camera_translation for one in results])[:, None]
    errors = pa_v2v(np.float64(vertices), truth.vertices)
    assert np.median(errors) < median_mm and max(errors) < worst_mm
    assert all(one.status == "ok" and one.reprojection_error_px < 5.0 for one in results)
    assert all(one.n_keypoints == len(available_keypoints(data)) for one in results)

    path = tmp_path / "000.npz"
    results[0].save(path)
    loaded = load_result(path)
    body = Body(data)
    parameters = {name: torch.as_tensor(getattr(loaded, name))[None] for name in (*body.pose_sizes, "betas")}
    parameters |= {"transl": torch.as_tensor(loaded.camera_translation)[None]}
    if data.expression_dirs.shape[2]:
        parameters["expression"] = torch.as_tensor(loaded.expression)[None]
    np.testing.assert_allclose(body(**parameters).joints[0], results[0].joints, atol=1e-4)
    np.testing.assert_allclose(body(**parameters).vertices[0], vertices[0], atol=1e-4)


def test_a_root_joint_off_the_origin_moves_the_start_with_it():
    """The licensed MANO has its wrist some 10 cm off the origin."""
    data = _load("mano_left")
    moved = replace(data, v_template=data.v_template + np.array([0.1, 0.02, -0.03]))
    truth = _truth(data)
    fitter, results = _fit(moved, load_config("fit_mano"), truth)
    vertices = fitter.vertices(results) + np.stack([one.camera_translation for one in results])[:, None]
    assert max(pa_v2v(np.float64(vertices), truth.vertices)) < 15
    assert np.abs(vertices - truth.vertices).mean() < 0.03


def test_results_hold_what_the_model_has():
    assert set(field_shapes(_load("smpl").skeleton)) >= {"betas", "global_orient", "body_pose"}
    assert field_shapes(_load("smpl").skeleton)["body_pose"] == (69,)
    names = {kind: set(field_shapes(_load(kind).skeleton)) for kind in ("smpl", "smplh", "mano_left", "flame")}
    common = set.intersection(*names.values())
    assert names["smpl"] - common == {"body_pose"}
    hands = {f"{side}_hand_{kind}" for side in ("left", "right") for kind in ("pose", "pca")}
    assert names["smplh"] - common == {"body_pose", *hands}
    assert names["mano_left"] - common == {"hand_pose", "hand_pca"}
    assert names["flame"] - common == {"expression", "neck_pose", "jaw_pose", "leye_pose", "reye_pose"}


def test_keypoints_that_a_model_lacks_change_nothing():
    data, config = _load("smpl"), load_config("fit_smpl", [])
    truth = _truth(data)
    _, without = _fit(data, config, truth)
    truth.keypoints[:, 30:] = [100.0, 100.0, 0.8]
    _, others = _fit(data, config, truth)
    for one, other in zip(without, others, strict=True):
        np.testing.assert_array_equal(one.body_pose, other.body_pose)
        assert one.n_keypoints == other.n_keypoints == 25
        assert np.isnan(other.projected_keypoints_2d[30:]).all()
        assert np.isfinite(other.expected_error_mm)


def test_smpl_keeps_its_hands_at_rest():
    data = _load("smpl")
    _, results = _fit(data, load_config("fit_smpl"), _truth(data))
    assert all(not one.body_pose[63:].any() and one.body_pose[:63].any() for one in results)
