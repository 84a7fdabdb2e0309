"""Photos of a person with surroundings, bystanders and degradations, and the detector's keypoints there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse

from smplifyx.camera import Camera
from smplifyx.skeleton import JOINT_NAMES
from smplifyx.synthetic.people import SyntheticPerson
from tools.demo_scene.clothes import BodyMarks, neighbour_average
from tools.demo_scene.truth import open_body
from tools.gender_scene.appearance import Appearance, draw_appearance, recolored
from tools.gender_scene.backgrounds import background
from tools.gender_scene.degradations import develop, occluder
from tools.gender_scene.geometry import Figure, dressed_surfaces
from tools.gender_scene.lighting import Light, shade
from tools.gender_scene.paint import NoiseVolume, paint
from tools.gender_scene.people import Subject
from tools.gender_scene.raster import Pixels, Surface, rasterize_surfaces

#: The person is drawn at this multiple of the picture's size and shrunk.
_FINER = 1.2
_OCCLUDER_SHARE = 0.18
#: Share of heads that the upper edge of the picture is allowed to cut.
_CUT_HEADS = 0.07
#: Share of keypoints behind an occluder that the detector misses.
_MISS_RATE = 0.6
#: Share of photos with bystanders, and of these before the person instead of behind.
_BYSTANDER_SHARE, _BEFORE_SHARE = 0.3, 0.25
#: Heights in those of the person's box, and places in widths of it from its middle.
_BYSTANDER_HEIGHTS, _BYSTANDER_PLACES = (0.5, 1.15), (0.45, 1.4)


Shots = list[tuple[np.ndarray, SyntheticPerson]]


@dataclass(frozen=True)
class Studio:
    """Data shared by all pictures: noise for textures, and the open body's connectivity.

    ``neighbours`` [V, V] takes values at vertices to the means over their neighbours.
    """

    noise: NoiseVolume
    neighbours: scipy.sparse.csr_matrix

    @classmethod
    def open(cls) -> Studio:
        """A studio for the open body, whose genders share one mesh."""
        data = open_body("male")
        return cls(NoiseVolume(), neighbour_average(np.asarray(data.faces), len(data.v_template)))

    def photograph(self, subject: Subject, rng: np.random.Generator, bystanders: Sequence[np.ndarray] = ()) -> Shots:
        """Make photos RGB [H, W, 3] uint8 of a person, each with the detector's keypoints.

        They show one body, pose and cut of clothes; colours, light, surroundings and degradations differ.
        ``bystanders`` are cut-outs [h, w, 4] of other people, shown in some photos.
        """
        appearance = draw_appearance(subject.gender, rng)
        subject = _with_head(subject, rng)
        figure, surfaces, pixels = self._drawn(subject, appearance, rng)
        shots, person = [], subject.person
        for one in (appearance, recolored(appearance, subject.gender, rng)):
            scene = background(person.image_size, rng)
            behind, before = place_bystanders(person.exact_keypoints_2d, person.image_size, bystanders, rng)
            painted = paint(pixels, one, figure.marks, self.noise)
            colors = np.clip(shade(pixels, surfaces, painted, Light.draw(rng), self.noise), 0.0, 1.2)
            scene, seen = over(over(scene, behind), _layer(pixels, colors)), person
            scene = over(scene, before)
            if rng.random() < _OCCLUDER_SHARE:
                scene, seen = _hide(scene, person, rng)
            shots.append((develop(scene, rng), seen))
        return shots

    def cut_out(self, subject: Subject, rng: np.random.Generator) -> np.ndarray:
        """The person alone, trimmed, RGBA [h, w, 4] float32, premultiplied."""
        appearance = draw_appearance(subject.gender, rng)
        figure, surfaces, pixels = self._drawn(subject, appearance, rng)
        painted = paint(pixels, appearance, figure.marks, self.noise)
        colors = np.clip(shade(pixels, surfaces, painted, Light.draw(rng), self.noise), 0.0, 1.2)
        layer = _layer(pixels, colors)
        rows, columns = (np.flatnonzero(layer[..., 3].max(axis=axis)) for axis in (1, 0))
        return layer[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def _drawn(
        self, subject: Subject, appearance: Appearance, rng: np.random.Generator
    ) -> tuple[Figure, list[Surface], Pixels]:
        person = subject.person
        figure = Figure(person.vertices, subject.data, BodyMarks.of(subject.data), self.neighbours)
        surfaces = dressed_surfaces(figure, appearance, rng)
        size = tuple(round(_FINER * side) for side in person.image_size)
        camera = Camera(person.focal_length, person.principal_point - 0.5, image_size=person.image_size)
        return figure, surfaces, rasterize_surfaces(surfaces, camera.resized((size[0], size[1])))


def _with_head(subject: Subject, rng: np.random.Generator) -> Subject:
    """The camera turned a little upwards where the picture would cut the head, for most people."""
    person = subject.person
    of_head = subject.data.skinning_weights[:, JOINT_NAMES.index("head")] > 0.8
    head = person.vertices[of_head]
    top = float((person.focal_length * head[:, 1] / head[:, 2]).min() + person.principal_point[1])
    wanted = rng.uniform(2.0, 30.0)
    if top > wanted or rng.random() < _CUT_HEADS:
        return subject
    shift = np.array([0.0, wanted - top])
    keypoints = person.keypoints_2d.copy()
    keypoints[keypoints[:, 2] > 0, :2] += shift
    keypoints[keypoints[:, 1] >= person.image_size[1]] = 0.0
    moved = replace(
        person,
        keypoints_2d=keypoints,
        exact_keypoints_2d=person.exact_keypoints_2d + shift,
        principal_point=person.principal_point + shift,
    )
    return replace(subject, person=moved)


def _layer(pixels: Pixels, colors: np.ndarray) -> np.ndarray:
    """Colours [N, 3] of drawn pixels as RGBA [H, W, 4] float32 of the picture's size, premultiplied."""
    size = (round(pixels.size[0] / _FINER), round(pixels.size[1] / _FINER))
    layer = pixels.image(np.column_stack([colors, np.ones(len(colors))]))
    return cv2.resize(layer, size, interpolation=cv2.INTER_AREA)


