"""Find body-model files: licensed files of the user first, shipped open bodies last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smplifyx.errors import InputError, UsageError
from smplifyx.skeleton import GENDERS, MODEL_TYPES, SIDES

MODELS_VARIABLE = "SMPLIFYX_MODELS"
OPEN_BODY_DIR = Path(__file__).resolve().parent.parent / "data" / "open_body"

_SHORT_GENDERS = {"neutral": "neutral", "male": "m", "female": "f"}
#: Subfolders of a searched folder, as the licensed archives unpack.
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
        """True for a file that ships with the package."""
        return self.path.parent == OPEN_BODY_DIR


def user_cache_dir() -> Path:
    """Return the folder for models in this user's cache."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "smplifyx" / "models"


def search_dirs(models_dir: str | Path | None = None) -> list[Path]:
    """Return the folders to search, in order: only the given folder, or all default places."""
    if models_dir is not None:
        given = Path(models_dir)
        return [given.parent if os.path.isfile(given) else given]
    named = [Path(folder) for folder in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if folder]
    try:
        cached = [user_cache_dir()]
    except RuntimeError:  # no home folder, as in some containers
        cached = []
    return [*named, Path("models"), *cached, OPEN_BODY_DIR]


@dataclass(frozen=True)
class _Kind:
    """A model type with gender or side."""

    model_type: str
    gender: str
    side: str | None

    @property
    def words(self) -> str:
        return f"{self.side} {self.model_type}" if self.side else f"{self.gender} {self.model_type}"

    def file_names(self) -> tuple[str, ...]:
        """File names in lower case, in order of preference."""
        stem = f"{self.model_type}_{self.side or self.gender}"
        historic = _HISTORIC_NAMES.get(self.model_type, ())
        return (f"{stem}.npz", f"{stem}.pkl", *(name.format(m=_SHORT_GENDERS[self.gender]) for name in historic))

    def paths_in(self, folder: Path) -> Iterator[Path]:
        """Yield the files of this kind in a searched folder, ignoring case."""
        # The folder may also be an unpacked archive itself.
        archives = _SUBFOLDERS[self.model_type]
        inner = [subfolder.partition("/")[2] for subfolder in archives]
        subfolders = dict.fromkeys((self.model_type, "", *archives, *inner))
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
    """Yield files with these names, in the order of the names; an unreadable folder counts as empty."""
    try:
        files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError:
        return
    for name in names:
        if name in files:
            yield files[name]


def _kind(model_type: str, gender: str, side: str | None) -> _Kind:
    for what, value, known in (("body model", model_type, MODEL_TYPES), ("gender", gender, GENDERS)):
        if value not in known:
            raise UsageError(f"unknown {what} {value!r}; expected one of {', '.join(known)}")
    expected = SIDES if model_type == "mano" else (None,)
    if side not in expected:
        raise UsageError(f"side {side!r} is not valid for {model_type}; expected {' or '.join(map(str, expected))}")
    return _Kind(model_type, gender, side)


def find_body_model(
    model_type: str, gender: str, models_dir: str | Path | None = None, *, side: str | None = None
) -> Path:
    """Find a body-model file, named for example ``DIR/smplx/SMPLX_NEUTRAL.npz`` or ``DIR/SMPLX_NEUTRAL.pkl``.

    Names and folders of the licensed archives are also known. Licensed files take precedence over the open bodies.

    Args:
        model_type: one of :data:`~smplifyx.skeleton.MODEL_TYPES`.
        gender: ``neutral``, ``male`` or ``female``; ignored for MANO.
        models_dir: the only folder to search, or a file in it; by default all of :func:`search_dirs`.
        side: ``left`` or ``right`` for MANO.

    Raises:
        UsageError: an unknown model type, gender or side.
        InputError: no such file; the message lists the paths tried.
    """
    wanted = _kind(model_type, gender, side)
    folders = search_dirs(models_dir)
    found = _first(wanted, folders)
    if found is not None:
        return found
    name = wanted.file_names()[0].removesuffix(".npz").upper() + ".npz"
    tried = [folder / subfolder / name for folder in folders for subfolder in (model_type, "")]
    where = Path(models_dir) if models_dir is not None else tried[0]
    paths = ", ".join(map(str, tried))
    problem = f"no {wanted.words} body model here; tried {paths}, .pkl files and the names in archives"
    others = [
        one for one in GENDERS if side is None and one != gender and _first(_Kind(model_type, one, None), folders)
    ]
    if others:
        problem += f"; there is a {others[0]} one"
    raise InputError(where, problem)


def _first(wanted: _Kind, folders: Sequence[Path]) -> Path | None:
    return next((path for folder in folders for path in wanted.paths_in(folder)), None)


def list_body_models(models_dir: str | Path | None = None) -> list[FoundModel]:
    """List all body-model files in the searched folders; of each kind, the first is the one used."""
    kinds = [
        *(
            _Kind(model_type, gender, None)
            for model_type in MODEL_TYPES
            if model_type != "mano"
            for gender in GENDERS
        ),
        *(_Kind("mano", "neutral", side) for side in SIDES),
    ]
    found: dict[Path, FoundModel] = {}
    for wanted in kinds:
        for folder in search_dirs(models_dir):
            for path in wanted.paths_in(folder):
                model = FoundModel(path, wanted.model_type, wanted.gender, wanted.side)
                found.setdefault(path.resolve(), model)
    return list(found.values())
