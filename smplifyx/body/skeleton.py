"""Joint names, parents and pose layout of SMPL-X, and the points other code attaches to its surface."""

from __future__ import annotations

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")

_BODY_JOINTS: tuple[tuple[str, int], ...] = (
    ("pelvis", -1), ("left_hip", 0), ("right_hip", 0), ("spine1", 0), ("left_knee", 1), ("right_knee", 2),
    ("spine2", 3), ("left_ankle", 4), ("right_ankle", 5), ("spine3", 6), ("left_foot", 7), ("right_foot", 8),
    ("neck", 9), ("left_collar", 9), ("right_collar", 9), ("head", 12), ("left_shoulder", 13),
    ("right_shoulder", 14), ("left_elbow", 16), ("right_elbow", 17), ("left_wrist", 18), ("right_wrist", 19),
    ("jaw", 15), ("left_eye_smplhf", 15), ("right_eye_smplhf", 15),
)  # fmt: skip


def _hand_joints(side: str, wrist: int, first: int) -> tuple[tuple[str, int], ...]:
    joints = []
    for finger_number, finger in enumerate(_FINGERS):
        base = first + 3 * finger_number
        joints += [(f"{side}_{finger}{k + 1}", wrist if k == 0 else base + k - 1) for k in range(3)]
    return tuple(joints)


_JOINTS = _BODY_JOINTS + _hand_joints("left", 20, 25) + _hand_joints("right", 21, 40)

#: The 55 SMPL-X joints in file order.
JOINT_NAMES: tuple[str, ...] = tuple(name for name, _ in _JOINTS)
#: Parent of each joint; -1 for the pelvis. Parents always come before their children.
PARENTS: tuple[int, ...] = tuple(parent for _, parent in _JOINTS)
N_JOINTS = len(JOINT_NAMES)

#: Slices of the 55 joints, as the full pose vector is laid out (three numbers a joint).
BODY_JOINTS = slice(1, 22)
JAW_JOINT, LEFT_EYE_JOINT, RIGHT_EYE_JOINT = 22, 23, 24
LEFT_HAND_JOINTS = slice(25, 40)
RIGHT_HAND_JOINTS = slice(40, 55)

#: The 21 surface points that SMPL-X code appends to the joints, in its order.
EXTRA_POINT_NAMES: tuple[str, ...] = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    "left_thumb", "left_index", "left_middle", "left_ring", "left_pinky",
    "right_thumb", "right_index", "right_middle", "right_ring", "right_pinky",
)  # fmt: skip

#: Vertex numbers of those points on the licensed SMPL-X mesh (10,475 vertices).
SMPLX_EXTRA_POINT_VERTICES: tuple[int, ...] = (
    9120, 9929, 9448, 616, 6, 5770, 5780, 8846, 8463, 8474, 8635,
    5361, 4933, 5058, 5169, 5286, 8079, 7669, 7794, 7905, 8022,
)  # fmt: skip
N_SMPLX_VERTICES = 10475

N_FACE_LANDMARKS = 51
N_CONTOUR_LANDMARKS = 17
#: Rows of the yaw table of the face contour: 0..39 degrees to one side, 1..39 to the other.
N_CONTOUR_ROWS = 79


def joint_index(name: str) -> int:
    """Position of a joint in :data:`JOINT_NAMES`; raises ``ValueError`` for an unknown name."""
    return JOINT_NAMES.index(name)


def mirrored_joint(index: int) -> int:
    """The joint on the other side of the body (a midline joint is its own mirror image)."""
    name = JOINT_NAMES[index]
    if name.startswith("left_"):
        return joint_index("right_" + name.removeprefix("left_"))
    if name.startswith("right_"):
        return joint_index("left_" + name.removeprefix("right_"))
    return index
