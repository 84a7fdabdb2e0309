import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx import skeleton
from smplifyx.body.model import BodyModel
from smplifyx.errors import InputError
from smplifyx.evaluation.vertex_sets import FACE_FILE, HANDS_FILE, J14_NAMES, JOINTS_FILE, vertex_sets
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses
from tests.random_body import random_body_model


@pytest.fixture(scope="module")
def sets(open_body):
    return vertex_sets(open_body)


@pytest.fixture(scope="module")
def posed(open_body):
    """Ten bodies with bent arms and legs: joints [10, 55, 3] and vertices [10, V, 3]."""
    pose = torch.zeros(10, 55, 3, dtype=torch.float64)
    pose[:, 1:22] = torch.as_tensor(mild_poses(10, 1.0).body_pose).reshape(10, 21, 3)
    zeros = torch.zeros(10, 10, dtype=torch.float64)
    output = BodyModel.from_data(open_body, torch.float64)(zeros, zeros, axis_angle_to_matrix(pose))
    return output.joints.numpy(), output.vertices.numpy()


def test_hands_and_face_lie_where_they_should(open_body, sets):
    rest = np.float64(open_body.joint_regressor) @ open_body.v_template
    left_wrist, neck = rest[skeleton.joint_index("left_wrist")], rest[skeleton.joint_index("neck")]
    assert open_body.v_template[sets.left_hand, 0].min() > left_wrist[0] - 0.03
    assert open_body.v_template[sets.right_hand, 0].max() < -(left_wrist[0] - 0.03)
    assert open_body.v_template[sets.face, 1].min() > neck[1] - 0.06
    assert len(sets.left_hand) == pytest.approx(len(sets.right_hand), abs=5)
    assert set(open_body.extra_point_vertices[-10:-5]) <= set(sets.left_hand)
    assert set(open_body.extra_point_vertices[:5]) <= set(sets.face)


def test_joints_of_posed_meshes_are_the_models(open_body, sets, posed):
    joints, vertices = posed
    errors = np.linalg.norm(sets.body_joints @ vertices - joints[:, :22], axis=-1)
    own = np.linalg.norm(np.float64(open_body.joint_regressor[:22]) @ vertices - joints[:, :22], axis=-1)
    assert errors.mean() < 0.006
    assert errors.max() < 0.04
    assert errors.mean() < own.mean()
    np.testing.assert_array_equal(sets.joints14[J14_NAMES.index("left_knee")], sets.body_joints[4])


def test_joint_is_found_by_name(sets, posed):
    joints, vertices = posed
    np.testing.assert_allclose(sets.joint("right_wrist", vertices), joints[:, 21], atol=0.01)


@pytest.fixture(scope="module")
def smplx_mesh():
    """A model with as many vertices as SMPL-X."""
    return replace(random_body_model(skeleton.N_SMPLX_VERTICES), name="SMPLX_NEUTRAL")


@pytest.fixture()
def files(tmp_path):
    joints14 = np.zeros((14, skeleton.N_SMPLX_VERTICES))
    joints14[np.arange(14), np.arange(14)] = 1.0
    (tmp_path / HANDS_FILE).write_bytes(pickle.dumps({"left_hand": np.arange(778), "right_hand": np.arange(778) + 9}))
    np.save(tmp_path / FACE_FILE, np.arange(5023))
    (tmp_path / JOINTS_FILE).write_bytes(pickle.dumps(joints14, protocol=2))
    return tmp_path


def test_files_are_used_for_smplx(smplx_mesh, files):
    sets = vertex_sets(smplx_mesh, [files / "elsewhere", files])
    assert (len(sets.left_hand), sets.right_hand[0], len(sets.face)) == (778, 9, 5023)
    np.testing.assert_array_equal(sets.joints14[3].nonzero()[0], [3])
    np.testing.assert_array_equal(sets.body_joints, np.float64(smplx_mesh.joint_regressor[:22]))
    assert HANDS_FILE in sets.source


def test_files_are_for_smplx_alone(open_body, files):
    assert "skinning weights" in vertex_sets(open_body, [files]).source


def test_incomplete_files_leave_the_weights(smplx_mesh, files):
    (files / FACE_FILE).unlink()
    assert "skinning weights" in vertex_sets(smplx_mesh, [files]).source


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (HANDS_FILE, pickle.dumps({"left_hand": np.arange(3)})),
        (HANDS_FILE, pickle.dumps({"left_hand": np.arange(3), "right_hand": np.array([20000])})),
        (JOINTS_FILE, pickle.dumps(np.zeros((14, 6890)))),
        (JOINTS_FILE, pickle.dumps(print)),
        (FACE_FILE, b"not an array"),
    ],
)
def test_damaged_files_are_named(smplx_mesh, files, name, content):
    (files / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        vertex_sets(smplx_mesh, [files])
