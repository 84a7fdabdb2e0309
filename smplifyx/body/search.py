"""Finds body-model files: the user's licensed ones first, the open body that ships with the package last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smplifyx.body.data import GENDERS
from smplifyx.errors import InputError, UsageError
from smplifyx.skeleton import MODEL_TYPES, SIDES

MODELS_VARIABLE = "SMPLIFYX_MODELS"
OPEN_BODY_DIR = Path(__file__).resolve().parent.parent / "data" / "open_body"

_SHORT_GENDERS = {"neutral": "neutral", "male": "m", "female": "f"}
#: Folders inside a searched one, as the licensed archives unpack; ``{type}`` is the model, ``{gender}`` spelled out.
_SUBFOLDERS: dict[str, tuple[str, ...]] = {
    "smplx": ("models_smplx_v1_1/models/smplx", "models_smplx_v1_0/models/smplx"),
    "smplh": ("mano_v1_2/models",),
    "smpl": ("SMPL_python_v.1.1.0/smpl/models", "SMPL_python_v.1.0.0/smpl/models", "smpl/models"),
    "mano": ("mano_v1_2/models",),
    "flame": ("FLAME2023", "FLAME2020"),
}
#: File names besides ``SMPLX_NEUTRAL.npz`` and ``.pkl``, in lower case; ``{m}`` is the gender's short form.
_HISTORIC_NAMES: dict[str, tuple[str, ...]] = {
    "smpl": (
        "basicmodel_{m}_lbs_10_207_0_v1.1.0.pkl",
        "basicmodel_{m}_lbs_10_207_0_v1.0.0.pkl",
        "basicmodel_{m}_lbs_10_207_0_v1.0.0.npz",
    ),
}


@dataclass(frozen=True)
class FoundModel:
    """A body-model file that was found.

    Attributes:
        path: the file.
        model_type: one of :data:`~smplifyx.skeleton.MODEL_TYPES`, from its name.
        gender: ``neutral``, ``male`` or ``female``, from its name.
        side: ``left`` or ``right`` for MANO, otherwise None.
    """

    path: Path
    model_type: str
    gender: str
    side: str | None = None

    @property
    def is_open_body(self) -> bool:
        """Whether this file is the one that ships with the package."""
        return self.path.parent == OPEN_BODY_DIR


def user_cache_dir() -> Path:
    """Where this platform keeps data of programs for one user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "smplifyx" / "models"


def search_dirs(models_dir: str | Path | None = None) -> list[Path]:
    """Folders that are searched, in order: a given one alone, or all the places where models may lie."""
    if models_dir is not None:
        return [Path(models_dir)]
    named = [Path(folder) for folder in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if folder]
    try:
        cached = [user_cache_dir()]
    except RuntimeError:  # a user without a home folder, as in some containers
        cached = []
    return [*named, Path("models"), *cached, OPEN_BODY_DIR]


@dataclass(frozen=True)
class _Wanted:
    """One kind of body."""

    model_type: str
    gender: str
    side: str | None

    @property
    def words(self) -> str:
        return f"{self.side} {self.model_type}" if self.side else f"{self.gender} {self.model_type}"

    def file_names(self) -> tuple[str, ...]:
        """Names in lower case, the most wanted first."""
        stem = f"{self.model_type}_{self.side or self.gender}"
        historic = _HISTORIC_NAMES.get(self.model_type, ())
        return (f"{stem}.npz", f"{stem}.pkl", *(name.format(m=_SHORT_GENDERS[self.gender]) for name in historic))

    def paths_in(self, folder: Path) -> Iterator[Path]:
        """Where the file can be inside a searched folder, letters of either case."""
        subfolders = (self.model_type, "", *_SUBFOLDERS[self.model_type])
        for subfolder in subfolders:
            yield from _existing(folder / subfolder, self.file_names())
        if self.model_type == "smplh":
            for subfolder in (f"smplh/{self.gender}", self.gender):
                yield from _existing(folder / subfolder, ("model.npz",))
        if self.model_type == "flame":
            names = (
                ("flame2023.pkl", "generic_model.pkl") if self.gender == "neutral" else (f"{self.gender}_model.pkl",)
            )
            for subfolder in ("flame", *_SUBFOLDERS["flame"]):
                yield from _existing(folder / subfolder, names)


def _existing(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Files of these names, in the order of the names; a folder that may not be entered counts as empty."""
    try:
        files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError:
        return
    for name in names:
        if name in files:
            yield files[name]


def _wanted(model_type: str, gender: str, side: str | None) -> _Wanted:
    for what, value, known in (("body model", model_type, MODEL_TYPES), ("gender", gender, GENDERS)):
        if value not in known:
            raise UsageError(f"unknown {what} {value!r}; expected one of {', '.join(known)}")
    expected = SIDES if model_type == "mano" else (None,)
    if side not in expected:
        raise UsageError(f"side {side!r} does not go with {model_type}; expected {' or '.join(map(str, expected))}")
    return _Wanted(model_type, gender, side)


def find_body_model(
    model_type: str, gender: str, models_dir: str | Path | None = None, *, side: str | None = None
) -> Path:
    """Find a body-model file, named for example ``DIR/smplx/SMPLX_NEUTRAL.npz`` or ``DIR/SMPLX_NEUTRAL.pkl``.

    The names and folders of the licensed archives are known too. Licensed files come before the open bodies, whose
    folder is the last.

    Args:
        model_type: one of :data:`~smplifyx.skeleton.MODEL_TYPES`.
        gender: ``neutral``, ``male`` or ``female``; MANO has but one, whatever is asked for.
        models_dir: the only folder to search. Otherwise those of :func:`search_dirs`, which end with the package.
        side: ``left`` or ``right`` for MANO.

    Raises:
        UsageError: an unknown model type, gender or side.
        InputError: no such file; the message lists where it was looked for.
    """
    wanted = _wanted(model_type, gender, side)
    folders = search_dirs(models_dir)
    for folder in folders:
        for path in wanted.paths_in(folder):
            return path
    name = wanted.file_names()[0].removesuffix(".npz").upper() + ".npz"
    tried = [folder / subfolder / name for folder in folders for subfolder in (model_type, "")]
    where = Path(models_dir) if models_dir is not None else tried[0]
    paths = ", ".join(map(str, tried))
    raise InputError(where, f"no {wanted.words} body model here; tried {paths}, .pkl files and the names in archives")


def list_body_models(models_dir: str | Path | None = None) -> list[FoundModel]:
    """All body-model files in the folders searched; of each kind, in the order in which they would be taken."""
    kinds = [
        *(
            _Wanted(model_type, gender, None)
            for model_type in MODEL_TYPES
            if model_type != "mano"
            for gender in GENDERS
        ),
        *(_Wanted("mano", "neutral", side) for side in SIDES),
    ]
    found: dict[Path, FoundModel] = {}
    for wanted in kinds:
        for folder in search_dirs(models_dir):
            for path in wanted.paths_in(folder):
                model = FoundModel(path, wanted.model_type, wanted.gender, wanted.side)
                found.setdefault(path.resolve(), model)
    return list(found.values())
