"""Random people with known truth: body, camera and a simulated detector's keypoints, made without any image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, CANONICAL_KEYPOINT_NAMES, FOOT_KEYPOINTS, HEAD_KEYPOINT_NAMES
from smplifyx.synthetic.detector import Sight, detect
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.poses import PosePool, mild_poses

FloatArray = NDArray[np.float64]

_N_HAND_COMPONENTS = 12
_BATCH_SIZE = 16
#: Stature (metres) and pelvis height that choose the camera's pitch before the person is placed.
_TYPICAL_STATURE, _TYPICAL_PELVIS_HEIGHT = 1.7, 0.95
#: Nearest that any part of a person comes to the camera, and furthest that one stands (metres).
_MINIMUM_DISTANCE, _MAXIMUM_DISTANCE = 0.4, 200.0
_PLACEMENT_STEPS = 30
#: Edge of a cell of the visibility grid (metres at the body's depth): a little over the mesh's vertex spacing.
_CELL_SIZE = 0.025


@dataclass(frozen=True)
class SyntheticOptions:
    """Options of the people and their cameras.

    Attributes:
        seed: with a person's number it fixes everything about them.
        shape_sd, expression_sd: of the coefficients.
        hand_sd: of the first hand component (radians); the k-th has 1 / sqrt(k) of it.
        tilt_sd_deg: of the pelvis about all axes.
        facing_share: share of people turned towards the camera with ``facing_sd_deg``; the rest look anywhere.
        image_sizes: (width, height) to choose from.
        focal_range: focal length in longer image sides, log-uniform.
        camera_height_range: metres above the floor; the camera looks at the pelvis, give or take ``pitch_sd_deg``.
        pitch_sd_deg, roll_sd_deg: of the camera.
        extent_range: share of the image's width or height that the person's keypoints fill.
        truncated_share: share of people who are cut off below by the image border.
        truncated_extent_range: their extent; above 1 the feet or more are outside.
        noise: the detector.
    """

    seed: int = 0
    shape_sd: float = 1.0
    expression_sd: float = 0.7
    hand_sd: float = 0.6
    tilt_sd_deg: float = 6.0
    facing_share: float = 0.75
    facing_sd_deg: float = 40.0
    image_sizes: tuple[tuple[int, int], ...] = ((640, 480), (480, 640), (1080, 1920), (1600, 1200), (1024, 1024))
    focal_range: tuple[float, float] = (0.8, 3.0)
    camera_height_range: tuple[float, float] = (0.6, 2.2)
    pitch_sd_deg: float = 4.0
    roll_sd_deg: float = 2.0
    extent_range: tuple[float, float] = (0.4, 0.9)
    truncated_share: float = 0.2
    truncated_extent_range: tuple[float, float] = (1.1, 1.8)
    noise: DetectorNoise = field(default_factory=DetectorNoise)


@dataclass(frozen=True)
class SyntheticPerson:
    """Truth and evidence. Metres and radians in the camera frame, pixels.

    Attributes:
        name: ``person_0007``.
        betas, expression: [S], [E] coefficients.
        rotations: [55, 3, 3] local joint rotations; the first turns the body into the camera frame.
        translation: [3] camera translation.
        vertices, joints: [V, 3], [55, 3], translation included.
        keypoints: [135, 3] exact keypoints in space.
        exact_keypoints_2d: [135, 2] their projections.
        keypoints_2d: [135, 3] the detector's report: x, y, confidence.
        image_size: (width, height).
        focal_length: one for x and y.
        principal_point: [2].
        truncated: whether the person was meant to be cut by the image's frame.
        gender: ``neutral`` unless the body is a given one.
    """

    name: str
    betas: FloatArray
    expression: FloatArray
    rotations: FloatArray
    translation: FloatArray
    vertices: FloatArray
    joints: FloatArray
    keypoints: FloatArray
    exact_keypoints_2d: FloatArray
    keypoints_2d: FloatArray
    image_size: tuple[int, int]
    focal_length: float
    principal_point: FloatArray
    truncated: bool
    gender: str = "neutral"


@dataclass(frozen=True)
class RestBody:
    """A body that is given instead of drawn from a model's shape and expression components.

    Attributes:
        gender: ``male``, ``female`` or ``neutral``.
        vertices: [V, 3] in T-pose, metres, facial expression included.
        joints: [55, 3] in T-pose.
        left_hand_pose, right_hand_pose: [45] axis-angle.
    """

    gender: str
    vertices: FloatArray
    joints: FloatArray
    left_hand_pose: FloatArray
    right_hand_pose: FloatArray


@dataclass(frozen=True)
class _Draw:
    """Everything random about one person but the detector."""

    betas: FloatArray
    expression: FloatArray
    rotations: FloatArray
    image_size: tuple[int, int]
    focal_length: float
    extent: float
    truncated: bool
    place: FloatArray
    rng: np.random.Generator
    body: RestBody | None

    @property
    def principal_point(self) -> FloatArray:
        return np.array(self.image_size, dtype=np.float64) / 2.0


def synthetic_people(
    data: BodyModelData,
    n_people: int,
    options: SyntheticOptions | None = None,
    poses: PosePool | None = None,
    bodies: Sequence[RestBody] | None = None,
) -> Iterator[SyntheticPerson]:
    """Make people one after another; person k is the same for any ``n_people``.

    Args:
        data: the body model.
        n_people: how many.
        options: shape, pose, camera and detector.
        poses: body poses to draw from; mild random ones by default.
        bodies: a body for each person, on the model's mesh; by default they are drawn from its components.
    """
    options = options or SyntheticOptions()
    poses = poses or mild_poses(seed=options.seed)
    model = BodyModel.from_data(data, torch.float64)
    regressor = KeypointRegressor(data, dtype=torch.float64)
    for start in range(0, n_people, _BATCH_SIZE):
        numbers = range(start, min(start + _BATCH_SIZE, n_people))
        draws = [
            _draw(data, options, poses, np.random.default_rng([options.seed, k]), bodies[k] if bodies else None)
            for k in numbers
        ]
        output = _pose(model, draws)
        placed = keypoints_of(regressor, output)
        translations = torch.as_tensor(
            np.stack([_placement(draw, points) for draw, points in zip(draws, placed, strict=True)])
        )
        output = BodyOutput(
            output.joints + translations[:, None], output.vertices + translations[:, None], output.joint_rotations
        )
        # The face contour depends on where the camera is, so the keypoints are read again.
        keypoints = keypoints_of(regressor, output)
        for row, (number, draw) in enumerate(zip(numbers, draws, strict=True)):
            yield _person(
                f"person_{number:04d}",
                draw,
                translations[row].numpy(),
                (output.vertices[row].numpy(), output.joints[row].numpy(), keypoints[row]),
                options.noise,
            )


def _draw(
    data: BodyModelData, options: SyntheticOptions, poses: PosePool, rng: np.random.Generator, body: RestBody | None
) -> _Draw:
    width, height = options.image_sizes[rng.integers(len(options.image_sizes))]
    focal_length = max(width, height) * float(np.exp(rng.uniform(*np.log(options.focal_range))))
    truncated = bool(rng.random() < options.truncated_share)
    extent = float(rng.uniform(*(options.truncated_extent_range if truncated else options.extent_range)))
    distance = focal_length * _TYPICAL_STATURE / (extent * height)
    orientation = _orientation(options, distance, rng)
    body_pose, face_pose = poses.draw(rng).reshape(-1, 3), _face_pose(rng)
    hands = _hand_poses(data, options, rng)
    if body is not None:
        hands = [body.left_hand_pose.reshape(-1, 3), body.right_hand_pose.reshape(-1, 3)]
    pose = np.concatenate([body_pose, face_pose, *hands])
    rotations = np.concatenate([orientation[None], Rotation.from_rotvec(pose).as_matrix()])
    given = 0.0 if body is not None else 1.0
    return _Draw(
        betas=given * rng.normal(0.0, options.shape_sd, (data.shapedirs.shape[2],)),
        expression=given * rng.normal(0.0, options.expression_sd, (data.expression_dirs.shape[2],)),
        rotations=rotations,
        image_size=(width, height),
        focal_length=focal_length,
        extent=extent,
        truncated=truncated,
        place=rng.random(2),
        rng=rng,
        body=body,
    )


def _orientation(options: SyntheticOptions, distance: float, rng: np.random.Generator) -> FloatArray:
    """[3, 3] body to camera: tilt, heading, then the camera's pitch and roll."""
    facing = rng.random() < options.facing_share
    heading = rng.normal(0.0, options.facing_sd_deg) if facing else rng.uniform(-180.0, 180.0)
    camera_height = rng.uniform(*options.camera_height_range)
    pitch = np.degrees(np.arctan2(camera_height - _TYPICAL_PELVIS_HEIGHT, distance))
    pitch += rng.normal(0.0, options.pitch_sd_deg)
    roll = rng.normal(0.0, options.roll_sd_deg)
    tilt = Rotation.from_rotvec(np.radians(options.tilt_sd_deg) * rng.normal(size=3))
    # The half turn about x takes y up, face to +z into y down, face towards the camera.
    camera = Rotation.from_euler("z", roll, degrees=True) * Rotation.from_euler("x", pitch + 180.0, degrees=True)
    return (camera * Rotation.from_euler("y", heading, degrees=True) * tilt).as_matrix()


