"""The rows of a batch while they are fitted: one row is one person from one starting orientation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import (
    OPENPOSE_DEFINITIONS,
    SMPLX_DEFINITIONS,
    KeypointRegressor,
    available_keypoints,
)
from smplifyx.collision.penalty import CollisionTerm
from smplifyx.config import Config, Stage
from smplifyx.fitting.evidence import FitTargets
from smplifyx.fitting.hypotheses import depth_flips
from smplifyx.fitting.objective import (
    KeypointView,
    PriorFactors,
    ReprojectionTerm,
    StageObjective,
    StagePeople,
    StageTerms,
)
from smplifyx.fitting.parameters import BodyParameters, InitialPose
from smplifyx.fitting.self_collision import SelfCollision
from smplifyx.optim.lbfgs import LBFGSOptions, Status, minimize, rowwise
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
    keypoint_index,
)

_BODY = tuple(range(BODY_KEYPOINTS.stop))
_HANDS = tuple(range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop))
_FACE = tuple(range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop))

#: A row has converged when no entry of its gradient is larger.
_GRADIENT_TOLERANCE = 1e-9

#: Parameter groups that only hand or face keypoints can see; without those they stay where their priors want them.
_HAND_GROUPS = ("left_hand", "right_hand")
_FACE_GROUPS = ("expression", "jaw_pose", "leye_pose", "reye_pose")


@dataclass
class Hypotheses:
    """The state of a batch.

    Attributes:
        person: [R] which person each row is a start for.
        evidence: observations by row.
        frame: what the relative parameters are relative to.
        x: [R, D] all parameters.
        loss: [R] value of the last stage's objective.
        status: [R] how the last stage ended, see :class:`~smplifyx.optim.lbfgs.Status`.
        n_evaluations: [R] all stages together.
        truncated: [R] whether a row had more collision candidates than are kept.
        stage_losses: one [R] a stage.
    """

    person: Tensor
    evidence: FitTargets
    frame: InitialPose
    x: Tensor
    loss: Tensor
    status: Tensor
    n_evaluations: Tensor
    truncated: Tensor
    stage_losses: list[Tensor] = field(default_factory=list)

    def joined(self, other: Hypotheses) -> Hypotheses:
        """These rows followed by others."""
        return Hypotheses(
            person=torch.cat([self.person, other.person]),
            evidence=self.evidence.joined(other.evidence),
            frame=self.frame.joined(other.frame),
            x=torch.cat([self.x, other.x]),
            loss=torch.cat([self.loss, other.loss]),
            status=torch.cat([self.status, other.status]),
            n_evaluations=torch.cat([self.n_evaluations, other.n_evaluations]),
            truncated=torch.cat([self.truncated, other.truncated]),
            stage_losses=[torch.cat(pair) for pair in zip(self.stage_losses, other.stage_losses, strict=True)],
        )

    def select(self, rows: Tensor) -> Hypotheses:
        """Only the given rows."""
        return Hypotheses(
            person=self.person[rows],
            evidence=self.evidence.index(rows),
            frame=self.frame.index(rows),
            x=self.x[rows],
            loss=self.loss[rows],
            status=self.status[rows],
            n_evaluations=self.n_evaluations[rows],
            truncated=self.truncated[rows],
            stage_losses=[losses[rows] for losses in self.stage_losses],
        )

    def overwrite(self, rows: Tensor, other: Hypotheses) -> None:
        """Takes what a stage changes from another batch, which holds the given rows."""
        for name in ("x", "loss", "status", "n_evaluations", "truncated"):
            setattr(self, name, getattr(self, name).index_copy(0, rows, getattr(other, name)))


class FittingSchedule:
    """One body model, one prior and one configuration: everything of a fit that does not depend on the people."""

    def __init__(
        self, data: BodyModelData, parameters: BodyParameters, model: BodyModel, config: Config, device: torch.device
    ) -> None:
        self.parameters = parameters
        self.config = config
        self.dtype = model.template.dtype
        self.device = device
        definitions = OPENPOSE_DEFINITIONS if config.body.openpose_joint_definitions else SMPLX_DEFINITIONS

        available = set(available_keypoints(data))

        def view(keypoints: tuple[int, ...]) -> KeypointView:
            seen = tuple(keypoint for keypoint in keypoints if keypoint in available)
            regressor = KeypointRegressor(data, seen, definitions, self.dtype, device)
            return KeypointView(regressor, regressor.restrict(model))

        self.full_view = view(_BODY + _HANDS + _FACE)
        #: What a fit starts from: the body; of a hand or a head, all its keypoints.
        self.first_view = view(_BODY) if parameters.has_body else self.full_view
        self._hand_view = view(_BODY + _HANDS) if parameters.has_body else self.full_view
        #: None where the term is off.
        self.self_collision = SelfCollision(data, model, config.collision) if config.collision.enabled else None

    def run_camera_stage(self, rows: Hypotheses, evidence: FitTargets) -> None:
        """Moves translation and orientation only, by the squared error of the keypoints in ``evidence``."""
        weights = torch.ones(len(self.first_view.keypoints), dtype=self.dtype, device=self.device)
        free = self._columns(("translation", "global_orient"))
        terms = StageTerms(
            self.first_view, ReprojectionTerm(weights, None), depth_weight=self.config.camera.depth_weight
        )
        objective = StageObjective(self.parameters, terms, StagePeople(evidence, rows.frame, rows.x, free))
        self._minimize(objective, rows, free, None)

    @torch.no_grad()
    def joints(self, rows: Hypotheses) -> Tensor:
        """Joints [R, J, 3] of the rows in the camera frame, metres."""
        return self.pose(rows.x, rows.frame)

    def pose(self, x: Tensor, frame: InitialPose) -> Tensor:
        """Joints [R, J, 3] of parameters [R, D], metres."""
        posed = self.parameters(self.parameters.layout.split(x), frame)
        joints: Tensor = self.first_view.model(
            posed.betas, posed.expression, posed.rotations, posed.translation
        ).joints
        return joints

    def run_stage(self, rows: Hypotheses, stage: Stage, resolve_collisions: bool = True) -> None:
        """Minimises the stage's objective over all parameters that it sees.

        The collision term comes in second: first without it; then with it for the rows that collide where they ended.
        To the others it adds nothing there, so they are at a minimum of the whole objective already.

        Args:
            rows: changed in place.
            stage: its weights.
            untangle: False leaves the collision term out.
        """
        objective, free = self._stage_objective(rows, stage)
        self._minimize(objective, rows, free, stage)
        if resolve_collisions and stage.collision and self.self_collision is not None:
            self._resolve_collisions(self.self_collision, rows, stage)
        rows.stage_losses.append(rows.loss)

    def _resolve_collisions(self, collision: SelfCollision, rows: Hypotheses, stage: Stage) -> None:
        """Goes on with the collision term in those rows that collide, again and again until none does.

        Rounds of held pairs get bodies out of themselves gently; what is left of touches, the last pass clears.
        Bodies that only get out by leaving their keypoints or priors stay where they were.
        """
        before = rows.select(torch.arange(len(rows.x), device=self.device))
        self._clear(collision, rows, stage)
        limit = self.config.collision.max_loss_increase
        if limit is None:
            return
        objective, free = self._stage_objective(rows, stage)
        with torch.no_grad():
            rest = objective.loss(rows.x[:, free], torch.arange(len(rows.x), device=self.device))
        rejected = torch.nonzero(~(rest <= (1.0 + limit) * before.loss))[:, 0]
        before.n_evaluations = rows.n_evaluations
        rows.overwrite(rejected, before.select(rejected))

    def _clear(self, collision: SelfCollision, rows: Hypotheses, stage: Stage) -> None:
        """The minimisations of :meth:`_resolve_collisions`."""
        colliding = torch.arange(len(rows.x), device=self.device)
        for held in [True] * self.config.collision.rounds + [False]:
            colliding = colliding[self._colliding(collision, rows.select(colliding))]
            if not len(colliding):
                return
            colliding_rows, term = rows.select(colliding), collision.term(len(colliding), held)
            objective, free = self._stage_objective(colliding_rows, stage, term)
            self._minimize(objective, colliding_rows, free, stage)
            colliding_rows.truncated |= term.candidates.truncated
            rows.overwrite(colliding, colliding_rows)

    @torch.no_grad()
    def _colliding(self, collision: SelfCollision, rows: Hypotheses) -> Tensor:
        """Which of the rows have triangles that intersect."""
        groups = self.parameters.layout.split(rows.x)
        return collision.find(self.parameters(groups, rows.frame)).rows.unique()

    def with_depth_flips(self, rows: Hypotheses, stage: Stage, n_flips: int) -> Hypotheses:
        """Adds to each row its most promising depth flips, those of lowest loss in the stage to come.

        The flips of row i are rows of the same person; see :func:`~smplifyx.fitting.hypotheses.depth_flips`.
        """
        x, origin, matters = depth_flips(self.parameters, self.first_view.model, rows.x, rows.frame)
        flipped = replace(rows.select(origin), x=x)
        objective, free = self._stage_objective(flipped, stage)
        with torch.no_grad():
            loss = objective.loss(x[:, free], torch.arange(len(x), device=self.device))
        loss = torch.where(matters & torch.isfinite(loss), loss, torch.inf).unflatten(0, (-1, len(rows.x)))
        lowest, number = loss.topk(n_flips, dim=0, largest=False)
        chosen = (number * len(rows.x) + torch.arange(len(rows.x), device=self.device))[torch.isfinite(lowest)]
        return rows.joined(flipped.select(chosen))

    def _stage_objective(
        self, rows: Hypotheses, stage: Stage, collision: CollisionTerm | None = None
    ) -> tuple[StageObjective, Tensor]:
        """The stage's objective and the columns that it moves."""
        view, groups = self._view_and_groups(stage)
        free = self._columns(groups)
        terms = StageTerms(
            view,
            ReprojectionTerm(self._keypoint_weights(stage)[view.keypoints], self.config.objective.rho),
            stage,
            self._factors(),
            collision=collision,
        )
        return StageObjective(self.parameters, terms, StagePeople(rows.evidence, rows.frame, rows.x, free)), free

    def _factors(self) -> PriorFactors:
        """Weights of what is known about whole bodies."""
        if not self.parameters.has_body:
            return PriorFactors()
        weights, lifting = self.config.objective, self.config.lifting
        return PriorFactors(weights.trunk_tilt, weights.upright_stance, lifting.weight if lifting.enabled else 0.0)

    def _minimize(self, objective: StageObjective, rows: Hypotheses, free: Tensor, stage: Stage | None) -> None:
        optimizer = self.config.optimizer
        options = LBFGSOptions(
            max_iterations=(stage and stage.max_iterations) or optimizer.max_iterations,
            history_size=optimizer.history_size,
            relative_loss_tolerance=(
                optimizer.tolerance if stage is None or stage.tolerance is None else stage.tolerance
            ),
            patience=optimizer.patience,
            gradient_tolerance=_GRADIENT_TOLERANCE,
        )
        scales = self.parameters.layout.natural_scales().to(rows.x)[free]
        result = minimize(rowwise(objective), rows.x[:, free], options, initial_inverse_hessian=scales.square())
        rows.x = rows.x.index_copy(1, free, result.x)
        rows.loss = result.loss
        rows.status = result.status
        rows.n_evaluations = rows.n_evaluations + result.n_evaluations

    def _view_and_groups(self, stage: Stage) -> tuple[KeypointView, list[str]]:
        groups = list(self.parameters.layout.sizes)
        if not self.config.camera.optimize_translation:
            groups.remove("translation")
        if stage.face_keypoints or not self.parameters.has_body:
            return self.full_view, groups
        groups = [group for group in groups if group not in _FACE_GROUPS]
        if stage.hand_keypoints:
            return self._hand_view, groups
        return self.first_view, [group for group in groups if group not in _HAND_GROUPS]

    def _keypoint_weights(self, stage: Stage) -> Tensor:
        weights = torch.ones(N_KEYPOINTS, dtype=self.dtype, device=self.device)
        weights[list(_HANDS)] = stage.hand_keypoints
        weights[list(_FACE)] = stage.face_keypoints
        weights[[keypoint_index(name) for name in self.config.objective.ignored_keypoints]] = 0.0
        return weights

    def _columns(self, groups: tuple[str, ...] | list[str]) -> Tensor:
        return self.parameters.layout.indices(groups).to(self.device)


def failed(rows: Hypotheses) -> np.ndarray:
    """Which rows [R] have no finite result."""
    finite = torch.isfinite(rows.loss) & torch.isfinite(rows.x).all(1)
    return (~finite | (rows.status == Status.NON_FINITE)).cpu().numpy()
