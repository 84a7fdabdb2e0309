"""Poses of people who touch themselves: hands on hips, crossed arms, a hand at the chin, crossed legs.

Each is described by the places that touch. The joint angles follow by inverse kinematics: the places meet, face to
face, in a pose that motion capture finds likely, and nothing passes through anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.collision.penalty import cone_energy
from smplifyx.collision.penetration import PenetrationMeter
from smplifyx.collision.skinning import ConeOptions
from smplifyx.priors import joint_limit_energy
from smplifyx.priors.pose_space import N_BODY_POSE, load_gaussian
from smplifyx.rotations import axis_angle_to_matrix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]

#: Triangles [N, 2] of one body [V, 3] that collide.
PairSearch = Callable[[FloatArray], IntArray]

_FRONT, _BACK, _UP, _DOWN = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)


@dataclass(frozen=True)
class Place:
    """A place on the skin: where a ray from a bone leaves the body in T-pose.

    Attributes:
        start, end: the bone's joints.
        along: where on the bone the ray starts; 0 is ``start``.
        direction: of the ray, in the T-pose's axes (y up, z forward, x to the left).
    """

    start: str
    end: str
    along: float
    direction: tuple[float, float, float]


@dataclass(frozen=True)
class ContactPose:
    """Contacts of a pose.

    Attributes:
        name: ``hands on hips``.
        contacts: pairs of place names, see :data:`PLACES`.
        left_arm, right_arm: how the arms are held at first, see :data:`ARMS`.
        sitting: thighs level, knees bent.
    """

    name: str
    contacts: tuple[tuple[str, str], ...]
    left_arm: str = "hanging"
    right_arm: str = "hanging"
    sitting: bool = False


@dataclass(frozen=True)
class ArmStart:
    """Starting position of an arm, degrees.

    Attributes:
        lowered: from level to the side.
        forward: upper arm swung forward.
        twisted: about its length, inwards.
        bent: elbow.
    """

    lowered: float
    forward: float
    twisted: float
    bent: float

    def rotations(self, left: bool) -> tuple[FloatArray, FloatArray]:
        """Axis-angle [3] of shoulder and elbow, radians."""
        sign = 1.0 if left else -1.0
        angles = np.radians([-sign * self.lowered, -sign * self.forward, self.twisted])
        shoulder = Rotation.from_euler("ZYX", angles).as_rotvec()
        return shoulder, np.array([0.0, -sign * np.radians(self.bent), 0.0])


ARMS = {
    "hanging": ArmStart(68, 5, 0, 20),
    "akimbo": ArmStart(45, -10, 35, 85),
    "front": ArmStart(60, 15, 30, 85),
    "raised": ArmStart(60, 25, 15, 130),
    "overhead": ArmStart(-20, 20, -80, 130),
    "behind": ArmStart(60, -25, 30, 50),
}


def _places() -> dict[str, Place]:
    places = {
        "belly": Place("spine1", "spine2", 0.0, _FRONT),
        "lower_belly": Place("pelvis", "spine1", 0.3, _FRONT),
        "chest": Place("spine3", "neck", 0.3, _FRONT),
        "chin": Place("jaw", "jaw", 0.0, (0.0, -0.5, 1.0)),
        "forehead": Place("head", "head", 0.0, (0.0, 1.0, 1.0)),
    }
    for side, x in (("left", 1.0), ("right", -1.0)):
        mine = {
            "palm": Place(f"{side}_wrist", f"{side}_middle1", 0.8, _DOWN),
            "hand_back": Place(f"{side}_wrist", f"{side}_middle1", 0.8, _UP),
            "fingers": Place(f"{side}_middle2", f"{side}_middle3", 0.5, _DOWN),
            "forearm_inside": Place(f"{side}_elbow", f"{side}_wrist", 0.6, _DOWN),
            "forearm_outside": Place(f"{side}_elbow", f"{side}_wrist", 0.5, _FRONT),
            "upper_arm": Place(f"{side}_shoulder", f"{side}_elbow", 0.6, _FRONT),
            "elbow": Place(f"{side}_shoulder", f"{side}_elbow", 0.9, _FRONT),
            "shoulder": Place(f"{side}_shoulder", f"{side}_elbow", 0.1, _UP),
            "breast": Place(f"{side}_collar", f"{side}_shoulder", 0.3, (0.0, -0.6, 1.0)),
            "hip": Place("pelvis", "spine1", 0.7, (x, 0.0, 0.15)),
            "buttock": Place("pelvis", f"{side}_hip", 1.0, _BACK),
            "cheek": Place("head", "jaw", 0.5, (x, -0.4, 0.8)),
            "head_back": Place("head", "head", 0.0, (0.4 * x, 0.3, -1.0)),
            "thigh": Place(f"{side}_hip", f"{side}_knee", 0.6, _FRONT),
            "thigh_inside": Place(f"{side}_hip", f"{side}_knee", 0.6, (-x, 0.0, 0.0)),
            "knee_inside": Place(f"{side}_knee", f"{side}_ankle", 0.0, (-x, 0.0, 0.0)),
            "knee": Place(f"{side}_hip", f"{side}_knee", 0.9, _FRONT),
            "calf": Place(f"{side}_knee", f"{side}_ankle", 0.3, _BACK),
            "ankle_outside": Place(f"{side}_knee", f"{side}_ankle", 0.9, (x, 0.0, 0.0)),
            "ankle_inside": Place(f"{side}_knee", f"{side}_ankle", 0.9, (-x, 0.0, 0.0)),
            "shin": Place(f"{side}_knee", f"{side}_ankle", 0.75, _FRONT),
        }
        places |= {f"{side}_{name}": place for name, place in mine.items()}
    return places


PLACES = _places()


def _both(contact: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The contact on the left, and its mirror image."""
    return contact, (skeleton.mirrored_name(contact[0]), skeleton.mirrored_name(contact[1]))


