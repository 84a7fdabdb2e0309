"""MANO's hands and FLAME's head, cut from an open SMPL-X body.

With the body's mean shape, a part has the body's own vertices and joints, relative to the part's root joint. Its
shape space is separate, because a body's ten components do not describe hands and heads well.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.skeleton import HAND_JOINTS, joint_index, skeleton_of
from smplifyx.synthetic.makehuman.adults import People
from tools.bodies.joint_regressor import BodyPart, RegressionTargets, fit_part_regressor
from tools.bodies.linear_spaces import fit_shape_space
from tools.bodies.mesh_cut import MeshCut

_N_REGRESSION_PEOPLE = 150
#: How much the sizes of adults' hands and heads differ, men and women together: standard deviation over mean. The
#: source's differ more.
_HAND_SIZE_DEVIATION = 0.06
_HEAD_SIZE_DEVIATION = 0.04
_MIRROR = np.array([-1.0, 1.0, 1.0])
#: Sign of each entry of a flattened rotation matrix under mirroring.
_MIRROR_FEATURE = np.outer(_MIRROR, _MIRROR).ravel()
_HEAD_JOINTS = tuple(joint_index(name) for name in ("neck", "head", "jaw", "left_eye_smplhf", "right_eye_smplhf"))


@dataclass(frozen=True)
class Part:
    """A part to cut off.

    Attributes:
        cut: the part of the mesh.
        joints: numbers of its joints in SMPL-X's order; first the root, then joints whose parents are among them.
        size_deviation: of its size among people, relative to the mean.
    """

    cut: MeshCut
    joints: tuple[int, ...]
    size_deviation: float

    def of_people(self, people: People) -> RegressionTargets:
        """Vertices [P, N, 3] and joints [P, J, 3] of people's parts about their roots, at natural sizes."""
        joints = list(self.joints)
        vertices = people.vertices[:, self.cut.vertices] - people.joints[:, joints[:1]]
        sizes = np.linalg.norm(vertices, axis=(1, 2))
        deviations = sizes / sizes.mean() - 1
        wanted = 1 + deviations * self.size_deviation / deviations.std()
        scales = (wanted / (1 + deviations))[:, None, None]
        return RegressionTargets(
            scales * vertices, scales * (people.joints[:, joints] - people.joints[:, joints[:1]])
        )

    def places(self, parents: IntArray) -> IntArray:
        """[55] the part's joint in place of each joint of the body: itself, an ancestor, or the root."""
        places = np.zeros(len(parents), dtype=np.int64)
        for joint, parent in enumerate(parents):
            places[joint] = self.joints.index(joint) if joint in self.joints else places[max(parent, 0)]
        return places


def left_hand(body: BodyModelData, cut: MeshCut, people: People) -> BodyModelData:
    """MANO's left hand: the wrist and 15 finger joints, ten shape components, no expressions.

    Args:
        body: the open SMPL-X body.
        cut: the left hand's part of the mesh.
        people: bodies to learn the shape space from.
    """
    part = Part(cut, HAND_JOINTS["left"], _HAND_SIZE_DEVIATION)
    names = skeleton_of("mano", "left").extra_point_names
    tips = [body.extra_point_names.index(name) for name in names]
    return BodyModelData(
        model_type="mano",
        side="left",
        expression_dirs=np.zeros((len(cut.vertices), 3, 0), np.float32),
        left_hand_components=body.left_hand_components,
        left_hand_mean=body.left_hand_mean,
        right_hand_components=None,
        right_hand_mean=None,
        extra_point_vertices=cut.numbers_of(body.extra_point_vertices[tips]),
        extra_point_names=names,
        landmark_faces=None,
        landmark_barycentric=None,
        contour_faces=None,
        contour_barycentric=None,
        **_common(body, part, people),
    )


def right_hand(left: BodyModelData, body: BodyModelData) -> BodyModelData:
    """The mirror image of the left hand: vertex k of one is the mirror image of vertex k of the other.

    Args:
        left: from :func:`left_hand`.
        body: the open SMPL-X body, for the right hand's pose space.
    """
    n_joints = left.n_joints
    projection = left.pose_projection
    if projection is None:
        raise ValueError("a hand with low-rank pose blend shapes was expected")
    mirrored = projection.reshape(len(projection), n_joints - 1, 9) * _MIRROR_FEATURE
    return dataclasses.replace(
        left,
        side="right",
        extra_point_names=skeleton_of("mano", "right").extra_point_names,
        v_template=left.v_template * _MIRROR,
        faces=left.faces[:, [0, 2, 1]],
        shapedirs=left.shapedirs * _MIRROR[:, None],
        posedirs=left.posedirs * _MIRROR[:, None],
        pose_projection=mirrored.reshape(projection.shape),
        left_hand_components=None,
        left_hand_mean=None,
        right_hand_components=body.right_hand_components,
        right_hand_mean=body.right_hand_mean,
    )


