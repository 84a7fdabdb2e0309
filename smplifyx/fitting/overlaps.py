"""Limbs that are inside others, and movements that bring them out.

Contacts know the nearest surface only. A finger that sticks through a hand, or a hand deep in a thigh, is pushed to
no side or to both. Here the limb as a whole is moved out, in a direction that the keypoints and the distance make
cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.collision.parts import body_parts
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.batch import Hypotheses
from smplifyx.skeleton import BODY_JOINTS

#: Limbs by the joint at their root, those that move more easily first, and the joints that move with each.
_LIMBS = {
    "wrist": ("wrist",), "elbow": ("elbow", "wrist"), "ankle": ("ankle",), "knee": ("knee", "ankle"),
    "shoulder": ("elbow",), "hip": ("knee",), "neck": (), "": (),
}  # fmt: skip
#: Pairs of triangles of two limbs that intersect at least.
MIN_PAIRS = 4
#: Depth from which on a vertex counts, metres.
_DEEP = 0.001
#: How much dearer movements within the image are than along the ray.
_ACROSS = 3.0
#: Sides from which movements are compared, and the least angle between two that are tried.
_N_DIRECTIONS, _OTHER_SIDE = 32, np.cos(np.radians(60))
#: Widths of the columns in which surfaces are compared, and of the gap to leave, metres.
_COLUMN, _GAP = 0.015, 0.005
#: Standard deviation of a moved joint from where it should go, metres.
_PULL_SD = 0.002


@dataclass(frozen=True)
class Overlap:
    """A limb, and all that it is still inside of.

    Attributes:
        limb: number of the limb that moves most easily.
        others: numbers of the others.
    """

    limb: int
    others: tuple[int, ...]


@dataclass(frozen=True)
class Pull:
    """A movement of one joint.

    Attributes:
        joint: number.
        shift: [3] metres.
    """

    joint: int
    shift: FloatArray


class LimbTable:
    """Limbs of a body model: which vertices belong to each, and which joints move it.

    Args:
        data: the body model.
    """

    def __init__(self, data: BodyModelData) -> None:
        names, self._faces = list(data.skeleton.joint_names), np.asarray(data.faces)
        kinds = list(_LIMBS)
        limbs: list[tuple[int, str]] = []  # rank and side of each joint's limb
        for name, parent in zip(names, data.parents, strict=True):
            side, _, kind = name.rpartition("_")
            limbs.append((kinds.index(kind), side) if kind in kinds else limbs[parent] if parent >= 0 else (7, ""))
        self.keys = sorted(set(limbs))
        of_joint = np.array([self.keys.index(limb) for limb in limbs])
        #: [F] limb of each triangle.
        self.of_face: IntArray = of_joint[np.asarray(body_parts(data).labels)]
        self.joints = [
            [names.index(f"{side}_{kind}") for kind in _LIMBS[kinds[rank]] if f"{side}_{kind}" in names]
            for rank, side in self.keys
        ]

    def overlaps(self, found: Penetration, pairs: IntArray) -> list[Overlap]:
        """The limbs of a body that are inside others.

        Args:
            found: its penetration.
            pairs: [N, 2] its triangles that intersect.
        """
        near = found.depths[self._faces[pairs]].max((1, 2)) > _DEEP
        ends = np.sort(self.of_face[pairs[near]], axis=1)
        both, counts = np.unique(ends, axis=0, return_counts=True)
        others: dict[int, list[int]] = {}
        for (limb, other), count in zip(both.tolist(), counts, strict=True):
            if limb != other and count >= MIN_PAIRS and self.joints[limb]:
                others.setdefault(limb, []).append(other)
        return [Overlap(limb, tuple(some)) for limb, some in others.items()]

    def pulls(self, overlap: Overlap, vertices: FloatArray, joints: FloatArray, n_sides: int) -> list[list[Pull]]:
        """Movements to several sides that bring a limb out, the cheapest first.

        Args:
            overlap: the limb and the others.
            vertices: [V, 3] of the body, metres.
            joints: [J, 3] in the camera frame, metres.
            n_sides: largest number of sides.
        """
        inner, outer = (
            _dense(vertices, self._faces[np.isin(self.of_face, some)]) for some in (overlap.limb, overlap.others)
        )
        ray = joints[0] / np.linalg.norm(joints[0])
        directions = np.concatenate([ray[None], -ray[None], _DIRECTIONS])
        ways = np.array([_way_out(inner, outer, direction) for direction in directions])
        along = directions @ ray
        chosen: list[int] = []
        for number in np.argsort(ways * np.sqrt(along**2 + _ACROSS**2 * (1.0 - along**2)), kind="stable"):
            if all(directions[number] @ directions[one] < _OTHER_SIDE for one in chosen):
                chosen.append(int(number))
        return [self._shared(overlap, ways[number] * directions[number]) for number in chosen[:n_sides]]

    def _shared(self, overlap: Overlap, shift: FloatArray) -> list[Pull]:
        """Limbs of the same kind move by a half each, others alone."""
        alike = [one for one in overlap.others if self.keys[one][0] == self.keys[overlap.limb][0]]
        share = 0.5 if alike else 1.0
        pulls = [Pull(joint, share * shift) for joint in self.joints[overlap.limb]]
        return pulls + [Pull(joint, -share * shift) for one in alike for joint in self.joints[one]]


def with_pulls(hypotheses: Hypotheses, joints: Tensor, pulls: Sequence[Sequence[Pull]]) -> Hypotheses:
    """Hypotheses whose lifted joints are, where pulled, where those should go, and certain in that direction.

    Args:
        hypotheses: R rows.
        joints: [R, J, 3] metres, camera frame.
        pulls: of each row.
    """
    lifted, precision = hypotheses.targets.lifted.clone(), hypotheses.targets.sqrt_precision.clone()
    for row, some in enumerate(pulls):
        for pull in some:
            place, shift = pull.joint - BODY_JOINTS.start, torch.as_tensor(pull.shift).to(joints)
            direction = shift / shift.norm()
            lifted[row, place] = joints[row, pull.joint] - joints[row, 0] + shift
            precision[row, place] = direction.outer(direction) / _PULL_SD
    return replace(hypotheses, targets=replace(hypotheses.targets, lifted=lifted, sqrt_precision=precision))


def _dense(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Vertices, middles of edges and of triangles: [N, 3] points of a surface less than a column apart."""
    corners = vertices[faces]
    return np.concatenate([corners.reshape(-1, 3), corners[:, :2].mean(1), corners[:, 1:].mean(1), corners.mean(1)])


