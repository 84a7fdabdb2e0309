"""The objective of a stage: one value and one gradient row a person (Pavlakos et al. 2019, eq. 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.camera import project
from smplifyx.collision.skinning import BoneStates, bone_states
from smplifyx.config import Stage
from smplifyx.fitting.evidence import FitTargets
from smplifyx.fitting.parameters import BodyParameters, InitialPose, PosedParameters
from smplifyx.fitting.standing import trunk_tilt_energy, upright_stance_energy
from smplifyx.lifting.lifter import lifting_energy
from smplifyx.priors import joint_limit_energy


def geman_mcclure(squared: Tensor, rho: float) -> Tensor:
    """Robust ``rho^2 e^2 / (e^2 + rho^2)`` of squared errors e^2 (Geman & McClure 1987)."""
    return rho**2 * squared / (squared + rho**2)


@dataclass(frozen=True)
class KeypointView:
    """The part of the body that one stage's keypoints see.

    Attributes:
        regressor: from body to the stage's keypoints.
        model: the body restricted to what the regressor reads.
    """

    regressor: KeypointRegressor
    model: BodyModel

    @property
    def keypoints(self) -> list[int]:
        """Canonical indices of the stage's keypoints."""
        return list(self.regressor.keypoints)


@dataclass(frozen=True)
class ReprojectionTerm:
    """The data term: which keypoints, how much each counts, and how far off is too far.

    Attributes:
        weights: [N] factor of each of the view's keypoints, before squaring.
        rho: scale of the robust error in the objective's units; None for a plain squared error.
    """

    weights: Tensor
    rho: float | None


@dataclass(frozen=True)
class PriorFactors:
    """Weights that all stages share.

    Attributes:
        trunk_tilt: weight, before squaring, of the trunk's tilt towards or away from the camera.
        upright_stance: the same for trunk and legs of people who seem to stand.
        lifting: weight, before squaring, of body joints away from where their keypoints let them be expected.
    """

    trunk_tilt: float = 0.0
    upright_stance: float = 0.0
    lifting: float = 0.0


@dataclass(frozen=True)
class ObjectiveRows:
    """What differs from row to row.

    Attributes:
        evidence: observations.
        frame: what the relative parameters are relative to.
        base: [B, D] all parameters; those that are not free stay.
        targets: [B, N, 2] the view's keypoints, pixels.
        weights: [B, N, 1] their squared weights.
        contour_rows: [B] rows of the contour table.
    """

    evidence: FitTargets
    frame: InitialPose
    base: Tensor
    targets: Tensor
    weights: Tensor
    contour_rows: Tensor

    def index(self, rows: Tensor) -> ObjectiveRows:
        """Some of the rows."""
        return ObjectiveRows(
            evidence=self.evidence.index(rows),
            frame=self.frame.index(rows),
            base=self.base[rows],
            targets=self.targets[rows],
            weights=self.weights[rows],
            contour_rows=self.contour_rows[rows],
        )


