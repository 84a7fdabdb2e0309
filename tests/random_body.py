"""A small body model with random but valid content: every array is dense, so nothing hides."""

from __future__ import annotations

import numpy as np

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData


def random_body_model(n_vertices: int = 200, seed: int = 0, low_rank: bool = False) -> BodyModelData:
    generator = np.random.default_rng(seed)
    n_joints, n_faces, n_pose = skeleton.N_JOINTS, 150, 9 * (skeleton.N_JOINTS - 1)
    weights = generator.random((n_vertices, n_joints)) ** 8
    regressor = generator.random((n_joints, n_vertices)) ** 4
    faces = np.stack([generator.permutation(n_vertices)[:3] for _ in range(n_faces)])

    def barycentric(*shape: int) -> np.ndarray:
        corners = generator.random((*shape, 3))
        return corners / corners.sum(-1, keepdims=True)

    n_directions = 7 if low_rank else n_pose
    return BodyModelData(
        model_type="smplx",
        gender="neutral",
        name="random",
        v_template=generator.normal(size=(n_vertices, 3)) * 0.5,
        faces=faces,
        shapedirs=generator.normal(size=(n_vertices, 3, 10)) * 0.02,
        expression_dirs=generator.normal(size=(n_vertices, 3, 10)) * 0.01,
        posedirs=generator.normal(size=(n_vertices, 3, n_directions)) * 0.01,
        pose_projection=generator.normal(size=(n_directions, n_pose)) * 0.1 if low_rank else None,
        joint_regressor=regressor / regressor.sum(1, keepdims=True),
        skinning_weights=weights / weights.sum(1, keepdims=True),
        parents=np.array(skeleton.PARENTS),
        left_hand_components=np.linalg.qr(generator.normal(size=(45, 45)))[0],
        right_hand_components=np.linalg.qr(generator.normal(size=(45, 45)))[0],
        left_hand_mean=generator.normal(size=45) * 0.1,
        right_hand_mean=generator.normal(size=45) * 0.1,
        extra_point_vertices=generator.permutation(n_vertices)[:21],
        landmark_faces=generator.integers(0, n_faces, skeleton.N_FACE_LANDMARKS),
        landmark_barycentric=barycentric(skeleton.N_FACE_LANDMARKS),
        contour_faces=generator.integers(0, n_faces, (skeleton.N_CONTOUR_ROWS, skeleton.N_CONTOUR_LANDMARKS)),
        contour_barycentric=barycentric(skeleton.N_CONTOUR_ROWS, skeleton.N_CONTOUR_LANDMARKS),
    )
