"""The same people fitted without and with the self-collision term: penetration, keypoints, surface, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.camera import resolve_cameras
from smplifyx.collision.parts import body_parts
from smplifyx.collision.penetration import Penetration, overlap_volume
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.collision.surface import PosedSurface
from smplifyx.config import CollisionConfig, Config
from smplifyx.evaluation.runner import FittedPerson, fit_with_body
from smplifyx.evaluation.scores import score
from smplifyx.evaluation.tables import Row
from smplifyx.files import atomic_path
from smplifyx.keypoints import Observation, draw_keypoints, read_image
from smplifyx.output import BodyMesh, BodyRenderer, overlay, side_view
from smplifyx.synthetic.documents import observation_of, true_camera
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import PosePool
from smplifyx.synthetic.self_contact import POSES, contact_poses, with_flat_hands

FloatArray = NDArray[np.float64]

#: People seen whole and roughly from the front, of average shape.
OPTIONS = SyntheticOptions(
    shape_sd=0.0, expression_sd=0.0, hand_sd=0.0, facing_share=1.0, facing_sd_deg=30.0, truncated_share=0.0,
    image_sizes=((1024, 1024),), extent_range=(0.75, 0.9),
)  # fmt: skip
#: Enough for a tenth of the volume.
_VOLUME_POINTS = 800
_PICTURE_HEIGHT, _PICTURE_SIDE = 480, 1024
_ARM = ("collar", "shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class ContactFigures:
    """Self-contact of one body.

    Attributes:
        penetration: pairs, depth.
        volume: shared by two parts, cubic metres.
        hand_gaps: smallest distance from the left and the right hand's skin to the body without that arm, metres.
    """

    penetration: Penetration
    volume: float
    hand_gaps: tuple[float, float]


class ContactJudge:
    """Measure bodies of one model.

    Args:
        data: the body model.
        config: the rules of a collision.
    """

    def __init__(self, data: BodyModelData, config: CollisionConfig | None = None) -> None:
        self._collision = SelfCollision(data, BodyModel.from_data(data), config or CollisionConfig())
        self._faces = np.asarray(data.faces)
        self.meter = self._collision.meter
        labels = body_parts(data).labels
        self._hands: dict[str, tuple[NDArray[np.integer], PosedSurface]] = {}
        for side in ("left", "right"):
            hand = skeleton.HAND_JOINTS[side]
            arm = [*hand, *(skeleton.joint_index(f"{side}_{name}") for name in _ARM)]
            of_arm = np.isin(self._faces, self._faces[np.isin(labels, arm)]).any(1)
            rest = PosedSurface(data.v_template, self._faces[~of_arm], np.zeros((~of_arm).sum(), int))
            self._hands[side] = np.unique(self._faces[np.isin(labels, hand)]), rest

    def pairs(self, vertices: FloatArray) -> NDArray[np.integer]:
        """Colliding pairs of triangles [N, 2] of a body [V, 3]."""
        found = self._collision.search(torch.as_tensor(np.asarray(vertices, np.float32))[None])
        return np.asarray(found.triangles.numpy())

    def measure(self, vertices: FloatArray) -> ContactFigures:
        """Figures of a body [V, 3], metres."""
        penetration = self.meter.measure(vertices, self.pairs(vertices))
        volume = overlap_volume(self.meter.surface, vertices, self._faces, penetration, _VOLUME_POINTS)
        return ContactFigures(penetration, volume, self.hand_gaps(vertices))

    def hand_gaps(self, vertices: FloatArray) -> tuple[float, float]:
        """As :attr:`ContactFigures.hand_gaps`."""
        return self._hand_gap(vertices, "left"), self._hand_gap(vertices, "right")

    def _hand_gap(self, vertices: FloatArray, side: str) -> float:
        hand, rest = self._hands[side]
        rest.pose(vertices)
        return float(rest.distances(vertices[hand]).min())


def touching_people(
    data: BodyModelData, body_poses: FloatArray, options: SyntheticOptions = OPTIONS
) -> list[SyntheticPerson]:
    """One synthetic person, as a detector sees it, for each body pose [N, 63]."""
    flat = with_flat_hands(data)
    people = []
    for number, pose in enumerate(body_poses):
        only = PosePool(pose[None], np.ones(1))
        (person,) = synthetic_people(flat, 1, replace(options, seed=options.seed + number), only)
        people.append(replace(person, name=f"person_{number:04d}"))
    return people


@dataclass(frozen=True)
class ContactCase:
    """One person to fit, photographed or made.

    Attributes:
        name: of the pose or the photo.
        observation: the input of the fitter.
        truth: the synthetic person, or None for a photo.
    """

    name: str
    observation: Observation
    truth: SyntheticPerson | None = None


def synthetic_cases(
    data: BodyModelData, config: Config, judge: ContactJudge, folder: Path, count: int, seed: int
) -> list[ContactCase]:
    """People in the first ``count`` poses of :data:`smplifyx.synthetic.self_contact.POSES`.

    The poses take minutes to find and are kept in the folder.
    """
    file = folder / f"poses_{seed}_{count}.npy"
    if not file.exists():
        poses = contact_poses(with_flat_hands(data), judge.pairs, judge.meter, POSES[:count], seed)
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, poses)
    return [
        ContactCase(pose.name, resolve_cameras([observation_of(person)], config.camera)[0], person)
        for pose, person in zip(POSES, touching_people(data, np.load(file)), strict=False)
    ]


def photo_cases(people: Sequence[Observation], config: Config) -> list[ContactCase]:
    """The first person of each photo."""
    first = [observation for observation in people if observation.person_index == 0]
    return [ContactCase(one.stem, one) for one in resolve_cameras(first, config.camera)]


@dataclass(frozen=True)
class ContactFit:
    """A case's fit and its figures."""

    fit: FittedPerson
    figures: ContactFigures


