"""Hashes that tell whether a stored result belongs to the current settings, keypoints and photo."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.search import find_body_model
from smplifyx.config import Config, RunOptions
from smplifyx.errors import InputError
from smplifyx.files import file_digest, new_digest
from smplifyx.gender import CLASSES
from smplifyx.keypoints import Observation
from smplifyx.keypoints.loading import Judgement
from smplifyx.skeleton import SIDES

#: Sections of the settings that change a fit.
_SECTIONS = (
    "body", "gender", "camera", "priors", "lifting", "objective", "starts", "stages", "optimizer", "collision",
)  # fmt: skip
#: Arguments of a run that do.
_ARGUMENTS = ("dtype",)
#: Files whose entries are part of a person's input.
_BY_PERSON = ("camera.calibration", "gender.labels")


def settings_digest(config: Config, run: RunOptions) -> str:
    """Hash of the settings that decide a fit.

    A file counts with its content and not with its path, so that the same settings have the same hash everywhere.
    The calibration and the table of labels count with the persons they are about, see :func:`input_digest`.
    """
    values: dict[str, Any] = {"people.min_confidence": config.people.min_confidence}
    for section in _SECTIONS:
        values |= dict(_plain(section, getattr(config, section)))
    if config.body.models_dir is not None:
        values["body.models_dir"] = _model_digests(config)
    values |= {f"run.{name}": getattr(run, name) for name in _ARGUMENTS}
    text = json.dumps({name: value for name, value in values.items() if name not in _BY_PERSON}, sort_keys=True)
    return digest_of(text.encode())


def input_digest(person: Observation, label: str | None) -> str:
    """Hash of a person's input: keypoints, detected depth, image size, calibrated camera, label of the gender.

    Other cameras follow from the settings and the photo, which have hashes of their own.
    """
    camera = person.camera
    figures: list[float] = [*person.image_size]
    if camera is not None and camera.source == "calibration":
        figures += [*map(float, camera.focal_length), *map(float, camera.center)]
    parts = [np.ascontiguousarray(person.keypoints, "<f4").tobytes(), json.dumps([figures, label]).encode()]
    if person.points_3d is not None:
        parts.append(np.ascontiguousarray(person.points_3d, "<f4").tobytes())
    return digest_of(*parts)


def context_digest(config: Config, run: RunOptions, judgement: Judgement) -> str:
    """Hash of the settings that decide about the people of a photo and their input, besides the photo's files."""
    labels = config.gender.labels
    values = {
        **dict(_plain("people", config.people)),
        "run": [run.layout, run.keypoint_frame, run.keypoint_scale, run.keypoints is None],
        "labels": file_digest(labels) if labels is not None and labels.is_file() else None,
        "judgement": [judgement.turn, judgement.size_uncertain],
        "model": config.body.model,
    }
    return digest_of(json.dumps(values, sort_keys=True).encode())


def file_stamp(path: Path | None) -> tuple[int, int] | None:
    """Size in bytes and time of change in nanoseconds of a file; None if there is no such file."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _model_digests(config: Config) -> dict[str, str]:
    """Hashes of the body models in a folder that people may be fitted with, by gender or side."""
    body = config.body
    genders = ("neutral", *CLASSES) if body.gender == "auto" else (body.gender,)
    kinds = [("neutral", side) for side in SIDES] if body.model == "mano" else [(one, None) for one in genders]
    found: dict[str, str] = {}
    for gender, side in kinds:
        with suppress(InputError):
            path = find_body_model(body.model, gender, body.models_dir, side=side)
            found[side or gender] = file_digest(path)
    return found


def _plain(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values of nested dataclasses and tuples by dotted name."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _plain(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, tuple):
        yield f"{name}.length", len(value)
        for number, one in enumerate(value):
            yield from _plain(f"{name}.{number}", one)
    elif isinstance(value, Path):
        yield name, file_digest(value) if value.is_file() else str(value)
    else:
        yield name, value


def digest_of(*parts: bytes) -> str:
    """Hash of some bytes, in their order."""
    hashed = new_digest()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return str(hashed.hexdigest())