def head(body: BodyModelData, cut: MeshCut, people: People, partners: IntArray) -> BodyModelData:
    """FLAME's head: root at the base of the neck, neck, jaw and eyes; ten shape and ten expression components.

    Args:
        body: the open SMPL-X body.
        cut: the head's part of the mesh, symmetric.
        people: bodies to learn the shape space from.
        partners: [V] mirror image of each vertex of the body.
    """
    if body.landmark_faces is None or body.contour_faces is None:
        raise ValueError("a body with face landmarks was expected")
    common = _common(body, Part(cut, _HEAD_JOINTS, _HEAD_SIZE_DEVIATION), people)
    mirrored = cut.numbers_of(partners[cut.vertices])
    shapes = common["shapedirs"]
    common["shapedirs"] = (shapes + shapes[mirrored] * _MIRROR[:, None]) / 2
    return BodyModelData(
        model_type="flame",
        side=None,
        expression_dirs=body.expression_dirs[cut.vertices],
        left_hand_components=None,
        left_hand_mean=None,
        right_hand_components=None,
        right_hand_mean=None,
        extra_point_vertices=np.zeros(0, np.int64),
        extra_point_names=(),
        landmark_faces=cut.face_numbers_of(body.landmark_faces),
        landmark_barycentric=body.landmark_barycentric,
        contour_faces=cut.face_numbers_of(body.contour_faces),
        contour_barycentric=body.contour_barycentric,
        **common,
    )


def _common(body: BodyModelData, part: Part, people: People) -> dict[str, Any]:
    """Arrays that are computed alike for every part."""
    cut, joints, places = part.cut, list(part.joints), part.places(body.parents)
    body_joints = body.joint_regressor[joints].astype(np.float64) @ body.v_template
    template = body.v_template[cut.vertices] - body_joints[0]
    weights = np.zeros((len(cut.vertices), len(joints)))
    np.add.at(weights.T, places, body.skinning_weights[cut.vertices].T.astype(np.float64))
    parts = part.of_people(people)
    few = RegressionTargets(parts.vertices[:_N_REGRESSION_PEOPLE], parts.joints[:_N_REGRESSION_PEOPLE])
    expressions = body.expression_dirs.transpose(2, 0, 1).astype(np.float64)
    moved = np.einsum("jv,evc->ejc", body.joint_regressor[joints], expressions)
    own = BodyPart(template, body_joints - body_joints[0], expressions[:, cut.vertices], moved)
    return {
        "gender": body.gender,
        "name": body.name,
        "v_template": template,
        "faces": cut.faces,
        "shapedirs": _shape_space(parts.vertices),
        "joint_regressor": fit_part_regressor(few, own),
        "skinning_weights": weights,
        "parents": np.array([-1, *(places[body.parents[joint]] for joint in joints[1:])]),
        "part_labels": None if body.part_labels is None else places[body.part_labels[cut.whole_faces]],
        "rest_contact_pairs": _contacts(body, cut),
        **_pose_shapes(body, part),
    }


def _shape_space(vertices: FloatArray) -> FloatArray:
    """[N, 3, 10] shape components of people's parts [P, N, 3] about their roots; each one grows the part."""
    space = fit_shape_space(vertices)
    middle = space.vertices - space.vertices.mean(axis=0)
    growth = np.einsum("svc,vc->s", space.directions, middle)
    directions = space.directions * np.where(growth < 0, -1.0, 1.0)[:, None, None]
    return directions.transpose(1, 2, 0)


def _pose_shapes(body: BodyModelData, part: Part) -> dict[str, FloatArray]:
    """The pose blend shapes of the part's joints but the root, whose turning moves the part as a whole."""
    if body.pose_projection is None:
        raise ValueError("a body with low-rank pose blend shapes was expected")
    by_joint = body.pose_projection.reshape(len(body.pose_projection), -1, 9)[:, np.array(part.joints[1:]) - 1]
    posedirs = body.posedirs[part.cut.vertices]
    used = np.any(by_joint != 0, axis=(1, 2)) & np.any(posedirs != 0, axis=(0, 1))
    return {"posedirs": posedirs[..., used], "pose_projection": by_joint[used].reshape(used.sum(), -1)}


def _contacts(body: BodyModelData, cut: MeshCut) -> IntArray | None:
    """Pairs of the part's triangles that touch at rest."""
    pairs = body.rest_contact_pairs
    if pairs is None:
        return None
    inside = pairs[np.isin(pairs, cut.whole_faces).all(axis=1)]
    return cut.face_numbers_of(inside.ravel()).reshape(-1, 2)