def fit_cases(
    data: BodyModelData, config: Config, cases: Sequence[ContactCase], judge: ContactJudge
) -> list[ContactFit]:
    """Fit all the cases; the i-th fit belongs to the i-th case."""
    fits = fit_with_body(data, config, [case.observation for case in cases])
    return [ContactFit(fit, judge.measure(fit.vertices)) for fit in fits]


def comparison_rows(
    cases: Sequence[ContactCase], without: Sequence[ContactFit], with_term: Sequence[ContactFit]
) -> list[Row]:
    """One row a case; each figure without and with the term."""
    rows = []
    for case, before, after in zip(cases, without, with_term, strict=True):
        row: Row = {"": case.name}
        for name, figure in _FIGURES.items():
            for suffix, fit in (("off", before), ("on", after)):
                row[f"{name} {suffix}"] = figure(case, fit)
        rows.append(row)
    return rows


def _scored(key: str) -> Callable[[ContactCase, ContactFit], float]:
    def figure(case: ContactCase, fit: ContactFit) -> float:
        if case.truth is None:
            return float("nan")
        return score(case.truth, fit.fit.vertices, fit.fit.joints)[key]

    return figure


_FIGURES: dict[str, Callable[[ContactCase, ContactFit], float]] = {
    "pairs": lambda _, fit: fit.figures.penetration.n_pairs,
    "depth mm": lambda _, fit: 1e3 * fit.figures.penetration.depth,
    "volume cm3": lambda _, fit: 1e6 * fit.figures.volume,
    "hand gap mm": lambda _, fit: 1e3 * min(fit.figures.hand_gaps),
    "keypoints px": lambda _, fit: fit.fit.result.reprojection_error_px,
    "v2v mm": _scored("pa_v2v_mm"),
    "joints mm": _scored("pa_mpjpe_mm"),
    "s": lambda _, fit: fit.fit.result.seconds,
}


def describe_truth(cases: Sequence[ContactCase], judge: ContactJudge) -> str:
    """Penetration of the true bodies of synthetic cases, in a line."""
    bodies = [case.truth.vertices for case in cases if case.truth is not None]
    depths = [1e3 * judge.meter.measure(body, judge.pairs(body)).depth for body in bodies]
    gaps = [1e3 * min(judge.hand_gaps(body)) for body in bodies]
    return f"truth: depth {np.mean(depths):.1f} mm, worst {max(depths):.1f} mm; hand gap {np.median(gaps):.1f} mm"


def contact_picture(
    case: ContactCase, fits: Sequence[ContactFit], faces: NDArray[np.integer], renderer: BodyRenderer
) -> NDArray[np.uint8]:
    """Photo with keypoints, then front and side view of each fit, side by side: BGR [480, W, 3]."""
    width, height = case.observation.image_size
    camera = case.observation.camera
    assert camera is not None  # resolved when the case was made
    if case.truth is None:
        background = first = read_image(case.observation.image_file)
    else:
        background = np.full((height, width, 3), 235, np.uint8)
        mesh = BodyMesh(case.truth.vertices, np.asarray(faces))
        first = overlay(background, [mesh], true_camera(case.truth), renderer, max(width, height))
    panels = [draw_keypoints(first, case.observation.keypoints)]
    for contact in fits:
        mesh = BodyMesh(contact.fit.vertices, np.asarray(faces))
        panels.append(overlay(background, [mesh], camera, renderer, longest_side=_PICTURE_SIDE))
        panels.append(side_view(mesh, contact.fit.joints[0], camera, renderer, longest_side=_PICTURE_SIDE))
    return np.concatenate([_scaled(panel) for panel in panels], axis=1)


def _scaled(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = round(picture.shape[1] * _PICTURE_HEIGHT / picture.shape[0])
    resized = cv2.resize(picture, (width, _PICTURE_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
