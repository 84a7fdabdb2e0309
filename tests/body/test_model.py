"""The model function, and its written-out gradient against automatic differentiation of the textbook's loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import smplx.lbs
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.model import BodyModel, KinematicTree, articulate
from smplifyx.rotations import axis_angle_to_matrix
from tests.random_body import random_body_model

_TREES = {
    "smplx": skeleton.PARENTS,
    "one joint": (-1,),
    "chain": (-1, 0, 1, 2),
    "two roots, levels out of order": (-1, 0, 1, -1, 0, 3, 2),
}


def _textbook(
    parents: tuple[int, ...], weights: Tensor, rotations: Tensor, joints: Tensor, vertices: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Homogeneous transforms, one joint after another; vertices [3 V, B] as in `articulate`."""
    batch = len(rotations)
    last_row = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=joints.dtype).expand(batch, 1, 4)
    world: list[Tensor] = []
    for joint, parent in enumerate(parents):
        bone = joints[:, joint] - (joints[:, parent] if parent >= 0 else 0.0)
        local = torch.cat([torch.cat([rotations[:, joint], bone[..., None]], 2), last_row], 1)
        world.append(world[parent] @ local if parent >= 0 else local)
    transforms = torch.stack(world, 1)
    skinning = []
    for joint in range(len(parents)):
        back = torch.eye(4, dtype=joints.dtype).repeat(batch, 1, 1)
        back[:, :3, 3] = -joints[:, joint]
        skinning.append(transforms[:, joint] @ back)
    blended = torch.einsum("vj,bjik->bvik", weights, torch.stack(skinning, 1))
    points = vertices.T.unflatten(1, (-1, 3))
    posed = (blended[..., :3, :3] @ points[..., None])[..., 0] + blended[..., :3, 3]
    return transforms[..., :3, 3], posed, transforms[..., :3, :3]


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", _TREES)
def test_values_and_gradients_equal_the_textbooks(name, batch):
    parents, n_vertices = _TREES[name], 9
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = random(n_vertices, len(parents)).softmax(1)
    arguments = (
        axis_angle_to_matrix(random(batch, len(parents), 3)).requires_grad_(),
        random(batch, len(parents), 3).requires_grad_(),
        random(3 * n_vertices, batch).requires_grad_(),
    )
    ours = articulate(KinematicTree(parents).double(), weights, *arguments)
    theirs = _textbook(tuple(parents), weights, *arguments)
    factors = [random(*output.shape) for output in theirs]
    torch.testing.assert_close(tuple(ours), theirs, rtol=0, atol=1e-12)
    gradients = [
        torch.autograd.grad(sum((f * o).sum() for f, o in zip(factors, outputs, strict=True)), arguments)
        for outputs in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_the_gradient_of_vertices_alone_is_whole():
    """Outputs that a loss does not read arrive without a gradient."""
    tree, weights = KinematicTree((-1, 0)).double(), torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    rotations = axis_angle_to_matrix(torch.tensor([[[0.1, 0.2, 0.3], [0.5, 0.0, -0.4]]], dtype=torch.float64))
    joints = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=torch.float64)
    vertices = torch.tensor([[0.3], [1.2], [-0.1]], dtype=torch.float64).requires_grad_()
    ours, theirs = (
        articulate(tree, weights, rotations, joints, vertices),
        _textbook((-1, 0), weights, rotations, joints, vertices),
    )
    gradients = [torch.autograd.grad(posed.sum(), vertices) for posed in (ours.vertices, theirs[1])]
    torch.testing.assert_close(*gradients)


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
