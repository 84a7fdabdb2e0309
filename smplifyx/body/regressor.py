"""Canonical keypoints of a posed body, from joints and surface points, as a 2D detector defines them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

_MAX_YAW_DEGREES = 39

#: A keypoint as a weighted sum of joints and named surface points; the weights sum to one.
PointCombination = Mapping[str, float]


def _openpose_side(side: str, other: str) -> dict[str, PointCombination]:
    """Keypoints of one side as OpenPose places them: the mean residual on photos of about thirty upright people."""
    return {
        f"{side}_shoulder": {f"{side}_shoulder": 0.97, f"{other}_shoulder": 0.03},
        f"{side}_hip": {f"{side}_hip": 1.04, f"{other}_hip": -0.04},
        f"{side}_knee": {f"{side}_knee": 1.02, f"{side}_hip": -0.02},
        f"{side}_ankle": {f"{side}_ankle": 1.05, f"{side}_knee": -0.05},
        f"{side}_heel": {f"{side}_heel": 0.8, f"{side}_ankle": 0.2},
    }


#: OpenPose's neck is between the shoulders and its mid-hip between the hips. Its hips are wider apart than the
#: joints, its shoulders closer together, its ankles lower.
OPENPOSE_DEFINITIONS: Mapping[str, PointCombination] = {
    "neck": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5},
    **_openpose_side("left", "right"),
    **_openpose_side("right", "left"),
}

#: The joints themselves, as SMPLify-X uses them.
SMPLX_DEFINITIONS: Mapping[str, PointCombination] = {
    "neck": {"neck": 1.0},
    "mid_hip": {"pelvis": 1.0},
}


class KeypointRegressor(nn.Module):
    """Canonical keypoints from joints and a few vertices of a body.

    :attr:`vertices` are the vertices it reads; :meth:`restrict` gives the body model that computes only those.
    :attr:`face_joint` is the joint that moves the face.

    Args:
        data: the body model's arrays.
        keypoints: canonical indices to return, ascending; by default all that the model has.
        definitions: combinations of joints for keypoints that are not joints of the model.

    Raises:
        ValueError: keypoints are not ascending, or the model does not have them.
    """

    vertices: Tensor
    _static: Tensor
    _contour_vertices: Tensor
    _contour_weights: Tensor

    def __init__(
        self,
        data: BodyModelData,
        keypoints: Sequence[int] | None = None,
        definitions: Mapping[str, PointCombination] = OPENPOSE_DEFINITIONS,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        available = available_keypoints(data)
        self.keypoints = available if keypoints is None else tuple(keypoints)
        if list(self.keypoints) != sorted(set(self.keypoints)):
            raise ValueError("keypoints must be ascending and unique")
        if not set(self.keypoints) <= set(available):
            lacking = [CANONICAL_KEYPOINT_NAMES[k] for k in self.keypoints if k not in available]
            raise ValueError(f"{data.name} ({data.model_type}) does not have the keypoints {', '.join(lacking)}")
        static = [k for k in self.keypoints if k < CONTOUR_KEYPOINTS.start]
        contour = [k - CONTOUR_KEYPOINTS.start for k in self.keypoints if k >= CONTOUR_KEYPOINTS.start]

        points = [_static_point(data, definitions, keypoint) for keypoint in static]
        used = {column for point in points for column, weight in point.items() if weight}
        static_vertices = np.array(sorted(used - set(range(data.n_joints))), np.int64) - data.n_joints
        contour_faces, contour_weights = _contour(data, contour)
        contour_corners = np.asarray(data.faces)[contour_faces]  # [79, n, 3]
        vertices = np.concatenate([static_vertices, np.setdiff1d(contour_corners, static_vertices)]).astype(np.int64)
        place = np.zeros(data.n_vertices, dtype=np.int64)
        place[vertices] = np.arange(len(vertices))

        self._n_static_vertices = len(static_vertices)
        weights = np.zeros((len(static), data.n_joints + len(static_vertices)))
        for row, point in zip(weights, points, strict=True):
            for column in used & point.keys():
                at = column if column < data.n_joints else data.n_joints + place[column - data.n_joints]
                row[at] = point[column]
        self._register("vertices", vertices, torch.int64, device)
        self._register("_static", weights, dtype, device)
        self._register("_contour_vertices", place[contour_corners], torch.int64, device)
        self._register("_contour_weights", contour_weights, dtype, device)
        face_joint = data.skeleton.face_joint
        self.face_joint = 0 if face_joint is None else data.skeleton.joint_index(face_joint)

    def _register(self, name: str, array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> None:
        self.register_buffer(name, torch.as_tensor(array).to(device=device, dtype=dtype), persistent=False)

    @property
    def n_static(self) -> int:
        """Number of keypoints that do not lie on the face contour."""
        return len(self._static)

    @property
    def n_contour(self) -> int:
        """Number of keypoints on the face contour."""
        return int(self._contour_vertices.shape[1])

    def static_weights(self, n_joints: int, n_vertices: int) -> np.ndarray:
        """Weights [n_static, J + V] of joints and restricted vertices."""
        weights = np.zeros((self.n_static, n_joints + n_vertices), np.float32)
        weights[:, : self._static.shape[1]] = self._static.cpu().numpy()
        return weights

    def contour_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners [79, n_contour, 3] among the restricted vertices of the contour's points, and their weights."""
        return self._contour_vertices.cpu().numpy(), self._contour_weights.cpu().numpy()

    def restrict(self, model: BodyModel) -> BodyModel:
        """Return the body model restricted to the vertices that this regressor reads."""
        return model.restrict(self.vertices)

    def forward(self, output: BodyOutput, contour_rows: Tensor | None = None) -> Tensor:
        """Return keypoints [B, N, 3] in the frame of ``output``, which comes from the restricted model.

        Args:
            output: joints and the restricted vertices.
            contour_rows: [B] rows of the contour table; computed from the pose when absent (see
                :meth:`contour_rows`). Fixing them over some steps keeps an objective smooth.
        """
        # With the batch last, one product serves all people and gathering is contiguous: much faster.
        joints, vertices = output.joints.permute(1, 2, 0), output.vertices.permute(1, 2, 0)
        points = torch.cat([joints, vertices[: self._n_static_vertices]])
        keypoints = (self._static @ points.flatten(1)).unflatten(1, points.shape[1:])
        if self._contour_vertices.shape[1]:
            rows = self.contour_rows(output) if contour_rows is None else contour_rows
            corners = self._contour_vertices.index_select(0, rows).permute(1, 2, 0)  # [n, 3, B]
            weights = self._contour_weights.index_select(0, rows).permute(1, 2, 0)
            gathered = torch.gather(vertices, 0, corners.flatten(0, 1)[:, None].expand(-1, 3, -1))
            contour = (gathered.unflatten(0, corners.shape[:2]) * weights[:, :, None]).sum(1)
            keypoints = torch.cat([keypoints, contour])
        return keypoints.permute(2, 0, 1)

    @torch.no_grad()
    def contour_rows(self, output: BodyOutput, to_camera: Tensor | None = None) -> Tensor:
        """Return the rows [B] of the contour table for heads seen by a camera.

        The yaw is that of the line from head to camera in the head's own frame, so it does not depend on the body's
        heading, on the neck chain's convention, or on which way the frame's y axis points.

        Args:
            output: the posed body.
            to_camera: [B, 3] direction from head to camera; by default the camera is at the origin.
        """
        if to_camera is None:
            to_camera = -output.joints[:, self.face_joint]
        rotations = output.joint_rotations[:, self.face_joint]
        direction = (rotations.transpose(1, 2) @ to_camera[..., None])[..., 0]
        right_turn = torch.atan2(direction[:, 0], direction[:, 2]) * (180.0 / math.pi)
        # A diverged row reads the frontal contour, so that it does not stop the other rows.
        degrees = right_turn.nan_to_num().round().clamp(-_MAX_YAW_DEGREES, _MAX_YAW_DEGREES).long()
        return torch.where(degrees >= 0, degrees, _MAX_YAW_DEGREES - degrees)


