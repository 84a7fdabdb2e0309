"""Minimise the objectives of stages over a batch of hypotheses, for one body model and one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial, reduce

import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS, SMPLX_DEFINITIONS, PointCombination, available_keypoints
from smplifyx.collision.contacts import Contacts
from smplifyx.collision.search import TrianglePairs
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.config import Config
from smplifyx.fitting.batch import Hypotheses, InitialPose
from smplifyx.fitting.objective import Objective, StageTerms
from smplifyx.fitting.overlaps import LimbTable
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.fitting.state import BodyState, BodyView, CollisionEnergy
from smplifyx.fitting.terms import (
    BODY,
    CAMERA_DEPTH,
    FACE,
    HANDS,
    Term,
    Weight,
    is_zero,
    squared_weight,
    stage_weights,
    weighted,
)
from smplifyx.optim import padded_rows
from smplifyx.optim.lbfgs import minimize
from smplifyx.optim.problem import LBFGSOptions
from smplifyx.skeleton import BODY_JOINTS, CANONICAL_KEYPOINT_NAMES

#: Parameter groups that only hand or face keypoints constrain; without these keypoints they do not move.
_HAND_GROUPS = ("left_hand", "right_hand")
_FACE_GROUPS = ("expression", "jaw_pose", "leye_pose", "reye_pose")
_CAMERA_GROUPS = ("translation", "global_orient")
_CAMERA_TERMS = (
    Term("body_keypoints", 1.0, BODY),
    Term("hand_keypoints", 1.0, HANDS),
    Term("face_keypoints", 1.0, FACE),
)

#: Share by which the diagonal of Gauss-Newton matrices is raised, and steps after which they are made anew unless the
#: options say otherwise.
_DAMPING, _RENEW_EVERY = 0.001, 10
#: Relative error of the loss in single precision; self-collisions always have it.
_LOSS_NOISE = 3e-6
#: Smallest tolerance where decreases of the loss decide instead of matrices.
_LEAST_TOLERANCE = 1e-6


class Solver:
    """The parts of a fit that do not depend on the people.

    Args:
        data: the body model.
        model: the same as a module.
        parameters: from rows of x to inputs of the model.
        config: weights, stages, optimiser.
        terms: the terms of the objective.

    Raises:
        UsageError: terms without a weight, or of the same name.
    """

    def __init__(
        self,
        data: BodyModelData,
        model: BodyModel,
        parameters: BodyParameters,
        config: Config,
        terms: Sequence[Term],
    ) -> None:
        self.data, self.model, self.parameters, self.config = data, model, parameters, config
        self.device, self.dtype = model.template.device, model.template.dtype
        self.terms = tuple(terms)
        self.weights = stage_weights(self.terms, config)
        self._views: dict[tuple[int, ...], BodyView] = {}
        #: The keypoints of body, hands and face, as far as the model has them.
        self.full_view = self._view(BODY.keypoints + HANDS.keypoints + FACE.keypoints)
        #: The keypoints of the first step: of the body; of a hand or a head, all.
        self.first_view = self._view(BODY.keypoints) if parameters.has_body else self.full_view
        self.self_collision = SelfCollision(data, model, config.collision) if config.collision.enabled else None

    def _view(self, keypoints: Sequence[int]) -> BodyView:
        available = set(available_keypoints(self.data))
        chosen = tuple(keypoint for keypoint in keypoints if keypoint in available)
        if chosen not in self._views:
            definitions = keypoint_definitions(self.config)
            self._views[chosen] = BodyView(self.data, self.model, self.parameters, chosen, definitions)
        return self._views[chosen]

    @torch.no_grad()
    def pose(self, x: Tensor, initial: InitialPose) -> BodyState:
        """The posed bodies of parameters x [B, D], with the keypoints of the first step."""
        return self.first_view.pose(x, initial)

    @cached_property
    def resting_joints(self) -> Tensor:
        """[21, 3] body joints of the mean of all priors, upright, from the pelvis, metres."""
        rows = padded_rows(1, self.device)
        upright = torch.eye(3, dtype=self.dtype, device=self.device).expand(len(rows), 3, 3)
        mean = torch.zeros(len(rows), self.parameters.layout.n_parameters, dtype=self.dtype, device=self.device)
        joints = self.pose(mean, InitialPose(upright, torch.zeros_like(upright[:, 0]))).joints[0]
        return joints[BODY_JOINTS] - joints[:1]

    def padded_pose(self, hypotheses: Hypotheses) -> BodyState:
        """The posed bodies of hypotheses, filled up so that a row has the same bits in any batch."""
        rows = padded_rows(len(hypotheses.x), self.device)
        return self.pose(hypotheses.x[rows], hypotheses.initial.index(rows))

    def camera_terms(self) -> StageTerms:
        """The terms of the camera stage: squared keypoint errors and the depth, in orientation and translation."""
        terms = (*_CAMERA_TERMS, CAMERA_DEPTH)
        weights = {term.name: float(term.weight) for term in terms}  # type: ignore[arg-type]
        return StageTerms.of(self.first_view, terms, weights, _CAMERA_GROUPS, None)

    def stage_terms(self, number: int) -> StageTerms:
        """The terms of a stage, counted from 1; it moves the parameters that its keypoints constrain."""
        weights, groups = self.weights[number - 1], list(self.parameters.layout.sizes)
        if not self.config.camera.optimize_translation:
            groups.remove("translation")
        if not self.parameters.has_body:
            return StageTerms.of(self.full_view, self.terms, weights, groups, self.config.objective.rho)
        keypoints = BODY.keypoints
        for energy, own_groups in ((HANDS, _HAND_GROUPS), (FACE, _FACE_GROUPS)):
            if any(not is_zero(weights[term.name]) for term in self.terms if term.energy == energy):
                keypoints += energy.keypoints
            else:
                groups = [group for group in groups if group not in own_groups]
        return StageTerms.of(self._view(keypoints), self.terms, weights, groups, self.config.objective.rho)

    def optimizer_options(self, number: int | None) -> LBFGSOptions:
        """The options of a stage, counted from 1; None for the camera stage."""
        optimizer = self.config.optimizer
        limit, tolerance = None, None
        if number is not None:
            stage = self.config.stages[number - 1]
            limit, tolerance = stage.max_iterations, stage.tolerance
        tolerance = optimizer.tolerance if tolerance is None else tolerance
        return LBFGSOptions(
            max_iterations=optimizer.max_iterations if limit is None else limit,
            history_size=optimizer.history_size,
            relative_loss_tolerance=tolerance,
            patience=optimizer.patience,
        )

    def objective(
        self,
        stage: StageTerms,
        hypotheses: Hypotheses,
        collision: CollisionEnergy | None = None,
        contour_rows: Tensor | None = None,
    ) -> Objective:
        """The objective of a stage after the camera stage, without the ignored keypoints."""
        ignored = [CANONICAL_KEYPOINT_NAMES.index(name) for name in self.config.objective.ignored_keypoints]
        targets = hypotheses.targets.without_keypoints(ignored)
        return Objective(stage, hypotheses, targets, collision, contour_rows)

    def minimize(self, objective: Objective, hypotheses: Hypotheses, options: LBFGSOptions) -> Hypotheses:
        """The hypotheses with the objective's free parameters at a minimum."""
        free = objective.free
        scales = self.parameters.layout.natural_scales().to(hypotheses.x)[free]
        preconditioner = None
        if self.config.optimizer.gauss_newton and not objective.has_gauss_newton:
            tolerance = max(options.relative_loss_tolerance, _LEAST_TOLERANCE)
            options = replace(options, relative_loss_tolerance=tolerance)
        elif self.config.optimizer.gauss_newton:
            preconditioner = partial(objective.hessian_factors, damping=_DAMPING)
            options = replace(
                options,
                predicted_tolerance=options.relative_loss_tolerance,
                relative_loss_tolerance=-1.0,
                renew_every=options.renew_every or _RENEW_EVERY,
                loss_noise=_LOSS_NOISE,
            )
        result = minimize(objective, hypotheses.x[:, free], options, scales.square(), preconditioner)
        return replace(
            hypotheses,
            x=hypotheses.x.index_copy(1, free, result.x),
            loss=result.loss,
            contour_rows=objective.contour_rows,
            colliding=torch.full_like(hypotheses.colliding, objective.has_collision),
            status=result.status,
            n_evaluations=hypotheses.n_evaluations + result.n_evaluations,
        )

    def losses(self, ends: Sequence[Hypotheses], numbers: Sequence[int]) -> list[dict[str, Tensor]]:
        """Value [R] of each term of some stages, counted from 1, at the ends of these stages."""
        stages = [self.stage_terms(number) for number in numbers]
        found: list[dict[str, Tensor]] = [{} for _ in stages]
        for view in dict.fromkeys(stage.view for stage in stages):  # those with the same keypoints together
            chosen = [k for k, stage in enumerate(stages) if stage.view is view]
            terms = {term.name: (term, 1.0) for k in chosen for term, _ in stages[k].terms}
            rows = reduce(Hypotheses.concatenate, [ends[k] for k in chosen])
            every = replace(stages[chosen[0]], terms=list(terms.values()))
            objective = self.objective(every, rows, contour_rows=rows.contour_rows)
            energies = objective.energies(rows.x[:, objective.free])
            start = 0
            for k in chosen:
                own = slice(start, start := start + len(ends[k].x))
                found[k] = {
                    term.name: weighted(energies[term.name][own], squared_weight(weight, rows.x))
                    for term, weight in stages[k].terms
                    if term.name in energies
                }
        return [_with_collision(*stage) for stage in zip(stages, ends, found, strict=True)]

    @cached_property
    def limbs(self) -> LimbTable:
        """The limbs of the body model."""
        return LimbTable(self.data)

    @torch.no_grad()
    def contacts(self, hypotheses: Hypotheses, far: bool = False) -> tuple[Contacts, Tensor]:
        """The contacts of the rows that touch themselves, and whether [R] a row does.

        Args:
            hypotheses: R rows.
            far: see :meth:`SelfCollision.contacts`.
        """
        assert self.self_collision is not None
        return self.self_collision.contacts(*self.shape_and_pose(hypotheses), far=far)

    @torch.no_grad()
    def intersecting(self, hypotheses: Hypotheses) -> TrianglePairs:
        """The triangles of each row that intersect."""
        assert self.self_collision is not None
        return self.self_collision.find(*self.shape_and_pose(hypotheses))

    def shape_and_pose(self, hypotheses: Hypotheses) -> tuple[Tensor, Tensor, Tensor]:
        """Shape, expression and rotations of each row: the body model's inputs."""
        n_rows, rows = len(hypotheses.x), padded_rows(len(hypotheses.x), self.device)
        posed = self.parameters(self.parameters.layout.split(hypotheses.x[rows]), hypotheses.initial.index(rows))
        return posed.betas[:n_rows], posed.expression[:n_rows], posed.rotations[:n_rows]


def keypoint_definitions(config: Config) -> Mapping[str, PointCombination]:
    """The joint combinations of the keypoints that are not joints of the model."""
    return OPENPOSE_DEFINITIONS if config.body.openpose_joint_definitions else SMPLX_DEFINITIONS


def no_weight(weights: Mapping[str, Weight], name: str) -> bool:
    """True where a term is absent or has weight 0."""
    return is_zero(weights.get(name, 0.0))


def _with_collision(stage: StageTerms, end: Hypotheses, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses [R] of all terms of a stage, with that of self-collisions."""
    # The paper's energy of collisions has steps, and rounding decides on which side a point lies: the optimiser
    # knows it.
    rest = (end.loss - sum(losses.values())).clamp_min(0.0)
    collision = torch.where(end.colliding, rest, 0.0)
    return {term.name: losses.get(term.name, collision) for term, _ in stage.terms}
