"""The five models against the smplx package, on files with the licensed layouts and random content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from smplifyx.body import Body, HandOptions, load_body_model_data
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyOutput
from smplifyx.body.regressor import SMPLX_DEFINITIONS, KeypointRegressor
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES
from tests.licensed_files import LicensedLike, licensed_like, write_npz, write_plain_pickle, write_python2

smplx = pytest.importorskip("smplx", reason="the smplx package is the second witness")

TOLERANCE = 1e-5
BATCH = 3


@dataclass(frozen=True)
class Kind:
    """A model, how its licensed file is written, and what the smplx package calls it."""

    model_type: str
    file: str
    write: Callable[[LicensedLike, Path], Path]
    side: str | None = None

    def settings(self) -> dict[str, Any]:
        if self.model_type == "mano":
            return {"is_rhand": self.side == "right"}
        return {"ext": "npz"} if self.model_type in ("smplx", "smplh") else {"ext": "pkl"}


KINDS = {
    "smplx": Kind("smplx", "SMPLX_NEUTRAL.npz", write_npz),
    "smplh": Kind("smplh", "SMPLH_NEUTRAL.npz", write_npz),
    "smpl": Kind("smpl", "SMPL_NEUTRAL.pkl", write_python2),
    "mano-left": Kind("mano", "MANO_LEFT.pkl", write_python2, "left"),
    "mano-right": Kind("mano", "MANO_RIGHT.pkl", write_python2, "right"),
    "flame": Kind("flame", "FLAME_NEUTRAL.pkl", write_python2),
}


@dataclass(frozen=True)
class Model:
    """A model as this package reads it, and the same model's file for the smplx package."""

    kind: Kind
    data: BodyModelData
    path: Path

    def theirs(self, inputs: dict[str, torch.Tensor], **settings: Any) -> Any:
        """The output of the smplx package."""
        kind, folder = self.kind, str(self.path.parents[1])
        settings = {"gender": "neutral", "batch_size": BATCH, **kind.settings(), **settings}
        return smplx.create(folder, kind.model_type, **settings)(**inputs)


