"""Draw docs/family.jpg: the open bodies as SMPL, SMPL+H, SMPL-X, MANO and FLAME, posed."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.output import BodyMesh, BodyRenderer
from smplifyx.skeleton import SIDES
from smplifyx.synthetic.makehuman.hand_poses import HAND_SHAPES, hand_pose_from_angles, mirror_hand_pose
from tools.drawing import Viewpoint, captioned, draw_meshes, save_sheet, start_renderer

GAP = 8
SKIN_COLOR, EYE_COLOR, IRIS_COLOR = (0.62, 0.58, 0.52), (0.8, 0.8, 0.8), (0.1, 0.12, 0.15)
INSIDE_COLOR = (0.25, 0.2, 0.18)
#: Half the opening of the cone from the middle of the eye that holds the iris.
IRIS_DEGREES = 28

Degrees = tuple[float, float, float]
WALK: Mapping[str, Degrees] = {
    "left_hip": (-35, 0, 0), "right_hip": (20, 0, 0), "left_knee": (30, 0, 0), "right_knee": (25, 0, 0),
    "left_shoulder": (10, -10, -50), "right_shoulder": (0, 40, 65), "left_elbow": (0, -35, 0),
    "right_elbow": (0, 110, 0), "spine2": (5, 10, 0), "head": (0, 25, 0),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class View:
    """One model in one view.

    Attributes:
        title: caption.
        model: name of the file, without extension.
        size: width and height of the picture, pixels.
        height: metres that the picture shows.
        focus: joint in the middle of the picture.
        shift: offset of the middle from that joint, metres.
        azimuth, elevation: of the camera, degrees; from the front, towards the person's left, up.
        joints: axis-angle of the bent joints, degrees.
        hands: name of each hand's shape.
        betas, expression: the first coefficients.
    """

    title: str
    model: str
    size: tuple[int, int]
    height: float
    focus: str
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    azimuth: float = 20
    elevation: float = 0
    joints: Mapping[str, Degrees] = dataclasses.field(default_factory=dict)
    hands: Mapping[str, str] = dataclasses.field(default_factory=dict)
    betas: tuple[float, ...] = ()
    expression: tuple[float, ...] = ()

    def rotations(self, data: BodyModelData) -> FloatArray:
        """[J, 3, 3] local joint rotations."""
        vectors = np.zeros((data.n_joints, 3))
        for side, shape in self.hands.items():
            left = hand_pose_from_angles(HAND_SHAPES[shape].angles()[None])[0]
            pose = (left if side == "left" else mirror_hand_pose(left)).reshape(-1, 3)
            group = "hand_pose" if data.side else f"{side}_hand_pose"
            vectors[data.skeleton.pose_groups[group]] = pose
        for name, degrees in self.joints.items():
            vectors[data.skeleton.joint_index(name)] = np.radians(degrees)
        return Rotation.from_rotvec(vectors).as_matrix()


def body_view(title: str, model: str, **more: object) -> View:
    """A view of a whole body, walking."""
    values = {"joints": WALK, "azimuth": 35, "elevation": 5, "focus": "pelvis", "shift": (0, -0.07, 0.02), **more}
    return View(title, model, (310, 470), 1.95, **values)  # type: ignore[arg-type]


FIST_AND_POINT = {"left": "point", "right": "fist"}
SMALL = (310, 310)
VIEWS = (
    (
        body_view("SMPL: 24 joints", "SMPL_NEUTRAL", joints={**WALK, "left_hand": (0, 0, -35)}),
        body_view("SMPL+H: 52 joints", "SMPLH_NEUTRAL", hands=FIST_AND_POINT),
        body_view(
            "SMPL-X: 55 joints", "SMPLX_NEUTRAL", hands=FIST_AND_POINT,
            joints={**WALK, "jaw": (18, 0, 0)}, expression=(2.0,),
        ),
    ),
    (
        View("MANO left: 16 joints", "MANO_LEFT", SMALL, 0.27, "left_middle1", (-0.025, 0, 0), 0, 75),
        View("MANO left, power grip", "MANO_LEFT", SMALL, 0.27, "left_middle1", (-0.025, 0, 0), -35, 25,
             hands={"left": "power_grip"}),
        View("MANO right, wrist cut", "MANO_RIGHT", SMALL, 0.25, "right_middle1", (0.03, 0, 0), 55, -20,
             hands={"right": "point"}),
    ),
    (
        View("FLAME: 5 joints", "FLAME_NEUTRAL", SMALL, 0.40, "neck", (0, 0.02, 0.02), 20, 0),
        View("jaw 20, eyes 25 to the side", "FLAME_FEMALE", SMALL, 0.40, "neck", (0, 0.02, 0.02), 0, 0,
             joints={"jaw": (20, 0, 0), "left_eye_smplhf": (0, 25, 0), "right_eye_smplhf": (0, 25, 0)}),
        View("neck 40, expression", "FLAME_MALE", SMALL, 0.40, "neck", (0, 0.02, 0.02), 10, 5,
             joints={"neck": (10, 40, 0)}, expression=(2.0, 1.5)),
    ),
)  # fmt: skip


def face_kinds(data: BodyModelData) -> np.ndarray:
    """[F] 0 for skin, 1 for the white of the eyes, 2 for the irises."""
    kinds = np.zeros(len(data.faces), int)
    joints = data.joint_regressor @ data.v_template
    for side in SIDES:
        if f"{side}_eye_smplhf" in data.skeleton.joint_names:
            eye = data.skeleton.joint_index(f"{side}_eye_smplhf")
            faces = (data.skinning_weights[:, eye] > 0.5)[data.faces].all(axis=1)
            outwards = data.v_template[data.faces].mean(axis=1) - joints[eye]
            ahead = outwards[:, 2] > np.cos(np.radians(IRIS_DEGREES)) * np.linalg.norm(outwards, axis=1)
            kinds[faces] = np.where(ahead[faces], 2, 1)
    return kinds


def meshes_of(data: BodyModelData, view: View) -> tuple[list[BodyMesh], FloatArray]:
    """Meshes of posed skin, eyes and irises, and the point [3] in the middle of the view."""
    model = BodyModel.from_data(data)

    def padded(values: tuple[float, ...], count: int) -> torch.Tensor:
        return torch.tensor([[*values, *[0.0] * (count - len(values))]])

    output = model(
        padded(view.betas, model.n_betas),
        padded(view.expression, model.n_expressions),
        torch.as_tensor(view.rotations(data)).float()[None],
    )
    vertices = output.vertices[0].numpy()
    colors = np.array([SKIN_COLOR, EYE_COLOR, IRIS_COLOR])
    kinds = face_kinds(data)
    meshes = [
        BodyMesh(vertices, data.faces[kinds == kind], tuple(color))
        for kind, color in enumerate(colors.tolist())
        if (kinds == kind).any()
    ]
    if data.side or data.model_type == "flame":  # the inside is visible through the cut
        meshes.append(BodyMesh(vertices, data.faces[:, ::-1], INSIDE_COLOR))
    focus = output.joints[0, data.skeleton.joint_index(view.focus)].numpy() + np.array(view.shift)
    return meshes, focus


def draw(view: View, renderer: BodyRenderer) -> np.ndarray:
    """BGR picture under its caption."""
    meshes, focus = meshes_of(load_body_model_data(OPEN_BODY_DIR / f"{view.model}.npz"), view)
    viewpoint = Viewpoint(view.azimuth, view.elevation, view.height)
    return captioned([draw_meshes(meshes, focus, viewpoint, view.size, renderer)], [view.title], GAP)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture of the five models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/family.jpg"))
    options = parser.parse_args(arguments)
    renderer = start_renderer()
    save_sheet([[draw(view, renderer) for view in row] for row in VIEWS], options.output)


if __name__ == "__main__":
    main()
