"""Motions as Biovision hierarchy files (.bvh): the skeleton of one person and its rotations."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.export.motion import Motion

#: Written lengths are centimetres, as animation programs expect.
_SCALE = 100.0
#: Length of a last bone whose end no point of the surface tells, metres.
_LAST_BONE = 0.03


def bvh_text(motion: Motion, fps: float) -> str:
    """The file's text: y up, z towards the viewer, centimetres, degrees, rotations in the order Z X Y.

    The rest pose is the T-pose of the motion's shape. The positions of the root are those of the pelvis in the scene.
    Frames without the person repeat the one before; those before the first one of the person have its pose.
    """
    data = motion.data
    offsets = _SCALE * (motion.rest_joints - motion.rest_joints[np.maximum(data.parents, 0)])
    lines = ["HIERARCHY"]
    _add_joint(lines, motion, offsets, 0, "")
    rows = held_rows(motion)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1.0 / fps:.8f}"]
    angles = Rotation.from_matrix(motion.rotations.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    angles = angles.reshape(len(motion.frames), -1, 3)[:, _depth_first(data.parents.tolist())]
    numbers = np.concatenate([_SCALE * motion.root_positions, angles.reshape(len(angles), -1)], axis=1)
    lines += [" ".join(f"{number:.6f}" for number in numbers[row]) for row in rows]
    return "\n".join(lines) + "\n"


def held_rows(motion: Motion) -> list[int]:
    """Row of the motion for each frame up to its last; gaps repeat the row before, or else the first row."""
    frames = np.arange(motion.frames[-1] + 1)
    return np.maximum(np.searchsorted(motion.frames, frames, side="right") - 1, 0).tolist()


def _add_joint(lines: list[str], motion: Motion, offsets: np.ndarray, joint: int, indent: str) -> None:
    """Add a joint and, in braces, its children."""
    parents = motion.data.parents.tolist()
    inner = indent + "\t"
    channels = "Zrotation Xrotation Yrotation"
    position = "" if joint else "Xposition Yposition Zposition "
    lines += [
        f"{indent}{'JOINT' if joint else 'ROOT'} {motion.data.skeleton.joint_names[joint]}",
        f"{indent}{{",
        f"{inner}OFFSET {_numbers(offsets[joint])}",
        f"{inner}CHANNELS {3 if joint else 6} {position}{channels}",
    ]
    children = [child for child, parent in enumerate(parents) if parent == joint and child]
    for child in children:
        _add_joint(lines, motion, offsets, child, inner)
    if not children:
        end = _numbers(_SCALE * _end_of(motion, joint))
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {end}", f"{inner}}}"]
    lines.append(f"{indent}}}")


def _depth_first(parents: list[int], joint: int = 0) -> list[int]:
    """Joints in the order in which the hierarchy names them."""
    children = [child for child, parent in enumerate(parents) if parent == joint and child]
    return [joint, *(below for child in children for below in _depth_first(parents, child))]


def _end_of(motion: Motion, joint: int) -> np.ndarray:
    """The end [3] of a last bone, relative to its joint: the tip of a finger or toe, or on along its parent."""
    data = motion.data
    name = data.skeleton.joint_names[joint]
    tip = name.replace("_foot", "_big_toe") if name.endswith("_foot") else name.rstrip("0123456789")
    if tip != name and tip in data.extra_point_names:
        vertex = data.extra_point_vertices[data.extra_point_names.index(tip)]
        return motion.template[vertex] - motion.rest_joints[joint]
    bone = motion.rest_joints[joint] - motion.rest_joints[max(int(data.parents[joint]), 0)]
    return _LAST_BONE * bone / max(float(np.linalg.norm(bone)), 1e-6)


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)