def _way_out(inner: FloatArray, outer: FloatArray, direction: FloatArray) -> float:
    """Length of a movement of points [N, 3] along a direction that brings all of them beyond others [M, 3]."""
    axes = np.linalg.svd(direction[None])[2][1:] / _COLUMN
    columns = [np.floor(axes @ points.T).astype(np.int64) for points in (inner, outer)]
    first, (width, _) = columns[0].min(1, keepdims=True), np.ptp(columns[0], axis=1) + 1
    columns = [some - first for some in columns]
    beneath = ((columns[1] >= 0) & (columns[1] <= columns[0].max(1, keepdims=True))).all(0)
    below, above = ([1, width] @ some for some in (columns[0], columns[1][:, beneath]))
    highest = np.full(below.max() + above.max(initial=0) + 1, -np.inf)
    np.maximum.at(highest, above, (outer @ direction)[beneath])
    return max(0.0, float((highest[below] - inner @ direction).max())) + _GAP


def _spread_directions(number: int) -> NDArray[np.float64]:
    """[N, 3] unit vectors that are spread evenly, on a spiral around the sphere."""
    place = np.arange(number) + 0.5
    height, angle = 1.0 - 2.0 * place / number, place * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], 1)


_DIRECTIONS = _spread_directions(_N_DIRECTIONS)
