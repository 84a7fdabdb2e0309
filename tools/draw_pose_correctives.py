"""Draw docs/pose_correctives.jpg, strong bends without and with pose blend shapes, and measure lost volumes."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import trimesh
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.output import BodyMesh, BodyRenderer
from smplifyx.skeleton import GENDERS, LEFT_HAND_JOINTS, N_JOINTS, joint_index
from smplifyx.synthetic.makehuman.hand_poses import HAND_SHAPES, hand_pose_from_angles
from tools.drawing import Viewpoint, captioned, draw_meshes, save_sheet, start_renderer

CELL, GAP = (250, 250), 10
PAIRS_ACROSS = 3


@dataclasses.dataclass(frozen=True)
class View:
    """A pose seen close up.

    Attributes:
        title: caption.
        joints: axis-angle of the bent joints, degrees.
        focus: joint in the middle of the picture.
        height: metres that the picture shows.
        azimuth, elevation: of the camera, degrees; from the front, towards the person's left, up.
        hand: name of the left hand's shape.
    """

    title: str
    joints: Mapping[str, tuple[float, float, float]]
    focus: str
    height: float
    azimuth: float
    elevation: float = 0.0
    hand: str = "flat"

    def rotations(self) -> FloatArray:
        """[55, 3, 3] local joint rotations."""
        vectors = np.zeros((N_JOINTS, 3))
        vectors[LEFT_HAND_JOINTS] = hand_pose_from_angles(HAND_SHAPES[self.hand].angles()[None]).reshape(-1, 3)
        for name, degrees in self.joints.items():
            vectors[joint_index(name)] = np.radians(degrees)
        return Rotation.from_rotvec(vectors).as_matrix()


SITTING = {"left_hip": (-90, 0, 0), "right_hip": (-90, 0, 0), "left_knee": (90, 0, 0), "right_knee": (90, 0, 0)}
VIEWS = (
    View("elbow 90", {"left_elbow": (0, -90, 0)}, "left_elbow", 0.34, 20, 50),
    View("elbow 120", {"left_elbow": (0, -120, 0)}, "left_elbow", 0.34, 0, 85),
    View("forearm turned by 80", {"left_elbow": (-80, -60, 0)}, "left_elbow", 0.36, 20, 30),
    View("knee 90", {"left_knee": (90, 0, 0)}, "left_knee", 0.42, 100),
    View("knee 120", {"left_knee": (120, 0, 0)}, "left_knee", 0.42, 60, -10),
    View("sitting", SITTING, "pelvis", 0.7, 65, 10),
    View("sitting, from behind", SITTING, "pelvis", 0.7, 150, 5),
    View("arm up", {"left_shoulder": (0, 0, 70), "left_collar": (0, 0, 20)}, "left_shoulder", 0.55, 20),
    View("arm forward", {"left_shoulder": (0, -80, 0), "left_collar": (0, -15, 0)}, "left_shoulder", 0.55, 60, 10),
    View("arm down", {"left_shoulder": (0, 0, -70), "left_collar": (0, 0, -8)}, "left_shoulder", 0.55, 20, 5),
    View("wrist 70", {"left_wrist": (0, 0, -70)}, "left_wrist", 0.26, 10, 20),
    View("wrist turned by 70", {"left_wrist": (70, 0, 0)}, "left_wrist", 0.26, 10, 20),
    View("fist", {}, "left_middle1", 0.19, 20, -40, hand="fist"),
    View("neck 45, head 20", {"neck": (0, 45, 0), "head": (0, 20, 0)}, "neck", 0.45, 15, 5),
    View("back 80", {"spine1": (30, 0, 0), "spine2": (30, 0, 0), "spine3": (20, 0, 0)}, "spine2", 0.8, 80),
)


@dataclasses.dataclass(frozen=True)
class Bodies:
    """The mean person without and with pose blend shapes."""

    models: tuple[BodyModel, BodyModel]
    faces: IntArray

    @classmethod
    def of(cls, data: BodyModelData) -> Bodies:
        """Make both models from one file's content."""
        bare = dataclasses.replace(data, posedirs=np.zeros_like(data.posedirs))
        return cls((BodyModel.from_data(bare), BodyModel.from_data(data)), data.faces)

    def pose(self, rotations: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """Vertices [V, 3] and joints [55, 3] of both."""
        posed = []
        for model in self.models:
            betas, expression = torch.zeros(1, model.n_betas), torch.zeros(1, model.n_expressions)
            output = model(betas, expression, torch.as_tensor(rotations).float()[None])
            posed.append((output.vertices[0].numpy(), output.joints[0].numpy()))
        return posed

    def litres(self, rotations: FloatArray) -> FloatArray:
        """[2] volume of both; overlaps count twice."""
        return np.array([1e3 * trimesh.Trimesh(v, self.faces, process=False).volume for v, _ in self.pose(rotations)])


def pair(bodies: Bodies, view: View, renderer: BodyRenderer) -> np.ndarray:
    """The two pictures of a view under a caption."""
    viewpoint = Viewpoint(view.azimuth, view.elevation, view.height)
    pictures = [
        draw_meshes([BodyMesh(vertices, bodies.faces)], joints[joint_index(view.focus)], viewpoint, CELL, renderer)
        for vertices, joints in bodies.pose(view.rotations())
    ]
    return captioned(pictures, [f"{view.title}: without", "with"], GAP)


def volume_lines(bodies: Bodies, views: Sequence[View]) -> Iterator[str]:
    """Lines of a table of the volume lost in each view, millilitres."""
    at_rest = bodies.litres(np.eye(3)[None].repeat(N_JOINTS, axis=0))
    yield f"{'volume lost, ml':24s}{'without':>9s}{'with':>9s}"
    for view in views:
        without, with_correctives = 1e3 * (at_rest - bodies.litres(view.rotations()))
        yield f"{view.title:24s}{without:9.0f}{with_correctives:9.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture and print the volumes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/pose_correctives.jpg"))
    parser.add_argument("--gender", default="neutral", choices=GENDERS)
    options = parser.parse_args(arguments)
    bodies = Bodies.of(load_body_model_data(find_body_model("smplx", options.gender, OPEN_BODY_DIR)))
    renderer = start_renderer()
    blocks = [pair(bodies, view, renderer) for view in VIEWS]
    save_sheet([blocks[k : k + PAIRS_ACROSS] for k in range(0, len(blocks), PAIRS_ACROSS)], options.output)
    for line in volume_lines(bodies, VIEWS):
        print(line)


if __name__ == "__main__":
    main()
