"""Limbs inside others, and the movements that bring them out."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.overlaps import LimbTable, Overlap
from smplifyx.skeleton import joint_index


@pytest.fixture(scope="module")
def limbs(open_body) -> LimbTable:
    return LimbTable(open_body)


def _limb(limbs: LimbTable, joint: str) -> int:
    (number,) = [k for k, joints in enumerate(limbs.joints) if joints == [joint_index(joint)]]
    return number


def _bodies(open_body, limbs, of: int, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices at rest with a limb moved so that its middle is at a point, and its vertices' numbers."""
    vertices = np.array(open_body.v_template, np.float64)
    moved = np.unique(open_body.faces[limbs.of_face == of])
    vertices[moved] += towards - vertices[moved].mean(0)
    return vertices, moved


def _joints(open_body) -> np.ndarray:
    return np.asarray(open_body.joint_regressor, np.float64) @ np.asarray(open_body.v_template, np.float64) + [
        0.0,
        0.0,
        3.0,
    ]


def test_every_triangle_belongs_to_a_limb_of_its_side(open_body, limbs):
    for side, sign in (("left", 1), ("right", -1)):
        hand = np.unique(open_body.faces[limbs.of_face == _limb(limbs, f"{side}_wrist")])
        assert (sign * open_body.v_template[hand, 0] > 0.5).all()
    assert len(limbs.keys) == 14  # hands, forearms, feet, shins, upper arms, thighs, head, trunk
    trunk = len(limbs.keys) - 1
    assert not limbs.joints[trunk] and (limbs.of_face == trunk).sum() > 0.05 * len(open_body.faces)


def test_what_moves_most_easily_is_pulled(open_body, limbs):
    hand, thigh, trunk = _limb(limbs, "left_wrist"), _limb(limbs, "left_knee"), len(limbs.keys) - 1
    of = {limb: np.flatnonzero(limbs.of_face == limb) for limb in (hand, thigh, trunk)}
    found = Penetration(9, 0.02, np.full(open_body.n_vertices, 0.02), [])
    pairs = np.concatenate(
        [np.stack([of[one][:9], of[other][:9]], 1) for one, other in ((thigh, hand), (trunk, hand))]
    )
    assert limbs.overlaps(found, pairs) == [Overlap(hand, (thigh, trunk))]
    assert limbs.overlaps(found, pairs[:3]) == []  # a few triangles
    shallow = Penetration(9, 0.0, np.zeros(open_body.n_vertices), [])
    assert limbs.overlaps(shallow, pairs) == []


def test_a_pulled_limb_is_beyond_what_it_was_in(open_body, limbs):
    hand, trunk = _limb(limbs, "left_wrist"), len(limbs.keys) - 1
    middle = open_body.v_template[np.unique(open_body.faces[limbs.of_face == trunk])].mean(0)
    vertices, moved = _bodies(open_body, limbs, hand, middle)
    sides = limbs.pulls(Overlap(hand, (trunk,)), vertices, _joints(open_body), 2)
    assert len(sides) == 2
    others = vertices[np.unique(open_body.faces[limbs.of_face == trunk])]
    for (pull,) in sides:
        assert pull.joint == joint_index("left_wrist")
        length = np.linalg.norm(pull.shift)
        direction = pull.shift / length
        for point in vertices[moved] + pull.shift:
            offsets = others - point
            heights = offsets @ direction
            beside = np.linalg.norm(offsets - heights[:, None] * direction, axis=1)
            assert (heights[beside < 0.003] < 0.01).all()
        assert 0.05 < length < 0.5
    first, second = (one[0].shift / np.linalg.norm(one[0].shift) for one in sides)
    assert first @ second < 0.5 + 1e-6
    assert abs(first[2]) > 0.7  # along the ray: there the keypoints hardly change


def test_limbs_of_one_kind_share_the_way(open_body, limbs):
    left, right = _limb(limbs, "left_wrist"), _limb(limbs, "right_wrist")
    hand = np.unique(open_body.faces[limbs.of_face == right])
    vertices, _ = _bodies(open_body, limbs, left, np.asarray(open_body.v_template, np.float64)[hand].mean(0))
    ((one, other),) = limbs.pulls(Overlap(left, (right,)), vertices, _joints(open_body), 1)
    assert {one.joint, other.joint} == {joint_index("left_wrist"), joint_index("right_wrist")}
    np.testing.assert_allclose(one.shift, -other.shift)
