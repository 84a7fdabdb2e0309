"""Posed bodies of some hypotheses, as the terms of the objective see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import KeypointRegressor, PointCombination
from smplifyx.camera import project
from smplifyx.collision.skinning import BoneStates, bone_states
from smplifyx.errors import UsageError
from smplifyx.fitting.batch import FitTargets, InitialPose
from smplifyx.fitting.native_objective import NativeBody
from smplifyx.fitting.parameters import BodyParameters, PosedParameters
from smplifyx.optim import padded_rows
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES


class CollisionEnergy(Protocol):
    """Energy of the self-collisions of the rows of a batch."""

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [A] of posed bodies that belong to the rows [A], differentiable."""
        ...

    def evaluation(self, rows: Tensor, weight: float = 1.0) -> Callable[[BoneStates], tuple[Tensor, BoneStates]]:
        """Energies [A], times a weight, and their gradients, of posed bodies that belong to the rows [A]."""
        ...

    def directions(self, state: BoneStates, rows: Tensor, weight: float = 1.0) -> Tensor | None:
        """Gradients whose products with themselves add up to about the Hessian of the energies, times a weight.

        [A, E, 9 J + C] for turns of the bones in the world, their positions, the joints at rest, and shape and
        expression; None where the energy has no useful curvature.
        """
        ...


class BodyView:
    """A body restricted to some keypoints: turns parameters into posed joints and these keypoints.

    Args:
        data: the body model's arrays.
        model: the full body.
        parameters: from rows of x to inputs of the model.
        keypoints: canonical indices, ascending.
        definitions: joint combinations of the keypoints that are not joints of the model.
    """

    def __init__(
        self,
        data: BodyModelData,
        model: BodyModel,
        parameters: BodyParameters,
        keypoints: Sequence[int],
        definitions: Mapping[str, PointCombination],
    ) -> None:
        dtype, device = model.template.dtype, model.template.device
        self.keypoints = list(keypoints)
        self.regressor = KeypointRegressor(data, self.keypoints, definitions, dtype, device)
        self.model = self.regressor.restrict(model)
        self.full_model = model
        self.parameters = parameters

    @cached_property
    def native(self) -> NativeBody | None:
        """The same body in single precision for the native objective; None where that does not apply."""
        return NativeBody(self) if NativeBody.supports(self) else None

    @property
    def is_single(self) -> bool:
        """Whether the body has single precision, as the native objective."""
        return self.model.template.dtype == torch.float32

    def pose(self, x: Tensor, initial: InitialPose) -> BodyState:
        """The posed bodies of parameters x [B, D] relative to an initial pose."""
        groups = self.parameters.layout.split(x)
        inputs = self.parameters(groups, initial)
        output = self.model(inputs.betas, inputs.expression, inputs.rotations, inputs.translation)
        return BodyState(self, groups, inputs, output, initial)

    @torch.no_grad()
    def contour_rows(self, x: Tensor, initial: InitialPose) -> Tensor:
        """Rows [B] of the face contour's table for bodies as they are; 0 without contour."""
        if not self.regressor.n_contour:
            return torch.zeros(len(x), dtype=torch.int64, device=x.device)
        index = padded_rows(len(x), x.device)
        return self.regressor.contour_rows(self.pose(x[index], initial.index(index)).output)[: len(x)]


@dataclass
class BodyState:
    """Posed bodies [B], and their targets. All tensors are differentiable in the free parameters.

    Attributes:
        view: the body model and its keypoints.
        parameters: [B, n] by group, see :class:`~smplifyx.fitting.parameters.ParameterLayout`.
        inputs: inputs of the body model.
        output: joints and the restricted vertices in the camera frame, metres.
        initial: the pose that the parameters are relative to.
        targets: the observed quantities, their keypoints those of the view; None outside of an objective.
        contour_rows: [B] rows of the face contour's table; None: from the pose.
        rho: scale of the robust keypoint error in the objective's units; None for a squared error.
        collision: energy of the self-collisions; None without.
        rows: [B] rows of the batch that ``collision`` was made for.
    """

    view: BodyView
    parameters: dict[str, Tensor]
    inputs: PosedParameters
    output: BodyOutput
    initial: InitialPose
    targets: FitTargets | None = None
    contour_rows: Tensor | None = None
    rho: float | None = None
    collision: CollisionEnergy | None = None
    rows: Tensor | None = None

    @property
    def joints(self) -> Tensor:
        """[B, J, 3] in the camera frame, metres."""
        return self.output.joints

    @cached_property
    def keypoints(self) -> Tensor:
        """[B, N, 3] keypoints of the view in the camera frame, metres."""
        return self.view.regressor(self.output, self.contour_rows)

    def joint(self, name: str) -> Tensor:
        """[B, 3] a joint of the model by name, camera frame, metres.

        Raises:
            UsageError: the model has no joint of this name.
        """
        return self.joints[:, _position(name, self.view.parameters.skeleton.joint_names, "joint")]

    def keypoint(self, name: str) -> Tensor:
        """[B, 3] a keypoint by name, camera frame, metres.

        Raises:
            UsageError: there is no such keypoint, or it is not part of this stage.
        """
        index = _position(name, CANONICAL_KEYPOINT_NAMES, "keypoint")
        if index not in self.view.keypoints:
            raise UsageError(f"the keypoint {name} is not part of this stage or model")
        return self.keypoints[:, self.view.keypoints.index(index)]

    @cached_property
    def vertices(self) -> Tensor:
        """[B, V, 3] the full mesh in the camera frame, metres. It costs much more than joints and keypoints."""
        inputs = self.inputs
        output = self.view.full_model(inputs.betas, inputs.expression, inputs.rotations, inputs.translation)
        return output.vertices

    @cached_property
    def keypoint_errors(self) -> Tensor:
        """[B, N, 2] squared keypoint errors in the objective's units, robust where ``rho`` is given."""
        targets = self.observed
        projected = project(self.keypoints, targets.focal_length, targets.principal_point)
        squared = ((projected - targets.keypoints) * targets.pixel_scale[:, None, None]).square()
        return squared if self.rho is None else geman_mcclure(squared, self.rho)

    @property
    def observed(self) -> FitTargets:
        """The observed quantities; to be used in an objective only."""
        assert self.targets is not None
        return self.targets

    @cached_property
    def bones(self) -> BoneStates:
        """The posed bones, from which collisions are computed."""
        inputs = self.inputs
        return bone_states(self.view.model, inputs.betas, inputs.expression, inputs.rotations, self.output)


def geman_mcclure(squared: Tensor, rho: float) -> Tensor:
    """Robust ``rho^2 e^2 / (e^2 + rho^2)`` of squared errors e^2 (Geman & McClure 1987)."""
    return rho**2 * squared / (squared + rho**2)


def _position(name: str, names: Sequence[str], kind: str) -> int:
    """Index of a name; raises UsageError with the nearest right one."""
    if name in names:
        return names.index(name)
    near = get_close_matches(name, names, n=1)
    advice = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"
    raise UsageError(f"no {kind} {name!r}; {advice}")
