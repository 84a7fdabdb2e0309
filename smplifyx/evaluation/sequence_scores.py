"""Errors of fitted motions against the truth, frame by frame and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.evaluation.metrics import Alignment, mpjpe, pa_v2v, root_aligned_v2v
from smplifyx.evaluation.motion_metrics import (
    FAST,
    acceleration_errors,
    delay_frames,
    peak_share,
    per_second_squared,
    speeds,
)
from smplifyx.evaluation.tables import Row
from smplifyx.skeleton import joint_index
from smplifyx.synthetic.disturbances import DURATIONS
from smplifyx.synthetic.motion import FPS
from smplifyx.synthetic.sequences import SyntheticSequence

FloatArray = NDArray[np.float64]

_N_BODY = 22
#: Frames before and after a fault that count as beside it.
_BESIDE = 2
#: Kinds of frames, in the order of the tables.
FRAME_KINDS = ("clean", "beside a fault", *DURATIONS)
_FAST_JOINTS = [joint_index(f"{side}_{part}") for side in ("left", "right") for part in ("wrist", "ankle")]


@dataclass(frozen=True)
class FittedMotion:
    """A fitted person in the world, metres.

    Attributes:
        vertices: [F, V, 3].
        joints: [F, J, 3], the 22 body joints first.
        betas: [F, S] shape coefficients.
    """

    vertices: NDArray[np.float32]
    joints: FloatArray
    betas: FloatArray


@dataclass(frozen=True)
class FrameErrors:
    """Errors of each of F frames, millimetres.

    Attributes:
        pa_v2v: surface after similarity alignment.
        v2v_root: surface with the pelvis moved onto the true one.
        world: 22 joints as they are.
        shape: T-poses with the pelvises together.
        proportions: T-poses after similarity alignment: without the stature, which one view of an unknown camera
            does not show.
        kinds: of :data:`FRAME_KINDS`.
    """

    pa_v2v: FloatArray
    v2v_root: FloatArray
    world: FloatArray
    shape: FloatArray
    proportions: FloatArray
    kinds: tuple[str, ...]


def frame_errors(sequence: SyntheticSequence, fit: FittedMotion, data: BodyModelData, view: int = 0) -> FrameErrors:
    """Errors of each frame.

    Args:
        sequence: the truth.
        fit: in the same world.
        data: the body model of the fit, of the true mesh.
        view: the view whose faults count.
    """
    pelvis, true_pelvis = fit.joints[:, 0], sequence.joints[:, 0]
    # Frame by frame: a whole sequence in double precision would need gigabytes.
    pairs = [(slice(frame, frame + 1)) for frame in range(len(sequence))]
    return FrameErrors(
        pa_v2v=np.concatenate([pa_v2v(fit.vertices[one], sequence.vertices[one]) for one in pairs]),
        v2v_root=np.concatenate(
            [
                root_aligned_v2v(fit.vertices[one], sequence.vertices[one], pelvis[one], true_pelvis[one])
                for one in pairs
            ]
        ),
        world=mpjpe(fit.joints[:, :_N_BODY], sequence.joints[:, :_N_BODY]),
        shape=shape_errors(fit.betas, sequence.rest_vertices, data),
        proportions=shape_errors(fit.betas, sequence.rest_vertices, data, Alignment.SIMILARITY),
        kinds=frame_kinds(sequence.faults[view]),
    )


def shape_errors(
    betas: FloatArray, true: FloatArray, data: BodyModelData, alignment: Alignment = Alignment.NONE
) -> FloatArray:
    """Mean distances [F] of T-poses from a true one, millimetres.

    Args:
        betas: [F, S] shapes.
        true: [V, 3] the true T-pose, metres.
        data: the body model of the shapes.
        alignment: removed from each T-pose; without one, only the pelvises are together.
    """
    regressor = np.asarray(data.joint_regressor[0], np.float64)
    centred = true - regressor @ true
    different, place = np.unique(betas, axis=0, return_inverse=True)
    errors = []
    for one in different:
        rest = np.asarray(data.v_template, np.float64) + np.asarray(data.shapedirs, np.float64) @ one
        errors.append(float(mpjpe((rest - regressor @ rest)[None], centred[None], alignment=alignment)[0]))
    return np.array(errors)[place.reshape(-1)]


def frame_kinds(faults: Sequence[str]) -> tuple[str, ...]:
    """Kind of each frame: its fault, or whether one is near."""
    kinds = []
    for frame, fault in enumerate(faults):
        near = any(faults[max(frame - _BESIDE, 0) : frame + _BESIDE + 1])
        kinds.append(fault or ("beside a fault" if near else "clean"))
    return tuple(kinds)


def motion_figures(sequence: SyntheticSequence, fit: FittedMotion, errors: FrameErrors) -> Row:
    """Figures of a whole sequence.

    ``acceleration`` is that of the joints about the pelvis, ``acceleration_world`` that of the joints as they are;
    ``delay`` compares the paths of wrists and ankles that are fast.
    """
    joints, true = fit.joints[:, :_N_BODY], sequence.joints[:, :_N_BODY]
    about_pelvis, true_about_pelvis = joints - joints[:, :1], true - true[:, :1]
    acceleration = float(acceleration_errors(about_pelvis, true_about_pelvis).mean())
    true_speeds = speeds(true_about_pelvis[:, _FAST_JOINTS], FPS)
    fast = true_speeds.max(axis=0) > FAST
    paths = [_curves(points[:, _FAST_JOINTS][:, fast]) for points in (about_pelvis, true_about_pelvis)]
    return {
        "pa_v2v_mm": float(errors.pa_v2v.mean()),
        "v2v_pelvis_mm": float(errors.v2v_root.mean()),
        "world_mm": float(errors.world.mean()),
        "shape_mm": float(errors.shape.mean()),
        "proportions_mm": float(errors.proportions.mean()),
        "acceleration_mm": acceleration,
        "acceleration_m_s2": per_second_squared(acceleration, FPS),
        "acceleration_world_mm": float(acceleration_errors(joints, true).mean()),
        "delay_frames": delay_frames(*paths),
    }


@dataclass(frozen=True)
class FastCurves:
    """Height [F] of the pelvis above its first frames, metres, and speed [F] of a wrist or ankle, m/s."""

    rise: FloatArray
    speed: FloatArray


def fast_curves(joints: FloatArray, joint: int) -> FastCurves:
    """Curves of joints [F, J, 3] in the world; the speed of a joint is that about the pelvis."""
    speed = speeds(joints[:, [joint]] - joints[:, :1], FPS)[:, 0]
    return FastCurves(joints[:, 0, 1] - joints[:4, 0, 1].mean(), np.pad(speed, 1, mode="edge"))


def fastest_joint(sequence: SyntheticSequence) -> int:
    """The wrist or ankle of highest speed about the pelvis."""
    about_pelvis = sequence.joints[:, _FAST_JOINTS] - sequence.joints[:, :1]
    return _FAST_JOINTS[int(np.argmax(speeds(about_pelvis, FPS).max(axis=0)))]


def fast_motion_figures(sequence: SyntheticSequence, fit: FittedMotion) -> Row:
    """Delay and size of the fastest movement: the wrist or ankle of highest speed, and the highest pelvis."""
    joint = fastest_joint(sequence)
    paths = [_curves(points[:, [joint]] - points[:, :1]) for points in (fit.joints, sequence.joints)]
    found, true = fast_curves(fit.joints, joint), fast_curves(sequence.joints, joint)
    return {
        "delay_frames": f"{delay_frames(*paths):.2f}",
        "true_speed_m_s": float(true.speed.max()),
        "speed_percent": 100.0 * peak_share(found.speed, true.speed),
        "true_rise_mm": 1000.0 * float(true.rise.max()),
        "rise_percent": 100.0 * peak_share(found.rise, true.rise),
    }


def _curves(points: FloatArray) -> FloatArray:
    """Coordinates of points [F, J, 3] as curves [F, 3 J]."""
    return points.reshape(len(points), -1)
