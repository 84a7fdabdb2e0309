"""The written-out gradient of kinematics and skinning against automatic differentiation of the textbook's loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.model import KinematicTree, articulate
from smplifyx.rotations import axis_angle_to_matrix

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
