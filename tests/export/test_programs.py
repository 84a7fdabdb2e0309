"""Layouts of other research programs, read as their readers do and posed by the smplx package."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.calibration.other_formats import read_easymocap
from smplifyx.cli.main import main
from smplifyx.errors import InputError
from smplifyx.export.motion import Motion
from smplifyx.export.programs import agora_bytes, easymocap_files, exavatar_files, talkshow_bytes
from tests.export.people import fitted, motion

smplx = pytest.importorskip("smplx", reason="poses the files by the smplx package")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    assert main(["models", "export", str(folder), "--gender", "neutral"]) == 0
    return folder


@pytest.fixture(scope="module")
def with_mean_hands(models: Path) -> Any:
    """``smplx.create(..., use_pca=False)``, as AGORA, TalkSHOW and ExAvatar call it."""
    return smplx.create(str(models), model_type="smplx", gender="neutral", ext="npz", use_pca=False, num_pca_comps=12)


@pytest.fixture(scope="module")
def moving() -> Motion:
    """Frames 0 and 2, hands within their pose space, the principal point off the middle."""
    results = motion(2, principal_point=(300.0, 260.0)).results
    for one in results:
        for side in ("left", "right"):
            hand = one.body_data().hand(side)
            coefficients = getattr(one, f"{side}_hand_pca")
            pose = hand.mean + coefficients @ hand.components[: len(coefficients)]
            setattr(one, f"{side}_hand_pose", pose.astype(np.float32))
        one.joints = one.body()(**one.parameters).joints[0].numpy()
    return Motion(motion().key, results, (0, 2))


def posed(model: Any, **arrays: Any) -> np.ndarray:
    """Vertices [V, 3] of one person."""
    tensors = {name: torch.as_tensor(np.asarray(array, np.float32)).reshape(1, -1) for name, array in arrays.items()}
    return model(**tensors).vertices[0].detach().numpy()


def test_agora(moving: Motion, with_mean_hands: Any) -> None:
    values = pickle.loads(agora_bytes(moving))
    assert (values["gender"], values["num_betas"], values["pose2rot"]) == ("neutral", 10, True)
    shapes = {name: array.shape for name, array in values["params"].items()}
    assert shapes == {
        "transl": (1, 3), "betas": (1, 10), "expression": (1, 10), "global_orient": (1, 3), "body_pose": (1, 63),
        "left_hand_pose": (1, 45), "right_hand_pose": (1, 45), "leye_pose": (1, 3), "reye_pose": (1, 3),
        "jaw_pose": (1, 3),
    }  # fmt: skip
    first = moving.first
    np.testing.assert_allclose(posed(with_mean_hands, **values["params"]), first.vertices, atol=1e-4)
    assert values["joints"].shape == (24, 2)
    found = pixels_of(first.joints[:24], first.camera.center, first.camera.focal_length)
    np.testing.assert_allclose(values["joints"], found, atol=0.01)


def pixels_of(points: np.ndarray, center: Any, focal_length: Any) -> np.ndarray:
    """Pixels of points in the camera frame by OpenCV, which counts from the centre of the first pixel."""
    (fx, fy), (cx, cy) = focal_length, center
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return cv2.projectPoints(points.astype(np.float64), np.zeros(3), np.zeros(3), matrix, None)[0][:, 0]


def test_talkshow(moving: Motion, with_mean_hands: Any) -> None:
    clip = pickle.loads(talkshow_bytes(moving))
    order = (
        "jaw_pose", "leye_pose", "reye_pose", "global_orient", "body_pose_axis", "left_hand_pose", "right_hand_pose",
    )  # fmt: skip
    body = np.concatenate([clip[name] for name in order], axis=1)  # as the reader does
    assert body.shape == (2, 99) and clip["expression"].shape == (2, 100) and clip["betas"].shape == (1, 300)
    assert not clip["betas"][:, 10:].any() and not clip["expression"][:, 10:].any()
    for row, one in enumerate(moving.results):
        jaw, left_eye, right_eye, root = body[row, :12].reshape(4, 3)
        hands = {
            f"{side}_hand_pose": body[row, start : start + 12]
            @ getattr(with_mean_hands, f"np_{side}_hand_components")
            for side, start in (("left", 75), ("right", 87))
        }
        vertices = posed(
            with_mean_hands, betas=clip["betas"][:, :10], expression=clip["expression"][row, :10], jaw_pose=jaw,
            leye_pose=left_eye, reye_pose=right_eye, global_orient=root, body_pose=body[row, 12:75],
            transl=clip["transl"][row], **hands,
        )  # fmt: skip
        np.testing.assert_allclose(vertices, one.vertices, atol=1e-4)


def test_exavatar(moving: Motion, with_mean_hands: Any) -> None:
    files = exavatar_files(moving)
    assert set(files) == {
        f"{kind}/{frame}.json" for kind in ("smplx_optimized/smplx_params_smoothed", "cam_params") for frame in (0, 2)
    }
    names = {
        "root_pose": "global_orient", "body_pose": "body_pose", "jaw_pose": "jaw_pose", "leye_pose": "leye_pose",
        "reye_pose": "reye_pose", "lhand_pose": "left_hand_pose", "rhand_pose": "right_hand_pose",
        "expr": "expression", "trans": "transl",
    }  # fmt: skip
    sizes = {"root_pose": 3, "body_pose": 63, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "lhand_pose": 45,
             "rhand_pose": 45, "expr": 50, "trans": 3}  # fmt: skip
    for frame, one in zip((0, 2), moving.results, strict=True):
        pose = json.loads(files[f"smplx_optimized/smplx_params_smoothed/{frame}.json"])
        assert {name: np.size(array) for name, array in pose.items()} == sizes
        pose["expr"] = pose["expr"][:10]
        vertices = posed(with_mean_hands, betas=moving.betas, **{names[name]: pose[name] for name in pose})
        np.testing.assert_allclose(vertices, one.vertices, atol=1e-4)
        camera = json.loads(files[f"cam_params/{frame}.json"])
        assert (camera["R"], camera["t"]) == (np.eye(3).tolist(), [0, 0, 0])
        found = pixels_of(vertices, camera["princpt"], camera["focal"])
        np.testing.assert_allclose(found, one.camera.project(one.vertices) + 0.5, atol=0.1)


def test_easymocap(moving: Motion, models: Path, tmp_path: Path) -> None:
    files = easymocap_files([moving])
    assert set(files) == {*(f"smpl/{frame:06d}.json" for frame in range(3)), "intri.yml", "extri.yml"}
    assert json.loads(files["smpl/000001.json"]) == []
    model = smplx.create(
        str(models), model_type="smplx", gender="neutral", ext="npz", use_pca=False, flat_hand_mean=True
    )
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (view,) = read_easymocap(tmp_path / "intri.yml", tmp_path / "extri.yml")
    assert view.camera is not None
    for frame, one in zip((0, 2), moving.results, strict=True):
        (person,) = json.loads(files[f"smpl/{frame:06d}.json"])
        values = {name: np.array(value) for name, value in person.items() if name != "id"}
        shapes = {name: value.shape for name, value in values.items()}
        assert person["id"] == 0
        assert shapes == {"Rh": (1, 3), "Th": (1, 3), "poses": (1, 165), "shapes": (1, 10), "expression": (1, 10)}
        poses = values["poses"][0]
        assert not poses[:3].any()
        still = posed(
            model, betas=values["shapes"], expression=values["expression"], global_orient=poses[:3],
            body_pose=poses[3:66], jaw_pose=poses[66:69], leye_pose=poses[69:72], reye_pose=poses[72:75],
            left_hand_pose=poses[75:120], right_hand_pose=poses[120:],
        )  # fmt: skip
        vertices = Rotation.from_rotvec(values["Rh"][0]).apply(still) + values["Th"]
        np.testing.assert_allclose(vertices, one.vertices, atol=1e-4)
        np.testing.assert_allclose(view.camera.project(vertices), one.camera.project(one.vertices), atol=0.1)


def test_smpl_for_easymocap() -> None:
    (person,) = json.loads(easymocap_files([motion(model_type="smpl")])["smpl/000000.json"])
    assert np.shape(person["poses"]) == (1, 72) and "expression" not in person


def test_other_models_are_refused() -> None:
    hand, body = motion(model_type="mano"), motion(model_type="smplh")
    with pytest.raises(InputError, match="found mano"):
        easymocap_files([hand])
    for write in (agora_bytes, talkshow_bytes, exavatar_files):
        with pytest.raises(InputError, match="expected smplx, found smplh"):
            write(body)


def test_frames_of_an_earlier_export_are_removed(tmp_path: Path) -> None:
    for number in range(2):
        fitted(seed=number).save(tmp_path / "results" / f"frame_{number}" / "000.npz")
    export = ["export", str(tmp_path), "--format", "exavatar", "easymocap", "talkshow", "agora"]
    assert main([*export, "--fps", "30"]) == 0
    folder = tmp_path / "exports"
    frames = folder / "animation_000_exavatar" / "cam_params"
    assert sorted(path.name for path in frames.iterdir()) == ["0.json", "1.json"]
    assert sorted(path.name for path in folder.glob("*.pkl")) == [
        "animation_000_talkshow.pkl", "frame_0_personId_0.pkl", "frame_1_personId_0.pkl"
    ]  # fmt: skip
    own = folder / "animation_easymocap" / "annots" / "000001.json"  # EasyMocap's keypoints lie beside ours
    own.parent.mkdir()
    own.write_text("{}")
    assert main([*export, "--fps", "30", "--photo", "frame_0"]) == 0
    assert own.exists()
    assert [path.name for path in frames.iterdir()] == ["0.json"]
    assert [path.name for path in (folder / "animation_easymocap" / "smpl").iterdir()] == ["000000.json"]
