"""Fit body models to observed keypoints: the public entry point."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.body import Body
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.regressor import available_keypoints
from smplifyx.body.search import find_body_model
from smplifyx.camera import resolve_cameras
from smplifyx.config import Config, Override, load_config
from smplifyx.config.fields import shown
from smplifyx.config.loading import with_override
from smplifyx.config.schema import check
from smplifyx.errors import UsageError
from smplifyx.fitting.batch import FitTargets, Hypotheses
from smplifyx.fitting.collect import collect_results
from smplifyx.fitting.initialization import initial_hypotheses
from smplifyx.fitting.parameters import BodyParameters, has_body
from smplifyx.fitting.schedule import SelectBest, Stage, TurnHands, make_schedule
from smplifyx.fitting.solver import Solver, keypoint_definitions
from smplifyx.fitting.terms import Term, default_terms, unused_settings
from smplifyx.fitting.upright_stance import has_upright_stance
from smplifyx.keypoints import Observation
from smplifyx.lifting.detector_points import add_detector_points
from smplifyx.lifting.lifter import KeypointLifter, LiftedJoints, LiftedKeypoints
from smplifyx.lifting.network import (
    N_LIFTED_JOINTS,
    SWAPPABLE_LIMBS,
    LiftingNetwork,
    load_lifting,
    shipped_lifting,
)
from smplifyx.optim import padded_rows
from smplifyx.priors import make_body_pose_prior
from smplifyx.result import FitResult
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

_DTYPES = {"float32": torch.float32, "float64": torch.float64}
#: Full meshes posed together; more would fill the memory without saving time.
MESHES_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class FitProgress:
    """The state of a batch after a stage.

    Attributes:
        people: positions of the batch's people in the list of observations.
        stage: number of the stage, counted from 1.
        n_stages: number of stages.
    """

    people: range
    stage: int
    n_stages: int
    _solver: Solver = field(repr=False)
    _hypotheses: Hypotheses = field(repr=False)

    @cached_property
    def losses(self) -> dict[str, np.ndarray]:
        """Value of each term of the stage by name, [P] arrays; of each person's best hypothesis."""
        best = self._hypotheses.index(self._hypotheses.best())
        (losses,) = self._solver.losses([best], [self.stage])
        return {name: values.cpu().numpy() for name, values in losses.items()}


#: Models whose default settings are in a configuration file of their own.
_MODELS_WITH_FILES = ("smplh", "smpl", "mano", "flame")

#: Called after each stage of each batch.
Callback = Callable[[FitProgress], None]


