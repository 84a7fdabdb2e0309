"""The same people fitted with each body-pose prior: errors, and joints that bend against themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smplifyx.body.canonical_keypoints import BODY_KEYPOINTS
from smplifyx.body.model_data import BodyModelData
from smplifyx.config import Config
from smplifyx.evaluation.fits import fit_people, observation_of
from smplifyx.evaluation.scoring import score
from smplifyx.evaluation.synthetic import SyntheticPerson
from smplifyx.evaluation.view_scenes import ViewScene
from smplifyx.evaluation.views_report import compare_view
from smplifyx.fitting.result import FitResult
from smplifyx.geometry import axis_angle_to_matrix
from smplifyx.keypoints import Observation, image_size
from smplifyx.keypoints.intrinsics import resolve_intrinsics
from smplifyx.priors import hyperextension

FloatArray = NDArray[np.float64]

#: A joint counts as bent against itself beyond this angle (degrees).
MAX_WRONG_BEND = 10.0
_COLUMNS = (
    "prior", "surface, mean", "median", "joints, mean", "median", "mean difference", "bent backwards", "trunk angle"
)  # fmt: skip


@dataclass(frozen=True)
class PriorFigures:
    """Fits of P people with one prior.

    Attributes:
        pa_v2v_mm: [P] surface error after similarity alignment; NaN where there is no true surface.
        pa_mpjpe_mm: [P] joint error after similarity alignment.
        wrong_bend_deg: [P] how far the worst elbow or knee bends against its joint; not above 0 when all flex.
        trunk_angle_deg: [P] between fitted and true trunk.
    """

    pa_v2v_mm: FloatArray
    pa_mpjpe_mm: FloatArray
    wrong_bend_deg: FloatArray
    trunk_angle_deg: FloatArray


def evaluate_people(data: BodyModelData, config: Config, people: Sequence[SyntheticPerson]) -> PriorFigures:
    """Fits synthetic people, whose focal length is not told, with the prior that the configuration names."""
    observations = [observation_of(person) for person in people]
    cameras = [resolve_intrinsics(observation, config.camera, {}) for observation in observations]
    fits = fit_people(data, config, observations, cameras)
    scores = [score(person, fit.vertices, fit.joints) for person, fit in zip(people, fits, strict=True)]
    return PriorFigures(
        np.array([figures["pa_v2v_mm"] for figures in scores]),
        np.array([figures["pa_mpjpe_mm"] for figures in scores]),
        np.array([wrong_bend(fit.result) for fit in fits]),
        np.array([figures["trunk_angle_deg"] for figures in scores]),
    )


def evaluate_views(data: BodyModelData, config: Config, scenes: Sequence[ViewScene]) -> PriorFigures:
    """Fits every view of every scene alone, without its calibration; the truth is the triangulated person."""
    places = [
        (scene, view)
        for scene in scenes
        for view in range(len(scene.cameras))
        if scene.keypoints[view, BODY_KEYPOINTS, 2].any()
    ]
    observations = [_observation(scene, view) for scene, view in places]
    cameras = [resolve_intrinsics(observation, config.camera, {}) for observation in observations]
    fits = fit_people(data, config, observations, cameras)
    errors = [
        compare_view(
            scene.cameras[view].name,
            fit.keypoints[BODY_KEYPOINTS],
            scene.cameras[view].to_camera(scene.truth.points),
        )
        for (scene, view), fit in zip(places, fits, strict=True)
    ]
    return PriorFigures(
        np.full(len(fits), np.nan),
        np.array([error.pa_mpjpe_mm for error in errors]),
        np.array([wrong_bend(fit.result) for fit in fits]),
        np.array([error.posture.trunk_angle for error in errors]),
    )


def _observation(scene: ViewScene, view: int) -> Observation:
    return Observation(
        image_path=scene.images[view],
        keypoint_path=scene.keypoint_files[view],
        stem=scene.images[view].stem,
        person_index=0,
        keypoints=scene.keypoints[view].astype(np.float32),
        image_size=image_size(scene.images[view]),
    )


def wrong_bend(result: FitResult) -> float:
    """How far the worst elbow or knee of a fit bends against its joint, degrees; not above 0 when all flex."""
    pose = torch.as_tensor(np.asarray(result.body_pose, np.float64)).reshape(1, -1, 3)
    return worst_bends(axis_angle_to_matrix(pose).numpy())[0].item()


def worst_bends(rotations: ArrayLike) -> FloatArray:
    """How far the worst elbow or knee bends against its joint, degrees [P], for body rotations [P, 21, 3, 3]."""
    degrees = torch.rad2deg(hyperextension(torch.as_tensor(np.asarray(rotations, np.float64))))
    return np.asarray(degrees.amax(1).numpy())


def prior_table(figures: Mapping[str, PriorFigures]) -> str:
    """Markdown, one row a prior: errors in millimetres, share of people bent backwards, trunk angle in degrees.

    The mean difference is from the first prior, person by person, with its 95 % interval: of the surface where that
    is known, else of the joints.
    """
    rows = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1))]
    first = _main_error(next(iter(figures.values()))) if figures else np.zeros(0)
    rows += [(name, *_cells(of_prior, _main_error(of_prior) - first)) for name, of_prior in figures.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _main_error(figures: PriorFigures) -> FloatArray:
    return figures.pa_v2v_mm if np.isfinite(figures.pa_v2v_mm).any() else figures.pa_mpjpe_mm


def _cells(figures: PriorFigures, difference: FloatArray) -> tuple[str, ...]:
    bent = figures.wrong_bend_deg > MAX_WRONG_BEND
    interval = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return (
        *_mean_and_median(figures.pa_v2v_mm),
        *_mean_and_median(figures.pa_mpjpe_mm),
        f"{difference.mean():+.1f} ± {interval:.1f}" if difference.any() else "",
        f"{100.0 * bent.mean():.0f} % ({bent.sum()})",
        f"{figures.trunk_angle_deg.mean():.1f}",
    )


def _mean_and_median(values: FloatArray) -> tuple[str, str]:
    if not np.isfinite(values).any():
        return "", ""
    return f"{values.mean():.1f}", f"{np.median(values):.1f}"
