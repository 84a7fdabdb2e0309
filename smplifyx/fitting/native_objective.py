"""The objective on the CPU as one native call a step: from rows of x to losses, gradients and Gauss-Newton matrices.

It computes what :class:`~smplifyx.fitting.objective.Objective` does one torch operation at a time, in a small share
of the time. The source is C++ and compiled by Warp for this processor when it is first needed. Rows are lanes of
vector registers, so a row has the same bits whatever the other rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates
from smplifyx.collision.warp_runtime import load_warp
from smplifyx.errors import UsageError
from smplifyx.fitting.native_source import LANES, objective_kernel
from smplifyx.fitting.upright_stance import TILT_SEGMENTS
from smplifyx.priors.joint_limits import HINGES
from smplifyx.priors.pose_space import BodyPosePrior
from smplifyx.priors.vposer import ResidualVPoser, VPoser
from smplifyx.skeleton import BODY_JOINTS

if TYPE_CHECKING:
    from smplifyx.fitting.state import BodyView, CollisionEnergy

_N_ADDRESSES, _N_SIZES, _N_WEIGHTS = 64, 40, 8
_ROW_DATA, _CALL, _LAYERS, _LAYERS_T, _LAYER_SIZES = 20, 35, 52, 58, 28
_MAX_LAYERS = 6
_BLOCK = 8
_FORWARD, _BACKWARD, _BOTH, _GAUSS_NEWTON = 0, 1, 2, 3


@dataclass(frozen=True)
class NativeTerms:
    """Squared weights of the terms, and the data of B rows.

    Attributes:
        quadratic: [D] of the squared parameters.
        joint_limits, trunk_tilt, upright_stance, lifting, depth: of the terms of these names.
        rho: scale of the robust keypoint error; None for a squared error.
        keypoints: [B, N, 2] observed, pixels.
        keypoint_weights: [B, N] factors of the squared errors.
        focal_length, principal_point: [B, 2] pixels.
        pixel_scale, stance: [B].
        lifted: [B, 21, 3].
        sqrt_precision: [B, 21, 3, 3].
        x: [B, D] all parameters.
        orientation: [B, 3, 3] starting orientation.
        translation: [B, 3] starting translation.
        contour_rows: [B] rows of the contour's table.
        free: [F] columns of x that move.
    """

    quadratic: Tensor
    joint_limits: float
    trunk_tilt: float
    upright_stance: float
    lifting: float
    depth: float
    rho: float | None
    keypoints: Tensor
    keypoint_weights: Tensor
    focal_length: Tensor
    principal_point: Tensor
    pixel_scale: Tensor
    stance: Tensor
    lifted: Tensor
    sqrt_precision: Tensor
    x: Tensor
    orientation: Tensor
    translation: Tensor
    contour_rows: Tensor
    free: Tensor


class NativeBody:
    """The constants of a restricted body for the native objective.

    Args:
        view: the body and its keypoints.
    """

    def __init__(self, view: BodyView) -> None:
        parameters, model, regressor = view.parameters, view.model, view.regressor
        self._kept: list[Any] = []
        self.addresses = np.zeros(_N_ADDRESSES, np.uint64)
        self.sizes = np.zeros(_N_SIZES, np.int32)
        self.n_joints, self.n_vertices, self.n_keypoints = model.n_joints, model.n_vertices, len(view.keypoints)
        slices, size = parameters.layout.slices, parameters.layout.n_parameters
        prior = parameters.prior if parameters.has_body else None
        n_body = BODY_JOINTS.stop - BODY_JOINTS.start if prior is not None else 0
        angle_map, angle_bias = parameters.angle_map()
        n_angles = len(angle_bias) // 3
        self.n_pose = model.pose_shapes.shape[0]
        n_feature = 9 * (model.n_joints - 1) if self.n_pose else 0
        self.n_shape = model.blend_shapes.shape[0]
        mode, n_code, layers, turns = _decoder(prior)
        pose = slices["body_pose"].start if prior is not None else 0
        segments = [segment for segment in TILT_SEGMENTS if prior is not None]
        hinges = [hinge for hinge in HINGES if prior is not None]
        self.n_residuals = 2 * self.n_keypoints + 3 * n_body + len(segments) + len(hinges)
        named = (
            0, size, 0, model.n_joints, n_body, mode, n_code, len(layers), model.n_joints - n_angles, n_angles,
            self.n_shape, slices["betas"].start, n_feature, self.n_pose, model.n_vertices, regressor.n_static,
            regressor.n_contour, pose, pose + n_code, slices["global_orient"].start, slices["translation"].start,
            0, 0, len(segments), len(hinges), n_body,
        )  # fmt: skip
        layer_sizes = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)] if layers else []
        self.sizes[: len(named)] = named
        self.sizes[_LAYER_SIZES : _LAYER_SIZES + len(layer_sizes)] = layer_sizes
        points = 3 * (model.n_joints + model.n_vertices)
        kept = size + sum(layer_sizes) + 27 * n_body + 3 * n_angles + 24 * model.n_joints + 9 + n_feature
        kept += self.n_pose
        kept += 2 * points + 6 * self.n_keypoints + 4 * len(hinges)
        spare = size + sum(layer_sizes) + 2 * points + 18 * model.n_joints + n_feature + self.n_pose
        spare += 3 * n_angles + 9 * n_body
        self.tile_size = kept + spare
        self.sizes[21] = self.tile_size
        self._gauss_newton = size + 2 * max([0, *layer_sizes]) + 9 * n_body + 3 * n_angles + 2 * points
        self._gauss_newton += 6 * model.n_joints
        entries = int(torch.count_nonzero(model.skinning_weights))
        scalars = 13 * model.n_joints + 3 * entries + 9 * (2 * n_body + n_angles + 1)
        self._gauss_newton += scalars // LANES + 6

        bias = torch.cat([model.joint_template, model.template])
        self._keep_map(0, torch.cat([model.joint_blend_shapes, model.blend_shapes], 1).T, bias)
        if self.n_pose:
            if model.pose_projection is not None:
                self._keep_map(2, model.pose_projection.T)
            self._keep_map(4, model.pose_shapes.T)
        if turns is not None:
            self._keep_map(6, *turns)
        self._keep_map(8, angle_map, angle_bias)
        self._keep(10, np.asarray(model.tree.parents, np.int32))
        self._keep_sparse(11, model.skinning_weights.numpy())
        self._keep_sparse(14, regressor.static_weights(model.n_joints, model.n_vertices))
        contour_vertices, contour_weights = regressor.contour_table()
        self._keep(17, contour_vertices.astype(np.int32))
        self._keep(18, contour_weights.astype(np.float32))
        rectifier = (prior.negative_slope, prior.rounding) if isinstance(prior, VPoser) else (0.0, 0.0)
        self._keep(19, np.array([*rectifier, 1.0 / max(rectifier[1], 1e-30)], np.float32))
        self._keep(32, np.array([(a, b) for a, b, *_ in segments], np.int32))
        self._keep(33, np.array([(tilt**2, share) for *_, tilt, share in segments], np.float32))
        self._keep(34, np.array([(joint, axis, round(sign)) for joint, axis, sign in hinges], np.int32))
        for number, (weight, offset) in enumerate(layers):
            self._keep(_LAYERS + number, _packed(weight, offset))
            self._keep(_LAYERS_T + number, _packed(weight.T, None))
        self._commands: dict[int, tuple[Any, ...]] = {}

    @staticmethod
    def supports(view: BodyView) -> bool:
        """Whether bodies of this kind are computed natively: single precision, on the CPU, with Warp installed."""
        template, parameters = view.model.template, view.parameters
        if template.device.type != "cpu" or template.dtype != torch.float32:
            return False
        try:
            load_warp()
        except UsageError:  # collisions need it too, and say so where they are wanted
            return False
        prior = parameters.prior if parameters.has_body else None
        layers = prior.decoder_layers() if isinstance(prior, VPoser) else []
        return len(layers) <= _MAX_LAYERS

    def _keep(self, place: int, array: np.ndarray) -> None:
        array = np.ascontiguousarray(array)
        self._kept.append(array)
        self.addresses[place] = array.ctypes.data

    def _keep_map(self, place: int, matrix: Tensor, bias: Tensor | None = None) -> None:
        weight = matrix.numpy()
        self._keep(place, _packed(weight, None if bias is None else bias.numpy()))
        self._keep(place + 1, _packed(weight.T, None))

    def _keep_sparse(self, place: int, matrix: np.ndarray) -> None:
        rows, columns = np.nonzero(matrix)
        self._keep(place, np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int32))
        self._keep(place + 1, columns.astype(np.int32))
        self._keep(place + 2, matrix[rows, columns].astype(np.float32))

    def workspace(self, n_rows: int) -> Tensor:
        """Memory for some rows."""
        return torch.empty(-(-n_rows // LANES) * LANES * self.tile_size)

    def scratch(self, n_free: int) -> Tensor:
        """Memory for the Gauss-Newton matrix of one row."""
        blocks = -(-n_free // LANES)
        return torch.empty(LANES * (blocks * (self.n_residuals + 2 * LANES * blocks) + self._gauss_newton))

    def launch(self, addresses: np.ndarray, sizes: np.ndarray, weights: np.ndarray, run: int) -> None:
        """Run with complete tables."""
        if not self._commands:
            warp = load_warp()
            tables = (
                warp.zeros(_N_ADDRESSES, dtype=warp.uint64, device="cpu"),
                warp.zeros(_N_SIZES, dtype=warp.int32, device="cpu"),
                warp.zeros(_N_WEIGHTS, dtype=warp.float32, device="cpu"),
            )
            command = warp.launch(objective_kernel(), 1, list(tables), device="cpu", record_cmd=True)
            self._commands[0] = (command, tables, [table.numpy() for table in tables])
        command, _, (to_addresses, to_sizes, to_weights) = self._commands[0]
        to_addresses[:], to_sizes[:], to_weights[:] = addresses, sizes, weights
        to_sizes[22] = run
        command.set_dim(1 if run == _GAUSS_NEWTON else -(-int(sizes[0]) // LANES))
        command.launch()


class NativeObjective:
    """Losses and gradients of rows of x.

    Args:
        body: the constants.
        terms: weights and data of all rows.
    """

    def __init__(self, body: NativeBody, terms: NativeTerms) -> None:
        self._body = body
        self._addresses, self._sizes = body.addresses.copy(), body.sizes.copy()
        self._weights = np.zeros(_N_WEIGHTS, np.float32)
        self._weights[:6] = (
            terms.rho or 0.0, terms.joint_limits, terms.trunk_tilt, terms.upright_stance, terms.lifting, terms.depth,
        )  # fmt: skip
        cameras = torch.cat([terms.focal_length, terms.principal_point, terms.pixel_scale[:, None]], 1)
        arrays = (
            terms.x, terms.orientation, terms.translation, terms.contour_rows.int(), terms.free.int(),
            terms.keypoints, terms.keypoint_weights, cameras, terms.stance, terms.lifted, terms.sqrt_precision,
            terms.quadratic,
        )  # fmt: skip
        self._kept = [array.contiguous() for array in arrays]
        for number, array in enumerate(self._kept):
            self._addresses[_ROW_DATA + number] = array.data_ptr()
        self.n_free = len(terms.free)
        self._sizes[2] = self.n_free

    def _call(self, run: int, rows: Tensor, *tensors: Tensor | None) -> None:
        table = self._addresses
        table[_CALL : _CALL + 15] = 0
        table[_CALL] = rows.data_ptr()
        for number, tensor in enumerate(tensors, 1):
            table[_CALL + number] = 0 if tensor is None else tensor.data_ptr()
        self._sizes[0] = len(rows)
        self._body.launch(table, self._sizes, self._weights, run)

    def evaluation(
        self, rows: Tensor, collision: CollisionEnergy | None, weight: float
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Losses [A] and gradients [A, F] of some rows [A] as a function of their free parameters [A, F].

        Args:
            rows: the rows.
            collision: energy of self-collisions; None leaves the term out.
            weight: its squared weight.
        """
        rows = rows.contiguous()
        workspace = self._body.workspace(len(rows))

        evaluate_collisions = None if collision is None else collision.evaluation(rows)

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            x = x.contiguous()
            loss, gradient = x.new_empty(len(x)), x.new_empty(len(x), self.n_free)
            if evaluate_collisions is None:
                self._call(_BOTH, rows, x, loss, gradient, workspace)
                return loss, gradient
            world, positions, rest, coefficients = bones = self._empty_bones(len(x))
            self._call(_FORWARD, rows, x, loss, gradient, workspace, *bones)
            energy, to_bones = evaluate_collisions(BoneStates(coefficients, world, positions, rest))
            parts = (to_bones.rotations, to_bones.positions, to_bones.rest_joints, to_bones.coefficients)
            weighted = [(weight * part).contiguous() for part in parts]
            self._call(_BACKWARD, rows, x, loss, gradient, workspace, None, None, None, None, *weighted)
            return loss + weight * energy, gradient

        return evaluate

    def _empty_bones(self, n_rows: int) -> tuple[Tensor, ...]:
        body = self._body
        return (
            torch.empty(n_rows, body.n_joints, 3, 3),
            torch.empty(n_rows, body.n_joints, 3),
            torch.empty(n_rows, body.n_joints, 3),
            torch.empty(n_rows, body.n_shape + body.n_pose),
        )

    def values(self, x: Tensor, rows: Tensor) -> Tensor:
        """Losses [A] of some rows [A] at free parameters [A, F]."""
        x, rows, loss = x.contiguous(), rows.contiguous(), x.new_empty(len(x))
        self._call(_FORWARD, rows, x, loss, None, self._body.workspace(len(rows)))
        return loss

    def inverse_hessians(self, x: Tensor, rows: Tensor, damping: float) -> Tensor:
        """Inverses [A, F, F] of damped Gauss-Newton matrices at free parameters x [A, F] of some rows [A].

        Args:
            x: the free parameters.
            rows: the rows.
            damping: share by which the diagonal is raised.
        """
        x, rows = x.contiguous(), rows.contiguous()
        matrices = x.new_empty(len(x), self.n_free, self.n_free)
        workspace, scratch = self._body.workspace(len(rows)), self._body.scratch(self.n_free)
        loss = x.new_empty(len(x))
        self._call(_FORWARD, rows, x, loss, None, workspace)
        self._weights[6] = damping
        self._call(
            _GAUSS_NEWTON, rows, x, loss, None, workspace, None, None, None, None, None, None, None, None, matrices,
            scratch,
        )  # fmt: skip
        return matrices


