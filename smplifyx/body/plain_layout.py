"""Read the plain, dense layout of body-model files that the licensed models share.

Only the keys named here are read from an ``.npz``, so pickled objects in licensed files are never unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.arrays import ArrayReader, Shape, identity_of, open_arrays
from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.errors import InputError
from smplifyx.skeleton import N_CONTOUR_LANDMARKS, N_CONTOUR_ROWS, N_FACE_LANDMARKS, Skeleton

Values = dict[str, Any]

#: FLAME's landmarks and contour, in files beside the model's.
STATIC_EMBEDDING = "flame_static_embedding.pkl"
DYNAMIC_EMBEDDING = "flame_dynamic_embedding.npy"
#: Columns of ``shapedirs`` that describe the person's shape; the expressions follow.
_SHAPE_COLUMNS_V1_1 = 300
_SHAPE_COLUMNS_V1_0 = 10
_HAND_NUMBERS = 45
_HAND_SHAPES: tuple[Shape, Shape] = ((_HAND_NUMBERS, _HAND_NUMBERS), (_HAND_NUMBERS,))
_LANDMARK_SHAPES: tuple[Shape, Shape] = ((N_FACE_LANDMARKS,), (N_FACE_LANDMARKS, 3))
_CONTOUR_SHAPES: tuple[Shape, Shape] = (
    (N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS),
    (N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS, 3),
)
#: Largest accepted deviation of a vertex's summed skinning weights from 1.
_WEIGHT_TOLERANCE = 1e-2
#: Only files of open bodies have this key.
LICENSE_KEY = "license"


@dataclass(frozen=True)
class Components:
    """Number of leading shape and expression components to keep; None for all."""

    n_betas: int | None
    n_expressions: int | None

    def split(self, file: ArrayReader, shapedirs: FloatArray, skeleton: Skeleton) -> tuple[FloatArray, FloatArray]:
        """Split ``shapedirs`` [V, 3, S + E] into shape and expression; S differs between versions 1.0 and 1.1."""
        total = shapedirs.shape[2]
        n_shape = n_shape_columns(file, skeleton, total)
        n_betas = n_shape if self.n_betas is None else self.n_betas
        n_expressions = total - n_shape if self.n_expressions is None else self.n_expressions
        if skeleton.face_joint is None:
            n_expressions = 0
        if n_betas > n_shape or n_shape + n_expressions > total:
            raise file.error(
                "shapedirs", f"found {total} columns, too few for {n_betas} shape and {n_expressions} expression ones"
            )
        expressions = shapedirs[..., n_shape : n_shape + n_expressions]
        return shapedirs[..., :n_betas].astype(np.float32), expressions.astype(np.float32)


def n_shape_columns(file: ArrayReader, skeleton: Skeleton, total: int) -> int:
    """Return the number of shape components among the ``total`` columns of ``shapedirs``."""
    if skeleton.face_joint is None:
        return total
    if "n_shape_components" in file:
        return int(file.array("n_shape_components", ()))
    return _SHAPE_COLUMNS_V1_1 if total > _SHAPE_COLUMNS_V1_1 else min(total, _SHAPE_COLUMNS_V1_0)


@dataclass(frozen=True)
class _Task:
    """An open file, and the sizes that its arrays must agree on."""

    file: ArrayReader
    skeleton: Skeleton
    components: Components
    n_vertices: int
    n_faces: int

    def floats(self, key: str, shape: Shape) -> FloatArray:
        return self.file.array(key, shape).astype(np.float32)


def read_plain(file: ArrayReader, gender: str | None, components: Components) -> BodyModelData:
    """Read a model of any of the five types in the licensed layout.

    Args:
        file: the open file.
        gender: of the body; by default from the file, its name or its folder.
        components: number of components to keep.

    Raises:
        InputError: an array is missing, damaged, or has an unexpected shape.
    """
    identity = identity_of(file)
    n_vertices = len(file.array("v_template", (None, 3)))
    n_faces = len(file.array("f", (None, 3)))
    task = _Task(file, identity.skeleton, components, n_vertices, n_faces)
    values = {field: value for part in _PARTS for field, value in part(task).items()}
    return BodyModelData(
        model_type=identity.skeleton.model_type,
        side=identity.skeleton.side,
        gender=gender or identity.gender,
        name=identity.name,
        extra_point_names=identity.skeleton.extra_point_names,
        **values,
    )


def problems_of_plain(file: ArrayReader) -> list[InputError]:
    """List everything that is missing or damaged in a file of the licensed layout."""
    try:
        skeleton = identity_of(file).skeleton
    except InputError as error:
        return [error]
    n_vertices, n_faces = skeleton.n_licensed_vertices, np.iinfo(np.int64).max
    problems = []
    with suppress(InputError):  # reported below
        n_vertices = len(file.array("v_template", (None, 3)))
        n_faces = len(file.array("f", (None, 3)))
    task = _Task(file, skeleton, Components(None, None), n_vertices, n_faces)
    for part in _PARTS:
        try:
            part(task)
        except InputError as error:
            problems.append(error)
    return problems


def _template(task: _Task) -> Values:
    return {"v_template": task.floats("v_template", (task.n_vertices, 3))}


def _faces(task: _Task) -> Values:
    return {"faces": _indices(task.file, "f", (None, 3), task.n_vertices)}


def _shape_components(task: _Task) -> Values:
    directions = task.file.array("shapedirs", (task.n_vertices, 3, None))
    shape, expressions = task.components.split(task.file, directions, task.skeleton)
    return {"shapedirs": shape, "expression_dirs": expressions}


def _pose_shapes(task: _Task) -> Values:
    shape = (task.n_vertices, 3, 9 * (task.skeleton.n_joints - 1))
    return {"posedirs": task.floats("posedirs", shape), "pose_projection": None}


def _joint_regressor(task: _Task) -> Values:
    return {"joint_regressor": task.floats("J_regressor", (task.skeleton.n_joints, task.n_vertices))}


def _skinning_weights(task: _Task) -> Values:
    weights = task.floats("weights", (task.n_vertices, task.skeleton.n_joints))
    sums = weights.sum(1)
    worst = int(np.abs(sums - 1.0).argmax())
    if abs(sums[worst] - 1.0) > _WEIGHT_TOLERANCE:
        problem = f"the weights of vertex {worst} add up to {sums[worst]:.3f}; expected 1"
        raise InputError(task.file.path, problem, "weights")
    return {"skinning_weights": weights}


def _parents(task: _Task) -> Values:
    skeleton = task.skeleton
    parents = task.file.array("kintree_table", (2, skeleton.n_joints))[0].astype(np.int64)
    # The root's parent is stored as the largest unsigned 32-bit number.
    parents[0] = -1
    for joint, (found, known) in enumerate(zip(parents.tolist(), skeleton.parents, strict=True)):
        if found != known:
            name = skeleton.joint_names[joint]
            raise task.file.error("kintree_table", f"joint {joint} ({name}) has parent {found}; expected {known}")
    return {"parents": parents}


def _extra_points(task: _Task) -> Values:
    names, known = task.skeleton.extra_point_names, task.skeleton.n_licensed_vertices
    if "extra_point_vertices" in task.file:
        points = _indices(task.file, "extra_point_vertices", (len(names),), task.n_vertices)
    elif names and task.n_vertices != known:
        raise task.file.error(
            "extra_point_vertices",
            f"the key is missing, and a mesh of {task.n_vertices} vertices has no known points ({known} has)",
        )
    else:
        points = np.asarray(task.skeleton.licensed_extra_points, dtype=np.int64)
    return {"extra_point_vertices": points}


def _parts_and_contacts(task: _Task) -> Values:
    """Extra keys of exported files, for collisions."""
    shapes: dict[str, tuple[Shape, int]] = {
        "part_labels": ((task.n_faces,), task.skeleton.n_joints),
        "rest_contact_pairs": ((None, 2), task.n_faces),
    }
    return {
        key: _indices(task.file, key, shape, limit) if key in task.file else None
        for key, (shape, limit) in shapes.items()
    }


def _left_hand(task: _Task) -> Values:
    return _hand(task, "left")


def _right_hand(task: _Task) -> Values:
    return _hand(task, "right")


def _hand(task: _Task, side: str) -> Values:
    fields = f"{side}_hand_components", f"{side}_hand_mean"
    if side not in task.skeleton.hand_sides:
        return dict.fromkeys(fields)
    where = _hand_location(task.file, task.skeleton, side)
    arrays = [where.file.array(key, shape) for key, shape in zip(where.keys, _HAND_SHAPES, strict=True)]
    return dict(zip(fields, (array.astype(np.float32) for array in arrays), strict=True))


def _landmarks(task: _Task) -> Values:
    where = None if task.skeleton.face_joint is None else _landmark_location(task.file, task.skeleton)
    return _surface_points(task, "landmark", where, _LANDMARK_SHAPES)


def _contour(task: _Task) -> Values:
    where = None if task.skeleton.face_joint is None else _contour_location(task.file, task.skeleton)
    return _surface_points(task, "contour", where, _CONTOUR_SHAPES)


def _surface_points(task: _Task, name: str, where: _Location | None, shapes: tuple[Shape, Shape]) -> Values:
    fields = f"{name}_faces", f"{name}_barycentric"
    if where is None:
        return dict.fromkeys(fields)
    faces = _indices(where.file, where.keys[0], shapes[0], task.n_faces)
    return {fields[0]: faces, fields[1]: where.file.array(where.keys[1], shapes[1]).astype(np.float32)}


_PARTS: tuple[Callable[[_Task], Values], ...] = (
    _template, _faces, _shape_components, _pose_shapes, _joint_regressor, _skinning_weights, _parents, _extra_points,
    _left_hand, _right_hand, _landmarks, _contour, _parts_and_contacts,
)  # fmt: skip


def _indices(file: ArrayReader, key: str, shape: Shape, limit: int) -> IntArray:
    numbers = file.array(key, shape).astype(np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= limit):
        raise file.error(key, f"found numbers from {numbers.min()} to {numbers.max()}, expected 0 to {limit - 1}")
    return numbers


@dataclass(frozen=True)
class _Location:
    """Location of a pair of arrays: an open file and their keys in it.

    Attributes:
        file: the file.
        keys: components and mean of hand poses, or triangles and barycentric coordinates of landmarks.
    """

    file: ArrayReader
    keys: tuple[str, str]


def _hand_location(file: ArrayReader, skeleton: Skeleton, side: str) -> _Location:
    """Locate the hand poses of one side: in the file, or for SMPL-H in the MANO file beside it.

    Raises:
        InputError: they are missing.
    """
    if skeleton.side is not None:
        return _Location(file, ("hands_components", "hands_mean"))
    own = _Location(file, (f"hands_components{side[0]}", f"hands_mean{side[0]}"))
    if own.keys[0] in file or skeleton.model_type != "smplh":
        return own
    for path in _mano_paths(file.path, side):
        if path.is_file():
            return _Location(open_arrays(path), ("hands_components", "hands_mean"))
    raise file.error(
        own.keys[0], f"the key is missing; expected shape (45, 45), or a file MANO_{side.upper()}.pkl beside this one"
    )


def _mano_paths(path: Path, side: str) -> Iterator[Path]:
    """Yield paths in the same folder and in a folder ``mano`` beside the model's or the gender's folder."""
    for folder in (path.parent, path.parent.parent / "mano", path.parent.parent.parent / "mano"):
        for suffix in (".pkl", ".npz"):
            yield folder / f"MANO_{side.upper()}{suffix}"


def _landmark_location(file: ArrayReader, skeleton: Skeleton) -> _Location:
    """Locate the 51 face landmarks: in the file, or for FLAME in the file beside it.

    Raises:
        InputError: FLAME's landmark file is missing.
    """
    own = _Location(file, ("lmk_faces_idx", "lmk_bary_coords"))
    if own.keys[0] in file or skeleton.model_type != "flame":
        return own
    path = file.path.parent / STATIC_EMBEDDING
    if not path.is_file():
        raise InputError(path, f"the file does not exist; {file.path.name} needs it for its landmarks")
    return _Location(open_arrays(path), ("lmk_face_idx", "lmk_b_coords"))


def _contour_location(file: ArrayReader, skeleton: Skeleton) -> _Location | None:
    """Locate the face contour: in the file, or for FLAME in the file beside it; None if FLAME has no such file."""
    own = _Location(file, ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"))
    if own.keys[0] in file or skeleton.model_type != "flame":
        return own
    path = file.path.parent / DYNAMIC_EMBEDDING
    return _Location(open_arrays(path), ("lmk_face_idx", "lmk_b_coords")) if path.is_file() else None
