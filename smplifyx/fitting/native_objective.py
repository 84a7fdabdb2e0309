"""The objective on the CPU as one native call a step: from rows of x to losses, gradients and Gauss-Newton matrices.

It computes what :class:`~smplifyx.fitting.objective.Objective` does one torch operation at a time, in a small share
of the time. The source is C++ and compiled by Warp for this processor when it is first needed. Rows are lanes of
vector registers, so a row has the same bits whatever the other rows are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates
from smplifyx.fitting.native_layers import decoder_of, layer_derivatives, packed_layer
from smplifyx.fitting.native_source import LANES, objective_source
from smplifyx.fitting.native_tables import ADDRESS_OF, ADDRESSES, MAX_LAYERS, RUNS, SIZE_OF, SIZES, WEIGHT_OF, WEIGHTS
from smplifyx.fitting.upright_stance import TILT_SEGMENTS
from smplifyx.native_function import NativeCall
from smplifyx.priors.joint_limits import HINGES
from smplifyx.priors.vposer import FRAME_LIMIT, VPoser
from smplifyx.skeleton import BODY_JOINTS
from smplifyx.warp_runtime import has_warp

if TYPE_CHECKING:
    from smplifyx.fitting.state import BodyView

_FORWARD, _BACKWARD, _BOTH, _GAUSS_NEWTON = range(len(RUNS))
_FIRST_CALL_ARRAY = ADDRESS_OF["rows"]

#: Energies [A] of A posed bodies, and their gradients.
BoneEnergy = Callable[[BoneStates], tuple[Tensor, BoneStates]]
#: Derivatives [A, E, 9 J + C] of E more residuals of A posed bodies for turns of the bones in the world, positions,
#: joints at rest, and shape and expression; None for no residuals.
BoneResiduals = Callable[[BoneStates], Tensor | None]


@dataclass(frozen=True)
class NativeTerms:
    """Squared weights of the terms, and the data of B rows.

    Attributes:
        quadratic: [D] of the squared parameters.
        joint_limits, trunk_tilt, upright_stance, lifting, depth: of the terms of these names.
        frames: of VPoser's degenerate frames.
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
    frames: float
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

    @property
    def unheld(self) -> Tensor:
        """Columns of the free parameters of which no squared sum is a term."""
        return self.free[self.quadratic[self.free] <= 0]