def _decoder(
    prior: BodyPosePrior | None,
) -> tuple[int, int, Sequence[tuple[np.ndarray, np.ndarray]], tuple[Tensor, Tensor] | None]:
    """Decoding of poses: the mode, the length of the learned code, its layers, and the affine map to turns."""
    if prior is None:
        return 0, 0, [], None
    if isinstance(prior, ResidualVPoser):
        basis = prior.residual_basis.T
        return 3, prior.n_embedding, prior.decoder_layers(), (basis, basis.new_zeros(len(basis)))
    if isinstance(prior, VPoser):
        return 2, prior.n_embedding, prior.decoder_layers(), None
    return 1, 0, [], (prior.basis.T, prior.mean)


def _packed(weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """A matrix [N, K] in blocks of eight outputs, [N / 8, K, 8], and its bias behind it; padded with zeros."""
    n_out, n_in = weight.shape
    n_blocks = -(-n_out // _BLOCK)
    padded = np.zeros((n_blocks * _BLOCK, n_in + 1), np.float32)
    padded[:n_out, :n_in] = weight
    if bias is not None:
        padded[:n_out, n_in] = bias
    blocks = padded[:, :n_in].reshape(n_blocks, _BLOCK, n_in).transpose(0, 2, 1)
    return np.concatenate([blocks.ravel(), padded[:, n_in]])
