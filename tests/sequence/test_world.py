"""Rows of the objective see the same bodies as cameras that look into the world."""

from __future__ import annotations

import numpy as np
import torch

from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.world import RestPelvis, ViewRows, WorldPoses, world_joints, world_poses
from tests.sequence.moving_people import around


def random_poses(fitter: Fitter, n_frames: int, seed: int = 0) -> WorldPoses:
    layout = fitter.solver.parameters.layout
    generator = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(n_frames, layout.n_parameters, generator=generator, dtype=torch.float64)
    for name in ("translation", "global_orient"):
        x[:, layout.slices[name]] = 0.0
    orientation = torch.linalg.qr(torch.randn(n_frames, 3, 3, generator=generator, dtype=torch.float64)).Q
    orientation = orientation * torch.linalg.det(orientation)[:, None, None]
    pelvis = torch.randn(n_frames, 3, generator=generator, dtype=torch.float64) * 0.3
    return WorldPoses(orientation, pelvis, x)


def test_rows_are_the_bodies_as_the_views_see_them(plain_fitter: Fitter) -> None:
    solver, views = plain_fitter.solver, around(3)
    layout = solver.parameters.layout
    rest = RestPelvis.of(solver.full_view.model, layout)
    poses = random_poses(plain_fitter, 2)
    seen = ViewRows(poses, views, rest, layout)
    generator = torch.Generator().manual_seed(1)
    x = poses.x + 0.1 * torch.randn(poses.x.shape, generator=generator, dtype=torch.float64)
    rows = seen.rows(x).float()
    state = solver.pose(rows, seen.initial.to(torch.float32))
    world = world_joints(solver, seen.poses(x)).numpy()
    for frame in range(2):
        for number, view in enumerate(views):
            np.testing.assert_allclose(
                state.joints[3 * frame + number].numpy(), view.to_camera(world[frame]), atol=1e-4
            )


def test_rows_lead_back_to_the_world(plain_fitter: Fitter) -> None:
    solver, views = plain_fitter.solver, around(2)
    layout = solver.parameters.layout
    rest = RestPelvis.of(solver.full_view.model, layout)
    poses = random_poses(plain_fitter, 3)
    seen = ViewRows(poses, views, rest, layout)
    back = world_poses(seen.rows(poses.x), seen.initial, views, torch.tensor([0, 1] * 3), rest, layout)
    torch.testing.assert_close(back.pelvis[::2], poses.pelvis)
    torch.testing.assert_close(back.pelvis[1::2], poses.pelvis)
    torch.testing.assert_close(back.orientation[1::2], poses.orientation)


def test_gradients_are_pulled_back_by_the_transposed_map(plain_fitter: Fitter) -> None:
    solver = plain_fitter.solver
    layout = solver.parameters.layout
    poses = random_poses(plain_fitter, 2)
    seen = ViewRows(poses, around(3), RestPelvis.of(solver.full_view.model, layout), layout)
    x = poses.x.clone().requires_grad_()
    rows = seen.rows(x)
    weights = torch.randn(rows.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (expected,) = torch.autograd.grad((rows * weights).sum(), x)
    torch.testing.assert_close(seen.pull(weights), expected)

    jacobian = torch.autograd.functional.jacobian(lambda one: seen.rows(one)[:3], poses.x)[:, :, 0]  # of frame 0
    matrices = torch.stack([weights[row, :, None] * weights[row] for row in range(6)])
    pulled = sum(jacobian[row].T @ matrices[row] @ jacobian[row] for row in range(3))
    torch.testing.assert_close(seen.pull_matrices(matrices)[0], pulled)
    torch.testing.assert_close(seen.pull_first(weights[::3, None])[0, 0], weights[0] @ jacobian[0])
