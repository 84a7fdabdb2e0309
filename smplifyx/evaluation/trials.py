"""Synthetic people fitted in several ways: as configured, with bodies of each gender, with each pose prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.search import find_body_model
from smplifyx.config import Config
from smplifyx.evaluation.posture import MAX_WRONG_BEND, hinge_bends, hinge_bends_of_pose
from smplifyx.evaluation.runner import FittedPerson, fit_with_body, load_model
from smplifyx.evaluation.scores import score
from smplifyx.evaluation.statistics import difference_interval, mean_interval
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.view_scenes import ViewScene
from smplifyx.evaluation.views import fit_views
from smplifyx.gender import CLASSES
from smplifyx.result import FitResult
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import held_out_poses, mild_poses

FloatArray = NDArray[np.float64]

#: Body models of a man or woman: of their own gender, the neutral one, of the other gender.
BODY_CHOICES = ("right", "neutral", "wrong")
GENDER_METRICS = ("pa_v2v_mm", "v2v_pelvis_mm", "pa_mpjpe_mm", "mpjpe_pelvis_mm", "size_percent")
#: Figures of the comparison of priors: errors after similarity alignment (of the surface NaN where that is unknown),
#: largest bend of an elbow or knee against its joint, angle between fitted and true trunk.
PRIOR_FIGURES = ("pa_v2v_mm", "pa_mpjpe_mm", "wrong_bend_deg", "trunk_angle_deg")
_COLUMNS = (
    "prior", "surface, mean", "median", "joints, mean", "median", "mean difference", "bent backwards", "trunk angle"
)  # fmt: skip


def make_people(data: BodyModelData, count: int, seed: int, mocap: Path | None) -> list[SyntheticPerson]:
    """Make synthetic people of a body model in held-out poses of a motion-capture file, or in mild random ones.

    Raises:
        InputError: the motion capture cannot be read.
    """
    poses = mild_poses(seed=seed) if mocap is None else held_out_poses(mocap)
    return list(synthetic_people(data, count, SyntheticOptions(seed=seed), poses))


def fit_and_score(
    data: BodyModelData, config: Config, people: Sequence[SyntheticPerson], true_camera: bool = False
) -> list[Row]:
    """Fit synthetic people: one row of figures for each.

    Args:
        data: the body model, the one that the people were made with.
        config: the fitter's settings.
        people: the truth.
        true_camera: give the fit the true focal length; otherwise the camera rules decide.
    """
    fits = fit_with_body(data, config, [observation_of(person, true_camera) for person in people])
    return [_score_row(person, fit) for person, fit in zip(people, fits, strict=True)]


def _score_row(person: SyntheticPerson, fit: FittedPerson) -> Row:
    figures = score(person, fit.vertices, fit.joints)
    return {
        "person": person.name,
        **figures,
        "reprojection_px": fit.result.reprojection_error_px,
        "n_keypoints": fit.result.n_keypoints,
        "seconds": fit.result.seconds,
        "flags": " ".join([*(["truncated"] if person.truncated else []), *fit.result.flags]),
    }


def truncation_groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of :func:`fit_and_score` by whether the frame cuts the person."""
    cut = [row for row in rows if "truncated" in str(row["flags"])]
    return {"all": list(rows), "whole people": [row for row in rows if row not in cut], "cut by the frame": cut}


def body_gender(person: SyntheticPerson, choice: str) -> str:
    """Gender of the body model that one of :data:`BODY_CHOICES` means for a man or a woman."""
    if choice == "neutral":
        return "neutral"
    right = CLASSES.index(person.gender)
    return CLASSES[right if choice == "right" else 1 - right]


def evaluate_body_choice(
    people: Sequence[SyntheticPerson], choice: str, config: Config, true_camera: bool = False
) -> list[Row]:
    """Fit men and women with the chosen bodies: one row of figures a person, in their order.

    Args:
        people: men and women.
        choice: one of :data:`BODY_CHOICES`.
        config: settings of the fit.
        true_camera: give the fit the true camera.

    Raises:
        InputError: a body model is missing.
    """
    rows: dict[str, Row] = {}
    for gender in sorted({body_gender(person, choice) for person in people}):
        group = [person for person in people if body_gender(person, choice) == gender]
        data = load_model(find_body_model("smplx", gender, config.body.models_dir), gender)
        for person, row in zip(group, fit_and_score(data, config, group, true_camera), strict=True):
            rows[person.name] = {"body": choice, "gender": person.gender, **row}
    return [rows[person.name] for person in people]