_LAP = (("left_palm", "right_hand_back"), ("right_palm", "right_thigh"))
_FOLDED = (("left_fingers", "right_upper_arm"), ("right_fingers", "left_elbow"), ("left_forearm_inside", "chest"))
_LEGS_TOGETHER = (("left_thigh_inside", "right_thigh_inside"), ("left_ankle_inside", "right_ankle_inside"))
_KNEES_AND_CHIN = (("left_knee_inside", "right_knee_inside"), ("right_fingers", "chin"))
_HIP_AND_THIGH = (("right_palm", "right_hip"), ("left_palm", "left_thigh"))

POSES = (
    ContactPose("hands on hips", _both(("left_palm", "left_hip")), "akimbo", "akimbo"),
    ContactPose("left hand on hip", (("left_palm", "left_hip"),), "akimbo"),
    ContactPose("right hand on hip, left on thigh", _HIP_AND_THIGH, "hanging", "akimbo"),
    ContactPose("hands on belly", (("left_palm", "belly"), ("right_palm", "lower_belly")), "front", "front"),
    ContactPose("right hand on belly", (("right_palm", "belly"),), "hanging", "front"),
    ContactPose("right hand on heart", (("right_palm", "left_breast"),), "hanging", "raised"),
    ContactPose("hands on chest", _both(("left_palm", "left_breast")), "raised", "raised"),
    ContactPose("arms crossed", _FOLDED, "front", "front"),
    ContactPose("left hand on right elbow", (("left_palm", "right_elbow"),), "front", "hanging"),
    ContactPose("embraces itself", _both(("left_palm", "right_shoulder")), "raised", "raised"),
    ContactPose("left hand on right shoulder", (("left_palm", "right_shoulder"),), "raised"),
    ContactPose("hand to chin", (("right_fingers", "chin"),), "hanging", "raised"),
    ContactPose("hand to chin, elbow held", (("right_fingers", "chin"), ("left_palm", "right_elbow")),
                "front", "raised"),
    ContactPose("hand to cheek", (("left_palm", "left_cheek"),), "raised"),
    ContactPose("hand to forehead", (("right_fingers", "forehead"),), "hanging", "raised"),
    ContactPose("hands behind head", _both(("left_fingers", "left_head_back")), "overhead", "overhead"),
    ContactPose("hands folded before belly", (("left_palm", "right_hand_back"), ("right_palm", "lower_belly")),
                "front", "front"),
    ContactPose("palms together", (("left_palm", "right_palm"), ("left_fingers", "right_fingers")), "front", "front"),
    ContactPose("hands at the back", _both(("left_hand_back", "left_buttock")), "behind", "behind"),
    ContactPose("hands on thighs", _both(("left_palm", "left_thigh"))),
    ContactPose("legs together", _LEGS_TOGETHER),
    ContactPose("ankles crossed", (("left_ankle_outside", "right_ankle_outside"),)),
    ContactPose("sits, hands on knees", _both(("left_palm", "left_knee")), "front", "front", sitting=True),
    ContactPose("sits, hands in lap", _LAP, "front", "front", sitting=True),
    ContactPose("sits, legs crossed", (("right_calf", "left_knee"),), sitting=True),
    ContactPose("sits, knees together, hand to chin", _KNEES_AND_CHIN, "hanging", "raised", sitting=True),
)  # fmt: skip


