"""A floor, a wall and soft shadows, and the dressed people rendered into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import trimesh

from smplifyx.output.render import draw_scene, load_pyrender, offscreen_renderer
from tools.demo_scene.characters import Picture
from tools.demo_scene.clothes import DressedBody
from tools.demo_scene.truth import camera_axes, to_camera

#: Pictures are rendered at this multiple of their size and shrunk.
_SUPERSAMPLING = 2
_N_SUN_RAYS, _N_SKY_RAYS = 24, 40
_SUN_SPREAD = 0.09
#: Height above which bodies do not shade the floor from the sky, metres.
_CONTACT_HEIGHT = 0.3
_N_SHADOW_TRIANGLES = 12000
_STOOL_COLOR = (0.76, 0.60, 0.42)
#: OpenCV's camera frame to OpenGL's.
_TURN = np.array([1.0, -1.0, -1.0])


def render(picture: Picture, bodies: Sequence[DressedBody]) -> np.ndarray:
    """The picture, BGR `[H, W, 3]` uint8; the bodies' vertices are in the world."""
    background = _room(picture) * _shade(picture, bodies)[..., None]
    rgba = _people(picture, bodies)
    width, height = picture.size
    background = cv2.resize(background, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    mixed = background * (1.0 - rgba[..., 3:]) + rgba[..., :3]
    small = cv2.resize(np.clip(mixed, 0.0, 1.0), picture.size, interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(picture.seed).normal(0.0, 0.006, small.shape)
    return np.clip(np.rint(255.0 * (small + grain)), 0, 255).astype(np.uint8)[..., ::-1]


def _directions(picture: Picture) -> np.ndarray:
    """World directions [H, W, 3] of the pixels' rays, one unit deep."""
    width, height = picture.size
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([u - width / 2.0, v - height / 2.0, np.full(u.shape, picture.focal_length)], axis=-1)
    return rays / picture.focal_length @ camera_axes(picture)


def _room(picture: Picture) -> np.ndarray:
    """RGB `[H, W, 3]` of the empty room."""
    rays = _directions(picture)
    reach_wall = picture.wall_distance / -rays[..., 2]
    wall_height = picture.camera_height + reach_wall * rays[..., 1]
    across = reach_wall * rays[..., 0]
    glow = np.exp(-((across - 0.4 * np.sign(picture.light[0])) ** 2 + (wall_height - 1.9) ** 2) / 9.0)
    wall = np.array(picture.wall) * (0.74 + 0.34 * glow)[..., None]
    wall[(wall_height < 0.10)] = np.array(picture.wall) * 0.35 + 0.60
    reach_floor = picture.camera_height / np.maximum(-rays[..., 1], 1e-6)
    away, sideways = reach_floor * -rays[..., 2], reach_floor * rays[..., 0]
    board = np.floor(sideways / 0.16)
    tint = 1.0 + 0.035 * np.sin(12.9898 * board + 3.0 * np.floor((away + 0.37 * board) / 1.4))
    seam = np.abs(sideways / 0.16 - board - 0.5) > 0.485
    tint = np.where(seam, 0.86, tint)
    fade = np.exp(-((away - 3.6) ** 2 + 0.7 * sideways**2) / 14.0)
    floor = np.array(picture.floor) * (tint * (0.68 + 0.42 * fade))[..., None]
    return np.where((away < picture.wall_distance)[..., None] & (rays[..., 1:2] < 0), floor, wall)


def _shade(picture: Picture, bodies: Sequence[DressedBody]) -> np.ndarray:
    """Light `[H, W]` on floor and wall: the mean over directions of the sun and of the sky."""
    random = np.random.default_rng(picture.seed)
    sun = _unit(picture.light) + random.normal(0.0, _SUN_SPREAD, (_N_SUN_RAYS, 3))
    sky = random.normal(size=(_N_SKY_RAYS, 3))
    sky[:, 1] = np.abs(sky[:, 1]) + 0.15 * np.linalg.norm(sky, axis=1)
    shade = np.ones(picture.size[::-1])
    shade -= 0.42 * np.mean([_shadow(picture, bodies, ray) for ray in sun], axis=0)
    shade -= 0.55 * np.mean([_shadow(picture, bodies, ray, _CONTACT_HEIGHT) for ray in sky], axis=0)
    return cv2.GaussianBlur(shade, (0, 0), 2.0)


def _shadow(
    picture: Picture, bodies: Sequence[DressedBody], towards: np.ndarray, highest: float = np.inf
) -> np.ndarray:
    """1 in `[H, W]` where what lies below ``highest`` keeps light from one direction off the floor or the wall."""
    mask = np.zeros(picture.size[::-1], np.uint8)
    for body in bodies:
        corners = body.vertices[_thinned(body.faces)]
        centre = corners.mean(axis=1, keepdims=True)
        low = centre[:, 0, 1] < highest
        growth = (len(body.faces) / len(corners)) ** 0.5
        points = (centre + growth * (corners - centre))[low].reshape(-1, 3)
        steps = points[:, 1] / towards[1]
        if towards[2] > 1e-6:
            steps = np.minimum(steps, (points[:, 2] + picture.wall_distance) / towards[2])
        seen = to_camera(points - np.maximum(steps, 0.0)[:, None] * towards, picture)
        pixels = picture.focal_length * seen[:, :2] / np.maximum(seen[:, 2:], 0.1) + np.array(picture.size) / 2.0
        for triangle in np.clip(pixels, -5000, 5000).astype(np.int32).reshape(-1, 3, 2):
            cv2.fillConvexPoly(mask, triangle, 1)
    return mask


def _thinned(faces: np.ndarray) -> np.ndarray:
    """Some of the triangles, evenly spread: grown a little, they are plenty for a shadow."""
    return faces[:: max(1, len(faces) // _N_SHADOW_TRIANGLES)]


def _people(picture: Picture, bodies: Sequence[DressedBody]) -> np.ndarray:
    """RGBA `[2H, 2W, 4]`, 0 to 1, premultiplied."""
    pyrender = load_pyrender()
    scene = pyrender.Scene(bg_color=(0.0, 0.0, 0.0, 0.0), ambient_light=(0.34, 0.34, 0.36))
    for body in bodies:
        normals = body.normals @ camera_axes(picture).T * _TURN
        scene.add(_mesh(pyrender, to_camera(body.vertices, picture) * _TURN, normals, body))
    towards = _unit(picture.light) @ camera_axes(picture).T * _TURN
    for direction, strength, color in (
        (towards, 2.9, (1.0, 0.97, 0.92)),
        (towards * [-1.0, 0.4, 1.0], 0.8, (0.9, 0.95, 1.0)),
        (np.array([0.3, 0.9, -0.8]), 0.6, (1.0, 1.0, 1.0)),
    ):
        scene.add(pyrender.DirectionalLight(color=color, intensity=strength), pose=_pose_towards(_unit(direction)))
    width, height = (_SUPERSAMPLING * side for side in picture.size)
    focal_length = _SUPERSAMPLING * picture.focal_length
    scene.add(pyrender.IntrinsicsCamera(focal_length, focal_length, width / 2, height / 2, znear=0.3, zfar=12.0))
    flags = pyrender.RenderFlags.RGBA | pyrender.RenderFlags.SHADOWS_DIRECTIONAL
    return draw_scene(offscreen_renderer(), scene, (width, height), flags).astype(np.float32) / 255.0


def _mesh(pyrender: Any, positions: np.ndarray, normals: np.ndarray, body: DressedBody) -> Any:
    material = pyrender.MetallicRoughnessMaterial(metallicFactor=0.0, roughnessFactor=0.75)
    linear = np.asarray(body.colors) ** 2.2
    primitive = pyrender.Primitive(
        positions=positions.astype(np.float32),
        normals=normals.astype(np.float32),
        indices=np.ascontiguousarray(body.faces, np.uint32),
        color_0=np.column_stack([linear, np.ones(len(linear))]).astype(np.float32),
        material=material,
    )
    return pyrender.Mesh([primitive])


def stool(vertices: np.ndarray, pelvis: np.ndarray, heading: float) -> DressedBody:
    """A block under the seat of a sitting person: ``vertices`` [V, 3] and ``pelvis`` [3] in the world, degrees."""
    near = np.linalg.norm(vertices[:, [0, 2]] - pelvis[[0, 2]], axis=1) < 0.15
    seat = float(vertices[near, 1].min()) + 0.015
    block = trimesh.creation.box((0.42, seat, 0.40))
    block.apply_transform(trimesh.transformations.rotation_matrix(np.radians(heading), (0.0, 1.0, 0.0)))
    corners = block.vertices[block.faces].reshape(-1, 3) + np.array([pelvis[0], seat / 2.0, pelvis[2]])
    normals = np.repeat(block.face_normals, 3, axis=0)
    faces = np.arange(len(corners)).reshape(-1, 3)
    return DressedBody(corners, normals, faces, np.tile(_STOOL_COLOR, (len(corners), 1)))


def _unit(direction: Sequence[float] | np.ndarray) -> np.ndarray:
    return np.asarray(direction, np.float64) / np.linalg.norm(direction)


def _pose_towards(towards: np.ndarray) -> np.ndarray:
    """Pose [4, 4] of a light that lies in the unit direction ``towards``: it shines along its own -z."""
    right = _unit(np.cross((0.0, 1.0, 0.0), towards))
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(towards, right), towards], axis=1)
    return pose
