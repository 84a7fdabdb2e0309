"""The arrays of a body model, independent of file format and tensor library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smplifyx.skeleton import EXTRA_POINT_NAMES, Skeleton, skeleton_of

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]


class HandPoses(NamedTuple):
    """A hand's pose space: ``components`` [45, 45], principal components in rows, and the ``mean`` [45] (radians)."""

    components: FloatArray
    mean: FloatArray


@dataclass(frozen=True)
class BodyModelData:
    """The arrays of one model of the SMPL family (V vertices, F triangles, J joints).

    Parts that a model lacks are None: hands of SMPL and FLAME, the other hand of MANO, the face of SMPL, SMPL-H and
    MANO. A model without expressions has ``expression_dirs`` with zero components.

    Attributes:
        model_type: ``smplx``, ``smplh``, ``smpl``, ``mano`` or ``flame``.
        gender: ``neutral``, ``male`` or ``female``.
        name: name of the body in reports, for example ``open-body 1`` or the file's name.
        v_template: [V, 3] mean shape in T-pose, metres, y up, face towards +z, left at +x.
        faces: [F, 3] vertex numbers.
        shapedirs: [V, 3, S] metres per standard deviation of the S shape components.
        expression_dirs: [V, 3, E] metres per standard deviation of the E expression components.
        posedirs: [V, 3, R] pose blend shapes. R is 9 (J - 1) unless ``pose_projection`` is given.
        pose_projection: [R, 9 (J - 1)] maps the flattened ``rotation - identity`` of joints 1..J-1 to the R
            coefficients of ``posedirs``, a low-rank form of the dense blend shapes; None means the identity.
        joint_regressor: [J, V] joints from the shaped rest mesh.
        skinning_weights: [V, J] rows sum to one.
        parents: [J] parent joint, -1 for the root.
        left_hand_components, right_hand_components: [45, 45] rows are principal components of the hand pose.
        left_hand_mean, right_hand_mean: [45] mean hand pose, axis-angle.
        extra_point_vertices: [N] vertex of each of ``extra_point_names``.
        landmark_faces, landmark_barycentric: [51], [51, 3] the static face landmarks.
        contour_faces, contour_barycentric: [79, 17], [79, 17, 3] the face contour for each degree of head yaw.
        part_labels: [F] the joint whose part each triangle belongs to, or None.
        rest_contact_pairs: [N, 2] triangle pairs that touch at rest, or None.
        side: ``left`` or ``right`` for MANO, None for the others.
        extra_point_names: names of the surface points that are keypoints.
    """

    model_type: str
    gender: str
    name: str
    v_template: FloatArray
    faces: IntArray
    shapedirs: FloatArray
    expression_dirs: FloatArray
    posedirs: FloatArray
    pose_projection: FloatArray | None
    joint_regressor: FloatArray
    skinning_weights: FloatArray
    parents: IntArray
    left_hand_components: FloatArray | None
    right_hand_components: FloatArray | None
    left_hand_mean: FloatArray | None
    right_hand_mean: FloatArray | None
    extra_point_vertices: IntArray
    landmark_faces: IntArray | None
    landmark_barycentric: FloatArray | None
    contour_faces: IntArray | None
    contour_barycentric: FloatArray | None
    part_labels: IntArray | None = None
    rest_contact_pairs: IntArray | None = None
    side: str | None = None
    extra_point_names: tuple[str, ...] = EXTRA_POINT_NAMES

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return int(self.v_template.shape[0])

    @property
    def n_joints(self) -> int:
        """Number of joints J."""
        return int(self.parents.shape[0])

    @property
    def skeleton(self) -> Skeleton:
        """Joint names, pose groups and keypoints of this model type."""
        return skeleton_of(self.model_type, self.side)

    def hand(self, side: str) -> HandPoses:
        """Return the pose space of the ``left`` or the ``right`` hand.

        Raises:
            ValueError: the model has no such hand.
        """
        components, mean = {
            "left": (self.left_hand_components, self.left_hand_mean),
            "right": (self.right_hand_components, self.right_hand_mean),
        }[side]
        if components is None or mean is None:
            raise ValueError(f"{self.name} ({self.model_type}) has no {side} hand poses")
        return HandPoses(components, mean)
