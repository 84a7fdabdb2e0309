"""The result of a fit, and the one table of its fields.

:data:`RESULT_FIELDS` is read off :class:`FitResult`. The .npz of a result, the columns of ``summary.csv`` and the
table in ``docs/results.md`` are made from it.
"""

from __future__ import annotations

import dataclasses
import functools
import io
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smplifyx.camera import TURN_ABOUT_X, Camera
from smplifyx.errors import InputError, reason
from smplifyx.files import write_bytes
from smplifyx.packs import read_bytes
from smplifyx.result_fields import (
    NAMES_OF_FIGURES,
    ResultField,
    Shape,
    absent,
    array_field,
    loaded_value,
    number_field,
    read_entries,
    result_field,
    stored_entries,
    stored_text,
    text_field,
)
from smplifyx.result_figures import FitFigures
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, GENDERS, Skeleton, skeleton_of

if TYPE_CHECKING:
    import trimesh
    from torch import Tensor

    from smplifyx.body.body import Body
    from smplifyx.body.data import BodyModelData


_N_COEFFICIENTS, N_HAND_COEFFICIENTS = 10, 12


@dataclass(kw_only=True)
class FitResult(FitFigures):
    """One fitted person, hand or head. Metres, radians, pixels; arrays are float32 unless said otherwise.

    Poses and coefficients that a model does not have are empty `[0]`. All fields: :data:`RESULT_FIELDS`.
    """

    model_type: str = text_field("``smplx``, ``smplh``, ``smpl``, ``mano`` or ``flame``", default=MISSING)
    model_name: str = text_field("name of the body model", default=MISSING)
    betas: np.ndarray = array_field("shape coefficients", _N_COEFFICIENTS)
    expression: np.ndarray = array_field("expression coefficients", _N_COEFFICIENTS, default=absent)
    global_orient: np.ndarray = array_field(
        "axis-angle, turns the body into the camera frame about its root joint", 3
    )
    body_pose: np.ndarray = array_field("axis-angle of 21 joints (SMPL: 23, 69 numbers)", 63, default=absent)
    jaw_pose: np.ndarray = array_field("axis-angle", 3, default=absent)
    leye_pose: np.ndarray = array_field("axis-angle", 3, default=absent)
    reye_pose: np.ndarray = array_field("axis-angle", 3, default=absent)
    left_hand_pose: np.ndarray = array_field("axis-angle of 15 joints, hand mean included", 45, default=absent)
    right_hand_pose: np.ndarray = array_field("axis-angle of 15 joints, hand mean included", 45, default=absent)
    left_hand_pca: np.ndarray = array_field(
        "coefficients of the hand pose space", N_HAND_COEFFICIENTS, default=absent
    )
    right_hand_pca: np.ndarray = array_field(
        "coefficients of the hand pose space", N_HAND_COEFFICIENTS, default=absent
    )
    hand_pose: np.ndarray = array_field("MANO: axis-angle of 15 joints, hand mean included", 45, default=absent)
    hand_pca: np.ndarray = array_field(
        "MANO: coefficients of the hand pose space", N_HAND_COEFFICIENTS, default=absent
    )
    neck_pose: np.ndarray = array_field("FLAME: axis-angle", 3, default=absent)
    body_pose_embedding: np.ndarray | None = result_field(
        "float32", "VPoser code, with that prior", "E", default=None, required=False
    )
    camera_translation: np.ndarray = array_field("added to the model's points to reach the camera frame", 3)
    camera_rotation: np.ndarray = array_field("identity for a single view", 3, 3)
    world_rotation: np.ndarray | None = array_field(
        "with ``--cameras``: from the world to the camera frame", 3, 3, default=None, required=False
    )
    world_translation: np.ndarray | None = array_field(
        "added after this rotation, metres", 3, default=None, required=False
    )
    focal_length: np.ndarray = array_field("(fx, fy), pixels", 2)
    principal_point: np.ndarray = array_field("(cx, cy), pixels", 2)
    image_size: np.ndarray = result_field("int64", "(width, height), pixels", 2)
    joints: np.ndarray = array_field("in the camera frame, camera translation included, metres", "J", 3)
    keypoints_2d: np.ndarray = array_field(
        "observation (x, y, confidence); sides of arms or legs are swapped where a flag says so", 135, 3
    )
    projected_keypoints_2d: np.ndarray = array_field(
        "projected keypoints of the model, pixels; NaN where it has none", 135, 2
    )
    stage_losses: np.ndarray = array_field("value of the objective at the end of each stage", "S")
    losses: dict[str, float] = result_field(
        "figures",
        "value of each term of the objective at the end; their sum is the loss",
        default=dict,
        required=False,
    )
    stage_term_losses: dict[str, np.ndarray] = result_field(
        "figures",
        "value of each term at the end of each stage; 0 where a stage lacks it",
        "S",
        default=dict,
        required=False,
    )
    n_evaluations: int = result_field("int64", "evaluations of the objective, all stages together")
    converged: bool = result_field("bool", "whether the last stage met its convergence criterion")
    quality_features: dict[str, float] = result_field(
        "figures", "inputs of the error predictor", default=dict, required=False
    )
    converted_from: str = text_field(
        "model, name and gender of the body that the result was converted from", required=False
    )
    conversion_error_mm: float = number_field(
        "mean distance of the two surfaces after a conversion, millimetres", required=False
    )
    image_path: str = text_field("image file", required=False)
    keypoint_path: str = text_field("keypoint file", required=False)
    version: str = text_field("version of smplifyx that made the fit", required=False)
    settings_digest: str = text_field("hash of the settings that decide a fit; empty if unknown", required=False)
    input_digest: str = text_field(
        "hash of keypoints, camera and label of the person; empty if unknown", required=False
    )
    photo_digest: str = text_field("hash of the image file; empty if unknown", required=False)

    #: The body that was fitted, if it is known; otherwise :meth:`body` looks for it.
    _body: Body | None = field(default=None, repr=False, compare=False)

    @property
    def camera(self) -> Camera:
        """The camera of the image."""
        source = self.camera_source or "given"
        return Camera(self.focal_length, self.principal_point, source, self.image_size)

    @property
    def skeleton(self) -> Skeleton:
        """Joints and pose layout of the body model."""
        return skeleton_of(self.model_type, self.side if self.model_type == "mano" else None)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the rows of ``joints``."""
        return self.skeleton.joint_names

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """Names of the rows of ``keypoints_2d`` and ``projected_keypoints_2d``."""
        return CANONICAL_KEYPOINT_NAMES

    @property
    def full_pose(self) -> np.ndarray:
        """Axis-angle of all joints [J, 3], the root first."""
        return np.concatenate([getattr(self, name) for name in self.skeleton.pose_groups]).reshape(-1, 3)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Arguments of :meth:`body`, as a batch of one: ``betas`` [1, 10], ``global_orient`` [1, 3] and so on.

        ``transl`` is the camera translation and ``camera`` the origin, so that the body is posed in the camera frame.
        """
        import torch

        names = ("betas", "expression", *self.skeleton.pose_groups)
        arrays = {name: getattr(self, name) for name in names} | {"transl": self.camera_translation}
        tensors = {name: torch.tensor(array)[None] for name, array in arrays.items() if array.size}
        return {**tensors, "camera": torch.zeros(3)}

    def body_data(self, models_dir: str | Path | None = None) -> BodyModelData:
        """Find and load the body model of this result by its type, gender and name.

        Args:
            models_dir: the only folder to search; None for the usual places.

        Raises:
            InputError: there is no such model.
        """
        return self.body(models_dir).data

    def body(self, models_dir: str | Path | None = None) -> Body:
        """Return the body model of this result; ``result.body()(**result.parameters)`` poses it.

        The call is differentiable and gives vertices, joints and keypoints in the camera frame. The body is kept:
        later calls without a folder return the same one.

        Args:
            models_dir: the only folder to search; None for the usual places.

        Raises:
            InputError: there is no such model.
        """
        if self._body is None or models_dir is not None:
            self._body = self._find_body(models_dir)
        return self._body

    def _find_body(self, models_dir: str | Path | None) -> Body:
        from smplifyx.body.search import list_body_models

        names = []
        wanted = (self.model_type, self.gender, self.side if self.model_type == "mano" else None)
        for found in list_body_models(models_dir):
            if (found.model_type, found.gender, found.side) == wanted:
                changed = found.path.stat().st_mtime_ns
                body = _load_body(found.path, found.gender, len(self.betas), len(self.expression), changed)
                if body.data.name == self.model_name:
                    return body
                names.append(body.data.name)
        others = ", ".join(map(repr, names)) or "no model of this type and gender"
        raise InputError(None, f"expected the body model {self.model_name!r}, found {others}", "model_name")

    @property
    def vertices(self) -> np.ndarray:
        """Mesh vertices [V, 3] in the camera frame, camera translation included, metres."""
        import torch

        with torch.no_grad():
            return np.asarray(self.body()(**self.parameters).vertices[0].cpu().numpy())

    @property
    def faces(self) -> np.ndarray:
        """Triangles [F, 3] of the mesh."""
        return np.asarray(self.body_data().faces)

    def mesh(self) -> trimesh.Trimesh:
        """Return the mesh as `smplifyx fit` writes it: y up, z towards the viewer, without the camera translation."""
        import trimesh

        vertices = (self.vertices - self.camera_translation) * TURN_ABOUT_X
        return trimesh.Trimesh(vertices, self.faces, process=False)

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_bytes` to a file, all or nothing."""
        write_bytes(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The result as a compressed .npz of plain arrays and strings.

        It holds the fields of :data:`RESULT_FIELDS` that the model has, and the names of joints and keypoints. It
        loads with ``np.load(path, allow_pickle=False)``.
        """
        entries: dict[str, Any] = {}
        shapes = field_shapes(self.skeleton)
        for one in RESULT_FIELDS:
            value = getattr(self, one.name)
            if one.name in shapes and value is not None:
                entries |= stored_entries(one, value)
        entries["joint_names"] = np.array(self.joint_names, np.str_)
        entries["keypoint_names"] = np.array(self.keypoint_names, np.str_)
        stream = io.BytesIO()
        np.savez_compressed(stream, **entries)
        return stream.getvalue()


def _table() -> tuple[ResultField, ...]:
    return tuple(ResultField(one.name, **one.metadata) for one in dataclasses.fields(FitResult) if one.metadata)


#: All fields of a result, in their order in the .npz and in ``summary.csv``.
RESULT_FIELDS: tuple[ResultField, ...] = _table()


def field_shapes(skeleton: Skeleton) -> dict[str, Shape]:
    """Shapes of the fields that results of a model have, by name; ``S`` and other letters stand for any length."""
    groups = skeleton.pose_groups
    hands = ("hand_pca",) if skeleton.side else tuple(f"{side}_hand_pca" for side in skeleton.hand_sides)
    absent = {
        one.name for one in RESULT_FIELDS if one.name.endswith(("_pose", "_hand_pca")) or one.name == "hand_pca"
    }
    if skeleton.face_joint is None:
        absent.add("expression")
    absent -= {*groups, *hands}
    shapes: dict[str, Shape] = {}
    for one in RESULT_FIELDS:
        if one.name in groups:
            shapes[one.name] = (3 * (groups[one.name].stop - groups[one.name].start),)
        elif one.name not in absent:
            shapes[one.name] = tuple(skeleton.n_joints if length == "J" else length for length in one.shape)
    return shapes


def load_result(path: str | Path, data: bytes | None = None) -> FitResult:
    """Read a result that :meth:`FitResult.save` wrote.

    Args:
        path: the file. One that a run has packed is found by the name that it would have by itself
            (``OUTPUT/results/STEM/000.npz``), or by its place in the archive (``PACK.tar/STEM/000.npz``).
        data: the content of the file, if it is in memory.

    Raises:
        InputError: the file is damaged, incomplete or of another kind; the message names the field.
    """
    path = Path(path)
    names = {one.name for one in RESULT_FIELDS} | {*NAMES_OF_FIGURES.values()}
    stored = read_entries(path, _content(path) if data is None else data, names)
    model_type = stored_text(path, stored, "model_type")
    side = stored_text(path, stored, "side") if model_type == "mano" else None
    try:
        shapes = field_shapes(skeleton_of(model_type, side))
    except ValueError as error:
        raise InputError(path, str(error), "model_type") from error
    values: dict[str, Any] = {}
    for one in RESULT_FIELDS:
        if one.name not in shapes:
            continue
        if one.name not in stored:
            if one.required:
                raise InputError(path, "is missing; it belongs to every result", one.name)
            continue
        values[one.name] = loaded_value(path, stored, one, shapes[one.name])
    if values["gender"] not in GENDERS:
        raise InputError(path, f"expected one of {', '.join(GENDERS)}, found {values['gender']!r}", "gender")
    return FitResult(**values)


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(path, "does not exist; expected a result file (.npz)") from None
    except OSError as error:
        raise InputError(path, f"cannot be read: {reason(error)}") from error


@functools.lru_cache(maxsize=4)
def _load_body(path: Path, gender: str, n_betas: int, n_expressions: int, changed: int) -> Body:
    """Load a body model; results of the same model share it. ``changed`` distinguishes versions of the file."""
    from smplifyx.body.body import Body
    from smplifyx.body.files import load_body_model_data

    return Body(load_body_model_data(path, gender, n_betas=n_betas, n_expressions=n_expressions))
