"""BVH, TRC, AMASS and pickles, read back and posed."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body import HandOptions, load_body_model
from smplifyx.camera import TURN_ABOUT_X
from smplifyx.errors import InputError
from smplifyx.export.amass import amass_bytes
from smplifyx.export.bvh import bvh_text
from smplifyx.export.motion import Motion, PersonKey, motions_of_frames, natural_order
from smplifyx.export.pickles import pickle_bytes
from smplifyx.export.trc import trc_text
from tests.export.people import fitted, motion


@pytest.fixture(scope="module")
def moving() -> Motion:
    """Three frames; the person is missing from frame 2."""
    three = motion(3)
    return Motion(three.key, three.results, (0, 1, 3))


def joints_of_bvh(text: str) -> tuple[list[str], list[str], np.ndarray]:
    """Names and world positions [T, J, 3] of the joints, and names of the joints with an end."""
    head, _, tail = text.partition("MOTION\n")
    names, parents, offsets, channels, ends = [], [], [], [], []
    stack: list[int] = []
    for words in (line.split() for line in head.splitlines()):
        if words[0] in ("ROOT", "JOINT"):
            names.append(words[1])
            parents.append(stack[-1] if stack else -1)
        elif words[0] == "{":
            stack.append(len(names) - 1)
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "End":
            ends.append(names[-1])
        elif words[0] == "OFFSET" and len(offsets) < len(names):
            offsets.append([float(word) for word in words[1:]])
        elif words[0] == "CHANNELS":
            channels.append(words[2:])
    lines = tail.splitlines()
    rows = np.array([[float(word) for word in line.split()] for line in lines[2:]])
    assert lines[0] == f"Frames: {len(rows)}"
    places = np.zeros((len(rows), len(names), 3))
    turns: list[Rotation] = []
    column = 0
    for joint, kinds in enumerate(channels):
        values = rows[:, column : column + len(kinds)]
        column += len(kinds)
        order = "".join(kind[0] for kind in kinds[-3:])
        local = Rotation.from_euler(order, values[:, -3:], degrees=True)
        parent = parents[joint]
        turns.append(local if parent < 0 else turns[parent] * local)
        moved = values[:, :3] if parent < 0 else places[:, parent] + turns[parent].apply(offsets[joint])
        places[:, joint] = moved
    return names, ends, places


def test_bvh_puts_the_joints_where_they_are(moving: Motion) -> None:
    text = bvh_text(moving, 25.0)
    assert "Frame Time: 0.04000000" in text
    names, ends, places = joints_of_bvh(text)
    order = [moving.body.joint_names.index(name) for name in names]
    expected = moving.posed(range(3))[0][:, order]
    assert len(places) == 4 and len(ends) == 15  # ten fingers, toes, eyes, jaw
    np.testing.assert_allclose(places / 100, expected[[0, 1, 1, 2]], atol=1e-5)


def test_trc_tells_joints_and_gaps(moving: Motion) -> None:
    lines = trc_text(moving, 50.0, "walk.trc").splitlines()
    assert lines[0].split("\t")[-1] == "walk.trc"
    names = [name for name in lines[3].split("\t")[2:] if name]
    assert dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True)) == {
        "DataRate": "50", "CameraRate": "50", "NumFrames": "4", "NumMarkers": str(len(names)), "Units": "mm",
        "OrigDataRate": "50", "OrigDataStartFrame": "1", "OrigNumFrames": "4",
    }  # fmt: skip
    rows = [line.split("\t") for line in lines[6:]]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"] and [float(row[1]) for row in rows] == [
        0,
        0.02,
        0.04,
        0.06,
    ]
    assert set(rows[2][2:]) == {""} and len({len(row) for row in rows}) == 1
    points = np.array(rows[3][2:], float).reshape(-1, 3) / 1000
    last = moving.results[2]
    np.testing.assert_allclose(points[:55], last.joints * TURN_ABOUT_X, atol=1e-6)
    keypoints = last.body()(**last.parameters).keypoints[0].numpy() * TURN_ABOUT_X
    heel = keypoints[last.body().keypoint_names.index("left_heel")]
    np.testing.assert_allclose(points[names.index("left_heel")], heel, atol=1e-5)
    assert len(set(names)) == len(names) and "mid_hip" not in names


@pytest.mark.parametrize("model_type", ["smplx", "smplh", "smpl"])
def test_amass_parameters_pose_the_body(model_type: str) -> None:
    moving = motion(2, model_type)
    with np.load(io.BytesIO(amass_bytes(moving, 30.0)), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    # what the SMPL-X add-on for Blender asks for, with its types
    assert arrays["trans"].shape == (2, 3) and arrays["betas"].shape == (10,)
    assert arrays["poses"].shape == (2, 3 * moving.data.n_joints)
    assert str(arrays["gender"]) == "neutral" and int(arrays["mocap_frame_rate"]) == 30
    parts = [
        arrays[name] for name in ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand") if name in arrays
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), arrays["poses"])
    groups = moving.first.skeleton.pose_groups
    poses = torch.as_tensor(arrays["poses"]).reshape(2, -1, 3)
    pose = {name: poses[:, joints].flatten(1) for name, joints in groups.items()}
    extra = {"expression": torch.as_tensor(arrays["expression"])} if "expression" in arrays else {}
    posed = moving.body(
        betas=torch.as_tensor(arrays["betas"])[None], transl=torch.as_tensor(arrays["trans"]), **pose, **extra
    )
    for frame in range(2):
        x, y, z = moving.fitted_vertices(frame).T
        np.testing.assert_allclose(posed.vertices[frame].numpy(), np.stack([x, -z, y], axis=1), atol=1e-4)


def test_amass_refuses_a_hand() -> None:
    with pytest.raises(InputError, match="found mano"):
        amass_bytes(motion(model_type="mano"), 30.0)


def test_smplx_pickle_poses_the_body() -> None:
    one = motion()
    values = pickle.loads(pickle_bytes(one, "smplx"))
    assert values.pop("gender") == "neutral"
    shapes = {"body_pose": 63, "left_hand_pose": 45, "right_hand_pose": 45, "transl": 3, "betas": 10, "jaw_pose": 3}
    assert all(values[name].shape == (1, size) for name, size in shapes.items())
    body = load_body_model("smplx", "neutral", hands=HandOptions(flat_mean=False))
    posed = body(**{name: torch.as_tensor(value) for name, value in values.items()})
    np.testing.assert_allclose(posed.vertices[0].numpy(), one.fitted_vertices(0), atol=1e-4)


def test_smplx_pickle_works_in_the_smplx_package(tmp_path) -> None:
    smplx = pytest.importorskip("smplx", reason="compares with the smplx package")
    from smplifyx.cli.main import main

    one = motion()
    assert main(["models", "export", str(tmp_path), "--gender", "neutral"]) == 0
    model = smplx.create(str(tmp_path), model_type="smplx", gender="neutral", ext="npz", use_pca=False)
    values = pickle.loads(pickle_bytes(one, "smplx"))
    values.pop("gender")
    posed = model(**{name: torch.as_tensor(value) for name, value in values.items()})
    np.testing.assert_allclose(posed.vertices[0].detach().numpy(), one.fitted_vertices(0), atol=1e-4)


def test_smplifyx_pickles_hold_only_numbers() -> None:
    one = motion()
    plain = pickle.loads(pickle_bytes(one, "smplifyx"))
    assert plain["body_pose"].shape == (1, 63) and plain["left_hand_pose"].shape == (1, 12)
    assert all(type(value) is np.ndarray and value.dtype == np.float32 for value in plain.values())
    points = one.first.joints @ plain["K"][0].T
    np.testing.assert_allclose(points[:, :2] / points[:, 2:], one.first.camera.project(one.first.joints), atol=0.01)
    with_code = pickle.loads(pickle_bytes(one, "vposer"))
    assert with_code["body_pose"].shape == (1, 32)
    one.first.body_pose_embedding = None
    with pytest.raises(InputError, match="did not use VPoser"):
        pickle_bytes(one, "vposer")


def test_people_of_frames_are_joined_by_their_numbers() -> None:
    a, b = fitted(seed=1), fitted(seed=2)
    frames = [{PersonKey(0): a}, {PersonKey(1): b, PersonKey(0): a}, {PersonKey(1): b}]
    first, second = motions_of_frames(frames)
    assert (first.key.number, first.frames, second.key.number, second.frames) == (0, (0, 1), 1, (1, 2))
    frames[1][PersonKey(0)] = fitted(seed=1, gender="male")
    with pytest.raises(InputError, match=r"person_0: expected one body model .* neutral"):
        motions_of_frames(frames)


def test_an_animation_has_the_median_shape() -> None:
    results = tuple(fitted(seed=seed) for seed in range(3))
    one = Motion(PersonKey(0), results, (0, 1, 2))
    np.testing.assert_allclose(one.betas, np.median([result.betas for result in results], axis=0))
    pelvis = np.stack([result.joints[0] for result in results]) * TURN_ABOUT_X
    np.testing.assert_allclose(one.posed(range(3))[0][:, 0], pelvis, atol=1e-5)


def test_frames_come_in_natural_order() -> None:
    assert sorted(["frame_10", "frame_9", "a", "frame_1b"], key=natural_order) == [
        "a",
        "frame_1b",
        "frame_9",
        "frame_10",
    ]
