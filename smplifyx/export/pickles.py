"""Results as the pickles that other projects read."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.errors import InputError
from smplifyx.export.motion import Motion
from smplifyx.output.results import pickle_of, smplifyx_parameters

PickleLayout = Literal["smplifyx", "vposer", "smplx"]


def pickle_bytes(motion: Motion, layout: PickleLayout) -> bytes:
    """The pickle of the first frame of a motion.

    ``smplifyx`` is what SMPLify-X writes without VPoser, ``vposer`` what it writes with it: in the camera frame, the
    hands as coefficients. ``smplx`` are the arguments of the smplx package and of AGORA's ground truth: in the scene
    (y up, z towards the viewer), with ``transl``, hands of 45 numbers relative to the mean hand.

    Raises:
        InputError: ``vposer`` for a fit without it, ``smplx`` for another model.
    """
    if layout == "smplx":
        return pickle_of(smplx_parameters(motion))
    return pickle_of(smplifyx_parameters(motion.first, with_vposer=layout == "vposer"))


def smplx_parameters(motion: Motion) -> dict[str, Any]:
    """Arguments of ``smplx.create(..., use_pca=False)`` with its default ``flat_hand_mean=False``, [1, n] each.

    Raises:
        InputError: a model other than SMPL-X.
    """
    first = motion.first
    if first.model_type != "smplx":
        raise InputError(None, f"expected smplx, found {first.model_type}", "model_type")
    arrays: dict[str, Any] = {name: getattr(first, name) for name in (*first.skeleton.pose_groups, "expression")}
    arrays["betas"] = motion.betas
    arrays["global_orient"] = Rotation.from_matrix(motion.rotations[0, 0]).as_rotvec()
    arrays["transl"] = motion.root_positions[0] - motion.rest_joints[0]
    for side in ("left", "right"):
        arrays[f"{side}_hand_pose"] = arrays[f"{side}_hand_pose"] - motion.data.hand(side).mean
    return {name: np.asarray(array, np.float32)[None] for name, array in arrays.items()} | {"gender": first.gender}
