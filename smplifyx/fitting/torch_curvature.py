"""Gauss-Newton matrices of the objective by torch operations on any device, as the native objective has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.model import BodyOutput
from smplifyx.collision.skinning import BoneStates
from smplifyx.constants import constant, index_of
from smplifyx.fitting.batch import InitialPose
from smplifyx.fitting.body_derivatives import BodyDerivatives, BodyTangents, DecodedFrames, cross_matrix
from smplifyx.fitting.native_objective import BoneResiduals, NativeTerms
from smplifyx.fitting.upright_stance import TILT_SEGMENTS
from smplifyx.priors.joint_limits import HINGES
from smplifyx.priors.vposer import FRAME_LIMIT
from smplifyx.skeleton import BODY_JOINTS

if TYPE_CHECKING:
    from smplifyx.fitting.state import BodyState, BodyView

#: Bodies whose derivatives are in memory at the same time on a GPU, half a megabyte each. On the CPU one by one: each
#: has the same bits then whatever the others are.
_AT_ONCE = 64


class TorchCurvature:
    """Gauss-Newton matrices of rows of x; methods as those of the native objective.

    Args:
        view: the body.
        terms: weights and data of all rows.
    """

    def __init__(self, view: BodyView, terms: NativeTerms) -> None:
        self._view, self._terms = view, terms
        self._tangents = BodyTangents(view, terms.free)

    def hessian_factors(self, x: Tensor, rows: Tensor, damping: float, extra: BoneResiduals | None = None) -> Tensor:
        """Upper Cholesky factors [A, F, F] of damped Gauss-Newton matrices at free parameters x [A, F]."""
        return damped_factors(self.gauss_newton(x, rows, extra)[0], damping).to(x)

    @property
    def unheld(self) -> Tensor:
        """Columns of the free parameters of which no squared sum is a term."""
        return self._terms.unheld

    @torch.no_grad()
    def gauss_newton(self, x: Tensor, rows: Tensor, extra: BoneResiduals | None = None) -> tuple[Tensor, Tensor]:
        """Gauss-Newton matrices [A, F, F] at free parameters x [A, F], and derivatives [A, 6 J, F] of the joints."""
        full = self._terms.x[rows].index_copy(1, self._terms.free, x.to(self._terms.x))
        more = None if extra is None else extra(_single(self._posed(full, rows).bones))
        matrices, joints = [], []
        for part in torch.arange(len(x), device=x.device).split(1 if x.device.type == "cpu" else _AT_ONCE):
            state = self._posed(full[part], rows[part])
            tangents = self._tangents(state, full[part], self._terms.translation[rows[part], 2])
            residuals = torch.cat(list(self._residuals(state, tangents, rows[part])), 1)
            if more is not None:
                residuals = torch.cat([residuals, self._of_bones(tangents, more[part])], 1)
            matrices.append(residuals.transpose(1, 2) @ residuals)
            joints.append(torch.cat([tangents.joints, tangents.spins], 1).flatten(1, 2))
        matrix = torch.cat(matrices)
        diagonal = matrix.diagonal(dim1=1, dim2=2)
        diagonal += 2.0 * self._terms.quadratic[self._terms.free]
        depth = self._tangents.translation[2] * self._terms.translation[rows, 2:]
        diagonal += 2.0 * self._terms.depth * depth.square() + 1e-6
        return matrix, torch.cat(joints)

    def _posed(self, full: Tensor, rows: Tensor) -> BodyState:
        terms = self._terms
        state = self._view.pose(full, InitialPose(terms.orientation[rows], terms.translation[rows]))
        return replace(state, contour_rows=terms.contour_rows[rows])

    def _residuals(self, state: BodyState, tangents: BodyDerivatives, rows: Tensor) -> Iterator[Tensor]:
        """Derivatives [A, R, F] of the residuals of each term, the sum of whose squares it is."""
        terms = self._terms
        yield self._of_keypoints(state, tangents, rows)
        if terms.trunk_tilt or terms.upright_stance:
            yield self._of_tilts(state, tangents, rows)
        if terms.lifting:
            lifted = tangents.joints[:, BODY_JOINTS] - tangents.joints[:, :1]
            yield ((2.0 * terms.lifting) ** 0.5 * terms.sqrt_precision[rows] @ lifted).flatten(1, 2)
        if terms.frames and tangents.frames is not None:
            yield self._of_frames(tangents.frames)
        if terms.joint_limits:
            yield self._of_hinges(state, tangents)

    def _of_keypoints(self, state: BodyState, tangents: BodyDerivatives, rows: Tensor) -> Tensor:
        terms, points = self._terms, state.keypoints
        change = self._keypoint_changes(tangents, state)
        depth = points[..., 2:]
        slopes = points[..., :2] / depth
        factor = terms.keypoint_weights[rows][..., None].expand_as(slopes)
        focal_length, scale = terms.focal_length[rows][:, None], terms.pixel_scale[rows][:, None, None]
        if terms.rho is not None:
            projected = slopes * focal_length + terms.principal_point[rows][:, None]
            squared = ((projected - terms.keypoints[rows]) * scale).square()
            factor = factor * (terms.rho**2 / (squared + terms.rho**2)).square()
        factor = (2.0 * factor).sqrt() * focal_length * scale / depth
        return (factor[..., None] * (change[:, :, :2] - slopes[..., None] * change[:, :, 2:])).flatten(1, 2)

    def _keypoint_changes(self, tangents: BodyDerivatives, state: BodyState) -> Tensor:
        """Derivatives [A, K, 3, F] of the keypoints, which are linear in joints and vertices."""
        n_free = tangents.joints.shape[3]
        joints, vertices, rotations = (
            part.movedim(3, 1).flatten(0, 1) for part in (tangents.joints, tangents.vertices, tangents.spins)
        )
        assert state.contour_rows is not None
        rows = state.contour_rows.repeat_interleave(n_free)
        changes = self._view.regressor(BodyOutput(joints, vertices, rotations), rows)
        return changes.unflatten(0, (-1, n_free)).movedim(1, 3)

    def _of_tilts(self, state: BodyState, tangents: BodyDerivatives, rows: Tensor) -> Tensor:
        """Each segment's weight is that of its term; the first segment is the trunk's tilt."""
        terms, joints = self._terms, state.joints
        first, last, limit, share = zip(*TILT_SEGMENTS, strict=True)
        starts, ends = (index_of(some, joints.device) for some in (first, last))
        limits, shares = (constant(some, joints) for some in (limit, share))
        weights = (terms.upright_stance * terms.stance[rows])[:, None] * shares
        weights[:, 0] = terms.trunk_tilt * shares[0]
        lines = joints[:, ends] - joints[:, starts]
        change = tangents.joints[:, ends] - tangents.joints[:, starts]
        length = lines.norm(dim=2)
        sine = lines[..., 2] / length
        robust = limits.square() / (sine.square() + limits.square())
        along = (lines[..., None] / length[..., None, None] * change).sum(2)
        factor = (2.0 * weights).sqrt() * robust / length
        return factor[..., None] * (change[:, :, 2] - sine[..., None] * along)

    def _of_frames(self, frames: DecodedFrames) -> Tensor:
        """Frames whose second vector has little that is not along the first."""
        first, second = frames.outputs.unbind(-1)
        axis = frames.rotations[..., 0]
        dot = (axis * second).sum(-1, keepdim=True)
        across = second - dot * axis
        turn_of_first = dot / first.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        change = frames.derivatives[..., 1, :] - turn_of_first[..., None] * frames.derivatives[..., 0, :]
        along = (across[..., None] * change).sum(2)
        lacking = across.square().sum(-1) < FRAME_LIMIT
        return 2.0 * (2.0 * self._terms.frames) ** 0.5 / FRAME_LIMIT * lacking[..., None] * along

    def _of_hinges(self, state: BodyState, tangents: BodyDerivatives) -> Tensor:
        residuals = []
        for joint, axis, sign in HINGES:
            a, b = (axis + 1) % 3, (axis + 2) % 3
            rotation = state.inputs.rotations[:, joint]
            turned = cross_matrix(tangents.turns[:, joint].transpose(1, 2)) @ rotation[:, None]  # [A, F, 3, 3]
            sine, cosine = rotation[:, b, a] - rotation[:, a, b], rotation[:, a, a] + rotation[:, b, b]
            energy = (2.0 * sign * torch.atan2(sine, cosine)).exp()
            factor = (4.0 * self._terms.joint_limits * energy).sqrt() / (cosine.square() + sine.square())
            change_of_sine = turned[..., b, a] - turned[..., a, b]
            change_of_cosine = turned[..., a, a] + turned[..., b, b]
            angle = cosine[:, None] * change_of_sine - sine[:, None] * change_of_cosine
            residuals.append(factor[:, None] * angle)
        return torch.stack(residuals, 1)

    def _of_bones(self, tangents: BodyDerivatives, more: Tensor) -> Tensor:
        """Residuals [A, E, F] of which the derivatives [A, E, 9 J + C] for bones are known."""
        n_joints = tangents.joints.shape[1]
        from_root = tangents.joints - tangents.joints[:, :1]
        rest = tangents.rest.expand(len(more), *tangents.rest.shape)
        shape = self._tangents.shape.expand(len(more), *self._tangents.shape.shape)
        bones = torch.cat([tangents.spins.flatten(1, 2), from_root.flatten(1, 2), rest, shape], 1)
        assert more.shape[2] == 9 * n_joints + shape.shape[1]
        return more.to(bones) @ bones


def _single(bones: BoneStates) -> BoneStates:
    return BoneStates(*(part.float().contiguous() for part in bones.parts))


def damped_factors(matrices: Tensor, damping: float) -> Tensor:
    """Upper Cholesky factors [A, F, F] of matrices whose diagonal is raised by a share."""
    raised = matrices.double()
    raised.diagonal(dim1=1, dim2=2).mul_(1.0 + damping)
    if raised.device.type == "cpu":  # each has the same bits alone, unlike torch's
        return torch.from_numpy(np.linalg.cholesky(raised.numpy(), upper=True)).to(matrices)
    return torch.linalg.cholesky_ex(raised, upper=True)[0].to(matrices)