@dataclass(frozen=True)
class PoseVariation:
    """Variation of the same kind of pose from person to person.

    Attributes:
        angle_sd: of the joint angles of the pose it starts from, radians.
        place_radius: touching places move by up to so much, metres.
    """

    angle_sd: float = 0.06
    place_radius: float = 0.02


class ContactPoser:
    """Find joint angles for contact poses of the average body, its hands posed as their mean says.

    Args:
        data: the body model, see :func:`with_flat_hands`.
        search: finds colliding pairs.
        meter: measures their depth.
    """

    #: Weights of the inverse kinematics; distance, squared centimetres, has 1.
    _FACING, _PRIOR, _STAY, _BENDING, _COLLISION = 5.0, 0.01, 1.0, 0.3, 3.0
    _ROUNDS, _ITERATIONS = 8, 15
    #: Bisections of a limb's way, and penetration that a touch may have (metres).
    _HALVINGS, _DEPTH = 7, 0.002
    _CONES = ConeOptions(height=0.005, exponent=2)

    def __init__(self, data: BodyModelData, search: PairSearch, meter: PenetrationMeter) -> None:
        self._data, self._search, self._meter = data, search, meter
        self._model = BodyModel.from_data(data, torch.float64)
        self._faces = torch.as_tensor(np.asarray(data.faces, np.int64))
        _, covariance = load_gaussian()
        self._precision = torch.linalg.inv(torch.as_tensor(covariance))
        hands = torch.as_tensor(np.concatenate([data.left_hand_mean, data.right_hand_mean]).astype(np.float64))
        self._rest = torch.cat([torch.zeros(9, dtype=torch.float64), hands])

    def solve(
        self, pose: ContactPose, rng: np.random.Generator, variation: PoseVariation | None = None
    ) -> FloatArray:
        """Body pose [63], axis-angle in radians."""
        variation = variation or PoseVariation()
        contacts = [[self._patch(name, rng, variation.place_radius) for name in pair] for pair in pose.contacts]
        start = torch.as_tensor(_start(pose) + rng.normal(0.0, variation.angle_sd, N_BODY_POSE))
        goal = self._descend(start, contacts, start, torch.zeros(0, 2, dtype=torch.int64), 0.0)
        for number in range(self._ROUNDS):
            pairs = torch.as_tensor(np.asarray(self._search(self.vertices(goal).numpy()), np.int64))
            apart = self._descend(goal, contacts, start, pairs, self._COLLISION * 1.5**number)
            if not self._is_deep(apart):
                return np.asarray(self._back_off(apart, goal).numpy())
            goal = apart
        return np.asarray(self._back_off(start, goal).numpy())

    def _back_off(self, start: Tensor, goal: Tensor) -> Tensor:
        """Go from the start towards the goal, limb after limb, each as far as nothing gets deep into anything."""
        reached = start
        for block in _BLOCKS:
            columns = _columns(block)
            low, high, share = 0.0, 1.0, 1.0
            for _ in range(self._HALVINGS):
                moved = reached.clone()
                moved[columns] += share * (goal - start)[columns]
                low, high = (low, share) if self._is_deep(moved) else (share, high)
                if low == 1.0:
                    break
                share = (low + high) / 2
            reached = reached.clone()
            reached[columns] += low * (goal - start)[columns]
        return reached

    def _is_deep(self, body_pose: Tensor) -> bool:
        vertices = self.vertices(body_pose).numpy()
        pairs = self._search(vertices)
        return len(pairs) > 0 and self._meter.measure(vertices, pairs).depth > self._DEPTH

    @torch.no_grad()
    def vertices(self, body_pose: Tensor) -> Tensor:
        """[V, 3] metres, for a body pose [63]."""
        return self._posed(self._model, body_pose)[0]

    def _posed(self, model: BodyModel, body_pose: Tensor) -> tuple[Tensor, Tensor]:
        angles = torch.cat([torch.zeros(3, dtype=torch.float64), body_pose, self._rest]).reshape(1, -1, 3)
        rotations = axis_angle_to_matrix(angles)
        zeros = (torch.zeros(1, n, dtype=torch.float64) for n in (model.n_betas, model.n_expressions))
        return model(*zeros, rotations).vertices[0], rotations[:, skeleton.BODY_JOINTS]

    def _descend(
        self, x: Tensor, contacts: list[list[Tensor]], start: Tensor, pairs: Tensor, collision: float
    ) -> Tensor:
        """Minimises; the colliding pairs stay the same meanwhile, so that there are no steps in the energy."""
        triangles = torch.cat([patch for contact in contacts for patch in contact] + [pairs.reshape(-1)])
        used, corners = self._faces[triangles].unique(return_inverse=True)
        model = self._model.restrict(used)
        sizes = [len(patch) for contact in contacts for patch in contact]
        x = x.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([x], max_iter=self._ITERATIONS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            vertices, rotations = self._posed(model, x)
            *patches, colliding = vertices[corners].split([*sizes, 2 * len(pairs)])
            energy = self._PRIOR * (x - start) @ self._precision @ (x - start)
            energy = energy + self._STAY * (x - start).square().sum()
            energy = energy + self._BENDING * joint_limit_energy(rotations)[0]
            for one, other in zip(patches[::2], patches[1::2], strict=True):
                energy = energy + self._contact_energy(one, other)
            first, second = colliding.view(-1, 2, 3, 3).unbind(1)
            energy = energy + collision * cone_energy(first, second, self._CONES).sum()
            energy.backward()
            return energy

        optimizer.step(closure)
        return x.detach()

    def _contact_energy(self, one: Tensor, other: Tensor) -> Tensor:
        """Middles apart (centimetres, squared) and not face to face, of two patches of triangles [N, 3, 3]."""
        apart = 100.0 * (one.mean((0, 1)) - other.mean((0, 1)))
        cosine = _normal(one) @ _normal(other)
        return apart @ apart + self._FACING * (1 + cosine)

    def _patch(self, name: str, rng: np.random.Generator, radius: float) -> Tensor:
        """Triangles around a random vertex near a place."""
        place, rest = PLACES[name], np.asarray(self._data.v_template, np.float64)
        joints = np.asarray(self._data.joint_regressor, np.float64) @ rest
        first, last = (joints[skeleton.joint_index(joint)] for joint in (place.start, place.end))
        direction = np.asarray(place.direction) / np.linalg.norm(place.direction)
        offsets = rest - (first + place.along * (last - first))
        height = offsets @ direction
        distance = np.linalg.norm(offsets - height[:, None] * direction, axis=1)
        own = np.where((distance < 0.02) & (height < 0.3), height, -np.inf)
        middle = rest[own.argmax()]
        around = np.flatnonzero(np.linalg.norm(rest - middle, axis=1) <= min(radius, 0.5 * own.max()))
        vertex = rng.choice(around)
        return torch.nonzero((self._faces == int(vertex)).any(1))[:, 0]


def with_flat_hands(data: BodyModelData, curl: float = 0.2) -> BodyModelData:
    """The body with straighter fingers in its mean hands, as they lie on a body: ``curl`` of the bend is left."""
    left, right = (None if mean is None else curl * mean for mean in (data.left_hand_mean, data.right_hand_mean))
    return replace(data, left_hand_mean=left, right_hand_mean=right)


def contact_poses(
    data: BodyModelData,
    search: PairSearch,
    meter: PenetrationMeter,
    poses: Sequence[ContactPose] = POSES,
    seed: int = 0,
) -> FloatArray:
    """Body poses [N, 63] of the contact poses, with a little variation."""
    poser = ContactPoser(data, search, meter)
    solved = [poser.solve(pose, np.random.default_rng([seed, k])) for k, pose in enumerate(poses)]
    return np.array(solved).reshape(-1, N_BODY_POSE)


def _normal(triangles: Tensor) -> Tensor:
    area = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).sum(0)
    return area / torch.linalg.vector_norm(area)


def _start(kind: ContactPose) -> FloatArray:
    """[63] what the inverse kinematics starts from."""
    pose = np.zeros((N_BODY_POSE // 3, 3))
    for side, arm in (("left", kind.left_arm), ("right", kind.right_arm)):
        left = side == "left"
        pose[skeleton.body_pose_row(f"{side}_shoulder")], pose[skeleton.body_pose_row(f"{side}_elbow")] = ARMS[
            arm
        ].rotations(left)
        if kind.sitting:
            pose[skeleton.body_pose_row(f"{side}_hip")] = -1.45, 0.0, 0.1 if left else -0.1
            pose[skeleton.body_pose_row(f"{side}_knee")] = 1.45, 0.0, 0.0
    return pose.reshape(-1)


def _columns(joints: Sequence[str]) -> list[int]:
    return [3 * skeleton.body_pose_row(joint) + axis for joint in joints for axis in range(3)]


def _limb(side: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


_ARM, _LEG = ("collar", "shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot")
#: Joints that move together when a pose is reached.
_BLOCKS = (
    ("spine1", "spine2", "spine3", "neck", "head"),
    _limb("left", _LEG), _limb("right", _LEG), _limb("left", _ARM), _limb("right", _ARM),
)  # fmt: skip
