"""Convert the parameters of one body model to those of another with nearly the same surface.

The joints that both models have are copied. Then shape, pose and translation are refined until the vertices of the
target coincide with their counterparts on the source's surface. Models with the same mesh and shape space, such as
the open bodies of one gender, need the copies only; joints that the source does not have are refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.correspondence import SurfaceMap, identity_map, nearest_surface_map, same_mesh
from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.errors import UsageError
from smplifyx.optim.lbfgs import minimize
from smplifyx.optim.problem import LBFGSOptions, rowwise
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import SIDES

CONVERTIBLE = ("smpl", "smplh", "smplx")
_KNUCKLES = ("index1", "middle1", "pinky1", "ring1")
#: Number of vertices in the refinement; the error is measured on all of them.
_N_FITTED_VERTICES = 2500
_PEOPLE_AT_ONCE = 16
#: Rounds of matching surfaces and refitting, for bodies with different meshes.
_N_ROUNDS = 6
#: Penalty (squared centimetres) of a squared unit of a coefficient, and of a squared radian away from the start.
_SHAPE_RIDGE = 1e-6
_POSE_RIDGE = 1e-4
_CENTIMETRES = 100.0
#: Typical changes, for the optimiser: coefficients, radians, metres.
_SHAPE_SCALE, _POSE_SCALE, _TRANSLATION_SCALE = 3.0, 0.1, 0.02
_OPTIONS = LBFGSOptions(max_iterations=300, relative_loss_tolerance=5e-4, patience=3, gradient_tolerance=1e-6)


@dataclass(frozen=True)
class ModelParameters:
    """Parameters of a body model (B people, float64).

    Attributes:
        betas: [B, S] shape coefficients.
        expression: [B, E] expression coefficients, E is 0 for models without.
        pose: [B, J, 3] axis-angle of all joints in the model's order, hand means included.
        translation: [B, 3] metres.
    """

    betas: Tensor
    expression: Tensor
    pose: Tensor
    translation: Tensor

    def __len__(self) -> int:
        return len(self.betas)

    def rows(self, chosen: slice) -> ModelParameters:
        """The parameters of some people."""
        return ModelParameters(*(value[chosen] for value in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        """The four tensors, in the order above."""
        return self.betas, self.expression, self.pose, self.translation


def joined(people: Sequence[ModelParameters]) -> ModelParameters:
    """Concatenate several batches."""
    return ModelParameters(*(torch.cat(values) for values in zip(*(p.tensors() for p in people), strict=True)))


@dataclass(frozen=True)
class Conversion:
    """People as bodies of the target model.

    Attributes:
        parameters: of the target model.
        joints: [B, J, 3] its posed joints, metres.
        vertex_error_mm: [B] mean distance of its vertices from their counterparts on the source's surface.
    """

    parameters: ModelParameters
    joints: FloatArray
    vertex_error_mm: FloatArray

    def person(self, row: int) -> Conversion:
        """The conversion of one person."""
        chosen = slice(row, row + 1)
        return Conversion(self.parameters.rows(chosen), self.joints[chosen], self.vertex_error_mm[chosen])


class Converter:
    """Convert from one model to another; quantities of the models are computed once.

    Args:
        source: SMPL, SMPL+H or SMPL-X.
        target: another one of these, or the same with another mesh or shape space.

    Raises:
        UsageError: a model of another kind.
    """

    def __init__(self, source: BodyModelData, target: BodyModelData) -> None:
        for data in (source, target):
            if data.model_type not in CONVERTIBLE:
                raise UsageError(f"cannot convert {data.model_type}; expected one of {', '.join(CONVERTIBLE)}")
        self._source, self._target = source, target
        self._same_shapes = same_mesh(source, target) and _same_shapes(source, target)
        self._source_model = BodyModel.from_data(source, dtype=torch.float64)
        self._target_model = BodyModel.from_data(target, dtype=torch.float64)
        if same_mesh(source, target):
            self.surface_map = identity_map(target.n_vertices)
        else:
            self.surface_map = self._match_surfaces()

    def __call__(self, parameters: ModelParameters) -> Conversion:
        """Convert people of the source model."""
        parts = []
        for start in range(0, len(parameters), _PEOPLE_AT_ONCE):
            parts.append(self._convert(parameters.rows(slice(start, start + _PEOPLE_AT_ONCE))))
        return Conversion(
            joined([part.parameters for part in parts]),
            np.concatenate([part.joints for part in parts]),
            np.concatenate([part.vertex_error_mm for part in parts]),
        )

    def _convert(self, parameters: ModelParameters) -> Conversion:
        with torch.no_grad():
            goals = self.surface_map.points(_posed(self._source_model, parameters).vertices)
        matched = torch.as_tensor(np.flatnonzero(self.surface_map.matched))
        goals = goals[:, matched]
        fitted = _fit(self._target_model.restrict(matched), goals, self._start(parameters), free=self._free_joints())
        with torch.no_grad():
            output = _posed(self._target_model.restrict(matched), fitted)
        errors = (output.vertices - goals).norm(dim=-1).mean(1)
        return Conversion(fitted, output.joints.numpy(), 1e3 * errors.numpy())

    def _start(self, parameters: ModelParameters) -> ModelParameters:
        """Copies of the parameters that both models have, zero for the others."""
        names, known = self._target.skeleton.joint_names, self._source.skeleton.joint_names
        pose = parameters.pose.new_zeros(len(parameters), len(names), 3)
        for joint, name in enumerate(names):
            leading = [known.index(other) for other in _counterparts(name) if other in known]
            if leading:
                pose[:, joint] = parameters.pose[:, leading].mean(1)
        betas = parameters.betas.new_zeros(len(parameters), self._target_model.n_betas)
        if self._same_shapes:
            betas = parameters.betas
        expression = parameters.betas.new_zeros(len(parameters), self._target_model.n_expressions)
        if self._same_shapes and self._source_model.n_expressions == self._target_model.n_expressions:
            expression = parameters.expression
        return ModelParameters(betas, expression, pose, parameters.translation)

    def _free_joints(self) -> list[int] | None:
        """The only joints to refine for models with the same shapes; None to refine everything."""
        if not self._same_shapes:
            return None
        known = self._source.skeleton.joint_names
        return [joint for joint, name in enumerate(self._target.skeleton.joint_names) if name not in known]

    def _match_surfaces(self) -> SurfaceMap:
        """Fit the target to the source at rest, and match nearest points."""
        rest = _at_rest(self._source_model)
        with torch.no_grad():
            output = _posed(self._source_model, rest)
        vertices = output.vertices[0].numpy()
        fitted = self._fit_joints(output.joints)
        for _ in range(_N_ROUNDS):
            surface_map = self._nearest(fitted, vertices)
            matched = torch.as_tensor(np.flatnonzero(surface_map.matched))
            goals = surface_map.points(output.vertices)[:, matched]
            fitted = _fit(self._target_model.restrict(matched), goals, fitted)
        return self._nearest(fitted, vertices)

    def _nearest(self, fitted: ModelParameters, vertices: FloatArray) -> SurfaceMap:
        with torch.no_grad():
            own = _posed(self._target_model, fitted).vertices[0].numpy()
        return nearest_surface_map(own, self._target.faces, vertices, self._source.faces)

    def _fit_joints(self, joints: Tensor) -> ModelParameters:
        """The target with its joints at those of the source [1, J, 3], as far as both have them."""
        known = self._source.skeleton.joint_names
        names = [name for name in self._target.skeleton.joint_names if name in known]
        places = torch.tensor([self._target.skeleton.joint_index(name) for name in names])
        goals = joints[:, [known.index(name) for name in names]]
        return _fit(self._target_model.restrict(torch.arange(1)), goals, _at_rest(self._target_model), joints=places)


def _counterparts(joint: str) -> tuple[str, ...]:
    """The joints of another model from which a joint is copied: itself; knuckles for SMPL's hand, or the reverse."""
    for side in SIDES:
        if joint == f"{side}_hand":
            return (joint, *(f"{side}_{knuckle}" for knuckle in _KNUCKLES))
        if joint in {f"{side}_{knuckle}" for knuckle in (*_KNUCKLES, "thumb1")}:
            return joint, f"{side}_hand"
    return (joint,)