def available_keypoints(data: BodyModelData) -> tuple[int, ...]:
    """Return the canonical indices, ascending, of the keypoints that a model has.

    Body keypoints need a body, the 21 keypoints of a hand need finger joints, face keypoints need landmarks on the
    mesh.
    """
    skeleton = data.skeleton
    parts = (
        (BODY_KEYPOINTS, "body_pose" in skeleton.pose_groups),
        (LEFT_HAND_KEYPOINTS, "left" in skeleton.hand_sides),
        (RIGHT_HAND_KEYPOINTS, "right" in skeleton.hand_sides),
        (FACE_KEYPOINTS, data.landmark_faces is not None),
        (CONTOUR_KEYPOINTS, data.contour_faces is not None),
    )
    return tuple(k for part, has in parts if has for k in range(part.start, part.stop))


def _static_point(
    data: BodyModelData, definitions: Mapping[str, PointCombination], keypoint: int
) -> dict[int, float]:
    """Weights of joints (0 to J - 1) and vertices (from J) for a keypoint outside the face contour."""
    if keypoint in range(FACE_KEYPOINTS.start, FACE_KEYPOINTS.stop):
        return _landmark(data, keypoint - FACE_KEYPOINTS.start)
    name = _point_name(CANONICAL_KEYPOINT_NAMES[keypoint])
    return {_column(data, point): weight for point, weight in definitions.get(name, {name: 1.0}).items()}


def _point_name(keypoint: str) -> str:
    """The joint or surface point of a keypoint; OpenPose's fourth point of a finger is its tip, a surface point."""
    return keypoint.replace("_hand_", "_").removesuffix("4")


def _landmark(data: BodyModelData, landmark: int) -> dict[int, float]:
    assert data.landmark_faces is not None
    assert data.landmark_barycentric is not None
    corners = data.n_joints + np.asarray(data.faces)[data.landmark_faces[landmark]]
    weights: dict[int, float] = {}
    for corner, weight in zip(corners.tolist(), data.landmark_barycentric[landmark].tolist(), strict=True):
        weights[corner] = weights.get(corner, 0.0) + weight
    return weights


def _column(data: BodyModelData, point: str) -> int:
    if point in data.extra_point_names:
        return data.n_joints + int(data.extra_point_vertices[data.extra_point_names.index(point)])
    return data.skeleton.joint_index(point)


def _contour(data: BodyModelData, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [79, n] and weights [79, n, 3] of some points of the contour."""
    if data.contour_faces is None or data.contour_barycentric is None:
        return np.zeros((1, 0), dtype=np.int64), np.zeros((1, 0, 3))
    return np.asarray(data.contour_faces)[:, columns], np.asarray(data.contour_barycentric)[:, columns]
