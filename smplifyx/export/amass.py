"""Motions as AMASS has them (Mahmood et al. 2019): parameters in a frame whose z axis points up."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.errors import InputError
from smplifyx.export.motion import Motion

#: Models whose pose vector is that of AMASS.
AMASS_MODELS = ("smplx", "smplh", "smpl")


@dataclass(frozen=True)
class Placement:
    """A frame of coordinates: a point ``x`` of the scene is at ``rotation @ x + origin``.

    Attributes:
        rotation: [3, 3].
        origin: [3] the scene's origin, the camera, metres.
    """

    rotation: NDArray[np.float64]
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))


#: From the scene (y up, z towards the viewer) to z up, y away from the viewer.
Z_UP = Placement(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))


def amass_arrays(motion: Motion, fps: float, placement: Placement = Z_UP) -> dict[str, Any]:
    """The arrays by key.

    ``poses`` is the full pose [T, 3 J], axis-angle, hands complete as they are (zero is the flat hand); the same
    numbers stand in ``root_orient``, ``pose_body``, ``pose_jaw``, ``pose_eye`` and ``pose_hand``. ``trans`` [T, 3] is
    added to the body after it turned about its pelvis at rest, metres. ``betas`` [S] is one shape for all frames,
    ``expression`` [T, E]. By default the camera is in the origin, at the height 0.

    Args:
        motion: the motion.
        fps: frames per second.
        placement: the frame of ``trans`` and of the orientation.

    Raises:
        InputError: a hand or a head, which AMASS does not know.
    """
    first = motion.first
    if first.model_type not in AMASS_MODELS:
        raise InputError(None, f"expected one of {', '.join(AMASS_MODELS)}, found {first.model_type}", "model_type")
    groups = first.skeleton.pose_groups
    poses = np.stack([one.full_pose for one in motion.results])
    poses[:, 0] = Rotation.from_matrix(placement.rotation @ motion.rotations[:, 0]).as_rotvec()
    trans = motion.root_positions @ placement.rotation.T + placement.origin - motion.rest_joints[0]
    n_frames = len(motion.frames)

    def part(*names: str) -> np.ndarray:
        return np.concatenate([poses[:, groups[name]].reshape(n_frames, -1) for name in names], axis=1)

    arrays: dict[str, Any] = {
        "poses": poses.reshape(n_frames, -1),
        "trans": trans,
        "betas": motion.betas,
        "root_orient": part("global_orient"),
        "pose_body": part("body_pose"),
    }
    if "jaw_pose" in groups:
        arrays |= {"pose_jaw": part("jaw_pose"), "pose_eye": part("leye_pose", "reye_pose")}
        arrays["expression"] = motion.expressions
    if first.skeleton.hand_sides:
        arrays["pose_hand"] = part("left_hand_pose", "right_hand_pose")
    numbers = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    return numbers | {
        "gender": np.array(first.gender),
        "surface_model_type": np.array(first.model_type),
        "body_model": np.array(first.model_name),
        "mocap_frame_rate": np.array(fps),
        "mocap_framerate": np.array(fps),
        "mocap_time_length": np.array(n_frames / fps),
        "num_betas": np.array(len(motion.betas)),
        "frames": np.array(motion.frames),
    }


def amass_bytes(motion: Motion, fps: float) -> bytes:
    """The .npz file of :func:`amass_arrays`."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **amass_arrays(motion, fps))
    return stream.getvalue()