def _same_shapes(source: BodyModelData, target: BodyModelData) -> bool:
    return (
        source.shapedirs.shape == target.shapedirs.shape
        and np.array_equal(source.v_template, target.v_template)
        and np.array_equal(source.shapedirs, target.shapedirs)
    )


def _at_rest(model: BodyModel) -> ModelParameters:
    def zeros(*shape: int) -> Tensor:
        return torch.zeros(1, *shape, dtype=torch.float64)

    return ModelParameters(zeros(model.n_betas), zeros(model.n_expressions), zeros(model.n_joints, 3), zeros(3))


def _posed(model: BodyModel, parameters: ModelParameters) -> BodyOutput:
    rotations = axis_angle_to_matrix(parameters.pose)
    return model(parameters.betas, parameters.expression, rotations, parameters.translation)


def _fit(
    model: BodyModel,
    goals: Tensor,
    start: ModelParameters,
    joints: Tensor | None = None,
    free: Sequence[int] | None = None,
) -> ModelParameters:
    """Fit vertices, or joints, to goals, with a penalty on leaving the start.

    Args:
        model: restricted to the vertices that have goals.
        goals: [B, N, 3] of the vertices or of the joints.
        start: the first guess.
        joints: [N] joints that the goals are for; None for the vertices.
        free: joints whose pose alone may change; None for all parameters.
    """
    if free is not None and not free:
        return start
    if joints is None:
        step = max(1, goals.shape[1] // _N_FITTED_VERTICES)
        model = model.restrict(torch.arange(0, goals.shape[1], step))
        goals = goals[:, ::step]
    sizes = [model.n_betas, model.n_expressions, 3 * model.n_joints, 3]
    flat_start = torch.cat([start.betas, start.expression, start.pose.flatten(1), start.translation], 1)
    ridge = flat_start.new_tensor([_SHAPE_RIDGE, _SHAPE_RIDGE, _POSE_RIDGE, 0.0]).repeat_interleave(
        torch.tensor(sizes)
    )
    scales = flat_start.new_tensor([_SHAPE_SCALE, _SHAPE_SCALE, _POSE_SCALE, _TRANSLATION_SCALE])
    center = torch.where(ridge == _POSE_RIDGE, flat_start, 0.0)

    def parameters(x: Tensor) -> ModelParameters:
        betas, expression, pose, translation = x.split(sizes, 1)
        return ModelParameters(betas, expression, pose.unflatten(1, (-1, 3)), translation)

    def objective(x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        output = _posed(model, parameters(x))
        points = output.vertices if joints is None else output.joints[:, joints]
        distances = _CENTIMETRES * (points - goals[rows])
        loss = distances.square().sum(-1).mean(1) + (ridge * (x - center[rows]).square()).sum(1)
        return loss.detach(), torch.autograd.grad(loss.sum(), x)[0] * moving

    moving = torch.full_like(flat_start[0], float(free is None))
    for joint in free or ():
        moving[sizes[0] + sizes[1] + 3 * joint :][:3] = 1.0
    diagonal = scales.repeat_interleave(torch.tensor(sizes)).square()
    return parameters(minimize(rowwise(objective), flat_start, _OPTIONS, diagonal).x)
