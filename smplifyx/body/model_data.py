"""What a body-model file holds, as plain arrays: no file format and no tensor library in sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]

GENDERS = ("neutral", "male", "female")


@dataclass(frozen=True)
class BodyModelData:
    """The arrays of one SMPL-X body model (V vertices, F triangles, J = 55 joints).

    Attributes:
        model_type: ``smplx``.
        gender: ``neutral``, ``male`` or ``female``.
        name: which body this is, for reports, for example ``open-body 1`` or the file's name.
        v_template: [V, 3] mean shape in T-pose, metres, y up, face towards +z, left at +x.
        faces: [F, 3] vertex numbers.
        shapedirs: [V, 3, S] metres per standard deviation of the S shape components.
        expression_dirs: [V, 3, E] metres per standard deviation of the E expression components.
        posedirs: [V, 3, R] pose blend shapes. R is 9 (J - 1) unless ``pose_projection`` is given.
        pose_projection: [R, 9 (J - 1)] maps the flattened ``rotation - identity`` of joints 1..J-1 to the R
            coefficients of ``posedirs``: a low-rank store of the dense blend shapes; None for the identity.
        joint_regressor: [J, V] joints from the shaped rest mesh.
        skinning_weights: [V, J] rows sum to one.
        parents: [J] parent joint, -1 for the root.
        left_hand_components, right_hand_components: [45, 45] rows are principal components of the hand pose.
        left_hand_mean, right_hand_mean: [45] mean hand pose, axis-angle.
        extra_point_vertices: [21] vertex of each of ``skeleton.EXTRA_POINT_NAMES``.
        landmark_faces, landmark_barycentric: [51], [51, 3] the static face landmarks.
        contour_faces, contour_barycentric: [79, 17], [79, 17, 3] the face contour for each degree of head yaw.
        part_labels: [F] the joint whose part each triangle belongs to, or None.
        rest_contact_pairs: [N, 2] triangle pairs that touch at rest, or None.
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
    left_hand_components: FloatArray
    right_hand_components: FloatArray
    left_hand_mean: FloatArray
    right_hand_mean: FloatArray
    extra_point_vertices: IntArray
    landmark_faces: IntArray
    landmark_barycentric: FloatArray
    contour_faces: IntArray
    contour_barycentric: FloatArray
    part_labels: IntArray | None = None
    rest_contact_pairs: IntArray | None = None

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return int(self.v_template.shape[0])

    @property
    def n_joints(self) -> int:
        """Number of joints J."""
        return int(self.parents.shape[0])
