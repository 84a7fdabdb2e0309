"""The same people fitted with each body-pose prior: errors, and joints that bend against themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.config import Config
from smplifyx.evaluation.posture import MAX_WRONG_BEND, hinge_bends_of_pose
from smplifyx.evaluation.runner import fit_people, observation_of, score
from smplifyx.evaluation.views import ViewScene, fit_views
from smplifyx.fitting.result import FitResult
from smplifyx.synthetic.people import SyntheticPerson

FloatArray = NDArray[np.float64]

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
    fits = fit_people(data, config, observations)
    scores = [score(person, fit.vertices, fit.joints) for person, fit in zip(people, fits, strict=True)]
    return PriorFigures(
        np.array([figures["pa_v2v_mm"] for figures in scores]),
        np.array([figures["pa_mpjpe_mm"] for figures in scores]),
        np.array([wrong_bend(fit.result) for fit in fits]),
        np.array([figures["trunk_angle_deg"] for figures in scores]),
    )


def evaluate_views(data: BodyModelData, config: Config, scenes: Sequence[ViewScene]) -> PriorFigures:
    """Fits every view of every scene alone, without its calibration; the truth is the triangulated person."""
    views = fit_views(data, config, scenes)
    return PriorFigures(
        np.full(len(views), np.nan),
        np.array([view.errors.pa_mpjpe_mm for view in views]),
        np.array([wrong_bend(view.fit.result) for view in views]),
        np.array([view.errors.posture.trunk_angle for view in views]),
    )


def wrong_bend(result: FitResult) -> float:
    """How far the worst elbow or knee of a fit bends against its joint, degrees; not above 0 when all flex."""
    return float(hinge_bends_of_pose(result.body_pose).max())


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
