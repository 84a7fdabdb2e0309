"""Joint names, parents and pose layout of the SMPL family, and the points other code attaches to its surface.

The five models differ in these tables alone. The names without a model's name are those of SMPL-X.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

MODEL_TYPES = ("smplx", "smplh", "smpl", "mano", "flame")
SIDES = ("left", "right")
GENDERS = ("neutral", "male", "female")
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
#: Order in which other code lists the finger tips.
_TIPS = ("thumb", "index", "middle", "ring", "pinky")

Joints = tuple[tuple[str, int], ...]

_SMPL_BODY: Joints = (
    ("pelvis", -1), ("left_hip", 0), ("right_hip", 0), ("spine1", 0), ("left_knee", 1), ("right_knee", 2),
    ("spine2", 3), ("left_ankle", 4), ("right_ankle", 5), ("spine3", 6), ("left_foot", 7), ("right_foot", 8),
    ("neck", 9), ("left_collar", 9), ("right_collar", 9), ("head", 12), ("left_shoulder", 13),
    ("right_shoulder", 14), ("left_elbow", 16), ("right_elbow", 17), ("left_wrist", 18), ("right_wrist", 19),
)  # fmt: skip


def _face_joints(head: int) -> Joints:
    return ("jaw", head), ("left_eye_smplhf", head), ("right_eye_smplhf", head)


def _hand_joints(side: str, wrist: int, first: int) -> Joints:
    joints = []
    for finger_number, finger in enumerate(_FINGERS):
        base = first + 3 * finger_number
        joints += [(f"{side}_{finger}{k + 1}", wrist if k == 0 else base + k - 1) for k in range(3)]
    return tuple(joints)


@dataclass(frozen=True)
class Skeleton:
    """The tables of one model (J joints).

    Attributes:
        model_type: one of :data:`MODEL_TYPES`.
        side: ``left`` or ``right`` of a MANO hand, otherwise None.
        joints: name and parent of each joint, in file order; a parent of -1 for the root.
        pose_groups: joints of each part of the pose, in file order; they cover all joints.
        extra_point_names: the surface points that other code appends to the joints, in its order.
        n_licensed_vertices: V of the licensed mesh.
        licensed_extra_points: vertex numbers of the extra points on that mesh.
        face_joint: the joint whose turn decides which contour of the face is seen; None without face landmarks.
    """

    model_type: str
    side: str | None
    joints: Joints
    pose_groups: Mapping[str, slice]
    extra_point_names: tuple[str, ...]
    n_licensed_vertices: int
    licensed_extra_points: tuple[int, ...]
    face_joint: str | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the J joints, in file order."""
        return tuple(name for name, _ in self.joints)

    @property
    def parents(self) -> tuple[int, ...]:
        """Parent of each joint; -1 for the root. Parents always come before their children."""
        return tuple(parent for _, parent in self.joints)

    @property
    def n_joints(self) -> int:
        """Number of joints J."""
        return len(self.joints)

    @property
    def hand_sides(self) -> tuple[str, ...]:
        """The hands whose fingers can be posed."""
        if self.side is not None:
            return (self.side,)
        return tuple(side for side in SIDES if f"{side}_hand_pose" in self.pose_groups)

    def joint_index(self, name: str) -> int:
        """Position of a joint; raises ``ValueError`` for an unknown name."""
        return self.joint_names.index(name)


_BODY_POINTS: tuple[str, ...] = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip

#: The 21 surface points that SMPL-X code appends to the joints, in its order. SMPL and SMPL-H have the same.
EXTRA_POINT_NAMES: tuple[str, ...] = _BODY_POINTS + tuple(f"{side}_{tip}" for side in SIDES for tip in _TIPS)

#: Vertex numbers of those points on the licensed SMPL-X mesh (10,475 vertices).
SMPLX_EXTRA_POINT_VERTICES: tuple[int, ...] = (
    9120, 9929, 9448, 616, 6, 5770, 5780, 8846, 8463, 8474, 8635,
    5361, 4933, 5058, 5169, 5286, 8079, 7669, 7794, 7905, 8022,
)  # fmt: skip
N_SMPLX_VERTICES = 10475
#: The same on the mesh of SMPL and SMPL-H (6,890 vertices).
_SMPL_EXTRA_POINT_VERTICES = (
    332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787,
    2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133,
)  # fmt: skip
_N_SMPL_VERTICES = 6890

