"""The open benchmark: people with known truth as photos, keypoint files and meshes in EHF's layout.

Nothing in it needs a licence, and any program that reads OpenPose's files can be run on it. Besides EHF's files,
``cameras.json`` and ``truth.npz``, the folder ``noise_LEVEL`` holds each frame's keypoints with the detector's errors
scaled by LEVEL; the ordinary keypoints have level 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import smplifyx
from smplifyx.body.data import BodyModelData
from smplifyx.evaluation.ehf_layout import (
    CAMERAS_FILE,
    IMAGE_SUFFIXES,
    KEYPOINT_SUFFIX,
    MESH_SUFFIX,
    TRUTH_FILE,
    FrameCamera,
    camera_entry,
    write_mesh,
)
from smplifyx.files import atomic_path, write_bytes, write_text
from smplifyx.output import BodyMesh, BodyRenderer, overlay, person_color
from smplifyx.skeleton import BODY_KEYPOINT_NAMES
from smplifyx.synthetic.adults import open_people
from smplifyx.synthetic.detector import Sight, detect
from smplifyx.synthetic.documents import true_camera, write_openpose_json
from smplifyx.synthetic.noise import DETECTORS, DetectorNoise
from smplifyx.synthetic.people import RestBody, SyntheticOptions, SyntheticPerson, hidden_by_body, synthetic_people
from smplifyx.synthetic.poses import held_out_poses, mild_poses

FloatArray = NDArray[np.float64]

OPTIONS_FILE = "benchmark.json"
NOISE_LEVELS = (0.0, 0.5, 1.0, 2.0, 4.0)
_JPEG_QUALITY = 90
#: Changes when the same options make other files.
_FORMAT = 2
_LIMBS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
#: Sides count as swapped where the other limb is nearer by this factor.
_MUCH_NEARER = 0.5
#: Grey levels at the top and the bottom of the background.
_BACKGROUND = (225.0, 150.0)

#: Called after each person with the number made.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class OpenBenchmark:
    """Options that determine the benchmark.

    Attributes:
        n_people: how many.
        seed: of everything random.
        mocap: motion-capture file for the poses; None for mild random ones.
        shapes: ``anny`` for bodies from Anny's full shape space, ``components`` for the model's own components.
        noise_levels: of the extra keypoint files.
        detector: ``independent`` or ``correlated`` errors, see :data:`smplifyx.synthetic.noise.DETECTORS`.
    """

    n_people: int = 100
    seed: int = 0
    mocap: str | Path | None = None
    shapes: str = "anny"
    noise_levels: tuple[float, ...] = NOISE_LEVELS
    detector: str = "independent"

    @property
    def noise(self) -> DetectorNoise:
        """Parameters of the detector."""
        return DETECTORS[self.detector]

    def description(self) -> dict[str, Any]:
        """Everything that the content of the folder depends on, for its own file."""
        mocap = None if self.mocap is None else Path(self.mocap).name
        return {**asdict(self), "mocap": mocap, "noise_levels": list(self.noise_levels), "noise": asdict(self.noise)}


def frame_name(number: int) -> str:
    """``01`` for the first person."""
    return f"{number + 1:02d}"


def noise_folder(level: float) -> str:
    """Name of the folder with the keypoints of a noise level."""
    return f"noise_{level:g}"


def is_made(benchmark: OpenBenchmark, folder: Path) -> bool:
    """Check that the folder holds exactly this benchmark, complete."""
    try:
        found = json.loads((folder / OPTIONS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == json.loads(json.dumps(_with_version(benchmark))))


def benchmark_people(benchmark: OpenBenchmark, data: BodyModelData) -> list[SyntheticPerson]:
    """The people with their ordinary keypoints; the same options give the same people.

    Args:
        benchmark: the options.
        data: the neutral open body, whose mesh, skinning and pose blend shapes the people have.

    Raises:
        UsageError: Anny's shapes are wanted and the package is not installed.
        InputError: the motion capture cannot be read.
    """
    poses = held_out_poses(benchmark.mocap) if benchmark.mocap else mild_poses(seed=benchmark.seed)
    bodies: Sequence[RestBody] | None = None
    if benchmark.shapes == "anny":
        bodies = open_people(benchmark.n_people, benchmark.seed)
    options = SyntheticOptions(seed=benchmark.seed, noise=benchmark.noise)
    return list(synthetic_people(data, benchmark.n_people, options, poses, bodies))


def write_benchmark(
    benchmark: OpenBenchmark,
    data: BodyModelData,
    folder: Path,
    renderer: BodyRenderer,
    progress: Progress | None = None,
) -> None:
    """Make the people and writes all files; the file that says so comes last.

    Args:
        benchmark: the options.
        data: see :func:`benchmark_people`.
        folder: made if missing.
        renderer: draws the photos.
        progress: called after each person.

    Raises:
        UsageError, InputError: see :func:`benchmark_people`.
    """
    people = benchmark_people(benchmark, data)
    cameras = {}
    for number, person in enumerate(people):
        name = frame_name(number)
        camera = FrameCamera(true_camera(person), np.eye(3), np.zeros(3))
        cameras[name] = camera_entry(camera, person.gender, _tags(person))
        write_openpose_json([person], folder / f"{name}{KEYPOINT_SUFFIX}")
        for level in benchmark.noise_levels:
            noisy = _redetected(
                person, benchmark.noise.scaled(level), np.random.default_rng([benchmark.seed, number, 2])
            )
            write_openpose_json([noisy], folder / noise_folder(level) / f"{name}{KEYPOINT_SUFFIX}")
        write_mesh(folder / f"{name}{MESH_SUFFIX}", person.vertices, data.faces)
        write_bytes(folder / f"{name}{IMAGE_SUFFIXES[0]}", _photo(person, data, renderer, number))
        if progress is not None:
            progress(number + 1)
    write_text(folder / CAMERAS_FILE, json.dumps(cameras, indent=1))
    with atomic_path(folder / TRUTH_FILE) as temporary:
        np.savez_compressed(
            temporary,
            names=np.array(list(cameras)),
            joints=np.stack([person.joints for person in people]).astype(np.float32),
            rotations=np.stack([person.rotations for person in people]).astype(np.float32),
        )
    write_text(folder / OPTIONS_FILE, json.dumps(_with_version(benchmark), indent=1))


def _with_version(benchmark: OpenBenchmark) -> dict[str, Any]:
    return {**benchmark.description(), "format": _FORMAT, "smplifyx": smplifyx.__version__}


def _tags(person: SyntheticPerson) -> tuple[str, ...]:
    """Words by which people are grouped."""
    # The pelvis's front looks along its third axis, the camera along its own.
    facts = {
        "truncated": person.truncated,
        "seen from behind": person.rotations[0][2, 2] > 0,
        "sides swapped": any(_swapped(person, limb) for limb in _LIMBS),
    }
    return tuple(tag for tag, holds in facts.items() if holds)


def _swapped(person: SyntheticPerson, limb: Sequence[str]) -> bool:
    """Check whether the detector took the left limb for the right one."""
    distances = {"own": [0.0], "other": [0.0]}
    for side, other in (("left", "right"), ("right", "left")):
        for part in limb:
            found = person.keypoints_2d[BODY_KEYPOINT_NAMES.index(f"{side}_{part}")]
            if found[2] > 0:
                for whose, true_side in (("own", side), ("other", other)):
                    true = person.exact_keypoints_2d[BODY_KEYPOINT_NAMES.index(f"{true_side}_{part}")]
                    distances[whose].append(float(np.linalg.norm(found[:2] - true)))
    return sum(distances["other"]) < _MUCH_NEARER * sum(distances["own"])


def _redetected(person: SyntheticPerson, noise: DetectorNoise, rng: np.random.Generator) -> SyntheticPerson:
    hidden = hidden_by_body(person.keypoints, person.vertices, person.focal_length, person.principal_point)
    sight = Sight(person.exact_keypoints_2d, hidden, person.image_size)
    return replace(person, keypoints_2d=detect(sight, noise, rng))


def _photo(person: SyntheticPerson, data: BodyModelData, renderer: BodyRenderer, number: int) -> bytes:
    """The person before a plain wall, as JPEG."""
    width, height = person.image_size
    wall = np.linspace(*_BACKGROUND, height)[:, None, None].repeat(width, 1).repeat(3, 2).astype(np.uint8)
    camera = true_camera(person)
    mesh = BodyMesh(person.vertices, np.asarray(data.faces), person_color(number))
    picture = overlay(wall, [mesh], camera, renderer, longest_side=max(width, height))
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