@pytest.fixture(scope="module", params=list(KINDS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp(kind.model_type)
    content = licensed_like(kind.model_type, kind.side)
    path = folder / "theirs" / kind.model_type / kind.file
    (write_npz if kind.write is write_npz else write_plain_pickle)(content, path)
    data = load_body_model_data(kind.write(content, folder / kind.file))
    return Model(kind, data, path)


def random_inputs(body: Body) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = {part: 0.4 * torch.randn(BATCH, size, generator=generator) for part, size in body.pose_sizes.items()}
    inputs["betas"] = torch.randn(BATCH, body.model.n_betas, generator=generator)
    inputs["transl"] = torch.randn(BATCH, 3, generator=generator)
    if body.model.n_expressions:
        inputs["expression"] = torch.randn(BATCH, body.model.n_expressions, generator=generator)
    return inputs


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("n_components", [None, 6, 45])
def test_vertices_and_joints(model: Model, n_components: int | None, flat: bool) -> None:
    data = model.data
    settings: dict[str, Any] = {}
    if data.skeleton.hand_sides:
        settings = {"use_pca": n_components is not None, "num_pca_comps": n_components or 45, "flat_hand_mean": flat}
    elif n_components is not None or flat:
        pytest.skip("this model has no hand poses")
    body = Body(data, HandOptions(n_components, flat), SMPLX_DEFINITIONS)
    inputs = random_inputs(body)
    ours = body(**inputs)
    if data.side and n_components == 45:
        # Here the package takes the numbers for axis-angle; its own coefficients are then these.
        inputs["hand_pose"] = inputs["hand_pose"] @ torch.as_tensor(data.hand(data.side).components)
    theirs = model.theirs(inputs, **settings)
    assert_same(ours.vertices, theirs.vertices)
    assert_same(ours.joints, theirs.joints[:, : data.n_joints])


def test_points_of_the_surface(model: Model) -> None:
    """The extra points, the face's landmarks, and its contour for the rows that the package picks."""
    data = model.data
    body = Body(data, definitions=SMPLX_DEFINITIONS)
    inputs = random_inputs(body)
    settings = {"use_pca": False, "flat_hand_mean": True} if data.skeleton.hand_sides else {}
    if data.skeleton.face_joint:
        settings["use_face_contour"] = True
    theirs = model.theirs(inputs, **settings).joints[:, data.n_joints :]
    ours = body(**inputs)
    if not data.side:  # of a hand, the package gives no tips
        n_extra = len(data.extra_point_names)
        assert_same(ours.vertices[:, data.extra_point_vertices], theirs[:, :n_extra])
        theirs = theirs[:, n_extra:]
    if data.skeleton.face_joint is None:
        return
    # The package turns the face's contour with SMPL-X's neck, but with FLAME's root.
    turning = "root" if model.kind.model_type == "flame" else "neck"
    neck = ours.joint_rotations[:, data.skeleton.joint_index(turning)]
    degrees = torch.rad2deg(torch.atan2(neck[:, 2, 0], neck[:, :2, 0].norm(dim=1))).clamp(max=39).round().long()
    rows = torch.where(degrees >= 0, degrees, torch.where(degrees < -39, 78, 39 - degrees))
    seen = BodyOutput(ours.joints, ours.vertices[:, body.regressor.vertices], ours.joint_rotations)
    assert_same(body.regressor(seen, rows)[:, -68:], theirs)


def test_keypoints_of_each_model(model: Model) -> None:
    names = set(Body(model.data).keypoint_names)
    canonical = {
        "body": CANONICAL_KEYPOINT_NAMES[:25],
        "left": CANONICAL_KEYPOINT_NAMES[25:46],
        "right": CANONICAL_KEYPOINT_NAMES[46:67],
        "face": CANONICAL_KEYPOINT_NAMES[67:],
    }
    parts = {
        "smplx": ("body", "left", "right", "face"),
        "smplh": ("body", "left", "right"),
        "smpl": ("body",),
        "mano": (model.kind.side,),
        "flame": ("face",),
    }[model.kind.model_type]
    assert names == {name for part in parts for name in canonical[part]}
    lacking = next((k for k, name in enumerate(CANONICAL_KEYPOINT_NAMES) if name not in names), None)
    if lacking is not None:
        with pytest.raises(ValueError, match=f"does not have the keypoints {CANONICAL_KEYPOINT_NAMES[lacking]}"):
            KeypointRegressor(model.data, [lacking])


#: Joints and extra points (numbered after the joints) of OpenPose's body and hands.
BODY_25 = {
    "smplh": [52, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, *range(53, 63)],
    "smpl": [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, *range(25, 35)],
}
SMPLH_HANDS = [
    *(20, 34, 35, 36, 63, 22, 23, 24, 64, 25, 26, 27, 65, 31, 32, 33, 66, 28, 29, 30, 67),
    *(21, 49, 50, 51, 68, 37, 38, 39, 69, 40, 41, 42, 70, 46, 47, 48, 71, 43, 44, 45, 72),
]
MANO_HAND = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
MAPS = {"smplh": BODY_25["smplh"] + SMPLH_HANDS, "smpl": BODY_25["smpl"], "mano": MANO_HAND}


def test_keypoints_are_those_of_the_published_maps(model: Model) -> None:
    if model.kind.model_type not in MAPS:
        pytest.skip("in test_keypoint_regressor (SMPL-X) and above (FLAME has landmarks alone)")
    body = Body(model.data, definitions=SMPLX_DEFINITIONS)
    ours = body(**random_inputs(body))
    points = torch.cat([ours.joints, ours.vertices[:, model.data.extra_point_vertices]], 1)
    torch.testing.assert_close(ours.keypoints, points[:, MAPS[model.kind.model_type]])