_SMPLX = Skeleton(
    model_type="smplx",
    side=None,
    joints=_SMPL_BODY + _face_joints(15) + _hand_joints("left", 20, 25) + _hand_joints("right", 21, 40),
    pose_groups={
        "global_orient": slice(0, 1),
        "body_pose": slice(1, 22),
        "jaw_pose": slice(22, 23),
        "leye_pose": slice(23, 24),
        "reye_pose": slice(24, 25),
        "left_hand_pose": slice(25, 40),
        "right_hand_pose": slice(40, 55),
    },
    extra_point_names=EXTRA_POINT_NAMES,
    n_licensed_vertices=N_SMPLX_VERTICES,
    licensed_extra_points=SMPLX_EXTRA_POINT_VERTICES,
    face_joint="head",
)
_SMPLH = Skeleton(
    model_type="smplh",
    side=None,
    joints=_SMPL_BODY + _hand_joints("left", 20, 22) + _hand_joints("right", 21, 37),
    pose_groups={
        "global_orient": slice(0, 1),
        "body_pose": slice(1, 22),
        "left_hand_pose": slice(22, 37),
        "right_hand_pose": slice(37, 52),
    },
    extra_point_names=EXTRA_POINT_NAMES,
    n_licensed_vertices=_N_SMPL_VERTICES,
    licensed_extra_points=_SMPL_EXTRA_POINT_VERTICES,
)
_SMPL = Skeleton(
    model_type="smpl",
    side=None,
    joints=(*_SMPL_BODY, ("left_hand", 20), ("right_hand", 21)),
    pose_groups={"global_orient": slice(0, 1), "body_pose": slice(1, 24)},
    extra_point_names=EXTRA_POINT_NAMES,
    n_licensed_vertices=_N_SMPL_VERTICES,
    licensed_extra_points=_SMPL_EXTRA_POINT_VERTICES,
)
_FLAME = Skeleton(
    model_type="flame",
    side=None,
    joints=(("root", -1), ("neck", 0), *_face_joints(1)),
    pose_groups={
        "global_orient": slice(0, 1),
        "neck_pose": slice(1, 2),
        "jaw_pose": slice(2, 3),
        "leye_pose": slice(3, 4),
        "reye_pose": slice(4, 5),
    },
    extra_point_names=(),
    n_licensed_vertices=5023,
    licensed_extra_points=(),
    face_joint="neck",
)


def _mano(side: str) -> Skeleton:
    return Skeleton(
        model_type="mano",
        side=side,
        joints=((f"{side}_wrist", -1), *_hand_joints(side, 0, 1)),
        pose_groups={"global_orient": slice(0, 1), "hand_pose": slice(1, 16)},
        extra_point_names=tuple(f"{side}_{tip}" for tip in _TIPS),
        n_licensed_vertices=778,
        licensed_extra_points=(744, 320, 443, 554, 671),
    )


_SKELETONS: Mapping[tuple[str, str | None], Skeleton] = {
    **{(skeleton.model_type, None): skeleton for skeleton in (_SMPLX, _SMPLH, _SMPL, _FLAME)},
    **{("mano", side): _mano(side) for side in SIDES},
}


def skeleton_of(model_type: str, side: str | None = None) -> Skeleton:
    """The tables of a model.

    Args:
        model_type: one of :data:`MODEL_TYPES`.
        side: ``left`` or ``right`` for ``mano``, None for the others.

    Raises:
        ValueError: there is no such model.
    """
    try:
        return _SKELETONS[model_type, side]
    except KeyError:
        raise ValueError(f"no body model {model_type!r} of side {side!r}") from None


#: The 55 SMPL-X joints in file order.
JOINT_NAMES: tuple[str, ...] = _SMPLX.joint_names
#: Parent of each joint; -1 for the pelvis. Parents always come before their children.
PARENTS: tuple[int, ...] = _SMPLX.parents
N_JOINTS = _SMPLX.n_joints

#: Slices of the 55 joints, as the full pose vector is laid out (three numbers a joint).
BODY_JOINTS = _SMPLX.pose_groups["body_pose"]
JAW_JOINT, LEFT_EYE_JOINT, RIGHT_EYE_JOINT = 22, 23, 24
LEFT_HAND_JOINTS = _SMPLX.pose_groups["left_hand_pose"]
RIGHT_HAND_JOINTS = _SMPLX.pose_groups["right_hand_pose"]
#: Wrist and fifteen finger joints of each hand, in MANO's order.
HAND_JOINTS: Mapping[str, tuple[int, ...]] = {
    side: (JOINT_NAMES.index(f"{side}_wrist"), *range(fingers.start, fingers.stop))
    for side, fingers in zip(SIDES, (LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS), strict=True)
}

N_FACE_LANDMARKS = 51
N_CONTOUR_LANDMARKS = 17
#: Rows of the yaw table of the face contour: 0..39 degrees to one side, 1..39 to the other.
N_CONTOUR_ROWS = 79


def joint_index(name: str) -> int:
    """Position of a joint in :data:`JOINT_NAMES`; raises ``ValueError`` for an unknown name."""
    return JOINT_NAMES.index(name)


def body_pose_row(name: str) -> int:
    """Row of a joint in a body pose [21, 3]; raises ``ValueError`` for an unknown name."""
    return joint_index(name) - BODY_JOINTS.start