def _face_pose(rng: np.random.Generator) -> FloatArray:
    """[3, 3] jaw, mostly nearly closed, and two eyes that look the same way."""
    jaw = [min(abs(rng.normal(0.0, 0.12)), 0.4), 0.0, 0.0]
    eyes = np.append(rng.normal(0.0, 0.1, 2), 0.0)
    return np.stack([np.array(jaw), eyes, eyes])


def _hand_poses(data: BodyModelData, options: SyntheticOptions, rng: np.random.Generator) -> list[FloatArray]:
    """Left and right hand [15, 3]."""
    sd = options.hand_sd / np.sqrt(np.arange(1, _N_HAND_COMPONENTS + 1))
    poses = []
    for components, mean in (data.hand("left"), data.hand("right")):
        coefficients = sd * rng.normal(size=_N_HAND_COMPONENTS)
        poses.append((mean + coefficients @ components[:_N_HAND_COMPONENTS]).reshape(-1, 3))
    return poses


@torch.no_grad()
def _pose(model: BodyModel, draws: list[_Draw]) -> BodyOutput:
    given = [draw for draw in draws if draw.body is not None]
    if given:
        outputs = [with_rest_body(model, draw.body)(*_inputs([draw])) for draw in given if draw.body is not None]
        return BodyOutput(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    output: BodyOutput = model(*_inputs(draws))
    return output


def _inputs(draws: Sequence[_Draw]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    betas, expressions = np.stack([d.betas for d in draws]), np.stack([d.expression for d in draws])
    rotations = np.stack([d.rotations for d in draws])
    return torch.as_tensor(betas), torch.as_tensor(expressions), torch.as_tensor(rotations)


def with_rest_body(model: BodyModel, body: RestBody) -> BodyModel:
    """The model with another template and that template's own joints; skinning and pose blend shapes stay."""
    buffers = {"pose_projection": None, **dict(model.named_buffers(recurse=False))}
    buffers["template"] = torch.as_tensor(body.vertices, dtype=model.template.dtype).reshape(-1)
    buffers["joint_template"] = torch.as_tensor(body.joints, dtype=model.template.dtype).reshape(-1)
    return BodyModel(model.tree, model.n_betas, buffers)


@torch.no_grad()
def keypoints_of(regressor: KeypointRegressor, output: BodyOutput) -> FloatArray:
    """Keypoints [B, 135, 3] of posed bodies in the camera frame, which the face contour depends on."""
    read = BodyOutput(output.joints, output.vertices[:, regressor.vertices], output.joint_rotations)
    return np.asarray(regressor(read).numpy(), dtype=np.float64)


def _placement(draw: _Draw, points: FloatArray) -> FloatArray:
    """Translation [3] that gives the keypoints [135, 3] their extent and place in the image.

    The extent shrinks with the distance, so the distance is found by bisection.
    """
    near = _MINIMUM_DISTANCE - points[:, 2].min()
    low, high = np.log(max(near, _MINIMUM_DISTANCE)), np.log(_MAXIMUM_DISTANCE)
    for _ in range(_PLACEMENT_STEPS):
        middle = (low + high) / 2.0
        extent = np.ptp(_pixels_in_place(draw, points, np.exp(middle))[1], axis=0) / draw.image_size
        low, high = (middle, high) if extent.max() > draw.extent else (low, middle)
    return _pixels_in_place(draw, points, np.exp((low + high) / 2.0))[0]


def _pixels_in_place(draw: _Draw, points: FloatArray, depth: float) -> tuple[FloatArray, FloatArray]:
    """Translation [3] to a depth and the place in the image, and the pixels [135, 2] that result."""
    translation = np.array([0.0, 0.0, depth])
    for _ in range(4):  # moving sideways changes the perspective a little
        pixels = _project(points + translation, draw.focal_length, draw.principal_point)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        shift = _target_centre(draw, np.array(draw.image_size), high - low) - (low + high) / 2.0
        translation[:2] += shift * depth / draw.focal_length
    return translation, _project(points + translation, draw.focal_length, draw.principal_point)


def _target_centre(draw: _Draw, size: FloatArray, box: FloatArray) -> FloatArray:
    """Centre of the person's box: anywhere inside, or such that the head is near the upper edge."""
    if draw.truncated:
        top = (0.03 + 0.12 * draw.place[1]) * size[1]
        return np.array([(0.3 + 0.4 * draw.place[0]) * size[0], top + box[1] / 2.0])
    room = np.maximum(size - box, 0.0)
    return box / 2.0 + room * draw.place


def _project(points: FloatArray, focal_length: float, principal_point: FloatArray) -> FloatArray:
    return focal_length * points[:, :2] / points[:, 2:] + principal_point


def _person(
    name: str,
    draw: _Draw,
    translation: FloatArray,
    body: tuple[FloatArray, FloatArray, FloatArray],
    noise: DetectorNoise,
) -> SyntheticPerson:
    vertices, joints, keypoints = body
    pixels = _project(keypoints, draw.focal_length, draw.principal_point)
    hidden = hidden_by_body(keypoints, vertices, draw.focal_length, draw.principal_point)
    return SyntheticPerson(
        name=name,
        betas=draw.betas,
        expression=draw.expression,
        rotations=draw.rotations,
        translation=translation,
        vertices=vertices,
        joints=joints,
        keypoints=keypoints,
        exact_keypoints_2d=pixels,
        keypoints_2d=detect(Sight(pixels, hidden, draw.image_size), noise, draw.rng),
        image_size=draw.image_size,
        focal_length=draw.focal_length,
        principal_point=draw.principal_point,
        truncated=draw.truncated,
        gender=draw.body.gender if draw.body is not None else "neutral",
    )


def hidden_by_body(
    keypoints: FloatArray,
    vertices: FloatArray,
    focal_length: float,
    principal_point: FloatArray,
    names: Sequence[str] = CANONICAL_KEYPOINT_NAMES,
) -> NDArray[np.bool_]:
    """Keypoints [K] that lie behind the body's surface, by a coarse depth buffer of its vertices.

    Args:
        keypoints: [K, 3] camera frame, metres.
        vertices: [V, 3] camera frame, metres; no two neighbours much more than 2 cm apart.
        focal_length: pixels.
        principal_point: [2] pixels.
        names: the K keypoints.
    """
    depth = float(np.median(vertices[:, 2]))
    cell = focal_length * _CELL_SIZE / depth

    def cells(points: FloatArray) -> NDArray[np.int64]:
        return np.floor((focal_length * points[:, :2] / points[:, 2:] + principal_point) / cell).astype(np.int64)

    vertex_cells = cells(vertices)
    # An empty rim: points beside the body are looked up there.
    low = vertex_cells.min(axis=0) - 1
    shape = vertex_cells.max(axis=0) - low + 2
    buffer = np.full(shape, np.inf)
    np.minimum.at(buffer, tuple((vertex_cells - low).T), vertices[:, 2])
    place = np.clip(cells(keypoints) - low, 0, shape - 1)
    return keypoints[:, 2] - buffer[tuple(place.T)] > _depth_inside(tuple(names))


@cache
def _depth_inside(names: tuple[str, ...]) -> FloatArray:
    """Depth [K] of visible keypoints below the surface, with some slack (metres)."""
    depth = np.full(len(names), 0.04)
    for index, name in enumerate(names):
        if name not in BODY_KEYPOINT_NAMES:
            continue
        inner = name not in HEAD_KEYPOINT_NAMES and not name.endswith(FOOT_KEYPOINTS)
        depth[index] = 0.16 if name in ("neck", "mid_hip") or name.endswith("hip") else 0.11 if inner else 0.06
    return depth