@dataclass(frozen=True)
class StageTerms:
    """What a stage's objective is made of.

    Attributes:
        view: the restricted body and its keypoints.
        reprojection: the data term.
        stage: weights of the priors; None leaves them out.
        factors: weights that all stages share.
        depth_weight: holds the depth at the frame's (paper: camera stage); per metre, before squaring.
        collision: energy [A] of self-collisions of the rows [A], to be weighted by the stage; None for none.
    """

    view: KeypointView
    reprojection: ReprojectionTerm
    stage: Stage | None = None
    factors: PriorFactors = field(default_factory=PriorFactors)
    depth_weight: float = 0.0
    collision: Callable[[BoneStates, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class StagePeople:
    """Whom a stage fits, one row each, and from where.

    Attributes:
        evidence: observations.
        frame: what the relative parameters are relative to.
        base: [B, D] all parameters.
        free: [F] columns of x that move.
    """

    evidence: FitTargets
    frame: InitialPose
    base: Tensor
    free: Tensor


class StageObjective:
    """Reprojection and priors of one stage as a function of the free parameters.

    Calling it with x [A, F] and rows [A] gives the losses [A] and gradients [A, F] of those rows; the other
    parameters stay at ``base``.

    Args:
        parameters: from x to body-model inputs.
        terms: what the objective is made of.
        people: the rows.
    """

    def __init__(self, parameters: BodyParameters, terms: StageTerms, people: StagePeople) -> None:
        self._parameters, self._terms, self._free = parameters, terms, people.free
        stage, view, base, evidence = terms.stage, terms.view, people.base, people.evidence
        self._jaw_weights = base.new_tensor(stage.jaw_pose if stage is not None else (0.0, 0.0, 0.0))
        self._all_rows = ObjectiveRows(
            evidence=evidence,
            frame=people.frame,
            base=base,
            targets=evidence.keypoints[:, view.keypoints],
            weights=(evidence.confidence[:, view.keypoints] * terms.reprojection.weights).square()[..., None],
            contour_rows=self._contour_rows(base, people.frame),
        )
        self._chosen: tuple[Tensor, ObjectiveRows] | None = None

    @torch.no_grad()
    def _contour_rows(self, base: Tensor, frame: InitialPose) -> Tensor:
        """Rows of the contour table at the start: choosing them anew at each step would make the loss jump."""
        posed = self._parameters(self._parameters.layout.split(base), frame)
        view = self._terms.view
        output = view.model(posed.betas, posed.expression, posed.rotations, posed.translation)
        return view.regressor.contour_rows(output)

    def __call__(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Losses [A] and gradients [A, F] at x [A, F]."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            loss = self.loss(x, rows)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), gradient

    def loss(self, x: Tensor, rows: Tensor) -> Tensor:
        """Losses [A], differentiable in x [A, F]."""
        terms, chosen = self._terms, self._choose(rows)
        groups = self._parameters.layout.split(chosen.base.index_copy(1, self._free, x))
        posed = self._parameters(groups, chosen.frame)
        model = terms.view.model
        output = model(posed.betas, posed.expression, posed.rotations, posed.translation)
        points = terms.view.regressor(output, chosen.contour_rows)
        loss = self._reprojection_loss(points, chosen)
        if terms.depth_weight:
            depth = groups["translation"][:, 2] * chosen.frame.translation[:, 2]
            loss = loss + (terms.depth_weight * depth) ** 2
        if terms.stage is not None:
            loss = loss + self._prior_loss(terms.stage, groups, posed)
            if terms.collision is not None:
                state = bone_states(model, posed.betas, posed.expression, posed.rotations, output)
                loss = loss + terms.stage.collision**2 * terms.collision(state, rows)
        return loss + self._posture_loss(posed, output.joints, chosen.evidence)

    def _choose(self, rows: Tensor) -> ObjectiveRows:
        """The rows asked for; the optimiser asks for the same ones again until some are done."""
        if self._chosen is None or self._chosen[0] is not rows:
            self._chosen = rows, self._all_rows.index(rows)
        return self._chosen[1]

    def _reprojection_loss(self, points: Tensor, rows: ObjectiveRows) -> Tensor:
        projected = project(points, rows.evidence.focal_length, rows.evidence.principal_point)
        squared = ((projected - rows.targets) * rows.evidence.pixel_scale[:, None, None]).square()
        rho = self._terms.reprojection.rho
        if rho is not None:
            squared = geman_mcclure(squared, rho)
        return (rows.weights * squared).sum((1, 2))

    def _prior_loss(self, stage: Stage, groups: dict[str, Tensor], posed: PosedParameters) -> Tensor:
        loss = self._body_prior_loss(stage, groups, posed)
        loss = loss + stage.shape**2 * groups["betas"].square().sum(1)
        for weight, names in (
            (stage.expression, ("expression",)),
            (stage.hand_pose, ("left_hand", "right_hand")),
            (stage.eye_pose, ("leye_pose", "reye_pose")),
        ):
            energies = [groups[name].square().sum(1) for name in names if name in groups]
            if energies:
                loss = loss + weight**2 * sum(energies[1:], energies[0])
        if "jaw_pose" in groups:
            loss = loss + (groups["jaw_pose"] * self._jaw_weights).square().sum(1)
        return loss

    def _body_prior_loss(self, stage: Stage, groups: dict[str, Tensor], posed: PosedParameters) -> Tensor:
        """Of the body's pose; a head has its neck in place of a body, a hand alone has neither."""
        if posed.body_pose is not None:
            limits = stage.joint_limits**2 * joint_limit_energy(posed.body_pose.rotations)
            return stage.body_pose**2 * self._parameters.prior.energy(groups["body_pose"]) + limits
        if "neck_pose" in groups:
            return stage.neck_pose**2 * groups["neck_pose"].square().sum(1)
        return torch.zeros_like(groups["betas"][:, 0])

    def _posture_loss(self, posed: PosedParameters, joints: Tensor, evidence: FitTargets) -> Tensor:
        """What one photo hardly shows: leaning, and depth."""
        factors = self._terms.factors
        loss = torch.zeros_like(evidence.pixel_scale)
        if factors.trunk_tilt:
            loss = loss + factors.trunk_tilt**2 * trunk_tilt_energy(joints)
        if factors.upright_stance:
            loss = loss + factors.upright_stance**2 * evidence.upright_stance * upright_stance_energy(joints)
        if factors.lifting:
            loss = loss + factors.lifting**2 * lifting_energy(joints, evidence.lifted, evidence.sqrt_precision)
        return loss