#: Landmark of the 68-point face layout -> its counterpart on the other side of the face.
_MIRRORED_LANDMARKS: Mapping[int, int] = {
    first + k: last - k
    for first, last in ((0, 16), (17, 26), (27, 27), (28, 28), (29, 29), (30, 30), (31, 35), (48, 54), (60, 64))
    for k in range(last - first + 1)
} | {
    **{55 + k: 59 - k for k in range(5)},
    **{65 + k: 67 - k for k in range(3)},
    **{36 + k: 45 - k for k in range(4)},
    **{42 + k: 39 - k for k in range(4)},
    40: 47, 41: 46, 46: 41, 47: 40,
}  # fmt: skip


def mirrored_landmark(number: int) -> int:
    """Number of the landmark on the other side of the face, in the 68-point layout."""
    return _MIRRORED_LANDMARKS[number]


def mirrored_name(name: str) -> str:
    """Name of the joint or keypoint on the other side of the body; one of the midline is its own counterpart."""
    if name.startswith("face_"):
        return f"face_{mirrored_landmark(int(name.removeprefix('face_')))}"
    for side, other in (SIDES, SIDES[::-1]):
        if name.startswith(f"{side}_"):
            return other + name.removeprefix(side)
    return name


def mirror_order(names: Sequence[str], only: Collection[str] | None = None) -> list[int]:
    """Left-right permutation of joints or keypoints: row ``order[k]`` of an array becomes row k.

    Args:
        names: names of the rows.
        only: names to exchange with their counterparts; None for all.
    """
    positions = {name: position for position, name in enumerate(names)}
    return [positions[mirrored_name(name) if only is None or name in only else name] for name in names]


#: OpenPose BODY_25.
BODY_KEYPOINT_NAMES: tuple[str, ...] = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip

#: OpenPose hand: wrist, then four points from knuckle to tip for thumb, index, middle, ring, pinky.
HAND_KEYPOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"{finger}{k}" for finger in ("thumb", "index", "middle", "ring", "pinky") for k in (1, 2, 3, 4)),
)

CANONICAL_KEYPOINT_NAMES: tuple[str, ...] = (
    BODY_KEYPOINT_NAMES
    + tuple(f"left_hand_{name}" for name in HAND_KEYPOINT_NAMES)
    + tuple(f"right_hand_{name}" for name in HAND_KEYPOINT_NAMES)
    + tuple(f"face_{k}" for k in range(17, 68))
    + tuple(f"face_{k}" for k in range(17))
)
N_KEYPOINTS = len(CANONICAL_KEYPOINT_NAMES)
#: Left-right permutations of the joints and of the canonical keypoints.
MIRRORED_JOINTS: tuple[int, ...] = tuple(mirror_order(JOINT_NAMES))
MIRRORED_KEYPOINTS: tuple[int, ...] = tuple(mirror_order(CANONICAL_KEYPOINT_NAMES))


def keypoint_index(name: str) -> int:
    """Position of a keypoint in :data:`CANONICAL_KEYPOINT_NAMES`; raises ``ValueError`` for an unknown name."""
    return CANONICAL_KEYPOINT_NAMES.index(name)


BODY_KEYPOINTS = slice(0, 25)
LEFT_HAND_KEYPOINTS = slice(25, 46)
RIGHT_HAND_KEYPOINTS = slice(46, 67)
HAND_KEYPOINTS: Mapping[str, slice] = {"left": LEFT_HAND_KEYPOINTS, "right": RIGHT_HAND_KEYPOINTS}
FACE_KEYPOINTS = slice(67, 118)
CONTOUR_KEYPOINTS = slice(118, 135)
#: Landmarks and contour of the face.
WHOLE_FACE_KEYPOINTS = slice(67, 135)

HEAD_KEYPOINT_NAMES = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
#: Keypoints of a foot, without their side.
FOOT_KEYPOINTS = ("big_toe", "small_toe", "heel")

Bone = tuple[int, int]


def _bone(a: str, b: str) -> Bone:
    return keypoint_index(a), keypoint_index(b)


#: Bones between body keypoints and their length as a fraction of stature, rough adult averages (after Drillis and
#: Contini, 1966).
BODY_BONE_LENGTHS: Mapping[Bone, float] = {
    _bone("nose", "neck"): 0.12,
    _bone("neck", "mid_hip"): 0.29,
    **{
        _bone(a.format(side), b.format(side)): length
        for side in SIDES
        for a, b, length in (
            ("nose", "{}_eye", 0.03),
            ("{}_eye", "{}_ear", 0.05),
            ("neck", "{}_shoulder", 0.10),
            ("{}_shoulder", "{}_elbow", 0.18),
            ("{}_elbow", "{}_wrist", 0.15),
            ("mid_hip", "{}_hip", 0.06),
            ("{}_hip", "{}_knee", 0.24),
            ("{}_knee", "{}_ankle", 0.24),
            ("{}_ankle", "{}_heel", 0.05),
            ("{}_ankle", "{}_big_toe", 0.12),
            ("{}_big_toe", "{}_small_toe", 0.05),
        )
    },
}