class Fitter:
    """Fit any number of people that share one body model.

    Args:
        model: ``smplx``, ``smplh``, ``smpl``, ``mano`` or ``flame``; or the arrays of a loaded body model.
        gender: ``neutral``, ``male`` or ``female``.
        side: ``left`` or ``right`` for MANO.
        config: settings: a :class:`~smplifyx.config.Config`, a YAML file, or the name of a shipped configuration such
            as ``paper``; None for the default of the model.
        overrides: settings by dotted name, for example ``{"objective.rho": 50}``.
        models: folder of body-model files, the only one that is searched.
        device: where to compute.
        dtype: precision, ``float32`` or ``float64``.
        terms: the terms of the objective; None for :func:`~smplifyx.fitting.terms.default_terms`.
        batch_size: people that are fitted together.
        networks_of: a fitter with the same settings, device and precision, whose pose prior and lifting network are
            used instead of others that are loaded.

    Raises:
        UsageError: an unknown model, gender, precision or setting, unusable terms, or no batch size.
        InputError: a file is missing or damaged.
    """

    def __init__(
        self,
        model: str | BodyModelData = "smplx",
        gender: str = "neutral",
        *,
        side: str | None = None,
        config: Config | Path | str | None = None,
        overrides: dict[str, Any] | None = None,
        models: Path | str | None = None,
        device: torch.device | str = "cpu",
        dtype: str = "float32",
        terms: Sequence[Term] | None = None,
        batch_size: int = 32,
        networks_of: Fitter | None = None,
    ) -> None:
        if dtype not in _DTYPES:
            raise UsageError(f"expected dtype {' or '.join(_DTYPES)}, found {dtype!r}")
        if batch_size < 1:
            raise UsageError(f"expected a batch_size of 1 or more, found {batch_size}")
        if isinstance(model, str):
            self.config = settings_for(model, config, overrides)
            folder = models if models is not None else self.config.body.models_dir
            model = load_body_model_data(find_body_model(model, gender, folder, side=side), gender)
        else:
            self.config = settings_for(model.model_type, config, overrides)
        self.data, self.batch_size = model, batch_size
        self._device, self._dtype = torch.device(device), _DTYPES[dtype]
        #: The body model, with the keypoints that are compared with the observed ones.
        self.body = Body(model, definitions=keypoint_definitions(self.config), dtype=self._dtype, device=self._device)
        self._prior: Any = self._body_pose_prior() if networks_of is None else networks_of._prior
        parameters = BodyParameters(
            model,
            self._prior,
            self.config.body.n_hand_components,
            self._dtype,
            self._device,
            self.config.body.shared_eyes,
        )
        self._solver = Solver(
            model, self.body.model, parameters, self.config, default_terms() if terms is None else terms
        )
        self._schedule = make_schedule(self.config, parameters.has_body)
        #: Held during a fit, whose buffers are the fitter's: threads that share it wait for each other.
        self.lock = threading.RLock()
        self._lifting: LiftingNetwork | None = (
            self._lifting_network() if networks_of is None else networks_of._lifting
        )
        self._lifter = self._make_lifter()
        #: Settings that differ from their defaults and have no effect on this model.
        self.unused_settings = tuple(unused_settings(self.config, parameters.layout.groups))

    def _body_pose_prior(self) -> Any:
        if not has_body(self.data.skeleton):
            return None
        priors = self.config.priors
        return make_body_pose_prior(
            priors.body_pose,
            priors.file,
            self._dtype,
            self._device,
            priors.vposer_residual,
            priors.vposer_rounding,
        )

    def _lifting_network(self) -> LiftingNetwork | None:
        lifting = self.config.lifting
        if not lifting.enabled or not has_body(self.data.skeleton):
            return None
        network = load_lifting(shipped_lifting() if lifting.checkpoint is None else Path(lifting.checkpoint))
        return network.to(self._device)

    def _make_lifter(self) -> KeypointLifter | None:
        if self._lifting is None:
            return None
        return KeypointLifter(self._lifting, available_keypoints(self.data), self.config.lifting.undo_swaps)

    def fit(
        self,
        observations: Sequence[Observation],
        callback: Callback | None = None,
    ) -> list[FitResult]:
        """Fit people in batches.

        Args:
            observations: the people. Cameras that are not given follow from the settings, as in
                :func:`~smplifyx.camera.resolve_cameras`.
            callback: called after each stage of each batch.

        Returns:
            One result per observation, in their order. A person whose optimisation diverges (NaN or infinity) has the
            status ``failed``; the others are not affected.
        """
        return [result for batch in self.fit_batches(observations, callback) for result in batch]

    def fit_batches(
        self,
        observations: Sequence[Observation],
        callback: Callback | None = None,
    ) -> Iterator[list[FitResult]]:
        """As :meth:`fit`, one batch after the other."""
        observations = resolve_cameras(observations, self.config.camera)
        start = 0
        while start < len(observations):  # the batch size may shrink on the way
            people = range(start, min(start + self.batch_size, len(observations)))
            start = people.stop
            yield self._fit_batch(observations[people.start : people.stop], people, callback)

    def _fit_batch(
        self,
        observations: Sequence[Observation],
        people: range,
        callback: Callback | None,
    ) -> list[FitResult]:
        """Fit a batch; where the memory of a GPU is too small for it, this and all later ones in halves."""
        try:
            return self._fit_together(observations, people, callback)
        except RuntimeError as error:
            if not is_out_of_memory(error) or len(observations) == 1:
                raise
        # Outside of the handler, whose traceback keeps the tensors of the attempt.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = (len(observations) + 1) // 2
        self.batch_size = min(self.batch_size, half)
        return [
            *self._fit_batch(observations[:half], people[:half], callback),
            *self._fit_batch(observations[half:], people[half:], callback),
        ]

    def _fit_together(
        self,
        observations: Sequence[Observation],
        people: range,
        callback: Callback | None,
    ) -> list[FitResult]:
        with self.lock:
            started = time.perf_counter()
            hypotheses = self.initial_hypotheses(observations)
            for step in self._schedule:
                hypotheses = step.run(self._solver, hypotheses)
                if callback is not None and isinstance(step, Stage):
                    callback(FitProgress(people, step.number, len(self.config.stages), self._solver, hypotheses))
            seconds = (time.perf_counter() - started) / len(observations)
            results = collect_results(self._solver, hypotheses, observations, seconds)
        return [replace(result, _body=self.body) for result in results]

    def initial_hypotheses(self, observations: Sequence[Observation]) -> Hypotheses:
        """The hypotheses from which a batch starts; for observations with cameras."""
        return initial_hypotheses(self._solver, self._targets(observations))

    @property
    def solver(self) -> Solver:
        """The body model with its objective, for other parts of the package; it may change without notice."""
        return self._solver

    def competing_hypotheses(self, observations: Sequence[Observation]) -> Hypotheses:
        """The hypotheses of a batch before its last stage, those that compete last all together.

        Args:
            observations: the people, with cameras.
        """
        steps = self._schedule[:-1]
        while steps and isinstance(steps[-1], SelectBest | TurnHands):
            steps = steps[:-1]
        hypotheses = self.initial_hypotheses(observations)
        for step in steps:
            hypotheses = step.run(self._solver, hypotheses)
        return hypotheses

    @torch.no_grad()
    def vertices(self, results: Sequence[FitResult]) -> np.ndarray:
        """Meshes [N, V, 3] of results in the camera frame, without the camera translation, metres."""
        meshes = []
        for start in range(0, len(results), MESHES_AT_ONCE):
            some = results[start : start + MESHES_AT_ONCE]
            rows = padded_rows(len(some), self._device)
            pose = np.stack([np.concatenate([getattr(one, name) for name in self._pose_groups]) for one in some])
            rotations = axis_angle_to_matrix(self._tensor(pose).unflatten(1, (-1, 3)))
            betas, expression = (
                self._tensor(np.stack([getattr(one, name) for one in some])) for name in ("betas", "expression")
            )
            output = self.body.model(betas[rows], expression[rows], rotations[rows])
            meshes.append(output.vertices[: len(some)].cpu().numpy())
        return np.concatenate(meshes) if meshes else np.zeros((0, self.data.n_vertices, 3), np.float32)

    @property
    def _pose_groups(self) -> Sequence[str]:
        return list(self.data.skeleton.pose_groups)

    @property
    def faces(self) -> np.ndarray:
        """Triangles [F, 3] of the mesh."""
        return np.asarray(self.data.faces)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values)).to(dtype=self._dtype, device=self._device)

    def _targets(self, observations: Sequence[Observation]) -> FitTargets:
        cameras = [one.camera for one in observations if one.camera is not None]
        keypoints = self._tensor(np.stack([observation.keypoints for observation in observations]))
        confidence = keypoints[..., 2]
        confidence = torch.where(confidence >= self.config.people.min_confidence, confidence, 0.0)
        # Coordinates of keypoints that were not detected may be NaN; zero weight times zero is zero.
        points = torch.where(confidence[..., None] > 0, keypoints[..., :2], 0.0)
        focal_length = self._tensor([camera.focal_length for camera in cameras])
        principal_point = self._tensor([camera.center for camera in cameras])
        upright_stance = has_upright_stance(points, confidence).to(self._dtype)
        swapped = torch.zeros(len(points), len(SWAPPABLE_LIMBS), dtype=torch.bool, device=self._device)
        lifted = points.new_zeros(len(points), N_LIFTED_JOINTS, 3)
        precision = lifted[..., None].expand(-1, -1, -1, 3)
        if self._lifter is not None:
            found = self._lifter(points, confidence, focal_length, principal_point)
            points, confidence, swapped = found.keypoints, found.confidence, found.swapped_sides
            combined = self._with_detector_points(found, observations)
            lifted, precision = combined.joints, combined.sqrt_precision
        return FitTargets(
            keypoints=points,
            confidence=confidence,
            focal_length=focal_length,
            principal_point=principal_point,
            pixel_scale=1000.0 / self._tensor([observation.image_size[1] for observation in observations]),
            upright_stance=upright_stance,
            swapped_sides=swapped,
            lifted=lifted,
            sqrt_precision=precision,
        )

    def _with_detector_points(self, found: LiftedKeypoints, observations: Sequence[Observation]) -> LiftedJoints:
        """The lifted joints, with the depths of detectors' 3D points; of people without swapped limbs alone."""
        sd = self.config.lifting.detector_depth_sd
        if sd is None or all(one.points_3d is None for one in observations):
            return found.lifted
        absent = np.zeros((len(BODY_KEYPOINT_NAMES), 4), np.float32)
        points = self._tensor(np.stack([absent if one.points_3d is None else one.points_3d for one in observations]))
        points = torch.where(found.swapped_sides.any(1)[:, None, None], 0.0, points)
        return add_detector_points(found.lifted, points, sd)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch or Warp could not allocate memory on a GPU."""
    return isinstance(error, torch.OutOfMemoryError) or "Failed to allocate" in str(error)


def settings_for(model: str, config: Config | Path | str | None, overrides: Mapping[str, Any] | None) -> Config:
    """The settings of a fit.

    Args:
        model: the type of the body model.
        config: settings, a YAML file, the name of a shipped configuration, or None for the default of the model.
        overrides: settings by dotted name.

    Raises:
        UsageError: an unknown configuration or setting, or settings that do not fit the model.
    """
    if config is None and model in _MODELS_WITH_FILES:
        config = f"fit_{model}"
    chosen = [Override("body.model", model, "Fitter")]
    chosen += [Override(name, shown(value), f"override {name}") for name, value in (overrides or {}).items()]
    if not isinstance(config, Config):
        return load_config(config, chosen)
    for override in chosen:
        config = with_override(config, override)
    check(config)
    return config
