"""From observations to fitted people: start, camera stage, annealed stages, best start, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import available_keypoints
from smplifyx.camera import resolve_cameras
from smplifyx.config import Config
from smplifyx.fitting.collect import collect_results
from smplifyx.fitting.evidence import FitTargets
from smplifyx.fitting.hypotheses import Ambiguity, ambiguity
from smplifyx.fitting.initialization import (
    candidate_headings,
    facing_camera,
    initial_translation,
    trunk_orientation,
    trunk_roll,
    view_orientations,
    weak_perspective_init,
)
from smplifyx.fitting.parameters import BodyParameters, InitialPose, has_body
from smplifyx.fitting.problem import FittingSchedule, Hypotheses
from smplifyx.fitting.result import FitResult
from smplifyx.fitting.standing import has_upright_stance
from smplifyx.keypoints import Observation
from smplifyx.lifting.lifter import KeypointLifter
from smplifyx.lifting.network import N_LIFTED_JOINTS, SWAPPABLE_LIMBS, load_lifting, shipped_lifting
from smplifyx.priors import make_body_pose_prior
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS

_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_TRUNK = [BODY_KEYPOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip")]
_MIN_TRUNK_KEYPOINTS = 3
#: Stature that the objective's unit of length is made from (metres): such a person is 1000 units tall.
_STATURE = 1.7

#: Called after each stage with (stage number, number of stages).
Progress = Callable[[int, int], None]


class Fitter:
    """Fits any number of people that share one body model.

    Args:
        data: the body model.
        config: weights, stages, optimiser, camera rules.
        device: where to compute.
        dtype: precision, ``float32`` or ``float64``.
    """

    def __init__(
        self, data: BodyModelData, config: Config, device: torch.device | str = "cpu", dtype: str = "float32"
    ) -> None:
        self._device = torch.device(device)
        self._dtype = _DTYPES[dtype]
        self._config = config
        self._data = data
        self._model = BodyModel.from_data(data, self._dtype, self._device)
        priors, prior = config.priors, None
        if has_body(data.skeleton):
            prior = make_body_pose_prior(
                priors.body_pose, priors.file, self._dtype, self._device, priors.vposer_residual
            )
        parameters = BodyParameters(data, prior, config.body.n_hand_components, self._dtype, self._device)
        self._depth = self._depth_evidence()
        self._problem = FittingSchedule(data, parameters, self._model, config, self._device)

    def _depth_evidence(self) -> KeypointLifter | None:
        """The reader of depths; None where it is not wanted or the model has no body."""
        lifting = self._config.lifting
        if not has_body(self._data.skeleton) or not lifting.enabled:
            return None
        checkpoint = lifting.checkpoint
        network = load_lifting(shipped_lifting() if checkpoint is None else checkpoint)
        return KeypointLifter(network.to(self._device), available_keypoints(self._data), lifting.undo_swaps)

    def fit(
        self,
        observations: Sequence[Observation],
        progress: Progress | None = None,
    ) -> list[FitResult]:
        """Fits all the people as one batch; the i-th result belongs to the i-th observation.

        A person whose numbers turn NaN gets the status ``failed``; the others are not affected.
        """
        if not observations:
            return []
        started = time.perf_counter()
        observations = resolve_cameras(observations, self._config.camera)
        people = self._people(observations)
        starts, whole = self._config.starts, has_body(self._data.skeleton)
        rows = self._start(people) if whole else self._start_part(people)
        self._problem.run_camera_stage(rows, self._camera_evidence(rows.evidence) if whole else rows.evidence)
        doubt = Ambiguity.none(len(observations), rows.loss)
        for number, stage in enumerate(self._config.stages, 1):
            flipping = whole and starts.depth_flips > 0 and number == starts.select_after_stage + 1
            if flipping:
                rows = self._problem.with_depth_flips(rows, stage, starts.depth_flips)
            # Where flips compete, those that collide are dealt with once the best is chosen: in the next stage.
            self._problem.run_stage(rows, stage, resolve_collisions=not flipping)
            if flipping or number == starts.select_after_stage:
                best = _best_starts(rows, len(observations))
                doubt = doubt.worse(ambiguity(self._problem.joints(rows), rows.loss, rows.person, best))
                rows = rows.select(best)
            if progress is not None:
                progress(number, len(self._config.stages))
        seconds = (time.perf_counter() - started) / len(observations)
        return collect_results(self._problem, self._data, rows, observations, doubt, seconds)

    @torch.no_grad()
    def vertices(self, result: FitResult) -> np.ndarray:
        """Mesh [V, 3] of a result in the camera frame, without the camera translation, metres."""
        pose = np.concatenate([getattr(result, name) for name in self._data.skeleton.pose_groups])
        rotations = axis_angle_to_matrix(self._tensor(pose).reshape(1, -1, 3))
        output = self._model(self._tensor(result.betas)[None], self._tensor(result.expression)[None], rotations)
        return output.vertices[0].cpu().numpy()

    @property
    def faces(self) -> np.ndarray:
        """Triangles [F, 3] of the mesh."""
        return np.asarray(self._data.faces)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values)).to(dtype=self._dtype, device=self._device)

    def _people(self, observations: Sequence[Observation]) -> FitTargets:
        cameras = [one.camera for one in observations if one.camera is not None]
        keypoints = self._tensor(np.stack([observation.keypoints for observation in observations]))
        confidence = keypoints[..., 2]
        confidence = torch.where(confidence >= self._config.people.min_confidence, confidence, 0.0)
        heights = self._tensor([observation.image_size[1] for observation in observations])
        # An unseen point may hold anything; zero times anything finite is zero.
        points = torch.where(confidence[..., None] > 0, keypoints[..., :2], 0.0)
        blank = points.new_zeros(len(points), N_LIFTED_JOINTS, 3)
        people = FitTargets(
            keypoints=points,
            confidence=confidence,
            focal_length=self._tensor([camera.focal_length for camera in cameras]),
            principal_point=self._tensor([camera.center for camera in cameras]),
            pixel_scale=1000.0 / heights,
            upright_stance=has_upright_stance(points, confidence).to(self._dtype),
            swapped_sides=torch.zeros(len(points), len(SWAPPABLE_LIMBS), dtype=torch.bool, device=self._device),
            lifted=blank,
            sqrt_precision=blank[..., None].expand(-1, -1, -1, 3),
        )
        if self._depth is None:
            return people
        found = self._depth(points, confidence, people.focal_length, people.principal_point)
        return replace(
            people,
            keypoints=found.keypoints,
            confidence=found.confidence,
            swapped_sides=found.swapped_sides,
            lifted=found.lifted.joints,
            sqrt_precision=found.lifted.sqrt_precision,
        )

    @torch.no_grad()
    def _start(self, people: FitTargets) -> Hypotheses:
        """One row for each person and starting heading."""
        person, orientation = self._orientations(people)
        evidence = people.index(person)
        x = self._middle(len(person))
        body = self._body_keypoints(x, InitialPose(orientation, torch.zeros_like(orientation[:, 0])))
        translation = initial_translation(
            evidence.keypoints, evidence.confidence, body, evidence.focal_length, evidence.principal_point
        )
        return self._rows(person, evidence, InitialPose(orientation, translation), x, translation[:, 2])

    def _orientations(self, people: FitTargets) -> tuple[Tensor, Tensor]:
        """Whom [R] each start is for, and its orientation [R, 3, 3]."""
        if self._config.starts.headings == "auto" and self._config.lifting.enabled:
            upright = torch.eye(3, dtype=self._dtype, device=self._device).expand(len(people.lifted), 3, 3)
            joints = self._problem.pose(
                self._middle(len(upright)), InitialPose(upright, torch.zeros_like(upright[:, 0]))
            )
            resting = joints[:, skeleton.BODY_JOINTS] - joints[:, :1]
            return torch.arange(len(upright), device=self._device), trunk_orientation(resting, people.lifted)
        headings = candidate_headings(people.keypoints.cpu(), people.confidence.cpu(), self._config.starts)
        person = torch.tensor([i for i, some in enumerate(headings) for _ in some], device=self._device)
        roll = trunk_roll(people.keypoints, people.confidence)[person]
        return person, facing_camera(roll, self._tensor([angle for some in headings for angle in some]))

    def _middle(self, n: int) -> Tensor:
        """Parameters [N, D] of the middle of all priors."""
        return torch.zeros(n, self._problem.parameters.layout.n_parameters, dtype=self._dtype, device=self._device)

    @torch.no_grad()
    def _start_part(self, people: FitTargets) -> Hypotheses:
        """One row for each hand or head, view of it and pose of its fingers, placed as its keypoints are."""
        layout, poses = self._problem.parameters.layout, self._problem.parameters.starting_poses()
        views = view_orientations(self._data.model_type, self._dtype, self._device)
        n_people, n_starts = len(people.keypoints), len(views) * len(poses)
        person = torch.arange(n_people, device=self._device).repeat_interleave(n_starts)
        evidence = people.index(person)
        orientation = views.repeat_interleave(len(poses), 0).repeat(n_people, 1, 1)
        x = poses.repeat(n_people * len(views), 1)
        view, nowhere = self._problem.first_view, torch.zeros_like(orientation[:, 0])
        posed = self._problem.parameters(layout.split(x), InitialPose(orientation, nowhere))
        output = view.model(posed.betas, posed.expression, posed.rotations)
        root = output.joints[:, 0]
        towards_camera = nowhere - nowhere.new_tensor([0.0, 0.0, 1.0])
        points = view.regressor(output, view.regressor.contour_rows(output, towards_camera))
        start = weak_perspective_init(
            orientation,
            points - root[:, None],
            evidence.keypoints[:, view.keypoints],
            evidence.confidence[:, view.keypoints],
            evidence.focal_length,
            evidence.principal_point,
        )
        return self._rows(person, evidence, InitialPose(start.orientation, start.root - root), x, start.root[:, 2])

    def _rows(self, person: Tensor, evidence: FitTargets, frame: InitialPose, x: Tensor, depth: Tensor) -> Hypotheses:
        if self._config.objective.scale == "person":
            size = _STATURE * evidence.focal_length.mean(1) / depth
            evidence = replace(evidence, pixel_scale=1000.0 / size)
        n_evaluations = torch.zeros_like(person)
        loss = torch.zeros_like(depth)
        truncated = torch.zeros_like(person, dtype=torch.bool)
        return Hypotheses(person, evidence, frame, x, loss, n_evaluations, n_evaluations, truncated)

    def _body_keypoints(self, x: Tensor, frame: InitialPose) -> Tensor:
        posed = self._problem.parameters(self._problem.parameters.layout.split(x), frame)
        view = self._problem.first_view
        output = view.model(posed.betas, posed.expression, posed.rotations, posed.translation)
        return view.regressor(output)

    def _camera_evidence(self, evidence: FitTargets) -> FitTargets:
        """The trunk's keypoints alone; all body keypoints for people whose trunk is hardly seen."""
        trunk = torch.zeros_like(evidence.confidence)
        trunk[:, _TRUNK] = 1.0
        seen = (evidence.confidence[:, _TRUNK] > 0).sum(1) >= _MIN_TRUNK_KEYPOINTS
        anything = torch.zeros_like(trunk)
        anything[:, BODY_KEYPOINTS] = 1.0
        mask = torch.where(seen[:, None], trunk, anything)
        return replace(evidence, confidence=evidence.confidence * mask)


def _best_starts(rows: Hypotheses, n_people: int) -> Tensor:
    """The row [P] of lowest loss of each person; a row that failed loses against any that did not."""
    loss = torch.where(torch.isfinite(rows.loss), rows.loss, torch.inf)
    chosen = []
    for person in range(n_people):
        candidates = torch.nonzero(rows.person == person)[:, 0]
        chosen.append(candidates[loss[candidates].argmin()])
    return torch.stack(chosen)
