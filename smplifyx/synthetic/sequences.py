"""Synthetic people in motion, seen by still cameras on a ring: truth, and a simulated detector's keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS, FOOT_KEYPOINTS, SIDES
from smplifyx.synthetic.detector import detect_people
from smplifyx.synthetic.disturbances import disturb, plan_faults
from smplifyx.synthetic.motion import FPS, Motion, orientations, smooth_random, stand_on_floor
from smplifyx.synthetic.noise import CORRELATED_ERRORS, DetectorNoise
from smplifyx.synthetic.people import RestBody, hidden_by_body, keypoints_of, with_rest_body
from smplifyx.synthetic.random_frames import CorrelatedRandom
from smplifyx.tracking import Track, View

FloatArray = NDArray[np.float64]

_N_HAND_COMPONENTS = 12
#: Frames posed together.
_BATCH_SIZE = 16
#: Nearest that the ring comes to the middle of the motion (metres), and a radius that always suffices.
_NEAREST, _FURTHEST = 2.0, 100.0
_PLACEMENT_STEPS = 30
#: Vertices of a frame, about, by which the cameras are placed.
_OUTLINE = 1000
#: Keypoints that stand for the mass of the body, and those of the feet.
_MASS = [BODY_KEYPOINT_NAMES.index(name) for name in ("nose", "neck", "mid_hip", "left_wrist", "right_wrist")]
_FEET = [BODY_KEYPOINT_NAMES.index(f"{side}_{part}") for side in SIDES for part in FOOT_KEYPOINTS]


@dataclass(frozen=True)
class SequenceOptions:
    """Options of the people and their cameras.

    Attributes:
        seed: with a sequence's number it fixes everything about it.
        n_views: cameras on the ring, at equal angles; each motion has the same cameras for any number of frames.
        shape_sd, expression_sd: of the coefficients.
        hand_sd: of the first hand component (radians); the k-th has 1 / sqrt(k) of it.
        image_size: (width, height) pixels.
        focal_range: focal length in longer image sides, log-uniform.
        camera_height_range: metres above the floor.
        extent: share of the image's width or height that the whole motion fills at most.
        noise: the detector.
        faults: whether frames are disturbed, see :mod:`smplifyx.synthetic.disturbances`.
    """

    seed: int = 0
    n_views: int = 1
    shape_sd: float = 1.0
    expression_sd: float = 0.7
    hand_sd: float = 0.6
    image_size: tuple[int, int] = (1280, 960)
    focal_range: tuple[float, float] = (0.9, 1.8)
    camera_height_range: tuple[float, float] = (0.8, 2.0)
    extent: float = 0.9
    noise: DetectorNoise = field(default_factory=lambda: CORRELATED_ERRORS)
    faults: bool = True


@dataclass(frozen=True)
class SyntheticSequence:
    """Truth and evidence of one person over F frames in V views. Metres in the world (y up, floor at 0), radians.

    Attributes:
        name: ``sequence_03``.
        motion: where the poses come from.
        rest_vertices: [V, 3] the body in T-pose without an expression.
        rotations: [F, 55, 3, 3] local joint rotations; the first turns the body into the world.
        vertices, joints: [F, V, 3], [F, 55, 3].
        views: the cameras.
        exact_keypoints_2d: [V, F, 135, 2] projections, pixels.
        keypoints_2d: [V, F, 135, 3] the detector's report: x, y, confidence.
        faults: for each view the fault of each frame, or an empty text.
    """

    name: str
    motion: str
    rest_vertices: FloatArray
    rotations: FloatArray
    vertices: NDArray[np.float32]
    joints: FloatArray
    views: tuple[View, ...]
    exact_keypoints_2d: FloatArray
    keypoints_2d: FloatArray
    faults: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.joints)

    @property
    def gap(self) -> NDArray[np.bool_]:
        """[F] frames in which no view has a keypoint."""
        return np.asarray(~(self.keypoints_2d[..., 2] > 0).any(axis=(0, 2)))


def synthetic_sequence(
    data: BodyModelData,
    motion: Motion,
    number: int,
    options: SequenceOptions | None = None,
    body: RestBody | None = None,
) -> SyntheticSequence:
    """Make a person who moves.

    Args:
        data: the body model.
        motion: body poses of all frames.
        number: of the sequence; with the seed it decides everything random.
        options: shape, cameras and detector.
        body: the person's body, on the model's mesh; by default it is drawn from the model's components. Its hands
            move like those of the others.
    """
    options = options or SequenceOptions()
    rng = np.random.default_rng([options.seed, number])
    posed = _Posed(data, motion, options, body, rng)
    seeds = rng.spawn(2)
    views = camera_ring(posed.output.vertices.numpy(), options, seeds[0])
    regressor = KeypointRegressor(data, dtype=torch.float64)
    seen = [
        _seen(posed.output, view, regressor, options, view_rng)
        for view, view_rng in zip(views, seeds[1].spawn(len(views)), strict=True)
    ]
    return SyntheticSequence(
        name=f"sequence_{number:02d}",
        motion=motion.name,
        rest_vertices=posed.rest_vertices,
        rotations=posed.rotations,
        vertices=posed.output.vertices.numpy().astype(np.float32),
        joints=posed.output.joints.numpy(),
        views=views,
        exact_keypoints_2d=np.stack([one[0] for one in seen]),
        keypoints_2d=np.stack([one[1] for one in seen]),
        faults=tuple(one[2] for one in seen),
    )


def track_of(sequence: SyntheticSequence, views: Sequence[int] | None = None, with_camera: bool = True) -> Track:
    """Return a sequence as a track.

    Args:
        sequence: the sequence.
        views: which views; all of them by default.
        with_camera: give the calibration; otherwise the single view is one of an unknown camera.
    """
    chosen = range(len(sequence.views)) if views is None else views
    observations = [
        [observation_of_frame(sequence, view, frame, with_camera) for view in chosen]
        for frame in range(len(sequence))
    ]
    cameras = tuple(sequence.views[view] for view in chosen) if with_camera else (View(),)
    number = int(sequence.name.split("_")[-1])
    return Track(number, range(len(sequence)), observations, cameras, FPS)


def observation_of_frame(
    sequence: SyntheticSequence, view: int, frame: int, with_camera: bool = True
) -> Observation | None:
    """Return the observation of a view in a frame; None in a gap."""
    keypoints = sequence.keypoints_2d[view, frame]
    if not (keypoints[:, 2] > 0).any():
        return None
    camera = sequence.views[view].camera
    assert camera is not None and camera.image_size is not None
    return Observation(
        keypoints=keypoints.astype(np.float32),
        image_size=camera.image_size,
        camera=camera if with_camera else None,
        stem=f"{sequence.name}_{view}_{frame:04d}",
    )


class _Posed:
    """The person in all frames, in the world."""

    def __init__(
        self,
        data: BodyModelData,
        motion: Motion,
        options: SequenceOptions,
        body: RestBody | None,
        rng: np.random.Generator,
    ) -> None:
        n_frames = len(motion.body_pose)
        model = BodyModel.from_data(data, torch.float64)
        given = body is not None
        betas = (
            np.zeros(data.shapedirs.shape[2]) if given else rng.normal(0.0, options.shape_sd, data.shapedirs.shape[2])
        )
        size = data.expression_dirs.shape[2]
        expression = (0.0 if given else options.expression_sd) * smooth_random(rng, n_frames, size)
        self._model = model if body is None else with_rest_body(model, body)
        self._betas, self._expression = torch.as_tensor(betas).expand(n_frames, -1), torch.as_tensor(expression)
        pose = np.concatenate(
            [motion.body_pose.reshape(n_frames, -1, 3), _face(n_frames, rng), *_hands(data, n_frames, options, rng)],
            axis=1,
        )
        self.rotations = np.concatenate(
            [
                np.broadcast_to(np.eye(3), (n_frames, 1, 3, 3)),
                Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(n_frames, -1, 3, 3),
            ],
            axis=1,
        )
        regressor = KeypointRegressor(data, dtype=torch.float64)
        upright = self._pose()
        points = keypoints_of(regressor, upright)[:, BODY_KEYPOINTS] - upright.joints[:, :1].numpy()
        self.rotations[:, 0] = orientations(points[:, _MASS], points[:, _FEET], rng)
        turned = self._pose()
        places = torch.as_tensor(stand_on_floor(turned.vertices.numpy()))[:, None]
        self.output = BodyOutput(turned.joints + places, turned.vertices + places, turned.joint_rotations)
        rest = self._model(
            self._betas[:1],
            torch.zeros(1, size, dtype=torch.float64),
            torch.eye(3, dtype=torch.float64).expand(1, skeleton.N_JOINTS, 3, 3),
        )
        self.rest_vertices = rest.vertices[0].numpy()

    @torch.no_grad()
    def _pose(self) -> BodyOutput:
        rotations = torch.as_tensor(self.rotations)
        parts = [
            self._model(self._betas[rows], self._expression[rows], rotations[rows])
            for rows in torch.arange(len(rotations)).split(_BATCH_SIZE)
        ]
        return BodyOutput(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _face(n_frames: int, rng: np.random.Generator) -> FloatArray:
    """[F, 3, 3] jaw, mostly nearly closed, and two eyes that look the same way."""
    jaw = np.clip(0.12 * smooth_random(rng, n_frames, 1), 0.0, 0.4) * [1.0, 0.0, 0.0]
    eyes = np.column_stack([0.1 * smooth_random(rng, n_frames, 2), np.zeros(n_frames)])
    return np.stack([jaw, eyes, eyes], axis=1)


def _hands(
    data: BodyModelData, n_frames: int, options: SequenceOptions, rng: np.random.Generator
) -> list[FloatArray]:
    """Left and right hand [F, 15, 3]."""
    sd = options.hand_sd / np.sqrt(np.arange(1, _N_HAND_COMPONENTS + 1))
    poses = []
    for components, mean in (data.hand("left"), data.hand("right")):
        coefficients = sd * smooth_random(rng, n_frames, _N_HAND_COMPONENTS)
        poses.append((mean + coefficients @ components[:_N_HAND_COMPONENTS]).reshape(n_frames, -1, 3))
    return poses


def camera_ring(vertices: FloatArray, options: SequenceOptions, rng: np.random.Generator) -> tuple[View, ...]:
    """Cameras at equal angles around a motion, all of which see it whole.

    The first one looks against the z axis.

    Args:
        vertices: [F, V, 3] world, metres, y up.
        options: number, image size, focal length and heights.
        rng: source of all randomness.
    """
    low, high = vertices.reshape(-1, 3).min(axis=0), vertices.reshape(-1, 3).max(axis=0)
    middle = (low + high) / 2.0
    middle[1] = np.median(vertices[..., 1])
    outline = _outline(vertices)
    width, height = options.image_size
    focal = max(width, height) * float(np.exp(rng.uniform(*np.log(options.focal_range))))
    camera = Camera(focal, (width / 2.0, height / 2.0), "calibration", options.image_size)
    heights = rng.uniform(*options.camera_height_range, options.n_views)
    rolls = rng.normal(0.0, 2.0, options.n_views)

    def ring(radius: float) -> tuple[View, ...]:
        return tuple(
            _view(f"cam{k}", camera, middle, radius, 2.0 * np.pi * k / options.n_views, heights[k], rolls[k])
            for k in range(options.n_views)
        )

    nearest, furthest = _NEAREST, _FURTHEST
    for _ in range(_PLACEMENT_STEPS):
        radius = (nearest + furthest) / 2.0
        fits = all(_sees(view, outline, options.extent) for view in ring(radius))
        nearest, furthest = (nearest, radius) if fits else (radius, furthest)
    return ring(furthest)


def _outline(vertices: FloatArray) -> FloatArray:
    """Some vertices of every frame [N, 3]: enough to judge the visible part of a body."""
    step = max(1, vertices.shape[1] // _OUTLINE)
    return np.asarray(vertices[:, ::step].reshape(-1, 3))


def _view(
    name: str, camera: Camera, middle: FloatArray, radius: float, azimuth: float, height: float, roll_deg: float
) -> View:
    """A camera on the ring that looks at the middle."""
    position = middle + radius * np.array([np.sin(azimuth), 0.0, np.cos(azimuth)])
    position[1] = height
    forward = (middle - position) / np.linalg.norm(middle - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix() @ [
        right,
        np.cross(forward, right),
        forward,
    ]
    return View(name, camera, rotation, -rotation @ position)


def _sees(view: View, points: FloatArray, extent: float) -> bool:
    """Check that points [N, 3] stay inside the middle of the image, and far enough from the lens."""
    inside = view.to_camera(points)
    if inside[:, 2].min() < 0.5 or view.camera is None:
        return False
    share = np.abs(view.camera.project(inside) - view.camera.center) / view.camera.center
    return bool(share.max() <= extent)


def _seen(
    output: BodyOutput, view: View, regressor: KeypointRegressor, options: SequenceOptions, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Exact keypoints [F, 135, 2] of a view, the detected ones [F, 135, 3], and the fault of each frame."""
    assert view.camera is not None
    rotation, translation = torch.as_tensor(view.rotation), torch.as_tensor(view.translation)
    joints, vertices = output.joints @ rotation.T + translation, output.vertices @ rotation.T + translation
    # The face contour depends on where the camera is.
    points = keypoints_of(regressor, BodyOutput(joints, vertices, rotation @ output.joint_rotations))
    focal, center = view.camera.focal_length[0], np.array(view.camera.center)
    pixels = np.stack([view.camera.project(frame) for frame in points])
    hidden = np.stack([hidden_by_body(p, v, focal, center) for p, v in zip(points, vertices.numpy(), strict=True)])
    size = np.tile(np.array(view.camera.size, np.float64), (len(points), 1))
    found = detect_people(pixels, options.noise, CorrelatedRandom(rng), hidden=hidden, image_size=size)
    keypoints = np.concatenate([found.points, found.confidence[..., None]], axis=2)
    keypoints[found.confidence == 0.0] = 0.0
    plan = plan_faults(len(points), rng) if options.faults else [""] * len(points)
    # The detector itself takes one side for the other in some stretches.
    own = np.asarray(found.swapped_sides.any(axis=1))
    faults = tuple(fault or ("swapped" if swapped else "") for fault, swapped in zip(plan, own, strict=True))
    return pixels, disturb(keypoints, plan, rng), faults
