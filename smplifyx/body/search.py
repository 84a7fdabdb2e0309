"""Finds body-model files: the user's licensed ones first, the open body that ships with the package last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smplifyx.body.model_data import GENDERS
from smplifyx.errors import InputError, UsageError

MODELS_VARIABLE = "SMPLIFYX_MODELS"
OPEN_BODY_DIR = Path(__file__).resolve().parent.parent / "data" / "open_body"
_MODEL_TYPES = ("smplx",)


@dataclass(frozen=True)
class FoundModel:
    """A body-model file that was found.

    Attributes:
        path: the file.
        model_type: ``smplx``, from its name.
        gender: ``neutral``, ``male`` or ``female``, from its name.
    """

    path: Path
    model_type: str
    gender: str

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


def _candidates(model_type: str, gender: str, models_dir: str | Path | None) -> Iterator[Path]:
    name = f"{model_type.upper()}_{gender.upper()}.npz"
    for folder in search_dirs(models_dir):
        yield folder / model_type / name
        yield folder / name


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a folder that may not be entered counts as empty."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_body_model(model_type: str, gender: str, models_dir: str | Path | None = None) -> Path:
    """Find a body-model file, named ``DIR/smplx/SMPLX_NEUTRAL.npz`` or ``DIR/SMPLX_NEUTRAL.npz``.

    Args:
        model_type: ``smplx``.
        gender: ``neutral``, ``male`` or ``female``.
        models_dir: the only folder to search. Otherwise those of :func:`search_dirs`, which end with the package.

    Raises:
        UsageError: an unknown model type or gender.
        InputError: no such file; the message lists where it was looked for.
    """
    if model_type not in _MODEL_TYPES:
        raise UsageError(f"unknown body model {model_type!r}; expected one of {', '.join(_MODEL_TYPES)}")
    if gender not in GENDERS:
        raise UsageError(f"unknown gender {gender!r}; expected one of {', '.join(GENDERS)}")
    tried = list(_candidates(model_type, gender, models_dir))
    for path in tried:
        if _is_file(path):
            return path
    where = Path(models_dir) if models_dir is not None else tried[0]
    raise InputError(where, f"no {gender} {model_type} body model here; tried {', '.join(map(str, tried))}")


def list_body_models(models_dir: str | Path | None = None) -> list[FoundModel]:
    """All body-model files in the folders searched, in the order in which they would be taken."""
    found = {
        path.resolve(): FoundModel(path, model_type, gender)
        for model_type in _MODEL_TYPES
        for gender in GENDERS
        for path in _candidates(model_type, gender, models_dir)
        if _is_file(path)
    }
    return list(found.values())
