"""Synthetic people in motion from 1, 2, 4 and 8 views, and with faults of a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.evaluation.runner import Runner
from smplifyx.evaluation.sequence_report import ALONE, TOGETHER
from smplifyx.evaluation.sequence_scores import FittedMotion, frame_errors, motion_figures
from smplifyx.evaluation.sequence_trials import VIEWS, fit_frames_alone, fit_jointly
from smplifyx.evaluation.tables import Row
from smplifyx.sequence import SequenceFitter
from smplifyx.skeleton import MIRRORED_KEYPOINTS
from smplifyx.synthetic.sequences import SyntheticSequence
from smplifyx.tracking import View

#: Error of the faulty camera's calibration.
_TURN_DEG, _SHIFT = 1.0, 0.03
#: Figures of the tables.
_FIGURES = ("pa_v2v_mm", "v2v_pelvis_mm", "world_mm", "shape_mm", "acceleration_mm")


def view_count_rows(runner: Runner, fitter: SequenceFitter, sequence: SyntheticSequence) -> list[Row]:
    """A row for the frames of one view one by one, and for each number of views.

    Args:
        runner: fits single frames, and keeps their fits.
        fitter: fits all views.
        sequence: a person in the views of the ring.
    """
    data, config = fitter.fitter.data, fitter.fitter.config
    alone = fit_frames_alone(runner, config, sequence, 0, True)
    rows: list[Row] = [{"views": 1, "fit": ALONE, **_figures(sequence, alone, data)}]
    for count, views in VIEWS.items():
        fit, _ = fit_jointly(fitter, sequence, views, True)
        rows.append({"views": count, "fit": TOGETHER, **_figures(sequence, fit, data)})
    return [{"sequence": sequence.name, "motion": sequence.motion, **row} for row in rows]


def fault_rows(fitter: SequenceFitter, sequence: SyntheticSequence) -> list[Row]:
    """A row for four views without a fault, without the second one, and with each fault of the second one."""
    views = VIEWS[4]
    bad = views[1]
    true = sequence.views
    cases: dict[str, tuple[SyntheticSequence, Sequence[int], Sequence[View]]] = {
        "none": (sequence, views, true),
        "the view left out": (sequence, [view for view in views if view != bad], true),
        "left and right exchanged": (with_wrong_sides(sequence, bad), views, true),
        "another person": (with_another_person(sequence, bad), views, true),
        "every other frame missing": (with_missing_frames(sequence, bad), views, true),
        "camera turned by 1 degree, moved by 30 mm": (sequence, views, moved_camera(true, bad)),
    }
    rows: list[Row] = []
    for name, (seen, used, calibration) in cases.items():
        motion, fit = fit_jointly(fitter, seen, used, True, calibration)
        weight = float(fit.view_weights[:, list(used).index(bad)].mean()) if bad in used else float("nan")
        rows.append({"fault": name, **_figures(sequence, motion, fitter.fitter.data), "weight of the view": weight})
    return rows


def _figures(sequence: SyntheticSequence, fit: FittedMotion, data: BodyModelData) -> Row:
    figures = motion_figures(sequence, fit, frame_errors(sequence, fit, data))
    return {name: figures[name] for name in _FIGURES}


def with_wrong_sides(sequence: SyntheticSequence, view: int) -> SyntheticSequence:
    """The sequence with left and right exchanged in all frames of a view."""
    keypoints = sequence.keypoints_2d.copy()
    keypoints[view] = keypoints[view][:, list(MIRRORED_KEYPOINTS)]
    return replace(sequence, keypoints_2d=keypoints)


def with_another_person(sequence: SyntheticSequence, view: int) -> SyntheticSequence:
    """The sequence with another person in a view: the same one half the sequence earlier or later, mirrored."""
    keypoints = sequence.keypoints_2d.copy()
    other = np.roll(keypoints[view], len(sequence) // 2, axis=0)[:, list(MIRRORED_KEYPOINTS)]
    seen = other[..., 2] > 0
    middle = np.median(other[seen][:, 0])
    width = float(np.percentile(other[seen][:, 0], 95) - np.percentile(other[seen][:, 0], 5))
    other[..., 0] = np.where(seen, 2.0 * middle - other[..., 0] + 0.5 * width, 0.0)
    keypoints[view] = other
    return replace(sequence, keypoints_2d=keypoints)


def with_missing_frames(sequence: SyntheticSequence, view: int) -> SyntheticSequence:
    """The sequence with every other frame of a view lost."""
    keypoints = sequence.keypoints_2d.copy()
    keypoints[view, 1::2] = 0.0
    return replace(sequence, keypoints_2d=keypoints)


def moved_camera(views: Sequence[View], view: int) -> list[View]:
    """The calibration with one camera turned by a degree and shifted by three centimetres."""
    moved = list(views)
    turn = Rotation.from_rotvec(np.radians(_TURN_DEG) * np.array([0.6, 0.8, 0.0])).as_matrix()
    old = views[view]
    shift = np.array([_SHIFT, 0.0, 0.0])
    moved[view] = replace(
        old, rotation=turn @ np.asarray(old.rotation), translation=turn @ np.asarray(old.translation) + shift
    )
    return moved
