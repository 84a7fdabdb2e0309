"""The model function against smplx, scipy, finite differences and its own restricted form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import smplx.lbs
import torch
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.model import BodyModel
from tests.random_body import random_body_model


def _inputs(batch: int, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(seed)
    pose = generator.normal(size=(batch, skeleton.N_JOINTS, 3)) * 0.8
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(batch, -1, 3, 3)
    return {
        "betas": torch.tensor(generator.normal(size=(batch, 10))),
        "expression": torch.tensor(generator.normal(size=(batch, 10))),
        "rotations": torch.tensor(rotations),
        "translation": torch.tensor(generator.normal(size=(batch, 3))),
        "pose": torch.tensor(pose.reshape(batch, -1)),
    }


def _run(model: BodyModel, inputs: dict[str, torch.Tensor]):
    return model(*(inputs[name].to(model.template) for name in ("betas", "expression", "rotations", "translation")))


@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_agrees_with_the_smplx_package(dtype, tolerance):
    data = random_body_model()
    inputs = _inputs(4)
    output = _run(BodyModel.from_data(data, dtype), inputs)

    def tensor(array):
        return torch.tensor(np.asarray(array), dtype=torch.float64)

    directions = np.concatenate([data.shapedirs, data.expression_dirs], 2)
    vertices, joints = smplx.lbs.lbs(
        torch.cat([inputs["betas"], inputs["expression"]], 1),
        inputs["pose"],
        tensor(data.v_template),
        tensor(directions),
        tensor(data.posedirs.reshape(-1, data.posedirs.shape[2]).T),
        tensor(data.joint_regressor),
        torch.tensor(data.parents),
        tensor(data.skinning_weights),
    )
    translation = inputs["translation"][:, None]
    # smplx adds 1e-8 to each angle, which bounds the agreement in double precision.
    assert (output.vertices.double() - vertices - translation).abs().max() < max(tolerance, 1e-6)
    assert (output.joints.double() - joints - translation).abs().max() < max(tolerance, 1e-6)


@pytest.mark.parametrize("low_rank", [False, True])
def test_restricted_model_equals_the_full_one(low_rank):
    model = BodyModel.from_data(random_body_model(low_rank=low_rank), torch.float64)
    chosen = torch.tensor([5, 0, 199, 17])
    full, restricted = _run(model, _inputs(3)), _run(model.restrict(chosen), _inputs(3))
    torch.testing.assert_close(restricted.vertices, full.vertices[:, chosen], rtol=0, atol=1e-13)
    torch.testing.assert_close(restricted.joints, full.joints, rtol=0, atol=1e-13)


def test_low_rank_pose_blend_shapes_equal_their_dense_product():
    low_rank = random_body_model(low_rank=True)
    dense = replace(low_rank, posedirs=low_rank.posedirs @ low_rank.pose_projection, pose_projection=None)
    outputs = [_run(BodyModel.from_data(data, torch.float64), _inputs(2)).vertices for data in (low_rank, dense)]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)


def test_gradients_against_finite_differences():
    model = BodyModel.from_data(random_body_model(n_vertices=20 + 21, low_rank=True), torch.float64)
    inputs = _inputs(2)
    arguments = tuple(inputs[name].requires_grad_() for name in ("betas", "expression", "rotations", "translation"))
    assert torch.autograd.gradcheck(lambda *a: model(*a)[:2], arguments, atol=1e-6, fast_mode=True)


def test_root_turns_about_the_pelvis():
    model = BodyModel.from_data(random_body_model(), torch.float64)
    inputs = _inputs(1)
    pelvis = model.rest_joints(inputs["betas"], inputs["expression"])[:, 0]
    output = _run(model, inputs)
    torch.testing.assert_close(output.joints[:, 0], pelvis + inputs["translation"])


def test_a_parent_after_its_child_is_refused():
    data = random_body_model()
    parents = data.parents.copy()
    parents[3] = 7
    with pytest.raises(ValueError, match="joint 3 has parent 7"):
        BodyModel.from_data(replace(data, parents=parents))
