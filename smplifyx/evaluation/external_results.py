"""Results of any program: meshes, SMPLify-X's pickles, our own results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.body.pickles import load_pickle
from smplifyx.camera import TURN_ABOUT_X
from smplifyx.errors import InputError
from smplifyx.evaluation.ehf_layout import read_mesh
from smplifyx.evaluation.error_sources import fitted_rotations
from smplifyx.output.layout import OutputLayout
from smplifyx.priors.vposer import VPoser
from smplifyx.result import load_result
from smplifyx.rotations import axis_angle_to_matrix

FloatArray = NDArray[np.float64]

MESH_ENDINGS, PARAMETER_ENDINGS = (".obj", ".ply"), (".npz", ".pkl")
_VPOSER_NUMBERS, _BODY_NUMBERS, _HAND_NUMBERS = 32, 63, 45
#: Parts of a name that may follow the frame's own.
_NAME_TAIL = re.compile(r"(_img|_align|_mesh|_smplx|_person)?(_0+)?")
#: Files in a frame's folder that are not its first person.
_OTHER_PERSON = re.compile(r"0*[1-9]\d*")


@dataclass(frozen=True)
class ResultReader:
    """Turn parameters into surfaces.

    Attributes:
        model: the body model of a gender.
        gender: of pickles, which do not name it.
        vposer: decodes body poses that are VPoser codes.
        mesh_axes: ``smplifyx`` where meshes are turned by 180 degrees about x, as SMPLify-X and this program write
            them, ``camera`` where they are in the camera's axes.
    """

    model: Callable[[str], BodyModelData]
    gender: str
    vposer: Callable[[], VPoser]
    mesh_axes: str = "smplifyx"

    def vertices(self, path: Path) -> FloatArray:
        """[V, 3] metres in the camera's axes (OpenCV), with the camera translation where the file has one.

        Raises:
            InputError: the file is damaged or holds something else.
        """
        ending = path.suffix.lower()
        if ending in MESH_ENDINGS:
            return read_mesh(path) * (TURN_ABOUT_X if self.mesh_axes == "smplifyx" else 1.0)
        if ending == ".npz":
            result = load_result(path)
            data, rotations = self.model(result.gender), fitted_rotations(result)
            return _surface(data, result.betas, result.expression, rotations, result.camera_translation)
        return self._of_pickle(path)

    def _of_pickle(self, path: Path) -> FloatArray:
        content = load_pickle(path)
        if not isinstance(content, dict):
            raise InputError(path, "expected a dict of SMPLify-X's parameters")
        data = self.model(str(content.get("gender", self.gender)))
        pose = np.concatenate(
            [
                _numbers(path, content, "global_orient", (3,)),
                self._body_pose(path, content),
                *(_numbers(path, content, name, (3,)) for name in ("jaw_pose", "leye_pose", "reye_pose")),
                _hand(_numbers(path, content, "left_hand_pose"), data.left_hand_mean, data.left_hand_components),
                _hand(_numbers(path, content, "right_hand_pose"), data.right_hand_mean, data.right_hand_components),
            ]
        )
        rotations = axis_angle_to_matrix(torch.as_tensor(pose).reshape(-1, 3)).numpy()
        betas, expression = (_numbers(path, content, name) for name in ("betas", "expression"))
        translation = _numbers(path, content, "camera_translation", (3,))
        return _surface(data, betas, expression, np.float64(rotations), translation)

    def _body_pose(self, path: Path, content: Mapping[str, Any]) -> FloatArray:
        pose = _numbers(path, content, "body_pose")
        if pose.shape == (_VPOSER_NUMBERS,):
            with torch.no_grad():
                decoded = self.vposer().decode(torch.as_tensor(pose, dtype=torch.float32)[None])
            return _axis_angle(np.float64(decoded.rotations[0].numpy()))
        if pose.shape != (_BODY_NUMBERS,):
            problem = f"expected {_BODY_NUMBERS} or, as a VPoser code, {_VPOSER_NUMBERS} numbers, found {pose.shape}"
            raise InputError(path, problem, "body_pose")
        return pose


def find_results(folder: Path, names: Iterable[str], truths: Iterable[Path] = ()) -> dict[str, Path]:
    """The file of each frame that has one; parameters go before meshes, which may have lost digits.

    The frame's name is the file's, or that of the folder it lies in, with an ending such as ``_img`` or ``_000``.

    Args:
        folder: searched to any depth; also an output folder with packed results.
        names: of the frames.
        truths: files that are no results, although they may lie in the same folder.
    """
    found: dict[str, Path] = {}
    wanted = sorted(names, key=len, reverse=True)
    known = {path.resolve() for path in truths}
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PARAMETER_ENDINGS + MESH_ENDINGS]
    files = [path for path in files if path.resolve() not in known]
    files += [path for *_, path in OutputLayout(folder).results() if path not in files]  # packed ones
    for path in sorted(files, key=lambda path: path.suffix.lower() in MESH_ENDINGS):
        labels = (path.stem,) if _OTHER_PERSON.fullmatch(path.stem) else (path.stem, path.parent.name)
        for label in labels:
            name = next((name for name in wanted if _belongs(label, name)), None)
            if name is not None:
                found.setdefault(name, path)
                break
    return found


def _belongs(label: str, name: str) -> bool:
    return label.startswith(name) and _NAME_TAIL.fullmatch(label[len(name) :]) is not None


def _numbers(path: Path, content: Mapping[str, Any], name: str, shape: tuple[int, ...] | None = None) -> FloatArray:
    """One entry without its leading axis of length 1."""
    try:
        array = np.asarray(content[name], dtype=np.float64).reshape(-1)
    except KeyError:
        raise InputError(path, "is missing; SMPLify-X's pickles hold it", name) from None
    except (TypeError, ValueError):
        raise InputError(path, "expected numbers", name) from None
    if not np.isfinite(array).all() or (shape is not None and array.shape != shape):
        raise InputError(path, f"expected {'finite' if shape is None else shape[0]} numbers", name)
    return array


def _hand(pose: FloatArray, mean: NDArray[Any] | None, components: NDArray[Any] | None) -> FloatArray:
    """[45] axis-angle from as much, or from fewer coefficients of the hand pose space."""
    if len(pose) == _HAND_NUMBERS or mean is None or components is None:
        return pose
    return np.asarray(mean + pose @ components[: len(pose)], dtype=np.float64)


def _axis_angle(rotations: FloatArray) -> FloatArray:
    return np.asarray(Rotation.from_matrix(rotations).as_rotvec().reshape(-1))


@torch.no_grad()
def _surface(
    data: BodyModelData, betas: FloatArray, expression: FloatArray, rotations: FloatArray, translation: FloatArray
) -> FloatArray:
    """Vertices [V, 3] of a body; coefficients that the model lacks are left out."""

    def padded(values: FloatArray, length: int) -> torch.Tensor:
        row = np.zeros(length)
        row[: min(length, len(values))] = values[:length]
        return torch.as_tensor(row)[None]

    output = BodyModel.from_data(data, torch.float64)(
        padded(betas, data.shapedirs.shape[2]),
        padded(expression, data.expression_dirs.shape[2]),
        torch.as_tensor(rotations).reshape(1, skeleton.N_JOINTS, 3, 3),
    )
    return np.float64(output.vertices[0].numpy()) + translation