def _hide(scene: np.ndarray, person: SyntheticPerson, rng: np.random.Generator) -> tuple[np.ndarray, SyntheticPerson]:
    height, width = scene.shape[:2]
    exact = person.exact_keypoints_2d
    box = np.concatenate([exact.min(axis=0), exact.max(axis=0)])
    box = np.clip(box, 0, np.array([width, height, width, height]))
    mask, colors = occluder((width, height), box, rng)
    keypoints = person.keypoints_2d.copy()
    column, row = (np.clip(keypoints[:, k], 0, side - 1).astype(int) for k, side in ((0, width), (1, height)))
    behind = mask[row, column] > 0.5
    keypoints[behind, 2] *= 0.6
    keypoints[behind & (rng.random(len(keypoints)) < _MISS_RATE)] = 0.0
    return scene * (1.0 - mask[..., None]) + colors * mask[..., None], replace(person, keypoints_2d=keypoints)


def over(scene: np.ndarray, layer: np.ndarray | None) -> np.ndarray:
    """A premultiplied RGBA layer [H, W, 4] laid over a scene [H, W, 3]."""
    return scene if layer is None else scene * (1.0 - layer[..., 3:]) + layer[..., :3]


def place_bystanders(
    keypoints: np.ndarray, size: tuple[int, int], cutouts: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Layers RGBA [H, W, 4] of bystanders behind and before the person with ``keypoints`` [135, 2]; none for most."""
    layers: list[np.ndarray | None] = [None, None]
    if not cutouts or rng.random() > _BYSTANDER_SHARE:
        return None, None
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    for _ in range(int(rng.integers(1, 3))):
        cutout = cutouts[int(rng.integers(len(cutouts)))]
        cutout = cutout[:, ::-1] if rng.random() < 0.5 else cutout
        factor = (high - low)[1] * rng.uniform(*_BYSTANDER_HEIGHTS) / cutout.shape[0]
        side = rng.choice([-1.0, 1.0]) * rng.uniform(*_BYSTANDER_PLACES)
        middle = 0.5 * (low + high)[0] + side * max((high - low)[0], 0.4 * (high - low)[1])
        bottom = high[1] + rng.normal(0.0, 0.06) * (high - low)[1]
        move = np.array([[factor, 0.0, middle - 0.5 * factor * cutout.shape[1]],
                         [0.0, factor, bottom - factor * cutout.shape[0]]])  # fmt: skip
        layer = cv2.warpAffine(np.ascontiguousarray(cutout), move, size, flags=cv2.INTER_LINEAR)
        depth = int(rng.random() < _BEFORE_SHARE)
        below = layers[depth]
        layers[depth] = layer if below is None else below * (1.0 - layer[..., 3:]) + layer
    return layers[0], layers[1]
