"""The exported relatives give the same vertices and joints in the ``smplx`` package."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.plain_writing import write_plain
from smplifyx.body.search import OPEN_BODY_DIR

smplx = pytest.importorskip("smplx", reason="the package smplx is the second witness")

N_PEOPLE = 3
CASES = {
    "SMPL_MALE": (smplx.SMPL, "SMPL_MALE.pkl", {}),
    "SMPLH_FEMALE": (smplx.SMPLH, "SMPLH_FEMALE.pkl", {"use_pca": False, "flat_hand_mean": True, "ext": "pkl"}),
    "MANO_LEFT": (smplx.MANO, "MANO_LEFT.pkl", {"use_pca": False, "flat_hand_mean": True, "is_rhand": False}),
    "MANO_RIGHT": (smplx.MANO, "MANO_RIGHT.pkl", {"use_pca": False, "flat_hand_mean": True}),
    "FLAME_NEUTRAL": (smplx.FLAME, "FLAME_NEUTRAL.pkl", {"use_face_contour": False}),
}


def random_inputs(data: BodyModelData) -> dict[str, torch.Tensor]:
    random = np.random.default_rng(12)
    inputs = {"betas": random.normal(size=(N_PEOPLE, 10)), "transl": random.normal(size=(N_PEOPLE, 3))}
    if data.expression_dirs.shape[2]:
        inputs["expression"] = random.normal(size=(N_PEOPLE, 10))
    for group, joints in data.skeleton.pose_groups.items():
        inputs[group] = random.normal(0, 0.3, (N_PEOPLE, 3 * (joints.stop - joints.start)))
    return {name: torch.as_tensor(values).float() for name, values in inputs.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_same_vertices_and_joints(tmp_path, name: str) -> None:
    data = load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")
    kind, file_name, options = CASES[name]
    write_plain(data, tmp_path / file_name)
    # FLAME takes a folder alone.
    place = tmp_path if data.model_type == "flame" else tmp_path / file_name
    theirs = kind(str(place), gender=data.gender, batch_size=N_PEOPLE, **options)
    inputs = random_inputs(data)
    with torch.no_grad():
        expected = theirs(**inputs)
    pose = torch.cat([inputs[group] for group in data.skeleton.pose_groups], dim=1).reshape(-1, 3)
    rotations = torch.as_tensor(Rotation.from_rotvec(pose.numpy()).as_matrix()).float()
    found = BodyModel.from_data(data)(
        inputs["betas"],
        inputs.get("expression", torch.zeros(N_PEOPLE, 0)),
        rotations.reshape(N_PEOPLE, data.n_joints, 3, 3),
        inputs["transl"],
    )
    np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-5)
    np.testing.assert_allclose(found.joints, expected.joints[:, : data.n_joints], atol=1e-5)
    np.testing.assert_array_equal(theirs.faces, data.faces)