class NativeBody:
    """The constants of a restricted body for the native objective.

    Args:
        view: the body and its keypoints.
    """

    def __init__(self, view: BodyView) -> None:
        parameters, model, regressor = view.parameters, view.model, view.regressor
        self._kept: list[Any] = []
        self.addresses = np.zeros(len(ADDRESSES), np.uint64)
        self.sizes = np.zeros(len(SIZES), np.int32)
        self.n_joints, self.n_vertices, self.n_keypoints = model.n_joints, model.n_vertices, len(view.keypoints)
        slices, size = parameters.layout.slices, parameters.layout.n_parameters
        prior = parameters.prior if parameters.has_body else None
        n_body = BODY_JOINTS.stop - BODY_JOINTS.start if prior is not None else 0
        angle_map, angle_bias = parameters.angle_map()
        n_angles = len(angle_bias) // 3
        self.n_pose = model.pose_shapes.shape[0]
        n_feature = 9 * (model.n_joints - 1) if self.n_pose else 0
        self.n_shape = model.blend_shapes.shape[0]
        mode, n_code, layers, turns = decoder_of(prior)
        pose = slices["body_pose"].start if prior is not None else 0
        segments = [segment for segment in TILT_SEGMENTS if prior is not None]
        hinges = [hinge for hinge in HINGES if prior is not None]
        self.n_residuals = 2 * self.n_keypoints + 4 * n_body + len(segments) + len(hinges)
        code_blocks = 2 * -(-n_code // (2 * LANES))
        layer_sizes = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)] if layers else []
        self._set_sizes(
            D=size, J=model.n_joints, n_body=n_body, mode=mode, n_code=n_code, n_layers=len(layers),
            first_angle=model.n_joints - n_angles, n_angles=n_angles, C=self.n_shape,
            first_shape=slices["betas"].start, n_feature=n_feature, n_pose=self.n_pose, V=model.n_vertices,
            n_static=regressor.n_static, n_contour=regressor.n_contour, pose_start=pose, turn_start=pose + n_code,
            first_orient=slices["global_orient"].start, first_translation=slices["translation"].start,
            n_segments=len(segments), n_hinges=len(hinges), n_lifted=n_body,
            code_blocks=code_blocks,
            **{f"layer_size_{k}": number for k, number in enumerate(layer_sizes)},
        )  # fmt: skip
        points = 3 * (model.n_joints + model.n_vertices)
        kept = size + sum(layer_sizes) + 27 * n_body + 3 * n_angles + 24 * model.n_joints + 9 + n_feature
        kept += self.n_pose
        kept += 2 * points + 6 * self.n_keypoints + 4 * len(hinges)
        spare = size + sum(layer_sizes) + 2 * points + 18 * model.n_joints + n_feature + self.n_pose
        spare += 3 * n_angles + 9 * n_body
        self.tile_size = kept + spare
        self._set_sizes(ws_size=self.tile_size)
        self._gauss_newton = (
            size + (3 * code_blocks + 1) * max([0, *layer_sizes]) + 9 * n_body + 3 * n_angles + 2 * points
        )
        self._gauss_newton += 6 * model.n_joints
        entries = int(torch.count_nonzero(model.skinning_weights))
        scalars = 13 * model.n_joints + 3 * entries + 9 * (2 * n_body + n_angles + 1)
        self._gauss_newton += scalars // LANES + 6

        bias = torch.cat([model.joint_template, model.template])
        self._keep_map("template_map", torch.cat([model.joint_blend_shapes, model.blend_shapes], 1).T, bias)
        if self.n_pose:
            if model.pose_projection is not None:
                self._keep_map("projection", model.pose_projection.T)
            self._keep_map("pose_map", model.pose_shapes.T)
        if turns is not None:
            self._keep_map("turn_map", *turns)
        self._keep_map("angle_map", angle_map, angle_bias)
        self._keep("parents", np.asarray(model.tree.parents, np.int32))
        self._keep_sparse(("skin_start", "skin_joint", "skin_weight"), model.skinning_weights.numpy())
        static = regressor.static_weights(model.n_joints, model.n_vertices)
        self._keep_sparse(("static_start", "static_point", "static_weight"), static)
        contour_vertices, contour_weights = regressor.contour_table()
        self._keep("contour_vertex", contour_vertices.astype(np.int32))
        self._keep("contour_weight", contour_weights.astype(np.float32))
        rectifier = (prior.negative_slope, prior.rounding) if isinstance(prior, VPoser) else (0.0, 0.0)
        self._keep("rectifier", np.array([*rectifier, 1.0 / max(rectifier[1], 1e-30)], np.float32))
        self._keep("segments", np.array([(a, b) for a, b, *_ in segments], np.int32))
        self._keep("segment_shape", np.array([(tilt**2, share) for *_, tilt, share in segments], np.float32))
        self._keep("hinges", np.array([(joint, axis, round(sign)) for joint, axis, sign in hinges], np.int32))
        if layers:
            first, second = layer_derivatives([weight for weight, _ in layers], rectifier[0], code_blocks * LANES)
            self._keep("first_columns", first)
            self._keep("second_start", second)
        for number, (weight, offset) in enumerate(layers):
            self._keep(f"layer_{number}", packed_layer(weight, offset))
            self._keep(f"layer_{number}_t", packed_layer(weight.T, None))
        self._call: NativeCall | None = None

    @staticmethod
    def supports(view: BodyView) -> bool:
        """Whether bodies of this kind have native matrices: on the CPU, with Warp installed."""
        parameters = view.parameters
        if view.model.template.device.type != "cpu" or not has_warp():
            return False
        prior = parameters.prior if parameters.has_body else None
        layers = prior.decoder_layers() if isinstance(prior, VPoser) else []
        return len(layers) <= MAX_LAYERS

    def _set_sizes(self, **sizes: int) -> None:
        for name, number in sizes.items():
            self.sizes[SIZE_OF[name]] = number

    def _keep(self, name: str, array: np.ndarray) -> None:
        array = np.ascontiguousarray(array)
        self._kept.append(array)
        self.addresses[ADDRESS_OF[name]] = array.ctypes.data

    def _keep_map(self, name: str, matrix: Tensor, bias: Tensor | None = None) -> None:
        weight = matrix.numpy()
        self._keep(name, packed_layer(weight, None if bias is None else bias.numpy()))
        self._keep(f"{name}_t", packed_layer(weight.T, None))

    def _keep_sparse(self, names: tuple[str, str, str], matrix: np.ndarray) -> None:
        rows, columns = np.nonzero(matrix)
        start, column, value = names
        self._keep(start, np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int32))
        self._keep(column, columns.astype(np.int32))
        self._keep(value, matrix[rows, columns].astype(np.float32))

    def workspace(self, n_rows: int) -> Tensor:
        """Memory for some rows."""
        return torch.empty(-(-n_rows // LANES) * LANES * self.tile_size)

    def scratch(self, n_free: int, n_extra: int) -> Tensor:
        """Memory for the Gauss-Newton matrix of one row, with some more residuals."""
        blocks, n_residuals = -(-n_free // LANES), self.n_residuals + n_extra
        return torch.empty(LANES * (blocks * (n_residuals + LANES * blocks) + self._gauss_newton))

    def launch(self, addresses: np.ndarray, sizes: np.ndarray, weights: np.ndarray, run: int) -> None:
        """Run with complete tables."""
        if self._call is None:
            self._call = NativeCall(objective_source(), len(ADDRESSES), len(SIZES), len(WEIGHTS))
        sizes[SIZE_OF["run"]] = run
        n_tiles = -(-int(sizes[SIZE_OF["n_rows"]]) // LANES)
        self._call(1 if run == _GAUSS_NEWTON else n_tiles, addresses, sizes, weights)


class NativeObjective:
    """Losses and gradients of rows of x.

    Args:
        body: the constants.
        terms: weights and data of all rows.
    """

    def __init__(self, body: NativeBody, terms: NativeTerms) -> None:
        self._body, self._terms = body, terms
        self._addresses, self._sizes = body.addresses.copy(), body.sizes.copy()
        self._weights = np.zeros(len(WEIGHTS))
        self._set_weights(
            rho=terms.rho or 0.0, w_limits=terms.joint_limits, w_tilt=terms.trunk_tilt, w_stance=terms.upright_stance,
            w_lifting=terms.lifting, w_depth=terms.depth, w_frames=terms.frames, frame_limit=FRAME_LIMIT,
        )  # fmt: skip
        cameras = torch.cat([terms.focal_length, terms.pixel_scale[:, None]], 1)
        arrays = {
            "base": terms.x, "orientation": terms.orientation, "origin": terms.translation,
            "contour_row": terms.contour_rows.int(), "free_column": terms.free.int(), "targets": _rays(terms),
            "keypoint_weights": terms.keypoint_weights, "cameras": cameras, "stance": terms.stance,
            "lifted": terms.lifted, "precision": terms.sqrt_precision, "quadratic": terms.quadratic,
        }  # fmt: skip
        self._kept = {name: _single(array).contiguous() for name, array in arrays.items()}
        for name, array in self._kept.items():
            self._addresses[ADDRESS_OF[name]] = array.data_ptr()
        self.n_free, self.n_shape = len(terms.free), body.n_shape
        self._sizes[SIZE_OF["F"]] = self.n_free

    def _set_weights(self, **weights: float) -> None:
        for name, number in weights.items():
            self._weights[WEIGHT_OF[name]] = number

    def _call(self, run: int, rows: Tensor, x: Tensor, loss: Tensor, workspace: Tensor, **arrays: Tensor) -> None:
        """Run for some rows; ``arrays`` are more of the call by their names in the table."""
        table = self._addresses
        table[_FIRST_CALL_ARRAY:] = 0
        arrays.update(rows=rows, x_in=x, loss_out=loss, workspace=workspace)
        for name, tensor in arrays.items():
            table[ADDRESS_OF[name]] = tensor.data_ptr()
        self._sizes[SIZE_OF["n_rows"]] = len(rows)
        self._body.launch(table, self._sizes, self._weights, run)

    def evaluation(
        self, rows: Tensor, bone_energy: BoneEnergy | None = None
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Losses [A] and gradients [A, F] of some rows [A] as a function of their free parameters [A, F].

        Args:
            rows: the rows.
            bone_energy: gives more losses [A] of the posed bones, and their gradients.
        """
        rows = rows.contiguous()
        workspace = self._body.workspace(len(rows))

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            x = x.contiguous()
            loss, gradient = x.new_empty(len(x)), x.new_empty(len(x), self.n_free)
            if bone_energy is None:
                self._call(_BOTH, rows, x, loss, workspace, gradient_out=gradient)
                return loss, gradient
            more, to_bones = bone_energy(self._bones(x, rows, loss, workspace))
            self._call(
                _BACKWARD, rows, x, loss, workspace, gradient_out=gradient, to_world_in=to_bones.rotations,
                to_positions_in=to_bones.positions, to_rest_in=to_bones.rest_joints,
                to_coefficients_in=to_bones.coefficients,
            )  # fmt: skip
            return loss + more, gradient

        return evaluate

    def _bones(self, x: Tensor, rows: Tensor, loss: Tensor, workspace: Tensor) -> BoneStates:
        """Set the losses of the terms, and pose the bones."""
        body, n_rows = self._body, len(x)
        bones = BoneStates(
            coefficients=torch.empty(n_rows, body.n_shape + body.n_pose),
            rotations=torch.empty(n_rows, body.n_joints, 3, 3),
            positions=torch.empty(n_rows, body.n_joints, 3),
            rest_joints=torch.empty(n_rows, body.n_joints, 3),
        )
        self._call(
            _FORWARD, rows, x, loss, workspace, world_out=bones.rotations, positions_out=bones.positions,
            rest_out=bones.rest_joints, coefficients_out=bones.coefficients,
        )  # fmt: skip
        return bones

    def values(self, x: Tensor, rows: Tensor) -> Tensor:
        """Losses [A] of some rows [A] at free parameters [A, F]."""
        x, rows, loss = x.contiguous(), rows.contiguous(), x.new_empty(len(x))
        self._call(_FORWARD, rows, x, loss, self._body.workspace(len(rows)))
        return loss

    @property
    def unheld(self) -> Tensor:
        """Columns of the free parameters of which no squared sum is a term."""
        return self._terms.unheld

    def hessian_factors(self, x: Tensor, rows: Tensor, damping: float, extra: BoneResiduals | None = None) -> Tensor:
        """Cholesky factors [A, F, F] of damped Gauss-Newton matrices at free parameters x [A, F] of some rows [A].

        They are upper triangular: U' U is the matrix.

        Args:
            x: the free parameters, here and below in single precision.
            rows: the rows.
            damping: share by which the diagonal is raised.
            extra: more residuals.
        """
        return self._gauss_newton(x, rows, damping, extra)

    def gauss_newton(self, x: Tensor, rows: Tensor, extra: BoneResiduals | None = None) -> tuple[Tensor, Tensor]:
        """Gauss-Newton matrices [A, F, F] at free parameters x [A, F], and derivatives of the joints there.

        The derivatives [A, 6 J, F] are those of the joints' positions, followed by their turns in the world; metres
        and radians in the camera's axes. ``extra`` is that of :meth:`hessian_factors`.
        """
        jacobian = x.new_empty(len(x), 6 * self._body.n_joints, self.n_free)
        return self._gauss_newton(x, rows, 0.0, extra, joint_jacobian_out=jacobian), jacobian

    def _gauss_newton(
        self, x: Tensor, rows: Tensor, damping: float, extra: BoneResiduals | None = None, **arrays: Tensor
    ) -> Tensor:
        x, rows = x.contiguous(), rows.contiguous()
        matrices = x.new_empty(len(x), self.n_free, self.n_free)
        workspace, loss, n_extra = self._body.workspace(len(rows)), x.new_empty(len(x)), 0
        if extra is None:
            self._call(_FORWARD, rows, x, loss, workspace)
        elif (residuals := extra(self._bones(x, rows, loss, workspace))) is not None:
            arrays["extra_in"], n_extra = residuals.contiguous(), residuals.shape[1]
        scratch = self._body.scratch(self.n_free, n_extra)
        self._set_weights(damping=damping)
        self._sizes[SIZE_OF["n_extra"]] = n_extra
        self._call(_GAUSS_NEWTON, rows, x, loss, workspace, matrices_out=matrices, scratch=scratch, **arrays)
        return matrices


def _single(array: Tensor) -> Tensor:
    """Numbers in single precision; integers as they are."""
    return array.float() if array.is_floating_point() else array


def _rays(terms: NativeTerms) -> Tensor:
    """X / Z and Y / Z of each observed keypoint, and how far from this ray the start lies, metres: [B, N, 4]."""
    focal_length, centre, start = (
        some.double()[:, None] for some in (terms.focal_length, terms.principal_point, terms.translation)
    )
    slopes = (terms.keypoints.double() - centre) / focal_length
    return torch.cat([slopes, start[..., :2] - slopes * start[..., 2:]], 2)
