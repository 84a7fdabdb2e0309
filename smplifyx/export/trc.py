"""Motions as track row column files (.trc) of OpenSim and Pose2Sim: joints and points of the surface as markers."""

from __future__ import annotations

import numpy as np

from smplifyx.camera import TURN_ABOUT_X
from smplifyx.export.bvh import held_rows
from smplifyx.export.motion import Motion
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

_SCALE = 1000.0


def trc_text(motion: Motion, fps: float, name: str) -> str:
    """The file's text: millimetres, y up, z towards the viewer; each frame as fitted, with its own shape.

    Markers are the joints of the model and the body keypoints of the surface that are no joints: nose, eyes, ears,
    toes and heels. A frame without the person has empty cells, as the format wants it. The file begins with the first
    frame of the animation, so that the files of several people have one time.

    Args:
        motion: the person.
        fps: frames per second.
        name: file name that the header tells.
    """
    names, points = markers(motion)
    n_frames = motion.frames[-1] + 1
    rate = f"{fps:g}"
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{n_frames}\t{len(names)}\tmm\t{rate}\t1\t{n_frames}",
        "\t".join(["Frame#", "Time", *(cell for one in names for cell in (one, "", ""))]).rstrip("\t"),
        "\t\t" + "\t".join(f"{axis}{k}" for k in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    for row, frame in zip(held_rows(motion), range(n_frames), strict=True):
        seen = motion.frames[row] == frame
        cells = [f"{_SCALE * number:.3f}" if seen else "" for number in points[row].ravel()]
        lines.append("\t".join([str(frame + 1), f"{frame / fps:.6f}", *cells]))
    return "\n".join(lines) + "\n"


def markers(motion: Motion) -> tuple[list[str], np.ndarray]:
    """Names of the M markers and their positions in the scene [T, M, 3], metres."""
    body = motion.body
    names = list(body.joint_names)
    on_surface = [one for one in body.keypoint_names if one in BODY_KEYPOINT_NAMES and _is_new(one, names)]
    rows = [body.keypoint_names.index(one) for one in on_surface]
    points = [result.body()(**result.parameters).keypoints[0, rows].numpy() for result in motion.results]
    return names + on_surface, np.concatenate([motion.joints, np.stack(points) * TURN_ABOUT_X], axis=1)


def _is_new(keypoint: str, joints: list[str]) -> bool:
    return keypoint not in joints and keypoint != "mid_hip"