def gender_tables(rows: Mapping[str, Sequence[Row]]) -> tuple[list[Row], list[Row]]:
    """Means with intervals for each choice of body, and differences from the right body, person by person.

    Args:
        rows: :func:`evaluate_body_choice` by choice; ``right`` must be among them.
    """
    means: list[Row] = [
        {"body": choice, **{name: str(mean_interval(_column(some, name))) for name in GENDER_METRICS}}
        for choice, some in rows.items()
    ]
    right = rows["right"]
    differences: list[Row] = [
        {
            "body": choice,
            **{name: str(difference_interval(_column(some, name), _column(right, name))) for name in GENDER_METRICS},
        }
        for choice, some in rows.items()
        if choice != "right"
    ]
    return means, differences


def count_bent_backwards(people: Sequence[SyntheticPerson]) -> int:
    """Number of people whose true pose bends an elbow or knee against its joint."""
    bends = hinge_bends([person.rotations[skeleton.BODY_JOINTS] for person in people])
    return int((bends.max(1) > MAX_WRONG_BEND).sum())


def evaluate_people(data: BodyModelData, config: Config, people: Sequence[SyntheticPerson]) -> list[Row]:
    """Fit synthetic people without their focal length: a row of :data:`PRIOR_FIGURES` a person."""
    fits = fit_with_body(data, config, [observation_of(person) for person in people])
    rows: list[Row] = []
    for person, fit in zip(people, fits, strict=True):
        figures = {**score(person, fit.vertices, fit.joints), "wrong_bend_deg": wrong_bend(fit.result)}
        rows.append({name: figures[name] for name in PRIOR_FIGURES})
    return rows


def evaluate_views(data: BodyModelData, config: Config, scenes: Sequence[ViewScene]) -> list[Row]:
    """Fit every view of every scene alone, without its calibration; the truth is the triangulated person."""
    return [
        {
            "pa_v2v_mm": np.nan,
            "pa_mpjpe_mm": view.errors.pa_mpjpe_mm,
            "wrong_bend_deg": wrong_bend(view.fit.result),
            "trunk_angle_deg": view.errors.posture.trunk_angle,
        }
        for view in fit_views(data, config, scenes)
    ]


def wrong_bend(result: FitResult) -> float:
    """Largest bend of an elbow or knee of a fit against its joint, degrees; not above 0 when all flex."""
    return float(hinge_bends_of_pose(result.body_pose).max())


def prior_table(rows: Mapping[str, Sequence[Row]]) -> str:
    """Markdown, one line a prior: errors in millimetres, share of people bent backwards, trunk angle in degrees.

    The mean difference is from the first prior, person by person, with its 95 % interval: of the surface where that
    is known, else of the joints.

    Args:
        rows: of :func:`evaluate_people` or :func:`evaluate_views`, by prior.
    """
    figures = {prior: {name: np.array(_column(some, name)) for name in PRIOR_FIGURES} for prior, some in rows.items()}
    lines = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1))]
    first = _main_error(next(iter(figures.values()))) if figures else np.zeros(0)
    lines += [(prior, *_cells(some, _main_error(some) - first)) for prior, some in figures.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _main_error(figures: Mapping[str, FloatArray]) -> FloatArray:
    surface = figures["pa_v2v_mm"]
    return surface if np.isfinite(surface).any() else figures["pa_mpjpe_mm"]


def _cells(figures: Mapping[str, FloatArray], difference: FloatArray) -> tuple[str, ...]:
    bent = figures["wrong_bend_deg"] > MAX_WRONG_BEND
    interval = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return (
        *_mean_and_median(figures["pa_v2v_mm"]),
        *_mean_and_median(figures["pa_mpjpe_mm"]),
        f"{difference.mean():+.1f} ± {interval:.1f}" if difference.any() else "",
        f"{100.0 * bent.mean():.0f} % ({bent.sum()})",
        _mean_and_median(figures["trunk_angle_deg"])[0],
    )


def _mean_and_median(values: FloatArray) -> tuple[str, str]:
    """Mean and median of the people who have the figure: the truth of some shows no trunk."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "", ""
    return f"{known.mean():.1f}", f"{np.median(known):.1f}"


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows]
