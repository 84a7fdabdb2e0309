"""A moving person with known truth, seen by any number of cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.body import load_body_model
from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.skeleton import N_KEYPOINTS
from smplifyx.synthetic.poses import mild_poses
from smplifyx.tracking import Track, View

FloatArray = NDArray[np.float64]

SIZE = (1280, 960)
CAMERA = Camera(1600.0, (640.0, 480.0)).for_image(SIZE)


@dataclass(frozen=True)
class MovingPerson:
    """Truth [F, J, 3] in the world (metres, y up), shape, and what the views see of it."""

    track: Track
    joints: FloatArray
    betas: FloatArray


def around(n_views: int) -> list[View]:
    """Cameras on a circle about the origin, 4 m away; one camera is the world itself."""
    if n_views == 1:
        return [View("one", CAMERA, np.diag([1.0, -1.0, -1.0]), [0.0, 1.0, 4.0])]
    views = []
    for number in range(n_views):
        turn = Rotation.from_euler("y", 30.0 + 360.0 / n_views * number, degrees=True).as_matrix()
        rotation = np.diag([1.0, -1.0, -1.0]) @ turn
        views.append(View(f"view {number}", CAMERA, rotation, [0.0, 1.0, 4.0]))
    return views


def moving_person(n_frames: int, n_views: int, noise_px: float = 2.0, seed: int = 0) -> MovingPerson:
    """A person who goes from one mild pose to another and turns by 40 degrees; hands and face are not seen."""
    rng = np.random.default_rng(seed)
    body = load_body_model("smplx")
    ends = mild_poses(2, seed=seed).body_pose
    share = np.linspace(0.0, 1.0, max(n_frames, 2))[:n_frames, None]
    turn = Rotation.from_euler("y", 40.0 * share - 20.0, degrees=True).as_rotvec()
    place = np.array([0.0, 1.0, 0.0]) + share * [0.2, 0.0, 0.1]
    betas = rng.normal(size=10)

    def tensor(array: FloatArray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float32)

    with torch.no_grad():
        posed = body(
            body_pose=tensor(ends[0] + share * (ends[1] - ends[0])),
            global_orient=tensor(turn),
            betas=tensor(betas[None]),
            transl=tensor(place),
        )
    joints, keypoints = np.float64(posed.joints), np.float64(posed.keypoints)
    views = around(n_views)
    rows = []
    for frame in range(n_frames):
        row = []
        for view in views:
            seen = np.zeros((N_KEYPOINTS, 3))
            points = CAMERA.project(view.to_camera(keypoints[frame, :25]))
            seen[:25] = np.column_stack([points + noise_px * rng.normal(size=points.shape), np.ones(25)])
            row.append(Observation(seen.astype(np.float32), SIZE, CAMERA, stem=f"frame_{frame:03d}"))
        rows.append(row)
    return MovingPerson(Track(0, range(n_frames), rows, views, 30.0), joints, betas)


def without(person: MovingPerson, frames: range, view: int = 0) -> MovingPerson:
    """The same person, not observed by a view in some frames."""
    rows = [list(row) for row in person.track.observations]
    for frame in frames:
        rows[frame][view] = None
    return replace(person, track=replace(person.track, observations=rows))


def with_keypoints(person: MovingPerson, frame: int, keypoints: NDArray[np.float32], view: int = 0) -> MovingPerson:
    """The same person with other keypoints in a frame."""
    rows = [list(row) for row in person.track.observations]
    observed = rows[frame][view]
    assert observed is not None
    rows[frame][view] = replace(observed, keypoints=keypoints)
    return replace(person, track=replace(person.track, observations=rows))
